// SPDX-License-Identifier: BSD-3-Clause
// Branch-free log, sine and cosine, and inverse normal CDF. Polynomials are
// interpolants at Chebyshev nodes; tests/test_kernel_math.py bounds the errors named
// here. No function handles NaN: callers never make one.
#pragma once
#include "kernels/vec.h"

namespace {

template <int N>
FI_INLINE F32 horner(F32 x, const float (&c)[N]) {
    F32 y = f32(c[N - 1]);
#pragma GCC unroll 16
    for (int i = N - 2; i >= 0; --i) y = fma(y, x, f32(c[i]));
    return y;
}
template <int N>
FI_INLINE F64 horner(F64 x, const double (&c)[N]) {
    F64 y = f64(c[N - 1]);
#pragma GCC unroll 16
    for (int i = N - 2; i >= 0; --i) y = fma(y, x, f64(c[i]));
    return y;
}

// ---- logarithm -----------------------------------------------------------

// -scale * (k ln 2 + log1p(f)), f in [sqrt(1/2)-1, sqrt(2)-1], k an integer.
// 1 ulp (relative, near f = 0 too when k = 0).
FI_INLINE F32 neg_log_reduced(F32 k, F32 f, float scale) {
    constexpr float q[] = {-4.999999702e-01f, 3.333333135e-01f, -2.500078082e-01f,
                           2.000123411e-01f,  -1.662664562e-01f, 1.420485526e-01f,
                           -1.312755495e-01f, 1.272267252e-01f, -7.673641294e-02f};
    const F32 log1p = fma(f * f, horner(f, q), f);
    return fma(k, f32(-0.693147180559945309f * scale), log1p * -scale);
}
FI_INLINE F64 neg_log_reduced(F64 k, F64 f, double scale) {
    // log1p(f) = f - s (f - R), s = f/(2+f), R = s^2 P(s^2) (as in fdlibm).
    constexpr double r[] = {6.66666666666666630e-01, 4.00000000000008793e-01, 2.85714285708036142e-01,
                            2.22222223917139167e-01, 1.81817956401329001e-01, 1.53862397028148884e-01,
                            1.32687731386516766e-01, 1.30866261478873119e-01};
    constexpr double ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;
    const F64 s = f / (f + 2.0), z = s * s, half = f * f * 0.5;
    const F64 tail = fma(s, fma(z, horner(z, r), half), k * ln2_lo);
    return (fma(k, f64(ln2_hi), f - (half - tail))) * -scale;
}

// x = 2^k (1 + f) for positive normal x, f in the range of neg_log_reduced.
FI_INLINE void reduce(F32 x, F32& k, F32& f) {
    const U32 bits = (U32)x, above = bits - 0x3f3504f3u;  // sqrt(1/2): 1 + f begins there
    k = to_f32((I32)above >> 23);
    f = (F32)(bits - (above & 0xff800000u)) - 1.0f;
}
// Splits x = 2^e m, m in [1/2, 1), for positive normal x; then brings f = m - 1
// into the range of neg_log_reduced.
FI_INLINE void center(F64& k, F64& f) {
    const I64 small = f < -0.29289321881345254;
    f = select(small, fma(f, f64(2.0), f64(1.0)), f);
    k = select(small, k - 1.0, k);
}
FI_INLINE void split(F64 x, F64& k, F64& f) {
    const U64 bits = (U64)x;
    k = low_half(bits >> 52) - 1022.0;
    f = (F64)((bits & 0x000fffffffffffffu) | 0x3fe0000000000000u) - 1.0;
}
FI_INLINE void reduce(F64 x, F64& k, F64& f) {
    split(x, k, f);
    center(k, f);
}

// -log(x) for positive normal x; 1 ulp.
template <class V>
FI_INLINE V neg_log(V x) {
    V k, f;
    reduce(x, k, f);
    return neg_log_reduced(k, f, 1);
}

// -log1p(x) for x in (-1, 0]: keeps its relative accuracy towards 0.
FI_INLINE F64 neg_log1p(F64 x) {
    F64 k, f;
    split(x + 1.0, k, f);
    center(k, f);
    const I64 near = x > -0.29;
    return neg_log_reduced(select(near, f64(0.0), k), select(near, x, f), 1.0);
}

// -2 log((w + 1/2) / 2^32) for a 32-bit word. Words in the upper half are read as
// negative numbers: u - 1 comes without cancellation, so small radii keep 24 bits.
// Range [2^-32, 45.8]: never zero, never infinite.
FI_INLINE F32 twice_neg_log_of_word(U32 w) {
    const F32 x = to_f32((I32)w) + 0.5f;
    const I32 upper = (I32)w < 0;
    F32 k, f;
    reduce(x, k, f);
    const F32 below_one = x * 0x1p-32f;  // u - 1
    const I32 small = below_one < -0.292893219f;
    f = select(upper, select(small, fma(below_one, f32(2.0f), f32(1.0f)), below_one), f);
    k = select(upper, select(small, f32(-1.0f), f32(0.0f)), k - 32.0f);
    return neg_log_reduced(k, f, 2.0f);
}
FI_INLINE F64 twice_neg_log_of_word(U64 w) {
    const F64 x = to_f64((I64)w) + 0.5;
    const I64 upper = (I64)w < 0;
    F64 k, f;
    split(x, k, f);
    f = select(upper, x * 0x1p-64, f);
    k = select(upper, f64(0.0), k - 64.0);
    center(k, f);
    return neg_log_reduced(k, f, 2.0);
}

// ---- sine and cosine ----------------------------------------------------------

// Both of 2 pi w / 2^32 (or 2^64), the word read as a fraction of a turn: the
// reduction to an eighth is exact. 2 ulp each.
FI_INLINE void sincos_of_word(U32 w, F32& sin, F32& cos) {
    constexpr float s[] = {7.853981853e-01f, -8.074543625e-02f, 2.490006853e-03f, -3.595429007e-05f};
    constexpr float c[] = {-3.084251285e-01f, 1.585433818e-02f, -3.259613877e-04f, 3.541952765e-06f};
    const F32 x = to_f32((I32)(w << 2)) * 0x1p-31f, z = x * x;
    const F32 a = x * horner(z, s), b = fma(z, horner(z, c), f32(1.0f));
    const U32 octant = w + 0x20000000u;
    const I32 odd = (I32)(octant << 1) < 0;
    sin = (F32)((U32)select(odd, b, a) ^ (octant & 0x80000000u));
    cos = (F32)((U32)select(odd, a, b) ^ ((octant + 0x40000000u) & 0x80000000u));
}
FI_INLINE void sincos_of_word(U64 w, F64& sin, F64& cos) {
    constexpr double s[] = {7.85398163397448279e-01, -8.07455121882807852e-02, 2.49039457019271633e-03,
                            -3.65762041821470846e-05, 3.13361688919281817e-07, -1.75724742048088764e-09,
                            6.94815411436722814e-12, -2.02259061858901132e-14};
    constexpr double c[] = {-3.08425137534042437e-01, 1.58543442438155019e-02, -3.25991886927389852e-04,
                            3.59086044859019296e-06, -2.46113694997666406e-08, 1.15011580235135039e-10,
                            -3.89794256402863554e-13, 9.93838917174196098e-16};
    const F64 x = to_f64((I64)(w << 2)) * 0x1p-63, z = x * x;
    const F64 a = x * horner(z, s), b = fma(z, horner(z, c), f64(1.0));
    const U64 octant = w + 0x2000000000000000u;
    const I64 odd = (I64)(octant << 1) < 0;
    sin = (F64)((U64)select(odd, b, a) ^ (octant & 0x8000000000000000u));
    cos = (F64)((U64)select(odd, a, b) ^ ((octant + 0x4000000000000000u) & 0x8000000000000000u));
}

// ---- inverse normal CDF -------------------------------------------------------

// z with P(Z < z) = p, given p, q = 1 - p and c = p - 1/2, each to its own
// relative accuracy; for min(p, q) >= 2.3e-4 (|z| <= 3.5). 4.2 ulp.
FI_INLINE F32 normal_quantile(F32 c, F32 p, F32 q) {
    constexpr float k[] = {2.464733601e+00f,  3.328469098e-01f, -9.499391541e-03f, -6.804008153e-04f,
                           2.242812188e-04f,  -2.245749965e-05f, -5.587598366e-07f, 4.790557000e-07f,
                           -4.894512529e-08f, -3.457149678e-09f, 8.256154094e-10f};
    const F32 w = neg_log(p * q * 4.0f);
    return (c + c) * horner(w - 3.5f, k);
}

// The same for min(p, q) >= 1e-308, by the rational functions of Wichura's AS 241
// (1988). 1e-15 relative.
FI_INLINE F64 normal_quantile(F64 c, F64 p, F64 q) {
    constexpr double a[] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                            1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                            3.3430575583588128105e4, 2.5090809287301226727e3};
    constexpr double b[] = {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
                            2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
                            5.2264952788528545610e3};
    constexpr double n1[] = {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
                             3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
                             2.27238449892691845833e-2, 7.74545014278341407640e-4};
    constexpr double d1[] = {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
                             1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
                             1.05075007164441684324e-9};
    constexpr double n2[] = {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
                             2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                             2.71155556874348757815e-5, 2.01033439929228813265e-7};
    constexpr double d2[] = {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
                             7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
                             2.04426310338993978564e-15};
    const F64 r0 = 0.180625 - c * c;
    const F64 middle = c * (horner(r0, a) / horner(r0, b));
    const F64 r = sqrt(neg_log(min(p, q)));
    const F64 r1 = r - 1.6, r2 = r - 5.0;
    const F64 tail = select(r <= 5.0, horner(r1, n1) / horner(r1, d1), horner(r2, n2) / horner(r2, d2));
    const F64 outer = select(p < q, -tail, tail);
    return select((I64)((U64)c & 0x7fffffffffffffffu) <= (I64)f64(0.425), middle, outer);
}

// Mills' ratio P(Z > x) / density(x) for x >= 4 by its continued fraction
// (Laplace); 24 levels give 1e-16 at x = 4.
FI_INLINE F64 mills(F64 x) {
    F64 t = x;
    for (int n = 24; n >= 1; --n) t = x + static_cast<double>(n) / t;
    return 1.0 / t;
}

// d >= 0 with P(Z > edge + d) / P(Z > edge) = exp(-y), edge >= 4, y >= 0, by Newton on the
// logarithm, which converges quadratically from the Gaussian's own exponent. The excess d
// keeps its digits where it is far smaller than the edge.
FI_INLINE F64 far_excess(F64 edge, F64 y) {
    const F64 at_edge = mills(edge);
    F64 d = 2.0 * y / edge / (1.0 + sqrt(1.0 + 2.0 * y / edge / edge));
    for (int i = 0; i < 4; ++i) {
        const F64 m = mills(edge + d);
        d = max(d - (d * (edge + 0.5 * d) + neg_log(m / at_edge) - y) * m, f64(0.0));
    }
    return d;
}

}  // namespace
