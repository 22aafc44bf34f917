// SPDX-License-Identifier: BSD-3-Clause
//
// Activations whose Gaussian expectations have closed forms for one and for two
// variables, and the helpers they share.  Included by activations.cpp alone.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/special.h"
#include "ops/activations.h"
#include "ops/quadrature.h"

namespace fastinit {
namespace {

namespace sp = special;

constexpr double kPi = 3.14159265358979323846;
constexpr double kInvPi = 0.318309886183790671538;
constexpr double kInvSqrt2Pi = 0.398942280401432677940;
constexpr double kRootHalf = 0.707106781186547524401;
constexpr double kSeluLambda = 1.05070098735548049342;
constexpr double kSeluAlpha = 1.67326324235437728482;

inline double sigmoid(double x) {
    const double e = sp::exp(-std::fabs(x));
    return x >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

// x sigmoid(g) and its derivative when g' = slope.
inline void gated(double x, double g, double slope, double& f, double& d) {
    const double e = sp::exp(-std::fabs(g));
    const double big = 1.0 / (1.0 + e), small = e * big;
    const double s = g >= 0 ? big : small;
    f = x * s;
    d = s * (1.0 + x * slope * (g >= 0 ? small : big));
}

// x - sin x without cancellation.
double minus_sin(double x) {
    if (std::fabs(x) > 0.5) return x - sp::sin(x);
    const double z = x * x;
    double term = x * z / 6.0, sum = 0.0;
    for (int k = 4; k <= 18; k += 2) {
        sum += term;
        term *= -z / (k * (k + 1));
    }
    return sum;
}

// Angle of a correlation, exact at both ends.
inline double angle(const Correlation& r) {
    return 2.0 * sp::atan2(std::sqrt(r.below), std::sqrt(r.above));
}

// sin a - a cos a
inline double sin_minus(double a) {
    const double h = sp::sin(0.5 * a);
    return 2.0 * a * h * h - minus_sin(a);
}

Traits smooth(double scale, double tail, Parity parity = Parity::none) {
    Traits t;
    t.parity = parity;
    t.scale = scale;
    t.tail = tail;
    return t;
}

struct Plain {  // no closed form
    static bool moments(double, double, Moments*) { return false; }
    static bool first(double, double*) { return false; }
    static bool second(double, double*) { return false; }
    static bool pair(double, const Correlation&, PairMoments*) { return false; }
};

// x for x > 0, a x below: linear, relu, leaky_relu, abs.
struct Leaky : Plain {
    double a;
    explicit Leaky(double slope) : a(slope) {}
    Traits traits() const {
        Traits t;
        if (a == 1.0) t.parity = Parity::odd;
        if (a == -1.0) t.parity = Parity::even;
        if (a != 1.0) t.kinks = {0.0};
        t.scale = 0.0;
        return t;
    }
    void operator()(double x, double& f, double& d) const {
        d = x > 0 ? 1.0 : a;
        f = x * d;
        if (a == 0.0 && !(x > 0)) f = 0.0;
    }
    bool moments(double q, double mean, Moments* m) const {
        if (mean != 0.0) return false;
        const double a2 = a * a, half2 = 0.5 + 0.5 * a2, half4 = 0.5 + 0.5 * a2 * a2;
        *m = {(1.0 - a) * kInvSqrt2Pi * std::sqrt(q), q * half2, 3.0 * q * q * half4,
                    0.5 + 0.5 * a, half2, half4, q * half2};
        return true;
    }
    bool second(double q, double* v) const {
        *v = q * (0.5 + 0.5 * a * a);
        return true;
    }
    bool pair(double q, const Correlation& r, PairMoments* p) const {
        // E = q [ (1-a)^2 (sin t + (pi - t) cos t) / 2 pi + a c ], c = cos t
        const double t = angle(r), opposite = 2.0 * sp::atan2(std::sqrt(r.above), std::sqrt(r.below));
        const double b = (1.0 - a) * (1.0 - a), n = 0.5 + 0.5 * a * a;
        const double relu = sin_minus(opposite) * (0.5 * kInvPi);  // of pi - t: the same sum
        p->phi_phi = q * (b * relu + a * r.c);
        p->dphi_dphi = b * opposite * (0.5 * kInvPi) + a;
        p->below = q * (n * r.below - b * sin_minus(t) * (0.5 * kInvPi));
        p->above = q * (b * relu + 0.5 * b + a * r.above);
        return true;
    }
};

struct SquaredRelu : Plain {
    Traits traits() const {
        Traits t;
        t.kinks = {0.0};
        t.scale = 0.0;
        return t;
    }
    void operator()(double x, double& f, double& d) const {
        const double y = x > 0 ? x : 0.0;
        f = y * y;
        d = 2.0 * y;
    }
    bool moments(double q, double mean, Moments* m) const {
        if (mean != 0.0) return false;
        const double q2 = q * q;
        *m = {0.5 * q, 1.5 * q2, 52.5 * q2 * q2, 2.0 * kInvSqrt2Pi * std::sqrt(q), 2.0 * q,
                    24.0 * q2, 3.0 * q2};
        return true;
    }
    bool second(double q, double* v) const {
        *v = 1.5 * q * q;
        return true;
    }
    bool pair(double q, const Correlation& r, PairMoments* p) const {
        // 2 pi E / q^2 = 3 sin t cos t + (pi - t)(1 + 2 cos^2 t); with o = pi - t this is
        // 2 o cos^2 - 3 sin cos + o in o, and cos^2 = 1 - sin^2
        const double t = angle(r), o = 2.0 * sp::atan2(std::sqrt(r.above), std::sqrt(r.below));
        const double sin2 = r.below * r.above;
        const double scale = q * q * (0.5 * kInvPi);
        // 3 (o - sin o cos o) - 2 o sin^2 o is O(o^5): its own series below 0.3
        p->phi_phi = scale * fifth(o, sin2);
        p->dphi_dphi = 4.0 * q * sin_minus(o) * (0.5 * kInvPi);
        p->below = scale * (2.0 * kPi * sin2 + fifth(t, sin2));
        p->above = 1.5 * q * q + p->phi_phi;
        if (r.c < 0) p->below = 1.5 * q * q - p->phi_phi;
        return true;
    }
    // 3 (o - sin o cos o) - 2 o sin^2 o = 2 o - 1.5 sin 2o + o cos 2o
    static double fifth(double o, double sin2) {
        if (o > 0.3) return 1.5 * minus_sin(2.0 * o) - 2.0 * o * sin2;
        // sum (-1)^k (2o)^(2k+1) (k - 1) / (2k+1)!, from k = 2
        const double x = 2.0 * o, z = x * x;
        double term = x * z * z / 120.0, sum = 0.0;
        for (int k = 2; k <= 9; ++k) {
            sum += (k - 1) * term;
            term *= -z / ((2 * k + 2) * (2 * k + 3));
        }
        return sum;
    }
};

// weight (x for x > 0, a (exp(x / s) - 1) below): elu (s = 1), celu (a = s), selu.
struct Elu : Plain {
    double weight, a, s;
    Elu(double w, double a_, double s_) : weight(w), a(a_), s(s_) {}
    Traits traits() const {
        Traits t;
        t.kinks = {0.0};
        t.scale = 4.0 * s;  // entire on each side
        t.tail = 45.0 * s;
        return t;
    }
    void operator()(double x, double& f, double& d) const {
        if (x > 0) {
            f = weight * x;
            d = weight;
            return;
        }
        const double y = x / s, e = sp::expm1(y);
        f = weight * (a * e);
        d = weight * (a / s) * (y > -1.0 ? 1.0 + e : sp::exp(y));
    }
    // weight [ (1 - a/s) sqrt(q / 2 pi) + a E(exp(y) - 1 - y; y < 0) ], y = h / s: no cancellation
    bool first(double q, double* v) const {
        const double x = std::sqrt(0.5 * q) / s;
        double rest = 0.0;  // (erfcx(x) - 1 + 2 x / sqrt(pi)) / 2
        if (x > 0.7) {
            rest = 0.5 * (sp::erfcx(x) - 1.0 + 1.12837916709551257390 * x);
        } else {  // sum of (-x)^n / Gamma(n / 2 + 1) from n = 2
            double even = 0.5 * x * x, odd = -0.5 * x * x * x * 0.752252778063675049264;
            for (int n = 2; n < 40; n += 2) {
                rest += even + odd;
                even *= x * x / (0.5 * n + 1.0);
                odd *= x * x / (0.5 * n + 1.5);
            }
        }
        *v = weight * ((1.0 - a / s) * kInvSqrt2Pi * std::sqrt(q) + a * rest);
        return true;
    }
    bool second(double q, double* v) const {
        const double p = q / (s * s);
        if (p < 1.0) return false;  // 1/2 - erfcx + ... cancels
        const double tail =
                0.5 * sp::erfcx(std::sqrt(2.0 * p)) - sp::erfcx(std::sqrt(0.5 * p)) + 0.5;
        *v = weight * weight * (0.5 * q + a * a * tail);
        return true;
    }
};

struct Gelu : Plain {
    Traits traits() const { return smooth(1.4, 12.0); }
    void operator()(double x, double& f, double& d) const {
        const double cdf = 0.5 * sp::erfc(-x * kRootHalf);
        f = x * cdf;
        d = cdf + x * sp::normal_pdf(x);
    }
    bool first(double q, double* v) const {
        *v = q * kInvSqrt2Pi / std::sqrt(1.0 + q);
        return true;
    }
    bool second(double q, double* v) const {
        const double r = std::sqrt(1.0 + 2.0 * q);
        *v = q * (0.25 + (q / ((1.0 + q) * r) + 0.5 * sp::atan2(q, r)) * kInvPi);
        return true;
    }
    // E[phi'(u) phi'(v)] at c = 1 - below
    static double slope(double q, double below) {
        const double k = q * (1.0 - below), g = 1.0 + q;
        // d^2 = (1+q)^2 - k^2 = (1 + q below)(1 + 2q - q below)
        const double d2 = (1.0 + q * below) * (1.0 + 2.0 * q - q * below), d = std::sqrt(d2);
        const double tail = k / d * (1.0 / d2 + (1.0 - q) / g + 1.0);
        return 0.25 + (sp::atan2(k, d) + tail) * (0.5 * kInvPi);
    }
    // E[phi^2] - E[phi phi] = q times the integral of slope from c to 1 (Price's theorem);
    // slope is singular at 1 - c = -1/q, so the panels grow from there
    static double gap(double q, double below) {
        const GaussRule& rule = gauss_rule2();
        double sum = 0.0, left = 0.0;
        while (left < below) {
            const double right = std::min(below, 2.0 * left + 1.0 / q);
            const double half = 0.5 * (right - left);
            for (int i = 0; i < rule.n; ++i)
                sum += half * rule.w[i] * slope(q, left + half * (1.0 + rule.x[i]));
            left = right;
        }
        return q * sum;
    }
    bool pair(double q, const Correlation& r, PairMoments* p) const {
        if (r.c < 0 && q > 4.0) return false;  // the terms of phi_phi cancel
        const double k = q * r.c, g = 1.0 + q;
        const double d2 = (1.0 + q * r.below) * (1.0 + q * r.above), d = std::sqrt(d2);
        // (k^2 + q^2 d^2) / (2 pi g^2 d) + k atan2(k, d) / 2 pi + k / 4
        const double first = (k / g) * (k / g) / d + (q / g) * (q / g) * d;
        double total;
        second(q, &total);
        p->phi_phi = (first + k * sp::atan2(k, d)) * (0.5 * kInvPi) + 0.25 * k;
        p->dphi_dphi = slope(q, r.below);
        p->below = r.below < 0.1 ? gap(q, r.below) : total - p->phi_phi;
        p->above = total + p->phi_phi;
        return true;
    }
};

}  // namespace
}  // namespace fastinit
