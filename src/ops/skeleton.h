// SPDX-License-Identifier: BSD-3-Clause
//
// Closed pair expectations of GELU and erf, and the skeleton of a smooth activation: the
// function of closed form from which it differs by a rest that decays on both sides.
#pragma once

#include "ops/activations.h"

namespace fastinit {

// E over (u, v) ~ N(0, q [[1, c], [c, 1]]); relative accuracy of `below` as c -> 1.
PairMoments gelu_pair(double q, const Correlation& r);
PairMoments erf_pair(double q, const Correlation& r);  // of `above` as c -> -1 too

// level + line h + ramp h Phi(h / w) + step erf(h / (w sqrt 2)): analytic, and straight beyond
// a few w.  A ramp and a step do not come together.
class Skeleton {
 public:
    explicit Skeleton(const Traits& t);

    // E and E' over h ~ N(m, variance); the function itself at variance 0.
    void smoothed(double m, double variance, double* phi, double* dphi) const;
    PairMoments pair(double q, const Correlation& r) const;

 private:
    Asymptotes a_;
    double width_;
};

}  // namespace fastinit
