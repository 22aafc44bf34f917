// SPDX-License-Identifier: BSD-3-Clause
//
// Poole et al. 2016 (maps), Schoenholz et al. 2017 (depth scales). Correlations are iterated as
// 1 - c, variances are scanned in log q.
#include "ops/mean_field.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/constants.h"
#include "core/special.h"
#include "ops/minimum.h"
#include "ops/quadrature.h"

namespace fastinit {
namespace {

constexpr double kFlat = 1e-13;  // relative noise of a second moment
constexpr double kLow = -27.631021115928548, kHigh = 27.631021115928548;  // log 1e-12, 1e12
constexpr int kScan = 240;

// Root of g in [a, b], g(a) g(b) < 0: bisection steps guard the secant (Brent's bracket).
template <class G>
double root(G g, double a, double b, double ga, double gb) {
    for (int i = 0; i < 200; ++i) {
        double x = b - gb * (b - a) / (gb - ga);
        const double low = std::min(a, b), high = std::max(a, b), margin = 1e-3 * (high - low);
        if (!(x > low + margin && x < high - margin) || i % 3 == 2) x = 0.5 * (a + b);
        if (x == a || x == b) return x;
        const double gx = g(x);
        if (gx == 0.0) return x;
        if ((gx < 0) == (ga < 0)) {
            a = x;
            ga = gx;
        } else {
            b = x;
            gb = gx;
        }
        if (std::fabs(b - a) <= 4e-16 * std::max(std::fabs(a), std::fabs(b))) break;
    }
    return std::fabs(ga) < std::fabs(gb) ? a : b;
}

// Zeros of g over log q: sign changes, and touching extrema between scan points.
// |g| <= noise counts as zero and alone makes no root.
template <class G>
std::vector<double> scan_roots(G g, bool* flat) {
    std::vector<double> x(kScan + 1), y(kScan + 1), found;
    bool all = true;
    int end = kScan;
    for (int i = 0; i <= end; ++i) {
        x[i] = kLow + (kHigh - kLow) * i / kScan;
        try {
            y[i] = g(x[i]);
        } catch (const NotFinite&) {
            if (x[i] <= 0.0) throw;
            end = i - 1;  // a formula that overflows: nothing is known beyond
            break;
        }
        if (std::fabs(y[i]) <= kFlat) y[i] = 0.0;
        all = all && y[i] == 0.0;
    }
    *flat = all;
    int last = -1;
    for (int i = 0; i <= end; ++i) {
        if (y[i] == 0.0) continue;
        if (last >= 0 && (y[last] < 0) != (y[i] < 0)) {
            found.push_back(root(g, x[last], x[i], y[last], y[i]));
        } else if (last == i - 1 && last > 0 && i < end && y[last - 1] != 0.0 &&
                   (y[last - 1] < 0) == (y[last] < 0)) {
            // same sign on three points with the smallest |g| in the middle
            const double m = std::fabs(y[last]);
            if (m < std::fabs(y[last - 1]) && m <= std::fabs(y[i]) && m < 0.1) {
                const double sign = y[last] < 0 ? -1.0 : 1.0;
                auto size = [&](double t) { return sign * g(t); };
                const double t = minimum(size, x[last - 1], x[i], 60), v = g(t);
                if (sign * v < -kFlat) {
                    found.push_back(root(g, x[last - 1], t, y[last - 1], v));
                    found.push_back(root(g, t, x[i], v, y[i]));
                } else if (std::fabs(v) <= kFlat) {
                    found.push_back(t);
                }
            }
        }
        last = i;
    }
    return found;
}

FixedPoint describe(const Function& f, double q, double sw) {
    const Moments m = gaussian_moments(f, q);
    FixedPoint p{q, sw * m.h_phi_dphi / q, sw * m.dphi2, false};
    p.stable = std::fabs(p.slope) < 1.0 - 1e-12;
    return p;
}

double at_zero(const Function& f) {
    const double zero = 0.0;
    double v;
    f.eval(&zero, 1, &v, nullptr);
    return v;
}

// E[phi'^2] as q -> 0: phi'(0)^2, exactly, unless phi bends there.
double slope_at_zero(const Function& f) {
    const std::vector<double>& kinks = f.traits.kinks;
    const bool bends = std::find(kinks.begin(), kinks.end(), 0.0) != kinks.end();
    if (!bends && f.traits.has_derivative && !f.traits.discover)
        return gaussian_moments(f, 0.0).dphi2;
    const double v = gaussian_moments(f, kTiny).dphi2;
    return v > 1e-20 ? v : 0.0;
}

// Of a fixed point q = 0 with slope 1: the next order decides.
bool attracts_to_zero(const Function& f, double sw) {
    return q_map(f, 1e-8, sw, 0.0) / 1e-8 - 1.0 < -kFlat;
}

double log_of(double x) { return special::log(x); }

}  // namespace

double q_map(const Function& f, double q, double sw, double sb) {
    return sw * second_moment(f, q) + sb;
}

double CorrelationMap::second(double q) {
    if (q != last_q_) {
        last_second_ = second_moment(f_, q);
        last_q_ = q;
    }
    return last_second_;
}

CorrelationStep CorrelationMap::operator()(double q, const Correlation& c, double sw, double sb) {
    const double next = sw * second(q) + sb;
    CorrelationStep s{{1.0, 0.0, 2.0}, next, 0.0};
    if (q == 0.0 || next == 0.0) {
        s.slope = std::numeric_limits<double>::quiet_NaN();
        return s;
    }
    const PairMoments p = pair_(q, c);
    // both quotients are taken from sums without cancellation; c from the smaller one
    const double below = sw * p.below / next, above = (sw * p.above + 2.0 * sb) / next;
    s.c = below < 0.25   ? Correlation::from_below(below)
          : above < 0.25 ? Correlation::from_above(above)
                         : Correlation::from_c((sw * p.phi_phi + sb) / next);
    s.slope = sw * p.dphi_dphi * (q / next);
    return s;
}

std::vector<FixedPoint> fixed_points(const Function& f, double sw, double sb) {
    auto excess = [&](double t) {
        const double q = special::exp(t);
        return (sw * second_moment(f, q) + sb) / q - 1.0;
    };
    bool flat = false;
    const std::vector<double> found = scan_roots(excess, &flat);
    std::vector<FixedPoint> out;
    if (flat) {
        FixedPoint p = describe(f, 1.0, sw);
        p.stable = false;
        out.push_back(p);
        return out;
    }
    if (sb == 0.0 && (sw == 0.0 || at_zero(f) == 0.0)) {
        // phi = phi' h to leading order, on each side: slope and chi_1 agree
        const double slope = sw * slope_at_zero(f);
        FixedPoint p{0.0, slope, slope, slope < 1.0 - 1e-12};
        if (std::fabs(p.slope - 1.0) <= 1e-12) p.stable = attracts_to_zero(f, sw);
        out.push_back(p);
    }
    for (double t : found) out.push_back(describe(f, special::exp(t), sw));
    return out;
}

CriticalPoint critical_line(const Function& f, double q) {
    const double at = q == 0.0 ? kTiny : q;
    const Moments m = gaussian_moments(f, at);
    const double second = second_moment(f, at);
    const double sw = 1.0 / m.dphi2;
    if (q == 0.0) {
        const double limit = 1.0 / slope_at_zero(f);
        const double v = at_zero(f);
        return {limit, v == 0.0 ? 0.0 : -limit * v * v, 0.0};
    }
    const double sb = q - sw * second;
    // homogeneous functions lie on sb = 0 exactly; leave no rounding residue
    return {sw, std::fabs(sb) <= 4e-15 * q ? 0.0 : sb, q};
}

bool critical_point(const Function& f, double sb, CriticalPoint* out) {
    auto excess = [&](double t) {
        const double q = special::exp(t);
        const Moments m = gaussian_moments(f, q);
        return 1.0 - (second_moment(f, q) / m.dphi2 + sb) / q;
    };
    bool flat = false;
    const std::vector<double> found = scan_roots(excess, &flat);
    if (flat) {
        *out = critical_line(f, 1.0);
        return true;
    }
    bool any = false;
    if (sb == 0.0 && at_zero(f) == 0.0) {
        *out = critical_line(f, 0.0);
        any = out->sw < 1e12 && out->sw > 0.0;
        if (any && attracts_to_zero(f, out->sw)) return true;
    }
    for (double t : found) {
        const double q = special::exp(t);
        const Moments m = gaussian_moments(f, q);
        const double sw = 1.0 / m.dphi2;
        if (!(sw < kInf)) continue;
        const bool stable = std::fabs(sw * m.h_phi_dphi / q) < 1.0;
        if (any && !stable) continue;
        *out = {sw, sb, q};
        if (stable) return true;
        any = true;
    }
    return any;
}

DepthScales depth_scales(const Function& f, double sw, double sb) {
    DepthScales d{};
    const std::vector<FixedPoint> points = fixed_points(f, sw, sb);
    // the stable fixed point that q = 1 runs to, else 0 or infinity
    double q = 1.0;
    const bool rising = q_map(f, 1.0, sw, sb) > 1.0;
    const FixedPoint* chosen = nullptr;
    for (const FixedPoint& p : points)
        if (std::fabs(p.q - 1.0) < 1e-9) chosen = &p;
    if (!chosen) {
        for (const FixedPoint& p : points)
            if (rising ? p.q > 1.0 && (!chosen || p.q < chosen->q)
                       : p.q < 1.0 && (!chosen || p.q > chosen->q))
                chosen = &p;
    }
    double slope;
    if (chosen) {
        d.q = chosen->q;
        q = d.q == 0.0 ? kTiny : d.q;
        d.chi1 = chosen->chi1;
        slope = std::fabs(chosen->slope);
    } else {
        d.q = rising ? kInf : 0.0;
        q = rising ? 1e12 : 1e-12;
        const FixedPoint p = describe(f, q, sw);
        d.chi1 = p.chi1;
        slope = 1.0;
    }
    const double noise = chosen ? 1e-9 : 1e-5;  // the limit is not reached at 1e12
    d.xi_q = slope < 1.0 - 1e-12 ? -1.0 / log_of(slope) : kInf;
    if (slope == 0.0) d.xi_q = 0.0;
    const double off = d.chi1 - 1.0;
    d.phase = std::fabs(off) <= noise ? Phase::critical : off < 0 ? Phase::ordered : Phase::chaotic;
    d.xi_grad = d.phase == Phase::critical ? kInf
                : d.chi1 == 0.0            ? 0.0
                                           : 1.0 / std::fabs(log_of(d.chi1));
    CorrelationMap map(f);
    const double next = q_map(f, q, sw, sb);
    const double at_one = next > 0.0 ? d.chi1 * (q / next) : 0.0;
    d.c = 1.0;
    double rate = at_one;
    if (at_one > 1.0 + noise) {
        // below' / below - 1 over log(below): positive near c = 1, negative at c = 0 or beyond
        auto grows = [&](double t) {
            const double b = special::exp(t);
            return map(q, Correlation::from_below(b), sw, sb).c.below / b - 1.0;
        };
        const double far = 0.0, g_far = grows(far);
        if (g_far >= -1e-15) {
            d.c = 0.0;
            rate = map(q, Correlation::from_c(0.0), sw, sb).slope;
        } else {
            double near = -1.0, g_near = grows(near);
            while (g_near <= 0.0 && near > -60.0) g_near = grows(near *= 1.5);
            const double b = special::exp(root(grows, near, far, g_near, g_far));
            d.c = 1.0 - b;
            rate = map(q, Correlation::from_below(b), sw, sb).slope;
        }
    }
    rate = std::fabs(rate);
    d.xi_c = std::fabs(rate - 1.0) <= noise ? kInf : rate == 0.0 ? 0.0 : -1.0 / log_of(rate);
    return d;
}

}  // namespace fastinit
