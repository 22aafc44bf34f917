// SPDX-License-Identifier: BSD-3-Clause
// The operands of convolutions as products: patches of images, gathered when they are read.
#pragma once
#include <algorithm>
#include <cstring>

#include "ops/simulate_linear.h"

namespace fastinit::simulation {

// What the windows see: places x (tap, channel of the group).
struct Seen {
    Windows w;
    const float* x;
    std::int64_t channel, run;  // first channel and number of channels of the group

    const float* at(std::int64_t place, std::int64_t tap) const {
        const std::int64_t input = place / w.places(), pixel = w.seen(place % w.places(), tap);
        return pixel < 0 ? nullptr : x + (input * w.pixels() + pixel) * w.channels + channel;
    }
};

// Which windows see a pixel: pixels x (tap, column of the group), from gradients at the places.
struct SeenBy {
    Windows w;
    const float* g;
    std::int64_t columns, column, run;

    const float* at(std::int64_t pixel, std::int64_t tap) const {
        const std::int64_t input = pixel / w.pixels(), place = w.seen_by(pixel % w.pixels(), tap);
        return place < 0 ? nullptr : g + (input * w.places() + place) * columns + column;
    }
};

// Features [first, first + count) of one patch.
template <class Patches>
void gather(const Patches& from, std::int64_t place, std::int64_t first, std::int64_t count, float* dst) {
    for (std::int64_t done = 0; done < count;) {
        const std::int64_t tap = (first + done) / from.run, at = (first + done) % from.run;
        const std::int64_t n = std::min(count - done, from.run - at);
        const float* src = from.at(place, tap);
        if (src != nullptr) {
            std::memcpy(dst + done, src + at, static_cast<std::size_t>(n) * sizeof(float));
        } else {
            std::fill(dst + done, dst + done + n, 0.0f);
        }
        done += n;
    }
}

// Lines are places, steps are features.
template <class Patches>
class PatchLines final : public Source<float> {
public:
    explicit PatchLines(const Patches& from) : from_(from) {}
    void pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
              float* dst) const override {
        alignas(64) float tile[kWidestPanel * kDepthBlock];
        for (std::int64_t l = 0; l < lines; l += width) {
            const std::int64_t n = std::min<std::int64_t>(width, lines - l);
            for (std::int64_t i = 0; i < n; ++i) gather(from_, line + l + i, step, steps, tile + i * steps);
            pack_strided(tile, steps, 1, n, steps, width, dst + l * steps);
        }
    }

private:
    Patches from_;
};

// Lines are features from `first` on, steps are places.
template <class Patches>
class PatchSteps final : public Source<float> {
public:
    PatchSteps(const Patches& from, std::int64_t first) : from_(from), first_(first) {}
    void pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
              float* dst) const override {
        alignas(64) float tile[kWidestPanel * kDepthBlock];
        for (std::int64_t l = 0; l < lines; l += width) {
            const std::int64_t n = std::min<std::int64_t>(width, lines - l);
            for (std::int64_t s = 0; s < steps; ++s) gather(from_, step + s, first_ + line + l, n, tile + s * n);
            pack_strided(tile, 1, n, n, steps, width, dst + l * steps);
        }
    }

private:
    Patches from_;
    std::int64_t first_;
};

// Another source times a power of two.
class Scaled final : public Source<float> {
public:
    Scaled(const Source<float>& from, float factor) : from_(from), factor_(factor) {}
    void pack(std::int64_t line, std::int64_t lines, std::int64_t step, std::int64_t steps, int width,
              float* dst) const override {
        from_.pack(line, lines, step, steps, width, dst);
        const std::int64_t n = (lines + width - 1) / width * width * steps;
        for (std::int64_t i = 0; i < n; ++i) dst[i] *= factor_;
    }

private:
    const Source<float>& from_;
    float factor_;
};

}  // namespace fastinit::simulation
