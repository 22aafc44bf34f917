// SPDX-License-Identifier: BSD-3-Clause
// Sums over whole arrays: each chunk by itself, then the chunks in order.
#include "ops/simulate_stats.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/constants.h"

namespace fastinit::simulation {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();
constexpr int kLanes = 4;  // sums side by side
constexpr std::int64_t kRun = 128;
constexpr std::int64_t kRowValues = 16384;  // values of the rows that a thread takes at once

struct Sums {
    double s1 = 0, s2 = 0, s4 = 0;
    std::int64_t zero = 0, nonfinite = 0;

    Sums& operator+=(const Sums& o) {
        s1 += o.s1;
        s2 += o.s2;
        s4 += o.s4;
        zero += o.zero;
        nonfinite += o.nonfinite;
        return *this;
    }
};

double total(const double (&lanes)[kLanes]) { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); }

// Up to kRun values as float64, non-finite ones as 0, zeros after the last.
void widen(const float* x, std::int64_t n, double (&to)[kRun]) {
    if (n < kRun) std::fill(to + n, to + kRun, 0.0);
    for (std::int64_t j = 0; j < n; ++j) {
        const float v = std::fabs(x[j]) <= kLargest ? x[j] : 0.0f;
        to[j] = static_cast<double>(v);
    }
}

Sums sums_of(const float* x, std::int64_t n) {
    double s1[kLanes] = {}, s2[kLanes] = {}, s4[kLanes] = {}, value[kRun];
    Sums sums;
    for (std::int64_t i = 0; i < n; i += kRun) {
        const std::int64_t m = std::min(kRun, n - i);
        int zero = 0, finite = 0;
        for (std::int64_t j = i; j < i + m; ++j) {
            finite += std::fabs(x[j]) <= kLargest;
            zero += x[j] == 0.0f;
        }
        sums.zero += zero;
        sums.nonfinite += m - finite;
        widen(x + i, m, value);
        for (std::int64_t j = 0; j < kRun; j += kLanes) {
            for (int l = 0; l < kLanes; ++l) {
                const double v = value[j + l], v2 = v * v;
                s1[l] += v;
                s2[l] += v2;
                s4[l] += v2 * v2;
            }
        }
    }
    sums.s1 = total(s1);
    sums.s2 = total(s2);
    sums.s4 = total(s4);
    return sums;
}

double squares_of(const float* x, std::int64_t n) {
    double s2[kLanes] = {}, value[kRun];
    for (std::int64_t i = 0; i < n; i += kRun) {
        widen(x + i, std::min(kRun, n - i), value);
        for (std::int64_t j = 0; j < kRun; j += kLanes) {
            for (int l = 0; l < kLanes; ++l) s2[l] += value[j + l] * value[j + l];
        }
    }
    return total(s2);
}

std::uint32_t bits_of(float x) {
    std::uint32_t b;
    std::memcpy(&b, &x, sizeof b);
    return b;
}
float from_bits(std::uint32_t b) {
    float x;
    std::memcpy(&x, &b, sizeof x);
    return x;
}

float as_float16(float x) {
    const std::uint32_t bits = bits_of(x), a = bits & 0x7fffffffu, sign = bits & 0x80000000u;
    const std::uint32_t normal = (a + 0xfffu + ((a >> 13) & 1u)) & ~0x1fffu;
    // Below 2^-14 float16 is a fixed-point number in steps of 2^-24, as float32 is in [1/2, 1).
    const std::uint32_t small = bits_of((from_bits(a) + 0.5f) - 0.5f);
    std::uint32_t rounded = a < 0x38800000u ? small : normal;
    rounded = normal >= 0x47800000u ? 0x7f800000u : rounded;  // 65520 and more
    rounded = a >= 0x7f800000u ? a : rounded;                 // infinities and NaNs stay
    return from_bits(rounded | sign);
}

float as_bfloat16(float x) {
    const std::uint32_t bits = bits_of(x);
    const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
    return from_bits((bits & 0x7fffffffu) > 0x7f800000u ? bits : rounded);
}

