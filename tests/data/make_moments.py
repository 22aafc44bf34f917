# SPDX-License-Identifier: BSD-3-Clause
"""Write moments.json: Gaussian moments of every activation to 30 digits (needs mpmath, minutes).

Definitions are written here a second time, in mpmath, so that the file does not depend on the
library. Composite Gauss-Legendre with 40 nodes a panel; panels break at kinks, at powers of two
on both sides of zero and every two standard deviations.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import sys

import mpmath as mp

mp.mp.dps = 40
NODES = 40
FIELDS = ("phi", "phi2", "phi4", "dphi", "dphi2", "dphi4", "h_phi_dphi")
POINTS = [(q, 0.0) for q in (0.01, 0.25, 1.0, 4.0, 25.0, 100.0)] + [
    (1e-6, 0.0),
    (1e6, 0.0),
    (1.0, 0.5),
    (1.0, -3.0),
    (0.01, 2.0),
    (1e-6, -0.75),
    (25.0, 8.0),
    (4.0, -20.0),
    (1e6, -300.0),
]
ALPHA = mp.mpf("1.6732632423543772848170429916717")
LAMBDA = mp.mpf("1.0507009873554804934193349852946")


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def piecewise(*pieces):
    """pieces: (upper bound, function, derivative), in order."""

    def both(x):
        for bound, f, d in pieces:
            if x < bound:
                return f(x), d(x)
        raise AssertionError

    return both


def const(c):
    return lambda x: mp.mpf(c)


def leaky(a):
    return piecewise((0, lambda x: a * x, const(a)), (mp.inf, lambda x: x, const(1)))


def elu(a, scale=1, s=1):
    return piecewise(
        (0, lambda x: scale * a * mp.expm1(x / s), lambda x: scale * a / s * mp.exp(x / s)),
        (mp.inf, lambda x: scale * x, const(scale)),
    )


def gated(slope, gate=None):
    def both(x):
        g, dg = (slope * x, slope) if gate is None else gate(x)
        s = sigmoid(g)
        return x * s, s + x * s * sigmoid(-g) * dg

    return both


def gelu(x):
    cdf = mp.erfc(-x / mp.sqrt(2)) / 2
    return x * cdf, cdf + x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def gelu_gate(x):
    k, b = 2 * mp.sqrt(2 / mp.pi), mp.mpf("0.044715")
    return k * (x + b * x**3), k * (1 + 3 * b * x * x)


def mish(x):
    e = mp.exp(x)
    n = e * (e + 2)
    return x * n / (n + 2), n / (n + 2) + x * 4 * e * (e + 1) / (n + 2) ** 2


def softplus(x):
    return mp.log1p(mp.exp(x)), sigmoid(x)


def tanhshrink(x):
    if abs(x) < mp.mpf("1e-4"):
        with mp.workdps(70):
            return +(x - mp.tanh(x)), mp.tanh(x) ** 2
    return x - mp.tanh(x), mp.tanh(x) ** 2


def clip(low, high):
    return piecewise((low, const(low), const(0)), (high, lambda x: x, const(1)), (mp.inf, const(high), const(0)))


ACTIVATIONS = [
    ("linear", {}, lambda x: (x, mp.mpf(1)), ()),
    ("relu", {}, leaky(0), (0,)),
    ("leaky_relu", {}, leaky(mp.mpf(0.01)), (0,)),
    ("leaky_relu", {"negative_slope": -0.5}, leaky(mp.mpf(-0.5)), (0,)),
    ("elu", {}, elu(1), (0,)),
    ("elu", {"alpha": 0.125}, elu(mp.mpf(0.125)), (0,)),
    ("elu", {"alpha": 10.0}, elu(10), (0,)),
    ("celu", {"alpha": 0.125}, elu(mp.mpf(0.125), 1, mp.mpf(0.125)), (0,)),
    ("celu", {"alpha": 10.0}, elu(10, 1, 10), (0,)),
    ("selu", {}, elu(ALPHA, LAMBDA), (0,)),
    ("gelu", {}, gelu, ()),
    ("gelu_tanh", {}, gated(None, gelu_gate), ()),
    ("quick_gelu", {}, gated(mp.mpf(1.702)), ()),
    ("silu", {}, gated(1), ()),
    ("mish", {}, mish, ()),
    ("softplus", {}, softplus, ()),
    ("tanh", {}, lambda x: (mp.tanh(x), mp.sech(x) ** 2), ()),
    ("sigmoid", {}, lambda x: (sigmoid(x), sigmoid(x) * sigmoid(-x)), ()),
    ("hardtanh", {}, clip(-1, 1), (-1, 1)),
    ("relu6", {}, clip(0, 6), (0, 6)),
    (
        "hard_sigmoid",
        {},
        piecewise(
            (-3, const(0), const(0)),
            (3, lambda x: (x + 3) / 6, const(mp.mpf(1) / 6)),
            (mp.inf, const(1), const(0)),
        ),
        (-3, 3),
    ),
    (
        "hardswish",
        {},
        piecewise(
            (-3, const(0), const(0)),
            (3, lambda x: x * (x + 3) / 6, lambda x: (2 * x + 3) / 6),
            (mp.inf, lambda x: x, const(1)),
        ),
        (-3, 3),
    ),
    ("softsign", {}, lambda x: (x / (1 + abs(x)), 1 / (1 + abs(x)) ** 2), (0,)),
    ("erf", {}, lambda x: (mp.erf(x), 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)), ()),
    ("atan", {}, lambda x: (mp.atan(x), 1 / (1 + x * x)), ()),
    ("sin", {}, lambda x: (mp.sin(x), mp.cos(x)), ()),
    ("sin", {"w": 3.0}, lambda x: (mp.sin(3 * x), 3 * mp.cos(3 * x)), ()),
    ("squared_relu", {}, piecewise((0, const(0), const(0)), (mp.inf, lambda x: x * x, lambda x: 2 * x)), (0,)),
    ("abs", {}, leaky(-1), (0,)),
    ("log_sigmoid", {}, lambda x: (-mp.log1p(mp.exp(-x)), sigmoid(-x)), ()),
    ("tanhshrink", {}, tanhshrink, ()),
]


def sine_moments(w, q, m):
    """Characteristic functions: panels cannot follow thousands of oscillations."""
    e = lambda k: mp.exp(-(k * k) * q / 2)
    s, c = lambda k: mp.sin(k * m) * e(k), lambda k: mp.cos(k * m) * e(k)
    w = mp.mpf(w)
    return [
        s(w),
        (1 - c(2 * w)) / 2,
        (3 - 4 * c(2 * w) + c(4 * w)) / 8,
        w * c(w),
        w**2 * (1 + c(2 * w)) / 2,
        w**4 * (3 + 4 * c(2 * w) + c(4 * w)) / 8,
        w / 2 * (m * s(2 * w) + 2 * w * q * c(2 * w)),
    ]


def legendre_rule():
    rule = []
    for k in range(NODES):
        x = mp.cos(mp.pi * (k + mp.mpf(3) / 4) / (NODES + mp.mpf(1) / 2))
        for _ in range(8):
            p0, p1 = mp.mpf(1), x
            for j in range(2, NODES + 1):
                p0, p1 = p1, ((2 * j - 1) * x * p1 - (j - 1) * p0) / j
            slope = NODES * (x * p1 - p0) / (x * x - 1)
            x -= p1 / slope
        rule.append((x, 2 / ((1 - x * x) * slope * slope)))
    return rule


RULE = legendre_rule()


def panels(q, mean, kinks):
    root = mp.sqrt(q)
    reach = 12 if mean == 0 else 38
    edges = {mp.mpf(k) for k in range(-reach, reach + 1, 2)}
    at = mp.mpf(2) ** -4
    marks = {mp.mpf(0), *map(mp.mpf, kinks)}
    while at < 40 * root + abs(mean):
        marks |= {at, -at}
        at *= 2
    edges |= {(x - mean) / root for x in marks}
    inside = sorted(z for z in edges if abs(z) <= reach)
    return list(itertools.pairwise(inside))


def moments(both, q, mean, kinks):
    q, mean = mp.mpf(q), mp.mpf(mean)
    root = mp.sqrt(q)
    totals = [mp.mpf(0)] * 7
    for a, b in panels(q, mean, kinks):
        for x, w in RULE:
            z = (a + b) / 2 + (b - a) / 2 * x
            weight = w * (b - a) / 2 * mp.npdf(z)
            h = mean + root * z
            f, d = both(h)
            for i, v in enumerate((f, f**2, f**4, d, d**2, d**4, h * f * d)):
                totals[i] += weight * v
    return totals


def main():
    rows = []
    for name, params, both, kinks in ACTIVATIONS:
        print(name, params, file=sys.stderr, flush=True)
        for q, mean in POINTS:
            if name == "sin":
                values = sine_moments(params.get("w", 1.0), mp.mpf(q), mp.mpf(mean))
            else:
                values = moments(both, q, mean, kinks)
                scale = mp.sqrt(values[1]) + mp.sqrt(values[4])
                # an odd integrand leaves rounding residue of working precision
                values = [mp.mpf(0) if abs(v) < scale * mp.mpf(10) ** -30 and mean == 0 else v for v in values]
            rows.append([name, params, q, mean, [mp.nstr(v, 30) for v in values]])
    lines = ",\n".join(json.dumps(r) for r in rows)
    path = pathlib.Path(__file__).with_name("moments.json")
    path.write_text('{"fields": ' + json.dumps(FIELDS) + ',\n"rows": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
