// SPDX-License-Identifier: BSD-3-Clause
// The standard normal law truncated to a window, in float64 scalars. Built on
// core/special.h, so that bounds and corrected standard deviations, which reach the
// weights, have the same bits on every system.
#pragma once

namespace fastinit {

// P(Z > x) / density(x), x >= 0 (Mills' ratio); 3e-16 relative.
double mills_ratio(double x);

struct TruncatedMoments {
    double mean, variance;
};
// Of N(0, 1) truncated to [a, b], a < b, either may be infinite; 1e-13 relative, in far
// tails too.
TruncatedMoments truncated_moments(double a, double b);

}  // namespace fastinit
