// SPDX-License-Identifier: BSD-3-Clause
// The packed product of Goto and van de Geijn ("Anatomy of high-performance matrix
// multiplication", 2008), in the five loops of BLIS; threads share the packed operands and take
// disjoint tiles of C.
#include "ops/gemm.h"

#include <algorithm>
#include <cstring>

namespace fastinit {
namespace {

constexpr std::int64_t kPackedLines = 4096;  // of each operand at once: 4 MiB in float32
constexpr std::int64_t kChunkRows = 312;
constexpr std::int64_t kTileColumns = 256;   // of B for one thread: half a second-level cache of 512 KiB
constexpr std::int64_t kPackChunk = 128;     // lines that a thread packs at once

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t round_up(std::int64_t a, std::int64_t b) { return divide_up(a, b) * b; }

// Lines per chunk: no more than `most`, about even, whole panels, and several for every thread.
std::int64_t chunk_lines(std::int64_t lines, std::int64_t most, int width, std::int64_t wanted) {
    const std::int64_t chunks = std::max(divide_up(lines, most), std::min(wanted, divide_up(lines, width)));
    return round_up(divide_up(lines, chunks), width);
}

template <class T>
struct Block {
    const GemmKernel<T>& kernel;
    const T* a;
    const T* b;
    std::int64_t depth;
    T alpha;
    bool add;
    Matrix<T> c;

    // Tile rows [i0, i1) x columns [j0, j1). Rows outside: few pages of C are written at a time, and
    // the packed columns come from the second-level cache again and again.
    void multiply(std::int64_t i0, std::int64_t i1, std::int64_t j0, std::int64_t j1) const {
        for (std::int64_t i = i0; i < i1; i += kernel.mr) {
            for (std::int64_t j = j0; j < j1; j += kernel.nr) {
                if (c.col_stride == 1 && i + kernel.mr <= i1 && j + kernel.nr <= j1) {
                    kernel.run(depth, a + i * depth, b + j * depth, alpha, add, &c.at(i, j), c.row_stride);
                } else {
                    through_copy(i, j, std::min(i1 - i, std::int64_t{kernel.mr}),
                                 std::min(j1 - j, std::int64_t{kernel.nr}));
                }
            }
        }
    }

