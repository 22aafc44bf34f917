"""Functions of the user's own: as activations, with and without slopes, and as initializers."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from messages import whole

from fastinit.propagation import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Gated,
    Pool,
    Residual,
    depth_scales,
    moments,
    pair_moments,
    propagate,
    simulate,
)

A, D = Activation, Dense
FUNCTIONS: dict[str, Any] = {
    "plain": lambda f: [D(64), A(f)] * 5,
    "biased": lambda f: [D(64, "uniform", low=-0.1, high=0.2, bias_std=0.1), A(f)] * 3,
    "max pool": lambda f: [D(64), A(f), Pool(4, "max"), D(64)],
    "gated": lambda f: [Gated(128, 64, f, fan_in=64), D(64)],
    "BatchNorm": lambda f: [D(64), A(f), BatchNorm(), D(64)],
    "residual": lambda f: [D(64), *[Residual([A(f)])] * 3, D(64)],
}


@pytest.mark.parametrize("net", FUNCTIONS)
def test_a_function_as_activation(net: str) -> None:
    """Without a derivative of its own, it is differentiated wherever its slope counts."""
    named, own = (propagate(FUNCTIONS[net](f)) for f in ("tanh", np.tanh))
    assert own.layers[0].name == named.layers[0].name
    for a, b in zip(own.layers, named.layers, strict=True):
        assert a.second == pytest.approx(b.second, rel=1e-9)
        assert a.correlation == pytest.approx(b.correlation, abs=1e-9)
        assert a.gradient == pytest.approx(b.gradient, rel=1e-8)
        assert a.log10_gradient_band == pytest.approx(b.log10_gradient_band, abs=1e-8)
        assert a.dead == b.dead
    assert own.log10_gradient_ratio == pytest.approx(named.log10_gradient_ratio, abs=1e-8)
    assert own.log10_gradient_ratio_sd == pytest.approx(named.log10_gradient_ratio_sd, rel=1e-8)
    assert own.jacobian.mean == pytest.approx(named.jacobian.mean, rel=1e-8)
    assert own.jacobian.largest == pytest.approx(named.jacobian.largest, rel=1e-7)


class Counted:
    """A function that knows how many points it has been asked for."""

    def __init__(self, function: Any) -> None:
        self.function, self.points = function, 0

    def __call__(self, x: Any) -> Any:
        self.points += x.size
        return self.function(x)


IN_FLOAT32: dict[str, Any] = {
    "relu": lambda x: np.maximum(x.astype("f4"), 0), "tanh": lambda x: np.tanh(x.astype("f4")),
    "hardtanh": lambda x: np.clip(x, -1, 1).astype("f4"),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))).astype("f4"),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_FLOAT32)
def test_functions_in_float32(name: str) -> None:
    """Their rounding is not taken for curvature, which would be looked into without end."""
    own = Counted(IN_FLOAT32[name])
    assert moments(own, 1.0) == pytest.approx(moments(name, 1.0), rel=1e-6, abs=1e-7)
    assert pair_moments(own, 0.999) == pytest.approx(pair_moments(name, 0.999), rel=1e-6)
    assert depth_scales(own, 1.5, 0.1).phase == depth_scales(name, 1.5, 0.1).phase
    a, b = (propagate([D(32), A(f), D(4)]).log10_input_gradient for f in (own, name))
    assert a == pytest.approx(b, abs=1e-5)
    assert own.points < 10**7


@pytest.mark.parametrize("function", [lambda x: np.tanh(30 * x), lambda x: np.sin(5 * x), lambda x: np.sqrt(abs(x))])
def test_steep_functions_in_a_block_of_units(function: Any) -> None:
    own = Counted(function)
    layers = [D(64), Residual([A(own)], scale=0.5)]
    report = propagate(layers)
    assert own.points < 10**7
    measured = simulate(layers, 64, repeats=16, jacobian=False).layers[-1]
    assert measured.second is not None
    assert measured.second.value == pytest.approx(report.layers[-1].second, abs=5.0 * measured.second.error)


@pytest.mark.parametrize("steep", [300.0, 3e4, 1e7])
def test_functions_that_turn_close_to_zero(steep: float) -> None:
    """Nearer than any node of a panel of usual width."""
    own, named = moments(lambda x: np.tanh(steep * x)), moments("tanh", steep**2)
    assert own.dphi == pytest.approx(steep * named.dphi, rel=1e-10)
    assert own.dphi2 == pytest.approx(steep**2 * named.dphi2, rel=1e-10)
    swish = moments(lambda x: x / (1 + np.exp(-steep * x)))
    assert swish.dphi2 - 0.5 == pytest.approx(0.0857638 / steep, rel=1e-3)


def test_functions_of_half_a_line() -> None:
    """Behind a relu nothing asks for what lies left of 0."""
    layers = [D(64), A("relu"), A(lambda x: x**1.5), D(8)]
    with np.errstate(invalid="ignore"):
        measured = simulate(layers, 64, repeats=2)
    assert measured.layers[2].nonfinite is not None and measured.layers[2].nonfinite.value == 0.0
    assert measured.layers[0].gradient is not None and measured.layers[0].gradient.value > 0.0


class OwnInit:
    """A callable that has no hash."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, shape: tuple[int, ...], seed: Any) -> Any:
        return np.random.default_rng(seed).normal(0.0, 0.2, shape)


@pytest.mark.parametrize("layer", [D(32, OwnInit(), fan_in=32), Conv(8, 3, OwnInit(), groups=2, image=6)])
def test_initializers_by_numpy(layer: Any) -> None:
    theory, measured = propagate([layer]).layers[0], simulate([layer], 64, repeats=16, jacobian=False).layers[0]
    assert measured.second is not None
    assert measured.second.value == pytest.approx(theory.second, rel=0.02, abs=4.0 * measured.second.error)


@pytest.mark.parametrize("function", [math.tanh, lambda x: x if x > 0.0 else 0.0])
def test_functions_of_numbers_are_told_of_vectorize(function: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=whole("activation must take a float64 array, as numpy.vectorize...")):
        moments(function, 1.0)
    assert moments(np.vectorize(math.tanh, otypes=[float]), 1.0) == pytest.approx(moments("tanh", 1.0), rel=1e-6)


def refused(shape: tuple[int, ...], seed: Any) -> Any:
    return json.loads("{")


def test_errors_of_own_initializers_are_named() -> None:
    """Of whatever kind: not every subclass is made from one message."""
    with pytest.raises(ValueError, match=whole("0: Dense(4): Expecting property name...")):
        propagate([D(4, refused)])
