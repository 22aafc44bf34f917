// SPDX-License-Identifier: BSD-3-Clause
// Scalar Gaussian tails and truncated moments (see gauss.h).
#include "core/gauss.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace fastinit::gauss {
namespace {

constexpr double kInvSqrt2Pi = 0.39894228040143267794;

double power_of_two(int e) {  // -1022 <= e <= 1023
    const std::uint64_t bits = static_cast<std::uint64_t>(e + 1023) << 52;
    double x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// Nodes and weights of 16-point Gauss-Legendre on [-1, 1], positive half.
constexpr double kNode[8] = {0.0950125098376374402, 0.2816035507792589132, 0.4580167776572273863,
                             0.6178762444026437484, 0.7554044083550030339, 0.8656312023878317439,
                             0.9445750230732325761, 0.9894009349916499326};
constexpr double kWeight[8] = {0.1894506104550684963, 0.1826034150449235889, 0.1691565193950025382,
                               0.1495959888165767321, 0.1246289712555338721, 0.0951585116824927848,
                               0.0622535239386478929, 0.0271524594117540949};

}  // namespace

double exp(double x) {
    if (x < -745.2) return 0.0;
    if (x > 709.78) return std::numeric_limits<double>::infinity();
    constexpr double log2e = 1.44269504088896340736;
    constexpr double ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;
    const double shifted = std::fma(x, log2e, 0x1.8p52);  // rounds to an integer
    const double n = shifted - 0x1.8p52;
    const double hi = std::fma(-n, ln2_hi, x);
    const double r = std::fma(-n, ln2_lo, hi);
    // Taylor, |r| <= 0.35: the 15th term is below 1e-19.
    double tail = 0.0;
    for (int k = 15; k >= 2; --k) tail = (1.0 + tail) * r / k;
    const double y = 1.0 + std::fma(r, tail, r);
    const int e = static_cast<int>(n);
    return y * power_of_two(e / 2) * power_of_two(e - e / 2);
}

double density(double x) {
    const double sq = x * x, low = std::fma(x, x, -sq);
    if (!(sq < 1500.0)) return 0.0;
    return kInvSqrt2Pi * exp(-0.5 * sq) * (1.0 - 0.5 * low);
}

double mills(double x) {
    if (x > 1e8) return 1.0 / x;
    double t = x;
    for (int n = 240; n >= 1; --n) t = x + n / t;  // Laplace's continued fraction
    return 1.0 / t;
}

double upper(double x) {
    if (x >= 1.0) return x > 39.0 ? 0.0 : density(x) * mills(x);
    if (x < -1.0) return 1.0 - upper(-x);
    // Marsaglia's series: density * (x + x^3/3 + x^5/15 + ...), all of one sign.
    double sum = 0.0;
    for (int k = 41; k >= 3; k -= 2) sum = x * x / k * (1.0 + sum);
    return 0.5 - density(x) * x * (1.0 + sum);
}

Moments truncated_moments(double a, double b) {
    if (a < 0.0 && b < -a) {  // mirror, so that the heavier side is never the far one
        const Moments m = truncated_moments(-b, -a);
        return {-m.mean, m.variance};
    }
    // The mode within the window, and the point where the density is 1e-35 of it.
    const double mode = std::max(a, 0.0);
    const double end = std::min(b, mode > 0.0 ? mode + std::min(13.0, 85.0 / mode) : 13.0);
    const double begin = std::max(a, -13.0);
    // Moments about the mode keep their digits in narrow and in far windows.
    constexpr int panels = 48;
    const double half = (end - begin) / (2 * panels);
    double s0 = 0.0, s1 = 0.0, s2 = 0.0;
    const auto add = [&](double d, double w) {
        const double f = w * exp(-d * (mode + 0.5 * d));
        s0 += f;
        s1 += f * d;
        s2 += f * d * d;
    };
    for (int p = 0; p < panels; ++p) {
        const double center = (begin - mode) + (2 * p + 1) * half;
        for (int k = 0; k < 8; ++k) {
            add(center - half * kNode[k], kWeight[k]);
            add(center + half * kNode[k], kWeight[k]);
        }
    }
    const double d = s1 / s0;
    return {mode + d, s2 / s0 - d * d};
}

}  // namespace fastinit::gauss
