// SPDX-License-Identifier: BSD-3-Clause
// Common to the bindings: pybind11, the registration functions, and the poll that
// lets Ctrl-C reach a call which has released the GIL.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/kernels.h"
#include "core/team.h"

namespace py = pybind11;

namespace fastinit {

void register_runtime(py::module_& m);
void register_fill(py::module_& m);
void register_stream(py::module_& m);
void register_linalg(py::module_& m);
void register_propagation(py::module_& m);
void register_simulation(py::module_& m);

inline Key key_from(std::uint64_t key) {
    return {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
}

// Runs body() without the GIL; a pending signal stops it and is raised.
template <class Body>
void without_gil(const Body& body) {
    const Poll poll = [] {
        const py::gil_scoped_acquire gil;
        return PyErr_CheckSignals() != 0;
    };
    try {
        const py::gil_scoped_release release;
        body(poll);
    } catch (const Interrupted&) {
        throw py::error_already_set();
    }
}

}  // namespace fastinit