    void through_copy(std::int64_t i0, std::int64_t j0, std::int64_t rows, std::int64_t cols) const {
        alignas(64) T tile[kWidestPanel * kWidestPanel];
        const std::int64_t nr = kernel.nr;
        if (add) {
            for (std::int64_t i = 0; i < rows; ++i) {
                for (std::int64_t j = 0; j < cols; ++j) tile[i * nr + j] = c.at(i0 + i, j0 + j);
            }
        }
        kernel.run(depth, a + i0 * depth, b + j0 * depth, alpha, add, tile, nr);
        for (std::int64_t i = 0; i < rows; ++i) {
            for (std::int64_t j = 0; j < cols; ++j) c.at(i0 + i, j0 + j) = tile[i * nr + j];
        }
    }
};

// A number of lines that the compiler knows is copied without a call.
template <int kLines, class T>
void copy_lines(const T* src, std::int64_t step_stride, std::int64_t steps, T* dst) {
    for (std::int64_t s = 0; s < steps; ++s) std::memcpy(dst + s * kLines, src + s * step_stride, kLines * sizeof(T));
}

// Lines side by side in memory.
template <class T>
void pack_consecutive(const T* src, std::int64_t step_stride, std::int64_t n, std::int64_t steps, int width, T* dst) {
    if (n == width) {
        if (width == 32) return copy_lines<32>(src, step_stride, steps, dst);
        if (width == 16) return copy_lines<16>(src, step_stride, steps, dst);
        if (width == 13) return copy_lines<13>(src, step_stride, steps, dst);
    }
    for (std::int64_t s = 0; s < steps; ++s) std::copy_n(src + s * step_stride, n, dst + s * width);
}

template <class T>
void pack_block(Team& team, const Source<T>& from, std::int64_t line, std::int64_t lines, std::int64_t step,
                std::int64_t steps, int width, T* to) {
    const std::int64_t each = chunk_lines(lines, kPackChunk, width, team.size() > 1 ? 2 * team.size() : 1);
    team.run(static_cast<std::size_t>(divide_up(lines, each)), [&](std::size_t chunk, int) {
        const std::int64_t begin = static_cast<std::int64_t>(chunk) * each;
        from.pack(line + begin, std::min(each, lines - begin), step, steps, width, to + begin * steps);
    });
}

}  // namespace

template <class T>
void pack_strided(const T* data, std::int64_t line_stride, std::int64_t step_stride, std::int64_t lines,
                  std::int64_t steps, int width, T* dst) {
    for (std::int64_t first = 0; first < lines; first += width) {
        const std::int64_t n = std::min(lines - first, std::int64_t{width});
        const T* src = data + first * line_stride;
        if (line_stride == 1) {
            pack_consecutive(src, step_stride, n, steps, width, dst);
        } else if (step_stride == 1) {
            real_kernels<T>().gemm.interleave(src, line_stride, n, steps, width, dst);
        } else {
            for (std::int64_t l = 0; l < n; ++l) {
                const T* line = src + l * line_stride;
                for (std::int64_t s = 0; s < steps; ++s) dst[s * width + l] = line[s * step_stride];
            }
        }
        for (std::int64_t s = 0; n < width && s < steps; ++s) std::fill(dst + s * width + n, dst + (s + 1) * width, T{0});
        dst += steps * width;
    }
}

template <class T>
void gemm(Team& team, GemmSpace<T>& space, const Source<T>& a, const Source<T>& b, std::int64_t depth, T alpha,
          bool add, const Matrix<T>& c) {
    if (by_columns(c)) {
        return gemm(team, space, b, a, depth, alpha, add, c.transposed());
    }
    if (c.rows == 0 || c.cols == 0) return;
    const GemmKernel<T>& kernel = real_kernels<T>().gemm;
    const std::int64_t most_rows = round_up(std::min(c.rows, kPackedLines), kernel.mr);
    const std::int64_t most_cols = round_up(std::min(c.cols, kPackedLines), kernel.nr);
    const std::int64_t most_depth = std::min(depth, kDepthBlock);
    space.a.reserve(static_cast<std::size_t>(most_rows * most_depth));
    space.b.reserve(static_cast<std::size_t>(most_cols * most_depth));
    for (std::int64_t j = 0; j < c.cols; j += most_cols) {
        const std::int64_t cols = std::min(most_cols, c.cols - j);
        for (std::int64_t k = 0; k < depth || k == 0; k += kDepthBlock) {
            const std::int64_t steps = std::min(kDepthBlock, depth - k);
            pack_block(team, b, j, cols, k, steps, kernel.nr, space.b.data());
            for (std::int64_t i = 0; i < c.rows; i += most_rows) {
                const std::int64_t rows = std::min(most_rows, c.rows - i);
                pack_block(team, a, i, rows, k, steps, kernel.mr, space.a.data());
                const Block<T> block{kernel, space.a.data(), space.b.data(), steps, alpha, add || k > 0,
                                     c.block(i, j, rows, cols)};
                const int share = team.size() > 1 ? 4 * team.size() : 1;
                const std::int64_t tile_rows = chunk_lines(rows, kChunkRows, kernel.mr, 1);
                const std::int64_t down = divide_up(rows, tile_rows);
                const std::int64_t tile_cols =
                    chunk_lines(cols, kTileColumns, kernel.nr, divide_up(share, down));
                const std::int64_t across = divide_up(cols, tile_cols);
                team.run(static_cast<std::size_t>(down * across), [&](std::size_t chunk, int) {
                    const std::int64_t i0 = static_cast<std::int64_t>(chunk) / across * tile_rows;
                    const std::int64_t j0 = static_cast<std::int64_t>(chunk) % across * tile_cols;
                    block.multiply(i0, std::min(rows, i0 + tile_rows), j0, std::min(cols, j0 + tile_cols));
                });
            }
        }
    }
}

template <class T>
void reserve(Packed<T>& packed, std::int64_t lines, std::int64_t depth, bool by_columns) {
    packed.width = by_columns ? real_kernels<T>().gemm.nr : real_kernels<T>().gemm.mr;
    packed.data.reserve(static_cast<std::size_t>(round_up(lines, packed.width) * depth));
}

template <class T>
void pack(Team& team, const Source<T>& from, std::int64_t lines, std::int64_t depth, bool by_columns, Packed<T>& to) {
    reserve(to, lines, depth, by_columns);
    to.lines = lines;
    to.depth = depth;
    const std::int64_t whole = round_up(lines, to.width);
    const std::int64_t each = chunk_lines(lines, kPackChunk, to.width, 1), across = divide_up(lines, each);
    team.run(static_cast<std::size_t>(across * divide_up(depth, kDepthBlock)), [&](std::size_t chunk, int) {
        const std::int64_t line = static_cast<std::int64_t>(chunk) % across * each;
        const std::int64_t step = static_cast<std::int64_t>(chunk) / across * kDepthBlock;
        const std::int64_t steps = std::min(kDepthBlock, depth - step);
        from.pack(line, std::min(each, lines - line), step, steps, to.width,
                  to.data.data() + whole * step + line * steps);
    });
}

template <class T>
void gemm(GemmSpace<T>& space, const Packed<T>& a, const Source<T>& b, T alpha, bool add, const Matrix<T>& c) {
    const GemmKernel<T>& kernel = real_kernels<T>().gemm;
    const bool swapped = by_columns(c);
    const int width = swapped ? kernel.mr : kernel.nr;
    const std::int64_t whole = round_up(a.lines, a.width);
    space.b.reserve(static_cast<std::size_t>(round_up(c.cols, width) * std::min(a.depth, kDepthBlock)));
    for (std::int64_t k = 0; k < a.depth; k += kDepthBlock) {
        const std::int64_t steps = std::min(kDepthBlock, a.depth - k);
        b.pack(0, c.cols, k, steps, width, space.b.data());
        const T* packed = a.data.data() + whole * k;
        const T* left = swapped ? space.b.data() : packed;
        const T* right = swapped ? packed : space.b.data();
        const Block<T> block{kernel, left, right, steps, alpha, add || k > 0, swapped ? c.transposed() : c};
        for (std::int64_t j = 0; j < block.c.cols; j += kTileColumns) {
            block.multiply(0, block.c.rows, j, std::min(block.c.cols, j + kTileColumns));
        }
    }
}

#define FI_GEMM(T)                                                                                            \
    template void pack_strided(const T*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, int, T*);    \
    template void gemm(Team&, GemmSpace<T>&, const Source<T>&, const Source<T>&, std::int64_t, T, bool, \
                       const Matrix<T>&);                                                                     \
    template void reserve(Packed<T>&, std::int64_t, std::int64_t, bool);                                      \
    template void pack(Team&, const Source<T>&, std::int64_t, std::int64_t, bool, Packed<T>&);                \
    template void gemm(GemmSpace<T>&, const Packed<T>&, const Source<T>&, T, bool, const Matrix<T>&);
FI_GEMM(float)
FI_GEMM(double)

}  // namespace fastinit
