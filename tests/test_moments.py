"""Gaussian moments: every activation against mpmath, closed forms against panels, pairs, functions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import whole
from records import ACTIVATIONS

from fastinit import _core
from fastinit._activations import resolve
from fastinit.propagation import Moments, PairMoments, moments, pair_moments

DATA = json.loads((Path(__file__).parent / "data" / "moments.json").read_text())
FIELDS = DATA["fields"]
PAIRS = json.loads((Path(__file__).parent / "data" / "pairs.json").read_text())
KINKS = {
    "relu": [0.0],
    "leaky_relu": [0.0],
    "elu": [0.0],
    "selu": [0.0],
    "squared_relu": [0.0],
    "abs": [0.0],
    "softsign": [0.0],
    "hardtanh": [-1.0, 1.0],
    "relu6": [0.0, 6.0],
    "hard_sigmoid": [-3.0, 3.0],
    "hardswish": [-3.0, 3.0],
}
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "abs": np.abs,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "sin": np.sin,
    "squared_relu": lambda x: np.maximum(x, 0) ** 2,
    "linear": lambda x: x,
}


@pytest.mark.parametrize("row", DATA["rows"], ids=lambda r: f"{r[0]}{r[1] or ''}-q{r[2]:g}-m{r[3]:g}")
def test_against_mpmath(row: list[Any]) -> None:
    name, params, q, mean, exact = row
    got = moments(name, q, mean, **params)
    for field, a, b in zip(FIELDS, got, map(float, exact), strict=True):
        # E f of SELU at its fixed point is zero: what is left is rounding
        floor = 1e-16 if name == "selu" and field == "phi" else 0.0
        assert abs(a - b) <= 1e-12 * abs(b) + floor, (field, a, b)


# Panels do not follow the sine's oscillation at large q; that is why its closed form is there.
FOLLOWED = [(name, q) for name in ACTIVATIONS for q in (0.3, 1.0, 7.0, 400.0) if name != "sin" or q <= 1.0]


@pytest.mark.parametrize(("name", "q"), FOLLOWED)
def test_closed_forms_against_panels(name: str, q: float) -> None:
    f = resolve(name, {})
    closed, panels = f.moments(q, 0.0), f.panel_moments(q, 0.0)
    scale = (closed[1] ** 0.5, closed[1], closed[2], closed[4] ** 0.5, closed[4], closed[5], (q * closed[1]) ** 0.5)
    for a, b, s in zip(closed, panels, scale, strict=True):
        assert abs(a - b) <= 2e-13 * max(abs(a), s)
    assert f.second_moment(q) == pytest.approx(closed[1], rel=1e-13)
    assert f.variance(q) == pytest.approx(closed[1] - closed[0] ** 2, rel=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_odd_and_even(name: str) -> None:
    f = resolve(name, {})
    x = np.array([0.3, 1.7, 4.0])
    plus, minus = f.eval(x)[0], f.eval(-x)[0]
    m = moments(name, 2.0)
    if np.array_equal(plus, -minus):
        assert m.phi == 0.0
    if np.array_equal(plus, minus):
        assert m.dphi == 0.0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative(name: str) -> None:
    f = resolve(name, {})
    x = np.linspace(-7.03, 7.04, 200)
    h = 1e-5
    slope = (f.eval(x + h)[0] - f.eval(x - h)[0]) / (2 * h)
    assert np.abs(f.eval(x)[1] - slope).max() < 1e-8


SCALES = ((1e-6, 0.0), (1.0, 0.7), (1e6, -50.0))


@pytest.mark.parametrize(
    ("name", "q", "mean"), [(n, *at) for n in ACTIVATIONS for at in SCALES if n != "sin" or at[0] <= 1.0]
)
def test_stein(name: str, q: float, mean: float) -> None:
    """E (h - m) f = q E f', an identity between different integrands (Cauchy-Schwarz as the scale)."""
    f = resolve(name, {})
    m = moments(name, q, mean)
    h = _core.Activation.from_callable(lambda x: (x - mean) * f.eval(x)[0], None, KINKS.get(name, [0.0]))
    assert abs(h.moments(q, mean)[0] - q * m.dphi) <= 3e-12 * math.sqrt(q * m.phi2)


def test_zero_variance_is_the_point() -> None:
    assert moments("relu", 0.0, 2.0) == Moments(2.0, 4.0, 16.0, 1.0, 1.0, 1.0, 4.0)
    m = moments(np.tanh, 0.0, 0.5)
    assert m.phi == math.tanh(0.5)
    assert m.dphi == pytest.approx(1 - math.tanh(0.5) ** 2, rel=1e-12)


