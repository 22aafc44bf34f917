// SPDX-License-Identifier: BSD-3-Clause
// Orthogonal matrices of Haar's law by Stewart's method ("The efficient generation of random
// orthogonal matrices", 1980): the reflectors of the QR of a Gaussian matrix are those of
// independent Gaussian columns, so they are drawn and never factored.
#pragma once
#include <functional>
#include <vector>

#include "ops/reflectors.h"

namespace fastinit {

// Told on the calling thread how much of the work is done, from 0 to 1.
using Progress = std::function<void(double done)>;

// `scale` times columns first, first + step, ... of the (rows x order) Q with orthonormal columns, order <= rows,
// into `out` (rows x any, step > 0): reflector k is made from rows k... of column k of
// normal((rows, order), key), and the columns' signs are those of a QR with positive diagonal of R.
template <class T>
struct OrthogonalJob {
    Matrix<T> out;
    std::int64_t order, first, step;
    T scale;
    Key key;
};

// All jobs by one team: large ones in turn, each by all threads; small ones spread over threads.
template <class T>
void orthogonal_all(const std::vector<OrthogonalJob<T>>& jobs, int threads, const Poll& poll,
                    const Progress& progress);

}  // namespace fastinit
