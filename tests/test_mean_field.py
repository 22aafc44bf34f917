"""Maps, fixed points, critical line, depth scales and Jacobian spectra of wide networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from messages import whole
from records import ACTIVATIONS

from fastinit._activations import resolve
from fastinit.propagation import (
    FixedPoint,
    c_map,
    critical_line,
    critical_point,
    depth_scales,
    fixed_points,
    jacobian_spectrum,
    moments,
    q_map,
)


def test_q_map() -> None:
    assert q_map("relu", 3.0, 2.0) == 3.0
    assert q_map("linear", 3.0, 0.5, 0.25) == 1.75
    assert q_map("tanh", 2.0, 1.5, 0.1) == pytest.approx(1.5 * moments("tanh", 2.0).phi2 + 0.1, rel=1e-15)
    assert q_map("sigmoid", 0.0, 4.0) == 1.0
    assert q_map(np.tanh, 2.0, 1.5) == pytest.approx(q_map("tanh", 2.0, 1.5), rel=1e-13)


def test_he_relu_correlation_map() -> None:
    """Published sequence from c = 0, and 1 - c ~ 9 pi^2 / (2 l^2)."""
    c, seen = 0.0, {}
    for layer in range(1, 101):
        c = c_map("relu", c, 1.0, 2.0)
        seen[layer] = c
    known = {1: 0.31831, 2: 0.49373, 3: 0.60483, 5: 0.73595, 10: 0.87154, 50: 0.98786, 100: 0.99642}
    for layer, value in known.items():
        assert seen[layer] == pytest.approx(value, abs=6e-6)
    d = 1e-6
    steps = [d := c_map("relu", d, 1.0, 2.0, complement=True) for _ in range(20000)]
    assert 1 / math.sqrt(steps[-1]) - 1e3 == pytest.approx(20000 * math.sqrt(2) / (3 * math.pi), rel=1e-3)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_c_map_near_one(name: str) -> None:
    """One is fixed, and 1 - c is multiplied by sigma_w2 E f'^2 q / q'."""
    q, sw, sb = 0.8, 1.3, 0.2
    assert c_map(name, 1.0, q, sw, sb) == 1.0
    rate = sw * moments(name, q).dphi2 * q / q_map(name, q, sw, sb)
    for d in (1e-300, 1e-18):
        assert c_map(name, d, q, sw, sb, complement=True) / d == pytest.approx(
            rate, rel=1e-7 if d > 1e-20 else 1e-11
        )
    plain, other = c_map(name, 0.4, q, sw, sb), 1 - c_map(name, 0.6, q, sw, sb, complement=True)
    assert plain == pytest.approx(other, abs=1e-15)


@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "hardtanh", "softsign", "linear", "atan", "tanhshrink"])
def test_c_map_near_minus_one(name: str) -> None:
    """An odd activation without bias keeps opposite inputs opposite."""
    assert c_map(name, -1.0, 0.7, 1.4) == -1.0
    c = -1 + 2.0**-30
    assert (1 + c_map(name, c, 0.7, 1.4)) == pytest.approx(1 - c_map(name, -c, 0.7, 1.4), rel=1e-6)


def trajectory(name: str, q: float, c: float, sw: float, sb: float, depth: int) -> tuple[list[float], list[float]]:
    return resolve(name, {}).trajectory(q, c, sw, sb, depth)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "elu", "hardswish", "sigmoid"])
def test_trajectory_is_the_maps_in_turn(name: str) -> None:
    qs, below = trajectory(name, 1.0, 0.3, 1.4, 0.05, 12)
    q, c = 1.0, 0.3
    for i in range(12):
        c, q = c_map(name, c, q, 1.4, 0.05), q_map(name, q, 1.4, 0.05)
        assert qs[i] == pytest.approx(q, rel=1e-13)
        assert 1 - below[i] == pytest.approx(c, abs=1e-13)


@pytest.mark.parametrize(
    ("name", "sw", "sb", "expected"),
    [
        ("relu", 1.5, 0.1, [(0.4, 0.75, 0.75, True)]),
        ("relu", 3.0, 0.0, [(0.0, 1.5, 1.5, False)]),
        ("relu", 2.0, 0.0, [(1.0, 1.0, 1.0, False)]),
        ("linear", 1.0, 0.0, [(1.0, 1.0, 1.0, False)]),
        ("tanh", 0.5, 0.0, [(0.0, 0.5, 0.5, True)]),
        ("selu", 1.0, 0.0, [(0.0, 2.0974429, 2.0974429, False), (1.0, 0.782648, 1.0715750, True)]),
        ("gelu", 1.53353044119554**2, 0.0, [(0.0, 0.587929, 0.587929, True), (1.0, 1.144063, 1.072032, False)]),
    ],
)
def test_fixed_points(name: str, sw: float, sb: float, expected: list[tuple[float, float, float, bool]]) -> None:
    found = fixed_points(name, sw, sb)
    assert len(found) == len(expected)
    for point, (q, slope, chi1, stable) in zip(found, expected, strict=True):
        assert point.q == pytest.approx(q, rel=1e-10)
        assert point.slope == pytest.approx(slope, rel=1e-5)
        assert point.chi1 == pytest.approx(chi1, rel=1e-5)
        assert point.stable is stable


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("sw", "sb"), [(1.5, 0.0), (0.9, 0.05), (2.2, 0.3)])
def test_fixed_points_are_fixed(name: str, sw: float, sb: float) -> None:
    points = fixed_points(name, sw, sb)
    assert [p.q for p in points] == sorted({p.q for p in points})
    for p in points:
        if p.q > 0:
            assert q_map(name, p.q, sw, sb) == pytest.approx(p.q, rel=1e-12)
            h = 1e-4 * p.q
            slope = (q_map(name, p.q + h, sw, sb) - q_map(name, p.q - h, sw, sb)) / (2 * h)
            assert p.slope == pytest.approx(slope, rel=1e-5, abs=1e-9)
            assert p.chi1 == pytest.approx(sw * moments(name, p.q).dphi2, rel=1e-12)
    # a grid of its own must not find a crossing that is missing
    grid = np.geomspace(1e-6, 1e6, 400)
    signs = np.sign([q_map(name, float(q), sw, sb) / q - 1 for q in grid])
    crossings = int(np.count_nonzero(signs[1:] * signs[:-1] < 0))
    if not any(p.q == 1.0 and p.slope == 1.0 for p in points):
        assert crossings == sum(1e-6 < p.q < 1e6 for p in points)


def test_two_fixed_points_close_together() -> None:
    """GELU just below the weight variance at which a stable and an unstable point meet."""

    def pair(sw: float) -> list[FixedPoint]:
        return [p for p in fixed_points("gelu", sw, 0.02) if p.q > 0]

    low, high = 2.01, 4.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if len(pair(middle)) == 2 else (low, middle)
    first, second = pair(low - 1e-7)
    assert first.stable and not second.stable
    assert second.q / first.q < 1.01
    assert first.slope == pytest.approx(1.0, abs=1e-2)


def test_critical_points() -> None:
    assert critical_point("tanh") == (1.0, 0.0, 0.0)
    assert critical_point("relu") == (2.0, 0.0, 1.0)
    assert critical_point("linear") == (1.0, 0.0, 1.0)
    assert critical_point("tanh", 0.05).sigma_w2 == pytest.approx(1.760954639606739, rel=1e-10)
    # small q: sigma_w2 = 1 + 2 q - 3 q^2 + ..., sigma_b2 = 4/3 q^3 + ...
    point = critical_line("tanh", 1e-4)
    assert point.sigma_w2 == pytest.approx(1 + 2e-4 - 3e-8, abs=1e-10)
    assert point.sigma_b2 == pytest.approx(4 / 3 * 1e-12, rel=1e-2)
    assert critical_line("relu", 5.0) == (2.0, 0.0, 5.0)
    assert critical_line("leaky_relu", 5.0, negative_slope=0.5) == (1.6, 0.0, 5.0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_critical_point_is_critical(name: str) -> None:
    try:
        p = critical_point(name, 0.1)
    except ValueError:
        m = [critical_line(name, q).sigma_b2 for q in np.geomspace(1e-6, 1e6, 100)]
        assert max(m) < 0.1 or min(m) > 0.1
        return
    assert p.sigma_b2 == 0.1
    assert p.sigma_w2 * moments(name, p.q).dphi2 == pytest.approx(1.0, rel=1e-12)
    assert q_map(name, p.q, p.sigma_w2, p.sigma_b2) == pytest.approx(p.q, rel=1e-11)
    if any(q.stable for q in fixed_points(name, p.sigma_w2, p.sigma_b2) if abs(q.q / p.q - 1) < 1e-6):
        assert depth_scales(name, p.sigma_w2, p.sigma_b2).phase == "critical"


def test_depth_scales_of_tanh() -> None:
    """Schoenholz et al. 2017: the rates are those of the iterated maps."""
    for sw, sb, phase in ((1.0, 0.05, "ordered"), (2.5, 0.05, "chaotic")):
        d = depth_scales("tanh", sw, sb)
        assert d.phase == phase
        qs, below = trajectory("tanh", 1.0, 0.5, sw, sb, 60)
        assert qs[-1] == pytest.approx(d.q, rel=1e-9)
        assert 1 - below[-1] == pytest.approx(d.c, abs=1e-3)
        c = d.c
        far = [abs(1 - b - c) if phase == "chaotic" else b for b in below]
        i = 14
        assert math.log(far[i] / far[i + 1]) == pytest.approx(1 / d.xi_c, rel=0.03)
        assert math.log((qs[4] - d.q) / (qs[5] - d.q)) == pytest.approx(1 / d.xi_q, rel=0.05)
        assert d.xi_grad == pytest.approx(1 / abs(math.log(d.chi1)), rel=1e-12)


def test_depth_scales_of_the_limits() -> None:
    d = depth_scales("relu", 2.0)
    assert (d.q, d.c, d.phase, d.xi_c, d.xi_grad) == (1.0, 1.0, "critical", math.inf, math.inf)
    d = depth_scales("relu", 3.0)
    assert (d.q, d.phase, d.chi1) == (math.inf, "chaotic", 1.5)
    d = depth_scales("tanh", 0.5)
    assert (d.q, d.phase, d.chi1) == (0.0, "ordered", 0.5)
    assert depth_scales("tanh", 1.0).phase == "critical"
    p = critical_point("tanh", 0.05)
    d = depth_scales("tanh", p.sigma_w2, p.sigma_b2)
    assert d.phase == "critical" and d.xi_c == math.inf and d.c == 1.0
    assert depth_scales("selu", 1.0).phase == "chaotic"
    assert depth_scales("relu", 0.0, 0.3).chi1 == 0.0
    assert depth_scales(np.tanh, 1.0, 0.05).xi_c == pytest.approx(depth_scales("tanh", 1.0, 0.05).xi_c, rel=1e-9)


def gaussian_edge(depth: int, p: float, sw: float) -> float:
    z = (-(depth - 1) + math.sqrt((depth - 1) ** 2 + 4 * depth * p)) / (2 * depth)
    return sw**depth * (1 + z) / z * (z + p) ** depth


def orthogonal_edge(depth: int, p: float, sw: float) -> float:
    if depth * (1 - p) <= 1:
        return sw**depth
    z = p / (depth * (1 - p) - 1)
    return sw**depth * (1 + z) / z * ((z + p) / (z + 1)) ** depth


@pytest.mark.parametrize("depth", [1, 2, 3, 8, 40, 200])
@pytest.mark.parametrize(("weights", "edge"), [("gaussian", gaussian_edge), ("orthogonal", orthogonal_edge)])
@pytest.mark.parametrize(("name", "q"), [("relu", 1.0), ("hardtanh", 0.25), ("linear", 2.0)])
def test_jacobian_of_piecewise_linear(
    depth: int, weights: str, edge: Callable[[int, float, float], float], name: str, q: float
) -> None:
    p = {"relu": 0.5, "hardtanh": math.erf(1 / math.sqrt(2 * 0.25)), "linear": 1.0}[name]
    s = jacobian_spectrum(name, depth, 1 / p, q, weights)
    assert s.mean == pytest.approx(1.0, rel=1e-12)
    exact = depth / p if weights == "gaussian" else depth * (1 - p) / p
    assert s.variance == pytest.approx(exact, rel=1e-11, abs=1e-11)
    # (1 + eps)^depth, and the slow approach to an atom when the minimum is at z = inf
    assert s.largest == pytest.approx(edge(depth, p, 1 / p), rel=1e-6)


def test_jacobian_of_smooth_activations_against_matrices() -> None:
    rng = np.random.default_rng(0)
    n, depth, q = 400, 5, 1.0
    sw = 1 / moments("tanh", q).dphi2
    values = []
    for _ in range(3):
        j = np.eye(n)
        for _ in range(depth):
            slope = 1 / np.cosh(rng.standard_normal(n) * math.sqrt(q)) ** 2
            j = slope[:, None] * (rng.standard_normal((n, n)) * math.sqrt(sw / n)) @ j
        values.append(np.linalg.svd(j, compute_uv=False) ** 2)
    s = jacobian_spectrum("tanh", depth, sw, q)
    assert np.mean(values) == pytest.approx(s.mean, rel=0.15)
    assert np.var(values) / np.mean(values) ** 2 == pytest.approx(s.variance, rel=0.2)


@pytest.mark.parametrize("depth", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_jacobian_edge_of_a_smooth_activation(depth: int) -> None:
    """Finite matrices lie below it by a few n^(-2/3) of it; beyond that, the draws' own error."""
    sw = 1 / moments("tanh", 1.0).dphi2
    limit = jacobian_spectrum("tanh", depth, sw, 1.0).largest
    rng = np.random.default_rng(1)
    n, largest = 400, []
    for _ in range(12):
        j = np.eye(n)
        for _ in range(depth):
            slope = 1 / np.cosh(rng.standard_normal(n)) ** 2
            j = slope[:, None] * (rng.standard_normal((n, n)) * math.sqrt(sw / n)) @ j
        largest.append(np.linalg.eigvalsh(j.T @ j)[-1] / limit)
    error = np.std(largest) / math.sqrt(len(largest))
    assert abs(np.mean(largest) + depth * n ** (-2 / 3) - 1) < depth * n ** (-2 / 3) + 3 * error


