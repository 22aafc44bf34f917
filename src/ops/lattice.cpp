// SPDX-License-Identifier: BSD-3-Clause
//
// The trapezoidal rule in the plane. On a lattice of equal steps in u and v the density is
// D_i D_j T_(i-j), so that a double sum takes one table of phi, and a loop of products and sums.
// Where sqrt(q) is large the lattice carries only the rest of phi over its skeleton, which has
// ended long before; the products of the two are sums over one input.
#include <algorithm>
#include <cmath>

#include "core/constants.h"
#include "core/special_core.h"
#include "ops/smooth_pairs.h"

namespace fastinit {
namespace {

constexpr double kReach = 9.2;                     // deviations; exp(-42)
constexpr double kDigits = 42.0;                   // exp(-42) x^6 is noise at x = 9.2

double decay(double x) { return special::exp_plain(-std::min(x, 700.0)); }

// Density of two inputs on a lattice of n points, as D_i D_j T_|i - j| (c > 0) or
// D_i D_j T_|i + j - (n - 1)| (c < 0).
struct Density {
    std::vector<double> single, between;
    double norm;
    bool flip;
};

Density make_density(const std::vector<double>& u, double step, double q, const Correlation& r) {
    Density d;
    d.flip = r.c < 0.0;
    const double spread = q * r.below * r.above, size = std::fabs(r.c);
    const double one = 0.5 / (q * std::max(r.above, r.below)), two = 0.5 * size / spread;
    d.norm = step * step / (2.0 * kPi * std::sqrt(q) * std::sqrt(spread));
    for (double x : u) d.single.push_back(decay(one * x * x));
    for (std::size_t k = 0; k < u.size(); ++k) {
        const double x = two * (k * step) * (k * step);
        if (x > kDigits) break;
        d.between.push_back(decay(x));
    }
    return d;
}

// Sum over i, j of x_i x_j times the density. The inner loop runs over independent sums.
double plane_sum(const Density& d, const std::vector<double>& x) {
    const std::size_t n = x.size(), band = d.between.size();
    std::vector<double> a(n), sum(n, 0.0), b(n + 2 * band, 0.0);
    for (std::size_t i = 0; i < n; ++i) a[i] = x[i] * d.single[i];
    for (std::size_t i = 0; i < n; ++i) b[band + i] = d.flip ? a[n - 1 - i] : a[i];
    for (std::size_t i = 0; i < n; ++i) sum[i] = b[band + i];
    for (std::size_t k = 1; k < band; ++k) {
        const double t = d.between[k], *up = &b[band + k], *down = &b[band - k];
        double* s = sum.data();
        for (std::size_t i = 0; i < n; ++i) s[i] += t * (up[i] + down[i]);
    }
    double total = 0.0;
    for (std::size_t i = 0; i < n; ++i) total += a[i] * sum[i];
    return d.norm * total;
}

// Points (i - n) step, and their weights under N(0, q).
std::vector<double> lattice(double reach, double step) {
    const int n = static_cast<int>(reach / step) + 1;
    std::vector<double> u;
    for (int i = -n; i <= n; ++i) u.push_back(i * step);
    return u;
}

std::vector<double> weights(const std::vector<double>& u, double step, double q) {
    const double scale = kInvSqrt2Pi * step / std::sqrt(q), half = 0.5 / q;
    std::vector<double> w;
    for (double x : u) w.push_back(scale * decay(half * x * x));
    return w;
}

// phi itself, less phi(0): E[phi^2] - E[phi phi] then does not cancel where phi is nearly constant.
PairMoments whole(const Function& f, double q, const Correlation& r, double step) {
    const std::vector<double> u = lattice(kReach * std::sqrt(q), step), w = weights(u, step, q);
    const std::size_t n = u.size();
    std::vector<double> phi(n), dphi(n);
    f.eval(u.data(), n, phi.data(), dphi.data());
    const double zero = phi[n / 2];
    double mean = 0.0, square = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        phi[i] -= zero;
        mean += w[i] * phi[i];
        square += w[i] * phi[i] * phi[i];
    }
    const Density d = make_density(u, step, q, r);
    const double product = plane_sum(d, phi), offset = zero * (zero + 2.0 * mean);
    return {product + offset, plane_sum(d, dphi), square - product,
            square + product + 2.0 * offset};
}

// Out to where the rest is below rounding noise on either side.
void fill_rest(const Function& f, const Skeleton& skeleton, Rest* rest) {
    // conditional deviations of half a strip and more occur
    rest->step = lattice_step(0.5 * f.traits.strip, f.traits.strip);
    rest->u = lattice(f.traits.tail, rest->step);
    const std::size_t n = rest->u.size();
    for (auto* v : {&rest->phi, &rest->dphi, &rest->base}) v->resize(n);
    f.eval(rest->u.data(), n, rest->phi.data(), rest->dphi.data());
    std::size_t far = 0;
    for (std::size_t i = 0; i < n; ++i) {
        double slope;
        skeleton.smoothed(rest->u[i], 0.0, &rest->base[i], &slope);
        rest->phi[i] -= rest->base[i];
        rest->dphi[i] -= slope;
        const std::size_t from_zero = i < n / 2 ? n / 2 - i : i - n / 2;
        if (std::fabs(rest->phi[i]) + std::fabs(rest->dphi[i]) > 1e-17 * (1.0 + from_zero))
            far = std::max(far, from_zero);
    }
    const std::size_t cut = n / 2 - far;
    for (auto* v : {&rest->u, &rest->phi, &rest->dphi, &rest->base}) {
        v->erase(v->begin(), v->begin() + static_cast<std::ptrdiff_t>(cut));
        v->resize(2 * far + 1);
    }
}

// phi = skeleton + rest.
PairMoments split(const Function& f, double q, const Correlation& r, Rest* rest) {
    const Skeleton skeleton(f.traits);
    if (rest->u.empty()) fill_rest(f, skeleton, rest);
    const std::vector<double> w = weights(rest->u, rest->step, q);
    const double spread = q * r.below * r.above;
    double square = 0.0, same = 0.0, cross = 0.0, slopes = 0.0;
    for (std::size_t i = 0; i < w.size(); ++i) {
        double phi, dphi;
        skeleton.smoothed(r.c * rest->u[i], spread, &phi, &dphi);
        square += w[i] * rest->phi[i] * rest->phi[i];
        same += w[i] * rest->phi[i] * rest->base[i];
        cross += w[i] * rest->phi[i] * phi;
        slopes += w[i] * rest->dphi[i] * dphi;
    }
    const Density d = make_density(rest->u, rest->step, q, r);
    const double product = plane_sum(d, rest->phi);
    PairMoments p = skeleton.pair(q, r);
    p.phi_phi += 2.0 * cross + product;
    p.dphi_dphi += 2.0 * slopes + plane_sum(d, rest->dphi);
    p.below += (square - product) + 2.0 * (same - cross);
    p.above += (square + product) + 2.0 * (same + cross);
    return p;
}

}  // namespace

