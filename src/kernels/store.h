// SPDX-License-Identifier: BSD-3-Clause
// Writes vectors of float32 results in the target type: rounded once, to nearest even;
// samples may be infinite (a huge std overflows), never NaN.
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

template <DType T>
FI_INLINE auto rounded(F32 x) {
    if constexpr (T == DType::float32) {
        return x;
    } else if constexpr (T == DType::float16) {
        return to_f16(x);
    } else if constexpr (T == DType::bfloat16) {
        return __builtin_convertvector(round_upper_half(x) >> 16, U16);
    } else if constexpr (T == DType::float8_e4m3fn) {
        return __builtin_convertvector(round_float8_e4m3fn(x), U8);
    } else {
        static_assert(T == DType::float8_e5m2);
        return __builtin_convertvector(round_float8_e5m2(x), U8);
    }
}

// kLanes results to dst + element.
template <DType T>
FI_INLINE void put(void* dst, std::size_t element, F32 x) {
    store(static_cast<char*>(dst) + element * fastinit::item_size(T), rounded<T>(x));
}

#if defined(FI_ISA_avx512)
// What is side by side in memory: a vector of float32, two of a 16-bit type. kNative only where
// the CPU can, and x is zero or not subnormal.
template <DType T, bool kNative>
FI_INLINE U32 line_of(const F32* x) {
    if constexpr (T == DType::float32) {
        return (U32)x[0];
    } else if constexpr (T == DType::float16) {
        return join(to_f16(x[0]), to_f16(x[1]));
    } else {
        static_assert(T == DType::bfloat16);
        return kNative ? round_natively(x[0], x[1]) : round_to_upper_halves((U32)x[0], (U32)x[1]);
    }
}
#endif

// Where the results of blocks go: anywhere, by ordinary stores.
class Plain {
public:
    explicit Plain(void* dst) : dst_(static_cast<char*>(dst)) {}
    // The four vectors of a block's lanes, 16 elements apart.
    template <DType T, bool kNative>
    __attribute__((always_inline)) void put_block(std::size_t element, const F32 (&x)[4]) {
#if defined(FI_ISA_avx512)
        if constexpr (T == DType::bfloat16) {
            for (int k = 0; k < 4; k += 2) {
                store(dst_ + 2 * (element + static_cast<unsigned>(16 * k)), line_of<T, kNative>(x + k));
            }
            return;
        }
#endif
        for (int k = 0; k < 4; ++k) put<T>(dst_, element + static_cast<unsigned>(16 * k), x[k]);
    }
    void finish() const {}

private:
    char* dst_;
};

// Blocks to consecutive places from `next` on, past the cache, by vectors as they are computed. What
// lies before has been written already, a block at least.
#if defined(FI_ISA_avx512)
// In whole lines, of the end of one vector and the beginning of the next.
class Past {
public:
    static constexpr std::size_t kAlign = 4;
    explicit Past(char* next)
        : line_(next - reinterpret_cast<std::uintptr_t>(next) % kStreamed), held_(load<U32>(next - 64)), end_(next) {
        const auto late = static_cast<std::uint32_t>(next - line_) / 4;  // 32-bit lanes of the line that are written
        for (std::uint32_t i = 0; i < 16; ++i) at_[i] = 16 - late + i;
    }
    template <DType T, bool kNative>
    __attribute__((always_inline)) void put_block(std::size_t, const F32 (&x)[4]) {
        for (int k = 0; k < 4; k += T == DType::float32 ? 1 : 2) push(line_of<T, kNative>(x + k));
    }
    // The line that the last vector begins and does not fill.
    void finish() const { store(end_ - 64, held_); }

private:
    __attribute__((always_inline)) void push(U32 x) {
        stream(line_, pick(held_, at_, x));
        held_ = x;
        line_ += 64;
        end_ += 64;
    }
    char* line_;
    U32 at_, held_;
    char* end_;
};
#elif defined(FI_ISA_avx2)
class Past {
public:
    static constexpr std::size_t kAlign = kStreamed;
    explicit Past(char* next) : next_(next) {}
    template <DType T, bool>
    __attribute__((always_inline)) void put_block(std::size_t element, const F32 (&x)[4]) {
        for (int k = 0; k < 4; ++k) {
            stream(next_ + (element + static_cast<unsigned>(16 * k)) * fastinit::item_size(T), rounded<T>(x[k]));
        }
    }
    void finish() const {}

private:
    char* next_;
};
#endif

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
