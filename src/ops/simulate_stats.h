// SPDX-License-Identifier: BSD-3-Clause
// Statistics of arrays, and rounding to narrower types. Sums are float64 and have a fixed shape.
#pragma once
#include <cstdint>
#include <vector>

#include "core/dtype.h"
#include "core/team.h"

namespace fastinit::simulation {

// Over the finite values of an array of rows (inputs) x columns (units).
struct Spread {
    double mean, square, kurtosis;  // E x, E x^2, E x^4 / (E x^2)^2
    double zero, nonfinite;         // fractions of all values
};

Spread spread(Team& team, const float* x, std::int64_t rows, std::int64_t columns);

// Sum of the squared finite values of every row.
std::vector<double> row_squares(Team& team, const float* x, std::int64_t rows, std::int64_t columns);

// Mean cosine over all pairs of different rows, of the finite values; NaN for one row. Rows of
// zeros have cosine 0 with all others.
double correlation(Team& team, const float* x, std::int64_t rows, std::int64_t columns);

// A power of two that brings the largest finite magnitude near 1, so that products of such numbers
// neither overflow nor vanish; 0 where a number is not finite.
float scale_of(Team& team, const float* x, std::int64_t n);

// Sum of squares of finite values.
double square(Team& team, const float* x, std::int64_t n);

// To float16 or bfloat16 and back, to nearest even; float32 stays.
void round_to(DType dtype, float* x, std::int64_t n);

constexpr std::int64_t kElements = 16384;  // that a thread takes at once

// body(begin, count) over chunks of [0, n).
template <class Body>
void for_elements(Team& team, std::int64_t n, const Body& body) {
    team.run(static_cast<std::size_t>((n + kElements - 1) / kElements), [&](std::size_t chunk, int) {
        const std::int64_t begin = static_cast<std::int64_t>(chunk) * kElements;
        body(begin, n - begin < kElements ? n - begin : kElements);
    });
}

}  // namespace fastinit::simulation
