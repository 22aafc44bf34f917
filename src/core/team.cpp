// SPDX-License-Identifier: BSD-3-Clause
// The call-scoped thread team and the default number of its threads.
#include "core/team.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
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

// How long a thread stays awake for the next stage; sleeping and waking takes about as long.
constexpr auto kAwake = std::chrono::microseconds(50);

using Clock = std::chrono::steady_clock;

// By what it does: reading and setting the whole environment takes a quarter of a microsecond.
bool rounds_and_underflows_by_default() {
    const volatile double one = 1.0, little = 0x1p-60, subnormal = 0x1p-1074;
    return one + little == 1.0 && one - little == 1.0 && subnormal * 2.0 != 0.0;
}

}  // namespace

DefaultMode::DefaultMode() : other_(!rounds_and_underflows_by_default()) {
    if (!other_) return;
    std::fegetenv(&before_);
    std::fesetenv(FE_DFL_ENV);
}

class Team::State {
public:
    State(int threads, const Poll& poll) : poll_(poll), asked_(Clock::now()) {
        try {
            helpers_.reserve(static_cast<std::size_t>(threads - 1));
            for (int i = 1; i < threads; ++i) helpers_.emplace_back([this, i] { help(i); });
        } catch (const std::exception&) {
            // The system gives no more threads, or no memory for them: those that started do the work.
        }
    }

    ~State() {
        begin(nullptr, 0);
        for (std::thread& t : helpers_) t.join();
    }

    int size() const { return static_cast<int>(helpers_.size()) + 1; }

    void run(std::size_t chunks, const Body& body) {
        error_ = nullptr;
        stop_.store(false, std::memory_order_relaxed);
        next_.store(0, std::memory_order_relaxed);
        const bool shared = chunks > 1 && !helpers_.empty();
        if (shared) {
            begin(&body, chunks);
        } else {
            body_ = &body;
            chunks_ = chunks;
        }
        work(0);
        if (shared) wait([this] { return busy_.load(std::memory_order_acquire) == 0; });
        if (error_) std::rethrow_exception(error_);
    }

private:
    // A stage for the helpers; without a body, the end.
    void begin(const Body* body, std::size_t chunks) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            body_ = body;
            chunks_ = chunks;
            busy_.store(helpers_.size(), std::memory_order_relaxed);
            stage_.fetch_add(1, std::memory_order_release);
        }
        changed_.notify_all();
    }

    void help(int worker) {
        for (std::size_t stage = 1;; ++stage) {
            wait([&] { return stage_.load(std::memory_order_acquire) >= stage; });
            if (body_ == nullptr) return;
            work(worker);
            if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                // Under the lock, so that the caller cannot fall asleep in between.
                const std::lock_guard<std::mutex> lock(mutex_);
                changed_.notify_all();
            }
        }
    }

    template <class Ready>
    void wait(const Ready& ready) {
        const auto until = Clock::now() + kAwake;
        while (!ready()) {
            if (Clock::now() < until) {
                std::this_thread::yield();
            } else {
                // With an end that never matters, for the loop goes on: wait() of libstdc++ 12
                // would ask for a newer system than anything else here does.
                std::unique_lock<std::mutex> lock(mutex_);
                changed_.wait_for(lock, std::chrono::hours(1), ready);
            }
        }
    }

    void work(int worker) noexcept {
        InsideTeam guard;
        try {
            for (;;) {
                const std::size_t chunk = next_.fetch_add(1, std::memory_order_relaxed);
                if (chunk >= chunks_ || stop_.load(std::memory_order_relaxed)) return;
                (*body_)(chunk, worker);
                if (worker == 0) ask();
            }
        } catch (...) {
            stop_.store(true);
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!error_) error_ = std::current_exception();
        }
    }

    void ask() {
        if (!poll_ || Clock::now() - asked_ < std::chrono::milliseconds(50)) return;
        if (poll_()) throw Interrupted{};
        asked_ = Clock::now();
    }

    const Poll poll_;
    Clock::time_point asked_;
    const Body* body_ = nullptr;
    std::size_t chunks_ = 0;
    std::atomic<std::size_t> next_{0}, stage_{0}, busy_{0};
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::exception_ptr error_;
    std::vector<std::thread> helpers_;  // last: they use all of the above
};

Team::Team(int threads, const Poll& poll) {
    const int wanted = inside_team ? 1 : std::max(threads, 1);
    if (wanted == 1 && !poll) return;
    state_.reset(new State(wanted, poll));
    size_ = state_->size();
}

Team::~Team() = default;

void Team::run(std::size_t chunks, const Body& body) {
    if (state_) return state_->run(chunks, body);
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) body(chunk, 0);
}

void parallel_for(std::size_t chunks, int threads, const Poll& poll, const Team::Body& body) {
    const std::size_t useful = std::min<std::size_t>(static_cast<std::size_t>(std::max(threads, 1)), chunks);
    Team(static_cast<int>(useful), poll).run(chunks, body);
}

namespace {

constexpr long kMostThreads = 65536;

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

int useful_threads(std::size_t bytes, int threads) {
    constexpr std::size_t kBytesPerThread = std::size_t{1} << 18;
    const std::size_t useful = std::max<std::size_t>(1, bytes / kBytesPerThread);
    if (useful == 1) return 1;  // and the system is not asked: that takes longer than a small fill
    return static_cast<int>(std::min<std::size_t>(threads > 0 ? threads : default_num_threads(), useful));
}

int useful_threads(double flops, std::size_t matrices, int threads) {
    if (matrices < 2 && flops < kSharedFlops) return 1;
    const double useful = 1.0 + flops / kSharedFlops * 4.0;
    return static_cast<int>(std::min<double>(threads > 0 ? threads : default_num_threads(), useful));
}

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
