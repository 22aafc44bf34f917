// SPDX-License-Identifier: BSD-3-Clause
// Networks with real numbers for Python: steps come as tuples, made by fastinit/propagation/_lowering.py.
#include <array>
#include <chrono>

#include "bind/activation.h"
#include "bind/bind.h"
#include "ops/simulate_steps.h"

namespace fastinit {
namespace {

using namespace simulation;
using Floats = py::array_t<float, py::array::c_style>;

// ---- from tuples to steps ----------------------------------------------------------------

// A draw (law, p0, p1, lo, hi, key, size), a contiguous float32 array, or (function, size).
std::unique_ptr<Values> values_from(const py::object& o, DType dtype) {
    if (py::isinstance<Floats>(o)) {
        const auto a = py::reinterpret_borrow<Floats>(o);
        return std::make_unique<Values>(a.data(), dtype, a.size());
    }
    const auto t = o.cast<py::tuple>();
    if (t.size() == 2) {
        const py::object function = t[0];
        const auto size = t[1].cast<std::int64_t>();
        return std::make_unique<Values>(
            [function, size](float* data) {
                const Locked gil;
                const py::capsule nobody(data, [](void*) {});
                function(Floats(size, data, nobody));
            },
            dtype, size);
    }
    const Request request{static_cast<Asked>(t[0].cast<int>()), t[1].cast<double>(), t[2].cast<double>(),
                          t[3].cast<double>(), t[4].cast<double>()};
    const LawParams law = law_params(request, DType::float32, key_from(t[5].cast<std::uint64_t>()), 0);
    return std::make_unique<Values>(law, dtype, t[6].cast<std::int64_t>());
}

Windows windows_from(const py::handle& h) {
    const auto n = h.cast<std::array<std::int64_t, 16>>();
    const auto sizes = [&](std::size_t i) { return Windows::Sizes{n[i], n[i + 1], n[i + 2]}; };
    return {sizes(0), n[3], sizes(4), sizes(7), sizes(10), sizes(13)};
}

// (windows, groups, columns, weight, bias or None)
std::unique_ptr<Linear> linear_from(const py::handle& h, DType dtype) {
    const auto t = h.cast<py::tuple>();
    const Windows w = windows_from(t[0]);
    const auto groups = t[1].cast<std::int64_t>(), columns = t[2].cast<std::int64_t>();
    auto weight = values_from(t[3], dtype);
    std::unique_ptr<Values> bias;
    if (!t[4].is_none()) bias = values_from(t[4], dtype);
    if (weight->size() != w.taps() * (w.channels / groups) * columns || (bias && bias->size() != columns)) {
        throw py::value_error("sizes of weight and bias");
    }
    return std::make_unique<Linear>(w, groups, columns, std::move(weight), std::move(bias));
}

Activated activated_from(const py::handle& activation, const py::handle& threshold) {
    const auto& a = activation.cast<const Activation&>();
    return {a.f, a.python, threshold.cast<double>()};
}

std::vector<std::unique_ptr<Step>> steps_from(const py::handle& h, DType dtype);

std::unique_ptr<Step> step_from(const py::tuple& t, DType dtype) {
    const auto kind = t[0].cast<std::string>();
    const auto integer = [&](int i) { return t[i].cast<std::int64_t>(); };
    const auto real = [&](int i) { return t[i].cast<double>(); };
    if (kind == "linear") return linear_step(linear_from(t[1], dtype));
    if (kind == "activation") return activation_step(integer(1), integer(2), activated_from(t[3], t[4]));
    if (kind == "dropout") return dropout_step(integer(1), real(2), key_from(t[3].cast<std::uint64_t>()));
    if (kind == "layer_norm") return norm_step(integer(1), Norm::layer, integer(2), real(3));
    if (kind == "rms_norm") return norm_step(integer(1), Norm::rms, integer(2), real(3));
    if (kind == "batch_norm") return batch_norm_step(integer(1), integer(2), real(3));
    if (kind == "mean_pool") return pool_step(windows_from(t[1]), Pooling::mean);
    if (kind == "max_pool") return pool_step(windows_from(t[1]), Pooling::max);
    if (kind == "residual") return residual_step(steps_from(t[1], dtype), {real(2), real(3)});
    if (kind == "gated") {
        return gated_step(linear_from(t[1], dtype), linear_from(t[2], dtype), linear_from(t[3], dtype),
                          activated_from(t[4], t[5]));
    }
    throw py::value_error("unknown step " + kind);
}

std::vector<std::unique_ptr<Step>> steps_from(const py::handle& h, DType dtype) {
    std::vector<std::unique_ptr<Step>> steps;
    for (const py::handle item : h.cast<py::list>()) {
        auto step = step_from(item.cast<py::tuple>(), dtype);
        if (!steps.empty() && steps.back()->out != step->in) throw py::value_error("widths of neighbours");
        steps.push_back(std::move(step));
    }
    if (steps.empty()) throw py::value_error("no steps");
    return steps;
}

// ---- what was measured -------------------------------------------------------------------

void append(py::list& to, const Spread& s) {
    for (const double v : {s.mean, s.square, s.kurtosis, s.zero, s.nonfinite}) to.append(v);
}

py::list row_of(const Measured& m) {
    py::list row;
    append(row, m.value);
    append(row, m.gradient);
    for (const double v : {m.correlation, m.saturated, m.dead, m.weight_gradient}) row.append(v);
    return row;
}

// Calls a Python function with the number of steps done, not more than every 50 ms.
class Progress {
public:
    explicit Progress(py::object call) : call_(std::move(call)) {}
    void operator()() {
        using Clock = std::chrono::steady_clock;
        ++done_;
        if (call_.is_none() || Clock::now() - told_ < std::chrono::milliseconds(50)) return;
        told_ = Clock::now();
        const Locked gil;
        call_(done_);
    }

private:
    py::object call_;
    std::int64_t done_ = 0;
    std::chrono::steady_clock::time_point told_ = std::chrono::steady_clock::now();
};

class Simulation {
public:
    Simulation(const py::list& steps, int dtype)
        : network_(steps_from(steps, static_cast<DType>(dtype)), static_cast<DType>(dtype)), numbers_(steps) {}

