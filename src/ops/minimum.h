// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace fastinit {

// Minimum of g over [a, b] by golden section.
template <class G>
double minimum(G g, double a, double b, int steps) {
    constexpr double r = 0.618033988749894848;
    double x = b - r * (b - a), y = a + r * (b - a), gx = g(x), gy = g(y);
    for (int i = 0; i < steps; ++i) {
        if (gx < gy) {
            b = y, y = x, gy = gx;
            x = b - r * (b - a), gx = g(x);
        } else {
            a = x, x = y, gx = gy;
            y = a + r * (b - a), gy = g(y);
        }
    }
    return 0.5 * (a + b);
}

}  // namespace fastinit
