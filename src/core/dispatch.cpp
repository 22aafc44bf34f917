// SPDX-License-Identifier: BSD-3-Clause
// Chooses among the tables that were compiled in: what the CPU can run, best
// first, unless FASTINIT_ISA names one.
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "core/kernels.h"
#include "isas.h"  // FI_FOR_EACH_ISA, written by CMake from its one list

namespace fastinit {

#define FI_DECLARE_ISA(name) extern "C" const Kernels* fastinit_kernels_##name();
FI_FOR_EACH_ISA(FI_DECLARE_ISA)

namespace {

using Entry = const Kernels* (*)();
#define FI_ENTRY(name) &fastinit_kernels_##name,
constexpr Entry kEntries[] = {FI_FOR_EACH_ISA(FI_ENTRY)};

bool cpu_runs(const std::string& isa) {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");
    if (isa == "avx2") return v3;
    if (isa == "avx512") {
        return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512cd");
    }
#endif
    return isa == "baseline" || isa == "neon";
}

const Kernels* find(const char* wanted) {
    const Kernels* best = nullptr;
    std::string known;
    for (Entry entry : kEntries) {
        const Kernels* k = entry();
        if (!cpu_runs(k->isa)) continue;
        known += known.empty() ? k->isa : std::string(", ") + k->isa;
        if (wanted != nullptr) {
            if (std::string(wanted) == k->isa) return k;
        } else if (best == nullptr || k->rank > best->rank) {
            best = k;
        }
    }
    if (best == nullptr) {
        throw std::invalid_argument("FASTINIT_ISA: '" + std::string(wanted == nullptr ? "" : wanted) +
                                    "' is not available on this machine; available: " + known);
    }
    return best;
}

std::atomic<const Kernels*> active{nullptr};

}  // namespace

const Kernels& kernels() {
    const Kernels* k = active.load(std::memory_order_acquire);
    if (k == nullptr) {
        const char* wanted = std::getenv("FASTINIT_ISA");
        k = find(wanted != nullptr && *wanted != '\0' ? wanted : nullptr);
        active.store(k, std::memory_order_release);
    }
    return *k;
}

void set_kernels(const char* isa) { active.store(find(isa), std::memory_order_release); }

std::size_t available_kernels(const Kernels** out, std::size_t capacity) {
    std::size_t n = 0;
    for (Entry entry : kEntries) {
        const Kernels* k = entry();
        if (cpu_runs(k->isa) && n < capacity) out[n++] = k;
    }
    return n;
}

}  // namespace fastinit
