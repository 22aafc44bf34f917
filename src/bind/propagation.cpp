// SPDX-License-Identifier: BSD-3-Clause
// Activations and mean-field theory for Python. A Python function is an activation too:
// its points go over in one array per batch.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "bind/activation.h"
#include "bind/bind.h"
#include "core/special.h"
#include "ops/mean_field.h"
#include "ops/moments.h"
#include "ops/jumps.h"

namespace fastinit {
namespace {

using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

class PythonFunction final : public Function {
 public:
    PythonFunction(py::object phi, py::object dphi, std::vector<double> kinks)
        : phi_(std::move(phi)), dphi_(std::move(dphi)) {
        traits.discover = true;
        traits.has_derivative = !dphi_.is_none();
        traits.kinks = std::move(kinks);
    }

    void eval(const double* x, std::size_t n, double* phi, double* dphi) const override {
        probe(x, n, phi, dphi);
        require_finite("activation", x, n, phi);
        if (dphi) require_finite("derivative", x, n, dphi);
    }

    void probe(const double* x, std::size_t n, double* phi, double* dphi) const override {
        const Locked gil;
        call(phi_, "activation", x, n, phi, !traits.has_derivative);
        if (dphi) call(dphi_, "derivative", x, n, dphi, false);
    }

    double coarseness() const override { return coarseness_; }

    const std::vector<double>& jumps() const override {
        // Searched without the lock: the function may hand the GIL to a thread that waits here. The
        // first result stays, for others may be reading it.
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (searched_) return jumps_;
        }
        std::vector<double> found = find_jumps(*this);
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!searched_) jumps_ = std::move(found);
        searched_ = true;
        return jumps_;
    }

 private:
    static void require_finite(const char* name, const double* x, std::size_t n, const double* v) {
        for (std::size_t i = 0; i < n; ++i)
            if (!std::isfinite(v[i]))
                throw NotFinite(std::string(name) + " must be finite, got " +
                                std::to_string(v[i]) + " at " + std::to_string(x[i]));
    }

    // differentiated: slopes will be formed from the values.
    void call(const py::object& f, const char* name, const double* x, std::size_t n, double* out,
              bool differentiated) const {
        Array points(static_cast<py::ssize_t>(n));
        std::copy(x, x + n, points.mutable_data());
        const py::object result = f(points);
        const py::array any = py::array::ensure(result);
        if (any && differentiated && any.dtype().kind() == 'f' && any.itemsize() < 4)
            throw py::type_error(std::string(name) +
                                 " must return float32 or float64 where no derivative is given, "
                                 "got " + py::str(any.dtype()).cast<std::string>());
        if (any && any.dtype().kind() == 'f' && any.itemsize() < 8)
            coarseness_ = std::max(coarseness_.load(), any.itemsize() == 4 ? 0x1p29 : 0x1p42);
        const bool real = any && any.dtype().kind() != 'c';
        const Array values = real ? Array::ensure(any) : Array();
        if (!real || !values)
            throw py::type_error(
                std::string(name) + " must return an array of real numbers, got " +
                py::repr(py::type::of(result)).cast<std::string>() +
                (any ? " of " + py::str(any.dtype()).cast<std::string>() : std::string()));
        if (values.ndim() != 1 || values.shape(0) != static_cast<py::ssize_t>(n))
            throw py::value_error(std::string(name) +
                                  " must map an array to an array of the same shape");
        const double* v = values.data();
        std::copy(v, v + n, out);
    }

    py::object phi_, dphi_;
    mutable std::atomic<double> coarseness_{1.0};  // of what it has returned so far
    mutable std::mutex mutex_;
    mutable std::vector<double> jumps_;
    mutable bool searched_ = false;
};

Activation named(const std::string& name, const std::vector<double>& parameters) {
    const ActivationRow* row = find_activation(name);
    if (!row || parameters.size() != row->parameters.size())
        throw py::value_error("unknown activation " + name);
    return {row->make(parameters.data()), false};
}

