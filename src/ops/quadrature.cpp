// SPDX-License-Identifier: BSD-3-Clause
//
// Panel widths: with 20 nodes a panel of up to six standard deviations integrates the
// Gaussian times a polynomial to 1e-17, and a panel [a, 3a] (or [0, 2 scale]) a function
// whose nearest singularity is 4/3 scale away from the real axis to 1e-15 (its fourth power
// to 1e-14).
#include "ops/quadrature.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/special.h"
#include "ops/jumps.h"

namespace fastinit {
namespace {

// Positive nodes, descending, and their weights (50-digit Newton on Legendre polynomials).
constexpr double kNode20[] = {
    0x1.fc7b5a0c71ce0p-1, 0x1.ed8dba7bd769fp-1, 0x1.d31064173fd92p-1, 0x1.ada0bd5efd6e7p-1,
    0x1.7e1f37346a54ep-1, 0x1.45a8d3fa710dbp-1, 0x1.05905c13f7ff7p-1, 0x1.7eaccf15652c4p-2,
    0x1.d281636928bc0p-3, 0x1.3973df98b86b0p-4,
};
constexpr double kWeight20[] = {
    0x1.209680274e8afp-6, 0x1.4c9b5ea53b67fp-5, 0x1.00b467df7e475p-4, 0x1.5519fe196e24ap-4,
    0x1.a1817a317a821p-4, 0x1.e41ff31573b48p-4, 0x1.0db2c5db26dffp-3, 0x1.230348f34a535p-3,
    0x1.31819b52c5992p-3, 0x1.38d6c490a3370p-3,
};
constexpr double kNode16[] = {
    0x1.fa92c264d787ep-1, 0x1.e39f56616f9b0p-1, 0x1.bb3403514e483p-1, 0x1.82c45dda4726bp-1,
    0x1.3c5a466d5e8b8p-1, 0x1.d50259a43a772p-2, 0x1.205cae642337cp-2, 0x1.852bd6676a9f9p-4,
};
constexpr double kWeight16[] = {
    0x1.bcddab4b7c211p-6, 0x1.fdfb1a2c1265dp-5, 0x1.85c4ee79cc258p-4, 0x1.fe7af2bad386ap-4,
    0x1.325f61bca3cbfp-3, 0x1.5a6ebbb5a75fcp-3, 0x1.75f8c77e0c00fp-3, 0x1.83feae80e4dfcp-3,
};

GaussRule make_rule(int n, const double* x, const double* w) {
    GaussRule r;
    r.n = n;
    r.x.resize(n);
    r.w.resize(n);
    for (int i = 0; i < n / 2; ++i) {
        r.x[i] = -x[i];
        r.x[n - 1 - i] = x[i];
        r.w[i] = r.w[n - 1 - i] = w[i];
    }
    // barycentric differentiation; the diagonal makes constants vanish exactly
    std::vector<double> b(n);
    for (int i = 0; i < n; ++i)
        b[i] = (i % 2 ? -1.0 : 1.0) * std::sqrt((1.0 - r.x[i] * r.x[i]) * r.w[i]);
    r.derivative.assign(n * n, 0.0);
    for (int i = 0; i < n; ++i) {
        double sum = 0.0;
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            const double d = b[j] / b[i] / (r.x[i] - r.x[j]);
            r.derivative[i * n + j] = d;
            sum += d;
        }
        r.derivative[i * n + i] = -sum;
    }
    return r;
}

// Values at the nodes to Legendre coefficients, n x n.
std::vector<double> make_legendre(const GaussRule& r) {
    std::vector<double> m(r.n * r.n);
    for (int j = 0; j < r.n; ++j) {
        double p0 = 1.0, p1 = r.x[j];
        for (int k = 0; k < r.n; ++k) {
            m[k * r.n + j] = (k + 0.5) * r.w[j] * p0;
            const double p2 = ((2 * k + 3) * r.x[j] * p1 - (k + 1) * p0) / (k + 2);
            p0 = p1;
            p1 = p2;
        }
    }
    return m;
}

void add_symmetric(std::vector<double>* edges, double at, double low, double high) {
    if (at > low && at < high) edges->push_back(at);
    if (-at > low && -at < high) edges->push_back(-at);
}

// 0, and 2 scale 3^k on both sides, inside (low, high), up to the first beyond tail.
void add_scales(std::vector<double>* edges, double scale, double low, double high,
                double tail = 1e300) {
    const double reach = std::min(3.0 * tail, std::max(std::fabs(low), std::fabs(high)));
    double at = 2.0 * scale;
    if (!(at < reach)) return;
    add_symmetric(edges, 0.0, low, high);
    for (; at < reach; at *= 3.0) add_symmetric(edges, at, low, high);
}

void sort_unique(std::vector<double>* v) {
    std::sort(v->begin(), v->end());
    v->erase(std::unique(v->begin(), v->end()), v->end());
}

struct Panel { double low, high; };

// True where the last Legendre coefficients over the panel [low, high] are rounding noise: of the
// values, or of the points (the slope times their spacing there), `coarse` times that of doubles.
bool resolved(const std::vector<double>& legendre, int n, const double* value, double low,
              double high, double coarse, double noise = 0.0) {
    double top = 0.0, most = value[0], least = value[0];
    for (int i = 0; i < n; ++i) {
        top = std::max(top, std::fabs(value[i]));
        most = std::max(most, value[i]);
        least = std::min(least, value[i]);
    }
    double tail = 0.0;
    for (int k = n - 4; k < n; ++k) {
        double c = 0.0;
        for (int j = 0; j < n; ++j) c += legendre[k * n + j] * value[j];
        tail = std::max(tail, std::fabs(c));
    }
    const double spacing = 1e-15 * coarse * std::max(std::fabs(low), std::fabs(high));
    return tail <= 4e-14 * coarse * top + spacing * (most - least) / (high - low) + noise + 1e-300;
}

// Whether the polynomial through the values over a panel that ends at 0, where formulas turn, is the
// function between 0 and the nearest node too.
bool holds_near_zero(const Function& f, const std::vector<double>& legendre, int n, const double* value,
                     const Panel& p, double noise) {
    if (p.low * p.high != 0.0) return true;
    double h[14], phi[14], at = p.low == 0.0 ? p.high : p.low, top = 0.0;
    for (double& x : h) x = at /= 3.0;
    f.eval(h, std::size(h), phi, nullptr);
    for (int j = 0; j < n; ++j) top = std::max(top, std::fabs(value[j]));
    std::vector<double> c(n);
    for (int k = 0; k < n; ++k) c[k] = std::inner_product(value, value + n, &legendre[k * n], 0.0);
    for (std::size_t i = 0; i < std::size(h); ++i) {
        const double x = (2.0 * h[i] - p.low - p.high) / (p.high - p.low);
        double sum = 0.0, p0 = 1.0, p1 = x;
        for (int k = 0; k < n; ++k) {
            sum += c[k] * p0;
            const double p2 = ((2 * k + 3) * x * p1 - (k + 1) * p0) / (k + 2);
            p0 = std::exchange(p1, p2);
        }
        if (!(std::fabs(sum - phi[i]) <= 1e3 * (4e-14 * f.coarseness() * top + noise))) return false;
    }
    return true;
}

constexpr std::size_t kMaxPanels = 3000;  // beyond it the function is noise

// Bisects panels until phi (and phi') are resolved; unresolved slivers go to kinks.
std::vector<double> refine(const Function& f, std::vector<double> edges, double sliver,
                           std::vector<double>* kinks) {
    const GaussRule& rule = gauss_rule();
    static const std::vector<double> legendre = make_legendre(rule);
    std::vector<Panel> pending, next;
    for (std::size_t i = 0; i + 1 < edges.size(); ++i) pending.push_back({edges[i], edges[i + 1]});
    std::size_t total = pending.size();
    std::vector<double> h, phi(rule.x.size()), dphi;
    // where the weight is, a value rounds by this much: a formula that cancels shows it in its tail
    double noise = 0.0;
    for (double x : rule.x)
        h.push_back(0.5 * (edges.front() + edges.back()) + (edges.back() - edges.front()) / 24 * x);
    f.eval(h.data(), h.size(), phi.data(), nullptr);
    const double coarse = f.coarseness();
    for (double v : phi) noise = std::max(noise, 2.2e-16 * coarse * std::fabs(v));
    while (!pending.empty() && total < kMaxPanels) {
        h.clear();
        for (const Panel& p : pending)
            for (int i = 0; i < rule.n; ++i)
                h.push_back(0.5 * (p.low + p.high) + 0.5 * (p.high - p.low) * rule.x[i]);
        phi.resize(h.size());
        dphi.resize(h.size());
        f.eval(h.data(), h.size(), phi.data(), f.traits.has_derivative ? dphi.data() : nullptr);
        next.clear();
        for (std::size_t k = 0; k < pending.size(); ++k) {
            const double *v = &phi[k * rule.n], *d = &dphi[k * rule.n];
            const Panel p = pending[k];
            if (resolved(legendre, rule.n, v, p.low, p.high, coarse, noise) &&
                (!f.traits.has_derivative || resolved(legendre, rule.n, d, p.low, p.high, coarse)) &&
                holds_near_zero(f, legendre, rule.n, v, p, noise)) continue;
            const double middle = 0.5 * (p.low + p.high);
            if (p.high - p.low < sliver || middle <= p.low || middle >= p.high) {
                kinks->push_back(snap(p.low, p.high));
                continue;
            }
            edges.push_back(middle);
            next.push_back({p.low, middle});
            next.push_back({middle, p.high});
        }
        pending.swap(next);
        total += pending.size();
    }
    sort_unique(&edges);
    return edges;
}

// A bisection may land on a kink, and then both sides are resolved: edges across which the
// function is not smooth.
void kinks_among(const Function& f, const std::vector<double>& edges, std::vector<double>* kinks) {
    const GaussRule& rule = gauss_rule();
    const std::vector<double> legendre = make_legendre(rule);
    const std::size_t n = static_cast<std::size_t>(rule.n);
    std::vector<double> h;
    for (std::size_t i = 1; i + 1 < edges.size(); ++i) {
        const double gap = std::min(edges[i] - edges[i - 1], edges[i + 1] - edges[i]);
        for (double x : rule.x) h.push_back(edges[i] + 0.25 * gap * x);
    }
    if (h.empty()) return;
    std::vector<double> phi(h.size()), dphi(h.size());
    f.eval(h.data(), h.size(), phi.data(), f.traits.has_derivative ? dphi.data() : nullptr);
    for (std::size_t i = 1; i + 1 < edges.size(); ++i) {
        const std::size_t at = (i - 1) * n;
        const double low = h[at], high = h[at + n - 1];
        if (!resolved(legendre, rule.n, &phi[at], low, high, f.coarseness()) ||
            (f.traits.has_derivative && !resolved(legendre, rule.n, &dphi[at], low, high, f.coarseness())))
            kinks->push_back(edges[i]);
    }
}

}  // namespace

