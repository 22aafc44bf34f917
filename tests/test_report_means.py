"""propagate where signals have a mean: of given biases, of inputs, of weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fastinit.propagation import Activation, Dense, Gated, LayerNorm, Residual, moments, propagate, simulate

A, D = Activation, Dense


@pytest.mark.parametrize(("name", "mean"), [("tanh", 1.0), ("sigmoid", -3.0), ("silu", -2.0), ("relu", -3.0)])
def test_activations_about_a_mean(name: str, mean: float) -> None:
    """Of wide layers: E f(h)^2 and E f'(h)^2 over h ~ N(mean, 1), as `moments` has them."""
    want = moments(name, q=1.0, mean=mean)
    biased = propagate([D(4096, "xavier_normal", bias=np.full(4096, mean)), A(name)], batch=64).layers
    assert biased[1].second == pytest.approx(want.phi2, rel=2e-3)
    assert biased[0].gradient == pytest.approx(want.dphi2, rel=2e-3)
    given = propagate([A(name), D(4096)], input_mean=mean)
    assert given.layers[0].second == pytest.approx(want.phi2, rel=2e-3)
    assert 10**given.log10_input_gradient == pytest.approx(2.0 * want.dphi2, rel=2e-3)


@pytest.mark.parametrize("name", ["softplus", "tanh"])
def test_given_biases_in_a_real_network(name: str) -> None:
    layers = [D(256, "xavier_normal", bias=np.full(256, -2.0)), A(name)] * 3
    report = propagate(layers, batch=64).with_measured(simulate(layers, 64, repeats=16, jacobian=False))
    assert not [row.name for row in report.layers if row.outside()], report.table()
    assert report.scales is None and report.phase == "ordered"  # those are of biases with mean 0


@pytest.mark.parametrize("low", [-0.05, 0.0])
def test_weights_and_biases_with_means_add_up(low: float) -> None:
    """E h^2 has 2 E x W E b, which nearly undoes the rest here."""
    bias = np.full(256, -128 * (low + 0.1) / 2)
    layers = [D(256), A("sigmoid"), D(256, "uniform", low=low, high=0.1, bias=bias), A("tanh")]
    report = propagate(layers, batch=64).with_measured(simulate(layers, 64, repeats=16, jacobian=False))
    assert not [row.name for row in report.layers if row.outside()], report.table()
    wide = [D(4096), A("sigmoid"), D(4096, "uniform", low=low, high=0.1, bias=np.full(4096, -1.0))]
    mean, second = (low + 0.1) / 2, ((0.1**3 - low**3) / 3) / (0.1 - low)
    x2 = moments("sigmoid", q=2.0).phi2
    want = 4096 * second * x2 + 4096 * 4095 * mean**2 * 0.25 - 2 * 4096 * mean * 0.5 + 1.0
    assert propagate(wide).layers[2].second == pytest.approx(want, rel=1e-3)


def test_narrow_layers_with_a_mean() -> None:
    """Units are off where N(mean, variance) is, not N(mean, E h^2); units that are all the same, at once."""
    up = 1.0 - 0.5 * math.erfc(math.sqrt(0.5))  # P(h > 0) for h ~ N(1, 1)
    report = propagate([D(4, "normal", std=1.0, bias=np.ones(4), fan_in=1), A("relu")])
    assert report.passing == pytest.approx(1.0 - (1.0 - up) ** 4, rel=1e-12)
    report = propagate([D(weight=np.ones((1, 4)), bias=np.ones(4)), A("relu")])
    assert report.passing == pytest.approx(up, rel=1e-6)
    assert report.condition == math.inf


def test_largest_singular_value_behind_a_mean() -> None:
    """Of n W rows, the share p that N(1, 2) leaves on: the edge 2 (1 + sqrt(p))^2 (Marchenko & Pastur 1967)."""
    weight = np.random.default_rng(0).normal(0.0, math.sqrt(2.0 / 512), (512, 512))
    p = 1.0 - 0.5 * math.erfc(0.5)
    report = propagate([D(weight=weight, bias=np.ones(512)), A("relu")])
    assert report.jacobian.largest == pytest.approx(2.0 * (1.0 + math.sqrt(p)) ** 2, rel=0.01)


@pytest.mark.parametrize(("layer", "name"), [
    (D(128, "uniform", low=0.0, high=0.02), "linear"), (D(128, "uniform", low=0.0, high=0.02), "tanh"),
    (D(128, "normal", mean=0.01, std=0.08), "tanh"),
    (D(weight=np.random.default_rng(0).uniform(0, 0.02, (128, 128))), "linear"),
], ids=repr)  # fmt: skip
def test_jacobian_of_weights_with_a_mean(layer: Any, name: str) -> None:
    """Its mean is that of the gradient at the input, and one eigenvalue has what the bulk has not."""
    layers = [layer, A(name)] * 4
    report, measured = propagate(layers, batch=64), simulate(layers, 64, repeats=8)
    assert report.jacobian.mean == pytest.approx(10**report.log10_input_gradient, rel=1e-9)
    assert measured.jacobian_mean is not None and measured.jacobian_largest is not None
    assert report.jacobian.mean == pytest.approx(measured.jacobian_mean.value, rel=0.25)
    assert report.jacobian.largest == pytest.approx(measured.jacobian_largest.value, rel=0.25)


def test_gates_whose_weights_have_a_mean() -> None:
    report = propagate([Gated(128, 80, init="uniform", low=0.0, high=0.03, fan_in=96)])
    assert report.shared == pytest.approx(0.75) and report.approximate == ("0: Gated(80)",)
    assert (report.level, report.reasons[0][:19]) == ("warn", "Weights have a mean")
    assert propagate([Gated(128, 80, fan_in=96)]).approximate == ()


def test_gains_by_name_in_remedies() -> None:
    named, number = (
        propagate([D(64, "orthogonal", gain=g), Residual([A("relu"), D(64, "orthogonal", gain=g)])] * 30)
        for g in ("relu", 2.0**0.5)
    )
    assert named.remedy == number.remedy and named.remedy is not None


@pytest.mark.parametrize("layers", [
    [D(64), D(64, "uniform", low=0.0, high=0.1), LayerNorm(), A("tanh"), D(64)],
    [D(64, bias=np.ones(64)), LayerNorm(), D(64, "uniform", low=0.0, high=0.1)],
    [D(64), LayerNorm(), D(64, "uniform", low=0.0, high=0.1), A("relu")],
    [D(64), Residual([D(64, "uniform", low=0.0, high=0.1), D(64, "uniform", low=0.0, high=0.05)], skip=0.0)],
], ids=str)  # fmt: skip
def test_what_all_units_share_beside_a_norm(layers: list[Any]) -> None:
    """LayerNorm takes it out of the signal, and out of the gradient."""
    report = propagate(layers, batch=32)
    measured = simulate(layers, 32, repeats=60, jacobian=False)
    for told, seen in zip(report.layers, measured.layers, strict=True):
        assert seen.second is not None and seen.gradient is not None
        assert told.second == pytest.approx(seen.second.value, rel=0.05, abs=4.0 * seen.second.error)
        assert told.gradient == pytest.approx(seen.gradient.value, rel=0.08, abs=4.0 * seen.gradient.error)


def test_nothing_passes_a_norm_of_equal_units() -> None:
    assert propagate([D(64), D(8, "ones"), LayerNorm(), D(8)]).log10_gradient_ratio == -math.inf