py::list table() {
    py::list rows;
    for (const ActivationRow& row : activation_table()) {
        py::list aliases, parameters;
        for (const char* a : row.aliases) aliases.append(a);
        for (const Parameter& p : row.parameters)
            parameters.append(py::make_tuple(p.name, p.alias, p.value));
        rows.append(py::make_tuple(row.name, py::tuple(aliases), py::tuple(parameters)));
    }
    return rows;
}

const char* phase_name(Phase p) {
    return p == Phase::critical ? "critical" : p == Phase::ordered ? "ordered" : "chaotic";
}

py::tuple as_tuple(const Moments& m) {
    return py::make_tuple(m.phi, m.phi2, m.phi4, m.dphi, m.dphi2, m.dphi4, m.h_phi_dphi);
}

py::tuple moments_of(const Activation& a, double q, double mean) {
    return as_tuple(a.run([&](const Function& f) { return gaussian_moments(f, q, mean); }));
}

py::tuple panel_moments_of(const Activation& a, double q, double mean) {
    return as_tuple(a.run([&](const Function& f) { return panel_moments(f, q, mean); }));
}

Correlation correlation(double c, bool complement) {
    return complement ? Correlation::from_below(c) : Correlation::from_c(c);
}

// The maps of the named activation that this thread asked for last: a loop over layers takes
// E f^2 once for both maps, and what depends on the activation alone once for all layers.
// Results do not depend on what was asked before.
CorrelationMap& last_map(const Activation& a) {
    static thread_local std::shared_ptr<Function> f;
    static thread_local std::unique_ptr<CorrelationMap> map;
    if (f != a.f || !map) {
        map.reset();
        f = a.f;
        map = std::make_unique<CorrelationMap>(*f);
    }
    return *map;
}

py::tuple pair_of(const Activation& a, double q, double c, bool complement) {
    const Correlation r = correlation(c, complement);
    const PairMoments p = a.run([&](const Function& f) {
        require_slope(f, q);
        return pair_moments(f, q, r);
    });
    return py::make_tuple(p.phi_phi, p.dphi_dphi, p.below, p.above);
}

py::tuple c_map_of(const Activation& a, double c, double q, double sw, double sb, bool complement) {
    const Correlation r = correlation(c, complement);
    const CorrelationStep s = a.run([&](const Function& f) {
        return a.python ? CorrelationMap(f)(q, r, sw, sb) : last_map(a)(q, r, sw, sb);
    });
    return py::make_tuple(s.c.c, s.c.below, s.c.above, s.next_q, s.slope);
}

// (q, 1 - c) after each of `depth` layers.
py::tuple trajectory_of(const Activation& a, double q, double c, double sw, double sb, int depth) {
    std::vector<double> qs, below;
    a.run([&](const Function& f) {
        CorrelationMap map(f);
        Correlation r = Correlation::from_c(c);
        double at = q;
        for (int i = 0; i < depth; ++i) {
            const CorrelationStep s = map(at, r, sw, sb);
            at = s.next_q;
            r = s.c;
            qs.push_back(at);
            below.push_back(r.below);
        }
        return 0;
    });
    return py::make_tuple(qs, below);
}

py::list fixed_points_of(const Activation& a, double sw, double sb) {
    const auto found = a.run([&](const Function& f) { return fixed_points(f, sw, sb); });
    py::list out;
    for (const FixedPoint& p : found) out.append(py::make_tuple(p.q, p.slope, p.chi1, p.stable));
    return out;
}

py::object critical_point_of(const Activation& a, double sb) {
    CriticalPoint p{};
    if (!a.run([&](const Function& f) { return critical_point(f, sb, &p); })) return py::none();
    return py::make_tuple(p.sw, p.sb, p.q);
}

py::tuple critical_line_of(const Activation& a, double q) {
    const CriticalPoint p = a.run([&](const Function& f) { return critical_line(f, q); });
    return py::make_tuple(p.sw, p.sb, p.q);
}

py::tuple depth_scales_of(const Activation& a, double sw, double sb) {
    const DepthScales d = a.run([&](const Function& f) { return depth_scales(f, sw, sb); });
    return py::make_tuple(d.q, d.c, d.chi1, d.xi_q, d.xi_c, d.xi_grad, phase_name(d.phase));
}

