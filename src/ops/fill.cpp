// SPDX-License-Identifier: BSD-3-Clause
// The parallel fill. A view is cut into tiles; each tile is generated in scratch in
// the order of the global tensor and then copied to its place.
#include "ops/fill.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace fastinit {
namespace {

constexpr std::size_t kScratch = 8192;           // bytes; stays in the first-level cache
constexpr std::size_t kChunk = std::size_t{1} << 18;   // bytes of output that a thread claims
constexpr std::size_t kStream = std::size_t{1} << 21;  // fills from here on bypass the cache
constexpr std::int64_t kTileRows = 64;

using Axes = std::vector<Axis>;

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

// Contiguous run of the tensor into contiguous memory.
void fill_run(const LawParams& law, DType dtype, std::uint64_t first, std::size_t count, char* dst,
              bool stream) {
    const Kernels& k = kernels();
    const GenerateFn make = k.generate[static_cast<int>(law.law)][static_cast<int>(dtype)];
    const std::size_t item = item_size(dtype);
    const std::size_t per_scratch = kScratch / item / kBlock;
    alignas(64) char scratch[kScratch];
    std::uint64_t block = first / kBlock;
    std::size_t skip = first % kBlock;
    while (count > 0) {
        const std::size_t blocks = std::min(per_scratch, (skip + count + kBlock - 1) / kBlock);
        const std::size_t n = std::min(count, blocks * kBlock - skip);
        if (!stream && skip == 0 && n == blocks * kBlock) {
            make(law, block, blocks, dst);
        } else {
            make(law, block, blocks, scratch);
            if (stream) {
                k.copy_stream(dst, scratch + skip * item, n * item);
            } else {
                std::memcpy(dst, scratch + skip * item, n * item);
            }
        }
        dst += n * item;
        count -= n;
        block += blocks;
        skip = 0;
    }
    if (stream) k.stream_fence();
}

template <std::size_t kItem>
void copy_strided(char* dst, std::int64_t stride, const char* src, std::int64_t src_stride, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) std::memcpy(dst + i * stride, src + i * src_stride, kItem);
}

void copy_items(std::size_t item, char* dst, std::int64_t stride, const char* src, std::int64_t src_stride,
                std::int64_t n) {
    switch (item) {
        case 1: return copy_strided<1>(dst, stride, src, src_stride, n);
        case 2: return copy_strided<2>(dst, stride, src, src_stride, n);
        case 4: return copy_strided<4>(dst, stride, src, src_stride, n);
        default: return copy_strided<8>(dst, stride, src, src_stride, n);
    }
}

