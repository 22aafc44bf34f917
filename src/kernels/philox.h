// SPDX-License-Identifier: BSD-3-Clause
// Philox4x32-10 (Salmon et al. 2011). Words c0 and c1 keep the order of the lanes, c2 and
// c3 have the middle two of every four exchanged (with SSE and AVX2): the upper halves of the products
// of c0 become c2 and those of c2 become c0, so every exchange undoes the one before it, and
// splitting products costs one instruction for each half.
#pragma once
#include "core/kernels.h"
#include "kernels/vec.h"

namespace {

constexpr int kRounds = 10;
constexpr std::uint32_t kM0 = 0xD2511F53u, kM1 = 0xCD9E8D57u;

// The keys of one stream, and what the first two rounds make of the parts of the counter
// that do not change within a stretch: its high half and the stream tag.
struct Schedule {
    std::uint32_t k0[kRounds], k1[kRounds];

    Schedule(fastinit::Key key, std::uint32_t tag, std::uint32_t high) {
        k0[0] = key.k0;
        k1[0] = key.k1;
        for (int r = 1; r < kRounds; ++r) {
            k0[r] = k0[r - 1] + 0x9E3779B9u;
            k1[r] = k1[r - 1] + 0xBB67AE85u;
        }
        // Round 1 leaves c0 and c1 constant, so half of round 2 is constant too.
        const std::uint64_t p1 = std::uint64_t{kM1} * tag;
        const std::uint32_t c0 = static_cast<std::uint32_t>(p1 >> 32) ^ high ^ k0[0];
        const std::uint64_t p0 = std::uint64_t{kM0} * c0;
        k0[1] ^= static_cast<std::uint32_t>(p1);
        k1[1] ^= static_cast<std::uint32_t>(p0 >> 32);
        k1[2] ^= static_cast<std::uint32_t>(p0);
    }
};

// Keys for every lane: of one stream, or of one in the even and another in the odd lanes.
struct RoundKeys {
    U32 k0[kRounds], k1[kRounds];

    explicit RoundKeys(const Schedule& s) : RoundKeys(s, s) {}
    RoundKeys(const Schedule& even, const Schedule& odd) {
        const U64 first = u64(0xffffffffu);
        for (int r = 0; r < kRounds; ++r) {
            k0[r] = ((U32)first & even.k0[r]) | ((U32)~first & odd.k0[r]);
            k1[r] = swap_middle(((U32)first & even.k1[r]) | ((U32)~first & odd.k1[r]));
        }
    }
};

// c holds N vectors of four words, `first` the products of their counters with kM0;
// interleaved round by round to hide the latency of the multiplication.
template <int N>
FI_INLINE void philox(const Wide (&first)[N], const RoundKeys& k, U32 (&c)[N][4]) {
    const U32 m0 = u32(kM0), m1 = u32(kM1);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
        const Wide second = mul_wide(upper_halves(first[i]) ^ k.k1[0], m1);
        const Wide p0 = mul_wide(upper_halves(second) ^ k.k0[1], m0);
        const Wide p1 = mul_wide(lower_halves(first[i]) ^ k.k1[1], m1);
        c[i][0] = xor3(upper_halves(p1), lower_halves(second), k.k0[2]);
        c[i][1] = lower_halves(p1);
        c[i][2] = upper_halves(p0) ^ k.k1[2];
        c[i][3] = lower_halves(p0);
    }
#pragma GCC unroll 10
    for (int r = 3; r < kRounds; ++r) {
#pragma GCC unroll 8
        for (int i = 0; i < N; ++i) {
            const Wide p0 = mul_wide(c[i][0], m0), p1 = mul_wide(c[i][2], m1);
            c[i][0] = xor3(upper_halves(p1), c[i][1], k.k0[r]);
            c[i][1] = lower_halves(p1);
            c[i][2] = xor3(upper_halves(p0), c[i][3], k.k1[r]);
            c[i][3] = lower_halves(p0);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
        c[i][2] = swap_middle(c[i][2]);
        c[i][3] = swap_middle(c[i][3]);
    }
}

// kM0 times counter + lane / repeat, for the low halves of counters, whose sum must not
// overflow: linear in the counter, so no vector is multiplied.
template <int kRepeat>
FI_INLINE Wide first_products(std::uint64_t counter) {
    U64 a{}, b{};
    for (int i = 0; i < kHalf; ++i) {
        a[i] = std::uint64_t{kM0} * static_cast<unsigned>(i * kStride / kRepeat);
        b[i] = std::uint64_t{kM0} * static_cast<unsigned>((i * kStride + kSecond) / kRepeat);
    }
    const U64 base = u64(std::uint64_t{kM0} * static_cast<std::uint32_t>(counter));
    return {base + a, base + b};
}

// Words of kLanes consecutive counters, in their order, for each of N runs of counters.
template <int N>
FI_INLINE void words32(const std::uint64_t (&counter)[N], const RoundKeys& keys, U32 (&w)[N][4]) {
    Wide first[N];
    for (int i = 0; i < N; ++i) first[i] = first_products<1>(counter[i]);
    philox(first, keys, w);
}

// Words of N times kHalf consecutive counters refined to 64 bits: `keys` has the stream of the
// low halves in the even lanes, that of the high ones in the odd lanes.
template <int N>
FI_INLINE void words64(std::uint64_t counter, const RoundKeys& keys, U64 (&w)[N][4]) {
    Wide first[N];
    for (int i = 0; i < N; ++i) first[i] = first_products<2>(counter + static_cast<unsigned>(i * kHalf));
    U32 c[N][4];
    philox(first, keys, c);
    for (int i = 0; i < N; ++i) {
        for (int k = 0; k < 4; ++k) w[i][k] = (U64)c[i][k];
    }
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
