// SPDX-License-Identifier: BSD-3-Clause
//
// Shared by special.cpp and special_erf.cpp: bits of a double, sums and products kept in two
// doubles, and the exponential with a tail. Polynomial coefficients here and there are Chebyshev
// interpolants computed at 60 digits by tests/data/make_special.py; the comment gives the
// function and its range. Must be compiled without contraction.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/constants.h"
#include "core/special.h"

namespace fastinit::special {
namespace {

// (exp(r) - 1 - r) / r^2 on |r| <= 0.35
constexpr double kExp[] = {
    0x1.0000000000000p-1,  0x1.5555555555557p-3,  0x1.5555555555556p-5,  0x1.111111110ff87p-7,
    0x1.6c16c16c16212p-10, 0x1.a01a01aca0134p-13, 0x1.a01a01a741b3cp-16, 0x1.71ddffef9e7b1p-19,
    0x1.27e4da1a3bf04p-22, 0x1.af52906239de4p-26, 0x1.1f75aba0b1e2ep-29,
};

// (log((1+s)/(1-s)) / s - 2) / z, z = s^2, s <= 0.175
constexpr double kLog[] = {
    0x1.5555555555555p-1, 0x1.9999999999a6bp-2, 0x1.249249246f466p-2, 0x1.c71c720e67a9fp-3,
    0x1.745cf3ad7fc88p-3, 0x1.3b1d51fbb7cbbp-3, 0x1.0fa16723c7577p-3, 0x1.0d2ec0d10504dp-3,
};

// (tanh(x) / x - 1) / z, |x| <= 0.5625
constexpr double kTanh[] = {
    -0x1.5555555555555p-2,  0x1.1111111111105p-3,  -0x1.ba1ba1ba19d45p-5,  0x1.664f4881eb934p-6,
    -0x1.226e352b4846cp-7,  0x1.d6d3c26268939p-9,  -0x1.7da215a753d3dp-10, 0x1.354429f927568p-11,
    -0x1.f3e2857cf61dcp-13, 0x1.8b6b8fdf5ab95p-14, -0x1.17922601f07fdp-15, 0x1.001abd1760259p-17,
};

constexpr double kTanhTop = 0.5625;

constexpr double kLn2Hi = 0x1.62e42fef00000p-1;  // 33 bits: k * kLn2Hi is exact
constexpr double kLn2Lo = 0x1.473de6af278edp-34;
constexpr double kLog2e = 0x1.71547652b82fep+0;
constexpr double kRound = 0x1.8p52;  // adding and taking away rounds to an integer

struct Pair {
    double hi, lo;
};

template <int N>
inline double horner(const double (&c)[N], double x) {
    double s = c[N - 1];
    for (int i = N - 2; i >= 0; --i) s = s * x + c[i];
    return s;
}

inline std::uint64_t bits(double x) {
    std::uint64_t b;
    std::memcpy(&b, &x, 8);
    return b;
}

inline double from_bits(std::uint64_t b) {
    double x;
    std::memcpy(&x, &b, 8);
    return x;
}

// 2^k for -1022 <= k <= 1023.
inline double power2(int k) { return from_bits(static_cast<std::uint64_t>(k + 1023) << 52); }

// x 2^k for -2000 < k < 2000 with one rounding when x is near 1.
inline double scale(double x, int k) {
    if (k > 1023) return x * power2(1023) * power2(k - 1023);
    if (k < -1021) return x * power2(k + 100) * power2(-100);
    return x * power2(k);
}

inline Pair two_sum(double a, double b) {
    const double s = a + b, t = s - a;
    return {s, (a - (s - t)) + (b - t)};
}

inline double high_half(double x) { return from_bits(bits(x) & ~0x7ffffffULL); }

// a b as an unevaluated sum (Dekker); |a|, |b| < 2^500.
inline Pair two_product(double a, double b) {
    const double p = a * b;
    const double ah = high_half(a), al = a - ah, bh = high_half(b), bl = b - bh;
    return {p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}

// exp(x + tail) for |x| <= 745, |tail| < 1e-10: r = x - k ln 2 to 2^-60.
inline double exp_core(double x, double tail) {
    const double kd = (x * kLog2e + kRound) - kRound;
    const double hi = x - kd * kLn2Hi;
    const double lo = tail - kd * kLn2Lo;
    const double r = hi + lo;
    const double q = lo + r * r * horner(kExp, r);
    // 1 + hi is kept exact and the small parts are added last
    const double s = 1.0 + hi, e = (1.0 - s) + hi;
    return scale(s + (e + q), static_cast<int>(kd));
}

// exp(x) and exp(x) - 1 for |x| <= 708 without a branch, for loops over many points: 1 ulp each
// (2 ulp the second).
inline Pair exp_and_minus_one(double x) {
    const double t = x * kLog2e + kRound, kd = t - kRound;
    const double hi = x - kd * kLn2Hi, lo = -kd * kLn2Lo;
    const double r = hi + lo;
    const double small = lo + r * r * horner(kExp, r);  // exp(r) - 1 = hi + small
    // the low bits of t are the integer k
    const double p = from_bits((bits(t) << 52) + bits(1.0));
    const Pair s = two_sum(p - 1.0, p * hi);
    const double one = 1.0 + hi;
    return {p * (one + (((1.0 - one) + hi) + small)), s.hi + (s.lo + p * small)};
}

// log(1 + x) for 0 <= x <= 1 without a branch; 2 ulp.
inline double log1p_unit(double x) {
    // above 0.41 as log 2 + log of half of it, which is within [0.7, 1]
    const bool large = x > 0.41;
    const double f = large ? 0.5 * (x - 1.0) : x, k = large ? 1.0 : 0.0;
    const double s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
    const double c = s * (half + z * horner(kLog, z));
    return k * kLn2Hi - ((half - (c + k * kLn2Lo)) - f);
}

// x - tanh(x) for |x| <= kTanhTop.
inline double minus_tanh_small(double x) { return -x * (x * x) * horner(kTanh, x * x); }

inline double exp_plain(double x) { return exp_and_minus_one(x).hi; }

}  // namespace
}  // namespace fastinit::special
