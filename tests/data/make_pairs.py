# SPDX-License-Identifier: BSD-3-Clause
"""Write pairs.json: expectations over two correlated inputs to 22 digits (needs mpmath, minutes).

Smooth activations: the trapezoidal rule in (u + v) / 2 and (u - v) / 2. ELU, SELU and CELU: over
v given u in closed form, over u by panels that shrink towards zero.
"""

from __future__ import annotations

import functools
import itertools
import json
import pathlib
import sys

import mpmath as mp
from make_moments import ACTIVATIONS, ALPHA, LAMBDA, RULE

mp.mp.dps = 40
FIELDS = ("phi_phi", "dphi_dphi", "below", "above")
GAPS = (1e-12, 0.07, 0.5, 1.9, 2.0 - 2.0**-40)  # 1 - c
STRIPS = {  # analytic for |Im h| below it
    "gelu": 2.0,
    "gelu_tanh": 2.7,
    "silu": 3.1,
    "mish": 2.3,
    "softplus": 3.1,
    "log_sigmoid": 3.1,
    "tanh": 1.5,
    "sigmoid": 3.1,
    "atan": 0.99,
    "tanhshrink": 1.5,
}
BRANCHES = (  # scale (y > 0: y, else alpha (exp(y) - 1)), y = h / unit
    ("elu", {}, 1, mp.mpf(1), 1),
    ("elu", {"alpha": 10.0}, 1, mp.mpf(10), 1),
    ("celu", {"alpha": 0.125}, mp.mpf(0.125), mp.mpf(1), mp.mpf(0.125)),
    ("selu", {}, LAMBDA, ALPHA, 1),
)
DIGITS = 55  # exp(-55) = 1e-24


def axis(deviation, step):
    n = int(mp.mpf("10.6") * deviation / step) + 1
    return [(k, mp.npdf(k * step / deviation) * step / deviation) for k in range(-n, n + 1)]


def smooth(both, strip, q, gap):
    strip, q, gap = mp.mpf(strip), mp.mpf(q), mp.mpf(gap)
    wide, thin = mp.sqrt(q * (2 - gap) / 2), mp.sqrt(q * gap / 2)

    def step(deviation):
        if deviation * mp.sqrt(2 * DIGITS) < strip:
            return 2 * mp.pi * deviation / mp.sqrt(2 * DIGITS)
        return 2 * mp.pi / (DIGITS / strip + strip / (2 * deviation**2))

    first, second = step(wide), step(thin)
    if max(first, second) < 16 * min(first, second):
        first = second = min(first, second)  # then u and v are on one lattice
    value = functools.cache(lambda i, k: both(i * first + k * second))
    totals = [mp.mpf(0)] * 4
    for i, w in axis(wide, first):
        part = [mp.mpf(0)] * 4
        for k, x in axis(thin, second):
            same = first == second
            f, d = value(i + k, 0) if same else value(i, k)
            g, e = value(i - k, 0) if same else value(i, -k)
            for j, t in enumerate((f * g, d * e, (f - g) ** 2 / 2, (f + g) ** 2 / 2)):
                part[j] += x * t
        totals = [t + w * p for t, p in zip(totals, part, strict=True)]
    return totals


def given(alpha, mean, variance):
    """E f and E f' over y ~ N(mean, variance)."""
    s = mp.sqrt(variance)
    z = mean / s
    tilted = mp.exp(mean + variance / 2) * mp.ncdf(-z - s)
    above = mp.ncdf(z)
    return mean * above + s * mp.npdf(z) + alpha * (tilted - mp.ncdf(-z)), above + alpha * tilted


def branch(alpha, p, gap):
    """In units of y, where the scale is one."""
    p, gap = mp.mpf(p), mp.mpf(gap)
    s, c = mp.sqrt(p), 1 - gap
    marks = [mp.mpf(0)]
    at = mp.mpf(2) ** -26
    while at < 13:
        marks += [at, -at]
        at *= 2
    marks += [x / s for k in range(-3, 8) for x in (mp.mpf(2) ** k, -(mp.mpf(2) ** k))]
    edges = sorted({x for x in marks if abs(x) < 13} | {mp.mpf(k) for k in range(-13, 14)})
    totals = [mp.mpf(0)] * 3
    for a, b in itertools.pairwise(edges):
        for x, w in RULE:
            z = (a + b) / 2 + (b - a) / 2 * x
            u = s * z
            f, d = (u, mp.mpf(1)) if u > 0 else (alpha * mp.expm1(u), alpha * mp.exp(u))
            g, e = given(alpha, c * u, p * gap * (2 - gap))
            weight = w * (b - a) / 2 * mp.npdf(z)
            totals = [t + weight * y for t, y in zip(totals, (f * g, d * e, f * f), strict=True)]
    product, slopes, square = totals
    return [product, slopes, square - product, square + product]


def main():
    rows = []
    for name, params, both, _ in ACTIVATIONS:
        if name not in STRIPS:
            continue
        print(name, params, file=sys.stderr, flush=True)
        for q, gap in itertools.product((1e-6, 1.0, 8.0), GAPS):
            rows.append([name, params, q, gap, smooth(both, STRIPS[name], q, gap)])
    for name, params, scale, alpha, unit in BRANCHES:
        print(name, params, file=sys.stderr, flush=True)
        for q, gap in itertools.product((1e-6, 1.0, 30.0, 1e6), GAPS):
            product, slopes, below, above = branch(alpha, mp.mpf(q) / unit**2, gap)
            slope2 = (mp.mpf(scale) / unit) ** 2
            scale2 = slope2 * unit**2
            rows.append([name, params, q, gap, [scale2 * product, slope2 * slopes, scale2 * below, scale2 * above]])
    lines = ",\n".join(json.dumps([*r[:4], [mp.nstr(v, 22) for v in r[4]]]) for r in rows)
    path = pathlib.Path(__file__).with_name("pairs.json")
    path.write_text('{"fields": ' + json.dumps(FIELDS) + ',\n"rows": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