def test_isometry_at_small_q() -> None:
    """Odd saturating activations become isometric with orthogonal weights; ReLU never does."""
    line = critical_line("tanh", 0.0)
    assert jacobian_spectrum("tanh", 50, line.sigma_w2, 0.0, "orthogonal").variance == pytest.approx(0.0, abs=1e-12)
    assert jacobian_spectrum("tanh", 50, line.sigma_w2, 0.0, "orthogonal").largest == pytest.approx(1.0, rel=1e-9)
    assert jacobian_spectrum("relu", 50, 2.0, 1e-9, "orthogonal").variance == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: q_map("relu", -1.0, 1.0), ValueError, "q < 0: q must be non-negative, got -1.0"),
        (lambda: q_map("relu", 1.0, -1.0), ValueError, "sigma_w2 < 0: sigma_w2 must be non-negative, got -1.0"),
        (lambda: q_map("relu", 1.0, 1.0, -0.1), ValueError, "sigma_b2 < 0: sigma_b2 must be non-negative, got -0.1"),
        (lambda: q_map("relu", 1.0, math.inf), ValueError, "sigma_w2 must be finite, got inf"),
        (lambda: c_map("relu", 1.5, 1.0, 1.0), ValueError, "c must be in [-1, 1], got 1.5"),
        (lambda: c_map("relu", -0.1, 1.0, 1.0, complement=True), ValueError, "c must be in [0, 2], got -0.1"),
        (lambda: c_map("relu", 0.5, 1.0, 1.0, complement=1), TypeError, "complement must be a bool, got 1"),
        (lambda: c_map("relu", 0.5, 0.0, 1.0), ValueError, "q must be positive, got 0.0"),
        (lambda: c_map("relu", 0.5, 1.0, 0.0), ValueError,
         "sigma_w2 and sigma_b2 make the next layer zero, got 0.0 and 0.0"),
        (lambda: fixed_points("relu", "2"), TypeError, "sigma_w2 must be a real number, got '2'"),
        (lambda: fixed_points("nope", 2.0), ValueError, "activation must be one of linear, relu, ...; got 'nope'"),
        (lambda: critical_line("relu", -1.0), ValueError, "q < 0: q must be non-negative, got -1.0"),
        (lambda: critical_point("relu", 0.1), ValueError, "sigma_b2 = 0.1 has no critical point with this activation"),
        (lambda: critical_point("relu", -0.1), ValueError, "sigma_b2 < 0: sigma_b2 must be non-negative, got -0.1"),
        (lambda: depth_scales("relu", math.nan), ValueError, "sigma_w2 must be finite, got nan"),
        (lambda: jacobian_spectrum("relu", 0, 2.0, 1.0), ValueError, "depth must be at least 1, got 0"),
        (lambda: jacobian_spectrum("relu", 1.5, 2.0, 1.0), TypeError, "depth must be an int, got 1.5"),
        (lambda: jacobian_spectrum("relu", 2**31, 2.0, 1.0), ValueError, "depth must be below 2**31, got 2147483648"),
        (lambda: jacobian_spectrum("relu", 3, 2.0, 1.0, "uniform"), ValueError,
         "weights must be one of gaussian, orthogonal; got 'uniform'"),
        (lambda: jacobian_spectrum("elu", 3, 2.0, 1.0, negative_slope=0.1), TypeError,
         "negative_slope is not a parameter of elu; its parameters: alpha"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=whole(message)):
        call()
