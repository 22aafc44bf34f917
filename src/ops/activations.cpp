// SPDX-License-Identifier: BSD-3-Clause
//
// The table of activations. tests/test_moments.py holds every row against mpmath and every
// closed form against quadrature.
#include "ops/activations.h"

#include <algorithm>
#include <cmath>

#include "ops/phi_piecewise.h"
#include "ops/phi_smooth.h"

namespace fastinit {
namespace {

template <class F>
class Bound final : public Function {
 public:
    explicit Bound(F f) : f_(f) { traits = f_.traits(); }
    void eval(const double* x, std::size_t n, double* phi, double* dphi) const override {
        double spare[64];
        for (std::size_t i = 0; i < n; i += 64)
            loop(x + i, std::min<std::size_t>(64, n - i), phi + i, dphi ? dphi + i : spare);
    }
    bool closed_moments(double q, double mean, Moments* m) const override {
        return f_.moments(q, mean, m);
    }
    bool closed_first_moment(double q, double* v) const override { return f_.first(q, v); }
    bool closed_second_moment(double q, double* v) const override { return f_.second(q, v); }
    bool closed_pair(double q, const Correlation& r, PairMoments* p) const override {
        return f_.pair(q, r, p);
    }

 private:
    // apart from the arrays of the caller, so that the branch-free ones become vector code
    void loop(const double* __restrict x, std::size_t n, double* __restrict phi,
              double* __restrict dphi) const {
        const F f = f_;
        for (std::size_t i = 0; i < n; ++i) f(x[i], phi[i], dphi[i]);
    }

    F f_;
};

using Made = std::unique_ptr<Function>;

template <class F>
Made bind(F f) {
    return std::make_unique<Bound<F>>(f);
}

template <class F>
Made plain(const double*) {
    return bind(F{});
}

}  // namespace

const std::vector<ActivationRow>& activation_table() {
    static const std::vector<ActivationRow> table = {
        {"linear", {"identity"}, {}, [](const double*) { return bind(Leaky{1.0}); }},
        {"relu", {}, {}, [](const double*) { return bind(Leaky{0.0}); }},
        {"leaky_relu",
         {"lrelu"},
         {{"negative_slope", "a", 0.01}},
         [](const double* p) { return bind(Leaky{p[0]}); }},
        {"prelu",
         {},
         {{"negative_slope", "a", 0.25}},
         [](const double* p) { return bind(Leaky{p[0]}); }},
        {"elu",
         {},
         {{"alpha", "", 1.0}},
         [](const double* p) { return bind(Elu(1.0, p[0], 1.0)); }},
        {"celu",
         {},
         {{"alpha", "", 1.0}},
         [](const double* p) { return bind(Elu(1.0, p[0], p[0])); }},
        {"selu", {}, {}, [](const double*) { return bind(Elu(kSeluLambda, kSeluAlpha, 1.0)); }},
        {"gelu", {"gelu_erf"}, {}, plain<Gelu>},
        {"gelu_tanh", {"gelu_new", "gelu_approximate", "gelu_pytorch_tanh"}, {}, plain<GeluTanh>},
        {"quick_gelu", {"gelu_sigmoid"}, {}, [](const double*) { return bind(Swish(1.702)); }},
        {"silu", {"swish"}, {}, [](const double*) { return bind(Swish(1.0)); }},
        {"mish", {}, {}, plain<Mish>},
        {"softplus", {}, {}, plain<Softplus>},
        {"tanh", {}, {}, plain<Tanh>},
        {"sigmoid", {"logistic"}, {}, plain<Sigmoid>},
        {"hardtanh", {"hard_tanh"}, {}, plain<Hardtanh>},
        {"relu6", {}, {}, plain<Relu6>},
        {"hard_sigmoid", {"hardsigmoid"}, {}, plain<HardSigmoid>},
        {"hardswish", {"hard_swish", "hard_silu"}, {}, plain<Hardswish>},
        {"softsign", {"soft_sign"}, {}, plain<Softsign>},
        {"erf", {}, {}, plain<Erf>},
        {"atan", {"arctan"}, {}, plain<Atan>},
        {"sin",
         {"sine", "siren"},
         {{"w", "omega", 1.0}},
         [](const double* p) { return bind(Sin{p[0]}); }},
        {"squared_relu", {"relu2", "relu_squared"}, {}, plain<SquaredRelu>},
        {"abs", {"absolute"}, {}, [](const double*) { return bind(Leaky{-1.0}); }},
        {"log_sigmoid", {"logsigmoid"}, {}, plain<LogSigmoid>},
        {"tanhshrink", {"tanh_shrink"}, {}, plain<Tanhshrink>},
    };
    return table;
}

void central_differences(const Function& f, const double* x, std::size_t n, double* dphi) {
    std::vector<double> at(n), up(n), down(n), middle(n);
    const double step = f.coarseness() > 1.0 ? 4e-3 : 1e-5;
    const auto shifted = [&](double sign, std::size_t i) { return x[i] + sign * step * std::max(1.0, std::fabs(x[i])); };
    const auto values = [&](double sign, std::vector<double>* to) {
        for (std::size_t i = 0; i < n; ++i) at[i] = shifted(sign, i);
        f.probe(at.data(), n, to->data(), nullptr);
    };
    values(1.0, &up);
    values(-1.0, &down);
    const auto refused = [](double v) { return !std::isfinite(v); };
    if (std::any_of(up.begin(), up.end(), refused) || std::any_of(down.begin(), down.end(), refused)) values(0.0, &middle);
    for (std::size_t i = 0; i < n; ++i) {
        const bool no_up = refused(up[i]), no_down = refused(down[i]);
        const double above = no_up ? middle[i] : up[i], below = no_down ? middle[i] : down[i];
        dphi[i] = no_up && no_down ? std::nan("")
                                   : (above - below) / (shifted(no_up ? 0.0 : 1.0, i) - shifted(no_down ? 0.0 : -1.0, i));
    }
}

const ActivationRow* find_activation(const std::string& name) {
    for (const ActivationRow& row : activation_table()) {
        if (name == row.name) return &row;
        for (const char* alias : row.aliases)
            if (name == alias) return &row;
    }
    return nullptr;
}

}  // namespace fastinit
