// SPDX-License-Identifier: BSD-3-Clause
//
// Elementary functions: every one reduces its argument exactly or in two doubles and then takes
// one polynomial.
#include "core/special_core.h"

namespace fastinit::special {
namespace {

// (sin(y) / y - 1) / z, z = y^2, |y| <= pi/4
constexpr double kSin[] = {
    -0x1.5555555555555p-3,  0x1.1111111111110p-7,  -0x1.a01a01a019926p-13, 0x1.71de3a545e700p-19,
    -0x1.ae64540f0ba18p-26, 0x1.61217c1864fa1p-33, -0x1.ab161757f0c63p-41,
};

// (cos(y) - 1 + z/2) / z^2
constexpr double kCos[] = {
    0x1.5555555555555p-5,  -0x1.6c16c16c16c16p-10, 0x1.a01a01a019d02p-16, -0x1.27e4fb7711e1dp-22,
    0x1.1eed8de9ef73ep-29, -0x1.9394b76d1f265p-37, 0x1.ab76cf6e9b365p-45,
};

// (atan(t) / t - 1) / z, |t| <= 7/16
constexpr double kAtan[] = {
    -0x1.5555555555555p-2, 0x1.999999999998ep-3, -0x1.24924924917b1p-3, 0x1.c71c71c6644d6p-4,
    -0x1.745d171af8a27p-4, 0x1.3b13ab479ad4dp-4, -0x1.111088b707a34p-4, 0x1.e1d1701e7017cp-5,
    -0x1.ae793e0382237p-5, 0x1.810630f86a396p-5, -0x1.4a347278f868bp-5, 0x1.dba72f834ccb7p-6,
    -0x1.95fcb081f847dp-7,
};

// First 1216 bits of 2/pi.
constexpr std::uint32_t kTwoOverPi[] = {
    0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561,
    0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484,
    0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f,
    0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b,
    0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046, 0xfc7b6bab,
};

constexpr double kPiLo = 0x1.1a62633145c07p-53;

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
        const std::uint64_t high = j >= 0 && j < 10 ? p[j] : 0,
                            low = j >= 1 && j <= 10 ? p[j - 1] : 0;
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

double minus_sin(double x) {
    if (!(std::fabs(x) <= 0.5)) return x - sin(x);
    const double z = x * x;
    double term = x * z / 6.0, sum = 0.0;
    for (int k = 4; k <= 18; k += 2) {
        sum += term;
        term *= -z / (k * (k + 1));
    }
    return sum;
}

double cos(double x) {
    if (!(std::fabs(x) < kInf)) return kNan;
    int q;
    const Pair y = reduce(x, &q);
    const double v = q & 1 ? sin_core(y.hi, y.lo) : cos_core(y.hi, y.lo);
    return (q == 1 || q == 2) ? -v : v;
}

double tanh(double x) {
    const double a = std::fabs(x);
    if (a < 0x1p-30) return x;
    if (a <= kTanhTop) return x + x * (x * x) * horner(kTanh, x * x);
    if (x != x) return x;
    const double v = a > 20.0 ? 1.0 : 1.0 - 2.0 / (exp_core(2.0 * a, 0.0) + 1.0);
    return x < 0 ? -v : v;
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

}  // namespace fastinit::special
