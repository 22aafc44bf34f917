// SPDX-License-Identifier: BSD-3-Clause
// Common to the bindings: pybind11, the registration functions, the release of the GIL,
// and the poll that lets Ctrl-C reach a call which has released it.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
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

// The GIL, given up by the calling thread. Once the interpreter is exiting, Python before
// 3.14 unwinds a thread that asks for it, which C++ code on the stack turns into an abort of
// the process; such a thread sleeps until the end instead, as in later versions.
class Unlocked {
public:
    Unlocked() : state_(PyEval_SaveThread()) {}
    ~Unlocked() { lock(); }
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

    void lock() noexcept {
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }
    void unlock() noexcept { state_ = PyEval_SaveThread(); }

private:
    PyThreadState* state_;
};

// The GIL for a while, on a thread that has given it up; the same at exit.
class Locked {
public:
    Locked() noexcept {
        try {
            state_ = PyGILState_Ensure();
        } catch (...) {
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }
    ~Locked() { PyGILState_Release(state_); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

private:
    PyGILState_STATE state_;
};

// Runs body(poll) without the GIL; a pending signal stops it and is raised.
template <class Body>
void without_gil(const Body& body) {
    const DefaultMode mode;
    try {
        Unlocked gil;
        const Poll poll = [&gil, caller = std::this_thread::get_id()] {
            if (std::this_thread::get_id() != caller) return false;  // a nested call on a helper
            gil.lock();
            const bool stop = PyErr_CheckSignals() != 0;
            gil.unlock();
            return stop;
        };
        body(poll);
    } catch (const Interrupted&) {
        throw py::error_already_set();
    }
}

}  // namespace fastinit
