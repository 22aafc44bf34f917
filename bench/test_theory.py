"""Speed of the theory: moments of one activation, maps over a hundred layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastinit._activations import resolve
from fastinit.propagation import c_map, q_map

CLOSED = ("linear", "relu", "leaky_relu", "gelu", "erf", "sin", "squared_relu", "abs")
SUMS = ("elu", "celu", "selu", "gelu_tanh", "quick_gelu", "silu", "mish", "softplus", "log_sigmoid", "tanh", "sigmoid",
        "tanhshrink", "atan", "softsign", "hardtanh", "relu6", "hard_sigmoid", "hardswish")  # fmt: skip
# fan_in Var W (None: the critical one), Var b, q and c of the input
STARTS = {"critical": (None, 0.05, 1.0, 0.3), "growing": (4.0, 0.0, 1e6, 0.999), "biased": (2.0, 1.0, 1e-2, -0.9)}
NAMES = [*CLOSED, *SUMS]
# From the other starts the variance of squared_relu grows without bound, as its square in every layer.
CASES = [(n, start) for n in NAMES for start in STARTS if n != "squared_relu" or start == "critical"]


def lattice(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Midpoints of equal steps on [-9, 9], and the Gaussian weight of each."""
    z = (np.arange(points) + 0.5) * (18 / points) - 9
    weight = np.exp(-z * z / 2)
    return z, weight / weight.sum()


def moments_by_sums(f: Any) -> list[float]:
    z, weight = lattice(2**17)
    y, slope = f.eval(z)
    return [float(weight @ v) for v in (y, y**2, y**4, slope, slope**2, slope**4, z * y * slope)]


def layer_by_sums(f: Any, q: float, c: float, sw: float, sb: float) -> tuple[float, float]:
    """Second moment and 1 - correlation after one layer."""
    z, weight = lattice(512)
    u = np.sqrt(q) * np.broadcast_to(z[:, None], (512, 512))
    v = c * u + np.sqrt(q * (1 - c * c)) * z
    at_u, at_v = (f.eval(np.ascontiguousarray(x).ravel())[0].reshape(x.shape) for x in (u, v))
    second = sw * float(weight @ (at_u**2) @ weight) + sb
    return second, sw * float(weight @ ((at_u - at_v) ** 2) @ weight) / 2 / second


@pytest.mark.parametrize("name", NAMES)
def test_moments(row, name):
    f = resolve(name, {})
    assert f.moments(1.0, 0.0) == pytest.approx(moments_by_sums(f), rel=1e-3, abs=1e-6)
    row("moments of an activation", name)(f.moments, 1.0, 0.0)


@pytest.mark.parametrize(("name", "start"), CASES)
def test_hundred_layers(row, name, start):
    """q-map with c-map in one call."""
    f = resolve(name, {})
    sw, sb, q, c = STARTS[start]
    sw = sw or 1.0 / f.moments(1.0, 0.0)[4]
    qs, below = f.trajectory(q, c, sw, sb, 100)
    assert (qs[0], below[0]) == pytest.approx(layer_by_sums(f, q, c, sw, sb), rel=0.03)
    gap, variance = 1.0 - c, q
    for deep, apart in zip(qs, below, strict=True):
        gap, variance = c_map(name, gap, variance, sw, sb, complement=True), q_map(name, variance, sw, sb)
        assert (deep, apart) == pytest.approx((variance, gap), rel=1e-9)
    row(f"maps over 100 layers, {start}", name)(f.trajectory, q, c, sw, sb, 100)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "squared_relu"])
def test_hundred_layers_by_hand(row, name):
    """The same by two calls for each layer."""

    def maps():
        q, c = 1e-2, -0.9
        for _ in range(100):
            c, q = c_map(name, c, q, 2.0, 1.0), q_map(name, q, 2.0, 1.0)
        return q, c

    qs, below = resolve(name, {}).trajectory(1e-2, -0.9, 2.0, 1.0, 100)
    assert maps() == pytest.approx((qs[-1], 1 - below[-1]), rel=1e-9)
    row("q_map and c_map of 100 layers", name)(maps)
