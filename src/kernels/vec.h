// SPDX-License-Identifier: BSD-3-Clause
// Vectors of one instruction set, as wide as it allows, over the compiler's
// vector extensions; intrinsics only where those do not reach. kLanes 32-bit
// lanes or kLanes/2 64-bit lanes. The same operations give the same bits on
// every instruction set: no reciprocal estimates, fma only where it is written.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(FI_ISA_avx512)
#include <cpuid.h>
#endif
#if defined(FI_ISA_avx512) || defined(FI_ISA_avx2)
#include <immintrin.h>
#elif defined(FI_ISA_neon)
#include <arm_neon.h>
#elif defined(__x86_64__)
#include <emmintrin.h>
#endif

#define FI_INLINE static inline __attribute__((always_inline))

namespace {

#if defined(FI_ISA_avx512)
constexpr int kLanes = 16;
#elif defined(FI_ISA_avx2)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
constexpr int kHalf = kLanes / 2;

typedef float F32 __attribute__((vector_size(4 * kLanes)));
typedef std::int32_t I32 __attribute__((vector_size(4 * kLanes)));
typedef std::uint32_t U32 __attribute__((vector_size(4 * kLanes)));
typedef double F64 __attribute__((vector_size(4 * kLanes)));
typedef std::int64_t I64 __attribute__((vector_size(4 * kLanes)));
typedef std::uint64_t U64 __attribute__((vector_size(4 * kLanes)));
// As many lanes as F32, narrower: for stores of 2- and 1-byte types.
typedef std::uint16_t U16 __attribute__((vector_size(2 * kLanes)));
typedef std::uint8_t U8 __attribute__((vector_size(kLanes)));

FI_INLINE F32 f32(float x) { return x - F32{}; }
FI_INLINE F64 f64(double x) { return x - F64{}; }
FI_INLINE U32 u32(std::uint32_t x) { return x + U32{}; }
FI_INLINE U64 u64(std::uint64_t x) { return x + U64{}; }

template <class V>
FI_INLINE V load(const void* p) {
    V v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
template <class V>
FI_INLINE void store(void* p, V v) {
    std::memcpy(p, &v, sizeof v);
}

// Four lanes on every instruction set: a block of a transposition.
typedef float F32x4 __attribute__((vector_size(16)));
typedef double F64x4 __attribute__((vector_size(32)));
#if defined(__clang__)
#define FI_SHUFFLE(Index, a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define FI_SHUFFLE(Index, a, b, i, j, k, l) __builtin_shuffle(a, b, Index{i, j, k, l})
#endif
template <class V, class Index>
FI_INLINE void transpose(V (&x)[4]) {
    typedef Index I __attribute__((vector_size(sizeof(V)), unused));  // Clang does without it
    const V ab = FI_SHUFFLE(I, x[0], x[1], 0, 4, 1, 5), cd = FI_SHUFFLE(I, x[2], x[3], 0, 4, 1, 5);
    const V ef = FI_SHUFFLE(I, x[0], x[1], 2, 6, 3, 7), gh = FI_SHUFFLE(I, x[2], x[3], 2, 6, 3, 7);
    x[0] = FI_SHUFFLE(I, ab, cd, 0, 1, 4, 5);
    x[1] = FI_SHUFFLE(I, ab, cd, 2, 3, 6, 7);
    x[2] = FI_SHUFFLE(I, ef, gh, 0, 1, 4, 5);
    x[3] = FI_SHUFFLE(I, ef, gh, 2, 3, 6, 7);
}

// 64-bit products of 32-bit lanes: a holds those of one half of the lanes, b the rest.
// x86 multiplies every second lane, 0 2 4 ... and 1 3 5 ...; NEON the first half and the
// second. kStride lanes lie between neighbours of a, b begins with lane kSecond.
struct Wide {
    U64 a, b;
};
#if defined(FI_ISA_neon)
constexpr int kStride = 1, kSecond = kHalf;
#else
constexpr int kStride = 2, kSecond = 1;
#endif

FI_INLINE Wide mul_wide(U32 x, U32 m) {
#if defined(FI_ISA_avx512)
    return {(U64)_mm512_mul_epu32((__m512i)x, (__m512i)m), (U64)_mm512_mul_epu32((__m512i)((U64)x >> 32), (__m512i)m)};
#elif defined(FI_ISA_avx2)
    return {(U64)_mm256_mul_epu32((__m256i)x, (__m256i)m), (U64)_mm256_mul_epu32((__m256i)((U64)x >> 32), (__m256i)m)};
#elif defined(FI_ISA_neon)
    return {(U64)vmull_u32(vget_low_u32((uint32x4_t)x), vget_low_u32((uint32x4_t)m)),
            (U64)vmull_high_u32((uint32x4_t)x, (uint32x4_t)m)};
#else
    return {(U64)_mm_mul_epu32((__m128i)x, (__m128i)m), (U64)_mm_mul_epu32((__m128i)((U64)x >> 32), (__m128i)m)};
#endif
}

// The upper (lower) halves of products, one instruction each. With SSE and AVX2 this exchanges the
// two middle lanes of every four: doing it twice, or `swap_middle`, brings them back. The masks of
// AVX-512 leave half of the lanes where they are, so that nothing is to be brought back.
template <bool kUpper>
FI_INLINE U32 halves(Wide p) {
    [[maybe_unused]] constexpr int pick = kUpper ? 0xdd : 0x88;
#if defined(FI_ISA_avx512)
    return (U32)(kUpper ? _mm512_mask_movehdup_ps((__m512)p.b, 0x5555, (__m512)p.a)
                        : _mm512_mask_moveldup_ps((__m512)p.a, 0xaaaa, (__m512)p.b));
#elif defined(FI_ISA_avx2)
    return (U32)_mm256_shuffle_ps((__m256)p.a, (__m256)p.b, pick);
#elif defined(FI_ISA_neon)
    return (U32)(kUpper ? vuzp2q_u32((uint32x4_t)p.a, (uint32x4_t)p.b) : vuzp1q_u32((uint32x4_t)p.a, (uint32x4_t)p.b));
#else
    return (U32)_mm_shuffle_ps((__m128)p.a, (__m128)p.b, pick);
#endif
}
FI_INLINE U32 upper_halves(Wide p) { return halves<true>(p); }
FI_INLINE U32 lower_halves(Wide p) { return halves<false>(p); }
FI_INLINE U32 xor3(U32 a, U32 b, U32 c) {
#if defined(FI_ISA_avx512)
    return (U32)_mm512_ternarylogic_epi32((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
#else
    return a ^ (b ^ c);
#endif
}
FI_INLINE U32 swap_middle(U32 x) {
#if defined(FI_ISA_avx512) || defined(FI_ISA_neon)
    return x;
#elif defined(FI_ISA_avx2)
    return (U32)_mm256_shuffle_epi32((__m256i)x, 0xd8);
#else
    return (U32)_mm_shuffle_epi32((__m128i)x, 0xd8);
#endif
}

#if !defined(FI_ISA_avx512) && !defined(FI_ISA_avx2) && !defined(FI_ISA_neon)
// The baseline has no fma. The float32 product is exact in float64; the sum is
// rounded to odd there (Boldo & Melquiond 2008), so that the last rounding, to
// float32, is the only one that counts.
FI_INLINE __m128d fma_to_odd(__m128d a, __m128d b, __m128d c) {
    const __m128d p = _mm_mul_pd(a, b);
    const __m128d s = _mm_add_pd(p, c);
    const __m128d t = _mm_sub_pd(s, p);
    const __m128d e = _mm_add_pd(_mm_sub_pd(p, _mm_sub_pd(s, t)), _mm_sub_pd(c, t));
    // Inexact and even: step one ulp towards the error, which makes the last bit odd. Of an infinite
    // sum the error is NaN, and there is no step.
    const __m128i bits = _mm_castpd_si128(s);
    const __m128i one = _mm_set1_epi64x(1);
    const __m128d inexact = _mm_and_pd(_mm_cmpord_pd(e, e), _mm_cmpneq_pd(e, _mm_setzero_pd()));
    const __m128i even = _mm_sub_epi64(_mm_and_si128(bits, one), one);
    const __m128i move = _mm_and_si128(_mm_castpd_si128(inexact), even);
    // Same sign of s and e: away from zero (+1); else towards zero (-1).
    const __m128i differ = _mm_srli_epi64(_mm_xor_si128(bits, _mm_castpd_si128(e)), 63);
    const __m128i step = _mm_sub_epi64(one, _mm_add_epi64(differ, differ));
    return _mm_castsi128_pd(_mm_add_epi64(bits, _mm_and_si128(step, move)));
}
#endif

FI_INLINE F32 fma(F32 a, F32 b, F32 c) {
#if defined(FI_ISA_avx512)
    return (F32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(FI_ISA_avx2)
    return (F32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(FI_ISA_neon)
    return (F32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    const __m128 x = (__m128)a, y = (__m128)b, z = (__m128)c;
    const __m128d x0 = _mm_cvtps_pd(x), y0 = _mm_cvtps_pd(y), z0 = _mm_cvtps_pd(z);
    const __m128d x1 = _mm_cvtps_pd(_mm_movehl_ps(x, x)), y1 = _mm_cvtps_pd(_mm_movehl_ps(y, y)),
                  z1 = _mm_cvtps_pd(_mm_movehl_ps(z, z));
    __m128d lo = _mm_add_pd(_mm_mul_pd(x0, y0), z0), hi = _mm_add_pd(_mm_mul_pd(x1, y1), z1);
    const __m128 once = _mm_movelh_ps(_mm_cvtpd_ps(lo), _mm_cvtpd_ps(hi));
    // Rounding twice can differ only from a sum halfway between float32 numbers, or below the normal ones.
    const __m128i low = _mm_castps_si128(_mm_shuffle_ps(_mm_castpd_ps(lo), _mm_castpd_ps(hi), 0x88));
    const __m128i halfway = _mm_cmpeq_epi32(_mm_slli_epi32(low, 3), _mm_set1_epi32(static_cast<int>(0x80000000u)));
    const __m128 tiny = _mm_cmple_ps(_mm_andnot_ps(_mm_set1_ps(-0.0f), once), _mm_set1_ps(0x1p-126f));
    if (__builtin_expect(_mm_movemask_ps(_mm_or_ps(_mm_castsi128_ps(halfway), tiny)) == 0, 1)) return (F32)once;
    lo = fma_to_odd(x0, y0, z0);
    hi = fma_to_odd(x1, y1, z1);
    return (F32)_mm_movelh_ps(_mm_cvtpd_ps(lo), _mm_cvtpd_ps(hi));
#endif
}

FI_INLINE F64 fma(F64 a, F64 b, F64 c) {
#if defined(FI_ISA_avx512)
    return (F64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(FI_ISA_avx2)
    return (F64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(FI_ISA_neon)
    return (F64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return F64{__builtin_fma(a[0], b[0], c[0]), __builtin_fma(a[1], b[1], c[1])};
#endif
}

FI_INLINE F32 sqrt(F32 a) {
#if defined(FI_ISA_avx512)
    return (F32)_mm512_sqrt_ps((__m512)a);
#elif defined(FI_ISA_avx2)
    return (F32)_mm256_sqrt_ps((__m256)a);
#elif defined(FI_ISA_neon)
    return (F32)vsqrtq_f32((float32x4_t)a);
#else
    return (F32)_mm_sqrt_ps((__m128)a);
#endif
}

FI_INLINE F64 sqrt(F64 a) {
#if defined(FI_ISA_avx512)
    return (F64)_mm512_sqrt_pd((__m512d)a);
#elif defined(FI_ISA_avx2)
    return (F64)_mm256_sqrt_pd((__m256d)a);
#elif defined(FI_ISA_neon)
    return (F64)vsqrtq_f64((float64x2_t)a);
#else
    return (F64)_mm_sqrt_pd((__m128d)a);
#endif
}

// Masks are vectors of all-ones or all-zero lanes (result of a comparison).
FI_INLINE F32 select(I32 m, F32 a, F32 b) { return m ? a : b; }
FI_INLINE F64 select(I64 m, F64 a, F64 b) { return m ? a : b; }
template <class V>
FI_INLINE V min(V a, V b) { return a < b ? a : b; }
template <class V>
FI_INLINE V max(V a, V b) { return a > b ? a : b; }

FI_INLINE F32 to_f32(I32 a) { return __builtin_convertvector(a, F32); }
// The upper 24 bits of a word, as a multiple of kTop24. AVX-512 converts unsigned numbers, and
// clears bits by more of its ports than shift them.
#if defined(FI_ISA_avx512)
constexpr float kTop24 = 0x1p-32f;
FI_INLINE F32 top_24_bits(U32 a) { return (F32)_mm512_cvtepu32_ps((__m512i)(a & 0xffffff00u)); }
#else
constexpr float kTop24 = 0x1p-24f;
FI_INLINE F32 top_24_bits(U32 a) { return to_f32((I32)(a >> 8)); }
#endif
// A word and its complement, each rounded once.
FI_INLINE void both_to_f32(U32 a, F32& up, F32& down) {
#if defined(FI_ISA_avx512)
    up = (F32)_mm512_cvtepu32_ps((__m512i)a);
    down = (F32)_mm512_cvtepu32_ps((__m512i)~a);
#else
    // Both halves are exact; the one rounding is that of the fma.
    const F32 hi = to_f32((I32)(a >> 16)), lo = to_f32((I32)(a & 0xffffu)), base = f32(65536.0f);
    up = fma(hi, base, lo);
    down = fma(65535.0f - hi, base, 65535.0f - lo);
#endif
}

// 64-bit integers to float64, one rounding. Each 32-bit half is exact through the
// bits of 2^52 + half.
FI_INLINE F64 low_half(U64 a) {
    return (F64)((a & 0xffffffffu) | 0x4330000000000000u) - 0x1p52;
}
FI_INLINE F64 to_f64(U64 a) {
    return fma(low_half(a >> 32), f64(0x1p32), low_half(a));
}
FI_INLINE F64 to_f64(I64 a) {
    const F64 hi = (F64)((((U64)a >> 32) ^ 0x80000000u) | 0x4330000000000000u) - (0x1p52 + 0x1p31);
    return fma(hi, f64(0x1p32), low_half((U64)a));
}

#if defined(FI_ISA_avx512) || defined(FI_ISA_avx2) || defined(FI_ISA_neon)
#define FI_HAS_F16
// kLanes float16 values, rounded to nearest even.
FI_INLINE U16 to_f16(F32 a) {
#if defined(FI_ISA_avx512)
    // The form without a mask warns of GCC's own header (bug 105593).
    return (U16)_mm512_maskz_cvtps_ph(0xffff, (__m512)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(FI_ISA_avx2)
    return (U16)_mm256_cvtps_ph((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    return (U16)vcvt_f16_f32((float32x4_t)a);
#endif
}
#endif

#if defined(FI_ISA_avx512)
// The upper 16 bits of every lane of a, then of b, each rounded to nearest even by its
// lower 16 bits: up where those exceed one half, or reach it below an odd number.
FI_INLINE U32 round_to_upper_halves(U32 a, U32 b) {
    alignas(64) static constexpr std::uint16_t odd[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21,
                                                          23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43,
                                                          45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
    const __m512i at = load<__m512i>(odd), one = _mm512_set1_epi16(1);
    const __m512i upper = _mm512_permutex2var_epi16((__m512i)a, at, (__m512i)b);
    const __m512i lower = _mm512_permutex2var_epi16((__m512i)a, _mm512_sub_epi16(at, one), (__m512i)b);
    const __m512i half = _mm512_set1_epi16(static_cast<short>(0x8001));
    const __m512i least = _mm512_ternarylogic_epi32(upper, one, half, 0x6a);
    return (U32)_mm512_mask_add_epi16(upper, _mm512_cmpge_epu16_mask(lower, least), upper, one);
}

FI_INLINE U32 join(U16 a, U16 b) { return (U32)_mm512_inserti64x4(_mm512_castsi256_si512((__m256i)a), (__m256i)b, 1); }

// The same by one instruction, which takes subnormal numbers for zeros. By its name, not as an
// intrinsic: that would need a flag, which lets the compiler use AVX512_BF16 anywhere.
FI_INLINE U32 round_natively(F32 a, F32 b) {
    U32 both;
    __asm__("vcvtne2ps2bf16 %2, %1, %0" : "=v"(both) : "v"(b), "v"(a));
    return both;
}
static inline bool cpu_rounds_natively() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & 1u << 5) != 0;  // AVX512_BF16
}
#endif

// A vector past the cache, to an address aligned to `kStreamed`.
#if defined(FI_ISA_avx512)
#define FI_STREAMS
constexpr std::size_t kStreamed = 64;
FI_INLINE void stream(char* dst, U32 x) { _mm512_stream_si512(reinterpret_cast<__m512i*>(dst), (__m512i)x); }
// Sixteen of the lanes of a and, from 16 on, of b.
FI_INLINE U32 pick(U32 a, U32 at, U32 b) {
    return (U32)_mm512_permutex2var_epi32((__m512i)a, (__m512i)at, (__m512i)b);
}
#elif defined(FI_ISA_avx2)
#define FI_STREAMS
constexpr std::size_t kStreamed = 16;
FI_INLINE void stream(char* dst, U16 x) { _mm_stream_si128(reinterpret_cast<__m128i*>(dst), (__m128i)x); }
FI_INLINE void stream(char* dst, F32 x) {
    stream(dst, (U16)_mm256_castps256_ps128((__m256)x));
    stream(dst + 16, (U16)_mm256_extractf128_ps((__m256)x, 1));
}
#endif

// 64 bytes to an address aligned to 64, past the cache where the instruction set can.
FI_INLINE void stream_line(char* dst, const char* src) {
#if defined(FI_ISA_avx512)
    stream(dst, load<U32>(src));
#elif defined(FI_ISA_avx2)
    _mm256_stream_si256(reinterpret_cast<__m256i*>(dst), load<__m256i>(src));
    _mm256_stream_si256(reinterpret_cast<__m256i*>(dst + 32), load<__m256i>(src + 32));
#elif defined(__x86_64__)
    for (int j = 0; j < 64; j += 16) {
        _mm_stream_si128(reinterpret_cast<__m128i*>(dst + j), load<__m128i>(src + j));
    }
#else
    std::memcpy(dst, src, 64);
#endif
}

// Makes streamed lines visible to other threads.
FI_INLINE void fence() {
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

}  // namespace
