// SPDX-License-Identifier: BSD-3-Clause
// The generator's words one by one: single blocks for key derivation, and the
// functions behind a NumPy BitGenerator.
#include "bind/bind.h"
#include "ops/fill.h"

namespace fastinit {
namespace {

py::tuple philox_block(std::uint64_t key, std::uint32_t c0, std::uint32_t c1, std::uint32_t c2, std::uint32_t c3) {
    const Key k = key_from(key);
    std::uint32_t k0 = k.k0, k1 = k.k1;
    for (int r = 0; r < 10; ++r, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0, p1 = std::uint64_t{0xCD9E8D57u} * c2;
        const auto n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
        const auto n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
        c0 = n0;
        c1 = static_cast<std::uint32_t>(p1);
        c2 = n2;
        c3 = static_cast<std::uint32_t>(p0);
    }
    return py::make_tuple(c0, c1, c2, c3);
}

// Words in the order of the elements of a fill, generated a block at a time.
struct WordStream {
    std::uint64_t key, position;
    std::uint64_t block = ~std::uint64_t{0};
    alignas(64) std::uint32_t words[kBlock];

    WordStream(std::uint64_t k, std::uint64_t p) : key(k), position(p) {}

    // In place: NumPy's Generators hold a copy of the pointer.
    void restart(std::uint64_t k, std::uint64_t p) {
        key = k;
        position = p;
        block = ~std::uint64_t{0};
    }

    std::uint32_t next() {
        if (position / kBlock != block) {
            block = position / kBlock;
            const LawParams law = law_params({Asked::words, 0, 0, 0, 0}, DType::uint32, key_from(key), 0);
            generate(law, DType::uint32, block * kBlock, kBlock, words);
        }
        return words[position++ % kBlock];
    }
    std::uint64_t next64() {
        const std::uint64_t high = next();
        return (high << 32) | next();
    }
};

// Layout of NumPy's bitgen_t (numpy/random/bitgen.h), part of its stable C interface.
struct BitGen {
    void* state;
    std::uint64_t (*next_uint64)(void*);
    std::uint32_t (*next_uint32)(void*);
    double (*next_double)(void*);
    std::uint64_t (*next_raw)(void*);
};

WordStream& stream(void* state) { return *static_cast<WordStream*>(state); }

void install(const py::capsule& capsule, WordStream& words) {
    auto* bitgen = static_cast<BitGen*>(PyCapsule_GetPointer(capsule.ptr(), "BitGenerator"));
    if (bitgen == nullptr) throw py::error_already_set();
    bitgen->state = &words;
    bitgen->next_uint64 = [](void* s) { return stream(s).next64(); };
    bitgen->next_uint32 = [](void* s) { return stream(s).next(); };
    bitgen->next_double = [](void* s) { return static_cast<double>(stream(s).next64() >> 11) * 0x1p-53; };
    bitgen->next_raw = [](void* s) { return std::uint64_t{stream(s).next()}; };
}

}  // namespace

void register_stream(py::module_& m) {
    m.def("philox", &philox_block, py::arg("key"), py::arg("c0"), py::arg("c1"), py::arg("c2"), py::arg("c3"));
    py::class_<WordStream>(m, "WordStream")
        .def(py::init<std::uint64_t, std::uint64_t>(), py::arg("key"), py::arg("position"))
        .def_readonly("key", &WordStream::key)
        .def_readonly("position", &WordStream::position)
        .def("restart", &WordStream::restart, py::arg("key"), py::arg("position"));
    m.def("bitgen_install", &install, py::arg("capsule"), py::arg("stream"));
}

}  // namespace fastinit
