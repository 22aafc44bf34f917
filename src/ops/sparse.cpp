// SPDX-License-Identifier: BSD-3-Clause
// Exact number of zeros in every column. The rows of a column are ranked by their
// words in a stream of their own; the words are drawn again in each pass instead of
// kept, so a column costs time, not memory.
#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/fill.h"

namespace fastinit {
namespace {

constexpr std::uint32_t kMaskTag = 2;
constexpr std::int64_t kRun = 2048;

template <class Visit>
void for_each_word(const LawParams& law, std::uint64_t first, std::int64_t rows, Visit visit) {
    alignas(64) std::uint32_t words[kRun];
    for (std::int64_t r = 0; r < rows; r += kRun) {
        const std::int64_t n = std::min(kRun, rows - r);
        generate(law, DType::uint32, first + static_cast<std::uint64_t>(r), static_cast<std::size_t>(n), words);
        for (std::int64_t i = 0; i < n; ++i) visit(r + i, words[i]);
    }
}

// The bucket that holds rank `rank`; rank becomes the rank within it.
std::uint32_t bucket_of(const std::vector<std::int64_t>& count, std::int64_t& rank) {
    std::uint32_t b = 0;
    while (rank >= count[b]) rank -= count[b++];
    return b;
}

void mask_column(const SparseMask& m, const LawParams& law, std::int64_t column,
                 std::vector<std::int64_t>& count) {
    const std::uint64_t first = static_cast<std::uint64_t>(m.col0 + column * m.col_step) *
                                static_cast<std::uint64_t>(m.rows);
    std::int64_t rank = m.zeros - 1;
    std::fill(count.begin(), count.end(), 0);
    for_each_word(law, first, m.rows, [&](std::int64_t, std::uint32_t w) { ++count[w >> 16]; });
    const std::uint32_t high = bucket_of(count, rank);
    std::fill(count.begin(), count.end(), 0);
    for_each_word(law, first, m.rows, [&](std::int64_t, std::uint32_t w) {
        if (w >> 16 == high) ++count[w & 0xffffu];
    });
    const std::uint32_t threshold = (high << 16) | bucket_of(count, rank);
    std::int64_t ties = rank + 1;  // words equal to the threshold: the first ones in row order
    for_each_word(law, first, m.rows, [&](std::int64_t row, std::uint32_t w) {
        const bool zero = w < threshold || (w == threshold && ties-- > 0);
        const std::int64_t offset = row - m.row0;
        if (!zero || offset % m.row_step != 0) return;
        const std::int64_t local = offset / m.row_step;
        if (local < 0 || local >= m.n_rows) return;
        std::memset(m.data + local * m.row_stride + column * m.col_stride, 0, m.item);
    });
}

}  // namespace

void sparse_mask(const SparseMask& m, int threads, const Poll& poll) {
    if (m.zeros == 0 || m.n_rows == 0 || m.n_cols == 0) return;
    const LawParams law = law_params({Asked::words, 0, 0, 0, 0}, DType::uint32, m.key, kMaskTag);
    const int team = useful_threads(static_cast<std::size_t>(m.rows) * static_cast<std::size_t>(m.n_cols) * 4, threads);
    std::vector<std::vector<std::int64_t>> counts(static_cast<std::size_t>(team));
    parallel_for(static_cast<std::size_t>(m.n_cols), team, poll, [&](std::size_t column, int worker) {
        auto& count = counts[static_cast<std::size_t>(worker)];
        count.resize(1 << 16);
        mask_column(m, law, static_cast<std::int64_t>(column), count);
    });
}

}  // namespace fastinit