// Tiles of a strided view: rows along the axis with the smallest memory stride, so
// that writes stay close, columns along the last axis, so that reads do.
class Tiled {
public:
    explicit Tiled(const Job& job) : job_(job), axes_(coalesced(job.axes)) {
        last_ = axes_.size() - 1;
        row_ = last_;
        for (std::size_t i = 0; i < last_; ++i) {
            if (row_ == last_ || std::llabs(axes_[i].stride) < std::llabs(axes_[row_].stride)) row_ = i;
        }
        contiguous_ = axes_.size() == 1 && axes_[0].step == 1 &&
                      (axes_[0].n == 1 || axes_[0].stride == static_cast<std::int64_t>(item()));
        extent_.assign(axes_.size(), 1);
        const auto whole = static_cast<std::int64_t>(kChunk / item());
        extent_[last_] = std::min(axes_[last_].n, contiguous_ ? whole : std::int64_t{1024});
        if (row_ != last_) extent_[row_] = std::min(axes_[row_].n, kTileRows);
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
    std::size_t bytes() const {
        std::size_t n = item();
        for (const Axis& a : axes_) n *= static_cast<std::size_t>(a.n);
        return n;
    }

    void fill(std::size_t tile, bool stream) const {
        char* dst = job_.data;
        std::uint64_t first = job_.base;
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

    // Rows x columns; as many rows at once as the scratch holds.
    void fill_plane(const Axes& box, std::uint64_t first, char* dst) const {
        const Axis column = box[last_];
        const Axis row = row_ == last_ ? Axis{1, 0, 0} : box[row_];
        const auto fit = static_cast<std::int64_t>(kPlane / item());
        const bool dense = row.step == column.n * column.step && column.step == 1;
        const std::int64_t columns = std::min(column.n, std::max<std::int64_t>(kBlock, fit / row.n));
        const std::int64_t rows = std::max<std::int64_t>(1, fit / columns);
        alignas(64) char plane[kPlane];
        for (std::int64_t r = 0; r < row.n; r += rows) {
            const std::int64_t nr = std::min(rows, row.n - r);
            for (std::int64_t c = 0; c < column.n; c += columns) {
                const std::int64_t nc = std::min(columns, column.n - c);
                const std::uint64_t at = first + static_cast<std::uint64_t>(r * row.step + c * column.step);
                if (dense && nc == column.n) {
                    generate(job_.law, job_.dtype, at, static_cast<std::size_t>(nr * nc), plane);
                } else {
                    for (std::int64_t i = 0; i < nr; ++i) {
                        generate_strided(at + static_cast<std::uint64_t>(i * row.step), column.step, nc,
                                         plane + i * nc * static_cast<std::int64_t>(item()));
                    }
                }
                scatter(plane, nr, nc, row.stride, column.stride, dst + r * row.stride + c * column.stride);
            }
        }
    }

    // n elements first, first + step, ...: whole runs are generated, and thinned.
    void generate_strided(std::uint64_t first, std::int64_t step, std::int64_t n, char* out) const {
        if (step == 1) return generate(job_.law, job_.dtype, first, static_cast<std::size_t>(n), out);
        const auto width = static_cast<std::int64_t>(item());
        const std::int64_t span = std::llabs(step);
        const std::int64_t fit = std::max<std::int64_t>(1, static_cast<std::int64_t>(kPlane) / width / span);
        alignas(64) char run[kPlane];
        for (std::int64_t i = 0; i < n; i += fit) {
            const std::int64_t m = std::min(fit, n - i);
            const std::int64_t length = m == 1 ? 1 : (m - 1) * span + 1;
            const std::uint64_t begin = first + static_cast<std::uint64_t>(step > 0 ? i * step : (i + m - 1) * step);
            generate(job_.law, job_.dtype, begin, static_cast<std::size_t>(length), run);
            copy_items(item(), out + i * width, width, run + (step > 0 ? 0 : (m - 1) * span * width),
                       (step > 0 ? span : -span) * width, m);
        }
    }

    void scatter(const char* plane, std::int64_t nr, std::int64_t nc, std::int64_t row_stride,
                 std::int64_t column_stride, char* dst) const {
        const auto width = static_cast<std::int64_t>(item());
        if (std::llabs(row_stride) < std::llabs(column_stride) && nr > 1) {
            for (std::int64_t c = 0; c < nc; ++c) {
                copy_items(item(), dst + c * column_stride, row_stride, plane + c * width, nc * width, nr);
            }
        } else {
            for (std::int64_t r = 0; r < nr; ++r) {
                copy_items(item(), dst + r * row_stride, column_stride, plane + r * nc * width, width, nc);
            }
        }
    }

    static constexpr std::size_t kPlane = 32768;
    const Job& job_;
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
    std::vector<Tiled> parts;
    std::vector<std::size_t> ends;
    std::size_t tiles = 0, bytes = 0;
    for (const Job& job : jobs) {
        if (std::any_of(job.axes.begin(), job.axes.end(), [](const Axis& a) { return a.n == 0; })) continue;
        parts.emplace_back(job);
        ends.push_back(tiles += parts.back().tiles());
        bytes += parts.back().bytes();
    }
    const bool stream = bytes >= kStream;
    parallel_for(tiles, useful_threads(bytes, threads), poll, [&](std::size_t tile, int) {
        const auto part = static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), tile) - ends.begin());
        parts[part].fill(tile - (part == 0 ? 0 : ends[part - 1]), stream);
    });
}

}  // namespace fastinit
