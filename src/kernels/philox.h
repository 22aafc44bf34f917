// SPDX-License-Identifier: BSD-3-Clause
// Philox4x32-10 (Salmon et al. 2011). The 32-bit words stay in 64-bit lanes,
// because x86 multiplies 32x32->64 only there; the upper halves hold rubbish
// between rounds and are cut off at the end.
#pragma once
#include "core/kernels.h"
#include "kernels/vec.h"

namespace {

constexpr int kRounds = 10;

// Round keys, and what the first two rounds make of the parts of the counter that do
// not change within a stretch: its high half and the stream tag.
struct RoundKeys {
    U64 k0[kRounds], k1[kRounds];

    RoundKeys(fastinit::Key key, std::uint32_t tag, std::uint32_t high) {
        std::uint32_t a[kRounds], b[kRounds];
        a[0] = key.k0;
        b[0] = key.k1;
        for (int r = 1; r < kRounds; ++r) {
            a[r] = a[r - 1] + 0x9E3779B9u;
            b[r] = b[r - 1] + 0xBB67AE85u;
        }
        // Round 1 leaves c0 and c1 constant, so half of round 2 is constant too.
        const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * tag;
        const std::uint32_t c0 = static_cast<std::uint32_t>(p1 >> 32) ^ high ^ a[0];
        const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
        a[1] ^= static_cast<std::uint32_t>(p1);
        b[1] ^= static_cast<std::uint32_t>(p0 >> 32);
        b[2] ^= static_cast<std::uint32_t>(p0);
        for (int r = 0; r < kRounds; ++r) {
            k0[r] = u64(a[r]);
            k1[r] = u64(b[r]);
        }
    }
};

// N vectors of counters (their low 32 bits), each with its keys, interleaved round by
// round to hide the latency of the multiplication; the valid words are the low halves.
template <int N>
FI_INLINE void philox(const U64 (&index)[N], const RoundKeys* const (&keys)[N], U64 (&c)[N][4]) {
    const U64 m0 = u64(0xD2511F53u), m1 = u64(0xCD9E8D57u);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
        const U64 first = mul32(index[i], m0);
        const U64 second = mul32((first >> 32) ^ keys[i]->k1[0], m1);
        const U64 c0 = (second >> 32) ^ keys[i]->k0[1], c2 = first ^ keys[i]->k1[1];
        const U64 p0 = mul32(c0, m0), p1 = mul32(c2, m1);
        c[i][0] = (p1 >> 32) ^ second ^ keys[i]->k0[2];
        c[i][1] = p1;
        c[i][2] = (p0 >> 32) ^ keys[i]->k1[2];
        c[i][3] = p0;
    }
#pragma GCC unroll 10
    for (int r = 3; r < kRounds; ++r) {
#pragma GCC unroll 8
        for (int i = 0; i < N; ++i) {
            const U64 p0 = mul32(c[i][0], m0), p1 = mul32(c[i][2], m1);
            c[i][0] = (p1 >> 32) ^ c[i][1] ^ keys[i]->k0[r];
            c[i][1] = p1;
            c[i][2] = (p0 >> 32) ^ c[i][3] ^ keys[i]->k1[r];
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
FI_INLINE void words32(const std::uint64_t (&counter)[N], const RoundKeys& keys, U32 (&w)[N][4]) {
    U64 index[2 * N], c[2 * N][4];
    const RoundKeys* all[2 * N];
    for (int i = 0; i < N; ++i) {
        index[2 * i] = u64(counter[i]) + lane_numbers(2);
        index[2 * i + 1] = index[2 * i] + 1;
        all[2 * i] = all[2 * i + 1] = &keys;
    }
    philox(index, all, c);
    for (int i = 0; i < N; ++i) {
        for (int k = 0; k < 4; ++k) w[i][k] = (U32)((c[2 * i][k] & 0xffffffffu) | (c[2 * i + 1][k] << 32));
    }
}

// kHalf consecutive counters, each word refined to 64 bits by the stream of `low`.
FI_INLINE void words64(std::uint64_t counter, const RoundKeys& keys, const RoundKeys& low, U64 (&w)[4]) {
    const U64 lanes = u64(counter) + lane_numbers(1);
    const U64 index[2] = {lanes, lanes};
    const RoundKeys* const both[2] = {&keys, &low};
    U64 c[2][4];
    philox(index, both, c);
    for (int k = 0; k < 4; ++k) w[k] = (c[0][k] << 32) | (c[1][k] & 0xffffffffu);
}

// The same lanes with the high words alone (for float32 results of float64 arithmetic).
FI_INLINE void words_high(std::uint64_t counter, const RoundKeys& keys, U64 (&w)[4]) {
    const U64 index[1] = {u64(counter) + lane_numbers(1)};
    const RoundKeys* const one[1] = {&keys};
    U64 c[1][4];
    philox(index, one, c);
    for (int k = 0; k < 4; ++k) w[k] = c[0][k] & 0xffffffffu;
}

// Calls body(begin, end, high) for stretches of blocks whose counters share their high half.
template <class Body>
FI_INLINE void for_each_stretch(const std::uint64_t* block, std::size_t blocks, const Body& body) {
    constexpr int shift = 28;  // 2^28 blocks have 2^32 counters
    for (std::size_t begin = 0, end = 0; begin < blocks; begin = end) {
        const std::uint64_t high = block[begin] >> shift;
        while (end < blocks && block[end] >> shift == high) ++end;
        body(begin, end, static_cast<std::uint32_t>(high));
    }
}

}  // namespace
