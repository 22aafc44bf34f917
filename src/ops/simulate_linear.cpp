// SPDX-License-Identifier: BSD-3-Clause
// Linear maps as products of packed operands: images unfold into patches, and weights are drawn,
// while the operands are packed; neither is stored.
#include "ops/simulate_linear.h"

#include <limits>

#include "ops/simulate_patches.h"

namespace fastinit::simulation {
namespace {

constexpr std::int64_t kGradientRows = 1024;  // of a weight's gradient at once

Matrix<const float> matrix(const float* data, std::int64_t rows, std::int64_t columns, std::int64_t step) {
    return {data, rows, columns, step, 1};
}

}  // namespace

void Linear::forward(Pass& pass, std::int64_t rows, const float* x, float* y, bool bias) const {
    const std::int64_t lines = rows * w_.places(), channels = w_.channels / groups_, columns = columns_ / groups_;
    weight_->ready(pass);
    for (std::int64_t g = 0; g < groups_; ++g) {
        const Matrix<float> out{y + g * columns, lines, columns, columns_, 1};
        const KernelColumns b(kernel(g));
        if (plain()) {
            const Rows<float> a(matrix(x, rows, channels, channels));
            gemm<float>(pass.team, pass.space, a, b, channels, 1.0f, false, out);
        } else {
            const PatchLines<Seen> a({w_, x, g * channels, channels});
            gemm<float>(pass.team, pass.space, a, b, w_.taps() * channels, 1.0f, false, out);
        }
    }
    if (!bias || !bias_) return;
    std::vector<float> b(static_cast<std::size_t>(columns_));
    bias_->ready(pass);
    bias_->read(0, columns_, b.data());
    for_elements(pass.team, lines * columns_, [&](std::int64_t begin, std::int64_t count) {
        for (std::int64_t i = begin; i < begin + count; ++i) y[i] += b[static_cast<std::size_t>(i % columns_)];
    });
}

void Linear::backward(Pass& pass, std::int64_t rows, const float* gy, float* gx, bool add) const {
    const std::int64_t channels = w_.channels / groups_, columns = columns_ / groups_;
    weight_->ready(pass);
    for (std::int64_t g = 0; g < groups_; ++g) {
        const Matrix<float> out{gx + g * channels, rows * w_.pixels(), channels, w_.channels, 1};
        const KernelRows b(kernel(g), columns);
        if (plain()) {
            const Rows<float> a(matrix(gy, rows, columns, columns));
            gemm<float>(pass.team, pass.space, a, b, columns, 1.0f, add, out);
        } else {
            const PatchLines<SeenBy> a({w_, gy, columns_, g * columns, columns});
            gemm<float>(pass.team, pass.space, a, b, w_.taps() * columns, 1.0f, add, out);
        }
    }
}

double Linear::weight_gradient(Pass& pass, std::int64_t rows, const float* x, const float* gy) const {
    const float sx = scale_of(pass.team, x, rows * in()), sg = scale_of(pass.team, gy, rows * out());
    if (sx == 0.0f || sg == 0.0f) return std::numeric_limits<double>::quiet_NaN();  // not all are finite
    if (!plain()) return convolution_gradient(pass, rows, x, sx, gy, sg);
    // The gradient of one input is an outer product: its squares are those of the factors.
    const auto a = row_squares(pass.team, x, rows, in()), b = row_squares(pass.team, gy, rows, out());
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum / static_cast<double>(in()) / static_cast<double>(out()) / static_cast<double>(rows);
}

double Linear::convolution_gradient(Pass& pass, std::int64_t rows, const float* x, float sx, const float* gy,
                                    float sg) const {
    const std::int64_t lines = rows * w_.places(), channels = w_.channels / groups_, columns = columns_ / groups_;
    const std::int64_t features = w_.taps() * channels, each = std::min(features, kGradientRows);
    const Pool::Lease space = pass.pool.take(each * columns);
    double sum = 0.0;
    for (std::int64_t g = 0; g < groups_; ++g) {
        const Rows<float> gradients(matrix(gy + g * columns, lines, columns, columns_).transposed());
        for (std::int64_t first = 0; first < features; first += each) {
            const std::int64_t n = std::min(each, features - first);
            const PatchSteps<Seen> patches({w_, x, g * channels, channels}, first);
            gemm<float>(pass.team, pass.space, Scaled(patches, sx), Scaled(gradients, sg), lines, 1.0f, false,
                        {space.data(), n, columns, columns, 1});
            sum += square(pass.team, space.data(), n * columns);
        }
    }
    const double scale = static_cast<double>(sx) * static_cast<double>(sg);
    return sum / scale / scale / static_cast<double>(features * columns_) / static_cast<double>(rows);
}

namespace {

class LinearStep final : public Step {
public:
    explicit LinearStep(std::unique_ptr<Linear> map) : Step(map->in(), map->out()), map_(std::move(map)) {}

    void forward(Pass& pass, std::int64_t rows, const float* x, float* y) override {
        map_->forward(pass, rows, x, y, true);
    }
    void backward(Pass& pass, Point at, std::int64_t rows, const float* gy, float* gx) override {
        if (pass.measure) measured.weight_gradient = map_->weight_gradient(pass, rows, at.x, gy);
        map_->backward(pass, rows, gy, gx, false);
    }
    void tangent(Pass& pass, const float*, std::int64_t rows, const float* v, float* y) override {
        map_->forward(pass, rows, v, y, false);
    }

private:
    std::unique_ptr<Linear> map_;
};

}  // namespace

std::unique_ptr<Step> linear_step(std::unique_ptr<Linear> map) { return std::make_unique<LinearStep>(std::move(map)); }

}  // namespace fastinit::simulation
