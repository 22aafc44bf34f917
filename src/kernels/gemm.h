// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernel of matrix products: a tile of C in registers, one fma per product in the
// order of the depth, whatever the tile's size.
#pragma once
#include "core/kernels.h"
#include "kernels/vec.h"

namespace {

// Rows of a tile two vectors wide, so that it, a row of b and one number of a fill the registers.
// 13 and not 14: 64, 128 and 256 rows are whole tiles but for one row in 64.
#if defined(FI_ISA_avx512)
constexpr int kTileRows = 13;
#elif defined(FI_ISA_avx2)
constexpr int kTileRows = 6;
#elif defined(FI_ISA_neon)
constexpr int kTileRows = 8;
#else
constexpr int kTileRows = 4;
#endif
static_assert(kTileRows <= fastinit::kWidestPanel && 2 * kLanes <= fastinit::kWidestPanel);

template <class V>
FI_INLINE V splat(decltype(V{}[0] + 0) x) {
    return x - V{};
}

template <class V, class T>
void gemm_tile(std::int64_t depth, const T* a, const T* b, T alpha, bool add, T* c, std::int64_t stride) {
    constexpr int lanes = sizeof(V) / sizeof(T);
    constexpr int line = 64 / sizeof(T);
    V sum[kTileRows][2];
    // A loop of its own, not unrolled: addresses kept for the stores below would cost registers.
#pragma GCC unroll 1
    for (int i = 0; i < kTileRows; ++i) {
        for (int j = 0; j < 2 * lanes; j += line) __builtin_prefetch(c + i * stride + j, 0, 2);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kTileRows; ++i) sum[i][0] = sum[i][1] = V{};
    for (std::int64_t k = 0; k < depth; ++k) {
        const V left = load<V>(b), right = load<V>(b + lanes);
        for (int j = 0; j < 2 * lanes; j += line) __builtin_prefetch(b + 8 * 2 * lanes + j);
#pragma GCC unroll 16
        for (int i = 0; i < kTileRows; ++i) {
            const V x = splat<V>(a[i]);
            sum[i][0] = fma(x, left, sum[i][0]);
            sum[i][1] = fma(x, right, sum[i][1]);
        }
        a += kTileRows;
        b += 2 * lanes;
    }
    const V factor = splat<V>(alpha);
#pragma GCC unroll 16
    for (int i = 0; i < kTileRows; ++i) {
        for (int j = 0; j < 2; ++j) {
            T* at = c + j * lanes;
            store(at, add ? fma(factor, sum[i][j], load<V>(at)) : factor * sum[i][j]);
        }
        c += stride;
    }
}

// Lines of consecutive elements, `stride` apart, side by side: dst[s * width + l] = src[l * stride + s].
template <class V, class Index, class T>
void gemm_interleave(const T* src, std::int64_t stride, std::int64_t lines, std::int64_t steps, std::int64_t width,
                     T* dst) {
    for (std::int64_t l = 0; l < lines; l += 4) {
        const T* line = src + l * stride;
        T* to = dst + l;
        std::int64_t s = 0;
        for (; l + 4 <= lines && s + 4 <= steps; s += 4) {
            V x[4];
            for (int i = 0; i < 4; ++i) std::memcpy(&x[i], line + i * stride + s, sizeof(V));
            transpose<V, Index>(x);
            for (int i = 0; i < 4; ++i) std::memcpy(to + (s + i) * width, &x[i], sizeof(V));
        }
        const std::int64_t n = lines - l < 4 ? lines - l : 4;
        for (; s < steps; ++s) {
            for (std::int64_t i = 0; i < n; ++i) to[s * width + i] = line[i * stride + s];
        }
    }
}

}  // namespace
