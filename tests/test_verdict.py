"""Verdicts: what they say of whole networks, and the change that they name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from networks import fifty

from fastinit.propagation import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Gated,
    LayerNorm,
    Pool,
    Report,
    Residual,
    moments,
    propagate,
    simulate,
)
from fastinit.propagation._verdict import THRESHOLDS

A, D = Activation, Dense


def test_batch_norm_over_few_numbers() -> None:
    for batch, level, words in ((1, "bad", "BatchNorm over 1 number gives 0"), (2, "bad", "BatchNorm over 2 numbers"),
                                (3, "bad", "have no mean"), (4, "warn", "scatter"), (8, "good", "")):  # fmt: skip
        report = propagate([D(256), BatchNorm(), A("relu")] * 4, batch=batch)
        assert (report.batch_norm, report.level) == (batch, level)
        assert words in report.reasons[0]
    image = [Conv(16, 3, image=8, fan_in=3), BatchNorm(), A("relu")]
    assert propagate(image, batch=1).batch_norm == 64 and propagate([D(8)]).batch_norm is None


def test_cosines_count_as_the_network_leaves_them() -> None:
    """At the limit of gelu with biases all inputs are the same, which ten layers are far from."""
    bare, biased = (propagate([D(256, bias_std=b), A("gelu")] * 10 + [D(10)]) for b in (0.0, 1e-3))
    assert biased.scales is not None and biased.depth > 6.0 * biased.scales.xi_c
    assert biased.layers[-1].correlation == pytest.approx(bare.layers[-1].correlation, abs=1e-4)
    assert bare.level == biased.level == "good"
    deep = propagate([D(256, "lecun_normal", bias_std=0.3), A("tanh")] * 30)
    assert deep.level == "bad" and any(r.startswith("All inputs become the same: the cosine") for r in deep.reasons)
    shallow = propagate([D(256, "xavier_normal"), A("sigmoid")] * 2 + [D(10, "xavier_normal")])
    assert any("from 0.00 to 0.99" in r for r in shallow.reasons) and shallow.level == "warn"
    given = np.random.default_rng(0).standard_normal((64, 1)) + 1e-3 * np.random.default_rng(1).standard_normal((64, 256))
    alike = propagate([D(256, "lecun_normal", bias_std=0.3), A("tanh")] * 4, batch=np.abs(given))
    assert not any("All inputs" in r for r in alike.reasons)  # they were before
    lone = propagate([D(256, "xavier_normal"), A("sigmoid")] * 4, batch=1)
    assert not any("All inputs" in r for r in lone.reasons)


@pytest.mark.parametrize("gain", [0.0, 1e-6, 0.01, 1.0])
def test_small_last_layers_learn_first(gain: float) -> None:
    def policy(gain: float) -> Report:
        trunk = [D(64, "orthogonal", gain=2.0**0.5), A("tanh")] * 2
        return propagate([D(64, "orthogonal", gain=2.0**0.5, fan_in=17), A("tanh"), *trunk, D(6, "orthogonal", gain=gain)])

    report = policy(gain)
    assert report.level == "good", report.verdict
    if 0.0 < gain < 1.0:
        assert report.log10_head == pytest.approx(2.0 * math.log10(1.0 / gain) + math.log10(2.0 * 17 / 64), abs=1e-6)
        assert report.log10_gradient_ratio == pytest.approx(policy(1.0).log10_gradient_ratio + 2.0 * math.log10(gain))
        assert "of which the small last layer" in report.reasons[0]
    assert policy(0.3).log10_head == 0.0  # less than ten times as small
    explodes = propagate([D(256, "normal", std=0.2), A("relu")] * 3 + [D(10, "normal", std=1e-4)])
    assert explodes.level == "warn" and "larger (exploding)" in explodes.reasons[0]
    silent = propagate([D(256), A("relu"), D(256, "normal", std=1e-4), A("relu"), D(10, "zeros")])
    assert silent.level == "bad" and silent.log10_head == 0.0  # that one is hidden
    lost = propagate([D(64, "normal", std=0.01), A("tanh")] * 5 + [D(6, "normal", std=0.001)])
    assert lost.level == "bad" and lost.remedy is not None


def test_weights_in_front_of_norms_bear_larger_gradients() -> None:
    """SGD trains 20 layers of ReLU behind BatchNorm to 97 % on digits, 35 slowly, 50 hardly."""
    chains = {depth: propagate([D(128), BatchNorm(), A("relu")] * depth + [D(10)]) for depth in (20, 35, 60)}
    assert [r.level for r in chains.values()] == ["good", "warn", "bad"]
    assert all(r.log10_bare_ratio == 0.0 for r in chains.values())
    late = propagate([D(128), A("relu"), BatchNorm()] * 20 + [D(10)])  # which takes the scale away too
    assert late.log10_gradient_ratio > 3.0 and late.level == "warn" and late.log10_bare_ratio == 0.0
    curved = propagate([D(128), A("gelu"), BatchNorm()] * 20 + [D(10)])
    assert curved.log10_bare_ratio is None
    plain = propagate([D(128, "normal", std=0.15), A("relu")] * 20 + [D(10)])
    assert plain.log10_gradient_ratio > 1.0 and plain.log10_bare_ratio is None and plain.level != "good"
    behind = propagate([D(128), BatchNorm(), A("relu")] * 10 + [D(128, "xavier_normal"), A("relu")] * 11 + [D(10)])
    assert behind.level == "bad" and "first layer without a norm behind it" in behind.reasons[0]
    branch = [D(128), BatchNorm(), A("relu"), D(128)]
    for ends, bare in (([BatchNorm()], 0.0), ([], None)):
        blocks = [Residual([*branch, *ends]), A("relu")] * 4
        report = propagate([D(128), BatchNorm(), A("relu"), *blocks, D(10)])
        first = next(r for r in report.layers if r.name == "3: Residual").log10_gradient
        last = report.layers[-1].log10_gradient
        want = bare if bare is not None else first - last + math.log10(128 / 10)
        assert report.log10_bare_ratio == pytest.approx(want)


def test_inputs_that_stay_alike() -> None:
    """SGD and Adam fail with digits + 100, of cosine 0.99995, and train behind a BatchNorm."""
    x = np.random.default_rng(0).standard_normal((64, 64))
    leaky = [layer for _ in range(5) for layer in (D(128), A("leaky_relu", negative_slope=0.1))]
    for mean, level in ((0.0, "good"), (3.0, "good"), (10.0, "warn"), (100.0, "bad")):
        report = propagate([*leaky, D(10)], batch=x + mean)
        assert report.level == level, report.verdict
        assert ("subtract their mean" in report.verdict) == (level != "good")
    normed = [layer for _ in range(5) for layer in (D(128), BatchNorm(), A("relu"))]
    assert propagate([*normed, D(10)], batch=x + 100.0).level == "good"
    normal = [LayerNorm(), Residual([D(64, "normal", std=1e-5)]), Residual([D(64)])]
    assert not any("signal" in reason for reason in propagate(normal).reasons)  # branches are no layers of the ratio
    lost = [D(64), LayerNorm(), D(64), *[D(64, "normal", std=1e-3)] * 3]
    assert any("The signal shrinks: log10 E x^2 changes by -12" in reason for reason in propagate(lost).reasons)
    twice = propagate(leaky, batch=np.ones((2, 64)))
    assert "alike" not in twice.verdict  # the same on purpose


def test_the_docstring_has_the_limits() -> None:
    text = " ".join((propagate.__doc__ or "").split())
    said = {"alike": "0.02, 0.0005", "batch_norm": "1/8, 1/4", "overflow": "0.1 %"}
    for name, (warn, bad) in THRESHOLDS.items():
        part = f"{warn:.0%}, {bad:.0%}".replace("%", " %") if bad < 1.0 else f"{warn:g}, {bad:g}"
        assert said.get(name, part) in text, name
    assert [round(1.0 / limit, 6) for limit in THRESHOLDS["alike"]] == [0.02, 0.0005]
    assert THRESHOLDS["batch_norm"] == (1 / 8, 1 / 4) and THRESHOLDS["overflow"] == (1e-3, 1e-3)


def test_typical_draws() -> None:
    """Half of all draws of a narrow network lie far below their mean; of some the deviation is an upper bound alone."""
    narrow = propagate([D(6), A("relu")] * 12)
    less = 0.5 * math.log(10.0) * narrow.log10_gradient_ratio_sd**2
    assert narrow.log10_typical_ratio == pytest.approx(narrow.log10_gradient_ratio - less) and less > 1.0
    assert any("half of all draws" in reason for reason in narrow.reasons)
    parted = propagate([D(128), A("gelu")] * 20 + [D(10)])
    images = propagate([Conv(16, 3, image=8, fan_in=1), A("relu"), *[Conv(16, 3), A("relu")] * 29, D(10)])
    for report in (parted, images):
        assert report.log10_gradient_ratio_sd > 1.0
        assert report.log10_typical_ratio == report.log10_gradient_ratio
        assert "half of all draws" not in report.verdict


def test_verdicts_of_fifty_layers() -> None:
    zeros = fifty("relu", "zeros")
    assert zeros.level == "bad" and zeros.symmetric and "dead" in zeros.verdict and "symmetric" in zeros.verdict
    small = fifty("relu", "normal", std=0.01)
    assert small.level == "bad" and "vanishing" in small.verdict
    assert fifty("relu", "uniform", low=-1, high=1).log10_gradient_ratio > 90
    saturated = fifty("tanh", "uniform", low=-1, high=1)
    assert "exploding" in saturated.verdict and "saturated" in saturated.verdict
    halved = fifty("relu", "xavier_normal")
    assert halved.log10_gradient_ratio == pytest.approx(-49 * math.log10(2))
    assert halved.remedy is not None and "he_normal" in halved.remedy.change
    # what is promised after the change is what the changed network gives
    he = fifty("relu", "he_normal")
    assert halved.remedy.log10_gradient_ratio == pytest.approx(he.log10_gradient_ratio, abs=1e-9)
    assert (halved.remedy.dead, halved.remedy.level) == (he.dead, he.level)
    assert he.level != "bad" and he.phase == "critical"
    assert fifty("tanh", "xavier_normal").phase == "critical"
    assert fifty("tanh", "he_normal").phase == "chaotic"
    ten = propagate([D(512), A("relu")] * 10)
    assert ten.level == "good" and ten.remedy is None
    ten.assert_trainable("good")


def test_symmetric_weights_and_narrow_heads() -> None:
    assert propagate([D(8, "constant", value=0.1), A("tanh"), D(1)]).level == "bad"
    assert not propagate([D(8), A("tanh"), D(1, "constant", value=0.1)]).symmetric
    fixup = propagate([D(64), *[Residual([D(64), A("relu"), D(64, "zeros")])] * 10])
    assert fixup.level == "good"  # a branch may start at zero


def test_weights_with_a_mean() -> None:
    r = propagate([D(256, "uniform", low=0.0, high=0.1), A("tanh")] * 5)
    assert r.level == "bad" and "Weights have a mean: up to 100% of E h^2 is one number" in r.verdict
    assert r.remedy is not None and r.remedy.level == "good"
    # behind the second matrix a unit's input is a sum of what all share, far from Gaussian
    assert "1: Activation(tanh)" not in r.approximate and "3: Activation(tanh)" in r.approximate
    assert r.shared > 0.99 > propagate([D(256, "uniform", low=-0.04, high=0.1), A("tanh")] * 2).shared > 0.5
    assert propagate([D(256), A("sigmoid")] * 5).shared < 1e-9  # means that all inputs have are another thing
    x = np.random.default_rng(0).standard_normal((2000, 256))
    h = x @ np.random.default_rng(1).uniform(0.0, 0.1, (256, 256))
    first = propagate([D(256, "uniform", low=0.0, high=0.1), A("tanh")])
    assert first.shared == pytest.approx((h.mean(1) ** 2).mean() / (h**2).mean(), rel=0.1)


def test_remedies() -> None:
    r = propagate([D(64), *[Residual([A("relu"), D(64)])] * 30])
    assert r.level == "bad" and r.remedy is not None and "1/sqrt(30)" in r.remedy.change
    given = [D(weight=np.random.default_rng(i).standard_normal((64, 64)) * 0.05) for i in range(20)]
    r = propagate([x for d in given for x in (d, A("relu"))])
    assert r.remedy is not None and "multiply each weight so that sigma_w2 = 2" in r.remedy.change
    half = propagate([D(64, "variance_scaling", scale=1.9), A("relu")] * 100, dtype="float16")
    assert half.remedy is not None and half.remedy.change == "init 'orthogonal' with gain 1.414 (exact gain)"
    biased = propagate([D(512, "normal", std=0.02, bias_std=0.05**0.5), A("tanh")] * 60)
    assert biased.remedy is not None and biased.remedy.level == "good"


def test_loss_scale_and_half_precision() -> None:
    r = propagate([D(64, "variance_scaling", scale=1.0), A("relu")] * 45, dtype="float16")
    assert r.gradient_underflow["float16"] > 0.1
    assert r.loss_scale is not None and math.log2(r.loss_scale) == int(math.log2(r.loss_scale))
    smallest = min(x.log10_gradient for x in r.layers)
    assert 10 ** (0.5 * smallest) * r.loss_scale >= 2.0**-20
    gated = [D(32, fan_in=32), Gated(64, 32, "silu"), Gated(64, 32, "silu")]
    assert propagate(gated, batch=2, dtype="float16").loss_scale is None  # nothing below 1
    over = propagate([D(64, "normal", std=1.0), A("relu")] * 8, dtype="float16")
    assert over.level == "bad" and "overflow float16" in over.verdict and over.overflow["float32"] == 0.0


def test_narrow_layers_leave_the_range_by_chance() -> None:
    """The mean square of a deep narrow network is scattered over many decades."""
    layers = [D(64, "variance_scaling", scale=1.2), A("relu")] * 60 + [D(64)]
    told = propagate(layers, dtype="float16").layers[-1].underflow["float16"]
    found = simulate(layers, 64, repeats=60, dtype="float16", jacobian=False).layers[-1].zero
    assert found is not None
    assert told == pytest.approx(found.value, abs=4.0 * found.error) and found.value > 0.15
    assert 1e-4 < propagate([D(16, "variance_scaling", scale=2.6), A("relu")] * 60).overflow["float16"] < 2e-2


def test_assert_trainable() -> None:
    with pytest.raises(AssertionError, match=r"(?s)Does not train.*vanishing.*Change: "):
        fifty("relu", "xavier_normal").assert_trainable()
    with pytest.raises(AssertionError, match="Trains with care"):
        fifty("tanh", "xavier_normal").assert_trainable("good")
    with pytest.raises(ValueError, match="allow must be one of good, warn"):
        fifty("tanh", "xavier_normal").assert_trainable("bad")


def test_a_fixed_point_that_the_network_leaves_is_not_spoken_of() -> None:
    """GELU's at q = 1, which its gain makes one: E x^2 starts above it and grows."""
    grows = propagate([Dense(512, "he_normal", nonlinearity="gelu"), Activation("gelu")] * 50)
    assert grows.log10_signal_ratio > 1.0 and grows.scales is None
    assert not any("reach the correlation" in reason for reason in grows.reasons)
    assert fifty("tanh", "xavier_normal").scales is not None


