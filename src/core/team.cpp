// SPDX-License-Identifier: BSD-3-Clause
// The call-scoped thread team and the default number of its threads.
#include "core/team.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace fastinit {
namespace {

thread_local bool inside_team = false;

struct InsideTeam {
    bool before = inside_team;
    InsideTeam() { inside_team = true; }
    ~InsideTeam() { inside_team = before; }
};

class Work {
public:
    Work(std::size_t chunks, const Poll& poll,
         const std::function<void(std::size_t, int)>& body)
        : chunks_(chunks), poll_(poll), body_(body) {}

    void run(int worker) noexcept {
        InsideTeam guard;
        try {
            auto asked = Clock::now();
            for (;;) {
                const std::size_t chunk = next_.fetch_add(1, std::memory_order_relaxed);
                if (chunk >= chunks_ || stop_.load(std::memory_order_relaxed)) return;
                body_(chunk, worker);
                if (worker == 0 && poll_ && Clock::now() - asked > std::chrono::milliseconds(50)) {
                    if (poll_()) throw Interrupted{};
                    asked = Clock::now();
                }
            }
        } catch (...) {
            stop_.store(true);
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!error_) error_ = std::current_exception();
        }
    }

    void rethrow() const {
        if (error_) std::rethrow_exception(error_);
    }

private:
    using Clock = std::chrono::steady_clock;
    const std::size_t chunks_;
    const Poll& poll_;
    const std::function<void(std::size_t, int)>& body_;
    std::atomic<std::size_t> next_{0};
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::exception_ptr error_;
};

constexpr long kMostThreads = 65536;

// 0 where it is not set, or empty.
int asked_threads() {
    const char* text = std::getenv("FASTINIT_NUM_THREADS");
    if (text == nullptr || *text == '\0') return 0;
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (*end != '\0' || n < 1) {
        throw std::invalid_argument("FASTINIT_NUM_THREADS must be an int of at least 1, got '" +
                                    std::string(text) + "'");
    }
    return static_cast<int>(std::min(n, kMostThreads));
}

// OpenMP's variable belongs to others too: what is no number here is left to them.
int openmp_threads() {
    const char* text = std::getenv("OMP_NUM_THREADS");
    if (text == nullptr) return 0;
    const long n = std::strtol(text, nullptr, 10);  // "8,4" (nested OpenMP) counts as 8
    return n > 0 && n < kMostThreads ? static_cast<int>(n) : 0;
}

int cgroup_quota() {
    std::ifstream v2("/sys/fs/cgroup/cpu.max");
    std::string quota;
    double period = 0;
    if (v2 >> quota >> period && quota != "max" && period > 0) {
        return std::max(1, static_cast<int>(std::ceil(std::atof(quota.c_str()) / period)));
    }
    std::ifstream q1("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    std::ifstream p1("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    double limit = 0;
    if (q1 >> limit && p1 >> period && limit > 0 && period > 0) {
        return std::max(1, static_cast<int>(std::ceil(limit / period)));
    }
    return 0;
}

}  // namespace

void parallel_for(std::size_t chunks, int threads, const Poll& poll,
                  const std::function<void(std::size_t, int)>& body) {
    Work work(chunks, poll, body);
    const std::size_t team = inside_team ? 1 : std::min<std::size_t>(std::max(threads, 1), chunks);
    std::vector<std::thread> helpers;
    try {
        helpers.reserve(team);
        for (std::size_t i = 1; i < team; ++i) {
            helpers.emplace_back([&work, i] { work.run(static_cast<int>(i)); });
        }
    } catch (const std::system_error&) {
        // The system gives no more threads: those that started do the work.
    }
    work.run(0);
    for (std::thread& t : helpers) t.join();
    work.rethrow();
}

int useful_threads(std::size_t bytes, int threads) {
    constexpr std::size_t kBytesPerThread = std::size_t{1} << 18;
    const std::size_t useful = std::max<std::size_t>(1, bytes / kBytesPerThread);
    if (useful == 1) return 1;  // and the system is not asked: that takes longer than a small fill
    return static_cast<int>(std::min<std::size_t>(threads > 0 ? threads : default_num_threads(), useful));
}

int default_num_threads() {
    if (const int n = asked_threads()) return n;
    if (const int n = openmp_threads()) return n;
    int cpus = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = std::max(1, CPU_COUNT(&set));
#endif
    static const int quota = cgroup_quota();  // files: too slow for every call
    return quota > 0 ? std::min(cpus, quota) : cpus;
}

}  // namespace fastinit
