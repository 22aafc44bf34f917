// SPDX-License-Identifier: BSD-3-Clause
// Aligned memory without values, in huge pages where it is large and the system has them.
#pragma once
#include <cstddef>
#include <cstdlib>
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
        memory_.reset(static_cast<T*>(std::aligned_alloc(unit, bytes)));
        if (!memory_) throw std::bad_alloc();
#if defined(__linux__)
        if (unit == huge) madvise(memory_.get(), bytes, MADV_HUGEPAGE);  // a wish: may fail
#endif
        size_ = n;
    }

    T* data() const { return memory_.get(); }

private:
    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    std::unique_ptr<T, Free> memory_;
    std::size_t size_ = 0;
};

}  // namespace fastinit
