"""The same of images, whose places differ: what is measured over draws, and its error bars."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from bands import BATCH, draws, spread

from fastinit import propagation as P

A, D, R = P.Activation, P.Dense, P.Residual
VALID: dict[str, Any] = {"padding": "valid"}


@pytest.mark.parametrize("norm", [P.LayerNorm(), P.RMSNorm()])
def test_norms_of_places_that_differ(norm: P.Layer) -> None:
    """Behind zero padding each place is divided by its own root of E x^2."""
    layers = [P.Conv(64, 5, image=9, fan_in=64), norm, A("relu"), P.Conv(64, 5, **VALID)]
    measured = P.simulate(layers, 64, repeats=8, jacobian=False)
    for row, found in zip(P.propagate(layers, batch=64).layers, measured.layers, strict=True):
        assert row.gradient == pytest.approx(found.gradient.value, rel=0.02), row.name


IMAGES: dict[str, list[P.Layer]] = {
    "3x3": [P.Conv(24, 3, image=8, fan_in=8), A("relu"), P.Conv(24, 3), A("relu"), P.Conv(24, 3)],
    "strides": [P.Conv(24, 3, image=12, fan_in=8, stride=2), A("gelu"), P.Conv(24, 3, stride=2), A("gelu"), P.Conv(24, 3)],
    "mean pool": [P.Conv(24, 3, image=8, fan_in=8), A("relu"), P.Pool(2), P.Conv(24, 3), A("relu"), P.Pool(2),
                  P.Conv(24, 1)],
    "max pool": [P.Conv(24, 3, image=10, fan_in=8, **VALID), A("relu"), P.Pool(2, "max"), P.Conv(24, 3, **VALID), A("relu"),
                 P.Pool(2, "max"), P.Conv(24, 1)],
    "mean over the pixels": [P.Conv(24, 3, image=8, fan_in=8), A("relu"), P.Conv(24, 3), A("relu"), D(10)],
    "all pixels as units": [P.Conv(24, 3, image=6, fan_in=8), A("relu"), P.Conv(24, 3), A("relu"), D(40, fan_in=864)],
    "residual": [P.Conv(24, 3, image=8, fan_in=24), *[R([A("relu"), P.Conv(24, 3)], scale=0.5)] * 4],
    "a line": [P.Conv(24, (5,), image=30, fan_in=8), A("relu"), P.Pool(3), P.Conv(24, (3,)), A("relu"), D(9)],
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_images(name: str) -> None:
    layers = IMAGES[name]
    names, values = draws(layers, repeats=60)
    report = P.propagate(layers, batch=BATCH)
    for i, row in enumerate(report.layers):
        for field, k in (("second", 0), ("gradient", 1)):
            logs = np.log10(values[:, i, k])
            low, high = getattr(row, f"log10_{field}_band")
            edge = 0.12 / math.log(10.0)  # zero padding, where pixels see fewer taps than the mean
            part = ((logs > low - edge) & (logs < high + edge)).mean()
            assert part >= 0.8, (names[i], field, part)


@pytest.mark.parametrize("name", IMAGES)
def test_weights_of_convolutions(name: str) -> None:
    """A weight's gradient sums over the places of an image, which are alike."""
    measured = P.simulate(IMAGES[name], BATCH, repeats=20, jacobian=False)
    report = P.propagate(IMAGES[name], batch=BATCH).with_measured(measured)
    for row in report.layers:
        if row.log10_weight_gradient is not None:
            assert "weight_gradient" not in row.outside(), row.name
            assert row.measured.weight_gradient.value == pytest.approx(10**row.log10_weight_gradient, rel=0.6), row.name


# Behind places with one gradient: what slopes and the inputs they depend on have in common adds up,
# strides keep places apart, and BatchNorm takes away what all places have in common.
SHARED: dict[str, list[P.Layer]] = {
    "mean pool": [P.Conv(64, 3, image=12, fan_in=3), A("relu"), P.Pool(2), D(10)],
    "max pool": [P.Conv(64, 3, image=12, fan_in=3), A("relu"), P.Pool(2, "max"), D(10)],
    "max pool, tanh": [P.Conv(64, 3, image=12, fan_in=3, **VALID), A("tanh"), P.Pool(2, "max"), P.Conv(64, 3),
                       A("relu"), D(10)],
    "strides": [P.Conv(32, 3, image=12, fan_in=3), A("relu"), P.Conv(48, 3, stride=2), A("relu"), P.Conv(64, 3, stride=2),
                A("relu"), D(10)],
    "norms": [P.Conv(64, 3, image=12, fan_in=8), P.BatchNorm(), A("relu"), P.Conv(64, 3), P.BatchNorm(), A("relu"), D(10)],
    "residual": [P.Conv(64, 3, image=12, fan_in=8), R([A("relu"), P.Conv(64, 3)]), A("relu"), P.Conv(64, 3, stride=2),
                 D(10)],
    "all pixels as units": [P.Conv(32, 3, image=8, fan_in=3), A("relu"), P.Conv(32, 3), A("relu"), P.Pool(2),
                            D(10, fan_in=512)],
}  # fmt: skip


@pytest.mark.parametrize("name", SHARED)
def test_weights_of_places_with_one_gradient(name: str) -> None:
    measured = P.simulate(SHARED[name], BATCH, repeats=24, jacobian=False)
    for row, found in zip(P.propagate(SHARED[name], batch=BATCH).layers, measured.layers, strict=True):
        if isinstance(row.log10_weight_gradient, float) and "Conv" in row.name:
            value, error = found.weight_gradient
            assert 10**row.log10_weight_gradient == pytest.approx(value, abs=3.0 * error + 0.1 * value), row.name


