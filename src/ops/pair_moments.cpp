// SPDX-License-Identifier: BSD-3-Clause
//
// Two correlated inputs, where there is neither a closed form nor a strip (smooth_pairs.h).
// Away from the ends: Mehler's series sum a_n^2 c^n, whose remainder is known from
// E[phi^2] - sum a_n^2.  Else panels in the rotated coordinates
// u, v = sqrt(q) (a y +- b t), a >= b, where every kink is a line y = k(t) and
// E[phi^2] -+ E[phi phi] = E[(phi(u) -+ phi(v))^2] / 2 does not cancel.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/constants.h"
#include "core/special_core.h"
#include "ops/moments.h"
#include "ops/quadrature.h"
#include "ops/smooth_pairs.h"

namespace fastinit {
namespace {

constexpr double kNoise = 4e-16;
constexpr double kAgree = 2e-13;  // of a sum of squares with the integral, both rounded

// c = 1 or c = -1.
PairMoments degenerate(const Function& f, double q, bool same) {
    if (same && !f.traits.has_derivative && !f.jumps().empty()) {
        const double second = second_moment(f, q);
        return {second, std::numeric_limits<double>::infinity(), 0.0, 2.0 * second};
    }
    if (same) {
        const Moments m = gaussian_moments(f, q);
        return {m.phi2, m.dphi2, 0.0, 2.0 * m.phi2};
    }
    const double s = std::sqrt(q);
    Structure st = structure(f, -38.0 * s, 38.0 * s);
    std::vector<double> mirrored;
    for (double e : st.edges) mirrored.push_back(-e);
    const Grid g = make_grid(f, q, 0.0, false, 6.0, mirrored);
    std::vector<double> back(g.h.size()), phi(g.h.size()), dphi(g.h.size());
    for (std::size_t i = 0; i < back.size(); ++i) back[i] = -g.h[i];
    // without phi' of its own: the grid is symmetric, so phi'(-h) is the mirrored entry
    f.eval(back.data(), back.size(), phi.data(), f.traits.has_derivative ? dphi.data() : nullptr);
    PairMoments p{};
    for (std::size_t i = 0; i < back.size(); ++i) {
        const double w = g.weight[i], minus = g.phi[i] - phi[i], plus = g.phi[i] + phi[i];
        if (!f.traits.has_derivative) dphi[i] = g.dphi[back.size() - 1 - i];
        p.phi_phi += w * g.phi[i] * phi[i];
        p.dphi_dphi += w * g.dphi[i] * dphi[i];
        p.below += 0.5 * w * minus * minus;
        p.above += 0.5 * w * plus * plus;
    }
    return p;
}

// ---- two-dimensional panels ----

struct Plane {
    const Function& f;
    double s, a, b;                    // sqrt(q), inner and outer coefficient
    bool flip;                         // c < 0: u = s (b t + a y), v = s (b t - a y)
    bool use_slope;                    // u - v (or u + v) is tiny: differences from phi'
    bool straight;                     // phi' is, between kinks
    double near;                       // t below which bends break the panels of both alike
    std::vector<double> bends, kinks;  // in units of z
};

struct Panel {
    double centre, half, shift, outer;  // in y; b t; weight of the outer node
    bool straddles;                     // a kink lies between u and v
};

// Inner panels of one batch, and the arrays that are filled from them.
struct Batch {
    std::vector<Panel> panels;
    std::vector<double> h, weight, width, phi, dphi, at, slope, ignored;
};

constexpr double kReach2 = 88.0;  // y^2 + t^2 beyond which the density is below 1e-19
constexpr double kWidest = 5.0;   // of a panel: 16 nodes give 1e-15 on the Gaussian

// Appends the inner panels at outer coordinate t.
void add_line(const Plane& g, double t, double outer, std::vector<double>* y, Batch* out) {
    const double reach = std::sqrt(std::max(1.0, kReach2 - t * t));
    y->assign({-reach, reach});
    const double shift = g.b * t, inv_a = 1.0 / g.a;
    auto add = [&](double at) {
        if (std::fabs(at) < reach) y->push_back(at);
    };
    auto add_both = [&](double k) {
        add((k - shift) * inv_a);
        add(g.flip ? (shift - k) * inv_a : (k + shift) * inv_a);
    };
    for (double k : g.kinks) add_both(k);
    for (double k : g.bends) std::fabs(t) < g.near ? add(k * inv_a) : add_both(k);
    std::sort(y->begin(), y->end());
    for (std::size_t p = 0; p + 1 < y->size(); ++p) {
        const double wide = (*y)[p + 1] - (*y)[p];
        if (wide <= 0.0) continue;
        const int parts = static_cast<int>(wide / kWidest) + 1;
        const double r = 0.5 * wide / parts;
        for (int part = 0; part < parts; ++part) {
            const double c = (*y)[p] + (2 * part + 1) * r;
            bool between = false;
            if (g.use_slope)
                for (double k : g.kinks)
                    between = between || std::fabs(k - g.a * c) < std::fabs(shift);
            out->panels.push_back({c, r, shift, outer, between});
        }
    }
}

// phi(x + d) - phi(x - d) from phi' at both ends, where phi' is straight between them, else by
// three Gauss nodes, for the panels of a batch.
void fill_slopes(const Plane& g, Batch* b) {
    constexpr double node = 0.774596669241483377036, outer = 5.0 / 9.0, inner = 8.0 / 9.0;
    const std::size_t n = b->weight.size();
    const std::size_t order = static_cast<std::size_t>(gauss_rule2().n);
    b->slope.resize(n);
    if (g.straight) {
        for (std::size_t i = 0; i < n; ++i)
            b->slope[i] = g.s * b->panels[i / order].shift * (b->dphi[i] + b->dphi[n + i]);
        return;
    }
    for (auto* v : {&b->at, &b->ignored, &b->slope}) v->resize(3 * n);
    for (std::size_t i = 0; i < n; ++i) {
        const double x = 0.5 * (b->h[i] + b->h[n + i]), d = g.s * b->panels[i / order].shift;
        b->at[i] = x - node * d;
        b->at[n + i] = x;
        b->at[2 * n + i] = x + node * d;
    }
    g.f.eval(b->at.data(), 3 * n, b->ignored.data(), b->slope.data());
    for (std::size_t i = 0; i < n; ++i) {
        const double sum = outer * (b->slope[i] + b->slope[2 * n + i]) + inner * b->slope[n + i];
        b->slope[i] = g.s * b->panels[i / order].shift * sum;
    }
}

// Evaluates the panels of a batch and adds them up.
void add_batch(const Plane& g, Batch* b, PairMoments* p) {
    const GaussRule& rule = gauss_rule2();
    constexpr int order = kOrder2;
    const std::size_t count = b->panels.size(), n = count * order;
    b->h.resize(2 * n);
    b->weight.resize(n);
    b->width.resize(2 * count);
    for (std::size_t k = 0; k < count; ++k) {
        const Panel& panel = b->panels[k];
        const double one = g.s * g.a, two = g.s * panel.shift, sign = g.flip ? -1.0 : 1.0;
        const double scale = panel.outer * panel.half * kInvSqrt2Pi;
        double *u = &b->h[k * order], *v = &b->h[n + k * order], *w = &b->weight[k * order];
        for (int i = 0; i < order; ++i) {
            const double y = panel.centre + panel.half * rule.x[i];
            u[i] = one * y + two;
            v[i] = sign * (one * y - two);
            w[i] = scale * rule.w[i] * special::exp_plain(-0.5 * y * y);
        }
        b->width[k] = panel.half * one;
        b->width[count + k] = sign * panel.half * one;
    }
    eval_panels(g.f, rule, b->h, b->width, &b->phi, &b->dphi);
    const bool slopes = g.use_slope && !g.flip;
    if (slopes) fill_slopes(g, b);
    for (std::size_t k = 0; k < count; ++k) {
        const bool direct = !slopes || b->panels[k].straddles;
        double products = 0.0, primes = 0.0, below = 0.0, above = 0.0;
        for (std::size_t i = k * order; i < (k + 1) * order; ++i) {
            const double w = b->weight[i], x = b->phi[i], y = b->phi[n + i];
            const double minus = direct ? x - y : b->slope[i], plus = x + y;
            products += w * x * y;
            primes += w * b->dphi[i] * b->dphi[n + i];
            below += w * minus * minus;
            above += w * plus * plus;
        }
        p->phi_phi += products;
        p->dphi_dphi += primes;
        p->below += 0.5 * below;
        p->above += 0.5 * above;
    }
    b->panels.clear();
}

// Outer breaks: kink lines of u and v meet, and the step b t s passes a scale.
std::vector<double> outer_breaks(const Plane& g, const Structure& st, double scale, double tail,
                                 bool half) {
    const double reach = 9.3;
    std::vector<double> t = {0.0, 0.5 * reach, reach};
    const double unit = g.b * g.s;
    auto add = [&](double at) {
        if (at > 0.0 && at < reach) t.push_back(at);
    };
    for (double x : st.kinks)
        for (double y : st.kinks) add(std::fabs(g.flip ? x + y : x - y) / (2.0 * unit));
    if (scale > 0.0)
        for (double at = 2.0 * scale / unit; at < std::min(reach, tail / unit); at *= 3.0) add(at);
    std::sort(t.begin(), t.end());
    t.erase(std::unique(t.begin(), t.end()), t.end());
    if (half) return t;
    std::vector<double> full;
    for (std::size_t i = t.size(); i-- > 1;) full.push_back(-t[i]);
    full.insert(full.end(), t.begin(), t.end());
    return full;
}

PairMoments by_panels(const Function& f, double q, const Correlation& r) {
    const bool flip = r.c < 0.0;
    Plane g{f,
            std::sqrt(q),
            std::sqrt(0.5 * (flip ? r.below : r.above)),
            std::sqrt(0.5 * (flip ? r.above : r.below)),
            flip,
            false,
            !f.traits.discover && f.traits.scale == 0.0,
            0.0,
            {},
            {}};
    const Structure st = structure(f, -15.0 * g.s, 15.0 * g.s, f.traits.tail);
    for (double k : st.kinks) g.kinks.push_back(k / g.s);
    for (double e : st.edges)
        if (!std::binary_search(st.kinks.begin(), st.kinks.end(), e)) g.bends.push_back(e / g.s);
    double scale = f.traits.discover ? 1.0 : f.traits.scale;
    const double step = 2.0 * g.b * g.s;
    g.use_slope =
        f.traits.has_derivative && step < 0.01 * (scale > 0.0 ? std::min(scale, 1.0) : 1.0);
    if (!f.traits.discover && !flip) g.near = 0.25 * scale / (g.b * g.s);
    const bool half = !flip || f.traits.parity != Parity::none;
    const std::vector<double> t = outer_breaks(g, st, scale, f.traits.tail, half);
    const GaussRule& rule = gauss_rule2();
    PairMoments p{};
    Batch batch;
    std::vector<double> y;
    for (std::size_t k = 0; k + 1 < t.size(); ++k) {
        const double c = 0.5 * (t[k] + t[k + 1]), w = 0.5 * (t[k + 1] - t[k]);
        for (int i = 0; i < rule.n; ++i) {
            const double at = c + w * rule.x[i];
            const double outer = w * rule.w[i] * special::normal_pdf(at) * (half ? 2.0 : 1.0);
            add_line(g, at, outer, &y, &batch);
            if (batch.panels.size() > (f.traits.discover ? 6000u : 64u)) add_batch(g, &batch, &p);
        }
    }
    add_batch(g, &batch, &p);
    if (f.traits.parity == Parity::odd && flip && g.use_slope) {
        // E over (u, -v) has correlation -c
        const PairMoments o = by_panels(f, q, {-r.c, r.above, r.below});
        p.above = o.below;
    }
    return p;
}

PairMoments by_series(const HermiteSeries& h, double q, const Correlation& r) {
    PairMoments p{};
    // 1 - |c|^n = -expm1(n log |c|), log |c| from the distance to the near end
    const bool flip = r.c < 0.0;
    const double gap = flip ? r.above : r.below;
    const double log_c = gap < 0.5 ? special::log1p(-gap) : special::log(std::fabs(r.c));
    double power = 1.0, before = 0.0;  // c^n, c^(n-1)
    for (std::size_t n = 0; n < h.square.size(); ++n) {
        const double a = h.square[n];
        p.phi_phi += a * power;
        if (n > 0) p.dphi_dphi += n * a * before;
        const double near = n == 0       ? 0.0
                            : r.c == 0.0 ? 1.0
                                         : -special::expm1(static_cast<double>(n) * log_c);
        const bool negative = flip && n % 2 == 1;
        p.below += a * (negative ? 2.0 - near : near);
        p.above += a * (negative ? near : 2.0 - near);
        before = power;
        power *= r.c;
    }
    // the part beyond the last coefficient has c^n ~ 0: it counts whole in both gaps
    double sum = 0.0;
    for (double a : h.square) sum += a;
    const double rest = h.total - sum;
    if (rest > 1e-14 * h.total) {
        const double lost = 1.0 - std::fabs(power);
        p.below += rest * lost;
        p.above += rest * lost;
    }
    p.dphi_dphi /= q;
    return p;
}

}  // namespace

HermiteSeries hermite_series(const Function& f, double q, double reach, int limit) {
    // he_n turns with wave number sqrt(n): 20 nodes on a panel follow 10 radians
    const Grid g = make_grid(f, q, 0.0, true, limit > 200 ? 1.0 : 2.0);
    const std::size_t n = g.h.size();
    const Parity parity = f.traits.parity;
    std::vector<double> phi(n), other(n), even(n), odd(n), back(n);
    f.eval(g.h.data(), n, phi.data(), nullptr);
    if (parity == Parity::none) {
        for (std::size_t i = 0; i < n; ++i) back[i] = -g.h[i];
        f.eval(back.data(), n, other.data(), nullptr);
    }
    HermiteSeries out;
    out.total = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        const double x = phi[i];
        const double y = parity == Parity::odd ? -x : parity == Parity::even ? x : other[i];
        out.total += g.weight[i] * (x * x + y * y);
        even[i] = g.weight[i] * (x + y);
        odd[i] = g.weight[i] * (x - y);
    }
    out.slope_total = q * gaussian_moments(f, q).dphi2;
    out.reach = reach;
    out.converged = false;
    // normalised he_n by the stable three-term recurrence, all nodes at once
    std::vector<double> p0(n, 1.0), p1 = g.z, p2(n);
    double sum = 0.0, slope_sum = 0.0, power = 1.0, recent = 0.0;
    for (int k = 0; k < limit; ++k) {
        const std::vector<double>& part = k % 2 ? odd : even;
        double a = 0.0;
        if (!(parity == Parity::odd && k % 2 == 0) && !(parity == Parity::even && k % 2 == 1))
            for (std::size_t i = 0; i < n; ++i) a += part[i] * p0[i];
        out.square.push_back(a * a);
        sum += a * a;
        slope_sum += k * a * a;
        recent = std::max(0.7 * recent, (k + 1) * a * a * power);
        power *= reach;
        if (k >= 3 && recent < 0.1 * kNoise * out.slope_total &&
            std::fabs(out.slope_total - slope_sum) * power < kAgree * out.slope_total &&
            std::fabs(out.total - sum) * power < kAgree * out.total) {
            out.converged = true;
            break;
        }
        const double up = 1.0 / std::sqrt(k + 2.0), down = std::sqrt((k + 1.0) / (k + 2.0));
        for (std::size_t i = 0; i < n; ++i) p2[i] = g.z[i] * p1[i] * up - p0[i] * down;
        p0.swap(p1);
        p1.swap(p2);
    }
    return out;
}

