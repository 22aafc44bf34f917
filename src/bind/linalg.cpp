// SPDX-License-Identifier: BSD-3-Clause
// Matrix products and orthogonal matrices: from arrays to views in elements.
#include <stdexcept>

#include "bind/bind.h"
#include "ops/gemm.h"

namespace fastinit {
namespace {

// A matrix of any strides that are whole elements; what is checked here would corrupt memory.
template <class T>
Matrix<T> matrix_from(const py::array& a, bool writable) {
    if (!py::isinstance<py::array_t<T>>(a) || a.ndim() != 2) throw py::type_error("a matrix of the same dtype");
    if (writable && !a.writeable()) throw py::value_error("out is read-only");
    constexpr py::ssize_t item = sizeof(T);
    const bool aligned = reinterpret_cast<std::uintptr_t>(a.data()) % alignof(T) == 0;
    if (!aligned || a.strides(0) % item != 0 || a.strides(1) % item != 0) {
        throw py::value_error("strides must be whole elements");
    }
    return {static_cast<T*>(const_cast<void*>(a.data())), a.shape(0), a.shape(1), a.strides(0) / item,
            a.strides(1) / item};
}

template <class T>
void multiply_as(const py::array& a, const py::array& b, const py::array& c, double alpha, bool add, int threads) {
    const Matrix<T> left = matrix_from<T>(a, false), right = matrix_from<T>(b, false), out = matrix_from<T>(c, true);
    if (left.rows != out.rows || right.cols != out.cols || left.cols != right.rows) {
        throw py::value_error("shapes of a product");
    }
    without_gil([&](const Poll& poll) {
        Team team(threads, poll);
        GemmSpace<T> space;
        gemm(team, space, Rows<T>(left), Rows<T>(right.transposed()), left.cols, static_cast<T>(alpha), add, out);
    });
}

// For tests and benchmarks of the product: c = alpha a b, or c + alpha a b.
void multiply(const py::array& a, const py::array& b, const py::array& c, double alpha, bool add, int threads) {
    if (c.itemsize() == 8) return multiply_as<double>(a, b, c, alpha, add, threads);
    multiply_as<float>(a, b, c, alpha, add, threads);
}

}  // namespace

void register_linalg(py::module_& m) {
    m.def("gemm", &multiply, py::arg("a"), py::arg("b"), py::arg("c"), py::arg("alpha"), py::arg("add"),
          py::arg("num_threads"));
}

}  // namespace fastinit
