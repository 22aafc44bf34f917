// SPDX-License-Identifier: BSD-3-Clause
#include "ops/reflectors.h"

#include <algorithm>
#include <cmath>

namespace fastinit {
namespace {

constexpr std::int64_t kSumRows = 256;  // rows of one partial sum: part of the number contract

// Sums of squares below the diagonal of rows [first, last), by columns, in float64.
template <class T>
void add_squares(const Matrix<T>& v, std::int64_t first, std::int64_t last, double* sums) {
    std::fill(sums, sums + v.cols, 0.0);
    for (std::int64_t i = first; i < last; ++i) {
        const T* row = v.data + i * v.row_stride;
        const std::int64_t n = std::min(v.cols, i);
        for (std::int64_t j = 0; j < n; ++j) sums[j] += static_cast<double>(row[j]) * static_cast<double>(row[j]);
    }
}

// t = u^-1 for an upper triangle u of n rows, both with rows `stride` apart; `scratch` holds n * n / 4.
template <class T>
void invert_upper(Team& team, GemmSpace<T>& space, std::int64_t n, const T* u, T* t, std::int64_t stride, T* scratch) {
    if (n <= kTriangle) return real_kernels<T>().invert_triangle(static_cast<int>(n), u, t, stride);
    const std::int64_t half = (n / 2 + kTriangle - 1) / kTriangle * kTriangle, rest = n - half;
    invert_upper(team, space, half, u, t, stride, scratch);
    invert_upper(team, space, rest, u + half * stride + half, t + half * stride + half, stride, scratch);
    // t12 = -t11 u12 t22
    const Matrix<const T> u12{u + half, half, rest, stride, 1};
    const Matrix<T> t11{t, half, half, stride, 1}, t22{t + half * stride + half, rest, rest, stride, 1};
    const Matrix<T> product{scratch, half, rest, rest, 1};
    gemm(team, space, Rows<T>(u12), Rows<T>(t22.transposed()), rest, T{1}, false, product);
    gemm(team, space, Rows<T>(t11), Rows<T>(product.transposed()), half, T{-1}, false, {t + half, half, rest, stride, 1});
    for (std::int64_t i = 0; i < rest; ++i) std::fill_n(t + (half + i) * stride, half, T{0});
}

}  // namespace

template <class T>
void make_reflectors(Team& team, Buffer<double>& sums, const Matrix<T>& v, T* heads) {
    const std::int64_t parts = (v.rows + kSumRows - 1) / kSumRows;
    sums.reserve(static_cast<std::size_t>(parts * v.cols));
    team.run(static_cast<std::size_t>(parts), [&](std::size_t part, int) {
        const std::int64_t first = static_cast<std::int64_t>(part) * kSumRows;
        add_squares(v, first, std::min(v.rows, first + kSumRows), sums.data() + first / kSumRows * v.cols);
    });
    for (std::int64_t k = 0; k < v.cols; ++k) {
        double below = 0;
        for (std::int64_t part = 0; part < parts; ++part) below += sums.data()[part * v.cols + k];
        T& x = v.at(k, k);
        const T norm = static_cast<T>(std::sqrt(below + static_cast<double>(x) * static_cast<double>(x)));
        const bool none = k == v.rows - 1 || !(norm > 0);
        heads[k] = none ? x : x < 0 ? norm : -norm;
        x -= heads[k];
        std::fill_n(&v.at(k, k) + 1, v.cols - k - 1, T{0});
    }
}

template <class T>
void triangular_factor(Team& team, ReflectorSpace<T>& space, const Matrix<T>& v, T* t) {
    const std::int64_t n = v.cols;
    space.gram.reserve(static_cast<std::size_t>(n * n + n * n / 4 + n * kTriangle));
    T* gram = space.gram.data();
    const Rows<T> columns(v.transposed());
    const std::int64_t strip = std::clamp<std::int64_t>(n / 4, 32, 64);
    const std::int64_t strips = (n + strip - 1) / strip;
    // What lies far below the diagonal is not needed; the largest strips first.
    team.run(static_cast<std::size_t>(strips), [&](std::size_t chunk, int worker) {
        const std::int64_t j = (strips - 1 - static_cast<std::int64_t>(chunk)) * strip, width = std::min(strip, n - j);
        Team alone(1, {});
        gemm(alone, space.members[static_cast<std::size_t>(worker)].gemm, columns,
             Rows<T>(v.block(0, j, v.rows, width).transposed()), v.rows, T{1}, false,
             {gram + j, j + width, width, n, 1});
    });
    for (std::int64_t k = 0; k < n; ++k) {
        T& square = gram[k * n + k];
        square = square > 0 ? square * T{0.5} : T{1};  // where v is 0, any number will do
    }
    Team alone(1, {});
    invert_upper(alone, space.gemm, n, gram, t, n, gram + n * n);
}

template <class T>
void multiply_triangle(Team& team, std::vector<Member<T>>& members, const Matrix<T>& v, const Matrix<T>& t,
                       bool transposed, const Matrix<T>& vt) {
    constexpr std::int64_t strip = 64;
    const std::int64_t n = t.cols, each = (v.rows + 4 * team.size() - 1) / (4 * team.size());
    team.run(static_cast<std::size_t>((v.rows + each - 1) / each), [&](std::size_t chunk, int worker) {
        Team alone(1, {});
        const std::int64_t first = static_cast<std::int64_t>(chunk) * each, rows = std::min(each, v.rows - first);
        for (std::int64_t j = 0; j < n; j += strip) {
            const std::int64_t width = std::min(strip, n - j);
            // The part of the triangle that is not zero.
            const std::int64_t begin = transposed ? j : 0, depth = transposed ? n - j : j + width;
            const Matrix<T> part = transposed ? t.block(j, begin, width, depth)
                                              : t.block(begin, j, depth, width).transposed();
            gemm(alone, members[static_cast<std::size_t>(worker)].gemm, Rows<T>(v.block(first, begin, rows, depth)),
                 Rows<T>(part), depth, T{1}, false, vt.block(first, j, rows, width));
        }
    });
}

#define FI_REFLECTORS(T)                                                                       \
    template void make_reflectors(Team&, Buffer<double>&, const Matrix<T>&, T*);               \
    template void triangular_factor(Team&, ReflectorSpace<T>&, const Matrix<T>&, T*); \
    template void multiply_triangle(Team&, std::vector<Member<T>>&, const Matrix<T>&, const Matrix<T>&, bool, \
                                    const Matrix<T>&);
FI_REFLECTORS(float)
FI_REFLECTORS(double)

}  // namespace fastinit