@pytest.mark.parametrize("scale", [2.05, 2.08, 2.1, 2.12, 2.15])
def test_near_an_unstable_fixed_point_second_order_terms_stay_small(scale: float) -> None:
    """GELU's q map leaves its fixed point there, and fluctuations grow beyond what two orders of them can tell."""
    report = propagate([Dense(512, "variance_scaling", scale=scale), Activation("gelu")] * 50)
    seen = [row.second for row in report.layers[:-2:2]]
    slopes = sum(math.log10(scale * moments("gelu", q).dphi2) for q in seen)
    assert abs(report.log10_gradient_ratio - slopes) < 2.5


@pytest.mark.parametrize("inputs", [{"input_var": 0.0}, {"batch": np.zeros((3, 64))}])
@pytest.mark.parametrize(("activation", "bias_std"), [("tanh", 0.0), ("relu", 0.0), ("tanh", 0.1)])
def test_no_weights_mend_inputs_of_zeros(activation: str, bias_std: float, inputs: dict[str, Any]) -> None:
    report = propagate([D(64, bias_std=bias_std), A(activation)] * 3, **inputs)
    assert report.level == "bad" and report.remedy is None
    assert "All inputs are zero: the weights of the first layer get no gradient." in report.reasons
    first = propagate([A("sigmoid"), D(64), A(activation)], **inputs)  # which makes 1/2 of zeros
    assert not any("All inputs are zero" in reason for reason in first.reasons)


