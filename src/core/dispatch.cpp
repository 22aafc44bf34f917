// SPDX-License-Identifier: BSD-3-Clause
// Chooses among the tables that were compiled in: what the CPU can run, best
// first, unless FASTINIT_ISA names one.
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "core/kernels.h"
#include "isas.h"  // FI_FOR_EACH_ISA, written by CMake from its one list

namespace fastinit {

#define FI_DECLARE_ISA(name) extern "C" const Kernels* fastinit_kernels_##name();
FI_FOR_EACH_ISA(FI_DECLARE_ISA)

namespace {

using Entry = const Kernels* (*)();
#define FI_ENTRY(name) &fastinit_kernels_##name,
constexpr Entry kEntries[] = {FI_FOR_EACH_ISA(FI_ENTRY)};

#if defined(__x86_64__)
// Asked of the CPU itself: the compiler's own answer needs a run-time library that is not
// linked on Windows. The bits are those of x86-64-v3 and -v4, and the system must save the registers.
struct Features {
    bool v3 = false, v4 = false;

    Features() {
        unsigned eax = 0, ebx = 0, ecx = 0, edx = 0, ext = 0;
        if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return;
        constexpr unsigned k1 = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29;  // FMA MOVBE OSXSAVE AVX F16C
        if ((ecx & k1) != k1) return;
        unsigned saved = 0, high = 0;
        __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
        if (!__get_cpuid(0x80000001u, &eax, &ebx, &ext, &edx)) return;
        if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return;
        constexpr unsigned k7 = 1u << 3 | 1u << 5 | 1u << 8;  // BMI1 AVX2 BMI2
        v3 = (saved & 0x06) == 0x06 && (ebx & k7) == k7 && (ext & 1u << 5) != 0;  // LZCNT
        constexpr unsigned k512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;  // F DQ CD BW VL
        v4 = v3 && (saved & 0xe6) == 0xe6 && (ebx & k512) == k512;
    }
};
#endif

bool cpu_runs(const std::string& isa) {
#if defined(__x86_64__)
    static const Features cpu;
    if (isa == "avx2") return cpu.v3;
    if (isa == "avx512") return cpu.v4;
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
