// SPDX-License-Identifier: BSD-3-Clause
// Numbers that several files need.
#pragma once
#include <limits>

namespace fastinit {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kPi = 0x1.921fb54442d18p+1;
constexpr double kInvPi = 0x1.45f306dc9c883p-2;
constexpr double kRootHalf = 0x1.6a09e667f3bcdp-1;
constexpr double kInvSqrt2Pi = 0x1.9884533d43651p-2;  // density of N(0, 1) at 0

}  // namespace fastinit