def test_means_over_pixels_are_no_vanishing_gradient() -> None:
    """The gradients of weights are sums over the pixels, which get back what a mean over alike ones takes."""
    body = [Conv(64, 3, image=32, fan_in=3), A("relu")]
    pooled, averaged = propagate([*body, Pool(32), D(10)]), propagate([*body, D(10)])
    assert pooled.log10_gradient_ratio == pytest.approx(averaged.log10_gradient_ratio, abs=1e-9)
    assert pooled.log10_gradient_ratio < -3.0
    assert pooled.log10_pooled == pytest.approx(math.log10(1024 / math.pi), abs=0.01)  # (E relu)^2 / E relu^2 = 1 / pi
    assert averaged.log10_pooled == pytest.approx(pooled.log10_pooled, abs=1e-9)
    for report in (pooled, averaged):
        assert report.level == "good" and report.reasons[0].startswith("Means over pixels aside, the gradient's")
    rows = propagate([*body, Conv(64, 3), A("relu"), D(10)]).layers
    inner, last = rows[2].log10_weight_gradient, rows[-1].log10_weight_gradient  # behind inputs whose pixels are alike
    assert inner is not None and last is not None and last - inner < 1.5
    assert propagate([*body, D(10, fan_in=64 * 1024)]).log10_pooled == 0.0  # flattened


