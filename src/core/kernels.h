// SPDX-License-Identifier: BSD-3-Clause
// The table of functions that every instruction set provides, and the choice of
// the active one. Kernels see this header and nothing else of the core.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

namespace fastinit {

struct Key {
    std::uint32_t k0, k1;
};

// One block is 64 consecutive elements: 16 counters of four words.
constexpr std::size_t kBlock = 64;

enum class Law : int {
    uniform,
    normal,
    truncated,       // |bounds| <= 3.5 sigma and not narrow: float32 arithmetic
    truncated_wide,  // any other window that reaches within 4 sigma: float64 arithmetic
    truncated_edge,  // the window lies beyond 4 sigma on one side, or is level: distances from a bound
    words,
    constant,        // `shift`
};
constexpr int kLaws = 7;

// Everything a law needs, computed once per fill in float64 (ops/law.cpp).
struct LawParams {
    Law law;
    Key key;
    std::uint32_t tag;   // stream tag of the main words; float64 adds tag + 1
    double scale, shift; // result = fma(sample, scale, shift)
    double low, high;    // results are clamped to [low, high]
    double mass, below, above;  // truncated: P(a<z<b), P(z<a), P(z>b)
    double middle;              // and (P(z<a) + P(z<b) - 1) / 2, halfway between the bounds
    double edge, ratio;         // far: bound nearest to 0 in sigmas (0: level window), P(z>b)/P(z>a)
};

// The blocks with the given numbers, one after another.
using GenerateFn = void (*)(const LawParams&, const std::uint64_t* block, std::size_t blocks, void* dst);

constexpr int kWidestPanel = 32;

// A tile of C, mr x nr, by one micro-kernel: C = alpha a b, or C + alpha a b where `add`. Packed
// a holds mr numbers for every step of the depth, b nr; rows of C are `stride` elements apart.
template <class T>
struct GemmKernel {
    int mr, nr;  // at most kWidestPanel
    void (*run)(std::int64_t depth, const T* a, const T* b, T alpha, bool add, T* c, std::int64_t stride);
    // Packs lines that lie `stride` apart, their elements side by side: dst[s * width + l].
    void (*interleave)(const T* src, std::int64_t stride, std::int64_t lines, std::int64_t steps, std::int64_t width,
                       T* dst);
};

// Columns of the panels that factor_panel takes, rows kPanelColumns apart.
constexpr int kPanelColumns = 16;
constexpr int kTriangle = 32;  // rows of a triangle, columns of a matrix in invert_triangle and reflect

// What there is for float and double alike.
template <class T>
struct RealKernels {
    GemmKernel<T> gemm;
    // Householder factorization of a panel (kernels/panel.h), as a part of blocked ones.
    void (*factor_panel)(std::int64_t rows, int cols, T* a, T* heads, T* diagonal);
    // t = u^-1 for an upper triangle u of n <= kTriangle rows, both `stride` apart; t is 0 below.
    void (*invert_triangle)(int n, const T* u, T* t, std::int64_t stride);
    // q (rows x kTriangle) = the product of `count` reflectors of small matrices, times q.
    void (*reflect)(std::int64_t rows, std::int64_t count, const T* v, std::int64_t stride, const T* tau, T* q);
    // x[i] = fma(x[i], scale[i], shift[i]): what a law does, with parameters for each element.
    void (*affine)(std::size_t n, T* x, const T* scale, const T* shift);
    // The mathematical functions of the kernels on whole arrays, for tests of their error.
    void (*probe)(int function, const T* x, T* y, std::size_t n);
};

struct Kernels {
    const char* isa;
    int rank;  // a higher rank is preferred
    GenerateFn generate[kLaws][kDTypes];
    // The same past the cache, to a multiple of `stream_align`; null where there is none.
    GenerateFn stream[kLaws][kDTypes];
    std::size_t stream_align;
    // Copies past the cache, any alignment. Other threads may read what is streamed after stream_fence().
    void (*copy_stream)(void* dst, const void* src, std::size_t bytes);
    void (*stream_fence)();
    RealKernels<float> f32;
    RealKernels<double> f64;
};

// The table in use: the best that the CPU offers, or the one FASTINIT_ISA names.
// Throws std::invalid_argument when FASTINIT_ISA asks for the impossible.
const Kernels& kernels();

template <class T>
const RealKernels<T>& real_kernels() {
    if constexpr (sizeof(T) == sizeof(float)) {
        return kernels().f32;
    } else {
        return kernels().f64;
    }
}

void set_kernels(const char* isa);
std::size_t available_kernels(const Kernels** out, std::size_t capacity);

}  // namespace fastinit
