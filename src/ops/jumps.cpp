// SPDX-License-Identifier: BSD-3-Clause
#include "ops/jumps.h"

#include <algorithm>
#include <cmath>

namespace fastinit {
namespace {

struct Gap {
    double low, high, at_low, at_high, before;  // before: the step some bisections earlier

    double step() const { return std::fabs(at_high - at_low); }
};

// Between neighbours of a geometric grid over both signs, at places no formula is written for.
std::vector<Gap> gaps(const Function& f, double* scale) {
    std::vector<double> x;
    for (double at = 1.0314e-6; at < 1e4; at *= 1.0157) {
        x.push_back(at);
        x.push_back(-at);
    }
    std::sort(x.begin(), x.end());
    std::vector<double> phi(x.size());
    f.probe(x.data(), x.size(), phi.data(), nullptr);
    std::vector<Gap> out;
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {
        out.push_back({x[i], x[i + 1], phi[i], phi[i + 1], 0.0});
        if (std::fabs(x[i]) < 3.0 && std::fabs(phi[i]) > *scale) *scale = std::fabs(phi[i]);
    }
    return out;
}

}  // namespace

double snap(double low, double high) {
    if (low <= 0.0 && high >= 0.0) return 0.0;
    const double middle = 0.5 * (low + high);
    for (double unit : {1.0, 16.0, 10.0, 100.0, 1024.0, 1000.0, 10000.0}) {
        const double r = std::nearbyint(middle * unit) / unit;
        if (r >= low && r <= high) return r;
    }
    return middle;
}

std::vector<double> find_jumps(const Function& f) {
    constexpr int kBisections = 40, kEarlier = 30;
    double scale = 0.0;
    std::vector<Gap> pending = gaps(f, &scale), next;
    std::vector<double> middle, phi;
    for (int k = 0; k < kBisections && !pending.empty(); ++k) {
        middle.clear();
        for (const Gap& g : pending) middle.push_back(0.5 * (g.low + g.high));
        phi.resize(middle.size());
        f.probe(middle.data(), middle.size(), phi.data(), nullptr);
        next.clear();
        for (std::size_t i = 0; i < pending.size(); ++i) {
            const Gap& g = pending[i];
            const double before = k == kEarlier ? g.step() : g.before;
            const Gap left{g.low, middle[i], g.at_low, phi[i], before};
            const Gap right{middle[i], g.high, phi[i], g.at_high, before};
            const Gap& kept = left.step() > right.step() ? left : right;
            const double top =
                std::max({scale, std::fabs(kept.at_low), std::fabs(kept.at_high)});
            if (kept.step() > 1e-6 * top) next.push_back(kept);  // not rounding, of float32 either
        }
        pending.swap(next);
    }
    std::vector<double> found;
    for (const Gap& g : pending)  // a root, however steep, falls by more over ten bisections
        if (g.step() > 0.5 * g.before) found.push_back(snap(g.low, g.high));
    return found;
}

}  // namespace fastinit
