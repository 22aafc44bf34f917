// SPDX-License-Identifier: BSD-3-Clause
// Compiled once per instruction set (FI_ISA names it). Exports one strong symbol,
// the table; everything else is local, so that no function built for a wide
// instruction set can be picked for a narrow one by the linker.
#include "core/kernels.h"

#include <type_traits>

#include "kernels/gemm.h"
#include "kernels/laws.h"
#include "kernels/panel.h"
#include "kernels/philox.h"
#include "kernels/store.h"

namespace {

using fastinit::kBlock;

// Blocks in flight at once, to hide the latency of Philox's multiplications: more of them, where a
// law needs registers of its own too, spill (measured).
template <class Law>
#if defined(FI_ISA_avx512)
constexpr int kAhead = 4;
#elif defined(FI_ISA_avx2)
constexpr int kAhead = std::is_same_v<Law, Normal<F32, float, U32>> ? 3 : 4;
#else
constexpr int kAhead = 2;
#endif

constexpr std::size_t kSweeps = 16 / kLanes;  // vectors of counters in a block

// Calls sink(element, words) for the vectors of words from `begin` to `end`, N at a time.
template <int N, class Sink>
FI_INLINE void for_each_words(const RoundKeys& keys, const std::uint64_t* block, std::size_t begin,
                              std::size_t end, const Sink& sink) {
    for (std::size_t v = begin; v + N <= end; v += N) {
        std::uint64_t counter[N];
        U32 w[N][4];
        for (int i = 0; i < N; ++i) counter[i] = block[(v + i) / kSweeps] * 16 + (v + i) % kSweeps * kLanes;
        words32(counter, keys, w);
#pragma GCC unroll 4
        for (int i = 0; i < N; ++i) sink((v + i) / kSweeps * kBlock + (v + i) % kSweeps * kLanes, w[i]);
    }
}

template <int N, class Sink>
FI_INLINE void for_all_words(const LawParams& p, const std::uint64_t* block, std::size_t blocks, const Sink& sink) {
    for_each_stretch(block, blocks, [&](std::size_t begin, std::size_t end, std::uint32_t high) {
        const RoundKeys keys(Schedule(p.key, p.tag, high));
        const std::size_t whole = end * kSweeps - (end - begin) * kSweeps % N;
        for_each_words<N>(keys, block, begin * kSweeps, whole, sink);
        for_each_words<1>(keys, block, whole, end * kSweeps, sink);
    });
}

// float32 arithmetic, rounded once to T.
template <class LawF32, DType T, bool kNative, class To>
FI_INLINE void write_f32(const LawParams& p, const std::uint64_t* block, std::size_t blocks, To to) {
    const LawF32 law(p);
    const auto sink = [&](std::size_t element, const U32 (&w)[4]) __attribute__((always_inline)) {
        F32 x[4];
        law(w, x);
        to.template put_block<T, kNative>(element, x);
    };
    for_all_words<kAhead<LawF32>>(p, block, blocks, sink);
    to.finish();
}

template <class LawF32, DType T, bool kNative = false>
void generate_f32(const LawParams& p, const std::uint64_t* block, std::size_t blocks, void* dst) {
    write_f32<LawF32, T, kNative>(p, block, blocks, Plain(dst));
}

#if defined(FI_STREAMS)
// The same past the cache, but for the first block.
template <class LawF32, DType T, bool kNative = false>
void stream_f32(const LawParams& p, const std::uint64_t* block, std::size_t blocks, void* dst) {
    generate_f32<LawF32, T, kNative>(p, block, 1, dst);
    Past rest(static_cast<char*>(dst) + kBlock * fastinit::item_size(T));
    write_f32<LawF32, T, kNative>(p, block + 1, blocks - 1, rest);
}
#endif

// float64 arithmetic on 64-bit words, stored as float64.
template <class LawF64>
void generate_f64(const LawParams& p, const std::uint64_t* block, std::size_t blocks, void* dst) {
    const LawF64 law(p);
    for_each_stretch(block, blocks, [&](std::size_t begin, std::size_t end, std::uint32_t high) {
        const RoundKeys keys(Schedule(p.key, p.tag + 1, high), Schedule(p.key, p.tag, high));
        for (std::size_t b = begin; b < end; ++b) {
            constexpr int kTogether = 2;  // to hide latencies: uniforms gain a quarter and more
            for (int lane = 0; lane < 16; lane += kTogether * kHalf) {
                U64 w[kTogether][4];
                words64(block[b] * 16 + static_cast<unsigned>(lane), keys, w);
                for (int i = 0; i < kTogether; ++i) {
                    F64 x[4];
                    law(w[i], x);
                    for (int k = 0; k < 4; ++k) {
                        store(static_cast<double*>(dst) + b * kBlock + k * 16 + lane + i * kHalf, x[k]);
                    }
                }
            }
        }
    });
}

// float64 arithmetic on 32-bit words (their middle as 64-bit ones), rounded to
// float32 and then once more to T: laws that float32 arithmetic cannot resolve.
template <class LawF64, DType T>
void generate_mixed(const LawParams& p, const std::uint64_t* block, std::size_t blocks, void* dst) {
    const LawF64 law(p);
    for_each_stretch(block, blocks, [&](std::size_t begin, std::size_t end, std::uint32_t high) {
        const RoundKeys keys(Schedule(p.key, p.tag, high));
        for (std::size_t b = begin; b < end; ++b) {
            for (int lane = 0; lane < 16; lane += kLanes) {
                alignas(64) float x32[4][kLanes];
                const std::uint64_t counter[1] = {block[b] * 16 + static_cast<unsigned>(lane)};
                U32 high_words[1][4];
                words32(counter, keys, high_words);
                for (int part = 0; part < kLanes; part += kHalf) {
                    U64 w[4];
                    F64 x[4];
                    for (int k = 0; k < 4; ++k) {
                        for (int i = 0; i < kHalf; ++i) w[k][i] = high_words[0][k][part + i];
                        w[k] = (w[k] << 32) | 0x7fffffffu;
                    }
                    law(w, x);
                    for (int k = 0; k < 4; ++k) {
                        for (int i = 0; i < kHalf; ++i) x32[k][part + i] = static_cast<float>(x[k][i]);
                    }
                }
                for (int k = 0; k < 4; ++k) {
                    put<T>(dst, b * kBlock + static_cast<unsigned>(k * 16 + lane), load<F32>(x32[k]));
                }
            }
        }
    });
}

template <DType T, class To>
FI_INLINE void write_constant(const LawParams& p, std::size_t blocks, To to) {
    const F32 x = f32(static_cast<float>(p.shift)), four[4] = {x, x, x, x};
    for (std::size_t b = 0; b < blocks; ++b) {
        for (int lane = 0; lane < 16; lane += kLanes) {
            to.template put_block<T, false>(b * kBlock + static_cast<unsigned>(lane), four);
        }
    }
    to.finish();
}

template <DType T>
void generate_constant(const LawParams& p, const std::uint64_t*, std::size_t blocks, void* dst) {
    if constexpr (T == DType::float64) {
        for (std::size_t i = 0; i < blocks * kBlock; i += kHalf) store(static_cast<double*>(dst) + i, f64(p.shift));
    } else {
        write_constant<T>(p, blocks, Plain(dst));
    }
}

#if defined(FI_STREAMS)
template <DType T>
void stream_constant(const LawParams& p, const std::uint64_t* block, std::size_t blocks, void* dst) {
    generate_constant<T>(p, block, 1, dst);
    write_constant<T>(p, blocks - 1, Past(static_cast<char*>(dst) + kBlock * fastinit::item_size(T)));
}
#endif

void generate_words(const LawParams& p, const std::uint64_t* block, std::size_t blocks, void* dst) {
    const auto sink = [&](std::size_t element, const U32 (&w)[4]) __attribute__((always_inline)) {
        for (int k = 0; k < 4; ++k) store(static_cast<std::uint32_t*>(dst) + element + k * 16, w[k]);
    };
    for_all_words<kAhead<void>>(p, block, blocks, sink);
}

void copy_stream(void* dst, const void* src, std::size_t bytes) { copy_past_cache(dst, src, bytes); }

void stream_fence() { fence(); }

template <class V, class S>
void affine(std::size_t n, S* x, const S* scale, const S* shift) {
    constexpr std::size_t lanes = sizeof(V) / sizeof(S);
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes) store(x + i, fma(load<V>(x + i), load<V>(scale + i), load<V>(shift + i)));
    for (; i < n; ++i) x[i] = fma(x[i] - V{}, scale[i] - V{}, shift[i] - V{})[0];
}

