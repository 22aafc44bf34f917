// SPDX-License-Identifier: BSD-3-Clause
// Householder factorization of a narrow panel. Lanes are columns, and sums over rows have a fixed
// number of parts, so the bits do not depend on the width of a vector.
#pragma once
#include "core/kernels.h"
#include "kernels/gemm.h"

namespace {

using fastinit::kPanelColumns;
using fastinit::kTriangle;

constexpr int kParts = 4;  // of every sum over rows: row i goes to part i % 4 from the first on

template <class V, class T>
struct PanelRow {
    static constexpr int lanes = sizeof(V) / sizeof(T);
    static constexpr int vectors = kPanelColumns / lanes;
    V part[vectors];

    static PanelRow zero() {
        PanelRow r;
        for (int j = 0; j < vectors; ++j) r.part[j] = V{};
        return r;
    }
};

// dots[c] = sum over rows of a[i][k] a[i][c], after a[i] -= a[i][k - 1] w if `w` is given.
template <class V, class T>
FI_INLINE void sweep(std::int64_t rows, int k, T* a, const T* w, T* dots) {
    using Row = PanelRow<V, T>;
    Row sums[kParts];
    for (Row& s : sums) s = Row::zero();
    Row step = Row::zero();
    if (w != nullptr) {
        for (int j = 0; j < Row::vectors; ++j) step.part[j] = load<V>(w + j * Row::lanes);
    }
    std::int64_t i = 0;
    const auto one = [&](T* row, Row& sum) __attribute__((always_inline)) {
        V factor{}, pivot = splat<V>(row[k]);
        if (w != nullptr) {
            factor = splat<V>(-row[k - 1]);
            pivot = fma(factor, splat<V>(w[k]), pivot);
        }
        for (int j = 0; j < Row::vectors; ++j) {
            V x = load<V>(row + j * Row::lanes);
            if (w != nullptr) {
                x = fma(factor, step.part[j], x);
                store(row + j * Row::lanes, x);
            }
            sum.part[j] = fma(pivot, x, sum.part[j]);
        }
    };
    for (; i + kParts <= rows; i += kParts) {
        for (int p = 0; p < kParts; ++p) one(a + (i + p) * kPanelColumns, sums[p]);
    }
    for (int p = 0; i < rows; ++i, ++p) one(a + i * kPanelColumns, sums[p]);
    for (int j = 0; j < Row::vectors; ++j) {
        store(dots + j * Row::lanes, (sums[0].part[j] + sums[1].part[j]) + (sums[2].part[j] + sums[3].part[j]));
    }
}

// Below it squares lose digits, or 1 / square is infinite: what is left of a column that depends on others.
template <class T>
constexpr T kLeastSquare = sizeof(T) == 4 ? T(0x1p-72) : T(0x1p-900);
template <class T>
constexpr T kLift = sizeof(T) == 4 ? T(0x1p32) : T(0x1p256);

// column *= kLift, which is exact; whether anything is in it.
template <class T>
bool lift(std::int64_t rows, T* column) {
    bool any = false;
    for (std::int64_t i = 0; i < rows; ++i) any |= (column[i * kPanelColumns] *= kLift<T>) != 0;
    return any;
}

// Columns 0 ... cols - 1 of a (rows x kPanelColumns, row-major): reflectors in and below the
// diagonal, R above it, and its diagonal beside; in `heads` the same before a lift is taken back,
// as the reflectors need it. One sweep over the rows for each column: it applies a reflector and
// gathers the products that the next one needs.
template <class V, class T>
void factor_panel(std::int64_t rows, int cols, T* a, T* heads, T* diagonal) {
    T dots[kPanelColumns], w[kPanelColumns] = {};
    for (int k = 0; k < cols; ++k) {
        T* top = a + k * kPanelColumns;
        if (k > 0) {  // the row that becomes the top is not part of the sums
            const T factor = -top[k - 1];
            for (int c = 0; c < kPanelColumns; c += PanelRow<V, T>::lanes) {
                store(top + c, fma(splat<V>(factor), load<V>(w + c), load<V>(top + c)));
            }
            sweep<V, T>(rows - k - 1, k, top + kPanelColumns, w, dots);
        } else {
            sweep<V, T>(rows - 1, 0, top + kPanelColumns, nullptr, dots);
        }
        T unit = T(1);
        const auto square = [&] { return dots[k] + top[k] * top[k]; };
        while (k < rows - 1 && square() < kLeastSquare<T> && lift(rows - k, top + k)) {
            unit /= kLift<T>;
            sweep<V, T>(rows - k - 1, k, top + kPanelColumns, nullptr, dots);
        }
        const T x = top[k];
        const T norm = sqrt(splat<V>(square()))[0];
        heads[k] = x < 0 ? norm : -norm;
        T pivot = x - heads[k];
        T scale = T(1) / (norm * (x < 0 ? -pivot : pivot));
        if (k == rows - 1 || !(norm > 0)) {  // one number, or zeros: nothing to reflect
            heads[k] = x;
            pivot = scale = T(0);
        }
        diagonal[k] = heads[k] * unit;
        for (int c = 0; c < kPanelColumns; ++c) {
            w[c] = c > k ? scale * (pivot * top[c] + dots[c]) : T(0);
            if (c > k) top[c] -= pivot * w[c];
        }
        top[k] = pivot;
    }
}

// The inverse of a small upper triangle, row by row from the last: whole rows, zeros included.
template <class V, class T>
void invert_triangle(int n, const T* u, T* t, std::int64_t stride) {
    constexpr int lanes = sizeof(V) / sizeof(T);
    constexpr int vectors = kTriangle / lanes;
    alignas(64) T rows[kTriangle][kTriangle];
    for (int i = n - 1; i >= 0; --i) {
        V sum[vectors];
        for (int j = 0; j < vectors; ++j) sum[j] = V{};
        for (int k = i + 1; k < n; ++k) {
            const V factor = splat<V>(-u[i * stride + k]);
            for (int j = 0; j < vectors; ++j) sum[j] = fma(factor, load<V>(rows[k] + j * lanes), sum[j]);
        }
        const T inverse = T(1) / u[i * stride + i];
        for (int j = 0; j < vectors; ++j) store(rows[i] + j * lanes, sum[j] * splat<V>(inverse));
        rows[i][i] = inverse;
        std::memcpy(t + i * stride, rows[i], static_cast<std::size_t>(n) * sizeof(T));
    }
}

// q (rows x kTriangle) = H_0 ... H_{count - 1} q, H_k = I - tau_k v_k v_k', where column k of v is v_k,
// 0 above row k. One sweep over the rows for each reflector: it applies the one before and gathers
// the products v_k' q.
template <class V, class T>
void reflect_columns(std::int64_t rows, std::int64_t count, const T* v, std::int64_t stride, const T* tau, T* q) {
    constexpr int lanes = sizeof(V) / sizeof(T);
    constexpr int vectors = kTriangle / lanes;
    V w[vectors];
    for (std::int64_t k = count - 1; k >= -1; --k) {
        V even[vectors], odd[vectors];  // of the rows from k on
        for (int j = 0; j < vectors; ++j) even[j] = odd[j] = V{};
        const auto one = [&](std::int64_t i, V (&sum)[vectors]) __attribute__((always_inline)) {
            T* const row = q + i * kTriangle;
            // Row k is 0 in the reflector before, and there is none before the first.
            const V back = splat<V>(k + 1 < count ? -v[i * stride + k + 1] : T(0));
            const V next = splat<V>(k >= 0 ? v[i * stride + k] : T(0));
            for (int j = 0; j < vectors; ++j) {
                V x = load<V>(row + j * lanes);
                if (k + 1 < count) {
                    x = fma(back, w[j], x);
                    store(row + j * lanes, x);
                }
                if (k >= 0) sum[j] = fma(next, x, sum[j]);
            }
        };
        std::int64_t i = k > 0 ? k : 0;
        for (; i + 2 <= rows; i += 2) {
            one(i, even);
            one(i + 1, odd);
        }
        if (i < rows) one(i, even);
        for (int j = 0; j < vectors && k >= 0; ++j) w[j] = splat<V>(tau[k]) * (even[j] + odd[j]);
    }
}

}  // namespace
