// SPDX-License-Identifier: BSD-3-Clause
// A team of threads that lives inside one call: nothing persists, so fork and
// interpreter exit are safe. Chunks are claimed by an atomic counter.
#pragma once
#include <cstddef>
#include <functional>

namespace fastinit {

// Asked on the calling thread about every 50 ms; true stops the work.
using Poll = std::function<bool()>;

// Thrown by parallel_for when the poll says stop.
struct Interrupted {};

// Runs body(chunk, worker) for every chunk in [0, chunks), worker in [0, threads).
// The calling thread is worker 0. The first exception stops the rest and is thrown
// here after all threads have ended. A call from inside a body runs serially.
void parallel_for(std::size_t chunks, int threads, const Poll& poll,
                  const std::function<void(std::size_t chunk, int worker)>& body);

// Threads worth using for so many bytes of output; threads = 0 asks for the default.
int useful_threads(std::size_t bytes, int threads);

// FASTINIT_NUM_THREADS, else OMP_NUM_THREADS, else affinity mask and cgroup quota.
// Throws std::invalid_argument when FASTINIT_NUM_THREADS is no positive int.
int default_num_threads();

}  // namespace fastinit
