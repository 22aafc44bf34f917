"""The spectrum of J J^T that `propagate` tells: against published laws, and singular values of drawn networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fastinit.propagation import Activation, Conv, Dense, Dropout, LayerNorm, Pool, propagate, simulate

A, C, D = Activation, Conv, Dense


def test_jacobian_variance() -> None:
    gaussian = propagate([D(512), A("relu")] * 8).jacobian
    assert (gaussian.mean, gaussian.variance) == (pytest.approx(1), pytest.approx(16))
    orthogonal = propagate([D(512, "orthogonal", gain=2**0.5), A("relu")] * 8).jacobian
    assert orthogonal.variance == pytest.approx(8)
    assert orthogonal.largest == pytest.approx(20.4, abs=0.1)
    wide = propagate([D(200, fan_in=400), A("linear")]).jacobian
    assert wide.variance / wide.mean**2 == pytest.approx(0.5)  # Marchenko-Pastur
    linear = propagate([D(64, "orthogonal")] * 5)
    assert (linear.condition, linear.jacobian.variance) == (1.0, pytest.approx(0, abs=1e-9))


_RNG = np.random.default_rng(0)
CONVOLUTIONS: dict[str, list[Any]] = {
    "padded": [C(64, 3, "lecun_normal", image=5, fan_in=64)],
    "fewer channels": [C(8, 3, "lecun_normal", image=6, fan_in=32)],
    "line": [C(32, (9,), "lecun_normal", image=(16,), fan_in=32)],
    "one tap": [C(16, 3, "delta_orthogonal", image=5, fan_in=16)],
    "orthogonal": [C(16, 3, "orthogonal", image=6, fan_in=16)],
    "stride": [C(32, 3, "lecun_normal", image=8, fan_in=16, stride=2)],
    "unused places": [C(16, 1, "lecun_normal", image=8, fan_in=16, stride=2)],
    "groups": [C(32, 3, "lecun_normal", image=8, fan_in=32, groups=2)],
    "given": [C(weight=_RNG.normal(size=(3, 3, 32, 32)) / 17, image=6)],
    "given groups": [C(weight=_RNG.normal(size=(3, 3, 16, 32)) / 12, image=6, groups=2)],
    "pooled": [C(96, 3, "lecun_normal", image=4, fan_in=96), A("relu"), Pool(2, "mean"), D(10, "lecun_normal")],
    "two": [C(32, 3, image=8, fan_in=32), A("relu"), C(32, 3)],
    "inside": [C(32, 3, image=8, fan_in=24, padding="valid")],
    "two inside": [C(32, 3, image=8, fan_in=24, padding="valid"), C(32, 3, padding="valid")],
}


LARGE = ("fewer channels", "stride", "two inside")


@pytest.mark.parametrize("layers", [
    pytest.param(layers, id=name, marks=[pytest.mark.slow] * (name in LARGE)) for name, layers in CONVOLUTIONS.items()
])  # fmt: skip
def test_jacobian_of_convolutions(layers: list[Any]) -> None:
    """Against the singular values of real draws: at every frequency a matrix of the channels."""
    told, seen = propagate(layers).jacobian, simulate(layers, 4, seed=1, repeats=4)
    mean, variance, largest = (m.value for m in (seen.jacobian_mean, seen.jacobian_variance, seen.jacobian_largest))
    assert told.mean == pytest.approx(mean, rel=0.2)
    assert told.variance / told.mean**2 == pytest.approx(variance / mean**2, rel=0.25, abs=1e-9)
    assert told.largest / told.mean == pytest.approx(largest / mean, rel=0.25)


@pytest.mark.parametrize(("layers", "told"), [
    ([D(400, "lecun_normal", fan_in=100)], None), ([D(100, "lecun_normal", fan_in=400)], None),
    ([D(400, "orthogonal", fan_in=100), D(800, "orthogonal")], 1.0), ([D(100, "orthogonal", fan_in=400)], 1.0),
    ([D(400, "orthogonal", fan_in=100), D(100, "orthogonal")], math.inf),
    ([D(100, "orthogonal", fan_in=400), D(400, "orthogonal")], math.inf),
    ([D(100, fan_in=100)], math.inf), ([D(100, fan_in=100), D(400)], math.inf),
    ([D(200, fan_in=50), A("relu"), D(200)], None), ([D(100, fan_in=100), A("relu")], math.inf),
    ([C(16, 3, "delta_orthogonal", image=5, fan_in=16)], 1.0), ([C(16, 3, "orthogonal", image=5, fan_in=16)], math.inf),
], ids=str)  # fmt: skip
def test_condition_number(layers: list[Any], told: float | None) -> None:
    assert propagate(layers).condition == told


@pytest.mark.parametrize(("layers", "edge"), [
    ([D(128, fan_in=1024)], 2.0 * (1.0 + 0.125**0.5) ** 2),  # Marchenko & Pastur 1967
    ([D(1024, fan_in=128)], 16.0 * (1.0 + 0.125**0.5) ** 2),
    ([D(512, "orthogonal", fan_in=256), A("linear"), D(256, "orthogonal")], 1.0),
    ([D(512, "orthogonal", fan_in=256), A("relu"), D(512, "orthogonal", gain=2**0.5), A("relu")], 1.6875),
    ([D(64, "orthogonal", fan_in=128), LayerNorm(eps=0.0)], 64 / 63),
    ([D(64, "orthogonal"), Dropout(0.5)], 4.0),
    ([C(16, 3, "delta_orthogonal", image=6, fan_in=16), A("relu"), C(16, 3, "delta_orthogonal")], 1.0),
    ([C(32, 3, "delta_orthogonal", gain=3.0, image=6, fan_in=16)], 9.0),
])  # fmt: skip
def test_upper_edge_of_any_widths(layers: list[Any], edge: float) -> None:
    assert propagate(layers, input_var=1.0).jacobian.largest == pytest.approx(edge, rel=1e-3)


@pytest.mark.parametrize("widths", [(600, 150, 600), (200, 400, 300, 500)])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_upper_edge_of_drawn_networks(widths: tuple[int, ...], activation: str) -> None:
    layers = [D(400), *[x for n in widths for x in (A(activation), D(n))]]
    found = []
    for seed in range(4):
        measured = simulate(layers, 2, repeats=1, seed=seed)
        assert measured.jacobian_largest is not None
        found.append(measured.jacobian_largest.value)
    # a finite width stays below the edge, by some n^(-2/3)
    assert 0.8 < np.mean(found) / propagate(layers).jacobian.largest < 1.02


@pytest.mark.parametrize(("image", "depth"), [(4, 2), (8, 5), (16, 20)])
def test_jacobian_meets_the_border_where_the_gradient_is_large(image: int, depth: int) -> None:
    """The way back through d layers of three taps on a line of n places, A their neighbours: 1' (A / 3)^d 1 / n."""
    layers = [C(64, 3, "he_normal", image=image, fan_in=64), A("relu"), *[C(64, 3, "he_normal"), A("relu")] * (depth - 1)]
    report = propagate(layers)
    taps = np.eye(image) + np.eye(image, k=1) + np.eye(image, k=-1)
    exact = (np.linalg.matrix_power(taps / 3.0, depth).sum() / image) ** 2
    assert report.jacobian.mean == pytest.approx(exact, rel=2e-3)
    assert report.jacobian.mean == pytest.approx(10**report.log10_input_gradient)
