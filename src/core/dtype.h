// SPDX-License-Identifier: BSD-3-Clause
// The element types that a fill can write. The order is part of the table of
// kernels and of the codes that Python passes; add a new one at the end of the
// floating types and give it a store in kernels/store.h.
#pragma once
#include <cstddef>

namespace fastinit {

enum class DType : int {
    float32 = 0,
    float64 = 1,
    float16 = 2,
    bfloat16 = 3,
    float8_e4m3fn = 4,
    float8_e5m2 = 5,
    uint32 = 6,  // raw generator words
};
constexpr int kDTypes = 7;

template <class T>
constexpr DType kDTypeOf = sizeof(T) == 8 ? DType::float64 : DType::float32;  // of float and double

constexpr std::size_t item_size(DType t) {
    switch (t) {
        case DType::float64: return 8;
        case DType::float32:
        case DType::uint32: return 4;
        case DType::float16:
        case DType::bfloat16: return 2;
        default: return 1;
    }
}

}  // namespace fastinit