// a_n^2 falls like exp(-2 d sqrt(n)) with d the distance of the nearest singularity in units
// of sqrt(q), algebraically with a kink; reach^n helps.
static bool series_can_converge(const Traits& t, double q, double reach) {
    if (reach < 1.0) return true;  // 0.8^170 is noise
    if (!t.kinks.empty() || (t.discover && !t.has_derivative)) return false;
    return q < 16.0 * t.scale * t.scale;
}

PairMoments PairCache::operator()(double q, const Correlation& r) {
    PairMoments p;
    if (f_.closed_pair(q, r, &p)) return p;
    if (r.below <= 0.0) return degenerate(f_, q, true);
    if (r.above <= 0.0) return degenerate(f_, q, false);
    if (f_.traits.strip > 0.0 && lattice_pair(f_, q, r, &rest_, &p)) return p;
    const double reach = std::fabs(r.c) < 0.8 ? 0.8 : 1.0;
    if (f_.jumps().empty() && series_can_converge(f_.traits, q, reach)) {
        if (q != q_ || reach != series_.reach) {
            series_ = hermite_series(f_, q, reach, 200);
            if (!series_.converged) series_ = hermite_series(f_, q, reach, 700);
            q_ = q;
        }
        if (series_.converged) return by_series(series_, q, r);
    }
    return by_panels(f_, q, r);
}

PairMoments pair_moments(const Function& f, double q, const Correlation& r) {
    return PairCache(f)(q, r);
}

}  // namespace fastinit
