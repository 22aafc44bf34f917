// SPDX-License-Identifier: BSD-3-Clause
//
// Error functions and the standard normal law: polynomials for erf near zero and for
// exp(x^2) erfc(x) on [0, 8], its asymptotic form in 1/x^2 beyond.
#include "core/special_core.h"

namespace fastinit::special {
namespace {

// erf(x) / x - 1 in z = x^2, |x| <= 1
constexpr double kErf[] = {
    0x1.06eba8214db69p-3,  -0x1.812746b0379e7p-2,  0x1.ce2f21a042bdep-4,  -0x1.b82ce312889bap-6,
    0x1.565bcd0e6502dp-8,  -0x1.c02db3feeb579p-11, 0x1.f9a326c233146p-14, -0x1.f4d2561aeafd4p-17,
    0x1.b9e6509b9867dp-20, -0x1.5f6d925a0bc7ap-23, 0x1.fc4356498c2d9p-27, -0x1.4e607b41a6416p-30,
    0x1.7f072188e194dp-34, -0x1.29b9f1b3df556p-38,
};

// erfcx in x - centre on [0,.5] [.5,1] [1,2] [2,4] [4,8]; then erfcx(x) x in 1/x^2 for x >= 8
constexpr double kErfcx0[] = {
    0x1.8a6adcda2ea92p-1,  -0x1.7c857b9b3c192p-1,  0x1.2b497df35fa2ep-1,  -0x1.97997ad330159p-2,
    0x1.f0ac9d31f3190p-3,  -0x1.146985bdc8356p-3,  0x1.1d0c27d730f62p-4,  -0x1.132db77501f93p-5,
    0x1.f54ce163eba29p-7,  -0x1.b181f36d2d941p-8,  0x1.65b0c3061e6efp-9,  -0x1.1aa71fe32ec4dp-10,
    0x1.ada66a96916b9p-12, -0x1.440f494648256p-13, 0x1.ca52aebaecfeep-15,
};
constexpr double kErfcx0Lo = -0x1.b3e5e8f69dcbfp-57;
constexpr double kErfcx1[] = {
    0x1.038d54ea3d834p-1,  -0x1.78cdd551ee51ap-2,  0x1.d90093ae10928p-3,  -0x1.09e77d40e01cep-3,
    0x1.1192f5bd6873cp-4,  -0x1.054d68296d26ap-5,  0x1.d43a7c7a7c0fap-7,  -0x1.8c97dd23cacebp-8,
    0x1.3f818962c9a60p-9,  -0x1.ec0d293395f67p-11, 0x1.6b984c0138dd8p-12, -0x1.02a04a14e43aap-13,
    0x1.635d5fe5fc73cp-15, -0x1.e412f7345926ep-17, 0x1.37d7863ebade2p-18,
};
constexpr double kErfcx1Lo = -0x1.ec2134d851665p-55;
constexpr double kErfcx2[] = {
    0x1.494daffa2ad68p-2,  -0x1.4f1988444caf6p-3,  0x1.37ea271bc54bdp-4,  -0x1.0dc51d2941fe8p-5,
    0x1.b65944f34f932p-7,  -0x1.513ed75fe3aa1p-8,  0x1.ee705e7339ea0p-10, -0x1.5b0ac006ded44p-11,
    0x1.d4509d2e96628p-13, -0x1.30c0deef7e30bp-14, 0x1.7f996b47b4062p-16, -0x1.d41bcf828a13dp-18,
    0x1.156fd6fb88da9p-19, -0x1.3f2aec68e0ef9p-21, 0x1.66efcc06ca710p-23, -0x1.a998623712d22p-25,
    0x1.c702a07f72a49p-27,
};
constexpr double kErfcx2Lo = 0x1.39bdf0f0d8e21p-56;
constexpr double kErfcx3[] = {
    0x1.6e9827d229d2dp-3,  -0x1.bd6ae4d14b16fp-5,  0x1.043fe1a98c0d4p-6,  -0x1.259061ba85698p-8,
    0x1.409cc2ed3f027p-10, -0x1.53dec9d0889cap-12, 0x1.5e73930542870p-14, -0x1.6025103cace20p-16,
    0x1.595f1b10ffe11p-18, -0x1.4b14624a945b9p-20, 0x1.3699168d7bd7ep-22, -0x1.1d7922347c7aap-24,
    0x1.014e0a0208be0p-26, -0x1.c74e1c5371149p-29, 0x1.8c2f441a8c0efp-31, -0x1.527f395f218fap-33,
    0x1.1666810f3d63bp-35, -0x1.cd539a8193ddep-38, 0x1.d497f9598b60ap-40, -0x1.765214aed4921p-42,
};
constexpr double kErfcx3Lo = -0x1.99ac9296879fap-58;
constexpr double kErfcx4[] = {
    0x1.7c0348489d721p-4,  -0x1.ed7f66d9d09fep-7,  0x1.3c7764a81f453p-9,  -0x1.9106a7cd79e2cp-12,
    0x1.f64cd9c07dc28p-15, -0x1.370d06417898fp-17, 0x1.7d0e03ec8b2b5p-20, -0x1.cde4cecbb11a2p-23,
    0x1.151346e8ae22cp-25, -0x1.491bb11845652p-28, 0x1.832004ec3d6e4p-31, -0x1.c312b391f19fap-34,
    0x1.0461f39621b5ap-36, -0x1.29e7ea64ec2e6p-39, 0x1.519ffa4478e24p-42, -0x1.7ba3218ba50eap-45,
    0x1.aba7e0d93601cp-48, -0x1.d8b4cc0837307p-51, 0x1.d27c095dabbc0p-54, -0x1.fd76e574c83dap-57,
    0x1.c2ad9ac6b4efap-59, -0x1.e0432d2d9df09p-62,
};
constexpr double kErfcx4Lo = 0x1.d28d60d8c96ebp-58;
constexpr double kErfcxTail[] = {
    0x1.20dd750429b6dp-1,  -0x1.20dd750429b2cp-2,  0x1.b14c2f861cc54p-2, -0x1.0ecf9d98a9c95p+0,
    0x1.d9eb3d9694132p+1,  -0x1.0a91b68d90fe2p+4,  0x1.6e28aef4ca69bp+6, -0x1.2543130ae188dp+9,
    0x1.eba499fc9e460p+11, -0x1.2d156fa478466p+14,
};
constexpr double kErfcxTailLo = 0x1.10730c79b9afbp-57;

// 1 - sqrt(pi) x erfcx(x) in x - centre on [1,2] [2,4] [4,8]; then that times x^2 in 1/x^2
constexpr double kErfcxRest0[] = {
    0x1.28f972d2f7d12p-3, -0x1.146d5afa7356ap-3, 0x1.669dba5c85404p-4, -0x1.8479f730c2d93p-5,
    0x1.75985382ea44fp-6, -0x1.48a38a2ad3e5cp-7, 0x1.0d1cfb7317099p-8, -0x1.9f08846f01fc7p-10,
    0x1.2fd7495a986fep-11, -0x1.a8f1fcec02eb2p-13, 0x1.1d31b9951228fp-14, -0x1.70ca6ff358109p-16,
    0x1.cce63f2c0cbcep-18, -0x1.1708185cdd99dp-19, 0x1.4701f1120fd7fp-21, -0x1.7632c1371da20p-23,
    0x1.c5f659fb907e6p-25, -0x1.ec2e93da44509p-27,
};
constexpr double kErfcxRest1[] = {
    0x1.8abdb41a65124p-5, -0x1.cd47c15c5518ep-6, 0x1.863f18a929fc6p-7, -0x1.1c22a2ccac774p-8,
    0x1.7880b2ba2a99cp-10, -0x1.d1de894e29ca5p-12, 0x1.1111f61dbd981p-13, -0x1.3213d92fb416cp-15,
    0x1.4a16906ec57b9p-17, -0x1.5813382dc4210p-19, 0x1.5bddd360b6d5fp-21, -0x1.560f32f39265fp-23,
    0x1.47dbb2bdf7850p-25, -0x1.32dcade1ec216p-27, 0x1.18f01483011e8p-29, -0x1.f89c7e11442a4p-32,
    0x1.bb97d95eca0c8p-34, -0x1.749d001a409dcp-36, 0x1.3c7557e6b072fp-38, -0x1.506f0a27914f9p-40,
    0x1.122b2b74f5378p-42,
};
constexpr double kErfcxRest2[] = {
    0x1.b559d5ad7eb02p-7, -0x1.187605d79fecbp-8, 0x1.0a8ccea0ecd28p-10, -0x1.bd26e6d66349ap-13,
    0x1.5893bb5c69e8cp-15, -0x1.fa8d2cde3f9a2p-18, 0x1.662cc413698c2p-20, -0x1.eb1a69c00717cp-23,
    0x1.481f6196f3d23p-25, -0x1.acd9e759a3873p-28, 0x1.12d499d1ca55fp-30, -0x1.5a2097f148950p-33,
    0x1.ad01eb0ad8401p-36, -0x1.05fabf4aec257p-38, 0x1.3ba15ec9692a0p-41, -0x1.7761c8570b77ap-44,
    0x1.b8791ae3223b7p-47, -0x1.ffaed2b16047fp-50, 0x1.2ae9407dc8b33p-52, -0x1.538602c9a7552p-55,
    0x1.494cb459798b6p-58, -0x1.713152d504111p-61, 0x1.6d08e35cabb4ep-63, -0x1.8c69c5c5d5489p-66,
};
constexpr double kErfcxRestTail[] = {
    0x1.0000000000000p-1, -0x1.7ffffffffffe5p-1, 0x1.dffffffff7ad5p+0, -0x1.a3fffff7d3c88p+2,
    0x1.d87ffbde36f8cp+4, -0x1.44d76330ee46dp+7, 0x1.07e0e606de051p+10, -0x1.ed1ca82df40fep+12,
    0x1.fbdabbfa98544p+15, -0x1.fa60af66bc9c4p+18, 0x1.4fda148cffecap+21,
};

constexpr double kRootPi = 0x1.c5bf891b4ef6bp+0;
constexpr double kRootHalfLo = -0x1.bdd3413b26456p-55;

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

double erfcx_rest(double x) {
    if (!(x >= 0.0)) return kNan;
    if (x < 1.0) return 1.0 - kRootPi * x * erfcx_positive(x);
    if (x < 2.0) return horner(kErfcxRest0, x - 1.5);
    if (x < 4.0) return horner(kErfcxRest1, x - 3.0);
    if (x < 8.0) return horner(kErfcxRest2, x - 6.0);
    const double z = 1.0 / (x * x);
    return z * horner(kErfcxRestTail, z);
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

}  // namespace fastinit::special
