// SPDX-License-Identifier: BSD-3-Clause
// All kinds of steps.
#pragma once
#include <memory>

#include "ops/activations.h"
#include "ops/simulate_linear.h"

namespace fastinit::simulation {

// An activation as steps use it.
struct Activated {
    std::shared_ptr<const Function> function;
    bool serial;       // on the calling thread alone
    double threshold;  // |phi'| below it counts as saturated

    // phi and phi' of n numbers, each rounded once; either may be null. NaN gives NaN.
    void evaluate(const float* x, std::int64_t n, float* phi, float* dphi) const;
    // The same by all threads.
    void evaluate(Team&, const float* x, std::int64_t n, float* phi, float* dphi) const;
};

// y = a x + b f(x)
struct ResidualScales {
    double skip, branch;
};

enum class Norm { layer, rms };
enum class Pooling { mean, max };

// Of the last `channels` columns each is a unit, over places.
std::unique_ptr<Step> activation_step(std::int64_t columns, std::int64_t channels, Activated activation);
// Columns are dropped with their own word of the generator, and the rest divided by `keep`.
std::unique_ptr<Step> dropout_step(std::int64_t columns, double keep, Key key);
// Over every run of `group` columns.
std::unique_ptr<Step> norm_step(std::int64_t columns, Norm norm, std::int64_t group, double epsilon);
// Over inputs and places, for each of the last `channels` columns.
std::unique_ptr<Step> batch_norm_step(std::int64_t columns, std::int64_t channels, double epsilon);
std::unique_ptr<Step> pool_step(const Windows& windows, Pooling pooling);
std::unique_ptr<Step> residual_step(std::vector<std::unique_ptr<Step>> branch, ResidualScales scales);
// down(phi(gate x) * up x)
std::unique_ptr<Step> gated_step(std::unique_ptr<Linear> gate, std::unique_ptr<Linear> up,
                                 std::unique_ptr<Linear> down, Activated activation);

}  // namespace fastinit::simulation
