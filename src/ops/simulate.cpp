// SPDX-License-Identifier: BSD-3-Clause
// The order in which steps run, forward and backward, and the memory they share.
#include "ops/simulate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/constants.h"

namespace fastinit::simulation {
namespace {

constexpr Spread kNoSpread{kNan, kNan, kNan, kNan, kNan};
constexpr std::int64_t kKept = std::int64_t{12} << 20;  // numbers that a trace keeps without checkpoints

}  // namespace

const Measured Step::kUnmeasured{kNoSpread, kNoSpread, kNan, kNan, kNan, kNan};

// ---- memory ---------------------------------------------------------------------

Pool::Lease& Pool::Lease::operator=(Lease&& other) noexcept {
    give_back();
    pool_ = std::exchange(other.pool_, nullptr);
    buffer_ = std::move(other.buffer_);
    size_ = std::exchange(other.size_, 0);
    return *this;
}

void Pool::Lease::give_back() {
    try {
        if (pool_ != nullptr) pool_->free_.push_back({std::move(buffer_), size_});
    } catch (const std::bad_alloc&) {
        // Called by destructors: where the list finds no memory, the buffer is freed.
    }
    pool_ = nullptr;
    size_ = 0;
}

Pool::Lease Pool::take(std::int64_t count) {
    const auto n = static_cast<std::size_t>(count);
    Lease lease;
    lease.pool_ = this;
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
        if (it->size >= n && it->size <= 2 * n && (best == free_.end() || it->size < best->size)) best = it;
    }
    if (best != free_.end()) {
        lease.buffer_ = std::move(best->buffer);
        lease.size_ = best->size;
        free_.erase(best);
    } else {
        lease.buffer_.reserve(n);
        lease.size_ = n;
    }
    return lease;
}

void Pass::round(float* x, std::int64_t n) const {
    if (dtype == DType::float32) return;
    for_elements(team, n, [&](std::int64_t begin, std::int64_t count) { round_to(dtype, x + begin, count); });
}

// ---- sequences --------------------------------------------------------------------

std::int64_t Sequence::widest() const {
    std::int64_t n = in();
    for (const auto& step : steps) n = std::max(n, step->out);
    return n;
}

void Sequence::forward_step(Pass& pass, std::size_t i, std::int64_t rows, const float* x, float* y) {
    Step& step = *steps[i];
    step.forward(pass, rows, x, y);
    pass.round(y, rows * step.out);
    if (!pass.measure) return;
    step.measured.value = spread(pass.team, y, rows, step.out);
    step.measured.correlation = correlation(pass.team, y, rows, step.out);
    pass.tick();
}

void Sequence::forward(Pass& pass, std::int64_t rows, const float* x, float* y) {
    Pool::Lease spare[2];
    for (std::size_t i = 0; i < steps.size(); ++i) {
        float* to = y;
        if (i + 1 < steps.size()) {
            spare[i % 2] = Pool::Lease();
            spare[i % 2] = pass.pool.take(rows * steps[i]->out);
            to = spare[i % 2].data();
        }
        forward_step(pass, i, rows, x, to);
        x = to;
    }
}

// ---- traces -----------------------------------------------------------------------

Trace::Trace(Sequence& sequence, std::int64_t rows, bool shared)
    : sequence_(sequence), rows_(rows), shared_(shared), inputs_(sequence.steps.size() + 1) {
    std::int64_t all = 0;
    for (const auto& step : sequence.steps) all += rows * step->out;
    if (!shared && all > kKept) {
        spacing_ = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(sequence.steps.size()))));
    }
}

const float* Trace::forward(Pass& pass, const float* x) {
    x_ = x;
    const std::size_t n = sequence_.steps.size();
    for (std::size_t i = 0; i < n; ++i) {
        inputs_[i + 1] = pass.pool.take(rows_ * sequence_.steps[i]->out);
        sequence_.forward_step(pass, i, rows_, input(i), inputs_[i + 1].data());
        if (i % spacing_ != 0 && i + spacing_ < n) inputs_[i].give_back();
    }
    return inputs_[n].data();
}

void Trace::recompute(Pass& pass, std::size_t i) {
    std::size_t from = i;
    while (input(from) == nullptr) --from;
    Pass quiet = pass.quiet();
    for (; from < i; ++from) {
        inputs_[from + 1] = pass.pool.take(rows_ * sequence_.steps[from]->out);
        sequence_.forward_step(quiet, from, rows_, input(from), inputs_[from + 1].data());
    }
}

void Trace::backward(Pass& pass, std::int64_t rows, const float* gy, float* gx) {
    Pool::Lease spare[2];
    for (std::size_t i = sequence_.steps.size(); i-- > 0;) {
        Step& step = *sequence_.steps[i];
        if (!shared_) inputs_[i + 1].give_back();
        recompute(pass, i);
        float* to = gx;
        if (i > 0) {
            spare[i % 2] = Pool::Lease();
            spare[i % 2] = pass.pool.take(rows * step.in);
            to = spare[i % 2].data();
        }
        if (pass.measure) {
            step.measured.gradient = spread(pass.team, gy, rows, step.out);
            pass.tick();
        }
        step.backward(pass, {input(i), shared_}, rows, gy, to);
        pass.round(to, rows * step.in);
        gy = to;
    }
}

void Trace::tangent(Pass& pass, std::int64_t rows, const float* v, float* y) const {
    Pool::Lease spare[2];
    for (std::size_t i = 0; i < sequence_.steps.size(); ++i) {
        Step& step = *sequence_.steps[i];
        float* to = y;
        if (i + 1 < sequence_.steps.size()) {
            spare[i % 2] = Pool::Lease();
            spare[i % 2] = pass.pool.take(rows * step.out);
            to = spare[i % 2].data();
        }
        step.tangent(pass, input(i), rows, v, to);
        v = to;
    }
}

// ---- the network ---------------------------------------------------------------------

void Network::run(Pass& pass, std::int64_t rows, float* x, float* g) {
    point_.reset();
    pass.round(x, rows * layers.in());
    pass.round(g, rows * layers.out());
    first_.assign(x, x + layers.in());
    Trace trace(layers, rows, false);
    trace.forward(pass, x);
    Pool::Lease gx = pass.pool.take(rows * layers.in());
    trace.backward(pass, rows, g, gx.data());
}

Trace& Network::point(Pass& pass) {
    if (!point_) {
        auto trace = std::make_unique<Trace>(layers, 1, true);
        trace->forward(pass, first_.data());
        point_ = std::move(trace);
    }
    return *point_;
}

// The point is where the network's own arithmetic leads; the derivative there is not rounded.
void Network::pull(Pass& pass, std::int64_t rows, const float* g, float* gx) {
    Trace& at = point(pass);
    Pass exact = pass;
    exact.dtype = DType::float32;
    at.backward(exact, rows, g, gx);
}

void Network::push(Pass& pass, std::int64_t rows, const float* v, float* y) {
    Trace& at = point(pass);
    Pass exact = pass;
    exact.dtype = DType::float32;
    at.tangent(exact, rows, v, y);
}

}  // namespace fastinit::simulation
