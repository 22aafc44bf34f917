// SPDX-License-Identifier: BSD-3-Clause
//
// The table of activations: name, aliases, parameters, phi and phi', where they
// bend, and closed Gaussian expectations.  A new activation is one struct and one
// row in activations.cpp.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace fastinit {

enum class Parity { none, odd, even };

// A correlation with both distances to its ends, so that neither is rounded away.
struct Correlation {
    double c, below, above;  // c, 1 - c, 1 + c

    static Correlation from_c(double c) { return {c, 1.0 - c, 1.0 + c}; }
    static Correlation from_below(double d) { return {1.0 - d, d, 2.0 - d}; }
    static Correlation from_above(double e) { return {e - 1.0, 2.0 - e, e}; }
};

// Expectations over h ~ N(mean, q).
struct Moments {
    double phi, phi2, phi4, dphi, dphi2, dphi4, h_phi_dphi;
};

// Expectations over (u, v) ~ N(0, q [[1, c], [c, 1]]).
struct PairMoments {
    double phi_phi, dphi_dphi;
    double below;  // E[phi^2] - E[phi(u) phi(v)], with small relative error as c -> 1
    double above;  // E[phi^2] + E[phi(u) phi(v)], with small relative error as c -> -1
};

// phi = level + (line + ramp [h > 0]) h + step sign(h) far from zero.
struct Asymptotes {
    double level = 0.0, line = 0.0, ramp = 0.0, step = 0.0;
};

// What quadrature has to know about a function.
struct Traits {
    Parity parity = Parity::none;
    std::vector<double> kinks;  // phi or a derivative jumps here
    double scale = 1.0;         // panels at 2 scale 3^k resolve it; 0: polynomial between kinks
    double tail = 1e300;        // beyond it phi is a polynomial to the last digit
    double strip = 0.0;         // analytic for |Im h| < strip; 0: not smooth
    Asymptotes asymptotes;      // of a smooth one, to the last digit beyond tail
    bool linear_above = false;  // no curvature for h > 0
    bool discover = false;      // nothing is known: find the panels by refinement
    bool has_derivative = true;
};

// A function's value that is no number: names the function and the argument.
struct NotFinite : std::domain_error {
    using std::domain_error::domain_error;
};

// An activation with its parameters bound.
class Function {
 public:
    virtual ~Function() = default;
    // phi and phi' at n points; dphi may be null.  phi' at a kink is one-sided.
    virtual void eval(const double* x, std::size_t n, double* phi, double* dphi) const = 0;
    // The same with NaN for what eval refuses.
    virtual void probe(const double* x, std::size_t n, double* phi, double* dphi) const {
        eval(x, n, phi, dphi);
    }
    // Relative rounding of the values, in units of that of doubles.
    virtual double coarseness() const { return 1.0; }
    // Where phi jumps, ascending.
    virtual const std::vector<double>& jumps() const {
        static const std::vector<double> none;
        return none;
    }
    virtual bool closed_moments(double /*q*/, double /*mean*/, Moments*) const { return false; }
    virtual bool closed_first_moment(double /*q*/, double*) const { return false; }
    virtual bool closed_second_moment(double /*q*/, double*) const { return false; }
    virtual bool closed_pair(double /*q*/, const Correlation&, PairMoments*) const { return false; }

    Traits traits;
};

// phi' by central differences, for a function that has none of its own: 1e-10, of one in float32
// 1e-5. One-sided where eval refuses the other side, NaN where both.
void central_differences(const Function& f, const double* x, std::size_t n, double* dphi);

struct Parameter {
    const char* name;
    const char* alias;  // "" if none
    double value;       // default
};

struct ActivationRow {
    const char* name;
    std::vector<const char*> aliases;
    std::vector<Parameter> parameters;
    std::unique_ptr<Function> (*make)(const double* parameters);
};

const std::vector<ActivationRow>& activation_table();

// Row of a name or alias, or nullptr.
const ActivationRow* find_activation(const std::string& name);

}  // namespace fastinit
