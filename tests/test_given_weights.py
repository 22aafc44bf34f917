"""Weights given as arrays: what their sums do, and where they depend on those before, as trained ones do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fastinit import propagation as P
from fastinit.propagation import Activation, Conv, Dense, LayerNorm, Report, propagate, simulate
from fastinit.propagation._given import aligned

A, D = Activation, Dense


@pytest.mark.parametrize("offset", [0.0, -0.02])
def test_units_with_sums_of_their_own(offset: float) -> None:
    """Inputs with a mean give each unit a mean of its own, by the sum of its weights."""
    rng = np.random.default_rng(0)
    x = rng.random((64, 256))
    w = rng.normal(0.0, 0.06, (256, 128)) + rng.normal(0.0, 0.03, 128) + offset
    report = propagate([D(weight=w), A("relu"), D(10)], batch=x)
    h = x @ w
    f = np.maximum(h, 0.0)
    for row, value in zip(report.layers, (h, f), strict=False):
        assert row.log10_second == pytest.approx(math.log10((value**2).mean()), abs=0.05)
    assert report.layers[1].dead == pytest.approx((h <= 0.0).all(0).mean(), abs=0.05)
    unit = h / np.linalg.norm(h, axis=1, keepdims=True)
    cosine = ((unit.sum(0) ** 2).sum() - 64) / (64 * 63)
    assert report.layers[0].correlation == pytest.approx(cosine, abs=0.01)
    scaled = propagate([D(weight=2.0 * w)], batch=x).layers[0].log10_second
    assert scaled == pytest.approx(report.layers[0].log10_second + math.log10(4.0))


@pytest.mark.parametrize("shape", [(64, 64, 64), (300, 100, 200), (200, 40, 1), (2, 64, 8), (3, 3, 8, 16, 32)])
def test_independent_weights_are_not_called_aligned(shape: tuple[int, ...]) -> None:
    *outer, n, m = shape
    rng = np.random.default_rng(0)
    for draw in range(20):
        a = rng.standard_normal((*outer, n)).astype(np.float32)
        b = rng.standard_normal((*outer[:-1], n, m)) + (3.0 if draw % 2 else 0.0)
        assert not aligned(a, b, (0.0, 3.0 if draw % 2 else 0.0))
    zero = np.zeros((*outer, n))
    assert not aligned(zero, b, (0.0, 0.0))


@pytest.mark.parametrize("rows", [32, 200])
@pytest.mark.parametrize("kernel", [(), (3, 3)])
def test_weights_that_follow_others_are_marked(rows: int, kernel: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    a = rng.standard_normal((*kernel, rows, 100))
    _, _, vt = np.linalg.svd(a.reshape(-1, 100), full_matrices=False)
    b = rng.standard_normal((*kernel, 100, 80)) + 30.0 * np.outer(vt[0], rng.standard_normal(80))
    assert aligned(a, b, (0.0, 0.0))
    layer = (lambda w: Conv(weight=w, image=8)) if kernel else (lambda w: D(weight=w))
    layers = [layer(a), A("relu"), layer(b)]
    names = [r.name for r in propagate(layers).layers]
    assert propagate(layers).approximate == (names[2],)
    assert propagate([layer(a), A("relu"), layer(rng.permuted(b, axis=-2))]).approximate == ()


def trained() -> tuple[list[np.ndarray], np.ndarray]:
    """Two hidden layers after steps of gradient descent on a linear target, in NumPy."""
    rng = np.random.default_rng(0)
    x, teacher = rng.standard_normal((512, 32)), rng.standard_normal((32, 4))
    y = np.tanh(x @ teacher / 2.0)
    ws = [rng.standard_normal((n, m)) * math.sqrt(2.0 / n) for n, m in ((32, 64), (64, 64), (64, 4))]
    for _ in range(400):
        values = [x]
        for w in ws[:-1]:
            values.append(np.maximum(values[-1] @ w, 0.0))
        g = (values[-1] @ ws[-1] - y) / len(x)
        for k in (2, 1, 0):
            step = values[k].T @ g
            g = (g @ ws[k].T) * (values[k] > 0.0)
            ws[k] = ws[k] - 0.3 * step
    return ws, x


def test_trained_weights() -> None:
    """Their ratio is not that of independent ones: said, and where it was measured the verdict goes by that."""
    ws, x = trained()
    layers = [layer for w in ws for layer in (D(weight=w), A("relu"))][:-1]
    report = propagate(layers, batch=x)
    assert "4: Dense(4)" in report.approximate
    assert any("simulate to be sure" in reason for reason in report.reasons)
    seen = report.with_measured(simulate(layers, x, repeats=4, jacobian=False))
    h = [x @ ws[0]]
    for w in ws[1:]:
        h.append(np.maximum(h[-1], 0.0) @ w)
    exact = 0.0
    for one, two in zip(h[0], h[1], strict=True):
        j = (ws[1] * (one > 0.0)[:, None]) @ (ws[2] * (two > 0.0)[:, None])
        exact += float((j**2).sum()) / 4.0 / len(x)
    assert seen.measured_gradient_ratio is not None and seen.measured_signal_ratio is not None
    assert seen.measured_gradient_ratio.value == pytest.approx(math.log10(exact), abs=0.05)
    signal = math.log10((h[-1] ** 2).mean() / (h[0] ** 2).mean())
    assert seen.measured_signal_ratio.value == pytest.approx(signal, abs=1e-3)
    assert not any("simulate to be sure" in reason for reason in seen.reasons)
    assert "measured gradient ratio  log10" in seen.table()


def planted(n: int = 64) -> np.ndarray:
    """Of one direction that the product of many keeps, which moments do not tell."""
    rng = np.random.default_rng(0)
    u = rng.choice([-1.0, 1.0], n)
    return 0.8 * rng.standard_normal((n, n)) / math.sqrt(n) + 0.6 * np.outer(u, u) / math.sqrt(n)


def seen(layers: list[P.Layer], batch: Any = 256, dtype: str = "float32") -> tuple[Report, Report]:
    plain = propagate(layers, batch=batch, dtype=dtype)
    return plain, plain.with_measured(simulate(layers, batch, dtype=dtype, jacobian=False))


def test_infinities_and_zeros_that_are_measured() -> None:
    plain, report = seen([D(weight=planted())] * 20, dtype="float16")
    assert plain.level != "bad" and report.level == "bad"
    assert report.reasons[0] == "As measured, outputs of 13: Dense(64) are infinite or not a number (1 of all)."
    rng = np.random.default_rng(1)
    one, two, three = (rng.standard_normal((64, 64)) / 8.0 for _ in range(3))
    two[:, 32:], three[:32] = 0.0, 0.0  # a product of zeros
    plain, report = seen([D(weight=w) for w in (one, two, three)])
    assert plain.level == "good" and report.reasons[0] == "As measured, no gradient reaches the first layer."
    _, silent = seen([D(64), A("relu"), D(10, "zeros")])
    assert silent.level == "good" and silent.measured_gradient_ratio is None
    assert "measured gradient ratio  -\n" in silent.table()


def test_no_remedy_by_numbers_that_are_refuted() -> None:
    _, report = seen([D(weight=planted())] * 24)
    assert report.measured_gradient_ratio is not None and report.measured_gradient_ratio.value > 10.0
    assert report.level == "bad" and report.remedy is None and "exploding" in report.verdict
    assert any("as measured, by" in reason for reason in report.reasons)  # the signal's ratio too
    halved, again = seen([D(256, "xavier_normal"), A("relu")] * 12)
    assert halved.remedy is not None and again.remedy == halved.remedy


def test_one_draw_of_a_narrow_network_refutes_nothing() -> None:
    layers: list[P.Layer] = [D(3, "lecun_normal")] * 12
    plain = propagate(layers)
    for seed in range(40):
        report = plain.with_measured(simulate(layers, 64, seed=seed, repeats=1 + seed % 2, jacobian=False))
        assert report.level != "bad", report.reasons


def test_explosions_behind_the_last_norm() -> None:
    layers = [D(64), LayerNorm(), A("tanh")] * 3 + [D(weight=planted())] * 6 + [D(10, "lecun_normal")]
    plain, report = seen(layers)
    assert plain.level == "good" and plain.log10_bare_ratio is not None and abs(plain.log10_bare_ratio) < 0.5
    assert report.level == "bad"


def test_means_over_pixels_take_nothing_from_what_explodes() -> None:
    x = np.broadcast_to(np.random.default_rng(0).standard_normal((32, 1, 1, 3)), (32, 16, 16, 3))
    layers = [Conv(64, image=16), *[Conv(weight=planted()[None, None])] * 3, P.Pool(2), D(10)]
    plain, report = seen(layers, x)
    assert plain.log10_pooled > 2.0 and report.measured_gradient_ratio is not None
    assert abs(report.measured_gradient_ratio.value) < 1.0 and report.level == "good"
    assert "over pixels" not in report.verdict


def test_inputs_of_few_features_are_marked() -> None:
    """Two inputs of one feature are alike or opposite: the mean cosine, 0, does not tell that behind a ReLU."""
    rng = np.random.default_rng(0)
    layers = [D(256, fan_in=1), A("relu"), D(256), A("relu"), D(4)]
    assert "1: Activation(relu)" in propagate(layers).approximate
    even, uneven = rng.standard_normal((2, 64, 13))
    uneven[:, 0] *= 100.0
    marked = [propagate([D(256, fan_in=13), A("relu"), D(1)], batch=x).approximate for x in (even, uneven)]
    assert marked == [(), ("1: Activation(relu)",)]


def test_the_verdict_heeds_what_is_measured() -> None:
    """Theory of independent weights, and weights that are one and the same orthogonal matrix and its inverse."""
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((64, 64)))[0] * np.geomspace(1.0, 30.0, 64)
    layers = [D(weight=q), D(weight=q.T @ np.eye(64))] * 2

    def judged() -> Report:
        return propagate(layers).with_measured(simulate(layers, 64, repeats=2, jacobian=False))

    report, plain = judged(), propagate(layers)
    assert report.measured_gradient_ratio is not None
    assert abs(report.measured_gradient_ratio.value - plain.log10_gradient_ratio) > 0.5
    assert "log10 ratio as measured" in "".join(report.reasons)
    assert report.to_dict()["measured_gradient_ratio"]["value"] == report.measured_gradient_ratio.value
    he = [D(256), A("relu")] * 8
    fine = propagate(he).with_measured(simulate(he, 64, repeats=4))
    assert fine.reasons == propagate(he).reasons and fine.level == "good"
    assert fine.measured_gradient_ratio is not None and abs(fine.measured_gradient_ratio.value) < 0.5
