// SPDX-License-Identifier: BSD-3-Clause
// Steps that take every number by itself: activations and dropout.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/constants.h"
#include "ops/simulate_steps.h"

namespace fastinit::simulation {
namespace {

constexpr double kLargest = std::numeric_limits<float>::max();
constexpr double kBeyond = 1e30;  // a value this large at the largest number counts as infinite
constexpr std::int64_t kColumns = 128;

class ActivationStep final : public Step {
public:
    ActivationStep(std::int64_t columns, std::int64_t channels, Activated activation)
        : Step(columns, columns), channels_(channels), f_(std::move(activation)) {}

    void forward(Pass& pass, std::int64_t rows, const float* x, float* y) override {
        if (pass.measure) return measured_forward(pass, rows, x, y);
        f_.evaluate(pass.team, x, rows * in, y, nullptr);
    }

    void backward(Pass& pass, Point at, std::int64_t rows, const float* gy, float* gx) override {
        if (at.shared) return tangent(pass, at.x, rows, gy, gx);
        f_.evaluate(pass.team, at.x, rows * in, nullptr, gx);
        for_elements(pass.team, rows * in, [&](std::int64_t begin, std::int64_t count) {
            for (std::int64_t i = begin; i < begin + count; ++i) gx[i] *= gy[i];
        });
    }

    void tangent(Pass& pass, const float* x, std::int64_t rows, const float* v, float* y) override {
        const Pool::Lease slope = pass.pool.take(in);
        f_.evaluate(pass.team, x, in, nullptr, slope.data());
        pass.team.run(static_cast<std::size_t>(rows), [&](std::size_t row, int) {
            const std::int64_t at = static_cast<std::int64_t>(row) * in;
            for (std::int64_t j = 0; j < in; ++j) y[at + j] = v[at + j] * slope.data()[j];
        });
    }

private:
    // By columns, because a unit is dead when no input at all, and no place of an image, has a slope there.
    void measured_forward(Pass& pass, std::int64_t rows, const float* x, float* y) {
        const std::int64_t chunks = (in + kColumns - 1) / kColumns;
        std::vector<std::int64_t> saturated_of(static_cast<std::size_t>(chunks));
        std::vector<float> steepest(static_cast<std::size_t>(in));
        const auto body = [&](std::size_t chunk, int) {
            const std::int64_t first = static_cast<std::int64_t>(chunk) * kColumns;
            const std::int64_t n = std::min(kColumns, in - first);
            float slope[kColumns], *const most = steepest.data() + first;
            std::int64_t count = 0;
            for (std::int64_t r = 0; r < rows; ++r) {
                f_.evaluate(x + r * in + first, n, y + r * in + first, slope);
                int saturated = 0;
                for (std::int64_t j = 0; j < n; ++j) {
                    const float size = std::fabs(slope[j]);
                    saturated += size < static_cast<float>(f_.threshold);
                    most[j] = size <= most[j] ? most[j] : size;  // a NaN is no dead unit
                }
                count += saturated;
            }
            saturated_of[chunk] = count;
        };
        if (f_.serial) {
            for (std::size_t chunk = 0; chunk < saturated_of.size(); ++chunk) body(chunk, 0);
        } else {
            pass.team.run(saturated_of.size(), body);
        }
        std::int64_t saturated = 0, dead = 0;
        for (const std::int64_t count : saturated_of) saturated += count;
        for (std::int64_t c = 0; c < channels_; ++c) {
            bool flat = true;
            for (std::int64_t j = c; j < in; j += channels_) flat &= steepest[static_cast<std::size_t>(j)] == 0.0f;
            dead += flat;
        }
        measured.saturated = static_cast<double>(saturated) / static_cast<double>(rows * in);
        measured.dead = static_cast<double>(dead) / static_cast<double>(channels_);
    }

