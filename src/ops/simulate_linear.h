// SPDX-License-Identifier: BSD-3-Clause
// Linear maps: dense layers, and convolutions in groups over images with their channels last.
#pragma once
#include <array>
#include <memory>

#include "ops/simulate_values.h"

namespace fastinit::simulation {

// What a convolution or a pool sees: an image of up to three dimensions, leading ones 1, and where
// its windows lie. Windows that reach over the edge see zeros there.
struct Windows {
    using Sizes = std::array<std::int64_t, 3>;
    Sizes image;
    std::int64_t channels;
    Sizes kernel, stride, padding, out;

    std::int64_t pixels() const { return image[0] * image[1] * image[2]; }
    std::int64_t places() const { return out[0] * out[1] * out[2]; }
    std::int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
    bool single() const { return pixels() == 1 && places() == 1 && taps() == 1; }

    // The pixel that a window sees at a tap, or -1 outside the image.
    std::int64_t seen(std::int64_t place, std::int64_t tap) const {
        const Sizes p = split(place, out), t = split(tap, kernel);
        std::int64_t pixel = 0;
        for (std::size_t d = 0; d < 3; ++d) {
            const std::int64_t at = p[d] * stride[d] + t[d] - padding[d];
            if (at < 0 || at >= image[d]) return -1;
            pixel = pixel * image[d] + at;
        }
        return pixel;
    }

    // The window that sees a pixel at a tap, or -1.
    std::int64_t seen_by(std::int64_t pixel, std::int64_t tap) const {
        const Sizes p = split(pixel, image), t = split(tap, kernel);
        std::int64_t place = 0;
        for (std::size_t d = 0; d < 3; ++d) {
            const std::int64_t at = p[d] + padding[d] - t[d];
            if (at < 0 || at % stride[d] != 0 || at / stride[d] >= out[d]) return -1;
            place = place * out[d] + at / stride[d];
        }
        return place;
    }

private:
    static Sizes split(std::int64_t index, const Sizes& sizes) {
        return {index / (sizes[1] * sizes[2]), index / sizes[2] % sizes[1], index % sizes[2]};
    }
};

class Linear {
public:
    // weight: taps x (channels / groups) x columns; bias: columns, or null.
    Linear(const Windows& windows, std::int64_t groups, std::int64_t columns, std::unique_ptr<Values> weight,
           std::unique_ptr<Values> bias)
        : w_(windows), groups_(groups), columns_(columns), weight_(std::move(weight)), bias_(std::move(bias)) {}

    std::int64_t in() const { return w_.pixels() * w_.channels; }
    std::int64_t out() const { return w_.places() * columns_; }

    // y = W x + b, without b in a tangent.
    void forward(Pass&, std::int64_t rows, const float* x, float* y, bool bias) const;
    // gx = W^T gy, or gx + W^T gy where `add`.
    void backward(Pass&, std::int64_t rows, const float* gy, float* gx, bool add) const;
    // Mean square over weights and inputs of the gradient of one input. For a convolution, of the
    // gradient of all inputs over their number, which has the same expectation where the
    // gradients at the output are independent.
    double weight_gradient(Pass&, std::int64_t rows, const float* x, const float* gy) const;

private:
    // sx and sg: powers of two that keep x and gy, and the squares of their products, in range.
    double convolution_gradient(Pass&, std::int64_t rows, const float* x, float sx, const float* gy, float sg) const;
    bool plain() const { return w_.single() && groups_ == 1; }
    Kernel kernel(std::int64_t group) const {
        return {*weight_, w_.channels / groups_, columns_, group * (columns_ / groups_)};
    }

    Windows w_;
    std::int64_t groups_, columns_;
    std::unique_ptr<Values> weight_, bias_;
};

std::unique_ptr<Step> linear_step(std::unique_ptr<Linear> map);

}  // namespace fastinit::simulation
