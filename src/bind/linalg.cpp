// SPDX-License-Identifier: BSD-3-Clause
// Matrix products and orthogonal matrices: from arrays to views in elements.
#include <stdexcept>

#include "bind/bind.h"
#include "ops/gemm.h"
#include "ops/orthogonal.h"

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

template <class T>
void orthogonal_as(const py::list& jobs, int threads, const py::object& progress) {
    std::vector<OrthogonalJob<T>> list;
    for (const py::handle item : jobs) {
        const auto t = py::reinterpret_borrow<py::tuple>(item);
        OrthogonalJob<T> job{matrix_from<T>(py::reinterpret_borrow<py::array>(t[0]), true), t[1].cast<std::int64_t>(),
                             t[2].cast<std::int64_t>(), t[3].cast<std::int64_t>(), static_cast<T>(t[4].cast<double>()),
                             key_from(t[5].cast<std::uint64_t>())};
        if (job.order < 0 || job.order > job.out.rows || job.first < 0 || job.step < 1 ||
            (job.out.cols > 0 && job.first + (job.out.cols - 1) * job.step >= job.order)) {
            throw py::value_error("columns beyond the order, or an order beyond the rows");
        }
        list.push_back(job);
    }
    Progress tell;
    if (!progress.is_none()) {
        tell = [&progress](double done) {
            const py::gil_scoped_acquire gil;
            progress(done);
        };
    }
    without_gil([&](const Poll& poll) { orthogonal_all(list, threads, poll, tell); });
}

// Jobs are (out, order, first column, step of columns, scale, key); see OrthogonalJob.
void orthogonals(const py::list& jobs, int itemsize, int threads, const py::object& progress) {
    if (itemsize == 8) return orthogonal_as<double>(jobs, threads, progress);
    orthogonal_as<float>(jobs, threads, progress);
}

}  // namespace

void register_linalg(py::module_& m) {
    m.def("gemm", &multiply, py::arg("a"), py::arg("b"), py::arg("c"), py::arg("alpha"), py::arg("add"),
          py::arg("num_threads"));
    m.def("orthogonal", &orthogonals, py::arg("jobs"), py::arg("itemsize"), py::arg("num_threads"),
          py::arg("progress"));
}

}  // namespace fastinit
