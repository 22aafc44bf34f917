// SPDX-License-Identifier: BSD-3-Clause
// Linear maps: dense layers, and convolutions in groups over images with their channels last.
#pragma once
#include <memory>

#include "ops/simulate_values.h"

namespace fastinit::simulation {

// What a convolution or a pool sees: an image and where its windows lie. Windows that reach over
// the edge see zeros there.
struct Windows {
    std::int64_t height, width, channels;
    std::int64_t kernel_height, kernel_width, stride_height, stride_width;
    std::int64_t top, left;  // padding
    std::int64_t out_height, out_width;

    std::int64_t pixels() const { return height * width; }
    std::int64_t places() const { return out_height * out_width; }
    std::int64_t taps() const { return kernel_height * kernel_width; }
    bool single() const { return pixels() == 1 && places() == 1 && taps() == 1; }
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
    double convolution_gradient(Pass&, std::int64_t rows, const float* x, const float* gy) const;
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
