// SPDX-License-Identifier: BSD-3-Clause
//
// Mean-field maps of a wide random network and what follows from them: variance and
// correlation maps, fixed points, critical line, depth scales, Jacobian spectrum.
// sw, sb: fan_in * Var W and Var b.
#pragma once

#include <vector>

#include "ops/moments.h"

namespace fastinit {

constexpr double kTiny = 1e-30;  // stands for q -> 0: panels and closed forms are exact there

// q' = sw E[phi^2] + sb
double q_map(const Function& f, double q, double sw, double sb);

// Correlation after one layer of two inputs with second moment q; next_q = q_map(q).
struct CorrelationStep {
    Correlation c;
    double next_q;
    double slope;  // dc'/dc
};
class CorrelationMap {
 public:
    explicit CorrelationMap(const Function& f) : f_(f), pair_(f) {}
    CorrelationStep operator()(double q, const Correlation& c, double sw, double sb);
    // second_moment of the function, kept for the last q.
    double second(double q);

 private:
    const Function& f_;
    PairCache pair_;
    double last_q_ = -1.0, last_second_ = 0.0;
};

struct FixedPoint {
    double q, slope, chi1;
    bool stable;
};
// All of them over q in [1e-12, 1e12], and q = 0 when it is one.  Where every q is fixed
// (positively homogeneous phi at its critical gain) q = 1 stands for them.
std::vector<FixedPoint> fixed_points(const Function& f, double sw, double sb);

struct CriticalPoint {
    double sw, sb, q;
};
CriticalPoint critical_line(const Function& f, double q);
// Smallest q on the critical line with this sb, a stable one if there is any; false if none.
bool critical_point(const Function& f, double sb, CriticalPoint* out);

enum class Phase { ordered, critical, chaotic };
struct DepthScales {
    double q, c, chi1, xi_q, xi_c, xi_grad;
    Phase phase;
};
DepthScales depth_scales(const Function& f, double sw, double sb);

struct Spectrum {
    double mean, variance, largest;
};
Spectrum jacobian_spectrum(const Function& f, int depth, double sw, double q, bool orthogonal);

}  // namespace fastinit
