// SPDX-License-Identifier: BSD-3-Clause
//
// Where a function of which nothing is known jumps.
#pragma once

#include <vector>

#include "ops/activations.h"

namespace fastinit {

// Where phi jumps for 1e-6 < |h| < 1e4, or at 0: found by bisection.
std::vector<double> find_jumps(const Function& f);

// A short decimal or dyadic number inside [low, high], else the middle: kinks of hand-written
// functions are at such places.
double snap(double low, double high);

}  // namespace fastinit
