// SPDX-License-Identifier: BSD-3-Clause
// The parallel fill. A view is cut into tiles; each is generated in the order of the global
// tensor, straight to its place where whole blocks of it lie there, else by way of scratch.
#include "ops/fill.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>

namespace fastinit {
namespace {

// Bytes; stays in the first-level cache, and holds a multiple of the blocks that kernels take together.
constexpr std::size_t kScratch = 12288;
constexpr std::size_t kListed = 1024;   // blocks of one call of a kernel
constexpr std::size_t kStream = std::size_t{1} << 21;  // fills from here on may bypass the cache
// Bytes of output that a thread claims: few enough that the threads end together, and more in
// large fills, where every chunk ends with a store fence (4 % faster than with the smaller ones).
constexpr std::size_t kChunk = std::size_t{1} << 16, kLargeChunk = std::size_t{1} << 18;
constexpr std::size_t kLarge = std::size_t{1} << 24;
constexpr std::int64_t kPlaneRows = 64;
constexpr std::int64_t kBlockLength = kBlock;

// Work of one thread that a second one is started for: it begins tens of microseconds later.
constexpr double kThreadSeconds = 80e-6;

using Clock = std::chrono::steady_clock;
using Axes = std::vector<Axis>;

std::size_t size_of(const Job& job) {  // in bytes
    std::size_t n = item_size(job.dtype);
    for (const Axis& a : job.axes) n *= static_cast<std::size_t>(a.n);
    return n;
}

// Merges neighbours that are one run both in the tensor and in memory.
Axes coalesced(const Axes& axes) {
    Axes out;
    for (const Axis& a : axes) {
        if (a.n == 1) continue;
        if (!out.empty() && out.back().step == a.n * a.step && out.back().stride == a.n * a.stride) {
            out.back() = {out.back().n * a.n, a.step, a.stride};
        } else {
            out.push_back(a);
        }
    }
    if (out.empty()) out.push_back({1, 1, 0});
    return out;
}

// Contiguous run of the tensor into contiguous memory: whole blocks straight to their place, the
// others, and what kernels cannot stream themselves, by way of scratch.
void fill_run(const LawParams& law, DType dtype, std::uint64_t first, std::size_t count, char* dst,
              bool stream) {
    const Kernels& k = kernels();
    const GenerateFn straight =
        (stream ? k.stream : k.generate)[static_cast<int>(law.law)][static_cast<int>(dtype)];
    const GenerateFn make = k.generate[static_cast<int>(law.law)][static_cast<int>(dtype)];
    const std::size_t align = stream ? k.stream_align : 1;
    const std::size_t item = item_size(dtype);
    const std::size_t per_scratch = kScratch / item / kBlock;
    alignas(64) char scratch[kScratch];
    std::uint64_t number[kListed];
    while (count > 0) {
        const std::size_t skip = first % kBlock;
        const bool placed = straight != nullptr && reinterpret_cast<std::uintptr_t>(dst) % align == 0;
        const bool direct = placed && skip == 0 && (count % kBlock == 0 || count >= per_scratch * kBlock);
        const std::size_t blocks = direct ? std::min(kListed, count / kBlock)
                                          : std::min(per_scratch, (skip + count + kBlock - 1) / kBlock);
        const std::size_t n = std::min(count, blocks * kBlock - skip);
        std::iota(number, number + blocks, first / kBlock);
        (direct ? straight : make)(law, number, blocks, direct ? dst : scratch);
        if (!direct && stream) {
            k.copy_stream(dst, scratch + skip * item, n * item);
        } else if (!direct) {
            std::memcpy(dst, scratch + skip * item, n * item);
        }
        dst += n * item;
        count -= n;
        first += n;
    }
    if (stream) k.stream_fence();
}

// Streaming stores halve the traffic but, on some CPUs, cost the thread more than plain ones do:
// each times both on a few tiles, takes the faster, and asks again now and then, as the load and
// the other threads change. The fastest tile counts: pages met for the first time cost extra.
class StoreChoice {
public:
    template <class Fill>
    void run(std::size_t bytes, const Fill& fill) {
        const bool stream = round_ < kTrial || (round_ >= 2 * kTrial && cost_[1] <= cost_[0]);
        if (round_ == 0) cost_[0] = cost_[1] = std::numeric_limits<double>::infinity();
        const auto begin = Clock::now();
        fill(stream);
        const std::chrono::duration<double> took = Clock::now() - begin;
        cost_[stream] = std::min(cost_[stream], took.count() / static_cast<double>(bytes));
        round_ = (round_ + 1) % kRound;
    }

private:
    static constexpr int kTrial = 4, kRound = 128;
    double cost_[2]{};  // seconds a byte, plain and streamed
    int round_ = 0;
};

// A piece of a plane: where its elements stand among the generated blocks, and in memory.
// Element (r, c) is number at[r * per_row + c * per_column] + c * step of the blocks.
struct Piece {
    std::int64_t rows, columns, row_stride, column_stride;
    std::int64_t per_row, per_column, step;
};

template <std::size_t kItem>
void scatter(const char* blocks, const std::uint32_t* at, const Piece& p, char* dst) {
    const auto put = [&](std::int64_t r, std::int64_t c) {
        const std::int64_t from = at[r * p.per_row + c * p.per_column] + c * p.step;
        std::memcpy(dst + r * p.row_stride + c * p.column_stride, blocks + from * std::int64_t{kItem}, kItem);
    };
    if (std::llabs(p.row_stride) < std::llabs(p.column_stride)) {
        for (std::int64_t c = 0; c < p.columns; ++c) {
            for (std::int64_t r = 0; r < p.rows; ++r) put(r, c);
        }
    } else {
        for (std::int64_t r = 0; r < p.rows; ++r) {
            for (std::int64_t c = 0; c < p.columns; ++c) put(r, c);
        }
    }
}

// Tiles of a strided view: rows along the axis with the smallest memory stride, so
// that writes stay close, columns along the last axis, so that reads do.
class Tiled {
public:
    Tiled(const Job& job, std::size_t chunk) : job_(job), data_(job.data), base_(job.base), axes_(job.axes) {
        for (Axis& a : axes_) {  // ascending in the tensor, whatever the order in memory
            if (a.step >= 0) continue;
            data_ += (a.n - 1) * a.stride;
            base_ += static_cast<std::uint64_t>((a.n - 1) * a.step);
            a = {a.n, -a.step, -a.stride};
        }
        axes_ = coalesced(axes_);
        last_ = axes_.size() - 1;
        row_ = last_;
        for (std::size_t i = 0; i < last_; ++i) {
            if (row_ == last_ || std::llabs(axes_[i].stride) < std::llabs(axes_[row_].stride)) row_ = i;
        }
        contiguous_ = axes_.size() == 1 && axes_[0].step == 1 &&
                      (axes_[0].n == 1 || axes_[0].stride == static_cast<std::int64_t>(item()));
        extent_.assign(axes_.size(), 1);
        const auto whole = static_cast<std::int64_t>(chunk / item());
        extent_[last_] = std::min(axes_[last_].n, contiguous_ ? whole : std::int64_t{1024});
        if (row_ != last_) extent_[row_] = std::min(axes_[row_].n, std::max(kPlaneRows, whole / extent_[last_]));
        std::int64_t size = extent_[last_] * (row_ != last_ ? extent_[row_] : 1);
        for (std::size_t i = last_; i-- > 0;) {  // short axes: several of them in one tile
            if (i == row_) continue;
            extent_[i] = std::max<std::int64_t>(1, std::min(axes_[i].n, whole / size));
            size *= extent_[i];
        }
        for (std::size_t i = 0; i < axes_.size(); ++i) {
            tiles_ *= static_cast<std::size_t>((axes_[i].n + extent_[i] - 1) / extent_[i]);
        }
    }

