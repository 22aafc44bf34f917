// SPDX-License-Identifier: BSD-3-Clause
// Forward and backward through a network with real numbers: the steps, the order in which they
// run, and what is measured on the way. Arrays are rows (inputs) x columns (units), float32, C
// order; images have their channels last. Nothing here depends on the number of threads.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/buffer.h"
#include "core/dtype.h"
#include "core/team.h"
#include "ops/gemm.h"
#include "ops/simulate_stats.h"

namespace fastinit::simulation {

// Arrays that steps need for a while; memory is used again and freed with the pool, which must
// outlive its leases.
class Pool {
public:
    class Lease {
    public:
        Lease() = default;
        Lease(Lease&& other) noexcept { *this = std::move(other); }
        Lease& operator=(Lease&& other) noexcept;
        ~Lease() { give_back(); }
        float* data() const { return buffer_.data(); }
        void give_back();

    private:
        friend class Pool;
        Pool* pool_ = nullptr;
        Buffer<float> buffer_;
        std::size_t size_ = 0;
    };

    Lease take(std::int64_t n);

private:
    struct Block {
        Buffer<float> buffer;
        std::size_t size;
    };
    std::vector<Block> free_;
};

// The tensor that a function made last; there is one at a time.
struct Made {
    const void* owner = nullptr;
    Buffer<float> data;
};

// One way through the network.
struct Pass {
    Team& team;
    Pool& pool;
    GemmSpace<float>& space;
    Made& made;
    DType dtype;   // what steps write is rounded to it
    bool measure;  // steps write down what they see
    bool frozen;   // BatchNorm keeps the statistics of the last batch that was measured
    std::function<void()> tick;  // after every step that was measured, each way

    Pass quiet() const {
        Pass p = *this;
        p.measure = false;
        return p;
    }
    // In the network's dtype: to the nearest, ties to even.
    void round(float* x, std::int64_t n) const;
};

// Where a derivative is taken: a row for each cotangent, or one row for all of them.
struct Point {
    const float* x;
    bool shared;

    std::int64_t rows(std::int64_t cotangents) const { return shared ? 1 : cotangents; }
    std::int64_t row(std::int64_t i) const { return shared ? 0 : i; }
};

struct Measured {
    Spread value, gradient;  // of the step's output, and of the loss by it
    double correlation;      // of the outputs of two inputs
    double saturated, dead;  // activations: |phi'| is small; phi' = 0 for all inputs and places. Else NaN
    double weight_gradient;  // mean square for one input. Else NaN
};

class Step {
public:
    Step(std::int64_t columns_in, std::int64_t columns_out) : in(columns_in), out(columns_out) {}
    virtual ~Step() = default;

    virtual void forward(Pass&, std::int64_t rows, const float* x, float* y) = 0;
    // gx = J(x)^T gy
    virtual void backward(Pass&, Point at, std::int64_t rows, const float* gy, float* gx) = 0;
    // y = J(x) v at one point
    virtual void tangent(Pass&, const float* x, std::int64_t rows, const float* v, float* y) = 0;
    virtual void each(const std::function<void(Step&)>& visit) { visit(*this); }

    const std::int64_t in, out;
    Measured measured = kUnmeasured;
    static const Measured kUnmeasured;
};

class Sequence {
public:
    explicit Sequence(std::vector<std::unique_ptr<Step>> steps) : steps(std::move(steps)) {}

    std::int64_t in() const { return steps.front()->in; }
    std::int64_t out() const { return steps.back()->out; }
    std::int64_t widest() const;
    void each(const std::function<void(Step&)>& visit) const {
        for (const auto& step : steps) step->each(visit);
    }
    void forward(Pass&, std::int64_t rows, const float* x, float* y);
    // One step with its rounding, and its statistics where they are asked for.
    void forward_step(Pass&, std::size_t i, std::int64_t rows, const float* x, float* y);

    const std::vector<std::unique_ptr<Step>> steps;
};

// The inputs of the steps on one way forward, for the way back: all of them where that is little
// or the point is shared; else about every sqrt(steps)-th and the last ones, from which the others
// are computed again.
class Trace {
public:
    Trace(Sequence& sequence, std::int64_t rows, bool shared);

    // x must outlive the trace. Returns the output.
    const float* forward(Pass&, const float* x);
    // Once, unless the point is shared: inputs are given back on the way.
    void backward(Pass&, std::int64_t rows, const float* gy, float* gx);
    // At a shared point.
    void tangent(Pass&, std::int64_t rows, const float* v, float* y) const;

private:
    const float* input(std::size_t i) const { return i == 0 ? x_ : inputs_[i].data(); }
    void recompute(Pass&, std::size_t i);

    Sequence& sequence_;
    const std::int64_t rows_;
    const bool shared_;
    const float* x_ = nullptr;
    std::vector<Pool::Lease> inputs_;  // [i]: of step i; [0] is x
    std::size_t spacing_ = 1;          // of checkpoints
};

// A network with its numbers, and its Jacobian at the first input.
class Network {
public:
    Network(std::vector<std::unique_ptr<Step>> steps, DType dtype) : layers(std::move(steps)), dtype_(dtype) {}

    // Forward from x and backward from the cotangents g, both changed by rounding.
    void run(Pass&, std::int64_t rows, float* x, float* g);
    // gx = J^T g and y = J v for many rows at once; after run().
    void pull(Pass&, std::int64_t rows, const float* g, float* gx);
    void push(Pass&, std::int64_t rows, const float* v, float* y);
    DType dtype() const { return dtype_; }

    Sequence layers;

private:
    Trace& point(Pass&);

    const DType dtype_;
    std::vector<float> first_;  // input
    std::unique_ptr<Trace> point_;
};

}  // namespace fastinit::simulation
