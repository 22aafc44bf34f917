// SPDX-License-Identifier: BSD-3-Clause
// A team of threads that lives inside one call: nothing persists, so fork and
// interpreter exit are safe. Chunks are claimed by an atomic counter.
#pragma once
#include <cfenv>
#include <cstddef>
#include <functional>
#include <memory>

namespace fastinit {

// Asked on the calling thread about every 50 ms; true stops the work.
using Poll = std::function<bool()>;

// Thrown by Team::run when the poll says stop.
struct Interrupted {};

// For calls of many stages: the threads wait for the next one awake, as long as it comes soon.
class Team {
public:
    using Body = std::function<void(std::size_t chunk, int worker)>;

    // A team made inside the body of another one has one member.
    Team(int threads, const Poll& poll);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    int size() const { return size_; }

    // Runs body(chunk, worker) for every chunk in [0, chunks), worker in [0, size()). The calling
    // thread is worker 0, and the one that made the team. The first exception stops the rest and
    // is thrown here after all have stopped.
    void run(std::size_t chunks, const Body& body);

private:
    class State;
    std::unique_ptr<State> state_;  // none where one thread has nobody to ask
    int size_ = 1;
};

// The floating-point mode that the core computes in, whatever the calling thread has set (as flushing of
// subnormal numbers, or a rounding): threads that begin within it inherit it.
class DefaultMode {
public:
    DefaultMode();
    ~DefaultMode() {
        if (other_) std::fesetenv(&before_);
    }
    DefaultMode(const DefaultMode&) = delete;
    DefaultMode& operator=(const DefaultMode&) = delete;

private:
    bool other_;
    std::fenv_t before_;
};

// One stage by a team of its own.
void parallel_for(std::size_t chunks, int threads, const Poll& poll, const Team::Body& body);

// Threads worth using for so many bytes of output; threads = 0 asks for the default.
int useful_threads(std::size_t bytes, int threads);

// Operations on one matrix below which it takes less time than a team needs to meet at its stages.
constexpr double kSharedFlops = 3e7;

// Threads worth using for so many floating-point operations on so many matrices, as above.
int useful_threads(double flops, std::size_t matrices, int threads);

// FASTINIT_NUM_THREADS; 0 where it is not set, or empty. Throws std::invalid_argument
// where it is no positive int.
int asked_threads();

// That, else OMP_NUM_THREADS, else affinity mask and cgroup quota.
int default_num_threads();

}  // namespace fastinit
