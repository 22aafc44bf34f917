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
    GemmKernel<float> gemm_f32;
    GemmKernel<double> gemm_f64;
    // Householder factorization of a panel (kernels/panel.h), as a part of blocked ones.
    void (*factor_panel_f32)(std::int64_t rows, int cols, float* a, float* heads);
    void (*factor_panel_f64)(std::int64_t rows, int cols, double* a, double* heads);
    // t = u^-1 for an upper triangle u of n <= kTriangle rows, both `stride` apart; t is 0 below.
    void (*invert_triangle_f32)(int n, const float* u, float* t, std::int64_t stride);
    void (*invert_triangle_f64)(int n, const double* u, double* t, std::int64_t stride);
    // q (rows x kTriangle) = the product of `count` reflectors of small matrices, times q.
    void (*reflect_f32)(std::int64_t rows, std::int64_t count, const float* v, std::int64_t stride, const float* tau,
                        float* q);
    void (*reflect_f64)(std::int64_t rows, std::int64_t count, const double* v, std::int64_t stride,
                        const double* tau, double* q);
    // x[i] = fma(x[i], scale[i], shift[i]): what a law does, with parameters for each element.
    void (*affine_f32)(std::size_t n, float* x, const float* scale, const float* shift);
    void (*affine_f64)(std::size_t n, double* x, const double* scale, const double* shift);
    // Probes: the mathematical functions of the kernels on whole arrays, for tests of their error.
    void (*probe_f32)(int function, const float* x, float* y, std::size_t n);
    void (*probe_f64)(int function, const double* x, double* y, std::size_t n);
};

// The table in use: the best that the CPU offers, or the one FASTINIT_ISA names.
// Throws std::invalid_argument when FASTINIT_ISA asks for the impossible.
const Kernels& kernels();
void set_kernels(const char* isa);
std::size_t available_kernels(const Kernels** out, std::size_t capacity);

}  // namespace fastinit
