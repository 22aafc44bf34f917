// SPDX-License-Identifier: BSD-3-Clause
// The generator's words one by one: single blocks for the derivation of keys, and a
// stream in the order of a fill's elements.
#pragma once
#include <array>
#include <cstdint>

#include "core/kernels.h"

namespace fastinit {

using Counter = std::array<std::uint32_t, 4>;

Counter philox4x32(Counter counter, Key key);

class WordStream {
public:
    WordStream(Key key, std::uint64_t position) { restart(key, position); }

    void restart(Key key, std::uint64_t position);
    std::uint32_t next();
    std::uint64_t next64();  // two words, the high one first

    Key key() const { return key_; }
    std::uint64_t position() const { return position_; }

private:
    Key key_;
    std::uint64_t position_;
    std::uint64_t block_;  // the one in words_
    alignas(64) std::uint32_t words_[kBlock];
};

}  // namespace fastinit
