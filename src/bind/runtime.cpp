// SPDX-License-Identifier: BSD-3-Clause
// What the process runs on: instruction set, threads, build.
#include <stdexcept>

#include "bind/bind.h"

namespace fastinit {
namespace {

std::vector<std::string> available() {
    const Kernels* list[8];
    const std::size_t n = available_kernels(list, 8);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < n; ++i) names.emplace_back(list[i]->isa);
    return names;
}

py::dict build_info() {
    py::dict d;
    d["version"] = FI_VERSION;
#if defined(__clang__)
    d["compiler"] = std::string("clang ") + __clang_version__;
#else
    d["compiler"] = std::string("gcc ") + __VERSION__;
#endif
    d["flags"] = FI_BUILD_FLAGS;
    return d;
}

// For tests of the team: chunks run by each worker; chunk `fail_at` throws.
std::vector<std::size_t> probe_team(std::size_t chunks, int threads, std::size_t fail_at) {
    std::vector<std::size_t> done(static_cast<std::size_t>(threads));
    without_gil([&](const Poll& poll) {
        parallel_for(chunks, threads, poll, [&](std::size_t chunk, int worker) {
            if (chunk == fail_at) throw std::runtime_error("chunk " + std::to_string(chunk) + " failed");
            // A nested call runs on this thread alone, as its worker 0.
            parallel_for(3, threads, poll, [&](std::size_t, int nested) {
                if (nested != 0) throw std::logic_error("a nested call started threads");
            });
            ++done[static_cast<std::size_t>(worker)];
        });
    });
    return done;
}

}  // namespace

void register_runtime(py::module_& m) {
    m.attr("__version__") = FI_VERSION;
    m.def("isa", [] { return std::string(kernels().isa); });
    m.def("available_isas", &available);
    m.def("set_isa", [](const std::string& isa) { set_kernels(isa.c_str()); }, py::arg("isa"));
    m.def("build_info", &build_info);
    m.def("asked_threads", &asked_threads);
    m.def("default_num_threads", &default_num_threads);
    m.def("probe_team", &probe_team, py::arg("chunks"), py::arg("threads"), py::arg("fail_at"));
}

}  // namespace fastinit
