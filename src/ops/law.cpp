// SPDX-License-Identifier: BSD-3-Clause
// From the request of a caller to the constants of a kernel, in float64.
#include <algorithm>
#include <cmath>

#include "core/constants.h"
#include "core/special.h"
#include "ops/fill.h"
#include "ops/truncated.h"

namespace fastinit {
namespace {

constexpr double kFar = 4.0;     // a window beyond this is solved in its own tail
constexpr double kFast = 3.5;    // float32 arithmetic reaches so far ...
constexpr double kNarrow = 0.5;  // ... in windows at least so wide
constexpr double kLevel = 1e-8;  // the density of windows so narrow (in parts of 1/|z| too) is level
constexpr double kFlat = 1e-3;   // windows within this, where probabilities are all but 1/2
constexpr double kMost = 1e300;  // sigmas

void set_uniform(LawParams& p, double low, double high, bool wide) {
    if (!wide) {
        low = static_cast<float>(low);
        high = static_cast<float>(high);
    }
    p.scale = high - low;
    p.shift = p.low = low;
    // The excluded bound: rounding may reach it, the clamp takes it back.
    p.high = wide ? std::nextafter(high, low)
                  : std::nextafter(static_cast<float>(high), static_cast<float>(low));
}

// A finite bound stays finite, so that draws pile up at it.
double in_sigmas(double bound, const Request& r) {
    const double z = (bound - r.p0) / r.p1;
    return std::isinf(bound) ? z : std::min(std::max(z, -kMost), kMost);
}

// P(z > edge + width) / P(z > edge) for edge >= 4.
double tail_ratio(double edge, double width) {
    return width == kInf ? 0.0
                              : special::exp(-width * (edge + 0.5 * width)) * mills_ratio(edge + width) /
                                    mills_ratio(edge);
}

void set_truncated(LawParams& p, const Request& r, bool wide) {
    const bool absolute = r.asked == Asked::truncated_absolute;
    p.shift = r.p0;
    p.scale = r.p1;
    p.low = absolute ? r.lo : r.p0 + r.lo * r.p1;
    p.high = absolute ? r.hi : r.p0 + r.hi * r.p1;
    if (r.p1 == 0.0) {  // a point mass
        p.law = Law::normal;
        return;
    }
    const double a = absolute ? in_sigmas(r.lo, r) : r.lo;
    const double b = absolute ? in_sigmas(r.hi, r) : r.hi;
    const double width = absolute ? (r.hi - r.lo) / r.p1 : b - a;  // b - a loses digits beside a distant mean
    if (width * std::max({1.0, std::fabs(a), std::fabs(b)}) <= kLevel) {
        p.law = Law::truncated_edge;
        p.shift = p.low;
        p.scale = absolute ? r.hi - r.lo : width * r.p1;
        return;
    }
    if (a >= kFar || b <= -kFar) {
        p.law = Law::truncated_edge;
        p.shift = a >= kFar ? p.low : p.high;
        p.scale = a >= kFar ? r.p1 : -r.p1;
        p.edge = a >= kFar ? a : -b;
        p.ratio = tail_ratio(p.edge, width);
        return;
    }
    const bool fast = !wide && a >= -kFast && b <= kFast && b - a >= kNarrow;
    p.law = fast ? Law::truncated : Law::truncated_wide;
    p.below = special::normal_cdf(a);
    p.above = special::normal_cdf(-b);
    // From the two numbers that are smallest, so that nothing cancels.
    p.mass = a > 0   ? special::normal_cdf(-a) - p.above
             : b < 0 ? special::normal_cdf(b) - p.below
                     : 1.0 - p.below - p.above;
    p.middle = 0.5 * (p.below - p.above);
    if (std::max(std::fabs(a), std::fabs(b)) < kFlat) {  // differences of what lies around 0, not around 1/2
        const double at_a = special::erf(a * kRootHalf), at_b = special::erf(b * kRootHalf);
        p.mass = 0.5 * (at_b - at_a);
        p.middle = 0.25 * (at_b + at_a);
    }
}

}  // namespace

LawParams law_params(const Request& r, DType dtype, Key key, std::uint32_t tag) {
    LawParams p{};
    p.key = key;
    p.tag = tag;
    const bool wide = dtype == DType::float64;
    switch (r.asked) {
        case Asked::uniform:
            p.law = Law::uniform;
            set_uniform(p, r.p0, r.p1, wide);
            break;
        case Asked::normal:
            p.law = Law::normal;
            p.shift = r.p0;
            p.scale = r.p1;
            break;
        case Asked::words: p.law = Law::words; break;
        case Asked::constant:
            p.law = Law::constant;
            p.shift = r.p0;
            break;
        default: set_truncated(p, r, wide);
    }
    return p;
}

}  // namespace fastinit
