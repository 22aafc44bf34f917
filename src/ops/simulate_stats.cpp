// SPDX-License-Identifier: BSD-3-Clause
// Sums over whole arrays: each chunk by itself, then the chunks in order.
#include "ops/simulate_stats.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace fastinit::simulation {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr int kLanes = 4;  // sums side by side
constexpr std::int64_t kColumns = 128;

struct Sums {
    double s1 = 0, s2 = 0, s3 = 0, s4 = 0;
    double columns2 = 0;  // of the squared sums of columns
    std::int64_t zero = 0, nonfinite = 0;

    void add(const Sums& o) {
        s1 += o.s1;
        s2 += o.s2;
        s3 += o.s3;
        s4 += o.s4;
        columns2 += o.columns2;
        zero += o.zero;
        nonfinite += o.nonfinite;
    }
};

double total(const double (&lanes)[kLanes]) { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); }

// Columns [0, n) of rows that are `step` apart, n <= kColumns.
Sums sum_columns(const float* x, std::int64_t rows, std::int64_t step, std::int64_t n) {
    double column[kColumns] = {}, value[kColumns] = {};
    double s2[kLanes] = {}, s3[kLanes] = {}, s4[kLanes] = {};
    Sums sums;
    for (std::int64_t r = 0; r < rows; ++r, x += step) {
        int zero = 0, finite = 0;
        for (std::int64_t j = 0; j < n; ++j) {
            const bool ok = std::fabs(x[j]) <= kLargest;
            const float v = ok ? x[j] : 0.0f;
            value[j] = static_cast<double>(v);
            finite += ok;
            zero += x[j] == 0.0f;
        }
        sums.zero += zero;
        sums.nonfinite += n - finite;
        for (std::int64_t j = 0; j < n; j += kLanes) {  // beyond n values are 0
            for (int l = 0; l < kLanes; ++l) {
                const double v = value[j + l], v2 = v * v;
                column[j + l] += v;
                s2[l] += v2;
                s3[l] += v2 * v;
                s4[l] += v2 * v2;
            }
        }
    }
    double s1[kLanes] = {}, columns2[kLanes] = {};
    for (std::int64_t j = 0; j < kColumns; j += kLanes) {
        for (int l = 0; l < kLanes; ++l) {
            s1[l] += column[j + l];
            columns2[l] += column[j + l] * column[j + l];
        }
    }
    sums.s1 = total(s1);
    sums.s2 = total(s2);
    sums.s3 = total(s3);
    sums.s4 = total(s4);
    sums.columns2 = total(columns2);
    return sums;
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
    for (const T& p : parts) {
        if constexpr (std::is_same_v<T, Sums>) {
            all.add(p);
        } else {
            all += p;
        }
    }
    return all;
}

}  // namespace

Spread spread(Team& team, const float* x, std::int64_t rows, std::int64_t columns) {
    const Sums s = sum_chunks<Sums>(team, columns, kColumns, [&](std::int64_t begin, std::int64_t n) {
        return sum_columns(x + begin, rows, columns, n);
    });
    Spread out{};
    const double all = static_cast<double>(rows) * static_cast<double>(columns);
    const double n = all - static_cast<double>(s.nonfinite);
    out.nonfinite = static_cast<double>(s.nonfinite);
    out.zero = static_cast<double>(s.zero) / all;
    out.mean = s.s1 / n;
    out.square = s.s2 / n;
    // Rounding can push the difference of equal numbers below 0.
    out.variance = std::max(0.0, out.square - out.mean * out.mean);
    const double m = out.mean, m2 = m * m;
    const double fourth = s.s4 / n - 4.0 * m * (s.s3 / n) + 6.0 * m2 * out.square - 3.0 * m2 * m2;
    const bool spreads = out.variance > 1e-12 * out.square;
    out.kurtosis = spreads ? fourth / (out.variance * out.variance) : kNan;
    out.correlation = rows > 1 && s.s2 > 0.0
                          ? (s.columns2 - s.s2) / (static_cast<double>(rows - 1) * s.s2)
                          : kNan;
    return out;
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

double dot(Team& team, const float* x, const float* y, std::int64_t n) {
    return sum_chunks<double>(team, n, kElements, [&](std::int64_t begin, std::int64_t count) {
        double lanes[kLanes] = {};
        std::int64_t i = 0;
        for (; i + kLanes <= count; i += kLanes) {
            for (int l = 0; l < kLanes; ++l) {
                lanes[l] += static_cast<double>(x[begin + i + l]) * static_cast<double>(y[begin + i + l]);
            }
        }
        for (; i < count; ++i) lanes[0] += static_cast<double>(x[begin + i]) * static_cast<double>(y[begin + i]);
        return total(lanes);
    });
}

void round_to(DType dtype, float* x, std::int64_t n) {
    if (dtype == DType::float16) {
        for (std::int64_t i = 0; i < n; ++i) x[i] = as_float16(x[i]);
    } else if (dtype == DType::bfloat16) {
        for (std::int64_t i = 0; i < n; ++i) x[i] = as_bfloat16(x[i]);
    }
}

}  // namespace fastinit::simulation