def test_what_pools_take_for_good_counts() -> None:
    """Independent pixels: the signal falls with the gradient. Maxima, and means behind the last weights: nothing taken."""
    conv = Conv(64, 3, "delta_orthogonal", image=32, fan_in=3)
    shrinks = propagate([conv, A("tanh"), Pool(32), D(10)])
    assert shrinks.level == "warn" and shrinks.log10_signal_ratio < -2.5 and shrinks.log10_gradient_ratio < -2.5
    assert shrinks.log10_pooled < 0.2
    for layers in ([conv, A("relu"), Pool(2, "max"), D(10, fan_in=64 * 256)],
                   [conv, A("relu"), Pool(32)], [D(64), A("relu"), Pool(8), D(10)]):  # fmt: skip
        assert propagate(layers).log10_pooled == 0.0


def test_norms_give_back_what_means_take() -> None:
    """BatchNorm takes what pixels share for good, and lifts the gradient by the rest."""
    first = [Conv(64, 3, image=32, fan_in=3), A("relu")]
    for layers in ([*first, Pool(32), BatchNorm(), D(64), A("relu"), D(10)],
                   [*first, Pool(2), BatchNorm(), *[Conv(64, 3), A("relu"), Pool(2), BatchNorm()] * 3, D(10)]):  # fmt: skip
        report = propagate(layers)
        assert report.level == "good" and report.phase == "critical"
        assert report.log10_gradient_ratio + report.log10_pooled <= max(0.0, report.log10_gradient_ratio)


