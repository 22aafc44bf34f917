// SPDX-License-Identifier: BSD-3-Clause
//
// Elementary and error functions of one double, the same to the bit on every
// operating system and instruction set: only + - * / and sqrt, no libm and no
// fma.  Gains and truncation constants reach weights, so they go through here.
// Errors are in units in the last place of the exact result, measured in
// tests/test_special.py.
#pragma once

namespace fastinit::special {

// All functions: NaN gives NaN; infinities give the limit (NaN where there is none).
double exp(double x);              // 1 ulp; subnormal results within 1 of their last bit
double expm1(double x);            // 2 ulp
double log(double x);              // 1 ulp; log(0) = -inf, x < 0 gives NaN
double log1p(double x);            // 2 ulp
double sin(double x);              // 1 ulp for every finite x
double cos(double x);              // 1 ulp for every finite x
double minus_sin(double x);        // x - sin(x) without cancellation near 0; 32 ulp
double tanh(double x);             // 2 ulp
double atan(double x);             // 1 ulp
double atan2(double y, double x);  // 2 ulp, quadrants as in C
double erf(double x);              // 2 ulp
double erfc(double x);             // 2 ulp, far tail and subnormal results included
double erfcx(double x);            // exp(x^2) erfc(x); 2 ulp
double erfcx_rest(double x);       // 1 - sqrt(pi) x erfcx(x) for x >= 0; 4 ulp

// Standard normal.
double normal_pdf(double x);
double normal_cdf(double x);  // 4 ulp, lower tail included

}  // namespace fastinit::special
