// SPDX-License-Identifier: BSD-3-Clause
// Single words of the generator, and the functions behind a NumPy BitGenerator.
#include <string_view>

#include "bind/bind.h"
#include "ops/words.h"

namespace fastinit {
namespace {

py::tuple philox_block(std::uint64_t key, std::uint32_t c0, std::uint32_t c1, std::uint32_t c2, std::uint32_t c3) {
    const Counter w = philox4x32({c0, c1, c2, c3}, key_from(key));
    return py::make_tuple(w[0], w[1], w[2], w[3]);
}

// One key from every 16 bytes, a little-endian counter each.
std::vector<std::uint64_t> philox_keys(std::uint64_t key, const py::bytes& counters) {
    const auto view = counters.cast<std::string_view>();
    std::vector<std::uint64_t> keys(view.size() / 16);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        Counter counter{};
        for (std::size_t j = 0; j < 16; ++j) {
            counter[j / 4] |= static_cast<std::uint32_t>(static_cast<unsigned char>(view[16 * i + j])) << (8 * (j % 4));
        }
        const Counter w = philox4x32(counter, key_from(key));
        keys[i] = w[0] | std::uint64_t{w[1]} << 32;
    }
    return keys;
}

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
    m.def("philox_keys", &philox_keys, py::arg("key"), py::arg("counters"));
    py::class_<WordStream>(m, "WordStream")
        .def(py::init([](std::uint64_t key, std::uint64_t position) {
                 kernels();  // an impossible FASTINIT_ISA is an error here, not within NumPy's C code
                 return WordStream(key_from(key), position);
             }),
             py::arg("key"), py::arg("position"))
        .def_property_readonly(
            "key", [](const WordStream& s) { return s.key().k0 | std::uint64_t{s.key().k1} << 32; })
        .def_property_readonly("position", &WordStream::position)
        // In place: NumPy's Generators hold a copy of the pointer.
        .def("restart", [](WordStream& s, std::uint64_t key, std::uint64_t position) {
            s.restart(key_from(key), position);
        }, py::arg("key"), py::arg("position"))
        .def("advance", [](WordStream& s, std::uint64_t by) { s.restart(s.key(), s.position() + by); }, py::arg("by"));
    m.def("bitgen_install", &install, py::arg("capsule"), py::arg("stream"));
}

}  // namespace fastinit
