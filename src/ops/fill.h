// SPDX-License-Identifier: BSD-3-Clause
// Fills views of any strides with the elements of a global tensor. No Python.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/kernels.h"
#include "core/team.h"

namespace fastinit {

// What a caller asks for, with the codes that Python passes (fastinit/_run.py).
enum class Asked : int {
    uniform = 0,              // p0 = low, p1 = high
    normal = 1,               // p0 = mean, p1 = std
    truncated = 2,            // p0 = mean, p1 = std, lo and hi in units of std
    words = 3,                // raw generator words (uint32)
    truncated_absolute = 4,   // p0 = mean, p1 = std, lo and hi absolute
    constant = 5,             // p0
};

struct Request {
    Asked asked;
    double p0, p1, lo, hi;
};

LawParams law_params(const Request& request, DType dtype, Key key, std::uint32_t tag);

struct Axis {
    std::int64_t n;       // length
    std::int64_t step;    // step in the global tensor, in elements
    std::int64_t stride;  // step in memory, in bytes
};

struct Job {
    char* data;
    DType dtype;
    std::vector<Axis> axes;
    std::uint64_t base;  // global number of the view's first element
    LawParams law;
};

// Elements [first, first + count) of the tensor, contiguous, on the calling thread.
void generate(const LawParams& law, DType dtype, std::uint64_t first, std::size_t count, void* dst);

// All jobs by one team of threads.
void fill(const std::vector<Job>& jobs, int threads, const Poll& poll);

// Zeroes `zeros` rows of every column of a (rows, cols) tensor; the view holds rows
// row0, row0 + row_step, ... and columns col0, col0 + col_step, ...
struct SparseMask {
    char* data;
    std::size_t item;
    std::int64_t n_rows, n_cols, row_stride, col_stride;
    std::int64_t row0, row_step, col0, col_step, rows, zeros;
    Key key;
};
void sparse_mask(const SparseMask& mask, int threads, const Poll& poll);

}  // namespace fastinit
