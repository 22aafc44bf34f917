// SPDX-License-Identifier: BSD-3-Clause
//
// Every function here reduces its argument exactly or in two doubles and then
// takes one polynomial.  The coefficients are Chebyshev interpolants computed at
// 60 digits by tests/data/make_special.py; each comment gives the range and the
// error relative to the function.  Must be compiled without contraction.
#include "core/special.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace fastinit::special {
namespace {

// (exp(r) - 1 - r) / r^2 on |r| <= 0.35
constexpr double kExp[] = {
        0x1.0000000000000p-1, 0x1.5555555555557p-3, 0x1.5555555555556p-5, 0x1.111111110ff87p-7,
        0x1.6c16c16c16212p-10, 0x1.a01a01aca0134p-13, 0x1.a01a01a741b3cp-16, 0x1.71ddffef9e7b1p-19,
        0x1.27e4da1a3bf04p-22, 0x1.af52906239de4p-26, 0x1.1f75aba0b1e2ep-29,
};
// (log((1+s)/(1-s)) / s - 2) / z, z = s^2, s <= 0.175
constexpr double kLog[] = {
        0x1.5555555555555p-1, 0x1.9999999999a6bp-2, 0x1.249249246f466p-2, 0x1.c71c720e67a9fp-3,
        0x1.745cf3ad7fc88p-3, 0x1.3b1d51fbb7cbbp-3, 0x1.0fa16723c7577p-3, 0x1.0d2ec0d10504dp-3,
};
// (sin(y) / y - 1) / z, z = y^2, |y| <= pi/4
constexpr double kSin[] = {
        -0x1.5555555555555p-3, 0x1.1111111111110p-7, -0x1.a01a01a019926p-13, 0x1.71de3a545e700p-19,
        -0x1.ae64540f0ba18p-26, 0x1.61217c1864fa1p-33, -0x1.ab161757f0c63p-41,
};
// (cos(y) - 1 + z/2) / z^2
constexpr double kCos[] = {
        0x1.5555555555555p-5, -0x1.6c16c16c16c16p-10, 0x1.a01a01a019d02p-16, -0x1.27e4fb7711e1dp-22,
        0x1.1eed8de9ef73ep-29, -0x1.9394b76d1f265p-37, 0x1.ab76cf6e9b365p-45,
};
// (tanh(x) / x - 1) / z, |x| <= 0.5625
constexpr double kTanh[] = {
        -0x1.5555555555555p-2, 0x1.1111111111105p-3, -0x1.ba1ba1ba19d45p-5, 0x1.664f4881eb934p-6,
        -0x1.226e352b4846cp-7, 0x1.d6d3c26268939p-9, -0x1.7da215a753d3dp-10, 0x1.354429f927568p-11,
        -0x1.f3e2857cf61dcp-13, 0x1.8b6b8fdf5ab95p-14, -0x1.17922601f07fdp-15, 0x1.001abd1760259p-17,
};
// (atan(t) / t - 1) / z, |t| <= 7/16
constexpr double kAtan[] = {
        -0x1.5555555555555p-2, 0x1.999999999998ep-3, -0x1.24924924917b1p-3, 0x1.c71c71c6644d6p-4,
        -0x1.745d171af8a27p-4, 0x1.3b13ab479ad4dp-4, -0x1.111088b707a34p-4, 0x1.e1d1701e7017cp-5,
        -0x1.ae793e0382237p-5, 0x1.810630f86a396p-5, -0x1.4a347278f868bp-5, 0x1.dba72f834ccb7p-6,
        -0x1.95fcb081f847dp-7,
};
// erf(x) / x - 1 in z = x^2, |x| <= 1
constexpr double kErf[] = {
        0x1.06eba8214db69p-3, -0x1.812746b0379e7p-2, 0x1.ce2f21a042bdep-4, -0x1.b82ce312889bap-6,
        0x1.565bcd0e6502dp-8, -0x1.c02db3feeb579p-11, 0x1.f9a326c233146p-14, -0x1.f4d2561aeafd4p-17,
        0x1.b9e6509b9867dp-20, -0x1.5f6d925a0bc7ap-23, 0x1.fc4356498c2d9p-27, -0x1.4e607b41a6416p-30,
        0x1.7f072188e194dp-34, -0x1.29b9f1b3df556p-38,
};
// erfcx in x - centre on [0,.5] [.5,1] [1,2] [2,4] [4,8]; then erfcx(x) x in 1/x^2 for x >= 8
constexpr double kErfcx0[] = {
        0x1.8a6adcda2ea92p-1, -0x1.7c857b9b3c192p-1, 0x1.2b497df35fa2ep-1, -0x1.97997ad330159p-2,
        0x1.f0ac9d31f3190p-3, -0x1.146985bdc8356p-3, 0x1.1d0c27d730f62p-4, -0x1.132db77501f93p-5,
        0x1.f54ce163eba29p-7, -0x1.b181f36d2d941p-8, 0x1.65b0c3061e6efp-9, -0x1.1aa71fe32ec4dp-10,
        0x1.ada66a96916b9p-12, -0x1.440f494648256p-13, 0x1.ca52aebaecfeep-15,
};
constexpr double kErfcx0Lo = -0x1.b3e5e8f69dcbfp-57;
constexpr double kErfcx1[] = {
        0x1.038d54ea3d834p-1, -0x1.78cdd551ee51ap-2, 0x1.d90093ae10928p-3, -0x1.09e77d40e01cep-3,
        0x1.1192f5bd6873cp-4, -0x1.054d68296d26ap-5, 0x1.d43a7c7a7c0fap-7, -0x1.8c97dd23cacebp-8,
        0x1.3f818962c9a60p-9, -0x1.ec0d293395f67p-11, 0x1.6b984c0138dd8p-12, -0x1.02a04a14e43aap-13,
        0x1.635d5fe5fc73cp-15, -0x1.e412f7345926ep-17, 0x1.37d7863ebade2p-18,
};
constexpr double kErfcx1Lo = -0x1.ec2134d851665p-55;
constexpr double kErfcx2[] = {
        0x1.494daffa2ad68p-2, -0x1.4f1988444caf6p-3, 0x1.37ea271bc54bdp-4, -0x1.0dc51d2941fe8p-5,
        0x1.b65944f34f932p-7, -0x1.513ed75fe3aa1p-8, 0x1.ee705e7339ea0p-10, -0x1.5b0ac006ded44p-11,
        0x1.d4509d2e96628p-13, -0x1.30c0deef7e30bp-14, 0x1.7f996b47b4062p-16, -0x1.d41bcf828a13dp-18,
        0x1.156fd6fb88da9p-19, -0x1.3f2aec68e0ef9p-21, 0x1.66efcc06ca710p-23, -0x1.a998623712d22p-25,
        0x1.c702a07f72a49p-27,
};
constexpr double kErfcx2Lo = 0x1.39bdf0f0d8e21p-56;
constexpr double kErfcx3[] = {
        0x1.6e9827d229d2dp-3, -0x1.bd6ae4d14b16fp-5, 0x1.043fe1a98c0d4p-6, -0x1.259061ba85698p-8,
        0x1.409cc2ed3f027p-10, -0x1.53dec9d0889cap-12, 0x1.5e73930542870p-14, -0x1.6025103cace20p-16,
        0x1.595f1b10ffe11p-18, -0x1.4b14624a945b9p-20, 0x1.3699168d7bd7ep-22, -0x1.1d7922347c7aap-24,
        0x1.014e0a0208be0p-26, -0x1.c74e1c5371149p-29, 0x1.8c2f441a8c0efp-31, -0x1.527f395f218fap-33,
        0x1.1666810f3d63bp-35, -0x1.cd539a8193ddep-38, 0x1.d497f9598b60ap-40, -0x1.765214aed4921p-42,
};
constexpr double kErfcx3Lo = -0x1.99ac9296879fap-58;
constexpr double kErfcx4[] = {
        0x1.7c0348489d721p-4, -0x1.ed7f66d9d09fep-7, 0x1.3c7764a81f453p-9, -0x1.9106a7cd79e2cp-12,
        0x1.f64cd9c07dc28p-15, -0x1.370d06417898fp-17, 0x1.7d0e03ec8b2b5p-20, -0x1.cde4cecbb11a2p-23,
        0x1.151346e8ae22cp-25, -0x1.491bb11845652p-28, 0x1.832004ec3d6e4p-31, -0x1.c312b391f19fap-34,
        0x1.0461f39621b5ap-36, -0x1.29e7ea64ec2e6p-39, 0x1.519ffa4478e24p-42, -0x1.7ba3218ba50eap-45,
        0x1.aba7e0d93601cp-48, -0x1.d8b4cc0837307p-51, 0x1.d27c095dabbc0p-54, -0x1.fd76e574c83dap-57,
        0x1.c2ad9ac6b4efap-59, -0x1.e0432d2d9df09p-62,
};
constexpr double kErfcx4Lo = 0x1.d28d60d8c96ebp-58;
constexpr double kErfcxTail[] = {
        0x1.20dd750429b6dp-1, -0x1.20dd750429b2cp-2, 0x1.b14c2f861cc54p-2, -0x1.0ecf9d98a9c95p+0,
        0x1.d9eb3d9694132p+1, -0x1.0a91b68d90fe2p+4, 0x1.6e28aef4ca69bp+6, -0x1.2543130ae188dp+9,
        0x1.eba499fc9e460p+11, -0x1.2d156fa478466p+14,
};
constexpr double kErfcxTailLo = 0x1.10730c79b9afbp-57;
// First 1216 bits of 2/pi.
constexpr std::uint32_t kTwoOverPi[] = {
        0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561,
        0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484,
        0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f,
        0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b,
        0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046, 0xfc7b6bab,
};

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kLn2Hi = 0x1.62e42fef00000p-1;  // 33 bits: k * kLn2Hi is exact
constexpr double kLn2Lo = 0x1.473de6af278edp-34;
constexpr double kLog2e = 0x1.71547652b82fep+0;
constexpr double kPi = 0x1.921fb54442d18p+1, kPiLo = 0x1.1a62633145c07p-53;
constexpr double kRound = 0x1.8p52;  // adding and taking away rounds to an integer
constexpr double kRootHalf = 0x1.6a09e667f3bcdp-1;
constexpr double kRootHalfLo = -0x1.bdd3413b26456p-55;

struct Pair {
    double hi, lo;
};

template <int N>
inline double horner(const double (&c)[N], double x) {
    double s = c[N - 1];
    for (int i = N - 2; i >= 0; --i) s = s * x + c[i];
    return s;
}

inline std::uint64_t bits(double x) {
    std::uint64_t b;
    std::memcpy(&b, &x, 8);
    return b;
}

inline double from_bits(std::uint64_t b) {
    double x;
    std::memcpy(&x, &b, 8);
    return x;
}

// 2^k for -1022 <= k <= 1023.
inline double power2(int k) { return from_bits(static_cast<std::uint64_t>(k + 1023) << 52); }

// x 2^k for -2000 < k < 2000 with one rounding when x is near 1.
inline double scale(double x, int k) {
    if (k > 1023) return x * power2(1023) * power2(k - 1023);
    if (k < -1021) return x * power2(k + 100) * power2(-100);
    return x * power2(k);
}

inline Pair two_sum(double a, double b) {
    const double s = a + b, t = s - a;
    return {s, (a - (s - t)) + (b - t)};
}

inline double high_half(double x) { return from_bits(bits(x) & ~0x7ffffffULL); }

// a b as an unevaluated sum (Dekker); |a|, |b| < 2^500.
inline Pair two_product(double a, double b) {
    const double p = a * b;
    const double ah = high_half(a), al = a - ah, bh = high_half(b), bl = b - bh;
    return {p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}

// exp(x + tail) for |x| <= 745, |tail| < 1e-10: r = x - k ln 2 to 2^-60.
inline double exp_core(double x, double tail) {
    const double kd = (x * kLog2e + kRound) - kRound;
    const double hi = x - kd * kLn2Hi;
    const double lo = tail - kd * kLn2Lo;
    const double r = hi + lo;
    const double q = lo + r * r * horner(kExp, r);
    // 1 + hi is kept exact and the small parts are added last
    const double s = 1.0 + hi, e = (1.0 - s) + hi;
    return scale(s + (e + q), static_cast<int>(kd));
}

// log(m 2^k (1 + g)) for m in [sqrt(1/2), sqrt(2)), f = m - 1 exact, |g| < 2^-52.
inline double log_core(double f, int k, double g) {
    const double s = f / (2.0 + f), z = s * s;
    const double half = 0.5 * f * f;
    // log(1+f) = f - f^2/2 + s (f^2/2 + z R): exact f first, corrections after
    const double c = s * (half + z * horner(kLog, z));
    if (k == 0) return f - (half - (c + g));
    const double kd = k;
    return kd * kLn2Hi - ((half - (c + (kd * kLn2Lo + g))) - f);
}

// Splits x > 0 into m 2^k with m in [sqrt(1/2), sqrt(2)).
inline double split(double x, int* k) {
    int e = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        e = -54;
    }
    std::uint64_t b = bits(x);
    const std::uint64_t shifted = b - bits(kRootHalf);
    const int n = static_cast<int>(static_cast<std::int64_t>(shifted) >> 52);
    b -= static_cast<std::uint64_t>(static_cast<std::int64_t>(n)) << 52;
    *k = e + n;
    return from_bits(b);
}

inline double sin_core(double y, double tail) {
    const double z = y * y;
    // sin(y + tail) = sin y + tail cos y
    return y + (z * y * horner(kSin, z) + tail * (1.0 - 0.5 * z));
}

inline double cos_core(double y, double tail) {
    const double z = y * y, half = 0.5 * z, w = 1.0 - half;
    return w + (((1.0 - w) - half) + (z * z * horner(kCos, z) - y * tail));
}

// |x| < 2^19: three exact 33-bit pieces of pi/2 and a tail.
inline Pair reduce_medium(double x, int* quadrant) {
    const double k = (x * 0x1.45f306dc9c883p-1 + kRound) - kRound;
    *quadrant = static_cast<int>(k) & 3;
    const double a = x - k * 0x1.921fb54400000p+0;
    const Pair b = two_sum(a, -(k * 0x1.0b4611a600000p-34));
    const Pair c = two_sum(b.hi, -(k * 0x1.3198a2e000000p-69));
    const double lo = (b.lo + c.lo) - k * 0x1.b839a252049c1p-104;
    return two_sum(c.hi, lo);
}

// Payne-Hanek: 256 bits of 2/pi from where they matter times the 53-bit integer of x > 0.
Pair reduce_large(double x, int* quadrant) {
    const std::uint64_t b = bits(x);
    const int e = static_cast<int>(b >> 52) - 1075;  // x = m 2^e
    const std::uint64_t m = (b & 0xfffffffffffffULL) | 0x10000000000000ULL;
    const int start = e > 2 ? (e - 2) / 32 : 0;
    const std::uint64_t m0 = m & 0xffffffffu, m1 = m >> 32;
    std::uint32_t p[10] = {};  // little-endian product
    std::uint64_t carry = 0;
    for (int i = 0; i < 8; ++i) {
        const std::uint64_t t = m0 * kTwoOverPi[start + 7 - i] + carry;
        p[i] = static_cast<std::uint32_t>(t);
        carry = t >> 32;
    }
    p[8] = static_cast<std::uint32_t>(carry);
    carry = 0;
    for (int i = 0; i < 8; ++i) {
        const std::uint64_t t = m1 * kTwoOverPi[start + 7 - i] + p[i + 1] + carry;
        p[i + 1] = static_cast<std::uint32_t>(t);
        carry = t >> 32;
    }
    p[9] = static_cast<std::uint32_t>(carry);
    const int point = 32 * (start + 8) - e;  // binary point: bits below are the fraction
    // move the point to the top of word 7, so words 0..7 hold the fraction
    const int word_shift = (point - 1) / 32 - 7;
    const int left = (32 - point % 32) % 32;
    std::uint32_t f[9];
    for (int i = 8; i >= 0; --i) {
        const int j = i + word_shift;
        const std::uint64_t high = j >= 0 && j < 10 ? p[j] : 0, low = j >= 1 && j <= 10 ? p[j - 1] : 0;
        f[i] = static_cast<std::uint32_t>((high << left) | (left ? low >> (32 - left) : 0));
    }
    int q = static_cast<int>(f[8] & 3);
    const bool negative = f[7] >> 31;
    if (negative) {  // nearest integer: the fraction becomes f - 1, kept as its magnitude
        ++q;
        for (int i = 0; i < 8; ++i) f[i] = ~f[i];
    }
    *quadrant = q & 3;
    int top = 7;
    while (top > 3 && f[top] == 0) --top;
    Pair v{0.0, 0.0};
    for (int i = top; i > top - 4; --i) {
        const Pair s = two_sum(v.hi, static_cast<double>(f[i]) * power2(32 * (i - 8)));
        v = {s.hi, v.lo + s.lo};
    }
    const Pair h = two_product(v.hi, 0.5 * kPi);
    const double lo = h.lo + (v.hi * (0.5 * kPiLo) + v.lo * (0.5 * kPi));
    const Pair r = two_sum(h.hi, lo);
    return negative ? Pair{-r.hi, -r.lo} : r;
}

// x = quadrant pi/2 + (hi + lo)
inline Pair reduce(double x, int* quadrant) {
    const double ax = std::fabs(x);
    if (ax <= 0.785) {
        *quadrant = 0;
        return {x, 0.0};
    }
    if (ax < 0x1p19) return reduce_medium(x, quadrant);
    Pair r = reduce_large(ax, quadrant);
    if (x < 0) {
        *quadrant = (4 - *quadrant) & 3;
        r = {-r.hi, -r.lo};
    }
    return r;
}

// c[0] + low + u (c[1] + c[2] u + ...) with the rounding of the last addition kept.
template <int N>
inline Pair expand(const double (&c)[N], double low, double u) {
    double s = c[N - 1];
    for (int i = N - 2; i >= 1; --i) s = s * u + c[i];
    const double w = s * u + low, v = c[0] + w;
    return {v, (c[0] - v) + w};
}

// erfcx for 0 <= x < 1e150.
inline Pair erfcx_pair(double x) {
    if (x < 0.5) return expand(kErfcx0, kErfcx0Lo, x - 0.25);
    if (x < 1.0) return expand(kErfcx1, kErfcx1Lo, x - 0.75);
    if (x < 2.0) return expand(kErfcx2, kErfcx2Lo, x - 1.5);
    if (x < 4.0) return expand(kErfcx3, kErfcx3Lo, x - 3.0);
    if (x < 8.0) return expand(kErfcx4, kErfcx4Lo, x - 6.0);
    const Pair t = expand(kErfcxTail, kErfcxTailLo, 1.0 / (x * x));
    const double v = t.hi / x;
    const Pair back = two_product(v, x);
    return {v, (((t.hi - back.hi) - back.lo) + t.lo) / x};
}

inline double erfcx_positive(double x) {
    if (x > 1e150) return kErfcxTail[0] / x;
    const Pair v = erfcx_pair(x);
    return v.hi + v.lo;
}

// exp(-x^2) erfcx(x) for 0 <= x < 26.6, one rounding from each factor.
inline double erfc_positive(double x) {
    const Pair s = two_product(x, x), v = erfcx_pair(x);
    const double e = exp_core(-s.hi, -s.lo);
    return e * v.hi + e * v.lo;
}

inline double erf_small(double x) { return x + x * horner(kErf, x * x); }

// exp(x^2) with x^2 taken to twice the precision; |x| < 26.7.
inline double exp_square(double x) {
    const Pair s = two_product(x, x);
    return exp_core(s.hi, s.lo);
}

}  // namespace

