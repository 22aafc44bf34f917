# SPDX-License-Identifier: BSD-3-Clause
"""Print the coefficients of src/core/special*.{h,cpp}: Chebyshev interpolants, as hexadecimal floats."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 80
Real = Callable[[mp.mpf], mp.mpf]


def interpolate(f: Real, low: mp.mpf, high: mp.mpf, degree: int, centred: bool) -> list[mp.mpf]:
    """Monomial coefficients of the interpolant at Chebyshev nodes (Newton's form, expanded)."""
    n = degree + 1
    middle, half = (low + high) / 2, (high - low) / 2
    nodes = [half * mp.cos(mp.pi * (2 * k + 1) / (2 * n)) for k in range(n)]
    table = [f(middle + t) for t in nodes]
    at = nodes if centred else [middle + t for t in nodes]
    for j in range(1, n):
        for i in range(n - 1, j - 1, -1):
            table[i] = (table[i] - table[i - 1]) / (at[i] - at[i - j])
    out = [mp.mpf(0)]
    for i in range(n - 1, -1, -1):
        shifted = [mp.mpf(0), *out]
        for k, c in enumerate(out):
            shifted[k] -= c * at[i]
        shifted[0] += table[i]
        out = shifted
    return out[:n]


def show(name: str, f: Real, low: float, high: float, bits: int, centred: bool = False) -> None:
    """The interpolant of lowest degree with an error below 2^-bits of the middle value."""
    a, b = mp.mpf(low), mp.mpf(high)
    middle = (a + b) / 2
    points = [a + (b - a) * k / 200 for k in range(201)]
    for degree in range(3, 40):
        c = interpolate(f, a, b, degree, centred)
        error = max(abs(mp.polyval(c[::-1], x - middle if centred else x) - f(x)) for x in points)
        if error < abs(f(middle)) * mp.mpf(2) ** -bits:
            break
    print(f"constexpr double {name}[] = {{  // degree {degree}")
    print("   ", ", ".join(float(v).hex() for v in c))
    print("};")
    if centred or name == "kErfcxTail":
        print(f"constexpr double {name}Lo = {float(c[0] - mp.mpf(float(c[0]))).hex()};")


def limit(f: Real, at_zero: mp.mpf) -> Real:
    """f, and its limit where the quotient would be 0 / 0."""
    return lambda x: at_zero if abs(x) < mp.mpf(10) ** -25 else f(x)


def even(f: Real) -> Real:
    """f(sqrt z) / sqrt z."""
    return lambda z: f(mp.sqrt(z)) / mp.sqrt(z)


def erfcx(x: mp.mpf) -> mp.mpf:
    return mp.exp(x * x) * mp.erfc(x)


def erfcx_rest(x: mp.mpf) -> mp.mpf:
    return 1 - mp.sqrt(mp.pi) * x * erfcx(x)


def main() -> None:
    half_log = mp.log(2) / 2 * mp.mpf("1.01")
    largest = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mp.mpf("1.02")
    quarter = (mp.pi / 4 * mp.mpf("1.001")) ** 2
    atanh2 = even(lambda s: 2 * mp.atanh(s))
    show("kExp", limit(lambda r: (mp.expm1(r) - r) / r**2, mp.mpf(1) / 2), -half_log, half_log, 56)
    show("kLog", limit(lambda z: (atanh2(z) - 2) / z, mp.mpf(2) / 3), 0, largest**2, 56)
    show("kSin", limit(lambda z: (even(mp.sin)(z) - 1) / z, -mp.mpf(1) / 6), 0, quarter, 58)
    show("kCos", limit(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, mp.mpf(1) / 24), 0, quarter, 58)
    show("kTanh", limit(lambda z: (even(mp.tanh)(z) - 1) / z, -mp.mpf(1) / 3), 0, mp.mpf("0.5626") ** 2, 57)
    end = (mp.mpf(7) / 16) ** 2 * mp.mpf("1.01")
    show("kAtan", limit(lambda z: (even(mp.atan)(z) - 1) / z, -mp.mpf(1) / 3), 0, end, 57)
    show("kErf", limit(lambda z: even(mp.erf)(z) - 1, 2 / mp.sqrt(mp.pi) - 1), 0, 1, 58)
    for i, (low, high) in enumerate([(0, 0.5), (0.5, 1), (1, 2), (2, 4), (4, 8)]):
        show(f"kErfcx{i}", erfcx, low, high, 58, centred=True)
    tail = limit(lambda y: erfcx(1 / mp.sqrt(y)) / mp.sqrt(y), 1 / mp.sqrt(mp.pi))
    show("kErfcxTail", tail, 0, mp.mpf(1) / 64, 57)
    for i, (low, high) in enumerate([(1, 2), (2, 4), (4, 8)]):
        show(f"kErfcxRest{i}", erfcx_rest, low, high, 58, centred=True)
    tail = limit(lambda y: erfcx_rest(1 / mp.sqrt(y)) / y, mp.mpf(1) / 2)
    show("kErfcxRestTail", tail, 0, mp.mpf(1) / 64, 57)
    with mp.workprec(1400):
        bits = int(mp.floor(2 / mp.pi * mp.mpf(2) ** 1216))
    print("// 2/pi:", ", ".join(f"0x{(bits >> (1216 - 32 * (i + 1))) & 0xFFFFFFFF:08x}" for i in range(38)))


if __name__ == "__main__":
    main()
