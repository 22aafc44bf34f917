"""Speed of the theory: moments of one activation, maps over a hundred layers."""

from __future__ import annotations

import pytest

from fastinit._activations import resolve
from fastinit.propagation import moments

CLOSED = ("linear", "relu", "leaky_relu", "gelu", "erf", "sin", "squared_relu", "abs")
PANELS = ("elu", "selu", "gelu_tanh", "silu", "mish", "tanh", "sigmoid", "hardtanh", "relu6", "hardswish", "atan")


@pytest.mark.parametrize("name", [*CLOSED, *PANELS])
def test_moments(benchmark, row, name):
    f = resolve(name, {})
    assert f.moments(1.0, 0.0) == tuple(moments(name))
    row("moments of an activation", name)(f.moments, 1.0, 0.0)
    if benchmark.stats:
        assert benchmark.stats.stats.min < 100e-6


@pytest.mark.parametrize(("name", "limit"), [(n, 1e-3) for n in CLOSED] + [(n, 10e-3) for n in PANELS])
def test_hundred_layers(benchmark, row, name, limit):
    """q-map with c-map from q = 1, c = 0.3."""
    f = resolve(name, {})
    sw = 1.0 / f.moments(1.0, 0.0)[4]
    q, below = f.trajectory(1.0, 0.3, sw, 0.05, 100)
    assert q[0] == pytest.approx(sw * f.second_moment(1.0) + 0.05)
    assert all(0.0 <= b < 0.7 for b in below)
    row("maps over 100 layers", name)(f.trajectory, 1.0, 0.3, sw, 0.05, 100)
    if benchmark.stats:
        assert benchmark.stats.stats.min < limit