def test_tails_keep_their_digits() -> None:
    # E softplus(h) for h far below zero is E exp(h) = exp(m + q/2)
    assert moments("softplus", 1.0, -40.0).phi == pytest.approx(math.exp(-39.5), rel=1e-12)
    assert moments("softplus", 1.0, -40.0).phi4 == pytest.approx(math.exp(-160 + 8), rel=1e-11)
    # ReLU beyond eight deviations: pdf(8) - 8 Phi(-8)
    assert moments("relu", 1.0, -8.0).phi == pytest.approx(7.550026163e-17, rel=1e-8)
    assert moments("relu", 1.0, -8.0).dphi == pytest.approx(6.220960574271785e-16, rel=1e-12)
    assert moments("relu", 1e-6, -1.0).phi == 0.0


def test_selu_fixed_point() -> None:
    """Klambauer et al. 2017: mean 0 and variance 1 are kept; chi_1 = 1.0716 > 1."""
    m = moments("selu")
    assert m.phi == pytest.approx(0.0, abs=1e-15)
    assert m.phi2 == pytest.approx(1.0, rel=1e-14)
    assert m.dphi2 == pytest.approx(1.0715749924558, rel=1e-12)


LEGENDRE_20 = np.polynomial.legendre.leggauss(20)


def outer_rule(edges: list[float]) -> tuple[np.ndarray, np.ndarray]:
    x, w = LEGENDRE_20
    e = np.array(sorted(set(edges)))
    half, middle = (e[1:] - e[:-1]) / 2, (e[1:] + e[:-1]) / 2
    z = (middle[:, None] + half[:, None] * x).ravel()
    return z, (half[:, None] * w).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def brute_pair(name: str, q: float, c: float) -> tuple[float, float]:
    """E over u, then over v given u, with panels of its own; slow."""
    f = resolve(name, {})
    s, r = math.sqrt(q), math.sqrt(1 - c * c)
    marks = [*KINKS.get(name, []), 0.0] + [
        sign * m for m in (0.5, 1, 2, 4, 8, 16, 32) for sign in (1, -1) if q > 0.5
    ]
    near = [
        k / s / (c if abs(c) > 0.1 else 1) + d * r
        for k in KINKS.get(name, [])
        for d in (-4, -1.5, -0.5, 0.5, 1.5, 4)
    ]
    z, w = outer_rule([*range(-10, 11), *(m / s for m in marks if abs(m / s) < 10), *(m for m in near if abs(m) < 10)])
    u, du = f.eval(s * z)
    total = np.zeros(2)
    for zi, wi, a, b in zip(z, w, u, du, strict=True):
        inner = [(m / s - c * zi) / r for m in marks]
        t, v = outer_rule([*range(-10, 11, 2), *(m for m in inner if abs(m) < 10)])
        phi, dphi = f.eval(s * (c * zi + r * t))
        total += wi * np.array([a * (v @ phi), b * (v @ dphi)])
    return float(total[0]), float(total[1])


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n not in ("prelu", "celu", "quick_gelu")])
@pytest.mark.parametrize(("q", "c"), [(1.0, -0.93), (0.2, 0.35), (6.0, 0.9)])
def test_pairs_against_brute_force(name: str, q: float, c: float) -> None:
    got, exact, m = pair_moments(name, c, q), brute_pair(name, q, c), moments(name, q)
    assert abs(got.phi_phi - exact[0]) <= 3e-12 * m.phi2
    assert abs(got.dphi_dphi - exact[1]) <= 3e-12 * m.dphi2


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [1e-4, 1.0, 50.0])
def test_pairs_at_the_ends_and_in_the_middle(name: str, q: float) -> None:
    m = moments(name, q)
    one, zero = pair_moments(name, 1.0, q), pair_moments(name, 0.0, q)
    assert one.phi_phi == pytest.approx(m.phi2, rel=1e-13)
    assert one.dphi_dphi == pytest.approx(m.dphi2, rel=1e-13)
    assert abs(zero.phi_phi - m.phi**2) <= 1e-13 * m.phi2
    assert abs(zero.dphi_dphi - m.dphi**2) <= 2e-13 * m.dphi2
    f = resolve(name, {})
    near, below = f.pair_moments(q, -1.0 + 1e-13, False), f.pair_moments(q, -1.0, False)
    assert abs(near[0] - below[0]) <= 1e-5 * m.phi2
    # 1 - c as small as it gets: the gap is q E f'^2 (1 - c)
    for d in (1e-30, 1e-14):
        gap = f.pair_moments(q, d, True)[2]
        assert gap == pytest.approx(q * m.dphi2 * d, rel=1e-11 + 40 * math.sqrt(d * max(q, 1.0)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gap_is_the_integral_of_the_slope(name: str) -> None:
    """Price's theorem: d E f f / dc = q E f' f'."""
    q, d = 1.5, 0.1
    f = resolve(name, {})
    x, w = np.polynomial.legendre.leggauss(24)
    y = (x + 1) / 2  # 1 - c = d y^2 takes out the square root at c = 1
    integral = sum(b * d * a * f.pair_moments(q, float(d * a * a), True)[1] for a, b in zip(y, w, strict=True))
    assert f.pair_moments(q, d, True)[2] == pytest.approx(q * integral, rel=1e-11)


@pytest.mark.parametrize("row", PAIRS["rows"], ids=lambda r: f"{r[0]}{r[1] or ''}-q{r[2]:g}-gap{r[3]:g}")
def test_pairs_against_mpmath(row: list[Any]) -> None:
    name, params, q, gap, exact = row
    f, m = resolve(name, params), moments(name, q, **params)
    got = dict(zip(PAIRS["fields"], f.pair_moments(q, gap, True), strict=True))
    known = dict(zip(PAIRS["fields"], map(float, exact), strict=True))
    assert abs(got["phi_phi"] - known["phi_phi"]) <= 2e-14 * m.phi2
    assert abs(got["dphi_dphi"] - known["dphi_dphi"]) <= 2e-14 * m.dphi2
    assert got["below"] == pytest.approx(known["below"], rel=1e-13)
    odd = name in ("tanh", "atan", "tanhshrink")
    assert got["above"] == pytest.approx(known["above"], rel=1e-13, abs=0 if odd else 1e-14 * m.phi2)


@pytest.mark.parametrize("name", ["softplus", "silu", "gelu_tanh", "mish", "tanhshrink", "tanh", "elu", "gelu"])
@pytest.mark.parametrize(("q", "c"), [(1e3, 0.6), (1e4, -0.7)])
def test_pairs_of_large_variance(name: str, q: float, c: float) -> None:
    got, exact, m = pair_moments(name, c, q), brute_pair(name, q, c), moments(name, q)
    assert abs(got.phi_phi - exact[0]) <= 3e-12 * m.phi2
    assert abs(got.dphi_dphi - exact[1]) <= 3e-12 * m.dphi2


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [1e-4, 0.7, 1.0, 20.0, 30.0, 5e3])
def test_no_seams(name: str, q: float) -> None:
    """The ways to a pair moment change with q and c; E[f^2] - E[f f] grows smoothly through all of them."""
    f = resolve(name, {})
    gaps = np.geomspace(1e-5, 1.99, 120)
    ratio = [f.pair_moments(q, float(g), True)[2] / f.pair_moments(q, float(g * (1 + 1e-10)), True)[2] for g in gaps]
    slope = np.array([q * f.pair_moments(q, float(g), True)[1] / f.pair_moments(q, float(g), True)[2] for g in gaps])
    assert np.abs(np.array(ratio) - 1 + slope * gaps * 1e-10).max() < 2e-12


def test_mirror_images() -> None:
    """log_sigmoid(h) = -softplus(-h), and (u, v) has the law of (-u, -v)."""
    for q, c in ((1e-3, 0.4), (2.0, -0.97), (9.0, 0.9999), (1e5, 0.2), (1e5, -0.8)):
        one, two = pair_moments("softplus", c, q), pair_moments("log_sigmoid", c, q)
        assert one == pytest.approx(two, rel=1e-13)


def test_published_kernels() -> None:
    for c in (-1.0, -0.3, 0.0, 0.5, 0.999):
        t = math.acos(c)
        relu = (math.sin(t) + (math.pi - t) * c) / (2 * math.pi)
        assert pair_moments("relu", c).phi_phi == pytest.approx(relu, abs=1e-15)
        assert pair_moments("relu", c).dphi_dphi == pytest.approx((math.pi - t) / (2 * math.pi), abs=1e-15)
        erf = 2 / math.pi * math.asin(2 * c * 3 / 7)
        assert pair_moments("erf", c, 3.0).phi_phi == pytest.approx(erf, abs=1e-15)
        sine = math.exp(-0.5) * math.sinh(0.5 * c)
        assert pair_moments("sin", c, 0.5).phi_phi == pytest.approx(sine, abs=1e-15)
    assert pair_moments("relu", 0.5, 1.0) == PairMoments(*pair_moments("relu", c=0.5))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("q", "mean"), [(1e-6, 0.0), (1.0, 0.7), (25.0, 0.0), (1e4, 0.0)])
