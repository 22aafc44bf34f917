// SPDX-License-Identifier: BSD-3-Clause
// Unitary matrices of Haar's law, as orthogonal.h makes orthogonal ones: complex reflectors, in
// real products of twice the depth.
#pragma once
#include "ops/orthogonal.h"

namespace fastinit {

// `scale` times Q (rows x order, order <= rows) for every key, real and imaginary parts side by
// side: each of `outs` is a real (rows x 2 order) matrix, whose rows are consecutive. Reflector k is
// made from rows k... of column k of normal((rows, order, 2), key). One matrix is made by all
// threads, several are spread over them.
template <class T>
void unitary_all(const std::vector<Matrix<T>>& outs, const std::vector<Key>& keys, T scale, int threads,
                 const Poll& poll, const Progress& progress);

}  // namespace fastinit
