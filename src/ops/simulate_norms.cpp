// SPDX-License-Identifier: BSD-3-Clause
// Normalization: y = (x - mean) / sqrt(variance + epsilon), with the sums in float64 and in order.
#include <algorithm>
#include <cmath>

#include "ops/simulate_steps.h"

namespace fastinit::simulation {
namespace {

constexpr std::int64_t kColumns = 64;

// LayerNorm and RMSNorm (which takes 0 for the mean). Their Jacobian is symmetric:
// (I - 1 1^T / n - y y^T / n) / sigma, without the second term for RMSNorm.
class NormStep final : public Step {
public:
    NormStep(std::int64_t columns, Norm norm, std::int64_t group, double epsilon)
        : Step(columns, columns), centered_(norm == Norm::layer), group_(group), epsilon_(epsilon) {}

    void forward(Pass& pass, std::int64_t rows, const float* x, float* y) override {
        pass.team.run(static_cast<std::size_t>(rows), [&](std::size_t row, int) {
            const std::int64_t begin = static_cast<std::int64_t>(row) * in;
            for (std::int64_t i = begin; i < begin + in; i += group_) {
                const Scale s = scale(x + i);
                for (std::int64_t j = i; j < i + group_; ++j) y[j] = s.of(x[j]);
            }
        });
    }

    void backward(Pass& pass, Point at, std::int64_t rows, const float* gy, float* gx) override {
        const double n = static_cast<double>(group_);
        pass.team.run(static_cast<std::size_t>(rows), [&](std::size_t row, int) {
            const auto r = static_cast<std::int64_t>(row);
            for (std::int64_t i = 0; i < in; i += group_) {
                const float* x = at.x + at.row(r) * in + i;
                const float* g = gy + r * in + i;
                float* to = gx + r * in + i;
                const Scale s = scale(x);
                double sum = 0.0, along = 0.0;
                for (std::int64_t j = 0; j < group_; ++j) {
                    sum += g[j];
                    along += static_cast<double>(g[j]) * ((static_cast<double>(x[j]) - s.mean) * s.factor);
                }
                const double mean = centered_ ? sum / n : 0.0;
                for (std::int64_t j = 0; j < group_; ++j) {
                    const double y = (static_cast<double>(x[j]) - s.mean) * s.factor;
                    to[j] = static_cast<float>(s.factor * (g[j] - mean - y * (along / n)));
                }
            }
        });
    }

    void tangent(Pass& pass, const float* x, std::int64_t rows, const float* v, float* y) override {
        backward(pass, {x, true}, rows, v, y);
    }

private:
    struct Scale {
        double mean, factor;
        float of(float x) const { return static_cast<float>((static_cast<double>(x) - mean) * factor); }
    };

    Scale scale(const float* x) const {
        const double n = static_cast<double>(group_);
        double mean = 0.0, square = 0.0;
        if (centered_) {
            for (std::int64_t j = 0; j < group_; ++j) mean += x[j];
            mean /= n;
        }
        for (std::int64_t j = 0; j < group_; ++j) {
            const double d = static_cast<double>(x[j]) - mean;
            square += d * d;
        }
        return {mean, 1.0 / std::sqrt(square / n + epsilon_)};
    }

    const bool centered_;
    const std::int64_t group_;
    const double epsilon_;
};

class BatchNormStep final : public Step {
public:
    BatchNormStep(std::int64_t columns, std::int64_t channels, double epsilon)
        : Step(columns, columns), channels_(channels), epsilon_(epsilon), mean_(static_cast<std::size_t>(channels)),
          factor_(static_cast<std::size_t>(channels)) {}

    void forward(Pass& pass, std::int64_t rows, const float* x, float* y) override {
        const std::int64_t lines = rows * (in / channels_);
        if (!pass.frozen) update(pass, lines, x);
        each_channel(pass, [&](std::int64_t c, std::int64_t n) {
            for (std::int64_t i = 0; i < lines; ++i) {
                for (std::int64_t j = c; j < c + n; ++j) y[i * channels_ + j] = static_cast<float>(normal(x, i, j));
            }
        });
    }