const GaussRule& gauss_rule() {
    static const GaussRule r = make_rule(kOrder, kNode20, kWeight20);
    return r;
}

const GaussRule& gauss_rule2() {
    static const GaussRule r = make_rule(kOrder2, kNode16, kWeight16);
    return r;
}

Structure structure(const Function& f, double low, double high, double tail) {
    Structure s;
    if (!f.traits.discover) {
        for (double k : f.traits.kinks)
            if (k > low && k < high) s.kinks.push_back(k);
        s.edges = s.kinks;
        if (f.traits.scale > 0.0) {
            const double top = f.traits.linear_above ? std::min(high, 0.0) : high;
            add_scales(&s.edges, f.traits.scale, low, top, tail);
        }
        sort_unique(&s.edges);
        return s;
    }
    std::vector<double> start = {low, high};
    add_scales(&start, 1.0, low, high);
    for (double k : f.traits.kinks)
        if (k > low && k < high) s.kinks.push_back(k);
    start.insert(start.end(), s.kinks.begin(), s.kinks.end());
    sort_unique(&start);
    const double sliver = 0x1p-41 * (high - low);
    std::vector<double> found;
    std::vector<double> edges = refine(f, start, sliver, &found);
    if (!found.empty()) {
        // with the kinks as edges the panels beside them need no geometric grading
        sort_unique(&found);
        for (double k : found)
            if (k > low && k < high && (s.kinks.empty() || k - s.kinks.back() > 4.0 * sliver))
                s.kinks.push_back(k);
        start.insert(start.end(), s.kinks.begin(), s.kinks.end());
        sort_unique(&start);
        std::vector<double> again;
        edges = refine(f, start, 16.0 * sliver, &again);
    }
    kinks_among(f, edges, &s.kinks);
    s.edges.assign(edges.begin() + 1, edges.end() - 1);
    sort_unique(&s.kinks);
    return s;
}