double exp(double x) {
    if (!(x < 709.79)) return x != x ? x : (x < 709.7827128933841 ? exp_core(x, 0.0) : kInf);
    if (x < -745.2) return 0.0;
    return exp_core(x, 0.0);
}

double expm1(double x) {
    if (x != x) return x;
    if (x > 709.7827128933841) return kInf;
    if (x < -40.0) return -1.0;
    if (std::fabs(x) < 0x1p-54) return x;
    const double kd = (x * kLog2e + kRound) - kRound;
    const double hi = x - kd * kLn2Hi, lo = -kd * kLn2Lo;
    const double r = hi + lo;
    const double small = lo + r * r * horner(kExp, r);  // exp(r) - 1 = hi + small
    if (kd == 0.0) return hi + small;
    const int k = static_cast<int>(kd);
    if (k > 56) return scale(1.0 + (hi + small), k);
    const double p = power2(k);
    const Pair s = two_sum(p - 1.0, p * hi);
    // for k = 54..56 p - 1 rounds, far below the last place of the result
    return s.hi + (s.lo + p * small);
}

double log(double x) {
    if (!(x > 0.0)) return x == 0.0 ? -kInf : kNan;
    if (x == kInf) return x;
    int k;
    const double m = split(x, &k);
    return log_core(m - 1.0, k, 0.0);
}

