"""What a remedy promises is what its words, taken literally, give."""

from __future__ import annotations

import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from fastinit.propagation import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Gated,
    Layer,
    LayerNorm,
    Pool,
    Remedy,
    Residual,
    RMSNorm,
    propagate,
)

A, D = Activation, Dense
RNG = np.random.default_rng(0)
LOW = np.full(64, -1.0)


def given(bias: bool) -> list[Layer]:
    chain: list[Layer] = []
    for _ in range(12):
        chain += [D(weight=0.05 * RNG.standard_normal((64, 64)), bias=LOW if bias else None), A("relu")]
    return chain


NETS: dict[str, list[Layer]] = {
    "biases of -1": [D(64, "xavier_normal", bias=LOW), A("relu")] * 20,
    "large random biases": [D(256, "xavier_normal", bias_std=1.0), A("relu")] * 30,
    "no biases": [D(256, "xavier_normal"), A("relu")] * 30,
    "tanh with biases": [D(256, "normal", std=0.02, bias_std=0.05**0.5), A("tanh")] * 60,
    "saturated tanh": [D(256, "normal", std=0.5, bias=np.full(256, 0.5)), A("tanh")] * 20,
    "linear with biases": [D(64, "normal", std=0.02, bias_std=0.1)] * 20,
    "gelu with biases": [D(512, "xavier_normal", bias_std=0.1), A("gelu")] * 40,
    "selu": [D(512, "normal", std=0.02, bias_std=0.3), A("selu")] * 30,
    "given weights": given(False),
    "given weights and biases": given(True),
    "positive weights": [D(64, "uniform", low=0.0, high=0.1), A("tanh")] * 6,
    "given positive weights": [D(weight=RNG.uniform(0.0, 0.1, (64, 64))), A("tanh")] * 6,
    "given positive weights in bfloat16": [
        D(weight=RNG.uniform(0.0, 0.1, (256, 256)).astype(ml_dtypes.bfloat16)), A("tanh")] * 6,
    "some given": [*given(True), *[D(64, "normal", std=0.3, bias_std=0.2), A("relu")] * 8],
    "convolutions": [Conv(32, 3, "xavier_normal", bias_std=0.5, image=16), A("relu")] * 12,
    "dropout": [D(512, "he_normal"), A("relu"), Dropout(0.5)] * 30,
    "dropout and biases": [D(512, "he_normal", bias_std=0.3), A("relu"), Dropout(0.2)] * 40,
    "residual": [D(64), *[Residual([A("relu"), D(64, bias_std=0.5)])] * 30],
    "gated": [D(512, "lecun_normal"), Residual([RMSNorm(), Gated(512, init="normal", std=1.0)])],
    "gated alone": [Residual([RMSNorm(), Gated(512, init="normal", std=1.0, bias_std=0.1)])] * 4,
    "sigmoid behind LayerNorm": [D(64), LayerNorm(), A("sigmoid")] * 20,
    "abs behind BatchNorm": [D(64), BatchNorm(), A("abs")] * 20,
    "softplus from zero": [D(64, "zeros"), A("softplus")] * 20,
    "norms": [D(64, "lecun_normal"), *[Residual([LayerNorm(), D(64, "normal", std=2.0, bias_std=1.0), A("gelu")])] * 10],
}  # fmt: skip


def literally(layers: list[Layer], change: str) -> list[Layer]:
    """The words, applied to every layer with weights."""
    if scaled := re.match(r"give the \d+ residual branch(?:es)? the scale .* = ([\d.e-]+)$", change):
        return [Residual(x.layers, float(scaled[1]), x.skip) if isinstance(x, Residual) else x for x in layers]
    if change.startswith("leave the normalizations out, and "):
        layers = [x for x in layers if not isinstance(x, LayerNorm)]
    return [_changed(x, change) for x in layers]