void eval_panels(const Function& f, const GaussRule& rule, const std::vector<double>& h,
                 const std::vector<double>& half_width, std::vector<double>* phi,
                 std::vector<double>* dphi) {
    const std::size_t n = h.size();
    phi->resize(n);
    if (dphi) dphi->resize(n);
    const bool own = f.traits.has_derivative;
    f.eval(h.data(), n, phi->data(), dphi && own ? dphi->data() : nullptr);
    if (!dphi || own) return;
    for (std::size_t p = 0; p * rule.n < n; ++p) {
        const double* v = phi->data() + p * rule.n;
        for (int i = 0; i < rule.n; ++i) {
            double s = 0.0;
            for (int j = 0; j < rule.n; ++j) s += rule.derivative[i * rule.n + j] * v[j];
            (*dphi)[p * rule.n + i] = s / half_width[p];
        }
    }
}

namespace {

// How far phi^4 keeps weight on each side where phi grows fast, as exp does: looked at further out
// only while there is some, as functions need not be made for large numbers.
void follow_growth(const Function& f, double s, double mean, double* low, double* high) {
    constexpr double step = 1.25, most = 38.0, faint = 41.0;  // e^-41 of the peak
    std::vector<double> z, h, phi;
    double peak = -1e300;
    auto log_weights = [&] {
        h.clear();
        for (double at : z) h.push_back(mean + s * at);
        phi.resize(h.size());
        f.probe(h.data(), h.size(), phi.data(), nullptr);
        for (std::size_t i = 0; i < z.size(); ++i) {
            const double size = std::fabs(phi[i]);
            phi[i] = size > 0.0 && size < 1e150 ? 4.0 * special::log(size) - 0.5 * z[i] * z[i] : -1e300;
            peak = std::max(peak, phi[i]);
        }
    };
    for (double at = *low; at < *high; at += step) z.push_back(at);
    z.push_back(*high);
    log_weights();
    const double last[] = {phi.front(), phi.back()}, within = peak;
    for (double* end : {low, high}) {
        peak = within;  // the other side's may lie far above where this one begins
        double v = last[end == high];
        while (v > peak - faint && std::fabs(*end) + step < most) {
            z.assign(1, *end + (end == high ? step : -step));
            log_weights();
            v = phi[0];
            if (v > -1e300) *end = z[0];
        }
    }
}

}  // namespace