double log1p(double x) {
    if (!(x > -1.0)) return x == -1.0 ? -kInf : kNan;
    if (x == kInf) return x;
    if (std::fabs(x) < 0x1p-54) return x;
    if (x > -0.29 && x < 0.41) return log_core(x, 0, 0.0);
    const Pair u = two_sum(1.0, x);
    int k;
    const double m = split(u.hi, &k);
    return log_core(m - 1.0, k, u.lo / u.hi);
}

double sin(double x) {
    if (!(std::fabs(x) < kInf)) return kNan;
    if (std::fabs(x) < 0x1p-27) return x;
    int q;
    const Pair y = reduce(x, &q);
    const double v = q & 1 ? cos_core(y.hi, y.lo) : sin_core(y.hi, y.lo);
    return q & 2 ? -v : v;
}

double cos(double x) {
    if (!(std::fabs(x) < kInf)) return kNan;
    int q;
    const Pair y = reduce(x, &q);
    const double v = q & 1 ? sin_core(y.hi, y.lo) : cos_core(y.hi, y.lo);
    return (q == 1 || q == 2) ? -v : v;
}

double sinh(double x) {
    const double a = std::fabs(x);
    double v;
    if (a < 22.0) {
        const double t = expm1(a);
        v = 0.5 * (t + t / (t + 1.0));
    } else if (a < 709.0) {
        v = 0.5 * exp(a);
    } else {
        const double h = exp(0.5 * a);
        v = 0.5 * h * h;
    }
    return x < 0 ? -v : (x == 0.0 ? x : v);
}

