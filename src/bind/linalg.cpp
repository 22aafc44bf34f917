// SPDX-License-Identifier: BSD-3-Clause
// Matrix products and orthogonal matrices: from arrays to views in elements.
#include <algorithm>
#include <complex>

#include "bind/bind.h"
#include "ops/gemm.h"
#include "ops/orthogonal.h"
#include "ops/unitary.h"

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

// Calls a Python function from work that has given up the GIL.
Progress progress_from(const py::object& function) {
    if (function.is_none()) return {};
    return [&function](double done) {
        const Locked gil;
        function(done);
    };
}

template <class T>
void orthogonal_as(const py::array& out, const OrthogonalJob<T>& like, const std::vector<std::uint64_t>& keys,
                   int threads, const py::object& progress) {
    constexpr py::ssize_t item = sizeof(T);
    if (!py::isinstance<py::array_t<T>>(out) || out.ndim() != 3) throw py::type_error("out must be a stack");
    if (static_cast<std::size_t>(out.shape(0)) != keys.size()) throw py::value_error("one key per matrix");
    std::vector<OrthogonalJob<T>> jobs(keys.size(), like);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const auto batch = static_cast<py::ssize_t>(i);
        auto* data = static_cast<char*>(const_cast<void*>(out.data())) + batch * out.strides(0);
        const bool aligned = reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0;
        if (!aligned || out.strides(1) % item != 0 || out.strides(2) % item != 0) {
            throw py::value_error("strides must be whole elements");
        }
        jobs[i].out = {reinterpret_cast<T*>(data), out.shape(1), out.shape(2), out.strides(1) / item,
                       out.strides(2) / item};
        jobs[i].key = key_from(keys[i]);
    }
    without_gil([&](const Poll& poll) {
        orthogonal_all(jobs, threads, poll, progress_from(progress));
    });
}

// A (batch, rows, columns) stack of matrices; see OrthogonalJob.
void orthogonals(const py::array& out, std::int64_t order, std::int64_t first, std::int64_t step, double scale,
                 const std::vector<std::uint64_t>& keys, bool factored, int threads, const py::object& progress) {
    if (!out.writeable()) throw py::value_error("out is read-only");
    const std::int64_t rows = out.shape(1), cols = out.shape(2);
    const bool inside = order >= 0 && order <= rows && first >= 0 && step >= 1 &&
                        (cols == 0 || first + (cols - 1) * step < order);
    if (!inside || (factored && cols != order)) throw py::value_error("columns and order of the matrices");
    const DefaultMode mode;  // for the rounding of `scale`, too
    if (out.itemsize() == 8) {
        return orthogonal_as<double>(out, {{}, order, first, step, scale, {}, factored}, keys, threads, progress);
    }
    orthogonal_as<float>(out, {{}, order, first, step, static_cast<float>(scale), {}, factored}, keys, threads,
                         progress);
}

template <class T>
void unitary_as(const py::array& out, double scale, const std::vector<std::uint64_t>& keys, int threads,
                const py::object& progress) {
    constexpr py::ssize_t item = 2 * sizeof(T);
    if (!py::isinstance<py::array_t<std::complex<T>>>(out) || out.ndim() != 3) throw py::type_error("a complex stack");
    const bool fits = out.writeable() && static_cast<std::size_t>(out.shape(0)) == keys.size() &&
                      out.shape(2) <= out.shape(1) && out.strides(1) % item == 0 &&
                      (out.strides(2) == item || out.shape(2) == 1) &&
                      reinterpret_cast<std::uintptr_t>(out.data()) % alignof(T) == 0 && out.strides(0) % item == 0;
    if (!fits) throw py::value_error("writable tall matrices with consecutive rows, and a key for each");
    std::vector<Matrix<T>> outs;
    std::vector<Key> found;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        auto* data = static_cast<char*>(const_cast<void*>(out.data())) + static_cast<py::ssize_t>(i) * out.strides(0);
        outs.push_back({reinterpret_cast<T*>(data), out.shape(1), 2 * out.shape(2),
                        out.strides(1) / static_cast<py::ssize_t>(sizeof(T)), 1});
        found.push_back(key_from(keys[i]));
    }
    without_gil([&](const Poll& poll) {
        unitary_all(outs, found, static_cast<T>(scale), threads, poll, progress_from(progress));
    });
}

// A (batch, rows, columns) stack of complex matrices.
void unitaries(const py::array& out, double scale, const std::vector<std::uint64_t>& keys, int threads,
               const py::object& progress) {
    if (out.itemsize() == 16) return unitary_as<double>(out, scale, keys, threads, progress);
    unitary_as<float>(out, scale, keys, threads, progress);
}

template <class T>
void qr_as(const py::array& a, const py::array& r, bool with_q, int threads, const py::object& progress) {
    const Matrix<T> q = matrix_from<T>(a, true), upper = matrix_from<T>(r, true);
    const std::int64_t order = std::min(q.rows, q.cols);
    if (upper.rows != order || upper.cols != q.cols) throw py::value_error("shape of r");
    without_gil([&](const Poll& poll) {
        qr(q, upper, with_q, threads, poll, progress_from(progress));
    });
}

// a becomes Q (its first columns) where `with_q`, else is lost; r becomes R with a diagonal >= 0.
void factor_qr(const py::array& a, const py::array& r, bool with_q, int threads, const py::object& progress) {
    if (a.itemsize() == 8) return qr_as<double>(a, r, with_q, threads, progress);
    qr_as<float>(a, r, with_q, threads, progress);
}

}  // namespace

void register_linalg(py::module_& m) {
    m.def("gemm", &multiply, py::arg("a"), py::arg("b"), py::arg("c"), py::arg("alpha"), py::arg("add"),
          py::arg("num_threads"));
    m.def("orthogonal", &orthogonals, py::arg("out"), py::arg("order"), py::arg("first"), py::arg("step"),
          py::arg("scale"), py::arg("keys"), py::arg("factored"), py::arg("num_threads"), py::arg("progress"));
    m.def("unitary", &unitaries, py::arg("out"), py::arg("scale"), py::arg("keys"), py::arg("num_threads"),
          py::arg("progress"));
    m.def("qr", &factor_qr, py::arg("a"), py::arg("r"), py::arg("with_q"), py::arg("num_threads"),
          py::arg("progress"));
}

}  // namespace fastinit