Grid make_grid(const Function& f, double q, double mean, bool fold, double max_width,
               const std::vector<double>& extra) {
    const double s = std::sqrt(q);
    Grid g;
    g.half = fold || (f.traits.parity != Parity::none && mean == 0.0);
    // Twelve deviations, and on towards h = 0: where phi falls off exponentially (softplus,
    // sigmoid, silu ...) the weight of phi^4 lies up to 4 sqrt(q) deviations nearer to zero.
    double low = -12.0, high = 12.0;
    const double reach = std::min(38.0, 4.0 * s / std::max(f.traits.scale, 0.25) + 12.0);
    const double zero = -mean / s;
    if (zero > 0.0) high = std::max(high, std::min(zero + 12.0, reach));
    if (zero < 0.0) low = std::min(low, std::max(zero - 12.0, -reach));
    if (f.traits.scale == 0.0 && f.traits.parity != Parity::odd) {
        // zero on one side: all the weight may sit beyond a kink
        if (zero > 0.0) high = std::max(high, std::min(zero + 12.0, 38.0));
        if (zero < 0.0) low = std::min(low, std::max(zero - 12.0, -38.0));
    }
    if (f.traits.discover) {
        follow_growth(f, s, mean, &low, &high);
        if (fold) high = std::max(high, -low);
    }
    if (g.half) low = 0.0;
    const double h_low = mean + s * (fold ? -high : low), h_high = mean + s * high;
    // a mean far from zero may leave all the weight to a tail that is polynomial, but tiny
    const Structure st = structure(f, h_low, h_high, mean == 0.0 ? f.traits.tail : 1e300);
    std::vector<double> z = {low, high};
    auto add = [&](double h) {
        double at = (h - mean) / s;
        if (fold) at = std::fabs(at);
        if (at > low && at < high) z.push_back(at);
    };
    for (double e : st.edges) add(e);
    for (double e : extra) add(e);
    // where a tail carries the answer its exponential slope needs shorter panels
    if (std::fabs(zero) > 5.0) {
        for (double at = 4.5; at < 12.0; at += 1.5) {
            if (-at > low && zero < 0.0) z.push_back(-at);
            if (at < high && zero > 0.0) z.push_back(at);
        }
        for (double at = 12.0; at < 38.0; at += 1.25) {
            if (-at > low) z.push_back(-at);
            if (at < high) z.push_back(at);
        }
    }
    sort_unique(&z);

    // equal parts of what is still too wide
    for (std::size_t p = 0, n = z.size(); p + 1 < n; ++p) {
        const double wide = z[p + 1] - z[p];
        const int parts = static_cast<int>(wide / max_width) + (wide > max_width ? 1 : 0);
        for (int i = 1; i < parts; ++i) z.push_back(z[p] + wide * i / parts);
    }
    sort_unique(&z);

    const GaussRule& rule = gauss_rule();
    std::vector<double> half_width;
    for (std::size_t p = 0; p + 1 < z.size(); ++p) {
        const double c = 0.5 * (z[p] + z[p + 1]), r = 0.5 * (z[p + 1] - z[p]);
        half_width.push_back(r * s);
        for (int i = 0; i < rule.n; ++i) {
            const double at = c + r * rule.x[i];
            g.z.push_back(at);
            g.h.push_back(mean + s * at);
            g.weight.push_back(r * rule.w[i] * special::normal_pdf(at) *
                               (g.half && !fold ? 2.0 : 1.0));
        }
    }
    if (!fold) eval_panels(f, rule, g.h, half_width, &g.phi, &g.dphi);
    return g;
}

}  // namespace fastinit
