// SPDX-License-Identifier: BSD-3-Clause
//
// What the exponential branch of ELU adds to the expectations of ReLU.
#pragma once

#include "ops/activations.h"

namespace fastinit {

// For phi(y) = y above zero and alpha (exp(y) - 1) below, y ~ N(0, p), p > 0.
double elu_second(double p, double alpha);

// p comes with the expectations of ReLU. angle is acos c, both ways: acos c and pi - acos c.
void add_exponential(double q, double alpha, const Correlation& r, double angle, double opposite,
                     PairMoments* p);

}  // namespace fastinit
