"""Activations on the way of skip connections, whose inputs are no normal numbers; gradients along the signal."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastinit.propagation import Activation, BatchNorm, Conv, Dense, Layer, Pool, Residual, propagate, simulate
from fastinit.propagation._units import cells, quantiles

A, D = Activation, Dense


def chain(activation: str, branch: list[Layer], scale: float = 1.0, blocks: int = 6) -> list[Layer]:
    return [D(256), A(activation), *[Residual(branch, scale), A(activation)] * blocks, D(10, "lecun_normal")]


R = A("relu")
BLOCKS: dict[str, list[Layer]] = {
    "relu": chain("relu", [D(256), R, D(256)], blocks=3),
    "scaled": chain("relu", [D(256), R, D(256)], 0.3),
    "lecun": chain("relu", [D(256), R, D(256, "lecun_normal")], -1.0),
    "tanh": chain("tanh", [D(256), A("tanh"), D(256)], 0.5),
    "elu": chain("elu", [D(256), A("elu"), D(256, "lecun_normal")], 0.5),
    "before the weights": [D(256), *[R, Residual([R, D(256)])] * 4, D(10)],
    "tanh before the weights": [D(256), *[A("tanh"), Residual([A("tanh"), D(256)], 0.7)] * 4, D(10)],
    "BatchNorm": [D(256), BatchNorm(), R, *[Residual([D(256), BatchNorm(), R, D(256), BatchNorm()]), R] * 4, D(10)],
    "images": [Conv(64, 3, image=10, fan_in=3), BatchNorm(), R, Pool(2, "max"),
               *[Residual([Conv(64, 3), BatchNorm(), R, Conv(64, 3), BatchNorm()]), R] * 2, Conv(64, 3, padding="valid")],
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_with_an_activation_behind_the_sum(name: str) -> None:
    layers = BLOCKS[name]
    report, measured = propagate(layers, batch=64), simulate(layers, 64, repeats=24, jacobian=False)
    # a BatchNorm behind padding is approximate
    seconds, gradients, cosines = (0.08, 0.15, 0.1) if report.approximate else (0.04, 0.06, 0.06)
    for row, found in zip(report.layers, measured.layers, strict=True):
        for value, seen, rel in ((row.second, found.second, seconds), (row.gradient, found.gradient, gradients)):
            assert seen is not None
            assert value == pytest.approx(seen.value, rel=rel, abs=4.0 * seen.error), row.name
        if row.zero is not None:
            assert found.zero is not None
            assert row.zero == pytest.approx(found.zero.value, abs=0.015), row.name
        if row.width > 10:
            assert row.correlation == pytest.approx(found.correlation.value, abs=cosines), row.name


def test_a_relu_lets_pass_what_a_relu_has_let_pass() -> None:
    """Branches that end in zeros: one ReLU, however many follow."""
    layers = chain("relu", [D(256), R, D(256, "zeros")], blocks=40)
    report = propagate(layers, batch=64)
    rows = [row for row in report.layers if row.name.endswith("Activation(relu)") and "." not in row.name.split(":")[0]]
    assert len(rows) == 41
    for row in rows:
        assert row.second == pytest.approx(1.0, abs=1e-3)
        assert row.zero == pytest.approx(0.5, abs=1e-9)
        assert row.correlation == pytest.approx(1 / math.pi, abs=1e-3)
    assert report.log10_gradient_ratio == pytest.approx(-math.log10(2.0), abs=0.06)
    assert report.approximate == ()


@pytest.mark.parametrize("name", ["hardtanh", "relu6"])
def test_what_is_cut_off_stays_cut_off(name: str) -> None:
    """Units on the kink where they were cut off let no gradient pass again."""
    layers = [D(128, "normal", std=0.2, fan_in=128), A(name), Residual([D(128), A("tanh"), D(128, "zeros")]), A(name)]
    report, measured = propagate(layers, batch=64), simulate(layers, 64, repeats=8, jacobian=False)
    for row, found in zip(report.layers, measured.layers, strict=True):
        assert found.gradient is not None
        assert row.gradient == pytest.approx(found.gradient.value, rel=0.02, abs=4.0 * found.gradient.error), row.name


def test_quantiles_keep_weights_and_mean_squares() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(20, 30)), rng.uniform(size=(20, 30))
    found, at_cell = quantiles(values, weights)
    assert (np.diff(found[np.abs(found) < 2.0]) >= -1e-9).all()
    order = np.argsort(values, axis=None)
    assert (np.diff(at_cell.ravel()[order]) >= 0).all()
    total = float((weights * values**2).sum() / weights.sum())
    assert float(cells()[1] @ found**2) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize(("activation", "n", "depth"), [
    ("tanh", 32, 150), *(pytest.param(*case, marks=pytest.mark.slow) for case in (("sin", 32, 150), ("softsign", 64, 300))),
])  # fmt: skip
def test_deep_narrow_gradients_stay_near_wide_ones(activation: str, n: int, depth: int) -> None:
    """The part of a gradient along the signal is never less than nothing, however deep."""
    narrow, wide = (propagate([D(k, "lecun_normal"), A(activation)] * depth, batch=64) for k in (n, 10**6))
    assert narrow.log10_gradient_ratio == pytest.approx(wide.log10_gradient_ratio, abs=1.5)


ORTHOGONAL = [("tanh", 1.05, 64, 20), ("selu", 1.0, 64, 20), ("elu", 1.2, 64, 15), ("relu", 2**0.5, 64, 20)]


@pytest.mark.parametrize(("activation", "gain", "n", "depth"), ORTHOGONAL)
def test_gradients_through_orthogonal_weights(activation: str, gain: float, n: int, depth: int) -> None:
    layers = [D(n, "orthogonal", gain=gain), A(activation)] * depth
    measured = simulate(layers, 64, repeats=48, jacobian=False).layers[0].gradient
    assert measured is not None
    told = propagate(layers, batch=64).layers[0].gradient
    assert told == pytest.approx(measured.value, rel=0.02, abs=3.0 * measured.error)


@pytest.mark.parametrize("head", [[D(10, "zeros")], [D(10, "zeros"), A("sigmoid")]])
def test_a_head_of_zeros_learns_first(head: list[Layer]) -> None:
    report = propagate([D(256), R] * 4 + head)
    assert report.level == "good", report.verdict
    assert report.silent_head
    assert not report.symmetric
    assert report.layers[0].gradient == 0.0  # in the first step
    assert "The last layer starts at zero: in the first step it alone learns." in report.reasons
    hidden = propagate([D(256, "zeros"), R, *head])
    assert hidden.level == "bad"
    assert hidden.symmetric