    const std::int64_t channels_;
    Activated f_;
};

class DropoutStep final : public Step {
public:
    DropoutStep(std::int64_t columns, double keep, Key key) : Step(columns, columns), keep_(keep) {
        // The float32 law compares u in [0, 1) with `keep`: its step of 2^-24 is fine enough.
        law_ = law_params({Asked::uniform, 0.0, 1.0, 0.0, 0.0}, DType::float32, key, 0);
    }

    void forward(Pass& pass, std::int64_t rows, const float* x, float* y) override { apply(pass, false, rows, x, y); }
    void backward(Pass& pass, Point at, std::int64_t rows, const float* gy, float* gx) override {
        apply(pass, at.shared, rows, gy, gx);
    }
    void tangent(Pass& pass, const float*, std::int64_t rows, const float* v, float* y) override {
        apply(pass, true, rows, v, y);
    }

private:
    void apply(Pass& pass, bool shared, std::int64_t rows, const float* x, float* y) const {
        const auto keep = static_cast<float>(keep_), scale = static_cast<float>(1.0 / keep_);
        pass.team.run(static_cast<std::size_t>(rows), [&](std::size_t row, int) {
            float u[1024];
            const auto r = static_cast<std::int64_t>(row);
            for (std::int64_t j = 0; j < in; j += 1024) {
                const std::int64_t n = std::min<std::int64_t>(1024, in - j);
                const auto first = static_cast<std::uint64_t>((shared ? 0 : r) * in + j);
                generate(law_, DType::float32, first, static_cast<std::size_t>(n), u);
                for (std::int64_t i = 0; i < n; ++i) y[r * in + j + i] = u[i] < keep ? x[r * in + j + i] * scale : 0.0f;
            }
        });
    }

    const double keep_;
    LawParams law_;
};

}  // namespace

void Activated::evaluate(const float* x, std::int64_t count, float* phi, float* dphi) const {
    double at[kColumns], f[kColumns], d[kColumns];
    for (std::int64_t i = 0; i < count; i += kColumns) {
        const auto n = static_cast<std::size_t>(std::min(kColumns, count - i));
        // Functions see finite numbers only.
        for (std::size_t j = 0; j < n; ++j) {
            const double v = static_cast<double>(x[i + static_cast<std::int64_t>(j)]);
            at[j] = v == v ? std::min(kLargest, std::max(-kLargest, v)) : 0.0;
        }
        const bool own = function->traits.has_derivative;
        function->eval(at, n, f, dphi != nullptr && own ? d : nullptr);
        if (dphi != nullptr && !own) central_differences(*function, at, n, d);
        for (std::size_t j = 0; j < n; ++j) {
            const std::int64_t k = i + static_cast<std::int64_t>(j);
            const double v = static_cast<double>(x[k]);
            const bool beyond = !(std::fabs(v) <= kLargest) && std::fabs(f[j]) >= kBeyond;
            if (phi != nullptr) {
                const double y = beyond ? std::copysign(std::numeric_limits<double>::infinity(), f[j]) : f[j];
                phi[k] = static_cast<float>(v == v ? y : kNan);
            }
            if (dphi != nullptr) dphi[k] = static_cast<float>(v == v ? d[j] : kNan);
        }
    }
}

void Activated::evaluate(Team& team, const float* x, std::int64_t n, float* phi, float* dphi) const {
    if (serial) return evaluate(x, n, phi, dphi);
    for_elements(team, n, [&](std::int64_t begin, std::int64_t count) {
        evaluate(x + begin, count, phi == nullptr ? nullptr : phi + begin, dphi == nullptr ? nullptr : dphi + begin);
    });
}

std::unique_ptr<Step> activation_step(std::int64_t columns, std::int64_t channels, Activated activation) {
    return std::make_unique<ActivationStep>(columns, channels, std::move(activation));
}

std::unique_ptr<Step> dropout_step(std::int64_t columns, double keep, Key key) {
    return std::make_unique<DropoutStep>(columns, keep, key);
}

}  // namespace fastinit::simulation
