// SPDX-License-Identifier: BSD-3-Clause
//
// Gauss-Legendre panels for Gaussian expectations of an activation: where the
// panels must break (kinks, curvature near zero, the Gaussian itself), nodes and
// weights, and the search for panels of a function of which nothing is known.
#pragma once

#include <vector>

#include "ops/activations.h"

namespace fastinit {

constexpr int kOrder = 20;   // nodes of a one-dimensional panel
constexpr int kOrder2 = 16;  // nodes of a panel in two dimensions

struct GaussRule {
    int n;
    std::vector<double> x, w;        // on [-1, 1], ascending
    std::vector<double> derivative;  // n x n: values at the nodes to derivatives there
};

const GaussRule& gauss_rule();   // kOrder
const GaussRule& gauss_rule2();  // kOrder2

// Positions in h, ascending, at which panels inside (low, high) must break.
struct Structure {
    std::vector<double> kinks;  // phi or a derivative jumps
    std::vector<double> edges;  // kinks, and where curvature asks for shorter panels
};
// Beyond `tail` no curvature is looked for.
Structure structure(const Function& f, double low, double high, double tail = 1e300);

// Nodes of E over h ~ N(mean, q): h, z = (h - mean) / sqrt(q), weight with the density.
struct Grid {
    std::vector<double> h, z, weight, phi, dphi;
    bool half;  // only z > 0, weights doubled: the function is odd or even and mean = 0
};

// fold: z > 0 only whatever the parity (the caller treats both signs).
// extra: further break points in h.
Grid make_grid(const Function& f, double q, double mean, bool fold = false, double max_width = 6.0,
               const std::vector<double>& extra = {});

// phi and phi' at the nodes of consecutive panels of rule.n nodes; panel p spans
// half_width[p] (in h) on each side.  Differentiates the interpolant where the function has
// no derivative of its own.
void eval_panels(const Function& f, const GaussRule& rule, const std::vector<double>& h,
                 const std::vector<double>& half_width, std::vector<double>* phi,
                 std::vector<double>* dphi);

}  // namespace fastinit
