// SPDX-License-Identifier: BSD-3-Clause
// Steps made of others: residual blocks and gated layers; and pooling.
#include <algorithm>

#include "ops/simulate_steps.h"

namespace fastinit::simulation {
namespace {

// y = a x + b f, the sum rounded once.
void combine(Team& team, std::int64_t n, double a, const float* x, double b, const float* f, float* y) {
    for_elements(team, n, [&](std::int64_t begin, std::int64_t count) {
        for (std::int64_t i = begin; i < begin + count; ++i) {
            y[i] = static_cast<float>(a * static_cast<double>(x[i]) + b * static_cast<double>(f[i]));
        }
    });
}

class ResidualStep final : public Step {
public:
    ResidualStep(std::vector<std::unique_ptr<Step>> branch, ResidualScales scales)
        : Step(branch.front()->in, branch.back()->out), branch_(std::move(branch)), scales_(scales) {}

    void forward(Pass& pass, std::int64_t rows, const float* x, float* y) override {
        const Pool::Lease f = pass.pool.take(rows * out);
        branch_.forward(pass, rows, x, f.data());
        combine(pass.team, rows * out, scales_.skip, x, scales_.branch, f.data(), y);
    }

    void backward(Pass& pass, Point at, std::int64_t rows, const float* gy, float* gx) override {
        Trace trace = traced(pass, at.rows(rows), at.shared, at.x);
        // The branch's gradient is that of its own output.
        const Pool::Lease g = pass.pool.take(rows * out);
        combine(pass.team, rows * out, scales_.branch, gy, 0.0, gy, g.data());
        pass.round(g.data(), rows * out);
        trace.backward(pass, rows, g.data(), gx);
        combine(pass.team, rows * in, scales_.skip, gy, 1.0, gx, gx);
    }

    void tangent(Pass& pass, const float* x, std::int64_t rows, const float* v, float* y) override {
        traced(pass, 1, true, x).tangent(pass, rows, v, y);
        combine(pass.team, rows * out, scales_.skip, v, scales_.branch, y, y);
    }

    void each(const std::function<void(Step&)>& visit) override {
        branch_.each(visit);
        visit(*this);
    }

private:
    Trace traced(Pass& pass, std::int64_t rows, bool shared, const float* x) {
        Trace trace(branch_, rows, shared);
        Pass quiet = pass.quiet();
        trace.forward(quiet, x);
        return trace;
    }

    Sequence branch_;
    const ResidualScales scales_;
};

class GatedStep final : public Step {
public:
    GatedStep(std::unique_ptr<Linear> gate, std::unique_ptr<Linear> up, std::unique_ptr<Linear> down, Activated f)
        : Step(gate->in(), down->out()), gate_(std::move(gate)), up_(std::move(up)), down_(std::move(down)),
          f_(std::move(f)) {}

    void forward(Pass& pass, std::int64_t rows, const float* x, float* y) override {
        const Inner inner(*this, pass, rows, x, false);
        down_->forward(pass, rows, inner.hidden.data(), y, true);
    }

    void backward(Pass& pass, Point at, std::int64_t rows, const float* gy, float* gx) override {
        const std::int64_t width = gate_->out();
        const Inner inner(*this, pass, at.rows(rows), at.x, true);
        const Pool::Lease ga = pass.pool.take(rows * width), gb = pass.pool.take(rows * width);
        down_->backward(pass, rows, gy, gb.data(), false);
        pass.round(gb.data(), rows * width);
        pass.team.run(static_cast<std::size_t>(rows), [&](std::size_t row, int) {
            const std::int64_t to = static_cast<std::int64_t>(row) * width;
            const std::int64_t from = at.row(static_cast<std::int64_t>(row)) * width;
            for (std::int64_t j = 0; j < width; ++j) {
                const float g = gb.data()[to + j];
                ga.data()[to + j] = g * inner.up.data()[from + j] * inner.slope.data()[from + j];
                gb.data()[to + j] = g * inner.phi.data()[from + j];
            }
        });
        pass.round(ga.data(), rows * width);
        pass.round(gb.data(), rows * width);
        if (pass.measure) {
            // Of the last matrix.
            measured.weight_gradient = down_->weight_gradient(pass, rows, inner.hidden.data(), gy);
        }
        gate_->backward(pass, rows, ga.data(), gx, false);
        up_->backward(pass, rows, gb.data(), gx, true);
    }

    void tangent(Pass& pass, const float* x, std::int64_t rows, const float* v, float* y) override {
        const std::int64_t width = gate_->out();
        const Inner inner(*this, pass, 1, x, true);
        const Pool::Lease va = pass.pool.take(rows * width), vb = pass.pool.take(rows * width);
        gate_->forward(pass, rows, v, va.data(), false);
        up_->forward(pass, rows, v, vb.data(), false);
        pass.team.run(static_cast<std::size_t>(rows), [&](std::size_t row, int) {
            const std::int64_t i = static_cast<std::int64_t>(row) * width;
            for (std::int64_t j = 0; j < width; ++j) {
                va.data()[i + j] = va.data()[i + j] * inner.up.data()[j] * inner.slope.data()[j] +
                                   vb.data()[i + j] * inner.phi.data()[j];
            }
        });
        down_->forward(pass, rows, va.data(), y, false);
    }

private:
    // What lies between the three matrices.
    struct Inner {
        Pool::Lease up, phi, slope, hidden;

