// SPDX-License-Identifier: BSD-3-Clause
// Linear maps as products of packed operands: images unfold into patches, and weights are drawn,
// while the operands are packed; neither is stored.
#include "ops/simulate_linear.h"

#include <limits>

#include "ops/simulate_patches.h"

namespace fastinit::simulation {
namespace {

constexpr std::int64_t kGramRows = 2048;      // a Gram matrix of so many rows takes 16 MiB
constexpr std::int64_t kDirectRows = 1024;    // of a weight's gradient at once

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
        if (w_.single()) {
            gemm<float>(pass.team, pass.space, Rows<float>(matrix(x, rows, channels, channels)), b, channels, 1.0f, false, out);
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
        if (w_.single()) {
            gemm<float>(pass.team, pass.space, Rows<float>(matrix(gy, rows, columns, columns)), b, columns, 1.0f, add, out);
        } else {
            const PatchLines<SeenBy> a({w_, gy, columns_, g * columns, columns});
            gemm<float>(pass.team, pass.space, a, b, w_.taps() * columns, 1.0f, add, out);
        }
    }
}

double Linear::weight_gradient(Pass& pass, std::int64_t rows, const float* x, const float* gy) const {
    const float sx = scale_of(pass.team, x, rows * in()), sg = scale_of(pass.team, gy, rows * out());
    if (sx == 0.0f || sg == 0.0f) return std::numeric_limits<double>::quiet_NaN();
    const std::int64_t lines = rows * w_.places(), features = w_.taps() * w_.channels / groups_;
    const std::int64_t columns = columns_ / groups_;
    const bool small = lines <= kGramRows && lines * (features + columns) <= features * columns;
    double sum = 0.0;
    for (std::int64_t g = 0; g < groups_; ++g) {
        sum += small ? gram(pass, rows, x, gy, g, sx, sg) : direct(pass, rows, x, gy, g, sx, sg);
    }
    const double scale = static_cast<double>(sx) * static_cast<double>(sg);
    return sum / scale / scale / static_cast<double>(features * columns_) / static_cast<double>(rows);
}

// |X^T G|^2 = sum over pairs of lines (x_b . x_c) (g_b . g_c): the gradient itself is never formed.
double Linear::gram(Pass& pass, std::int64_t rows, const float* x, const float* gy, std::int64_t group, float sx,
                    float sg) const {
    const std::int64_t lines = rows * w_.places(), channels = w_.channels / groups_, columns = columns_ / groups_;
    const Pool::Lease p = pass.pool.take(lines * lines), q = pass.pool.take(lines * lines);
    const auto square = [&](const Source<float>& source, float scale, std::int64_t depth, float* to) {
        const Scaled scaled(source, scale);
        gemm<float>(pass.team, pass.space, scaled, scaled, depth, 1.0f, false, {to, lines, lines, lines, 1});
    };
    if (w_.single()) {
        square(Rows<float>(matrix(x, rows, channels, channels)), sx, channels, p.data());
    } else {
        square(PatchLines<Seen>({w_, x, group * channels, channels}), sx, w_.taps() * channels, p.data());
    }
    square(Rows<float>(matrix(gy + group * columns, lines, columns, columns_)), sg, columns, q.data());
    return dot(pass.team, p.data(), q.data(), lines * lines);
}

double Linear::direct(Pass& pass, std::int64_t rows, const float* x, const float* gy, std::int64_t group, float sx,
                      float sg) const {
    // Lines of the patches from `first` on.
    class From final : public Source<float> {
    public:
        From(const Source<float>& from, std::int64_t first) : from_(from), first_(first) {}
        void pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
                  float* dst) const override {
            from_.pack(first_ + line, lines, step, steps, width, dst);
        }

    private:
        const Source<float>& from_;
        std::int64_t first_;
    };
    const std::int64_t lines = rows * w_.places(), channels = w_.channels / groups_, columns = columns_ / groups_;
    const std::int64_t features = w_.taps() * channels, each = std::min(features, kDirectRows);
    const Pool::Lease space = pass.pool.take(each * columns);
    const PatchSteps<Seen> patches({w_, x, group * channels, channels});
    const Rows<float> gradients(matrix(gy + group * columns, lines, columns, columns_).transposed());
    const Scaled b(gradients, sg);
    double sum = 0.0;
    for (std::int64_t first = 0; first < features; first += each) {
        const std::int64_t n = std::min(each, features - first);
        const From part(patches, first);
        gemm<float>(pass.team, pass.space, Scaled(part, sx), b, lines, 1.0f, false, {space.data(), n, columns, columns, 1});
        sum += dot(pass.team, space.data(), space.data(), n * columns);
    }
    return sum;
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
