// SPDX-License-Identifier: BSD-3-Clause
//
// phi and phi' are written so that their relative error stays a few units in the
// last place in both tails and near zero.  Closed forms: Cho & Saul 2009 (arc-cosine
// kernels), Williams 1997 (erf), Klambauer et al. 2017 (SELU), Tsuchida et al. 2021
// (GELU), re-derived; tests/test_moments.py holds each against quadrature.
#include "ops/activations.h"

#include <algorithm>
#include <cmath>

#include "core/special.h"
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

struct GeluTanh : Plain {
    Traits traits() const { return smooth(1.5, 12.0); }
    void operator()(double x, double& f, double& d) const {
        constexpr double k = 2.0 * 0.797884560802865355880, b = 0.044715;
        const double z = x * x;
        gated(x, k * (x + b * x * z), k * (1.0 + 3.0 * b * z), f, d);
    }
};

struct Swish : Plain {
    double beta;
    explicit Swish(double b) : beta(b) {}
    Traits traits() const { return smooth(2.35 / beta, 45.0 / beta); }
    void operator()(double x, double& f, double& d) const { gated(x, beta * x, beta, f, d); }
};

struct Mish : Plain {
    Traits traits() const { return smooth(1.75, 45.0); }
    void operator()(double x, double& f, double& d) const {
        if (x > 20.0) {
            f = x;
            d = 1.0;
            return;
        }
        // tanh(log(1 + e)) = n / (n + 2), n = e (e + 2)
        const double e = sp::exp(x), n = e * (e + 2.0), g = 1.0 / (n + 2.0);
        const double t = n * g;
        f = x * t;
        d = t + x * (4.0 * e * (e + 1.0)) * g * g;
    }
};

struct Softplus : Plain {
    Traits traits() const { return smooth(2.35, 45.0); }
    void operator()(double x, double& f, double& d) const {
        const double e = sp::exp(-std::fabs(x));
        f = (x > 0 ? x : 0.0) + sp::log1p(e);
        d = x >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
    }
};

struct LogSigmoid : Plain {
    Traits traits() const { return smooth(2.35, 45.0); }
    void operator()(double x, double& f, double& d) const {
        Softplus{}(-x, f, d);
        f = -f;
    }
};

inline double sech2(double e) { return 4.0 * e / ((1.0 + e) * (1.0 + e)); }  // e = exp(-2|x|)

struct Tanh : Plain {
    Traits traits() const { return smooth(1.0, 22.0, Parity::odd); }
    void operator()(double x, double& f, double& d) const {
        const double a = std::fabs(x), e = sp::exp(-2.0 * a);
        d = sech2(e);
        f = a < 0.5 ? sp::tanh(x) : (x > 0 ? (1.0 - e) / (1.0 + e) : (e - 1.0) / (1.0 + e));
    }
};

struct Tanhshrink : Plain {
    Traits traits() const { return smooth(1.0, 22.0, Parity::odd); }
    void operator()(double x, double& f, double& d) const {
        const double t = sp::tanh(x);
        d = t * t;
        f = sp::minus_tanh(x);
    }
};

