// SPDX-License-Identifier: BSD-3-Clause
// Products of Householder reflectors in compact WY form: H_1 ... H_k = I - V T V', V unit-free
// lower trapezoidal, T upper triangular.
#pragma once
#include <vector>

#include "ops/gemm.h"

namespace fastinit {

// Buffers of one member of a team; they grow with use.
template <class T>
struct Member {
    GemmSpace<T> gemm;
    Buffer<T> w;
};

// Buffers of one matrix at a time.
template <class T>
struct ReflectorSpace {
    GemmSpace<T> gemm;
    Buffer<T> v, gram, t, vt;
    Packed<T> left, right;
    std::vector<Member<T>> members;
    Buffer<double> sums;

    void join(const Team& team) {
        if (members.size() < static_cast<std::size_t>(team.size())) {
            members = std::vector<Member<T>>(static_cast<std::size_t>(team.size()));
        }
    }
};

// The lower trapezoid of a panel made reflectors in place: column k, from its diagonal x_k down,
// becomes x with x_k + sign(x_k) |x| for x_k, sign(0) = 1, which H = I - 2 v v' / v'v maps to
// -sign(x_k) |x| e_k; above the diagonal 0. `heads` takes -sign(x_k) |x|. A column of one number, or
// of zeros, has v = 0 and keeps its head.
template <class T>
void make_reflectors(Team& team, Buffer<double>& sums, const Matrix<T>& v, T* heads);

// T (k x k, row-major, 0 below the diagonal) of V (m x k): the inverse of the upper triangle of V'V
// with its diagonal halved (Puglisi 1992; Joffrain et al. 2006).
template <class T>
void triangular_factor(Team& team, ReflectorSpace<T>& space, const Matrix<T>& v, T* t);

// vt = v t, or v t' where `transposed`, for an upper triangular t.
template <class T>
void multiply_triangle(Team& team, std::vector<Member<T>>& members, const Matrix<T>& v, const Matrix<T>& t,
                       bool transposed, const Matrix<T>& vt);

}  // namespace fastinit