// ---- probes for tests ---------------------------------------------------------

enum Probe { kNegLog, kSinTurn, kCosTurn, kQuantile };

// kSinTurn and kCosTurn take a signed integral number of 2^-32 (2^-64) turns.
template <class V, class W, class I, class S>
FI_INLINE V probe(int function, V x) {
    if (function == kNegLog) return neg_log(x);
    if (function == kQuantile) {
        const V p = x;
        return normal_quantile(p - S(0.5), p, S(1) - p);
    }
    W w{};
    for (unsigned i = 0; i < sizeof(V) / sizeof(S); ++i) {
        using Signed = decltype(I{}[0] + 0);
        w[i] = static_cast<decltype(w[0] + 0)>(static_cast<Signed>(x[i]));
    }
    V sin, cos;
    sincos_of_word(w, sin, cos);
    return function == kSinTurn ? sin : cos;
}

template <class V, class W, class I, class S>
FI_INLINE void probe_all(int function, const S* x, S* y, std::size_t n) {
    constexpr std::size_t lanes = sizeof(V) / sizeof(S);
    for (std::size_t i = 0; i < n; i += lanes) {
        const std::size_t m = n - i < lanes ? n - i : lanes;
        S part[lanes];
        for (std::size_t j = 0; j < lanes; ++j) part[j] = x[i + (j < m ? j : 0)];
        const V r = probe<V, W, I, S>(function, load<V>(part));
        std::memcpy(y + i, &r, m * sizeof(S));
    }
}
void probe_f32(int function, const float* x, float* y, std::size_t n) {
    probe_all<F32, U32, I32>(function, x, y, n);
}
void probe_f64(int function, const double* x, double* y, std::size_t n) {
    probe_all<F64, U64, I64>(function, x, y, n);
}