def test_functions_match_names(name: str, q: float, mean: float) -> None:
    function = FUNCTIONS[name]
    m = moments(name, q, mean)
    scale = (m.phi2**0.5, m.phi2, m.phi4, m.dphi2**0.5, m.dphi2, m.dphi4, (m.phi2 * m.dphi2 * (q + mean**2)) ** 0.5)
    for a, b, s in zip(moments(function, q, mean), m, scale, strict=True):
        assert abs(a - b) <= 1e-12 * s


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_pairs_match_names(name: str) -> None:
    for q, c in ((1.0, 0.5), (9.0, 0.9), (1.0, -0.97), (0.1, 0.999), (1.0, -1.0)):
        m, a, b = moments(name, q), pair_moments(FUNCTIONS[name], c, q), pair_moments(name, c, q)
        assert abs(a.phi_phi - b.phi_phi) <= 1e-11 * m.phi2
        assert abs(a.dphi_dphi - b.dphi_dphi) <= 1e-11 * m.dphi2


def test_function_with_derivative_and_parameters() -> None:
    def f(x: Any, k: float) -> Any:
        return np.tanh(k * x)

    def df(x: Any, k: float) -> Any:
        return k / np.cosh(k * x) ** 2

    a, b = moments(f, 1.0, derivative=df, k=2.0), moments("tanh", 4.0)
    assert a.phi2 == pytest.approx(b.phi2, rel=1e-13)
    assert a.dphi2 == pytest.approx(4 * b.dphi2, rel=1e-13)
    assert moments(f, 1.0, k=2.0).dphi2 == pytest.approx(a.dphi2, rel=1e-12)
    assert pair_moments(f, 0.4, derivative=df, k=2.0).dphi_dphi == pytest.approx(
        4 * pair_moments("tanh", 0.4, 4.0).dphi_dphi, rel=1e-12
    )