    std::size_t tiles() const { return tiles_; }
    bool contiguous() const { return contiguous_; }
    std::size_t tile_bytes(std::size_t tile) const {  // of a contiguous view
        const std::int64_t begin = static_cast<std::int64_t>(tile) * extent_[last_];
        return static_cast<std::size_t>(std::min(extent_[last_], axes_[last_].n - begin)) * item();
    }
    double mean_tile() const { return static_cast<double>(size_of(job_)) / static_cast<double>(tiles_); }  // bytes
    void fill(std::size_t tile, bool stream) const {
        char* dst = data_;
        std::uint64_t first = base_;
        Axes box(axes_);
        for (std::size_t i = axes_.size(); i-- > 0;) {
            const auto count = static_cast<std::size_t>((axes_[i].n + extent_[i] - 1) / extent_[i]);
            const std::int64_t begin = static_cast<std::int64_t>(tile % count) * extent_[i];
            tile /= count;
            dst += begin * axes_[i].stride;
            first += static_cast<std::uint64_t>(begin * axes_[i].step);
            box[i].n = std::min(extent_[i], axes_[i].n - begin);
        }
        if (contiguous_) {
            fill_run(job_.law, job_.dtype, first, static_cast<std::size_t>(box[last_].n), dst, stream);
        } else {
            fill_outer(box, 0, first, dst);
        }
    }

private:
    std::size_t item() const { return item_size(job_.dtype); }

