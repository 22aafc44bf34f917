// SPDX-License-Identifier: BSD-3-Clause
// Blocked Householder QR (Bischof and Van Loan 1987; Schreiber and Van Loan 1989).
#pragma once
#include <functional>
#include <vector>

#include "ops/reflectors.h"

namespace fastinit {

// Told on the calling thread how much of the work is done, from 0 to 1.
using Progress = std::function<void(double done)>;

// Columns of one panel of a matrix with so many reflectors: part of the number contract.
std::int64_t panel_columns(std::int64_t order);

// Of each reflector what it makes of its column, which a power of two may have lifted, and its own
// first element. The signs are those of R's diagonal, which follow no convention.
template <class T>
struct Heads {
    std::vector<T> values, pivots;
};

// Factors a in place: R above the diagonal, reflectors below; any shape, any strides.
template <class T>
Heads<T> householder(Team& team, ReflectorSpace<T>& space, const Matrix<T>& a, const Progress& progress);

}  // namespace fastinit
