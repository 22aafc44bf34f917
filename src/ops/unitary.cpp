// SPDX-License-Identifier: BSD-3-Clause
#include "ops/unitary.h"

#include <algorithm>
#include <cmath>
#include <complex>

#include "ops/fill.h"

namespace fastinit {
namespace {

constexpr std::int64_t kPanel = 64;  // columns of one panel: part of the number contract
constexpr std::int64_t kDrawRows = 64;

// Matrices here are complex ones as real ones with twice the columns, each row consecutive.

// Column a of a matrix as line a, (re, im) pairs: the adjoint's row but for the sign of im, which
// Embedded brings.
template <class T>
class AdjointRows final : public Source<T> {
public:
    explicit AdjointRows(const Matrix<T>& m) : m_(m) {}

    void pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
              T* dst) const override {
        const std::int64_t whole = (lines + width - 1) / width * width;
        for (std::int64_t l = 0; l < whole; ++l) {
            T* to = dst + l / width * width * steps + l % width;
            for (std::int64_t s = 0; s < steps; ++s) {
                to[s * width] = l < lines ? m_.at((step + s) / 2, 2 * (line + l) + (step + s) % 2) : T{0};
            }
        }
    }

private:
    Matrix<T> m_;
};

// Columns of the real matrix that multiplies (re, im) pairs as x does: line 2b gives real parts of
// column b of the product, line 2b + 1 imaginary ones. With an adjoint on the left, the sign of the
// left one's imaginary parts is put here.
template <class T>
class Embedded final : public Source<T> {
public:
    Embedded(const Matrix<T>& x, bool adjoint) : x_(x), adjoint_(adjoint) {}

    void pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
              T* dst) const override {
        const std::int64_t whole = (lines + width - 1) / width * width;
        for (std::int64_t l = 0; l < whole; ++l) {
            T* to = dst + l / width * width * steps + l % width;
            const std::int64_t column = (line + l) / 2 * 2, imaginary = (line + l) % 2;
            for (std::int64_t s = 0; s < steps; ++s) {
                const std::int64_t part = (step + s) % 2;
                T value{0};
                if (l < lines) {
                    value = x_.at((step + s) / 2, column + (part ^ imaginary));
                    // (a + ib)(c + id) and (a - ib)(c + id)
                    if (part == 1 && (imaginary == 1) == adjoint_) value = -value;
                }
                to[s * width] = value;
            }
        }
    }

private:
    Matrix<T> x_;
    bool adjoint_;
};

// c (p x q) = alpha a b, or c + alpha a b, with the adjoint of a where asked.
template <class T>
void multiply(Team& team, GemmSpace<T>& space, const Matrix<T>& a, bool adjoint, const Matrix<T>& b, T alpha, bool add,
              const Matrix<T>& c) {
    const Embedded<T> right(b, adjoint);
    const std::int64_t depth = 2 * b.rows;
    if (adjoint) return gemm(team, space, AdjointRows<T>(a), right, depth, alpha, add, c);
    gemm(team, space, Rows<T>(a), right, depth, alpha, add, c);
}

// The lower trapezoid of a panel made reflectors; `signs` takes the factors of the columns of Q.
template <class T>
void make_complex_reflectors(const Matrix<T>& v, std::complex<T>* signs) {
    const std::int64_t width = v.cols / 2;
    std::vector<double> squares(static_cast<std::size_t>(width), 0.0);
    for (std::int64_t i = 0; i < v.rows; ++i) {
        for (std::int64_t k = 0; k < std::min(i + 1, width); ++k) {
            const double re = v.at(i, 2 * k), im = v.at(i, 2 * k + 1);
            squares[static_cast<std::size_t>(k)] += re * re + im * im;
        }
    }
    for (std::int64_t k = 0; k < width; ++k) {
        T &re = v.at(k, 2 * k), &im = v.at(k, 2 * k + 1);
        const double r = re, i = im, size = std::sqrt(r * r + i * i);
        const double norm = std::sqrt(squares[static_cast<std::size_t>(k)]);
        const double cosine = size > 0 ? r / size : 1.0, sine = size > 0 ? i / size : 0.0;
        const bool none = k == v.rows - 1;  // one number: nothing to reflect
        const double sign = none ? 1.0 : -1.0;
        signs[k] = {static_cast<T>(sign * cosine), static_cast<T>(sign * sine)};
        re = none ? T{0} : static_cast<T>(r + cosine * norm);
        im = none ? T{0} : static_cast<T>(i + sine * norm);
        std::fill_n(&im + 1, v.cols - 2 * k - 2, T{0});
    }
}

// t = the inverse of the upper triangle of v* v with its diagonal halved.
template <class T>
void complex_factor(Team& team, GemmSpace<T>& space, const Matrix<T>& v, const Matrix<T>& gram, const Matrix<T>& t) {
    multiply(team, space, v, true, v, T{1}, false, gram);
    const std::int64_t n = gram.rows;
    for (std::int64_t i = n; i-- > 0;) {
        const T half = gram.at(i, 2 * i) * T{0.5};
        const T inverse = half > 0 ? T{1} / half : T{1};
        for (std::int64_t j = 0; j < 2 * n; ++j) t.at(i, j) = 0;
        for (std::int64_t k = i + 1; k < n; ++k) {
            const T re = gram.at(i, 2 * k), im = gram.at(i, 2 * k + 1);
            for (std::int64_t j = k; j < n; ++j) {
                const T a = t.at(k, 2 * j), b = t.at(k, 2 * j + 1);
                t.at(i, 2 * j) -= re * a - im * b;
                t.at(i, 2 * j + 1) -= re * b + im * a;
            }
        }
        for (std::int64_t j = 2 * i + 2; j < 2 * n; ++j) t.at(i, j) *= inverse;
        t.at(i, 2 * i) = inverse;
    }
}