def _changed(layer: Layer, change: str) -> Layer:
    if isinstance(layer, Residual):
        return Residual(literally(list(layer.layers), change), layer.scale, layer.skip)
    if isinstance(layer, A):
        return A("leaky_relu", negative_slope=0.1) if change.startswith("leaky_relu") else layer
    if not isinstance(layer, (D, Conv, Gated)):
        return layer
    std = re.search(r"and bias_std ([\d.e-]+)", change)
    biases: dict[str, Any] = {"bias_std": float(std[1]) if std else layer.bias_std}
    if "zero biases" in change:
        biases = {"bias_std": 0.0}
    elif not std and (bias := getattr(layer, "bias", None)) is not None:
        biases = {"bias": bias}
    if scaled := re.search(r"multiply each weight so that sigma_w2 = ([\d.e-]+)", change):
        weight = getattr(layer, "weight", None)
        if weight is not None:
            wide = np.asarray(weight, np.float64)
            wide = wide - wide.mean() if "subtract the mean of each given array" in change else wide
            return D(weight=wide * (float(scaled[1]) / len(wide) / np.mean(wide**2)) ** 0.5, **biases)
    law = re.search(r"init '(\w+)'(?: with (\w+) ([\d.e-]+))?", change)
    assert law is not None
    more: dict[str, Any] = {law[2]: float(law[3])} if law[2] else {}
    if isinstance(layer, Gated):
        return Gated(layer.hidden, layer.width, layer.activation, law[1], **biases, **more)
    if isinstance(layer, Conv):
        return Conv(layer.width, layer.kernel, law[1], image=layer.image, **biases, **more)
    return D(layer.width, law[1], **biases, **more)


@pytest.mark.parametrize("name", NETS)
def test_the_words_give_what_they_promise(name: str) -> None:
    layers = NETS[name]
    before = propagate(layers, batch=np.ones((2, 512)) if name == "gated alone" else 256)
    remedy = before.remedy
    assert isinstance(remedy, Remedy), before.verdict
    after = propagate(literally(layers, remedy.change), batch=np.ones((2, 512)) if name == "gated alone" else 256)
    assert after.level == remedy.level
    assert after.log10_gradient_ratio == pytest.approx(remedy.log10_gradient_ratio, abs=0.02)
    assert after.log10_signal_ratio == pytest.approx(remedy.log10_signal_ratio, abs=0.02)
    assert after.dead == pytest.approx(remedy.dead, abs=0.002)
    if remedy.bias_std is not None:
        rows = [row for row in after.layers if row.sigma_b2 is not None]
        assert {round(row.sigma_b2**0.5, 3) for row in rows if row.sigma_b2 is not None} == {round(remedy.bias_std, 3)}
    if after.level == "good":
        assert after.remedy is None
    assert after.level != "bad"


def test_dropped_biases_are_said() -> None:
    biased = propagate(NETS["biases of -1"]).remedy
    plain = propagate(NETS["no biases"]).remedy
    assert biased is not None and biased.change == "init 'he_normal' and zero biases: sigma_w 1.414 (exact gain)"
    assert plain is not None and "bias" not in plain.change
    assert (biased.bias_std, plain.bias_std) == (0.0, 0.0)


def test_dropout_and_gates_have_remedies() -> None:
    dropout = propagate(NETS["dropout"]).remedy
    assert dropout is not None and dropout.level == "good"
    assert dropout.change == "init 'lecun_normal': sigma_w 1 (exact gain under dropout)"
    gated = propagate(NETS["gated"]).remedy
    assert gated is not None and gated.level == "good" and gated.change.startswith("init 'lecun_normal'")


BEYOND: dict[str, list[Layer]] = {
    "squares of float64": [D(64), A("squared_relu"), Pool(2, "max"), D(64), A("squared_relu")] * 6,
    "what a function takes": [D(64), A(lambda x: x**3 / 4)] * 10,
    "logarithms": [Conv(16, 5, "he_normal", image=8, fan_in=3), A("celu"),
                   *[Conv(16, 5, "normal", std=0.2, bias_std=0.1), BatchNorm(), A("celu")] * 7,
                   D(10, "lecun_uniform", bias_std=1.5)],
}  # fmt: skip


@pytest.mark.parametrize("name", BEYOND)
def test_changes_that_leave_the_range_are_no_remedies(name: str) -> None:
    remedy = propagate(BEYOND[name], batch=64).remedy
    assert remedy is None or np.isfinite(remedy.log10_gradient_ratio)
