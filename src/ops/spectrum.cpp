// SPDX-License-Identifier: BSD-3-Clause
// The spectrum of the input-output Jacobian by S-transforms (Pennington et al. 2017).
#include <algorithm>
#include <cmath>

#include "core/constants.h"
#include "core/special.h"
#include "ops/mean_field.h"
#include "ops/minimum.h"
#include "ops/quadrature.h"

namespace fastinit {
namespace {


// Distribution of phi'^2: values and weights, refined around the largest one so that
// E[phi'^2 / (w - phi'^2)] is right for w close to it.
struct Slopes {
    std::vector<double> value, weight;
    double top;
};

Slopes slopes(const Function& f, double q) {
    Grid g = make_grid(f, q, 0.0);
    std::size_t best = 0;
    for (std::size_t i = 0; i < g.h.size(); ++i)
        if (std::fabs(g.dphi[i]) > std::fabs(g.dphi[best])) best = i;
    std::vector<double> extra;
    const double low = std::fabs(g.dphi[0]), high = std::fabs(g.dphi.back());
    const double peak = std::fabs(g.dphi[best]);
    double top = peak;
    if (f.traits.has_derivative && (low < peak || high < peak || g.half)) {
        const double width = 0.5 * std::sqrt(q);
        const double a = g.half && best == 0 ? -width : g.h[best] - width, b = g.h[best] + width;
        auto minus = [&](double x) {
            double p, d;
            f.eval(&x, 1, &p, &d);
            return -std::fabs(d);
        };
        const double at = minimum(minus, a, b, 80);
        top = std::max(top, -minus(at));
        const double centre = g.half && std::fabs(at) < 1e-6 * std::sqrt(q) ? 0.0 : at;
        if (centre == 0.0) top = std::max(top, -minus(0.0));
        extra.push_back(centre);
        for (int k = 0; k < 36; ++k) {
            const double step = std::sqrt(q) * special::exp(-0.693147180559945309 * k);
            extra.push_back(centre + step);
            extra.push_back(centre - step);
        }
        g = make_grid(f, q, 0.0, false, 2.0, extra);
    }
    Slopes s;
    s.top = top * top;
    for (std::size_t i = 0; i < g.h.size(); ++i) {
        s.value.push_back(std::min(g.dphi[i] * g.dphi[i], s.top));
        s.weight.push_back(g.weight[i]);
    }
    return s;
}

// Whether phi' grows without end: its means over [x, 2 x] far outside, against the top.
bool unbounded_slope(const Function& f, double s, double top) {
    const double near = 8.0 * (1.0 + s), far = 8.0 * near;
    const double x[] = {near, 2.0 * near, far, 2.0 * far, -near, -2.0 * near, -far, -2.0 * far};
    double v[8];
    f.probe(x, 8, v, nullptr);
    for (int i = 0; i < 8; i += 4) {
        const double inner = std::fabs(v[i + 1] - v[i]) / near;
        const double outer = std::fabs(v[i + 3] - v[i + 2]) / far;
        if (outer > 4.0 * inner && outer > 2.0 * top) return true;
    }
    return false;
}

}  // namespace

Spectrum jacobian_spectrum(const Function& f, int depth, double sw, double q, bool orthogonal) {
    const double at = q == 0.0 ? kTiny : q;
    const Moments m = gaussian_moments(f, at);
    const double layers = depth;
    const double chi = sw * m.dphi2, log_chi = chi > 0.0 ? special::log(chi) : -kInf;
    Spectrum s{};
    s.mean = chi > 0.0 ? special::exp(layers * log_chi) : 0.0;
    if (chi == 0.0) return s;
    const double ratio = m.dphi4 / (m.dphi2 * m.dphi2);
    const double spread = std::max(0.0, ratio - 1.0) + (orthogonal ? 0.0 : 1.0);
    s.variance = s.mean * s.mean * layers * spread;
    // largest = min over w > sup phi'^2 of M^-1 at z = E[phi'^2 / (w - phi'^2)], with
    //   Gaussian:   (1 + z) / z * (sw w z)^L          S_W = 1 / (sw (1 + z))
    //   orthogonal: (1 + z) / z * (sw w z / (1 + z))^L     S_W = 1 / sw
    const Slopes d = slopes(f, at);
    if (unbounded_slope(f, std::sqrt(at), std::sqrt(d.top))) {
        s.largest = kInf;
        return s;
    }
    auto edge = [&](double t) {
        const double delta = d.top * special::exp(t);
        double z = 0.0;
        for (std::size_t i = 0; i < d.value.size(); ++i)
            z += d.weight[i] * d.value[i] / (delta + (d.top - d.value[i]));
        const double w = d.top + delta;
        const double lift = special::log1p(1.0 / z);  // log (1 + z) / z
        if (orthogonal) return lift * (1.0 - layers) + layers * special::log(sw * w);
        return lift + layers * (special::log(sw * w) + special::log(z));
    };
    int best = 0;
    constexpr int n = 160;
    constexpr double a = -42.0, b = 30.0;
    std::vector<double> y(n + 1);
    for (int i = 0; i <= n; ++i) {
        y[i] = edge(a + (b - a) * i / n);
        if (y[i] < y[best]) best = i;
    }
    const double low = a + (b - a) * std::max(best - 1, 0) / n;
    const double high = a + (b - a) * std::min(best + 1, n) / n;
    const double t = minimum(edge, low, high, 60);
    s.largest = special::exp(std::min(edge(t), y[best]));
    return s;
}

}  // namespace fastinit