using Uniform32 = Uniform<F32, float, U32>;
using Uniform64 = Uniform<F64, double, U64>;
using Normal32 = Normal<F32, float, U32>;
using Normal64 = Normal<F64, double, U64>;
using Truncated32 = Truncated<F32, float, U32>;
using Truncated64 = Truncated<F64, double, U64>;

#define FI_ROW(small, wide)                                                             \
    {generate_##small<DType::float32>,       generate_f64<wide>,                       \
     generate_##small<DType::float16>,       generate_##small<DType::bfloat16>,        \
     generate_##small<DType::float8_e4m3fn>, generate_##small<DType::float8_e5m2>, nullptr}

template <DType T> constexpr auto generate_uniform = generate_f32<Uniform32, T>;
template <DType T> constexpr auto generate_normal = generate_f32<Normal32, T>;
template <DType T> constexpr auto generate_truncated = generate_f32<Truncated32, T>;
template <DType T> constexpr auto generate_wide = generate_mixed<Truncated64, T>;
template <DType T> constexpr auto generate_edge = generate_mixed<TruncatedEdge, T>;

#if defined(FI_STREAMS)
constexpr std::size_t kStreamAlign = Past::kAlign;
#define FI_STREAM_ROW(small) \
    {stream_##small<DType::float32>, nullptr, stream_##small<DType::float16>, stream_##small<DType::bfloat16>}

template <DType T> constexpr auto stream_uniform = stream_f32<Uniform32, T>;
template <DType T> constexpr auto stream_normal = stream_f32<Normal32, T>;
template <DType T> constexpr auto stream_truncated = stream_f32<Truncated32, T>;
#else
constexpr std::size_t kStreamAlign = 1;
#define FI_STREAM_ROW(small) {}
#endif

#define FI_STRING(x) #x
#define FI_NAME(x) FI_STRING(x)
#define FI_JOIN(a, b) a##b
#define FI_TABLE(isa) FI_JOIN(fastinit_kernels_, isa)

constexpr fastinit::Kernels kTable = {
    FI_NAME(FI_ISA),
    kLanes,
    {
        FI_ROW(uniform, Uniform64),
        FI_ROW(normal, Normal64),
        FI_ROW(truncated, Truncated64),
        FI_ROW(wide, Truncated64),
        FI_ROW(edge, TruncatedEdge),
        {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, generate_words},
        {generate_constant<DType::float32>, generate_constant<DType::float64>, generate_constant<DType::float16>,
         generate_constant<DType::bfloat16>, generate_constant<DType::float8_e4m3fn>,
         generate_constant<DType::float8_e5m2>, nullptr},
    },
    {FI_STREAM_ROW(uniform), FI_STREAM_ROW(normal), FI_STREAM_ROW(truncated), {}, {}, {}, FI_STREAM_ROW(constant)},
    kStreamAlign,
    copy_stream,
    stream_fence,
    {{kTileRows, 2 * kLanes, gemm_tile<F32, float>, gemm_interleave<F32x4, std::int32_t, float>},
     factor_panel<F32, float>, invert_triangle<F32, float>, reflect_columns<F32, float>, affine<F32, float>, probe_f32},
    {{kTileRows, 2 * kHalf, gemm_tile<F64, double>, gemm_interleave<F64x4, std::int64_t, double>},
     factor_panel<F64, double>, invert_triangle<F64, double>, reflect_columns<F64, double>, affine<F64, double>,
     probe_f64},
};

#if defined(FI_ISA_avx512)
// Centred normals of any usual scale are zero or at least 2^-47 * 2^-60, far from subnormal numbers.
template <fastinit::GenerateFn kNative, fastinit::GenerateFn kPlain>
void where_never_subnormal(const LawParams& p, const std::uint64_t* block, std::size_t blocks, void* dst) {
    (p.shift == 0.0 && __builtin_fabs(p.scale) >= 0x1p-60 ? kNative : kPlain)(p, block, blocks, dst);
}

constexpr fastinit::Kernels kNativeTable = [] {
    constexpr int law = static_cast<int>(fastinit::Law::normal), type = static_cast<int>(DType::bfloat16);
    constexpr DType T = DType::bfloat16;
    fastinit::Kernels k = kTable;
    k.generate[law][type] = where_never_subnormal<generate_f32<Normal32, T, true>, generate_f32<Normal32, T>>;
    k.stream[law][type] = where_never_subnormal<stream_f32<Normal32, T, true>, stream_f32<Normal32, T>>;
    return k;
}();

const fastinit::Kernels* table() {
    static const bool native = cpu_rounds_natively();
    return native ? &kNativeTable : &kTable;
}
#else
const fastinit::Kernels* table() { return &kTable; }
#endif

}  // namespace

extern "C" const fastinit::Kernels* FI_TABLE(FI_ISA)() { return table(); }
