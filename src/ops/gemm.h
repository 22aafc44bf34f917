// SPDX-License-Identifier: BSD-3-Clause
// Matrix products, the same to the bit for every instruction set, thread count and layout.
//
// For every element of C, over blocks of kDepthBlock of the depth in order: a sum from 0 by one
// fma for each product in order; then C = alpha * sum (first block, unless `add`) or
// C = fma(alpha, sum, C). a*b in place of b*a changes no bit, so C may be computed transposed.
#pragma once
#include <cstdint>

#include "core/buffer.h"
#include "core/kernels.h"
#include "core/team.h"

namespace fastinit {

constexpr std::int64_t kDepthBlock = 256;

// Strides in elements.
template <class T>
struct Matrix {
    T* data;
    std::int64_t rows, cols, row_stride, col_stride;

    T& at(std::int64_t i, std::int64_t j) const { return data[i * row_stride + j * col_stride]; }
    Matrix transposed() const { return {data, cols, rows, col_stride, row_stride}; }
    Matrix block(std::int64_t i, std::int64_t j, std::int64_t m, std::int64_t n) const {
        return {data + i * row_stride + j * col_stride, m, n, row_stride, col_stride};
    }
};

// An operand as the product reads it: `lines` (rows of A, or columns of B), each as long as the
// depth. It may be computed on the way and never stored.
template <class T>
class Source {
public:
    virtual ~Source() = default;

    // Writes lines [line, line + lines) x steps [step, step + steps) into panels `width` lines
    // wide, one after the other: element (l, s) goes to dst[((l / width) * steps + s) * width +
    // l % width], both counted from the block's begin. Lines that the last panel lacks are 0.
    // line is a multiple of width and step of kDepthBlock. Called by several threads at once.
    virtual void pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
                      T* dst) const = 0;
};

// Copies any strided block in the form that Source::pack writes.
template <class T>
void pack_strided(const T* data, std::int64_t line_stride, std::int64_t step_stride, std::int64_t lines,
                  std::int64_t steps, int width, T* dst);

// Rows of a matrix as lines; the transposed matrix has its columns.
template <class T>
class Rows final : public Source<T> {
public:
    explicit Rows(const Matrix<const T>& m) : m_(m) {}
    explicit Rows(const Matrix<T>& m) : m_{m.data, m.rows, m.cols, m.row_stride, m.col_stride} {}

    void pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
              T* dst) const override {
        pack_strided(&m_.at(line, step), m_.row_stride, m_.col_stride, lines, steps, width, dst);
    }

private:
    Matrix<const T> m_;
};

// Packed operands: grows with use, and serves any number of products in turn.
template <class T>
struct GemmSpace {
    Buffer<T> a, b;
};

// C = alpha A B, or C + alpha A B where `add`; A is C.rows x depth, B depth x C.cols: `a` gives the
// rows of A, `b` the columns of B. C must not overlap what the sources read. A team of one member
// starts nothing and may be used inside the body of another team, each with a space of its own.
template <class T>
void gemm(Team& team, GemmSpace<T>& space, const Source<T>& a, const Source<T>& b, std::int64_t depth, T alpha,
          bool add, const Matrix<T>& c);

// An operand packed whole, for many products: as rows of A, or as the other side where C is
// column-contiguous.
template <class T>
struct Packed {
    Buffer<T> data;
    std::int64_t lines, depth;
    int width;
};

// True where C is computed transposed: `Packed` must then be made for that.
template <class T>
bool by_columns(const Matrix<T>& c) {
    return c.col_stride != 1 && c.row_stride == 1;
}

// Room for an operand of the given size, so that smaller ones before it leave no holes.
template <class T>
void reserve(Packed<T>& packed, std::int64_t lines, std::int64_t depth, bool by_columns);

template <class T>
void pack(Team& team, const Source<T>& from, std::int64_t lines, std::int64_t depth, bool by_columns, Packed<T>& to);

// As above with a packed A, on the calling thread; for a C of few columns, whose packed operand
// stays in the second-level cache.
template <class T>
void gemm(GemmSpace<T>& space, const Packed<T>& a, const Source<T>& b, T alpha, bool add, const Matrix<T>& c);

}  // namespace fastinit
