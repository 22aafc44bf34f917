// SPDX-License-Identifier: BSD-3-Clause
// Orthogonal matrices of Haar's law by Stewart's method ("The efficient generation of random
// orthogonal matrices", 1980): the reflectors of the QR of a Gaussian matrix are those of
// independent Gaussian columns, so they are drawn and never factored.
#pragma once
#include <functional>
#include <vector>

#include "ops/householder.h"
#include "ops/reflectors.h"

namespace fastinit {

// `scale` times columns first, first + step, ... of the (rows x order) Q with orthonormal columns, order <= rows,
// into `out` (rows x any, step > 0): reflector k is made from rows k... of column k of
// normal((rows, order), key), and the columns' signs are those of a QR with positive diagonal of R.
template <class T>
struct OrthogonalJob {
    Matrix<T> out;
    std::int64_t order, first, step;
    T scale;
    Key key;
    bool factored;  // the QR of normal((rows, order), key) instead; `out` then has all columns
};

// Q of a factorization by householder() in job.out, into job.out itself, all columns.
template <class T>
void accumulate(Team& team, ReflectorSpace<T>& space, const OrthogonalJob<T>& job, const Heads<T>& heads,
                const Progress& progress);

// a (m x n) = Q R with R's diagonal >= 0: R into r (min(m, n) x n), Q into the first min(m, n) columns
// of a where `with_q`.
template <class T>
void qr(const Matrix<T>& a, const Matrix<T>& r, bool with_q, int threads, const Poll& poll,
        const Progress& progress);

// All jobs by one team: large ones in turn, each by all threads; small ones spread over threads.
template <class T>
void orthogonal_all(const std::vector<OrthogonalJob<T>>& jobs, int threads, const Poll& poll,
                    const Progress& progress);

}  // namespace fastinit