    // Loops over all axes but the row and the last one.
    void fill_outer(const Axes& box, std::size_t axis, std::uint64_t first, char* dst) const {
        if (axis == last_) return fill_plane(box, first, dst);
        if (axis == row_) return fill_outer(box, axis + 1, first, dst);
        for (std::int64_t i = 0; i < box[axis].n; ++i) {
            fill_outer(box, axis + 1, first + static_cast<std::uint64_t>(i * box[axis].step),
                       dst + i * box[axis].stride);
        }
    }

    // Rows x columns, in pieces whose blocks fit into scratch.
    void fill_plane(const Axes& box, std::uint64_t first, char* dst) const {
        const Axis column = box[last_];
        const Axis row = row_ == last_ ? Axis{1, 0, 0} : box[row_];
        const std::int64_t capacity = static_cast<std::int64_t>(kPlane / item()) / kBlockLength;
        const bool far = column.step >= kBlockLength;  // a block for every element
        const std::int64_t fit = far ? capacity : (capacity - 1) * kBlockLength / column.step;
        const bool transposed = std::llabs(row.stride) < std::llabs(column.stride);
        const std::int64_t whole = std::max(fit / row.n, far ? 1 : kBlockLength / column.step);
        const std::int64_t columns = std::min(column.n, transposed ? whole : fit);
        for (std::int64_t c = 0; c < column.n; c += columns) {
            Piece p{0, std::min(columns, column.n - c), row.stride, column.stride, 1, 0, column.step};
            if (far) p.per_row = p.columns, p.per_column = 1, p.step = 0;
            for (std::int64_t r = 0; r < row.n; r += p.rows) {
                const std::uint64_t at = first + static_cast<std::uint64_t>(r * row.step + c * column.step);
                p.rows = row.n - r;
                fill_piece(p, at, row.step, column.step, capacity, dst + r * row.stride + c * column.stride);
            }
        }
    }