@pytest.mark.parametrize("activation", ["relu", "softplus", "gelu", "abs", "elu"])
def test_channels_differ_by_their_weights_behind_means_over_pixels(activation: str) -> None:
    """LayerNorm divides by that little, and does not find all of them equal."""
    layers = [Conv(64, 3, image=16, fan_in=3), A(activation), Pool(16), LayerNorm(), D(10)]
    report, measured = propagate(layers, batch=64), simulate(layers, batch=64, repeats=8)
    assert report.level == "good" and report.approximate == ("3: LayerNorm",)
    for row, found in zip(report.layers, measured.layers, strict=True):
        assert found.gradient is not None
        assert row.log10_gradient == pytest.approx(math.log10(found.gradient.value), abs=0.12)


def test_draws_that_part_ways_are_marked() -> None:
    """GELU's E x^2 leaves its unstable fixed point to either side, and an x^2 of units doubles all deviations."""
    assert propagate([D(256, "he_normal"), A("gelu")] * 50).approximate
    assert propagate([D(256, gain=0.8), A("squared_relu")] * 4).approximate
    assert propagate([D(256), *[Residual([Gated(512)], scale=24**-0.5)] * 24]).approximate
    for layers in ([D(256, nonlinearity="gelu"), A("gelu")] * 8, [D(64), A("relu")] * 100, [D(256), A("tanh")] * 50):
        assert not propagate(layers).approximate
