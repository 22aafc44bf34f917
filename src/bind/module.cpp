// SPDX-License-Identifier: BSD-3-Clause
// The compiled module: registers the bindings, one file per category.
#include "bind/bind.h"

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
    m.doc() = "Compiled core of fastinit; its arguments are checked by the Python layer.";
    fastinit::register_runtime(m);
    fastinit::register_fill(m);
    fastinit::register_stream(m);
    fastinit::register_linalg(m);
    fastinit::register_propagation(m);
    fastinit::register_simulation(m);
}
