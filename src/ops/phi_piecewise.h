// SPDX-License-Identifier: BSD-3-Clause
//
// Activations with kinks. phi and phi' keep a small relative error in both tails and near
// zero. Closed forms: Cho & Saul 2009 (arc-cosine kernels), Klambauer et al. 2017 (SELU).
#pragma once

#include "ops/elu_pairs.h"
#include "ops/phi_common.h"

namespace fastinit {
namespace {

// Angle of a correlation, exact at both ends.
inline double angle(const Correlation& r) {
    return 2.0 * sp::atan2(std::sqrt(r.below), std::sqrt(r.above));
}

// sin a - a cos a
inline double sin_minus(double a) {
    const double h = sp::sin(0.5 * a);
    return 2.0 * a * h * h - sp::minus_sin(a);
}

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
        *m = {(1.0 - a) * kInvSqrt2Pi * std::sqrt(q),
              q * half2,
              3.0 * q * q * half4,
              0.5 + 0.5 * a,
              half2,
              half4,
              q * half2};
        return true;
    }
    bool second(double q, double* v) const {
        *v = q * (0.5 + 0.5 * a * a);
        return true;
    }
    bool pair(double q, const Correlation& r, PairMoments* p) const {
        // E = q [ (1-a)^2 (sin t + (pi - t) cos t) / 2 pi + a c ], c = cos t
        const double t = angle(r),
                     opposite = 2.0 * sp::atan2(std::sqrt(r.above), std::sqrt(r.below));
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
        *m = {0.5 * q, 1.5 * q2,  52.5 * q2 * q2, 2.0 * kInvSqrt2Pi * std::sqrt(q),
              2.0 * q, 24.0 * q2, 3.0 * q2};
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
        if (o > 0.3) return 1.5 * sp::minus_sin(2.0 * o) - 2.0 * o * sin2;
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
        t.scale = 5.0 * s;  // entire, and a line above zero
        t.linear_above = true;
        t.tail = 45.0 * s;
        return t;
    }
    void operator()(double x, double& f, double& d) const {
        const sp::Pair e = sp::exp_and_minus_one(std::max(std::min(x, 0.0) / s, -708.0));
        f = weight * (x > 0 ? x : a * e.lo);
        d = x > 0 ? weight : weight * (a / s) * e.hi;
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
        *v = weight * weight * s * s * elu_second(q / (s * s), a / s);
        return true;
    }
    bool pair(double q, const Correlation& r, PairMoments* p) const {
        const double opposite = 2.0 * sp::atan2(std::sqrt(r.above), std::sqrt(r.below));
        Leaky{0.0}.pair(q / (s * s), r, p);
        add_exponential(q / (s * s), a / s, r, angle(r), opposite, p);
        const double w2 = weight * weight, scale = w2 * s * s;
        *p = {scale * p->phi_phi, w2 * p->dphi_dphi, scale * p->below, scale * p->above};
        return true;
    }
};

struct Hardtanh : Plain {
    Traits traits() const {
        Traits t;
        t.parity = Parity::odd;
        t.kinks = {-1.0, 1.0};
        t.scale = 0.0;
        return t;
    }
    void operator()(double x, double& f, double& d) const {
        d = x > -1.0 && x < 1.0 ? 1.0 : 0.0;
        f = x > 1.0 ? 1.0 : (x < -1.0 ? -1.0 : x);
    }
};

struct Relu6 : Plain {
    Traits traits() const {
        Traits t;
        t.kinks = {0.0, 6.0};
        t.scale = 0.0;
        return t;
    }
    void operator()(double x, double& f, double& d) const {
        d = x > 0.0 && x < 6.0 ? 1.0 : 0.0;
        f = x > 6.0 ? 6.0 : (x > 0.0 ? x : 0.0);
    }
};

struct HardSigmoid : Plain {
    Traits traits() const {
        Traits t;
        t.kinks = {-3.0, 3.0};
        t.scale = 0.0;
        return t;
    }
    void operator()(double x, double& f, double& d) const {
        d = x > -3.0 && x < 3.0 ? 1.0 / 6.0 : 0.0;
        f = x >= 3.0 ? 1.0 : (x > -3.0 ? (x + 3.0) / 6.0 : 0.0);
    }
};

struct Hardswish : Plain {
    Traits traits() const {
        Traits t;
        t.kinks = {-3.0, 3.0};
        t.scale = 0.0;
        return t;
    }
    void operator()(double x, double& f, double& d) const {
        if (x >= 3.0) {
            f = x;
            d = 1.0;
        } else if (x > -3.0) {
            f = x * (x + 3.0) / 6.0;
            d = (2.0 * x + 3.0) / 6.0;
        } else {
            f = d = 0.0;
        }
    }
};

struct Softsign : Plain {
    Traits traits() const {
        Traits t;
        t.parity = Parity::odd;
        t.kinks = {0.0};
        return t;
    }
    void operator()(double x, double& f, double& d) const {
        const double r = 1.0 / (1.0 + std::fabs(x));
        f = x * r;
        d = r * r;
    }
};

}  // namespace
}  // namespace fastinit