    // The statistics are those of the last batch, the one that `at` holds unless it is shared.
    void backward(Pass& pass, Point at, std::int64_t rows, const float* gy, float* gx) override {
        if (at.shared) return tangent(pass, at.x, rows, gy, gx);
        const std::int64_t lines = rows * (in / channels_);
        each_channel(pass, [&](std::int64_t c, std::int64_t n) {
            double sum[kColumns] = {}, along[kColumns] = {};
            for (std::int64_t i = 0; i < lines; ++i) {
                for (std::int64_t j = 0; j < n; ++j) {
                    const double g = gy[i * channels_ + c + j];
                    sum[j] += g;
                    along[j] += g * normal(at.x, i, c + j);
                }
            }
            const double all = static_cast<double>(lines);
            for (std::int64_t i = 0; i < lines; ++i) {
                for (std::int64_t j = 0; j < n; ++j) {
                    const std::int64_t k = i * channels_ + c + j;
                    const double rest = gy[k] - sum[j] / all - normal(at.x, i, c + j) * (along[j] / all);
                    gx[k] = static_cast<float>(factor_[static_cast<std::size_t>(c + j)] * rest);
                }
            }
        });
    }

    // Of one input, the statistics held.
    void tangent(Pass& pass, const float*, std::int64_t rows, const float* v, float* y) override {
        const std::int64_t lines = rows * (in / channels_);
        each_channel(pass, [&](std::int64_t c, std::int64_t n) {
            for (std::int64_t i = 0; i < lines; ++i) {
                for (std::int64_t j = c; j < c + n; ++j) {
                    y[i * channels_ + j] = static_cast<float>(factor_[static_cast<std::size_t>(j)] * v[i * channels_ + j]);
                }
            }
        });
    }

private:
    double normal(const float* x, std::int64_t line, std::int64_t channel) const {
        const auto c = static_cast<std::size_t>(channel);
        return (static_cast<double>(x[line * channels_ + channel]) - mean_[c]) * factor_[c];
    }

    void update(Pass& pass, std::int64_t lines, const float* x) {
        each_channel(pass, [&](std::int64_t c, std::int64_t n) {
            double sum[kColumns] = {}, square[kColumns] = {};
            for (std::int64_t i = 0; i < lines; ++i) {
                for (std::int64_t j = 0; j < n; ++j) sum[j] += x[i * channels_ + c + j];
            }
            for (std::int64_t j = 0; j < n; ++j) sum[j] /= static_cast<double>(lines);
            for (std::int64_t i = 0; i < lines; ++i) {
                for (std::int64_t j = 0; j < n; ++j) {
                    const double d = static_cast<double>(x[i * channels_ + c + j]) - sum[j];
                    square[j] += d * d;
                }
            }
            for (std::int64_t j = 0; j < n; ++j) {
                mean_[static_cast<std::size_t>(c + j)] = sum[j];
                factor_[static_cast<std::size_t>(c + j)] =
                    1.0 / std::sqrt(square[j] / static_cast<double>(lines) + epsilon_);
            }
        });
    }

    template <class Body>
    void each_channel(Pass& pass, const Body& body) const {
        pass.team.run(static_cast<std::size_t>((channels_ + kColumns - 1) / kColumns), [&](std::size_t chunk, int) {
            const std::int64_t c = static_cast<std::int64_t>(chunk) * kColumns;
            body(c, std::min(kColumns, channels_ - c));
        });
    }

    const std::int64_t channels_;
    const double epsilon_;
    std::vector<double> mean_, factor_;
};

}  // namespace

std::unique_ptr<Step> norm_step(std::int64_t columns, Norm norm, std::int64_t group, double epsilon) {
    return std::make_unique<NormStep>(columns, norm, group, epsilon);
}

std::unique_ptr<Step> batch_norm_step(std::int64_t columns, std::int64_t channels, double epsilon) {
    return std::make_unique<BatchNormStep>(columns, channels, epsilon);
}

}  // namespace fastinit::simulation
