// SPDX-License-Identifier: BSD-3-Clause
// Writes vectors of float32 (or float64) results in the target type: rounded once,
// to nearest even; samples may be infinite (a huge std overflows), never NaN.
// Also the copy from scratch to the target with streaming stores.
#pragma once
#include "core/dtype.h"
#include "kernels/vec.h"

namespace {

using fastinit::DType;

// The bfloat16 in the upper half of each lane.
FI_INLINE U32 round_upper_half(F32 x) {
    const U32 bits = (U32)x;
    return bits + 0x7fffu + ((bits >> 16) & 1u);
}

// IEEE-like small floats with M mantissa bits; `largest` is the code of the largest
// finite value, `overflow` the code of everything beyond it and of infinity.
template <int M, int kBias, std::uint32_t kLargest, std::uint32_t kOverflow, int kSignBit>
FI_INLINE U32 round_small(F32 x) {
    const U32 bits = (U32)x;
    const U32 a = bits & 0x7fffffffu;
    constexpr int drop = 23 - M;
    const U32 normal =
        ((a + ((1u << (drop - 1)) - 1u) + ((a >> drop) & 1u)) >> drop) - ((127u - kBias) << M);
    // Below the smallest normal, adding 2^(23 + exponent of the spacing) rounds for us.
    constexpr std::uint32_t magic_exponent = 127 + 1 - kBias - M + 23;
    constexpr std::uint32_t magic_bits = magic_exponent << 23;
    const U32 magic = magic_bits + U32{};
    const U32 subnormal = (U32)((F32)a + (F32)magic) - magic_bits;
    constexpr std::uint32_t smallest_normal = (127u + 1u - kBias) << 23;
    U32 code = a < smallest_normal ? subnormal : normal;
    code = ((a >= 0x7f800000u) | (code > kLargest)) ? kOverflow + U32{} : code;
    return code | ((bits >> 31) << kSignBit);
}

FI_INLINE U32 round_float8_e4m3fn(F32 x) { return round_small<3, 7, 0x7e, 0x7f, 7>(x); }
FI_INLINE U32 round_float8_e5m2(F32 x) { return round_small<2, 15, 0x7b, 0x7c, 7>(x); }
#if !defined(FI_HAS_F16)
FI_INLINE U16 to_f16(F32 x) {
    return __builtin_convertvector((round_small<10, 15, 0x7bff, 0x7c00, 15>(x)), U16);
}
#endif

// kLanes results to dst + element.
template <DType T>
FI_INLINE void put(void* dst, std::size_t element, F32 x) {
    char* p = static_cast<char*>(dst) + element * fastinit::item_size(T);
    if constexpr (T == DType::float32) {
        store(p, x);
    } else if constexpr (T == DType::float16) {
        store(p, to_f16(x));
    } else if constexpr (T == DType::bfloat16) {
        store(p, __builtin_convertvector(round_upper_half(x) >> 16, U16));
    } else if constexpr (T == DType::float8_e4m3fn) {
        store(p, __builtin_convertvector(round_float8_e4m3fn(x), U8));
    } else {
        static_assert(T == DType::float8_e5m2);
        store(p, __builtin_convertvector(round_float8_e5m2(x), U8));
    }
}

// The four vectors of a block's lanes, 16 elements apart; kNative only where the CPU can, and x
// is zero or not subnormal.
template <DType T, bool kNative>
FI_INLINE void put_block(void* dst, std::size_t element, const F32 (&x)[4]) {
#if defined(FI_ISA_avx512)
    if constexpr (T == DType::bfloat16) {
        for (int k = 0; k < 4; k += 2) {
            store(static_cast<char*>(dst) + 2 * (element + static_cast<unsigned>(16 * k)),
                  kNative ? round_natively(x[k], x[k + 1]) : round_to_upper_halves((U32)x[k], (U32)x[k + 1]));
        }
        return;
    }
#endif
    for (int k = 0; k < 4; ++k) put<T>(dst, element + static_cast<unsigned>(16 * k), x[k]);
}

// src in ordinary memory; dst is written past the cache where its alignment allows.
FI_INLINE void copy_past_cache(void* dst, const void* src, std::size_t bytes) {
    char* d = static_cast<char*>(dst);
    const char* s = static_cast<const char*>(src);
    constexpr std::size_t line = 64;
    const std::size_t lead = (line - reinterpret_cast<std::uintptr_t>(d) % line) % line;
    if (bytes < lead + line) {
        std::memcpy(d, s, bytes);
        return;
    }
    std::memcpy(d, s, lead);
    std::size_t i = lead;
    for (; i + line <= bytes; i += line) stream_line(d + i, s + i);
    std::memcpy(d + i, s + i, bytes - i);
}

}  // namespace