def test_kink_at_an_odd_place_is_found() -> None:
    k = 0.33712345
    tail = 0.5 * math.erfc(k / math.sqrt(2))
    density = math.exp(-k * k / 2) / math.sqrt(2 * math.pi)
    m = moments(lambda x: np.maximum(x - k, 0.0))
    assert m.phi == pytest.approx(density - k * tail, rel=1e-13)
    assert m.dphi2 == pytest.approx(tail, rel=2e-11)
    assert moments(lambda x: np.maximum(x - k, 0.0), kinks=[k]).dphi2 == pytest.approx(tail, rel=1e-13)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ACTIVATIONS),
    st.floats(-6, 6).map(lambda e: 10.0**e),
    st.floats(-30, 30),
)
def test_inequalities(name: str, q: float, mean: float) -> None:
    m = moments(name, q, mean)
    assert all(math.isfinite(v) for v in m)
    slack = 1 + 1e-12
    assert m.phi**2 <= m.phi2 * slack
    assert m.phi2**2 <= m.phi4 * slack
    assert m.dphi**2 <= m.dphi2 * slack
    assert m.dphi2**2 <= m.dphi4 * slack


def test_parameter_extremes() -> None:
    for alpha in (0.1, 10.0):
        m = moments("elu", 1e-6, alpha=alpha)
        s = math.sqrt(1e-6 / (2 * math.pi))
        assert m.phi == pytest.approx((1 - alpha) * s + alpha * 1e-6 / 4, rel=1e-3)
    assert moments("leaky_relu", 3.0, negative_slope=1.0) == moments("linear", 3.0)
    assert moments("leaky_relu", 3.0, negative_slope=-1.0) == moments("abs", 3.0)
    assert moments("leaky_relu", 3.0, negative_slope=0.0) == moments("relu", 3.0)
    assert moments("prelu").phi2 == (1 + 0.25**2) / 2
    assert moments("sin", 1e6, w=30.0).phi2 == 0.5
    assert moments("sin", 1e-6, w=1e-3).phi2 == pytest.approx(1e-12, rel=1e-11)
    assert moments("sin", w=0.0).phi2 == 0.0
    assert moments("sin", w=-2.0).dphi == -moments("sin", w=2.0).dphi


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"q": -1.0}, ValueError, "q < 0: q must be non-negative, got -1.0"),
        ({"q": math.nan}, ValueError, "q must be finite, got nan"),
        ({"q": math.inf}, ValueError, "q must be finite, got inf"),
        ({"q": "1"}, TypeError, "q must be a real number, got '1'"),
        ({"mean": math.nan}, ValueError, "mean must be finite, got nan"),
        ({"mean": None}, TypeError, "mean must be a real number, got None"),
        ({"alpha": 1.0}, TypeError, "alpha is not a parameter of relu; its parameters: none"),
    ],
)
def test_errors(kwargs: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=whole(message)):
        moments("relu", **kwargs)


def test_pair_errors() -> None:
    for c in (1.0000001, -2.0, math.nan):
        with pytest.raises(ValueError, match="c must be"):
            pair_moments("relu", c)
    with pytest.raises(ValueError, match="q must be positive"):
        pair_moments("relu", 0.5, 0.0)
    with pytest.raises(ValueError, match="softplus"):
        moments("nope")
    with pytest.raises(TypeError, match="derivative"):
        moments(np.tanh, derivative=3)
    with pytest.raises(TypeError, match="derivative"):
        moments("tanh", derivative=np.tanh)
