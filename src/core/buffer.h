// SPDX-License-Identifier: BSD-3-Clause
// Aligned memory without values, in huge pages where it is large and the system has them.
#pragma once
#include <cstddef>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fastinit {

template <class T>
class Buffer {
public:
    Buffer() = default;
    explicit Buffer(std::size_t n) { reserve(n); }

    // Room for n elements; what was in it is lost when it grows.
    void reserve(std::size_t n) {
        if (n <= size_) return;
        memory_.reset();
        size_ = 0;
        constexpr std::size_t huge = std::size_t{1} << 21;
        const std::size_t unit = n * sizeof(T) < huge ? 64 : huge;
        const std::size_t bytes = (n * sizeof(T) + unit - 1) / unit * unit;
        const std::align_val_t align{unit};  // Windows has no std::aligned_alloc
        memory_ = {static_cast<T*>(::operator new(bytes, align)), Free{align}};
#if defined(__linux__)
        if (unit == huge) madvise(memory_.get(), bytes, MADV_HUGEPAGE);  // a wish: may fail
#endif
        size_ = n;
    }

    T* data() const { return memory_.get(); }

private:
    struct Free {
        std::align_val_t align{64};
        void operator()(T* p) const { ::operator delete(p, align); }
    };
    std::unique_ptr<T, Free> memory_;
    std::size_t size_ = 0;
};

// Fails now where the system cannot give so much: blocks of a part each it may grant, and end the
// process when they are touched.
inline void require_memory(std::size_t bytes) {
    constexpr std::size_t much = std::size_t{1} << 30;
    if (bytes >= much) Buffer<char>{bytes};
}

}  // namespace fastinit
