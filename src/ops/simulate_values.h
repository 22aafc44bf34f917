// SPDX-License-Identifier: BSD-3-Clause
// The numbers of a tensor in C order, as the products read them: drawn when they are read and
// never stored, in an array of the caller, or made by a function when they are first needed.
#pragma once
#include <cstdint>
#include <functional>

#include "ops/fill.h"
#include "ops/simulate.h"

namespace fastinit::simulation {

class Values {
public:
    using Maker = std::function<void(float*)>;

    Values(const LawParams& law, DType dtype, std::int64_t size) : law_(law), drawn_(true), dtype_(dtype), size_(size) {}
    Values(const float* data, DType dtype, std::int64_t size) : data_(data), dtype_(dtype), size_(size) {}
    // The function is called on the thread that calls ready().
    Values(Maker maker, DType dtype, std::int64_t size) : maker_(std::move(maker)), dtype_(dtype), size_(size) {}

    std::int64_t size() const { return size_; }
    // Before read(), which any thread may call until another tensor is made ready.
    void ready(Pass&) const;
    void read(std::int64_t first, std::int64_t count, float* dst) const;

private:
    LawParams law_{};
    bool drawn_ = false;
    Maker maker_;
    mutable const float* data_ = nullptr;
    DType dtype_;
    std::int64_t size_;
};

// A tensor of taps x channels x columns, of which the products use the columns from `column` on.
struct Kernel {
    const Values& values;
    std::int64_t channels, columns, column;
};

// Lines are columns, steps are (tap, channel).
class KernelColumns final : public Source<float> {
public:
    explicit KernelColumns(const Kernel& k) : k_(k) {}
    void pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
              float* dst) const override;

private:
    Kernel k_;
};

// Lines are channels, steps are (tap, column), `used` columns of every tap.
class KernelRows final : public Source<float> {
public:
    KernelRows(const Kernel& k, std::int64_t used) : k_(k), used_(used) {}
    void pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
              float* dst) const override;

private:
    Kernel k_;
    std::int64_t used_;
};

}  // namespace fastinit::simulation