template <class T>
void unitary(Team& team, GemmSpace<T>& space, const Matrix<T>& out, T scale, Key key, const Progress& progress) {
    const std::int64_t m = out.rows, n = out.cols / 2, panels = (n + kPanel - 1) / kPanel;
    const LawParams law = law_params({Asked::normal, 0.0, 1.0, 0.0, 0.0}, kDTypeOf<T>, key, 0);
    Buffer<T> buffers[5];
    const auto size = [](std::int64_t rows, std::int64_t cols) { return static_cast<std::size_t>(2 * rows * cols); };
    const std::int64_t most = std::min(n, kPanel);
    buffers[0].reserve(size(m, most));
    buffers[1].reserve(size(most, most));
    buffers[2].reserve(size(most, most));
    buffers[3].reserve(size(most, n));
    buffers[4].reserve(size(most, n));
    std::complex<T> signs[kPanel];
    for (std::int64_t p = panels; p-- > 0;) {
        const std::int64_t j = p * kPanel, width = std::min(kPanel, n - j), rows = m - j, cols = n - j;
        const Matrix<T> v{buffers[0].data(), rows, 2 * width, 2 * width, 1};
        const Matrix<T> gram{buffers[1].data(), width, 2 * width, 2 * width, 1};
        const Matrix<T> t{buffers[2].data(), width, 2 * width, 2 * width, 1};
        const Matrix<T> w{buffers[3].data(), width, 2 * cols, 2 * cols, 1};
        const Matrix<T> y{buffers[4].data(), width, 2 * cols, 2 * cols, 1};
        team.run(static_cast<std::size_t>((rows + kDrawRows - 1) / kDrawRows), [&](std::size_t chunk, int) {
            const std::int64_t first = static_cast<std::int64_t>(chunk) * kDrawRows;
            for (std::int64_t i = first; i < std::min(rows, first + kDrawRows); ++i) {
                generate(law, kDTypeOf<T>, static_cast<std::uint64_t>(2 * ((j + i) * n + j)),
                         static_cast<std::size_t>(2 * width), &v.at(i, 0));
            }
        });
        make_complex_reflectors(v, signs);
        complex_factor(team, space, v, gram, t);
        // The panel's own columns of Q are diag(signs), the others 0 in its rows.
        const Matrix<T> q = out.block(j, 2 * j, rows, 2 * cols);
        for (std::int64_t i = 0; i < rows; ++i) {
            std::fill_n(&q.at(i, 0), i < width ? 2 * cols : 2 * width, T{0});
            if (i < width) {
                q.at(i, 2 * i) = signs[i].real();
                q.at(i, 2 * i + 1) = signs[i].imag();
            }
        }
        multiply(team, space, v, true, q, T{1}, false, w);
        multiply(team, space, t, false, w, T{1}, false, y);
        multiply(team, space, v, false, y, T{-1}, true, q);
        const double left = static_cast<double>(p) / static_cast<double>(panels);
        if (progress) progress(1.0 - left * left * left);
    }
    if (scale == T{1}) return;
    for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t k = 0; k < 2 * n; ++k) out.at(i, k) *= scale;
    }
}

}  // namespace

template <class T>
void unitary_all(const std::vector<Matrix<T>>& outs, const std::vector<Key>& keys, T scale, int threads,
                 const Poll& poll, const Progress& progress) {
    double flops = 1e5 * static_cast<double>(outs.size());  // what the smallest take
    for (const Matrix<T>& out : outs) {
        const auto m = static_cast<double>(out.rows), n = static_cast<double>(out.cols / 2);
        flops += 16.0 * m * n * n / 3.0;  // four times those of real ones
    }
    Team team(useful_threads(flops, outs.size(), threads), poll);
    std::vector<GemmSpace<T>> spaces(static_cast<std::size_t>(team.size()));
    if (outs.size() == 1) return unitary(team, spaces[0], outs[0], scale, keys[0], progress);
    const std::size_t each = 16 * spaces.size();  // at once, so that progress can be told in between
    for (std::size_t begin = 0; begin < outs.size(); begin += each) {
        const std::size_t count = std::min(each, outs.size() - begin);
        team.run(count, [&](std::size_t i, int worker) {
            Team alone(1, {});
            unitary(alone, spaces[static_cast<std::size_t>(worker)], outs[begin + i], scale, keys[begin + i], {});
        });
        if (progress) progress(static_cast<double>(begin + count) / static_cast<double>(outs.size()));
    }
}

template void unitary_all(const std::vector<Matrix<float>>&, const std::vector<Key>&, float, int, const Poll&,
                          const Progress&);
template void unitary_all(const std::vector<Matrix<double>>&, const std::vector<Key>&, double, int, const Poll&,
                          const Progress&);

}  // namespace fastinit
