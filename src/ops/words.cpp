// SPDX-License-Identifier: BSD-3-Clause
// Scalar Philox4x32-10 (Salmon et al. 2011) and the buffered stream of words.
#include "ops/words.h"

#include "ops/fill.h"

namespace fastinit {

Counter philox4x32(Counter c, Key key) {
    for (int r = 0; r < 10; ++r, key.k0 += 0x9E3779B9u, key.k1 += 0xBB67AE85u) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0], p1 = std::uint64_t{0xCD9E8D57u} * c[2];
        c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ key.k0, static_cast<std::uint32_t>(p1),
             static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ key.k1, static_cast<std::uint32_t>(p0)};
    }
    return c;
}

void WordStream::restart(Key key, std::uint64_t position) {
    key_ = key;
    position_ = position;
    block_ = ~std::uint64_t{0};  // none: positions end before it
}

std::uint32_t WordStream::next() {
    if (position_ / kBlock != block_) {
        block_ = position_ / kBlock;
        const LawParams law = law_params({Asked::words, 0, 0, 0, 0}, DType::uint32, key_, 0);
        generate(law, DType::uint32, block_ * kBlock, kBlock, words_);
    }
    return words_[position_++ % kBlock];
}

std::uint64_t WordStream::next64() {
    const std::uint64_t high = next();
    return (high << 32) | next();
}

}  // namespace fastinit
