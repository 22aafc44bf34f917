// SPDX-License-Identifier: BSD-3-Clause
//
// Smooth activations. phi and phi' keep a small relative error in both tails and near zero.
// Closed forms: Williams 1997 (erf), Tsuchida et al. 2021 (GELU), re-derived.
#pragma once

#include "ops/phi_common.h"

namespace fastinit {
namespace {

// x sigmoid(g) and its derivative when g' = slope.
inline void gated(double x, double g, double slope, double& f, double& d) {
    const double e = exp_down(g);
    const double big = 1.0 / (1.0 + e), small = e * big;
    const double s = g >= 0 ? big : small;
    f = x * s;
    d = s * (1.0 + x * slope * (g >= 0 ? small : big));
}

struct Gelu : Plain {
    Traits traits() const { return smooth(1.4, 12.0, 2.0, kRamp); }
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
    bool pair(double q, const Correlation& r, PairMoments* p) const {
        *p = gelu_pair(q, r);
        return true;
    }
};

struct GeluTanh : Plain {
    Traits traits() const { return smooth(1.5, 12.0, 2.7, kRamp); }
    void operator()(double x, double& f, double& d) const {
        constexpr double k = 2.0 * 0.797884560802865355880, b = 0.044715;
        const double z = x * x;
        gated(x, k * (x + b * x * z), k * (1.0 + 3.0 * b * z), f, d);
    }
};

struct Swish : Plain {
    double beta;
    explicit Swish(double b) : beta(b) {}
    Traits traits() const { return smooth(2.35 / beta, 45.0 / beta, kPi / beta, kRamp); }
    void operator()(double x, double& f, double& d) const { gated(x, beta * x, beta, f, d); }
};

struct Mish : Plain {
    Traits traits() const { return smooth(1.75, 45.0, 0.75 * kPi, kRamp); }
    void operator()(double x, double& f, double& d) const {
        // tanh(log(1 + e)) = n / (n + 2), n = e (e + 2)
        // beyond 20 the ratio is 1 to the last digit
        const double e = sp::exp_plain(std::max(std::min(x, 20.0), -708.0));
        const double n = e * (e + 2.0), g = 1.0 / (n + 2.0);
        const double t = n * g;
        f = x * t;
        d = t + (x > 20.0 ? 0.0 : x) * (4.0 * e * (e + 1.0)) * g * g;
    }
};

struct Softplus : Plain {
    Traits traits() const { return smooth(2.35, 45.0, kPi, kRamp); }
    void operator()(double x, double& f, double& d) const {
        const double e = exp_down(x);
        f = (x > 0 ? x : 0.0) + sp::log1p_unit(e);
        d = x >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
    }
};

struct LogSigmoid : Plain {
    Traits traits() const { return smooth(2.35, 45.0, kPi, {0.0, 1.0, -1.0, 0.0}); }
    void operator()(double x, double& f, double& d) const {
        Softplus{}(-x, f, d);
        f = -f;
    }
};

struct Tanh : Plain {
    Traits traits() const {
        return smooth(1.0, 22.0, 0.5 * kPi, {0.0, 0.0, 0.0, 1.0}, Parity::odd);
    }
    void operator()(double x, double& f, double& d) const {
        const sp::Pair e = sp::exp_and_minus_one(std::max(-2.0 * std::fabs(x), -708.0));
        const double r = 1.0 / (1.0 + e.hi), t = -e.lo * r;
        d = 4.0 * e.hi * r * r;
        f = x < 0 ? -t : t;
    }
};

struct Tanhshrink : Plain {
    Traits traits() const {
        return smooth(1.0, 22.0, 0.5 * kPi, {0.0, 1.0, 0.0, -1.0}, Parity::odd);
    }
    void operator()(double x, double& f, double& d) const {
        double t, slope;
        Tanh{}(x, t, slope);
        d = t * t;
        const double near = sp::minus_tanh_small(x), far = x - t;
        f = std::fabs(x) <= sp::kTanhTop ? near : far;
    }
};

struct Sigmoid : Plain {
    Traits traits() const { return smooth(2.35, 45.0, kPi, {0.5, 0.0, 0.0, 0.5}); }
    void operator()(double x, double& f, double& d) const {
        const double e = exp_down(x), r = 1.0 / (1.0 + e);
        f = x >= 0 ? r : e * r;
        d = e * r * r;
    }
};

struct Erf : Plain {
    Traits traits() const {
        return smooth(1.0, 8.0, 1.5, {0.0, 0.0, 0.0, 1.0}, Parity::odd);
    }
    void operator()(double x, double& f, double& d) const {
        f = sp::erf(x);
        d = std::fabs(x) < 27.5 ? 1.12837916709551257390 * sp::exp(-x * x) : 0.0;
    }
    bool second(double q, double* v) const {
        *v = 2.0 * kInvPi * sp::atan2(2.0 * q, std::sqrt(1.0 + 4.0 * q));
        return true;
    }
    bool pair(double q, const Correlation& r, PairMoments* p) const {
        *p = erf_pair(q, r);
        return true;
    }
};

struct Atan : Plain {
    Traits traits() const { return smooth(1.0, 1e300, 1.0, {}, Parity::odd); }
    void operator()(double x, double& f, double& d) const {
        f = sp::atan(x);
        d = 1.0 / (1.0 + x * x);
    }
};

struct Sin : Plain {
    double w;
    explicit Sin(double frequency) : w(frequency) {}
    Traits traits() const {
        Traits t;
        t.parity = Parity::odd;
        t.scale = w == 0.0 ? 0.0 : 1.0 / std::fabs(w);
        return t;
    }
    void operator()(double x, double& f, double& d) const {
        f = sp::sin(w * x);
        d = w * sp::cos(w * x);
    }
    bool moments(double q, double mean, Moments* m) const {
        const double v = w * w * q;
        if (v < 1.0) return false;  // quadrature is exact there and does not cancel
        const double a = w * mean, e = sp::exp(-2.0 * v), e4 = sp::exp(-8.0 * v);
        const double c2 = sp::cos(2.0 * a), c4 = sp::cos(4.0 * a), s2 = sp::sin(2.0 * a);
        const double first = sp::exp(-0.5 * v), w2 = w * w;
        m->phi = mean == 0.0 ? 0.0 : sp::sin(a) * first;
        m->phi2 = 0.5 - 0.5 * c2 * e;
        m->phi4 = 0.375 - 0.5 * c2 * e + 0.125 * c4 * e4;
        m->dphi = w * sp::cos(a) * first;
        m->dphi2 = w2 * (0.5 + 0.5 * c2 * e);
        m->dphi4 = w2 * w2 * (0.375 + 0.5 * c2 * e + 0.125 * c4 * e4);
        m->h_phi_dphi = w * e * (0.5 * mean * s2 + w * q * c2);
        return true;
    }
    bool second(double q, double* v) const {
        *v = -0.5 * sp::expm1(-2.0 * w * w * q);
        return true;
    }
    bool pair(double q, const Correlation& r, PairMoments* p) const {
        const double v = w * w * q;
        const double down = sp::exp(-v * r.below), up = sp::exp(-v * r.above);
        const double down1 = -sp::expm1(-v * r.below), up1 = -sp::expm1(-v * r.above);
        // e^-v sinh(v c) = (e^(-v (1-c)) - e^(-v (1+c))) / 2, by the smaller exponent
        const double s = sp::expm1(-2.0 * v * std::fabs(r.c));
        p->phi_phi = r.c >= 0 ? -0.5 * down * s : 0.5 * up * s;
        p->dphi_dphi = 0.5 * w * w * (down + up);
        p->below = 0.5 * (1.0 + up) * down1;
        p->above = 0.5 * (1.0 + down) * up1;
        return true;
    }
};

}  // namespace
}  // namespace fastinit
