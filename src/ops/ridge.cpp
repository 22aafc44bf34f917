// SPDX-License-Identifier: BSD-3-Clause
//
// Nearly equal (c -> 1) or nearly opposite (c -> -1) inputs: u = y + t, v = +-(y - t) with y
// broad and t narrow and independent. Panels in y, the trapezoidal rule in t, straight lines
// beyond the tail in closed form; phi(u) - phi(v) is taken from phi' where it would cancel.
#include <algorithm>
#include <cmath>

#include "core/special_core.h"
#include "ops/quadrature.h"
#include "ops/smooth_pairs.h"

namespace fastinit {
namespace {

constexpr double kReach = 9.2;    // deviations
constexpr double kWidest = 6.0;   // of a panel in deviations
// phi(u) - phi(v) by Simpson's rule on phi', to 2e-14, where t is this part of the strip and the
// difference this part of the values
constexpr double kCloseBy = 5e-4, kCancels = 1e-3;

struct Points {
    std::vector<double> x, weight;
};

// Panels over |y| < reach (y > 0 only, doubled, with half).
Points broad(const Function& f, double deviation, double reach, bool half) {
    const Structure s = structure(f, half ? 0.0 : -reach, reach, f.traits.tail);
    std::vector<double> edges = {half ? 0.0 : -reach};
    edges.insert(edges.end(), s.edges.begin(), s.edges.end());
    edges.push_back(reach);
    const GaussRule& rule = gauss_rule();
    Points p;
    for (std::size_t k = 0; k + 1 < edges.size(); ++k) {
        const double wide = edges[k + 1] - edges[k];
        const int parts = static_cast<int>(wide / (kWidest * deviation)) + 1;
        const double r = 0.5 * wide / parts;
        for (int part = 0; part < parts; ++part)
            for (int i = 0; i < rule.n; ++i) {
                const double x = edges[k] + r * ((2 * part + 1) + rule.x[i]);
                const double w = rule.w[i] * r / deviation * special::normal_pdf(x / deviation);
                p.x.push_back(x);
                p.weight.push_back(half ? 2.0 * w : w);
            }
    }
    return p;
}

// Gauss-Hermite nodes x >= 0 and weights: 5 and 10 in all.
constexpr double kHermite5[][2] = {{0.0, 0x1.1111111111111p-1},
                                   {0x1.5b0a513c97441p+0, 0x1.c6cfbdb1f1fa4p-3},
                                   {0x1.6db131839e414p+1, 0x1.70e202bebe3a6p-7}};
constexpr double kHermite10[][2] = {{0x1.f092fc71c448cp-2, 0x1.60e9eb956680bp-2},
                                    {0x1.774b0fb0b3e2fp+0, 0x1.15787acb87a26p-3},
                                    {0x1.3dfe63a13936dp+1, 0x1.391fc74e71893p-6},
                                    {0x1.ca793120f33dbp+1, 0x1.8d728ef7a4742p-11},
                                    {0x1.37017060f4280p+2, 0x1.214872c35b4c3p-18}};

template <std::size_t N>
Points hermite(const double (&rule)[N][2], double deviation, bool half) {
    Points p;
    for (const auto& [x, w] : rule) {
        const bool pair = x > 0.0;
        p.x.push_back(x * deviation);
        p.weight.push_back(half && pair ? 2.0 * w : w);
        if (half || !pair) continue;
        p.x.push_back(-x * deviation);
        p.weight.push_back(w);
    }
    return p;
}

// Nodes in t (t >= 0 only, doubled, with half): n of Gauss-Hermite leave about
// n! (deviation / scale)^(2 n), with phi of this scale; equal steps suit the rest.
Points narrow(double deviation, double scale, double strip, bool half) {
    if (deviation < 0.015 * scale) return hermite(kHermite5, deviation, half);
    if (deviation < 0.07 * scale) return hermite(kHermite10, deviation, half);
    const double step = lattice_step(deviation, strip);
    const int n = static_cast<int>(kReach * deviation / step) + 1;
    Points p;
    for (int k = half ? 0 : -n; k <= n; ++k) {
        const double x = k * step, w = step / deviation * special::normal_pdf(x / deviation);
        p.x.push_back(x);
        p.weight.push_back(half && k > 0 ? 2.0 * w : w);
    }
    return p;
}

// Adds the part beyond y = edge, where phi(u) = a y + first t + b and phi(v) = e y - second t + g
// with |first| = |a|, |second| = |e|: m0, m1, m2 are moments of y there, t2 = E t^2.
void add_tail(double a, double b, double e, double g, double edge, double deviation, double t2,
              double times, PairMoments* p) {
    const double z = edge / deviation, density = special::normal_pdf(z);
    const double m0 = times * special::normal_cdf(-z), m1 = times * deviation * density;
    const double m2 = deviation * deviation * (m0 + times * z * density);
    p->phi_phi += a * e * (m2 - t2 * m0) + (a * g + e * b) * m1 + b * g * m0;
    p->dphi_dphi += std::fabs(a * e) * m0;
    auto square = [&](double slope, double other, double level) {
        return 0.5 * (slope * slope * m2 + other * other * t2 * m0 + 2.0 * slope * level * m1 +
                      level * level * m0);
    };
    p->below += square(a - e, a + e, b - g);
    p->above += square(a + e, a - e, b + g);
}

void add_tails(const Asymptotes& s, bool flip, double edge, double deviation, double t2,
               PairMoments* p) {
    const double up = s.line + s.ramp, down = s.line;
    const double high = s.level + s.step, low = s.level - s.step;
    if (flip) return add_tail(up, high, -down, low, edge, deviation, t2, 2.0, p);
    add_tail(up, high, up, high, edge, deviation, t2, 1.0, p);
    add_tail(-down, low, -down, low, edge, deviation, t2, 1.0, p);
}

}  // namespace

PairMoments ridge_pair(const Function& f, double q, const Correlation& r) {
    const bool flip = r.c < 0.0;
    const double wide = std::sqrt(0.5 * q * (flip ? r.below : r.above));
    const double thin = std::sqrt(0.5 * q * (flip ? r.above : r.below));
    const double full = kReach * wide, reach = std::min(full, f.traits.tail + kReach * thin);
    const double strip = f.traits.strip;
    const Points y = broad(f, wide, reach, flip);
    // near zero phi may be a power of y alone: there its scale is y itself
    const Points t = narrow(thin, std::min(wide, strip), strip, !flip);
    const std::size_t n = y.x.size();
    std::vector<double> u(n), v(n), phi(n), dphi(n), other(n), slope(n), centre(n), spare(n);
    f.eval(y.x.data(), n, spare.data(), centre.data());
    const double sign = flip ? -1.0 : 1.0;
    PairMoments p{};
    for (std::size_t k = 0; k < t.x.size(); ++k) {
        const double at = t.x[k], w = t.weight[k];
        for (std::size_t i = 0; i < n; ++i) {
            u[i] = y.x[i] + at;
            v[i] = sign * (y.x[i] - at);
        }
        f.eval(u.data(), n, phi.data(), dphi.data());
        f.eval(v.data(), n, other.data(), slope.data());
        const double cancels = !flip && at < kCloseBy * strip ? kCancels : 0.0;
        double products = 0.0, primes = 0.0, below = 0.0, above = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
            const double g = y.weight[i], plus = phi[i] + other[i];
            const double far = phi[i] - other[i];
            const double near = at / 3.0 * (dphi[i] + 4.0 * centre[i] + slope[i]);
            const double minus = std::fabs(far) < cancels * std::fabs(plus) ? near : far;
            products += g * phi[i] * other[i];
            primes += g * dphi[i] * slope[i];
            below += g * minus * minus;
            above += g * plus * plus;
        }
        p.phi_phi += w * products;
        p.dphi_dphi += w * primes;
        p.below += 0.5 * w * below;
        p.above += 0.5 * w * above;
    }
    if (reach < full) add_tails(f.traits.asymptotes, flip, reach, wide, thin * thin, &p);
    return p;
}

}  // namespace fastinit
