// SPDX-License-Identifier: BSD-3-Clause
//
// One-dimensional expectations.  Poole et al. 2016, Schoenholz et al. 2017 define the
// quantities; the panels are described in quadrature.cpp.
#include "ops/moments.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "core/special.h"
#include "ops/quadrature.h"

namespace fastinit {
namespace {

Moments at_point(const Function& f, double h) {
    double p, d;
    f.eval(&h, 1, &p, f.traits.has_derivative ? &d : nullptr);
    if (!f.traits.has_derivative) {
        const GaussRule& rule = gauss_rule();
        constexpr std::size_t kMiddle = kOrder / 2 - 1;
        const double step = 1e-2 * (1.0 + std::fabs(h));
        std::vector<double> x, v, s;
        for (double t : rule.x) x.push_back(h + step * (t - rule.x[kMiddle]));
        eval_panels(f, rule, x, {step}, &v, &s);
        d = s[kMiddle];
    }
    return {p, p * p, p * p * p * p, d, d * d, d * d * d * d, h * p * d};
}

// Infinite where phi^2 keeps weight at the ends of the panels, whatever has been summed within them.
double unless_cut_off(const Function& f, const Grid& g, double second) {
    if (!f.traits.discover) return second;
    const auto density = [&](std::size_t i) { return g.phi[i] * g.phi[i] * special::normal_pdf(g.z[i]); };
    const double most = g.half ? density(g.z.size() - 1) : std::max(density(0), density(g.z.size() - 1));
    return most < 1e-3 * second || second == 0.0 ? second : std::numeric_limits<double>::infinity();
}

}  // namespace

void require_slope(const Function& f, double q, double mean) {
    if (f.traits.has_derivative) return;
    const double reach = 12.0 * std::sqrt(q);
    const std::vector<double>& jumps = f.jumps();
    const auto nearest = std::min_element(jumps.begin(), jumps.end(), [&](double a, double b) {
        return std::fabs(a - mean) < std::fabs(b - mean);
    });
    if (nearest == jumps.end() || std::fabs(*nearest - mean) >= reach) return;
    std::ostringstream text;
    text << "activation must be continuous where no derivative is given, got a jump at "
         << *nearest;
    throw std::domain_error(text.str());
}

Moments panel_moments(const Function& f, double q, double mean) {
    Moments m{};
    const Grid g = make_grid(f, q, mean);
    for (std::size_t i = 0; i < g.h.size(); ++i) {
        const double w = g.weight[i], p = g.phi[i], d = g.dphi[i];
        const double p2 = p * p, d2 = d * d;
        m.phi += w * p;
        m.phi2 += w * p2;
        m.phi4 += w * p2 * p2;
        m.dphi += w * d;
        m.dphi2 += w * d2;
        m.dphi4 += w * d2 * d2;
        m.h_phi_dphi += w * g.h[i] * p * d;
    }
    if (g.half && f.traits.parity == Parity::odd) m.phi = 0.0;
    if (g.half && f.traits.parity == Parity::even) m.dphi = 0.0;
    return m;
}

Moments gaussian_moments(const Function& f, double q, double mean) {
    if (q == 0.0) return at_point(f, mean);
    Moments m{};
    if (f.closed_moments(q, mean, &m)) return m;
    require_slope(f, q, mean);
    m = panel_moments(f, q, mean);
    if (mean == 0.0) f.closed_first_moment(q, &m.phi);
    return m;
}

double variance(const Function& f, double q) {
    Moments m{};
    if (q == 0.0) return 0.0;
    if (f.closed_moments(q, 0.0, &m)) return m.phi2 - m.phi * m.phi;
    const Grid g = make_grid(f, q, 0.0);
    const std::size_t n = g.h.size();
    double mean = 0.0, v = 0.0;
    if (!(g.half && f.traits.parity == Parity::odd))
        for (std::size_t i = 0; i < n; ++i) mean += g.weight[i] * g.phi[i];
    for (std::size_t i = 0; i < n; ++i) v += g.weight[i] * (g.phi[i] - mean) * (g.phi[i] - mean);
    return unless_cut_off(f, g, v);
}

double second_moment(const Function& f, double q) {
    if (q == 0.0) return at_point(f, 0.0).phi2;
    double v;
    if (f.closed_second_moment(q, &v)) return v;
    const Grid g = make_grid(f, q, 0.0);
    v = 0.0;
    for (std::size_t i = 0; i < g.h.size(); ++i) v += g.weight[i] * (g.phi[i] * g.phi[i]);
    return unless_cut_off(f, g, v);
}

}  // namespace fastinit