double cosh(double x) {
    const double a = std::fabs(x);
    if (a < 22.0) {
        const double t = exp(a);
        return 0.5 * t + 0.5 / t;
    }
    if (a < 709.0) return 0.5 * exp(a);
    const double h = exp(0.5 * a);
    return 0.5 * h * h;
}

double tanh(double x) {
    const double a = std::fabs(x);
    if (a <= 0.5625) return x + x * (x * x) * horner(kTanh, x * x);
    if (x != x) return x;
    const double v = a > 20.0 ? 1.0 : 1.0 - 2.0 / (exp_core(2.0 * a, 0.0) + 1.0);
    return x < 0 ? -v : v;
}

double minus_tanh(double x) {
    if (std::fabs(x) <= 0.5625) return -x * (x * x) * horner(kTanh, x * x);
    return x - tanh(x);
}

double atan(double x) {
    if (x != x) return x;
    const double a = std::fabs(x);
    double t = a, hi = 0.0, lo = 0.0;
    if (a > 2.4375) {
        t = -1.0 / a;
        hi = 0.5 * kPi, lo = 0.5 * kPiLo;
    } else if (a > 1.1875) {
        t = (a - 1.5) / (1.0 + 1.5 * a);
        hi = 0x1.f730bd281f69bp-1, lo = 0x1.007887af0cbbdp-56;
    } else if (a > 0.6875) {
        t = (a - 1.0) / (1.0 + a);
        hi = 0.25 * kPi, lo = 0.25 * kPiLo;
    } else if (a > 0.4375) {
        t = (2.0 * a - 1.0) / (2.0 + a);
        hi = 0x1.dac670561bb4fp-2, lo = 0x1.a2b7f222f65e2p-56;
    }
    const double small = t * (t * t) * horner(kAtan, t * t);
    const double v = hi + (t + (small + lo));
    return x < 0 ? -v : (x == 0.0 ? x : v);
}