// The parts of a sum over chunks, then added in their order.
template <class T, class Part>
T sum_chunks(Team& team, std::int64_t n, std::int64_t each, const Part& part) {
    std::vector<T> parts(static_cast<std::size_t>((n + each - 1) / each));
    team.run(parts.size(), [&](std::size_t chunk, int) {
        const std::int64_t begin = static_cast<std::int64_t>(chunk) * each;
        parts[chunk] = part(begin, std::min(each, n - begin));
    });
    T all{};
    for (const T& p : parts) all += p;
    return all;
}

}  // namespace

Spread spread(Team& team, const float* x, std::int64_t rows, std::int64_t columns) {
    const std::int64_t all = rows * columns;
    const Sums s = sum_chunks<Sums>(team, all, kElements,
                                    [&](std::int64_t begin, std::int64_t n) { return sums_of(x + begin, n); });
    const auto n = static_cast<double>(all - s.nonfinite), most = static_cast<double>(all);
    const double square = s.s2 / n;
    return {s.s1 / n, square, s.s4 / n / (square * square), static_cast<double>(s.zero) / most,
            static_cast<double>(s.nonfinite) / most};
}

std::vector<double> row_squares(Team& team, const float* x, std::int64_t rows, std::int64_t columns) {
    std::vector<double> squares(static_cast<std::size_t>(rows));
    const std::int64_t each = std::max<std::int64_t>(1, kRowValues / columns);
    team.run(static_cast<std::size_t>((rows + each - 1) / each), [&](std::size_t chunk, int) {
        const std::int64_t begin = static_cast<std::int64_t>(chunk) * each;
        for (std::int64_t r = begin; r < std::min(rows, begin + each); ++r) {
            squares[static_cast<std::size_t>(r)] = squares_of(x + r * columns, columns);
        }
    });
    return squares;
}

// The sum over pairs of u . v is |sum of u|^2 - sum of |u|^2, u the rows of length 1.
double correlation(Team& team, const float* x, std::int64_t rows, std::int64_t columns) {
    if (rows < 2) return kNan;
    std::vector<double> factor = row_squares(team, x, rows, columns);
    double ones = 0.0;
    for (double& f : factor) {
        ones += f > 0.0;
        f = f > 0.0 ? 1.0 / std::sqrt(f) : 0.0;
    }
    const double square = sum_chunks<double>(team, columns, kRun, [&](std::int64_t begin, std::int64_t n) {
        double sum[kRun] = {}, value[kRun];
        for (std::int64_t r = 0; r < rows; ++r) {
            widen(x + r * columns + begin, n, value);
            const double f = factor[static_cast<std::size_t>(r)];
            for (std::int64_t j = 0; j < kRun; ++j) sum[j] += value[j] * f;
        }
        double lanes[kLanes] = {};
        for (std::int64_t j = 0; j < kRun; j += kLanes) {
            for (int l = 0; l < kLanes; ++l) lanes[l] += sum[j + l] * sum[j + l];
        }
        return total(lanes);
    });
    return (square - ones) / (static_cast<double>(rows) * static_cast<double>(rows - 1));
}

float scale_of(Team& team, const float* x, std::int64_t n) {
    std::vector<float> parts(static_cast<std::size_t>((n + kElements - 1) / kElements));
    for_elements(team, n, [&](std::int64_t begin, std::int64_t count) {
        std::uint32_t most = 0;  // magnitudes order as their bits do, NaN on top
        for (std::int64_t i = 0; i < count; ++i) most = std::max(most, bits_of(x[begin + i]) & 0x7fffffffu);
        parts[static_cast<std::size_t>(begin / kElements)] = from_bits(most);
    });
    float most = 0.0f;
    for (const float p : parts) most = p <= most ? most : p;
    if (!(most <= kLargest)) return 0.0f;
    int exponent = 0;
    std::frexp(most, &exponent);
    return std::ldexp(1.0f, std::min(126, std::max(-126, -exponent)));
}

double square(Team& team, const float* x, std::int64_t n) {
    return sum_chunks<double>(team, n, kElements,
                              [&](std::int64_t begin, std::int64_t count) { return squares_of(x + begin, count); });
}

void round_to(DType dtype, float* x, std::int64_t n) {
    if (dtype == DType::float16) {
        for (std::int64_t i = 0; i < n; ++i) x[i] = as_float16(x[i]);
    } else if (dtype == DType::bfloat16) {
        for (std::int64_t i = 0; i < n; ++i) x[i] = as_bfloat16(x[i]);
    }
}

}  // namespace fastinit::simulation
