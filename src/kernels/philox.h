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

// N vectors of counters (64-bit index, stream tag), interleaved round by round to hide
// the latency of the multiplication; the valid words are the low halves of the results.
template <int N>
FI_INLINE void philox(const U64 (&index)[N], const std::uint32_t (&tag)[N], const RoundKeys& keys, U64 (&c)[N][4]) {
    const U64 m0 = u64(0xD2511F53u), m1 = u64(0xCD9E8D57u);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
        c[i][0] = index[i];
        c[i][1] = index[i] >> 32;
        c[i][2] = u64(tag[i]);
        c[i][3] = u64(0);
    }
#pragma GCC unroll 10
    for (int r = 0; r < kRounds; ++r) {
#pragma GCC unroll 8
        for (int i = 0; i < N; ++i) {
            const U64 p0 = mul32(c[i][0], m0), p1 = mul32(c[i][2], m1);
            c[i][0] = (p1 >> 32) ^ c[i][1] ^ keys.k0[r];
            c[i][1] = p1;
            c[i][2] = (p0 >> 32) ^ c[i][3] ^ keys.k1[r];
            c[i][3] = p0;
        }
    }
}

FI_INLINE U64 lane_numbers(std::uint64_t step) {
    U64 v = u64(0);
    for (int i = 0; i < kHalf; ++i) v[i] = static_cast<std::uint64_t>(i) * step;
    return v;
}

// Words of kLanes consecutive counters, in the order of the lanes, for each of N runs
// of counters: even counters in one vector, odd ones in the other, so that joining
// them needs no permutation.
template <int N>
FI_INLINE void words32(const std::uint64_t (&counter)[N], std::uint32_t tag, const RoundKeys& keys, U32 (&w)[N][4]) {
    U64 index[2 * N], c[2 * N][4];
    std::uint32_t tags[2 * N];
    for (int i = 0; i < N; ++i) {
        index[2 * i] = u64(counter[i]) + lane_numbers(2);
        index[2 * i + 1] = index[2 * i] + 1;
        tags[2 * i] = tags[2 * i + 1] = tag;
    }
    philox(index, tags, keys, c);
    for (int i = 0; i < N; ++i) {
        for (int k = 0; k < 4; ++k) w[i][k] = (U32)((c[2 * i][k] & 0xffffffffu) | (c[2 * i + 1][k] << 32));
    }
}

// kHalf consecutive counters, each word refined to 64 bits: high from stream `tag`,
// low from stream `tag + 1`.
FI_INLINE void words64(std::uint64_t counter, std::uint32_t tag, const RoundKeys& keys, U64 (&w)[4]) {
    const U64 lanes = u64(counter) + lane_numbers(1);
    const U64 index[2] = {lanes, lanes};
    const std::uint32_t tags[2] = {tag, tag + 1};
    U64 c[2][4];
    philox(index, tags, keys, c);
    for (int k = 0; k < 4; ++k) w[k] = (c[0][k] << 32) | (c[1][k] & 0xffffffffu);
}

// The same lanes with the high words alone (for float32 results of float64 arithmetic).
FI_INLINE void words_high(std::uint64_t counter, std::uint32_t tag, const RoundKeys& keys, U64 (&w)[4]) {
    const U64 index[1] = {u64(counter) + lane_numbers(1)};
    const std::uint32_t tags[1] = {tag};
    U64 c[1][4];
    philox(index, tags, keys, c);
    for (int k = 0; k < 4; ++k) w[k] = c[0][k] & 0xffffffffu;
}

}  // namespace
