// SPDX-License-Identifier: BSD-3-Clause
// Philox4x32-10 (Salmon et al. 2011). The 32-bit words stay in 64-bit lanes,
// because x86 multiplies 32x32->64 only there; the upper halves hold rubbish
// between rounds and are cut off at the end.
#pragma once
#include "core/kernels.h"
#include "kernels/vec.h"

namespace {

constexpr int kRounds = 10;

struct RoundKeys {
    U64 k0[kRounds], k1[kRounds];

    explicit RoundKeys(fastinit::Key key) {
        std::uint32_t a = key.k0, b = key.k1;
        for (int r = 0; r < kRounds; ++r, a += 0x9E3779B9u, b += 0xBB67AE85u) {
            k0[r] = u64(a);
            k1[r] = u64(b);
        }
    }
};

// Counters index (64 bits) with the given stream tag; the valid words are the low
// halves of the four results.
FI_INLINE void philox(U64 index, std::uint32_t tag, const RoundKeys& keys, U64 out[4]) {
    U64 c0 = index, c1 = index >> 32, c2 = u64(tag), c3 = u64(0);
    const U64 m0 = u64(0xD2511F53u), m1 = u64(0xCD9E8D57u);
#pragma GCC unroll 10
    for (int r = 0; r < kRounds; ++r) {
        const U64 p0 = mul32(c0, m0), p1 = mul32(c2, m1);
        c0 = (p1 >> 32) ^ c1 ^ keys.k0[r];
        c1 = p1;
        c2 = (p0 >> 32) ^ c3 ^ keys.k1[r];
        c3 = p0;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

FI_INLINE U64 lane_numbers(std::uint64_t step) {
    U64 v = u64(0);
    for (int i = 0; i < kHalf; ++i) v[i] = static_cast<std::uint64_t>(i) * step;
    return v;
}

// Words of kLanes consecutive counters, in the order of the lanes: even counters in
// one vector, odd ones in the other, so that joining them needs no permutation.
FI_INLINE void words32(std::uint64_t counter, std::uint32_t tag, const RoundKeys& keys, U32 w[4]) {
    const U64 even = u64(counter) + lane_numbers(2);
    U64 a[4], b[4];
    philox(even, tag, keys, a);
    philox(even + 1, tag, keys, b);
    for (int k = 0; k < 4; ++k) w[k] = (U32)((a[k] & 0xffffffffu) | (b[k] << 32));
}

// kHalf consecutive counters, each word refined to 64 bits: high from stream `tag`,
// low from stream `tag + 1`.
FI_INLINE void words64(std::uint64_t counter, std::uint32_t tag, const RoundKeys& keys, U64 w[4]) {
    const U64 index = u64(counter) + lane_numbers(1);
    U64 hi[4], lo[4];
    philox(index, tag, keys, hi);
    philox(index, tag + 1, keys, lo);
    for (int k = 0; k < 4; ++k) w[k] = (hi[k] << 32) | (lo[k] & 0xffffffffu);
}

// The same lanes with the high words alone (for float32 results of float64 arithmetic).
FI_INLINE void words_high(std::uint64_t counter, std::uint32_t tag, const RoundKeys& keys, U64 w[4]) {
    philox(u64(counter) + lane_numbers(1), tag, keys, w);
    for (int k = 0; k < 4; ++k) w[k] &= 0xffffffffu;
}

}  // namespace
