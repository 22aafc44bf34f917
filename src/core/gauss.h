// SPDX-License-Identifier: BSD-3-Clause
// Tails and truncated moments of the standard normal law, in float64 scalars. Built
// from IEEE operations alone, so that bounds and corrected standard deviations, which
// reach the weights, have the same bits on every system.
#pragma once

namespace fastinit::gauss {

double exp(double x);              // 1 ulp; 0 below -745
double density(double x);          // of N(0, 1); relative error 3e-16
double mills(double x);            // P(Z > x) / density(x), x >= 1; 1e-15
double upper(double x);            // P(Z > x); relative error 1e-15 for every x

struct Moments {
    double mean, variance;
};
// Of N(0, 1) truncated to [a, b], a < b, either may be infinite; 1e-13 relative,
// in far tails too.
Moments truncated_moments(double a, double b);

}  // namespace fastinit::gauss
