// SPDX-License-Identifier: BSD-3-Clause
// Exact number of zeros in every column. The rows of a column are ranked by their
// words in a stream of their own; the words are drawn again in each pass instead of
// kept, so a column costs time, not memory.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "ops/fill.h"

namespace fastinit {
namespace {

constexpr std::uint32_t kMaskTag = 2;
constexpr std::int64_t kRun = 512;
constexpr std::int64_t kAsk = std::int64_t{1} << 18;  // rows between two looks at the poll: tall columns take seconds
constexpr std::int64_t kColumns = 16;  // side by side: zeros are written by rows, whole lines at a time
constexpr int kDigits[] = {11, 11, 10};  // bits, from the top; counts of a digit stay in the first-level cache

// Words that are zeroed: those below `threshold`, and the first `ties` equal to it in row order.
struct Cut {
    std::uint32_t threshold;
    std::int64_t ties;
};

struct Words {
    const LawParams& law;
    std::uint64_t first;  // number of the column's first word
    alignas(64) std::uint32_t run[kRun];

    void load(std::int64_t row, std::int64_t n) {
        generate(law, DType::uint32, first + static_cast<std::uint64_t>(row), static_cast<std::size_t>(n), run);
    }
};

// Stops all threads, in the middle of their columns, once the poll says so.
class Brake {
public:
    explicit Brake(const Poll& poll) : poll_(poll) {}
    void look(std::int64_t row) {
        if (row % kAsk != 0 || row == 0) return;
        if (poll_ && poll_()) stop_.store(true, std::memory_order_relaxed);
        if (stop_.load(std::memory_order_relaxed)) throw Interrupted{};
    }

private:
    const Poll& poll_;
    std::atomic<bool> stop_{false};
};

// Radix selection of the word of rank zeros - 1 in a column.
Cut cut_of(Words& words, std::int64_t rows, std::int64_t zeros, Brake& brake) {
    std::int64_t rank = zeros - 1;
    std::uint32_t found = 0;  // the digits so far
    int left = 32;            // bits below them
    for (const int digit : kDigits) {
        std::int64_t count[1 << 11] = {};
        const std::uint32_t mask = (1u << digit) - 1u;
        const int shift = left - digit;
        for (std::int64_t r = 0; r < rows; r += kRun) {
            const std::int64_t n = std::min(kRun, rows - r);
            brake.look(r);
            words.load(r, n);
            for (std::int64_t i = 0; i < n; ++i) {
                const std::uint32_t w = words.run[i];
                if (left == 32 || w >> left == found) ++count[w >> shift & mask];
            }
        }
        std::uint32_t bucket = 0;
        while (rank >= count[bucket]) rank -= count[bucket++];
        found = found << digit | bucket;
        left = shift;
    }
    return {found, rank + 1};
}

template <class Item>
void mask_columns(const SparseMask& m, const LawParams& law, std::int64_t column, Brake& brake) {
    const std::int64_t width = std::min(kColumns, m.n_cols - column);
    std::vector<Words> words(static_cast<std::size_t>(width), Words{law, 0, {}});
    Cut cuts[kColumns];
    for (std::int64_t c = 0; c < width; ++c) {
        words[c].first = static_cast<std::uint64_t>(m.col0 + (column + c) * m.col_step) *
                         static_cast<std::uint64_t>(m.rows);
        cuts[c] = cut_of(words[c], m.rows, m.zeros, brake);
    }
    for (std::int64_t r = 0; r < m.rows; r += kRun) {
        const std::int64_t n = std::min(kRun, m.rows - r);
        brake.look(r);
        for (Words& w : words) w.load(r, n);
        for (std::int64_t i = 0; i < n; ++i) {
            const std::int64_t offset = r + i - m.row0, local = offset / m.row_step;
            const bool here = offset % m.row_step == 0 && local >= 0 && local < m.n_rows;
            for (std::int64_t c = 0; c < width; ++c) {
                const std::uint32_t w = words[c].run[i];
                const bool tied = w == cuts[c].threshold && cuts[c].ties-- > 0;
                if (!here) continue;
                char* at = m.data + local * m.row_stride + (column + c) * m.col_stride;
                Item x;  // written back as it was or as zero: a branch would be mispredicted
                std::memcpy(&x, at, sizeof x);
                x = (w < cuts[c].threshold) | tied ? Item{0} : x;
                std::memcpy(at, &x, sizeof x);
            }
        }
    }
}

}  // namespace

void sparse_mask(const SparseMask& m, int threads, const Poll& poll) {
    if (m.zeros == 0 || m.n_rows == 0 || m.n_cols == 0) return;
    const LawParams law = law_params({Asked::words, 0, 0, 0, 0}, DType::uint32, m.key, kMaskTag);
    const int team = useful_threads(static_cast<std::size_t>(m.rows) * static_cast<std::size_t>(m.n_cols) * 4, threads);
    Brake brake(poll);
    const std::int64_t chunks = (m.n_cols + kColumns - 1) / kColumns;
    parallel_for(static_cast<std::size_t>(chunks), team, poll, [&](std::size_t chunk, int) {
        const std::int64_t column = static_cast<std::int64_t>(chunk) * kColumns;
        switch (m.item) {
            case 1: return mask_columns<std::uint8_t>(m, law, column, brake);
            case 2: return mask_columns<std::uint16_t>(m, law, column, brake);
            case 4: return mask_columns<std::uint32_t>(m, law, column, brake);
            default: return mask_columns<std::uint64_t>(m, law, column, brake);
        }
    });
}

}  // namespace fastinit
