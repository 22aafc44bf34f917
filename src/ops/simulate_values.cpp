// SPDX-License-Identifier: BSD-3-Clause
// Reads tiles of weights into the panels of a product.
#include "ops/simulate_values.h"

#include <algorithm>
#include <cstring>

namespace fastinit::simulation {
namespace {

constexpr std::int64_t kMostLines = 1024;  // that a row of a tile may have at once

}  // namespace

void Values::ready(Pass& pass) const {
    if (!maker_) return;
    if (pass.made.owner != this) {
        pass.made.owner = nullptr;  // in case the function throws
        pass.made.data.reserve(static_cast<std::size_t>(size_));
        maker_(pass.made.data.data());
        pass.made.owner = this;
    }
    data_ = pass.made.data.data();
}

void Values::read(std::int64_t first, std::int64_t count, float* dst) const {
    if (drawn_) {
        generate(law_, DType::float32, static_cast<std::uint64_t>(first), static_cast<std::size_t>(count), dst);
    } else {
        std::memcpy(dst, data_ + first, static_cast<std::size_t>(count) * sizeof(float));
    }
    round_to(dtype_, dst, count);
}

void KernelColumns::pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
                         float* dst) const {
    alignas(64) float row[kMostLines];
    for (std::int64_t l = 0; l < lines; l += kMostLines / width * width) {
        const std::int64_t n = std::min(lines - l, kMostLines / width * width);
        for (std::int64_t s = 0; s < steps; ++s) {
            k_.values.read((step + s) * k_.columns + k_.column + line + l, n, row);
            for (std::int64_t i = 0; i < n; i += width) {
                float* to = dst + ((l + i) * steps) + s * width;
                const std::int64_t m = std::min<std::int64_t>(width, n - i);
                std::memcpy(to, row + i, static_cast<std::size_t>(m) * sizeof(float));
                std::fill(to + m, to + width, 0.0f);
            }
        }
    }
}

void KernelRows::pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
                      float* dst) const {
    alignas(64) float tile[kWidestPanel * kDepthBlock];
    for (std::int64_t l = 0; l < lines; l += width) {
        const std::int64_t n = std::min<std::int64_t>(width, lines - l);
        for (std::int64_t i = 0; i < n; ++i) {
            for (std::int64_t s = 0; s < steps;) {
                const std::int64_t tap = (step + s) / used_, at = (step + s) % used_;
                const std::int64_t run = std::min(steps - s, used_ - at);
                const std::int64_t first = (tap * k_.channels + line + l + i) * k_.columns + k_.column + at;
                k_.values.read(first, run, tile + i * steps + s);
                s += run;
            }
        }
        pack_strided(tile, steps, 1, n, steps, width, dst + l * steps);
    }
}

}  // namespace fastinit::simulation
