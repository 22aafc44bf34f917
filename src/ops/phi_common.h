// SPDX-License-Identifier: BSD-3-Clause
//
// What the activation structs of phi_piecewise.h and phi_smooth.h share. Each struct has
// traits(), phi and phi' as operator()(x, f, d), and the closed forms that it overrides from
// Plain. Only activations.cpp includes these three headers.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/constants.h"
#include "core/special_core.h"
#include "ops/activations.h"
#include "ops/skeleton.h"

namespace fastinit {
namespace {

namespace sp = special;

// exp(-|x|), clamped where nothing depends on it any more; no branch.
inline double exp_down(double x) { return sp::exp_plain(std::max(-std::fabs(x), -708.0)); }

constexpr double kSeluLambda = 1.05070098735548049342;
constexpr double kSeluAlpha = 1.67326324235437728482;

// Analytic for |Im h| < strip.
Traits smooth(double scale, double tail, double strip, Asymptotes a,
              Parity parity = Parity::none) {
    Traits t;
    t.parity = parity;
    t.scale = scale;
    t.tail = tail;
    t.strip = strip;
    t.asymptotes = a;
    return t;
}

constexpr Asymptotes kRamp{0.0, 0.0, 1.0, 0.0};

struct Plain {  // no closed form
    static bool moments(double, double, Moments*) { return false; }
    static bool first(double, double*) { return false; }
    static bool second(double, double*) { return false; }
    static bool pair(double, const Correlation&, PairMoments*) { return false; }
};

}  // namespace
}  // namespace fastinit
