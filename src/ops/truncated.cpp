// SPDX-License-Identifier: BSD-3-Clause
// Mills' ratio and truncated moments (see truncated.h).
#include "ops/truncated.h"

#include <algorithm>

#include "core/constants.h"
#include "core/special.h"
#include "ops/quadrature.h"

namespace fastinit {

double mills_ratio(double x) {
    constexpr double root_half_pi = 1.25331413731550025121;
    return root_half_pi * special::erfcx(x * kRootHalf);
}

TruncatedMoments truncated_moments(double a, double b) {
    if (a < 0.0 && b < -a) {  // mirror, so that the heavier side is never the far one
        const TruncatedMoments m = truncated_moments(-b, -a);
        return {-m.mean, m.variance};
    }
    // Distances d from the mode within the window: moments about it keep their digits in
    // narrow and in far windows. Beyond `reach` the density is 1e-35 of its largest.
    const double mode = std::max(a, 0.0);
    const double reach = mode > 0.0 ? std::min(13.0, 85.0 / mode) : 13.0;
    const double begin = std::max(a - mode, -13.0), end = std::min(b - mode, reach);
    constexpr int panels = 48;
    const double half = (end - begin) / (2 * panels);
    const GaussRule& rule = gauss_rule();
    double s0 = 0.0, s1 = 0.0, s2 = 0.0;
    for (int p = 0; p < panels; ++p) {
        const double center = begin + (2 * p + 1) * half;
        for (int k = 0; k < rule.n; ++k) {
            const double d = center + half * rule.x[static_cast<std::size_t>(k)];
            const double f = rule.w[static_cast<std::size_t>(k)] * special::exp(-d * (mode + 0.5 * d));
            s0 += f;
            s1 += f * d;
            s2 += f * d * d;
        }
    }
    const double d = s1 / s0;
    return {mode + d, s2 / s0 - d * d};
}

}  // namespace fastinit