double lattice_step(double deviation, double strip) {
    // exp(-2 pi y / step + y^2 / (2 deviation^2)) at the best y <= strip
    constexpr double top = 9.2;  // sqrt(2 kDigits)
    if (top * deviation < strip) return 2.0 * kPi / top * deviation;
    return 2.0 * kPi / (kDigits / strip + 0.5 * strip / (deviation * deviation));
}

bool lattice_pair(const Function& f, double q, const Correlation& r, Rest* rest, PairMoments* p) {
    if (r.c < 0.0 && f.traits.parity == Parity::odd) {
        if (!lattice_pair(f, q, {-r.c, r.above, r.below}, rest, p)) return false;
        *p = {-p->phi_phi, p->dphi_dphi, p->above, p->below};
        return true;
    }
    const double conditional = std::sqrt(q * r.below * r.above), strip = f.traits.strip;
    if (conditional < 0.5 * strip && std::min(r.below, r.above) < 0.1) {
        *p = ridge_pair(f, q, r);
        return true;
    }
    if (kReach * std::sqrt(q) > f.traits.tail) {
        *p = split(f, q, r, rest);
        return true;
    }
    const double step = lattice_step(conditional, strip);
    if (kReach * std::sqrt(q) > 400.0 * step) return false;
    *p = whole(f, q, r, step);
    return true;
}

}  // namespace fastinit
