// SPDX-License-Identifier: BSD-3-Clause
//
// Gaussian expectations of an activation, one input or two correlated ones: closed
// forms where they exist, else panels (one input), lattices, Hermite series or
// two-dimensional panels (two inputs).
#pragma once

#include <vector>

#include "ops/smooth_pairs.h"

namespace fastinit {

// std::domain_error that names the jump where phi has no slope over h ~ N(mean, q): it jumps
// and has no derivative of its own.
void require_slope(const Function& f, double q, double mean = 0.0);

// Seven expectations over h ~ N(mean, q), q >= 0.
Moments gaussian_moments(const Function& f, double q, double mean = 0.0);

// The same by panels alone, q > 0.
Moments panel_moments(const Function& f, double q, double mean);

// E[phi(h)^2] over h ~ N(0, q), q >= 0.
double second_moment(const Function& f, double q);

// Var phi(h) over h ~ N(0, q), q >= 0.
double variance(const Function& f, double q);

// Normalised Hermite coefficients a_n of phi(sqrt(q) z), n = 0, 1, ...; stops when
// reach^n a_n^2 (n + 1) is rounding noise. converged is false if `limit` came first.
struct HermiteSeries {
    std::vector<double> square;  // a_n^2
    double total, slope_total;   // E[phi^2], q E[phi'^2]
    double reach;                // largest |c| it was built for
    bool converged;
};
HermiteSeries hermite_series(const Function& f, double q, double reach, int limit);

// E over (u, v) ~ N(0, q [[1, c], [c, 1]]), 0 < q, |c| <= 1.
PairMoments pair_moments(const Function& f, double q, const Correlation& r);

// Keeps the rest of a smooth activation, and of others the Hermite series of the last q: maps
// along a network reach a fixed point.
class PairCache {
 public:
    explicit PairCache(const Function& f) : f_(f) {}
    PairMoments operator()(double q, const Correlation& r);

 private:
    const Function& f_;
    double q_ = -1.0;
    HermiteSeries series_;
    Rest rest_;
};

}  // namespace fastinit
