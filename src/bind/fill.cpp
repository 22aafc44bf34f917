// SPDX-License-Identifier: BSD-3-Clause
// Fills: from Python's jobs to views.
#include "bind/bind.h"
#include "ops/fill.h"
#include "ops/truncated.h"

namespace fastinit {
namespace {

// A view of any strides and alignment; the Python layer has checked type and overlap,
// what is checked again here would corrupt memory if it were wrong.
Job job_from(const py::tuple& t) {
    if (t.size() != 10) throw py::type_error("job must be a tuple of 10 items");
    const auto out = py::reinterpret_borrow<py::array>(t[0]);
    const int code = t[1].cast<int>();
    if (!py::isinstance<py::array>(t[0])) throw py::type_error("out must be an array");
    if (code < 0 || code >= kDTypes) throw py::value_error("dtype code out of range");
    Job job;
    job.dtype = static_cast<DType>(code);
    if (static_cast<std::size_t>(out.itemsize()) != item_size(job.dtype)) {
        throw py::type_error("out does not have the item size of its dtype code");
    }
    if (!out.writeable()) throw py::value_error("out is read-only");
    const Request request{static_cast<Asked>(t[2].cast<int>()), t[3].cast<double>(), t[4].cast<double>(),
                          t[5].cast<double>(), t[6].cast<double>()};
    if ((request.asked == Asked::words) != (job.dtype == DType::uint32)) {
        throw py::type_error("words go into uint32 arrays, and nothing else does");
    }
    job.law = law_params(request, job.dtype, key_from(t[7].cast<std::uint64_t>()), 0);
    job.base = t[8].cast<std::uint64_t>();
    job.data = static_cast<char*>(const_cast<void*>(out.data()));
    job.axes.resize(static_cast<std::size_t>(out.ndim()));
    std::int64_t dense = 1;
    for (std::size_t i = job.axes.size(); i-- > 0;) {
        const auto d = static_cast<py::ssize_t>(i);
        job.axes[i] = {out.shape(d), dense, out.strides(d)};
        dense *= out.shape(d);
    }
    if (!t[9].is_none()) {
        const auto steps = py::reinterpret_borrow<py::tuple>(t[9]);
        if (steps.size() != job.axes.size()) throw py::value_error("one step per dimension");
        for (std::size_t i = 0; i < steps.size(); ++i) job.axes[i].step = steps[i].cast<std::int64_t>();
    }
    return job;
}

void fill_jobs(const py::list& list, int threads) {
    const DefaultMode mode;  // for what laws precompute, too
    std::vector<Job> jobs;
    jobs.reserve(list.size());
    for (const py::handle item : list) jobs.push_back(job_from(py::reinterpret_borrow<py::tuple>(item)));
    without_gil([&](const Poll& poll) { fill(jobs, threads, poll); });
}

void mask(py::array out, std::uint64_t key, std::int64_t rows, std::int64_t zeros,
          std::pair<std::int64_t, std::int64_t> row, std::pair<std::int64_t, std::int64_t> column, int threads) {
    if (out.ndim() != 2 || !out.writeable()) throw py::value_error("out must be a writable matrix");
    SparseMask m{static_cast<char*>(out.mutable_data()), static_cast<std::size_t>(out.itemsize()),
                 out.shape(0), out.shape(1), out.strides(0), out.strides(1),
                 row.first, row.second, column.first, column.second, rows, zeros, key_from(key)};
    without_gil([&](const Poll& poll) { sparse_mask(m, threads, poll); });
}

py::tuple truncated(double a, double b) {
    const DefaultMode mode;
    const TruncatedMoments m = truncated_moments(a, b);
    return py::make_tuple(m.mean, m.variance);
}

template <class T>
void affine(py::array_t<T> x, const py::array_t<T>& scale, const py::array_t<T>& shift) {
    for (const py::array& a : {py::array(x), py::array(scale), py::array(shift)}) {
        if (!(a.flags() & py::array::c_style) || a.size() != x.size()) {
            throw py::value_error("x, scale and shift must be contiguous and as long");
        }
    }
    const auto n = static_cast<std::size_t>(x.size());
    const DefaultMode mode;
    real_kernels<T>().affine(n, x.mutable_data(), scale.data(), shift.data());
}

template <class T>
py::array_t<T> probe(int function, const py::array_t<T, py::array::c_style | py::array::forcecast>& x) {
    py::array_t<T> y(x.size());
    real_kernels<T>().probe(function, x.data(), y.mutable_data(), static_cast<std::size_t>(x.size()));
    return y;
}

}  // namespace

void register_fill(py::module_& m) {
    m.def("fill", &fill_jobs, py::arg("jobs"), py::arg("num_threads"));
    m.def("sparse_mask", &mask, py::arg("out"), py::arg("key"), py::arg("rows"), py::arg("zeros"), py::arg("row"),
          py::arg("column"), py::arg("num_threads"));
    m.def("truncated_moments", &truncated, py::arg("a"), py::arg("b"));
    m.def("affine", &affine<float>, py::arg("x").noconvert(), py::arg("scale").noconvert(), py::arg("shift").noconvert());
    m.def("affine", &affine<double>, py::arg("x").noconvert(), py::arg("scale").noconvert(), py::arg("shift").noconvert());
    m.def("probe_f32", &probe<float>, py::arg("function"), py::arg("x"));
    m.def("probe_f64", &probe<double>, py::arg("function"), py::arg("x"));
}

}  // namespace fastinit
