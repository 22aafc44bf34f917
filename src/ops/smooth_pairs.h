// SPDX-License-Identifier: BSD-3-Clause
//
// Two correlated inputs of an activation that is analytic in a strip.
#pragma once

#include <vector>

#include "ops/skeleton.h"

namespace fastinit {

// An activation less its skeleton on the lattice u = (i - n) step.
struct Rest {
    std::vector<double> u, phi, dphi, base;  // base: the skeleton's phi
    double step = 0.0;
};

// E over (u, v) ~ N(0, q [[1, c], [c, 1]]), |c| < 1; false where it would take too long.
// rest is filled when first needed: it depends on f alone.
bool lattice_pair(const Function& f, double q, const Correlation& r, Rest* rest, PairMoments* p);

// The same where u and v (or u and -v) lie closer together than the strip is wide.
PairMoments ridge_pair(const Function& f, double q, const Correlation& r);

// Trapezoidal step for a Gaussian of this deviation times a function analytic in the strip:
// exp(-42) is left out, by shifting the path of integration (Trefethen & Weideman 2014).
double lattice_step(double deviation, double strip);

}  // namespace fastinit
