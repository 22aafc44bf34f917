// SPDX-License-Identifier: BSD-3-Clause
// One struct per law: turns the four words of a counter into four samples, in the
// vectors of float32 (32-bit words) or of float64 (64-bit words).
#pragma once
#include "core/kernels.h"
#include "kernels/math.h"

namespace {

using fastinit::LawParams;

// Parameters broadcast once per call, rounded once to the computing type.
template <class V, class S>
struct Affine {
    V scale, shift, low, high;
    explicit Affine(const LawParams& p)
        : scale(static_cast<S>(p.scale) - V{}), shift(static_cast<S>(p.shift) - V{}),
          low(static_cast<S>(p.low) - V{}), high(static_cast<S>(p.high) - V{}) {}
    __attribute__((always_inline)) V apply(V x) const { return fma(x, scale, shift); }
    __attribute__((always_inline)) V clamp(V x) const { return max(min(apply(x), high), low); }
};

// Rounding can reach the excluded bound only from the largest u, and the step between
// neighbours underflows only in the shortest intervals; where neither happens, two
// operations are left out.
template <class V, class S, class W>
struct Uniform {
    V scale, step, shift, high;
    bool careful;
    explicit Uniform(const LawParams& p)
        : scale(static_cast<S>(p.scale) - V{}), step(scale * kUnit), shift(static_cast<S>(p.shift) - V{}),
          high(static_cast<S>(p.high) - V{}) {
        careful = step[0] * S(1 / kUnit) != scale[0] || fma(unit(~W{}), step, shift)[0] > high[0];
    }
    static constexpr S kUnit = sizeof(S) == 4 ? S(kTop24) : S(0x1p-53);
    __attribute__((always_inline)) void operator()(const W w[4], V x[4]) const {
        for (int k = 0; k < 4; ++k) {
            const V u = unit(w[k]);
            x[k] = careful ? min(fma(u * kUnit, scale, shift), high) : fma(u, step, shift);
        }
    }
    FI_INLINE F32 unit(U32 w) { return top_24_bits(w); }
    FI_INLINE F64 unit(U64 w) { return to_f64(w >> 11); }
};

// Box & Muller 1958: the radius from word w, the angle from word w + 2.
template <class V, class S, class W>
struct Normal {
    Affine<V, S> affine;
    explicit Normal(const LawParams& p) : affine(p) {}
    FI_INLINE void pair(const Affine<V, S>& a, W radius, W angle, V& x, V& y) {
        const V r = sqrt(twice_neg_log_of_word(radius));
        V sin, cos;
        sincos_of_word(angle, sin, cos);
        x = a.apply(r * cos);
        y = a.apply(r * sin);
    }
    __attribute__((always_inline)) void operator()(const W w[4], V x[4]) const {
        pair(affine, w[0], w[2], x[0], x[2]);
        pair(affine, w[1], w[3], x[1], x[3]);
    }
};

// Inverse CDF. The mass below and above comes from the word and from its complement,
// each without cancellation, so both tails have the same resolution.
template <class V, class S, class W>
struct Truncated {
    Affine<V, S> affine;
    V mass, below, above, middle;
    explicit Truncated(const LawParams& p)
        : affine(p), mass(static_cast<S>(p.mass * kStep) - V{}), below(static_cast<S>(p.below) - V{}),
          above(static_cast<S>(p.above) - V{}), middle(static_cast<S>(p.middle) - V{}) {}
    static constexpr double kStep = sizeof(S) == 4 ? 0x1p-32 : 0x1p-64;
    FI_INLINE void numbers(U32 w, F32& up, F32& down) { both_to_f32(w, up, down); }
    FI_INLINE void numbers(U64 w, F64& up, F64& down) {
        up = to_f64(w);
        down = to_f64(~w);
    }
    FI_INLINE F32 centered(U32 w) { return to_f32((I32)(w ^ 0x80000000u)) + 0.5f; }
    FI_INLINE F64 centered(U64 w) { return to_f64((I64)(w ^ 0x8000000000000000u)) + 0.5; }
    __attribute__((always_inline)) void operator()(const W w[4], V x[4]) const {
        for (int k = 0; k < 4; ++k) {
            V up, down;
            numbers(w[k], up, down);
            const V p = fma(up + S(0.5), mass, below), q = fma(down + S(0.5), mass, above);
            const V c = fma(centered(w[k]), mass, middle);
            x[k] = affine.clamp(normal_quantile(c, p, q));
        }
    }
};

// Distances from the bound nearest to the mean, so that none of their digits are lost in the
// mean's. In the tail P(Z > x) falls from 1 to `ratio` in units of P(Z > edge); a level
// window is uniform.
struct TruncatedEdge {
    Affine<F64, double> affine;
    F64 edge, fall;
    bool mirrored, level;
    explicit TruncatedEdge(const LawParams& p)
        : affine(p), edge(f64(p.edge)), fall(f64((p.ratio - 1.0) * 0x1p-64)), mirrored(p.scale < 0),
          level(p.edge == 0) {}
    __attribute__((always_inline)) void operator()(const U64 w[4], F64 x[4]) const {
        for (int k = 0; k < 4; ++k) {
            const F64 n = to_f64(mirrored ? ~w[k] : w[k]) + 0.5;
            x[k] = affine.clamp(level ? n * 0x1p-64 : far_excess(edge, neg_log1p(n * fall)));
        }
    }
};

}  // namespace