    // As many of p.rows as fit, which it sets.
    void fill_piece(Piece& p, std::uint64_t first, std::int64_t row_step, std::int64_t column_step,
                    std::int64_t capacity, char* dst) const {
        std::uint64_t number[kPlane / kBlock];
        std::uint32_t at[kPieceRows];
        std::int64_t blocks = 0, row = 0;
        // Lists the blocks of elements [from, to], which may begin in the last one listed.
        const auto list = [&](std::uint64_t from, std::uint64_t to) {
            std::uint64_t b = from / kBlock;
            const bool shared = blocks > 0 && number[blocks - 1] == b;
            const std::int64_t begin = shared ? blocks - 1 : blocks;
            for (b += shared; b <= to / kBlock; ++b) number[blocks++] = b;
            return static_cast<std::uint32_t>(begin * kBlockLength + static_cast<std::int64_t>(from % kBlock));
        };
        const std::int64_t width = (p.columns - 1) * column_step;
        const std::int64_t most = p.per_column != 0 ? p.columns : (width + kBlockLength - 1) / kBlockLength + 1;
        for (; row < std::min(p.rows, kPieceRows / p.per_row) && blocks + most <= capacity; ++row) {
            const std::uint64_t from = first + static_cast<std::uint64_t>(row * row_step);
            if (p.per_column == 0) {
                at[row] = list(from, from + static_cast<std::uint64_t>(width));
            } else {
                for (std::int64_t c = 0; c < p.columns; ++c) {
                    const std::uint64_t e = from + static_cast<std::uint64_t>(c * column_step);
                    at[row * p.columns + c] = list(e, e);
                }
            }
        }
        p.rows = row;
        const auto width_bytes = static_cast<std::int64_t>(item());
        const GenerateFn make = kernels().generate[static_cast<int>(job_.law.law)][static_cast<int>(job_.dtype)];
        const bool runs = column_step == 1 && p.column_stride == width_bytes;
        const bool dense = runs && (row == 1 || p.row_stride == p.columns * width_bytes);
        if (dense && at[0] == 0 && blocks * kBlockLength == row * p.columns) {
            return make(job_.law, number, static_cast<std::size_t>(blocks), dst);
        }
        alignas(64) char plane[kPlane];
        make(job_.law, number, static_cast<std::size_t>(blocks), plane);
        if (runs) {
            for (std::int64_t r = 0; r < row; ++r) {
                std::memcpy(dst + r * p.row_stride, plane + at[r] * item(),
                            static_cast<std::size_t>(p.columns) * item());
            }
            return;
        }
        switch (item()) {
            case 1: return scatter<1>(plane, at, p, dst);
            case 2: return scatter<2>(plane, at, p, dst);
            case 4: return scatter<4>(plane, at, p, dst);
            default: return scatter<8>(plane, at, p, dst);
        }
    }

    static constexpr std::size_t kPlane = 32768;  // bytes
    static constexpr std::int64_t kPieceRows = 1024;
    const Job& job_;
    char* data_;
    std::uint64_t base_;
    Axes axes_;
    Axes::size_type last_, row_;
    bool contiguous_;
    std::vector<std::int64_t> extent_;
    std::size_t tiles_ = 1;
};

}  // namespace

void generate(const LawParams& law, DType dtype, std::uint64_t first, std::size_t count, void* dst) {
    fill_run(law, dtype, first, count, static_cast<char*>(dst), false);
}

void fill(const std::vector<Job>& jobs, int threads, const Poll& poll) {
    std::size_t bytes = 0;
    for (const Job& job : jobs) bytes += size_of(job);
    const bool stream = bytes >= kStream;
    std::vector<Tiled> parts;
    std::vector<std::size_t> ends;
    std::size_t tiles = 0;
    for (const Job& job : jobs) {
        if (size_of(job) == 0) continue;
        parts.emplace_back(job, bytes >= kLarge ? kLargeChunk : kChunk);
        ends.push_back(tiles += parts.back().tiles());
    }
    const int most = useful_threads(bytes, threads);
    std::vector<StoreChoice> choices(static_cast<std::size_t>(most));
    const auto part_of = [&](std::size_t tile) {
        return static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), tile) - ends.begin());
    };
    const auto run = [&](std::size_t tile, int worker) {
        const std::size_t at = part_of(tile);
        const Tiled& part = parts[at];
        tile -= at == 0 ? 0 : ends[at - 1];
        if (!stream || !part.contiguous()) return part.fill(tile, false);
        choices[static_cast<std::size_t>(worker)].run(part.tile_bytes(tile), [&](bool past) { part.fill(tile, past); });
    };
    // Alone, until the time of the first tiles tells how many threads the others are worth.
    std::size_t first = 0;
    int workers = 1;
    const auto begin = Clock::now();
    for (double done = 0; workers < most && workers == 1 && first < tiles; ++first) {
        run(first, 0);
        done += parts[part_of(first)].mean_tile();
        const std::chrono::duration<double> took = Clock::now() - begin;
        workers = static_cast<int>(std::min<double>(most, 1 + took.count() * (bytes - done) / done / kThreadSeconds));
    }
    parallel_for(tiles - first, workers, poll, [&](std::size_t tile, int worker) { run(first + tile, worker); });
}

}  // namespace fastinit
