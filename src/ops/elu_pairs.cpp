// SPDX-License-Identifier: BSD-3-Clause
//
// In polar coordinates of the two whitened inputs the radial integrals are closed: with
// H(z) = int_0^inf r exp(-r^2/2 - z r) dr = erfcx_rest(z / sqrt 2) and cos t = c,
//   E[exp v; v < 0 < u]         = C = int_0^t H(s sin x) dx / 2 pi,             s = sqrt(q)
//   E[exp(u + v); u, v < 0]     = A = int_(t/2)^(pi/2) H(2 s cos(t/2) sin x) dx / pi
// the bivariate normal distribution functions of Owen 1956, scaled, as sums of positive terms.
#include "ops/elu_pairs.h"

#include <algorithm>
#include <cmath>

#include "core/constants.h"
#include "core/special.h"
#include "ops/quadrature.h"

namespace fastinit {
namespace {

namespace sp = special;


// Integral of g(x) over [low, high] by one panel.
template <class G>
double panel(double low, double high, G g) {
    const GaussRule& rule = gauss_rule2();
    const double middle = 0.5 * (low + high), half = 0.5 * (high - low);
    double sum = 0.0;
    for (int i = 0; i < rule.n; ++i) sum += rule.w[i] * g(middle + half * rule.x[i]);
    return half * sum;
}

double radial(double s, double x) { return sp::erfcx_rest(kRootHalf * s * sp::sin(x)); }

// Integral of H(s sin x) over [low, high], high <= pi / 2. H is entire, of scale one near zero
// and algebraic beyond. An infinite s must not stop the panels from growing.
double swept(double s, double low, double high) {
    const double scale = std::max(4.0 / s, 1e-300);
    double sum = 0.0;
    while (low < high) {
        const double right = std::min(high, std::max(3.0 * low, low + scale));
        sum += panel(low, right, [&](double x) { return radial(s, x); });
        low = right;
    }
    return sum;
}

// C and A at an angle.
double mixed(double s, double angle, double opposite) {
    if (angle <= 0.5 * kPi) return 0.5 * kInvPi * swept(s, 0.0, angle);
    return 0.5 * kInvPi * (2.0 * swept(s, 0.0, 0.5 * kPi) - swept(s, 0.0, opposite));
}

double both(double s, double angle) {
    return kInvPi * swept(2.0 * s * sp::cos(0.5 * angle), 0.5 * angle, 0.5 * kPi);
}

// E[(exp y - 1)^2; y < 0], y ~ N(0, q)
double squared_branch(double q) {
    if (q > 0.5)
        return 0.5 * sp::erfcx(std::sqrt(2.0 * q)) - sp::erfcx(std::sqrt(0.5 * q)) + 0.5;
    // sum of (-x)^n (2^n - 2) / (2 Gamma(n/2 + 1)) from n = 2
    const double x = std::sqrt(0.5 * q);
    double even = 0.5 * x * x, odd = -0.5 * x * x * x * 0.752252778063675049264;
    double power = 4.0, sum = 0.0;
    for (int n = 2; n < 40; n += 2) {
        sum += even * (power - 2.0) + odd * (2.0 * power - 2.0);
        even *= x * x / (0.5 * n + 1.0);
        odd *= x * x / (0.5 * n + 1.5);
        power *= 4.0;
    }
    return sum;
}

}  // namespace

double elu_second(double p, double alpha) { return 0.5 * p + alpha * alpha * squared_branch(p); }

void add_exponential(double q, double alpha, const Correlation& r, double angle, double opposite,
                     PairMoments* p) {
    const double s = std::sqrt(q), alpha2 = alpha * alpha;
    const double c = mixed(s, angle, opposite), a = both(s, angle);
    if (q < 1.0 || (r.c > 0.0 && q * r.below < 1.0)) {
        // Price's theorem: E[phi^2] - E[phi phi] = q int_0^t E[phi' phi'] sin x dx. Both
        // parts vary over x = 1 / s, and t is no larger than that
        const double first = panel(0.0, angle, [&](double x) {
            return radial(s, x) * sp::sin(0.5 * (angle + x)) * sp::sin(0.5 * (angle - x));
        });
        const double second = panel(0.0, angle, [&](double x) { return both(s, x) * sp::sin(x); });
        p->below += q * alpha * (2.0 * kInvPi * first + alpha * second);
        const double total = elu_second(q, alpha);
        p->phi_phi = total - p->below;
        p->above = total + p->phi_phi;
    } else {
        // E[u (exp v - 1); v < 0 < u] and E[(exp u - 1)(exp v - 1); u, v < 0]
        const double edge = sp::erfcx(std::sqrt(0.5 * q * r.below * r.above));
        const double x = 0.5 * kInvSqrt2Pi * s * (edge - 1.0) + r.c * q * c;
        const double b = 0.5 * sp::erfcx(kRootHalf * s) - c;
        const double e = a - 2.0 * b + 0.5 * kInvPi * opposite, one = squared_branch(q);
        p->phi_phi += 2.0 * alpha * x + alpha2 * e;
        p->below += alpha2 * (one - e) - 2.0 * alpha * x;
        p->above += alpha2 * (one + e) + 2.0 * alpha * x;
    }
    p->dphi_dphi += 2.0 * alpha * c + alpha2 * a;
}

}  // namespace fastinit