    // x and g are changed. A row for every step, the branch of a residual before itself.
    py::list run(Floats x, Floats g, int threads, const py::object& progress) {
        float* from = check(x, network_.layers.in());
        float* back = check(g, network_.layers.out());
        if (g.shape(0) != x.shape(0)) throw py::value_error("rows of inputs and cotangents");
        Progress tell(progress);
        network_.layers.each([](Step& s) { s.measured = Step::kUnmeasured; });
        go(x.shape(0), threads, true, [&](Pass& pass) {
            pass.tick = [&] { tell(); };
            network_.run(pass, x.shape(0), from, back);
        });
        py::list rows;
        network_.layers.each([&](Step& s) { rows.append(row_of(s.measured)); });
        return rows;
    }

    Floats pull(Floats g, int threads) { return linear(g, network_.layers.out(), network_.layers.in(), threads, &Network::pull); }
    Floats push(Floats v, int threads) { return linear(v, network_.layers.in(), network_.layers.out(), threads, &Network::push); }

private:
    static float* check(Floats& a, std::int64_t columns) {
        if (a.ndim() != 2 || a.shape(1) != columns || a.shape(0) == 0) throw py::value_error("shape of an array");
        return a.mutable_data();
    }

    Floats linear(Floats& from, std::int64_t in, std::int64_t out, int threads,
                  void (Network::*apply)(Pass&, std::int64_t, const float*, float*)) {
        const float* x = check(from, in);
        Floats to({from.shape(0), static_cast<py::ssize_t>(out)});
        float* y = to.mutable_data();
        go(from.shape(0), threads, false, [&](Pass& pass) {
            pass.frozen = true;
            (network_.*apply)(pass, from.shape(0), x, y);
        });
        return to;
    }

    template <class Body>
    void go(std::int64_t rows, int threads, bool measure, const Body& body) {
        // Products do far more for a number than a fill does.
        const auto bytes = static_cast<std::size_t>(64 * rows * network_.layers.widest());
        without_gil([&](const Poll& poll) {
            Team team(useful_threads(bytes, threads), poll);
            Pass pass{team, pool_, space_, made_, network_.dtype(), measure, false, [] {}};
            body(pass);
        });
    }

    Pool pool_;
    GemmSpace<float> space_;
    Made made_;
    Network network_;
    py::list numbers_;  // keeps the arrays of the steps
};

}  // namespace

void register_simulation(py::module_& m) {
    py::class_<Simulation>(m, "Simulation")
        .def(py::init<py::list, int>(), py::arg("steps"), py::arg("dtype"))
        .def("run", &Simulation::run, py::arg("x"), py::arg("g"), py::arg("num_threads"), py::arg("progress"))
        .def("pull", &Simulation::pull, py::arg("g"), py::arg("num_threads"))
        .def("push", &Simulation::push, py::arg("v"), py::arg("num_threads"));
}

}  // namespace fastinit