double atan2(double y, double x) {
    if (x != x || y != y) return kNan;
    const double ay = std::fabs(y), ax = std::fabs(x);
    double v;  // angle in [0, pi]
    if (ay == 0.0) {
        v = std::signbit(x) ? kPi : 0.0;
    } else if (ax == ay) {
        v = x > 0 ? 0.25 * kPi : 0.75 * kPi;
    } else if (ax > ay) {
        v = ay == 0.0 ? 0.0 : atan(ay / ax);
        if (x < 0) v = kPi - (v - kPiLo);
    } else {
        const double t = atan(ax / ay);
        v = x < 0 ? 0.5 * kPi + (t + 0.5 * kPiLo) : 0.5 * kPi - (t - 0.5 * kPiLo);
    }
    return std::signbit(y) ? -v : v;
}

double asin(double x) { return atan2(x, std::sqrt((1.0 - x) * (1.0 + x))); }

double acos(double x) { return atan2(std::sqrt((1.0 - x) * (1.0 + x)), x); }

double erf(double x) {
    const double a = std::fabs(x);
    if (a <= 1.0) return erf_small(x);
    if (x != x) return x;
    const double v = a > 6.0 ? 1.0 : 1.0 - erfc_positive(a);
    return x < 0 ? -v : v;
}