@pytest.mark.parametrize("kind", ["max", "mean"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_pools_of_alike_pixels(padding: str, kind: str) -> None:
    """Pools behind one another: pixels are alike, so that a maximum is smaller and a mean larger than of independent ones.

    Next to zero padding they are less alike. That is followed through one convolution: behind several on
    a small image, where most pixels are next to it, maxima are larger than the theory's by some 20 %.
    """
    n = {"valid": 16, "same": 12}[padding]
    conv = [P.Conv(64, 3, padding=padding), A("relu")]
    first = P.Conv(64, 3, image=n, fan_in=8, padding=padding)
    layers = [first, A("relu"), *conv, P.Pool(2, kind), *conv, P.Pool(2, kind)]
    _, values = draws(layers, 8, 24)
    for row, found in zip(P.propagate(layers, batch=8).layers, np.moveaxis(values[:, :, 0], 1, 0), strict=True):
        error = found.std() / math.sqrt(24)
        assert found.mean() == pytest.approx(row.second, abs=3.0 * error + 0.02 * row.second), row.name


@pytest.mark.parametrize(("activation", "convolutions", "behind"), [
    ("sigmoid", 3, [P.Conv(32, 1, "lecun_normal")]), ("sigmoid", 2, [P.Conv(32, 1, "lecun_normal")]),
    ("softplus", 3, [P.Conv(32, 1, "lecun_normal")]), ("sigmoid", 2, []),
])  # fmt: skip
def test_batch_norm_keeps_what_padding_made_unlike(activation: str, convolutions: int, behind: list[P.Layer]) -> None:
    """Inputs share what they have at the edges, which behind BatchNorm is no mean of theirs."""
    act = P.Activation(activation)
    first = P.Conv(32, 3, "lecun_normal", image=8, fan_in=16)
    layers = [first, act, *[P.Conv(32, 3, "lecun_normal"), act] * (convolutions - 1), *behind, P.BatchNorm(), act,
              P.Conv(32, 1, "lecun_normal")]  # fmt: skip
    report, measured = P.propagate(layers, batch=64), P.simulate(layers, 64, repeats=12, jacobian=False)
    row, found = report.layers[0], measured.layers[0]
    assert found.gradient is not None
    assert row.gradient == pytest.approx(found.gradient.value, rel=0.12, abs=3.0 * found.gradient.error)
    told, seen = report.layers[-3], measured.layers[-3]
    assert told.name.endswith("BatchNorm") and seen.correlation is not None
    assert told.correlation == pytest.approx(seen.correlation.value, abs=0.05)


@pytest.mark.parametrize("groups", [1, pytest.param(48, marks=pytest.mark.slow)])
def test_units_of_groups_see_few_inputs(groups: int) -> None:
    """sqrt(2 / (9 * 48)) over draws of a depthwise convolution, whatever the number of inputs."""
    layers: list[P.Layer] = [P.Conv(48, 3, groups=groups, image=8, fan_in=48, init="normal", std=1 / 3)]
    _, values = draws(layers, 8)
    row = P.propagate(layers, batch=8).layers[0]
    measured = np.log(values[:, 0, 0]).std()
    assert spread(row.log10_second_band) == pytest.approx(measured, rel=0.25)


def test_batch_norm_behind_large_orthogonal_kernels() -> None:
    """Their units' squared weights are all but the same; what the inputs have in common differs along the edges."""
    block = [P.Conv(16, 5, "orthogonal", bias_std=1.0), P.BatchNorm(), A("celu")]
    layers = [P.Conv(16, 5, "orthogonal", bias_std=1.0, image=8, fan_in=3), A("celu"), *block, *block]
    measured = P.simulate(layers, 32, repeats=12, jacobian=False)
    for row, found in zip(P.propagate(layers, batch=32).layers, measured.layers, strict=True):
        for told, seen in ((row.second, found.second), (row.gradient, found.gradient)):
            assert told == pytest.approx(seen.value, rel=0.08, abs=4.0 * seen.error), row.name


def test_batch_norm_behind_a_convolution_of_zeros() -> None:
    layers = [P.Conv(8, 3, image=6, fan_in=4), A("relu"), R([P.Conv(8, 3, "zeros"), P.BatchNorm()]), A("relu")]
    assert P.propagate(layers, batch=16).layers[3].second == 0.0


def test_maxima_at_the_border_of_stacked_convolutions() -> None:
    """Of 2 x 2 places no two see the same taps: the largest is positive more often."""
    layers = [P.Conv(128, 3, image=2, fan_in=64), A("relu"), P.Conv(128, 3), A("relu"), P.Pool(2, "max")]
    report = P.propagate(layers, batch=16)
    assert report.approximate == ("4: Pool",)
    measured = P.simulate(layers, 16, repeats=16, jacobian=False).layers
    assert measured[2].gradient is not None
    assert report.layers[2].gradient == pytest.approx(measured[2].gradient.value, rel=0.05)


def test_activations_of_few_alike_inputs_are_marked() -> None:
    """A unit of nine weights has a cosine of its own, far from that of a typical one."""
    stem = [P.Conv(64, 3, image=8, fan_in=16), P.Activation("relu"), P.Conv(64, 3, groups=64)]
    assert P.propagate([*stem, P.Activation("relu")]).approximate == ("3: Activation(relu)",)
    assert not P.propagate([*stem, P.BatchNorm(), P.Activation("relu")]).approximate