struct Sigmoid : Plain {
    Traits traits() const { return smooth(2.35, 45.0); }
    void operator()(double x, double& f, double& d) const {
        const double e = sp::exp(-std::fabs(x)), r = 1.0 / (1.0 + e);
        f = x >= 0 ? r : e * r;
        d = e * r * r;
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

struct Erf : Plain {
    Traits traits() const { return smooth(1.0, 8.0, Parity::odd); }
    void operator()(double x, double& f, double& d) const {
        f = sp::erf(x);
        d = std::fabs(x) < 27.5 ? 1.12837916709551257390 * sp::exp(-x * x) : 0.0;
    }
    bool second(double q, double* v) const {
        *v = 2.0 * kInvPi * sp::atan2(2.0 * q, std::sqrt(1.0 + 4.0 * q));
        return true;
    }
    bool pair(double q, const Correlation& r, PairMoments* p) const {
        // 2/pi asin(c a), a = 2q / (1 + 2q)
        const double up = 1.0 + 2.0 * q * r.above, down = 1.0 + 2.0 * q * r.below;
        const double root = std::sqrt(up * down);
        const double k = 2.0 * q * r.c, full = 2.0 * q, edge = std::sqrt(1.0 + 4.0 * q);
        p->phi_phi = 2.0 * kInvPi * sp::atan2(k, root);
        p->dphi_dphi = 4.0 * kInvPi / root;
        // asin x - asin y = atan2 of (sin, cos) of the difference; sin by the conjugate
        const double n2 = (1.0 + 2.0 * q) * (1.0 + 2.0 * q), cosines = edge * root;
        const double square = full * full * r.below * r.above;  // full^2 - k^2
        const double sum = full * root + std::fabs(k) * edge;
        const double near = sp::atan2(square * (n2 / sum), cosines + full * std::fabs(k));
        const double far = sp::atan2(full, edge) + sp::atan2(std::fabs(k), root);
        p->below = 2.0 * kInvPi * (k >= 0 ? near : far);
        p->above = 2.0 * kInvPi * (k >= 0 ? far : near);
        return true;
    }
};

struct Atan : Plain {
    Traits traits() const { return smooth(1.0, 1e300, Parity::odd); }
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

template <class F>
class Bound final : public Function {
 public:
    explicit Bound(F f) : f_(f) { traits = f_.traits(); }
    void eval(const double* x, std::size_t n, double* phi, double* dphi) const override {
        double slope;
        for (std::size_t i = 0; i < n; ++i) f_(x[i], phi[i], dphi ? dphi[i] : slope);
    }
    bool closed_moments(double q, double mean, Moments* m) const override {
        return f_.moments(q, mean, m);
    }
    bool closed_first_moment(double q, double* v) const override { return f_.first(q, v); }
    bool closed_second_moment(double q, double* v) const override { return f_.second(q, v); }
    bool closed_pair(double q, const Correlation& r, PairMoments* p) const override {
        return f_.pair(q, r, p);
    }

 private:
    F f_;
};

using Made = std::unique_ptr<Function>;

template <class F>
Made bind(F f) {
    return std::make_unique<Bound<F>>(f);
}

template <class F>
Made plain(const double*) {
    return bind(F{});
}

}  // namespace

const std::vector<ActivationRow>& activation_table() {
    static const std::vector<ActivationRow> table = {
            {"linear", {"identity"}, {}, [](const double*) { return bind(Leaky{1.0}); }},
            {"relu", {}, {}, [](const double*) { return bind(Leaky{0.0}); }},
            {"leaky_relu", {"lrelu"}, {{"negative_slope", "a", 0.01}},
              [](const double* p) { return bind(Leaky{p[0]}); }},
            {"prelu", {}, {{"negative_slope", "a", 0.25}},
              [](const double* p) { return bind(Leaky{p[0]}); }},
            {"elu", {}, {{"alpha", "", 1.0}},
              [](const double* p) { return bind(Elu(1.0, p[0], 1.0)); }},
            {"celu", {}, {{"alpha", "", 1.0}},
              [](const double* p) { return bind(Elu(1.0, p[0], p[0])); }},
            {"selu", {}, {},
              [](const double*) { return bind(Elu(kSeluLambda, kSeluAlpha, 1.0)); }},
            {"gelu", {"gelu_erf"}, {}, plain<Gelu>},
            {"gelu_tanh", {"gelu_new", "gelu_approximate", "gelu_pytorch_tanh"}, {}, plain<GeluTanh>},
            {"quick_gelu", {"gelu_sigmoid"}, {}, [](const double*) { return bind(Swish(1.702)); }},
            {"silu", {"swish"}, {}, [](const double*) { return bind(Swish(1.0)); }},
            {"mish", {}, {}, plain<Mish>},
            {"softplus", {}, {}, plain<Softplus>},
            {"tanh", {}, {}, plain<Tanh>},
            {"sigmoid", {"logistic"}, {}, plain<Sigmoid>},
            {"hardtanh", {"hard_tanh"}, {}, plain<Hardtanh>},
            {"relu6", {}, {}, plain<Relu6>},
            {"hard_sigmoid", {"hardsigmoid"}, {}, plain<HardSigmoid>},
            {"hardswish", {"hard_swish", "hard_silu"}, {}, plain<Hardswish>},
            {"softsign", {"soft_sign"}, {}, plain<Softsign>},
            {"erf", {}, {}, plain<Erf>},
            {"atan", {"arctan"}, {}, plain<Atan>},
            {"sin", {"sine", "siren"}, {{"w", "omega", 1.0}},
              [](const double* p) { return bind(Sin{p[0]}); }},
            {"squared_relu", {"relu2", "relu_squared"}, {}, plain<SquaredRelu>},
            {"abs", {"absolute"}, {}, [](const double*) { return bind(Leaky{-1.0}); }},
            {"log_sigmoid", {"logsigmoid"}, {}, plain<LogSigmoid>},
            {"tanhshrink", {"tanh_shrink"}, {}, plain<Tanhshrink>},
    };
    return table;
}

const ActivationRow* find_activation(const std::string& name) {
    for (const ActivationRow& row : activation_table()) {
        if (name == row.name) return &row;
        for (const char* alias : row.aliases)
            if (name == alias) return &row;
    }
    return nullptr;
}

}  // namespace fastinit
