"""Speed of the theory: moments of one activation, maps over a hundred layers."""

from __future__ import annotations

import pytest

from fastinit._activations import resolve
from fastinit.propagation import c_map, moments, q_map

CLOSED = ("linear", "relu", "leaky_relu", "gelu", "erf", "sin", "squared_relu", "abs")
SUMS = ("elu", "celu", "selu", "gelu_tanh", "quick_gelu", "silu", "mish", "softplus", "log_sigmoid", "tanh", "sigmoid",
        "tanhshrink", "atan", "softsign", "hardtanh", "relu6", "hard_sigmoid", "hardswish")  # fmt: skip
# fan_in Var W (None: the critical one), Var b, q and c of the input
STARTS = {"critical": (None, 0.05, 1.0, 0.3), "growing": (4.0, 0.0, 1e6, 0.999), "biased": (2.0, 1.0, 1e-2, -0.9)}
NAMES = [*CLOSED, *SUMS]
# From the other starts the variance of squared_relu grows without bound, as its square in every layer.
CASES = [(n, start) for n in NAMES for start in STARTS if n != "squared_relu" or start == "critical"]


@pytest.mark.parametrize("name", NAMES)
def test_moments(row, name):
    f = resolve(name, {})
    assert f.moments(1.0, 0.0) == tuple(moments(name))
    row("moments of an activation", name)(f.moments, 1.0, 0.0)


@pytest.mark.parametrize(("name", "start"), CASES)
def test_hundred_layers(row, name, start):
    """q-map with c-map in one call."""
    f = resolve(name, {})
    sw, sb, q, c = STARTS[start]
    sw = sw or 1.0 / f.moments(1.0, 0.0)[4]
    qs, below = f.trajectory(q, c, sw, sb, 100)
    assert qs[0] == pytest.approx(sw * f.second_moment(q) + sb)
    assert all(0.0 <= b <= 2.0 for b in below)
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