py::tuple spectrum_of(const Activation& a, int depth, double sw, double q, bool orthogonal) {
    const Spectrum s =
        a.run([&](const Function& f) { return jacobian_spectrum(f, depth, sw, q, orthogonal); });
    return py::make_tuple(s.mean, s.variance, s.largest);
}

py::tuple eval_of(const Activation& a, const Array& x) {
    Array phi(x.size()), dphi(x.size());
    const auto n = static_cast<std::size_t>(x.size());
    const bool own = a.f->traits.has_derivative;
    a.f->probe(x.data(), n, phi.mutable_data(), own ? dphi.mutable_data() : nullptr);
    if (!own) central_differences(*a.f, x.data(), n, dphi.mutable_data());
    // differences of NaN are quiet, those of infinities are not
    const auto infinite = [](double v) { return std::isinf(v); };
    std::replace_if(phi.mutable_data(), phi.mutable_data() + x.size(), infinite, std::nan(""));
    return py::make_tuple(phi, dphi);
}

// One special function over an array, for tests.
Array special_by_name(const std::string& name, const Array& x) {
    static const std::pair<const char*, double (*)(double)> functions[] = {
        {"exp", special::exp},
        {"expm1", special::expm1},
        {"log", special::log},
        {"log1p", special::log1p},
        {"sin", special::sin},
        {"cos", special::cos},
        {"tanh", special::tanh},
        {"minus_sin", special::minus_sin},
        {"atan", special::atan},
        {"erf", special::erf},
        {"erfc", special::erfc},
        {"erfcx", special::erfcx},
        {"erfcx_rest", special::erfcx_rest},
        {"normal_pdf", special::normal_pdf},
        {"normal_cdf", special::normal_cdf},
    };
    for (const auto& [known, f] : functions) {
        if (name != known) continue;
        Array out(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
        for (py::ssize_t i = 0; i < x.size(); ++i) out.mutable_data()[i] = f(x.data()[i]);
        return out;
    }
    throw py::value_error("unknown function " + name);
}

}  // namespace

void register_propagation(py::module_& m) {
    py::class_<Activation>(m, "Activation")
        .def(py::init(&named), py::arg("name"), py::arg("parameters"))
        .def_static(
            "from_callable",
            [](py::object phi, py::object dphi, std::vector<double> kinks) {
                return Activation{std::make_shared<PythonFunction>(phi, dphi, kinks), true};
            },
            py::arg("function"), py::arg("derivative"), py::arg("kinks"))
        .def("eval", &eval_of, py::arg("x"))
        .def_property_readonly("has_derivative", [](const Activation& a) { return a.f->traits.has_derivative; })
        .def("moments", &moments_of, py::arg("q"), py::arg("mean"))
        .def("panel_moments", &panel_moments_of, py::arg("q"), py::arg("mean"))
        .def("pair_moments", &pair_of, py::arg("q"), py::arg("c"), py::arg("complement"))
        .def(
            "second_moment",
            [](const Activation& a, double q) {
                return a.run([&](const Function& f) {
                    return a.python ? second_moment(f, q) : last_map(a).second(q);
                });
            },
            py::arg("q"))
        .def(
            "variance",
            [](const Activation& a, double q) {
                return a.run([&](const Function& f) { return variance(f, q); });
            },
            py::arg("q"))
        .def("c_map", &c_map_of, py::arg("c"), py::arg("q"), py::arg("sw"), py::arg("sb"),
             py::arg("complement"))
        .def("trajectory", &trajectory_of, py::arg("q"), py::arg("c"), py::arg("sw"), py::arg("sb"),
             py::arg("depth"))
        .def("fixed_points", &fixed_points_of, py::arg("sw"), py::arg("sb"))
        .def("critical_point", &critical_point_of, py::arg("sb"))
        .def("critical_line", &critical_line_of, py::arg("q"))
        .def("depth_scales", &depth_scales_of, py::arg("sw"), py::arg("sb"))
        .def("jacobian_spectrum", &spectrum_of, py::arg("depth"), py::arg("sw"), py::arg("q"),
             py::arg("orthogonal"));
    m.def("activations", &table);
    m.def("special", &special_by_name, py::arg("name"), py::arg("x"));
}

}  // namespace fastinit
