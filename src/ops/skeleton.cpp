// SPDX-License-Identifier: BSD-3-Clause
//
// Williams 1997 (erf) and Tsuchida et al. 2021 (GELU), arranged so that E[phi^2] - E[phi phi]
// is a sum of positive terms.
#include "ops/skeleton.h"

#include <cmath>

#include "core/constants.h"
#include "core/special.h"

namespace fastinit {

namespace sp = special;

PairMoments gelu_pair(double q, const Correlation& r) {
    // with k = c q, g = 1 + q, d^2 = g^2 - k^2 and a = atan2(k, d), 2 pi E =
    // (k^2 + q^2 d^2) / (g^2 d) + k a + pi k / 2
    const double k = q * r.c, g = 1.0 + q, part = q / g, d1 = std::sqrt(1.0 + 2.0 * q);
    const double d = std::sqrt((1.0 + q * r.below) * (1.0 + q * r.above));
    const double a = sp::atan2(k, d), a1 = sp::atan2(q, d1);
    const double total = q * (0.25 + (part / d1 + 0.5 * a1) * kInvPi);
    PairMoments p;
    p.phi_phi = ((k / g) * (k / g) / d + part * part * d + k * a) * (0.5 * kInvPi) + 0.25 * k;
    const double tail = k / d * (1.0 / (d * d) + (1.0 - q) / g + 1.0);
    p.dphi_dphi = 0.25 + (a + tail) * (0.5 * kInvPi);
    p.above = total + p.phi_phi;
    p.below = total - p.phi_phi;
    if (r.c > 0.0) {
        // t = a1 - a from its sine and cosine; q sin t takes up what is negative in the
        // difference of the first terms
        const double e = r.below * r.above, sum = d + d1, conjugate = d + r.c * d1;
        const double t = sp::atan2(q * e / conjugate, part * (k / g) + (d1 / g) * (d / g));
        const double first = ((1.0 + 2.0 * q) * sum + q * q * r.below * d1) / (sum * conjugate);
        const double second = (q * q / sum + d1) / (d1 * d);
        const double rest = q * sp::minus_sin(t) + part * part * e * (first + second);
        p.below = q * r.below * (0.25 + 0.5 * kInvPi * a) + 0.5 * kInvPi * rest;
    }
    return p;
}

PairMoments erf_pair(double q, const Correlation& r) {
    // 2/pi asin(c a), a = 2q / (1 + 2q)
    const double up = 1.0 + 2.0 * q * r.above, down = 1.0 + 2.0 * q * r.below;
    const double root = std::sqrt(up * down);
    const double k = 2.0 * q * r.c, full = 2.0 * q, edge = std::sqrt(1.0 + 4.0 * q);
    PairMoments p;
    p.phi_phi = 2.0 * kInvPi * sp::atan2(k, root);
    p.dphi_dphi = 4.0 * kInvPi / root;
    // asin x - asin y = atan2 of (sin, cos) of the difference; sin by the conjugate
    const double n2 = (1.0 + 2.0 * q) * (1.0 + 2.0 * q), cosines = edge * root;
    const double square = full * full * r.below * r.above;  // full^2 - k^2
    const double sum = full * root + std::fabs(k) * edge;
    const double near = sp::atan2(square * (n2 / sum), cosines + full * std::fabs(k));
    const double far = sp::atan2(full, edge) + sp::atan2(std::fabs(k), root);
    p.below = 2.0 * kInvPi * (k >= 0 ? near : far);
    p.above = 2.0 * kInvPi * (k >= 0 ? far : near);
    return p;
}

// The width: narrow enough to be straight where the rest has decayed, wide enough that the
// lattice of the activation resolves it (exp(-(42 width / strip)^2 / 2) is far below noise).
Skeleton::Skeleton(const Traits& t) : a_(t.asymptotes), width_(0.6 * t.strip) {}

void Skeleton::smoothed(double m, double variance, double* phi, double* dphi) const {
    const double w2 = width_ * width_, r2 = w2 + variance, r = std::sqrt(r2);
    const double z = m / r, density = sp::normal_pdf(z);
    *phi = a_.level + a_.line * m;
    *dphi = a_.line;
    if (a_.ramp != 0.0) {
        const double cdf = 0.5 * sp::erfc(-z * kRootHalf);
        *phi += a_.ramp * (m * cdf + variance / r * density);
        *dphi += a_.ramp * (cdf + z * density * (w2 / r2));
    }
    if (a_.step != 0.0) {
        *phi += a_.step * sp::erf(z * kRootHalf);
        *dphi += a_.step * (2.0 * density / r);
    }
}

PairMoments Skeleton::pair(double q, const Correlation& r) const {
    const double w2 = width_ * width_, level2 = a_.level * a_.level;
    // E[u g(v)] = c q E[g'], and E[g'] of the ramp is 1/2
    const double slope = std::sqrt(2.0 * kInvPi / (w2 + q));
    const double straight = a_.line * (a_.line + a_.ramp + 2.0 * a_.step * slope);
    PairMoments p{straight * q * r.c + level2, straight, straight * q * r.below,
                  straight * q * r.above + 2.0 * level2};
    auto add = [&](double scale, double slopes, const PairMoments& o) {
        p.phi_phi += scale * o.phi_phi;
        p.dphi_dphi += slopes * o.dphi_dphi;
        p.below += scale * o.below;
        p.above += scale * o.above;
    };
    const double ramp2 = a_.ramp * a_.ramp, step2 = a_.step * a_.step;
    if (ramp2 > 0.0) add(ramp2 * w2, ramp2, gelu_pair(q / w2, r));
    if (step2 > 0.0) add(step2, 0.5 * step2 / w2, erf_pair(0.5 * q / w2, r));
    return p;
}

}  // namespace fastinit