        Inner(const GatedStep& step, Pass& pass, std::int64_t rows, const float* x, bool derivative) {
            const std::int64_t n = rows * step.gate_->out();
            up = pass.pool.take(n);
            phi = pass.pool.take(n);
            hidden = pass.pool.take(n);
            if (derivative) slope = pass.pool.take(n);
            step.gate_->forward(pass, rows, x, hidden.data(), true);
            pass.round(hidden.data(), n);
            step.up_->forward(pass, rows, x, up.data(), true);
            pass.round(up.data(), n);
            step.f_.evaluate(pass.team, hidden.data(), n, phi.data(), slope.data());
            pass.round(phi.data(), n);
            for_elements(pass.team, n, [&](std::int64_t begin, std::int64_t count) {
                for (std::int64_t i = begin; i < begin + count; ++i) hidden.data()[i] = phi.data()[i] * up.data()[i];
            });
            pass.round(hidden.data(), n);
        }
    };

    std::unique_ptr<Linear> gate_, up_, down_;
    Activated f_;
};

class PoolStep final : public Step {
public:
    PoolStep(const Windows& windows, Pooling pooling)
        : Step(windows.pixels() * windows.channels, windows.places() * windows.channels), w_(windows),
          pooling_(pooling) {}

    void forward(Pass& pass, std::int64_t rows, const float* x, float* y) override {
        each_place(pass, rows, [&](std::int64_t r, std::int64_t place, const std::int64_t* seen, std::int64_t n) {
            for (std::int64_t c = 0; c < w_.channels; ++c) {
                y[r * out + place * w_.channels + c] = pooled(x + r * in + c, x + r * in + c, seen, n);
            }
        });
    }

    void backward(Pass& pass, Point at, std::int64_t rows, const float* gy, float* gx) override {
        // Windows may overlap: one thread takes all of an input's.
        pass.team.run(static_cast<std::size_t>(rows), [&](std::size_t row, int) {
            const auto r = static_cast<std::int64_t>(row);
            std::fill(gx + r * in, gx + (r + 1) * in, 0.0f);
            const float* x = at.x + at.row(r) * in;
            std::vector<std::int64_t> seen(static_cast<std::size_t>(w_.taps()));
            for (std::int64_t place = 0; place < w_.places(); ++place) {
                const std::int64_t n = see(place, seen.data());
                for (std::int64_t c = 0; c < w_.channels; ++c) {
                    const float g = gy[r * out + place * w_.channels + c];
                    if (pooling_ == Pooling::max) {
                        gx[r * in + seen[static_cast<std::size_t>(most(x + c, seen.data(), n))] + c] += g;
                    } else {
                        for (std::int64_t k = 0; k < n; ++k) gx[r * in + seen[static_cast<std::size_t>(k)] + c] += g * share();
                    }
                }
            }
        });
    }

    void tangent(Pass& pass, const float* x, std::int64_t rows, const float* v, float* y) override {
        each_place(pass, rows, [&](std::int64_t r, std::int64_t place, const std::int64_t* seen, std::int64_t n) {
            for (std::int64_t c = 0; c < w_.channels; ++c) {
                y[r * out + place * w_.channels + c] = pooled(x + c, v + r * in + c, seen, n);
            }
        });
    }

private:
    // Zeros of the padding count in the mean.
    float share() const { return static_cast<float>(1.0 / static_cast<double>(w_.taps())); }

    // Offsets of the pixels that a window sees.
    std::int64_t see(std::int64_t place, std::int64_t* seen) const {
        std::int64_t n = 0;
        for (std::int64_t tap = 0; tap < w_.taps(); ++tap) {
            const std::int64_t pixel = w_.seen(place, tap);
            if (pixel >= 0) seen[n++] = pixel * w_.channels;
        }
        return n;
    }

    // The first of the largest.
    static std::int64_t most(const float* x, const std::int64_t* seen, std::int64_t n) {
        std::int64_t best = 0;
        for (std::int64_t k = 1; k < n; ++k) {
            if (x[seen[k]] > x[seen[best]]) best = k;
        }
        return best;
    }

    // Of v, where x decides about the largest.
    float pooled(const float* x, const float* v, const std::int64_t* seen, std::int64_t n) const {
        if (pooling_ == Pooling::max) return v[seen[most(x, seen, n)]];
        double sum = 0.0;
        for (std::int64_t k = 0; k < n; ++k) sum += v[seen[k]];
        return static_cast<float>(sum / static_cast<double>(w_.taps()));
    }

    template <class Body>
    void each_place(Pass& pass, std::int64_t rows, const Body& body) const {
        pass.team.run(static_cast<std::size_t>(rows), [&](std::size_t row, int) {
            std::vector<std::int64_t> seen(static_cast<std::size_t>(w_.taps()));
            for (std::int64_t place = 0; place < w_.places(); ++place) {
                const std::int64_t n = see(place, seen.data());
                body(static_cast<std::int64_t>(row), place, seen.data(), n);
            }
        });
    }

    const Windows w_;
    const Pooling pooling_;
};

}  // namespace

std::unique_ptr<Step> residual_step(std::vector<std::unique_ptr<Step>> branch, ResidualScales scales) {
    return std::make_unique<ResidualStep>(std::move(branch), scales);
}

std::unique_ptr<Step> gated_step(std::unique_ptr<Linear> gate, std::unique_ptr<Linear> up,
                                 std::unique_ptr<Linear> down, Activated activation) {
    return std::make_unique<GatedStep>(std::move(gate), std::move(up), std::move(down), std::move(activation));
}

std::unique_ptr<Step> pool_step(const Windows& windows, Pooling pooling) {
    return std::make_unique<PoolStep>(windows, pooling);
}

}  // namespace fastinit::simulation