double erfc(double x) {
    if (x != x) return x;
    if (x < -1.0) return x < -6.0 ? 2.0 : 2.0 - erfc_positive(-x);
    if (x < 0.25) return 1.0 - erf_small(x);
    if (x > 27.3) return 0.0;
    if (x < 26.5) return erfc_positive(x);
    // subnormal results: the factor first, so that only one rounding is coarse
    const Pair s = two_product(x, x);
    const double v = exp_core(200.0 - s.hi, -s.lo) * erfcx_positive(x);
    return v * 0x1.6061812054cfap-289;  // exp(-200)
}

double erfcx(double x) {
    if (x != x) return x;
    if (x >= 0.0) return x == kInf ? 0.0 : erfcx_positive(x);
    if (x < -26.7) return kInf;
    if (x > -0.25) return exp_square(x) * (1.0 - erf_small(x));
    const double e = exp_square(x);
    return 2.0 * e - erfcx_positive(-x);
}

double normal_pdf(double x) {
    if (!(std::fabs(x) < 39.0)) return x != x ? x : 0.0;
    const Pair s = two_product(x, x);
    return 0x1.9884533d43651p-2 * exp_core(-0.5 * s.hi, -0.5 * s.lo);
}

double normal_cdf(double x) {
    // erfc(-x / sqrt 2) / 2; the rounding of the argument is put right to first order
    const double a = -x * kRootHalf;
    if (!(a > 1.0) || a > 27.0) return 0.5 * erfc(a);
    const Pair p = two_product(-x, kRootHalf);
    const double rest = p.lo - x * kRootHalfLo;
    const double v = 0.5 * erfc(a);
    // d erfc = -2/sqrt(pi) exp(-a^2); relative to erfc that is -2/(sqrt(pi) erfcx(a))
    return v - v * (rest * 0x1.20dd750429b6dp+0 / erfcx_positive(a));
}

double log_normal_cdf(double x) {
    if (x > -1.0) return x > 0.0 ? log1p(-normal_cdf(-x)) : log(normal_cdf(x));
    if (x != x) return x;
    const double a = -x * kRootHalf;
    return log(0.5 * erfcx_positive(a)) - 0.5 * x * x;
}

}  // namespace fastinit::special
