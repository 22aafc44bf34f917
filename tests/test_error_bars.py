"""The error bars of finite width hold the networks that are drawn: over 200 draws of each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from bands import BATCH, draws, held, spread

from fastinit import propagation as P
from fastinit._activations import resolve

A, D, R = P.Activation, P.Dense, P.Residual


def network(kind: str, n: int, depth: int, activation: str) -> list[P.Layer]:
    branch: dict[str, Any] = {
        "branch ends in an activation": R([D(n), A(activation)], scale=0.5),
        "two activations in a branch": R([D(n), A(activation), D(n), A(activation)], scale=0.5),
        "branch begins with an activation": R([A(activation), D(n)], scale=0.5),
        "pre-norm": R([P.RMSNorm(), D(n), A(activation), D(n)]),
        "gated": R([P.RMSNorm(), P.Gated(2 * n, activation=activation)]),
        "gated without a norm": R([P.Gated(2 * n, activation=activation)], scale=0.3),
    }
    return [D(n), *[branch[kind]] * depth]


KINDS = ("branch ends in an activation", "two activations in a branch", "branch begins with an activation", "pre-norm",
         "gated", "gated without a norm")  # fmt: skip


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu"])
@pytest.mark.parametrize("kind", KINDS)
def test_residual_and_gated_blocks(kind: str, activation: str) -> None:
    held(network(kind, 64, 4, activation))


# Branches without a random matrix: the block is a function of each unit.
UNITS: dict[str, list[P.Layer]] = {
    "relu": [A("relu")],
    "tanh and identity": [A("tanh"), D(128, "identity", gain=1.5)],
    "LayerNorm": [P.LayerNorm(), A("silu")],
    "RMSNorm": [P.RMSNorm()],
    "Dropout": [P.Dropout(0.3)],
    "gelu and Dropout": [A("gelu"), P.Dropout(0.5)],
    "residual": [A("tanh"), R([A("relu")], scale=0.5)],
}


@pytest.mark.parametrize(("scale", "skip"), [(1.0, 1.0), (0.6, -0.3), (-0.4, 1.0)])
@pytest.mark.parametrize("name", UNITS)
def test_branches_that_depend_on_their_input(name: str, scale: float, skip: float) -> None:
    block = R(UNITS[name], scale=scale, skip=skip)
    layers = [D(128), block, D(128), block, D(128)]
    report = P.propagate(layers, batch=BATCH)
    loose = any(isinstance(x, P.LayerNorm) for x in block.layers) and scale * skip < 0.0
    assert report.layers[len(report.layers) // 2 - 1].approximate == loose
    if loose:
        return
    held(layers)
    _, values = draws(layers, repeats=60)
    for i, row in enumerate(report.layers):
        if "." not in row.name.split(":")[0]:
            for theory, found in ((row.second, values[:, i, 0]), (10**row.log10_gradient, values[:, i, 1])):
                error = found.std() / math.sqrt(len(found))
                assert found.mean() == pytest.approx(theory, abs=4.0 * error + 0.01 * theory), row.name


def test_second_moment_of_a_relu_block() -> None:
    """E (x + relu x)^2 = q (1 + 1/2 + 1), and of the slopes 1 + 1/2 + 1."""
    report = P.propagate([D(128), R([A("relu")]), D(128)])
    assert report.layers[-2].second == pytest.approx(5.0, rel=1e-12)
    assert 10 ** report.layers[0].log10_gradient == pytest.approx(5.0, rel=1e-12)


@pytest.mark.parametrize("branch", [[P.BatchNorm()], [P.Dropout(0.5), A("tanh")], [R([D(128)])]])
def test_blocks_whose_dependence_is_left_out_say_so(branch: list[P.Layer]) -> None:
    report = P.propagate([D(128), R(branch), D(128)])
    assert [row.name for row in report.layers if row.approximate and ": Residual" in row.name] == ["1: Residual"]


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "n", "depth", "batch"), [
    *((name, *size, batch) for name in ("relu", "gelu", "silu") for size in ((64, 16), (256, 4)) for batch in (1, 16)),
    ("relu", 256, 16, 1), ("gelu", 256, 16, 16), ("silu", 256, 16, 16),
])  # fmt: skip
@pytest.mark.parametrize("kind", KINDS[:-1])  # the last grows without bound: a product of its own input
def test_wide_and_deep_blocks(kind: str, activation: str, n: int, depth: int, batch: int) -> None:
    held(network(kind, n, depth, activation), batch)


CHAINS: dict[str, list[P.Layer]] = {
    "gelu": [D(64), A("gelu")] * 8,
    "silu, orthogonal": [D(64, "orthogonal", gain=1.5), A("silu")] * 8,
    "tanh, orthogonal": [D(64, "orthogonal", gain=1.5), A("tanh")] * 8,
    "LayerNorm": [D(64), P.LayerNorm(), A("relu")] * 8,
    "RMSNorm": [D(64), P.RMSNorm(), A("silu")] * 8,
    "residual in residual": [D(64), *[R([A("relu"), R([D(64), A("tanh")], scale=0.5), D(64)], scale=0.5)] * 3],
    "tanhshrink with biases": [D(64, "he_normal", gain=1.2, bias_std=1.0), A("tanhshrink")] * 6,
    "squared_relu with biases": [D(128, "he_normal", gain=0.6, bias_std=0.5), A("squared_relu")] * 6,
    "dropout and norm": [*[D(64), A("relu"), P.Dropout(0.3), P.LayerNorm()] * 4, D(64)],
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains(name: str) -> None:
    held(CHAINS[name])


NARROW: dict[str, list[P.Layer]] = {
    "one output": [D(128), A("relu"), D(1)],
    "two outputs": [D(64), A("relu"), D(64), A("relu"), D(64), A("relu"), D(2)],
    "dropout": [D(64), A("relu"), P.Dropout(0.5), D(64), A("relu"), P.Dropout(0.5), D(1)],
    "blocks": [D(64), *[R([A("relu"), D(64)])] * 3, D(1)],
    "gated": [D(64), *[R([P.RMSNorm(), P.Gated(128)])] * 2, D(1)],
    "a convolution": [P.Conv(16, 3, image=12, fan_in=3), A("relu"), P.Conv(16, 3), A("relu"), P.Conv(16, 3)],
    "pixels into one": [P.Conv(16, 3, image=12, fan_in=3), A("relu"), P.Conv(16, 3), A("relu"), D(1)],
}


@pytest.mark.parametrize("name", NARROW)
def test_gradients_of_all_inputs_pass_the_same_weights(name: str) -> None:
    """Of few outputs, or over many places, the norm of the weights does not average out."""
    layers = NARROW[name]
    names, values = draws(layers, 64, 60)
    for i, row in enumerate(P.propagate(layers, batch=64).layers):
        ratio = np.log(values[:, i, 1]).std() / spread(row.log10_gradient_band)
        assert 1.0 / 1.5 < ratio < 1.5, (names[i], ratio)


@pytest.mark.parametrize(("mean", "var", "image"), [
    (0.5, 0.06, 8), (1.0, 0.01, 8), pytest.param(1.0, 0.01, 32, marks=pytest.mark.slow), (0.0, 1.0, 8),
])  # fmt: skip
def test_batch_norm_behind_zero_padding(mean: float, var: float, image: int) -> None:
    """What the inputs have in common differs between places next to zero padding: part of a channel's variance."""
    layers = [P.Conv(64, 3, image=image, fan_in=3), P.BatchNorm(), A("relu"), P.Conv(64, 3)]
    measured = P.simulate(layers, 32, repeats=12, jacobian=False, input_mean=mean, input_var=var)
    report = P.propagate(layers, batch=32, input_mean=mean, input_var=var)
    for row, found in zip(report.layers, measured.layers, strict=True):
        value, error = found.gradient
        assert 10**row.log10_gradient == pytest.approx(value, abs=4.0 * error + 0.08 * value), row.name
    assert report.layers[1].correlation == pytest.approx(measured.layers[1].correlation.value, abs=0.08)


@pytest.mark.parametrize(("n", "activation", "scale", "blocks"), [
    (64, "relu", 0.1, 20), pytest.param(64, "relu", 0.1, 100, marks=pytest.mark.slow), (128, "softsign", 0.5, 20),
])  # fmt: skip
def test_batch_norm_behind_a_sum_whose_skip_is_normalized(n: int, activation: str, scale: float, blocks: int) -> None:
    """Of such a sum only the branch brings variances that differ between units, and directions to project out."""
    layers = [D(n), *[P.Residual([D(n), A(activation)], scale), P.BatchNorm()] * blocks]
    measured = P.simulate(layers, 64, repeats=12, jacobian=False).layers[0].gradient
    told = P.propagate(layers, batch=64).layers[0].gradient
    assert told == pytest.approx(measured.value, rel=0.08, abs=3.0 * measured.error)


def test_batch_norm_behind_places_that_differ() -> None:
    """Two places are then less alike than two inputs are; that neighbours are more so is left out, and said."""
    block = [P.Conv(16, 3), P.BatchNorm(), A("relu")]
    layers = [P.Conv(16, 3, image=8, fan_in=3), *block[1:], *block, D(10)]
    measured = P.simulate(layers, 64, repeats=12, jacobian=False, input_mean=0.5, input_var=0.06)
    report = P.propagate(layers, batch=64, input_mean=0.5, input_var=0.06)
    for row, found in zip(report.layers, measured.layers, strict=True):
        assert 10**row.log10_gradient == pytest.approx(found.gradient.value, rel=0.2), row.name
    assert [row.name for row in report.layers if row.approximate] == ["4: BatchNorm"]


@pytest.mark.parametrize(("mean", "var"), [(0.5, 0.06), (1.0, 0.02)])
def test_means_of_places_that_differ(mean: float, var: float) -> None:
    """BatchNorm takes the mean over the places, so that those of an image have little in common; windows neither."""
    layers = [P.Conv(32, 3, image=8, fan_in=3), P.BatchNorm(), A("elu"), P.Pool(2), D(10)]
    measured = P.simulate(layers, 64, repeats=24, jacobian=False, input_mean=mean, input_var=var)
    report = P.propagate(layers, batch=64, input_mean=mean, input_var=var)
    for row, found in zip(report.layers, measured.layers, strict=True):
        assert 10**row.log10_second == pytest.approx(found.second.value, rel=0.4), row.name
    assert [row.name for row in report.layers if row.approximate] == ["3: Pool"]


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_kurtosis_behind_layer_norm(activation: str) -> None:
    """At large width it is an affine map of its input."""
    layers = [D(512), A(activation), P.LayerNorm(), D(512), A(activation), P.RMSNorm()]
    measured = P.simulate(layers, 64, repeats=4, jacobian=False)
    for row, found in zip(P.propagate(layers).layers, measured.layers, strict=True):
        assert row.kurtosis == pytest.approx(found.kurtosis.value, rel=0.05), row.name


@pytest.mark.parametrize("batch", [16, 256])
def test_activations_behind_batch_norm(batch: int) -> None:
    """Mean and variance of a unit are held over the batch; the mean of relu^2 is not."""
    layers = [D(128), P.BatchNorm(), A("relu")] * 5
    _, values = draws(layers, batch, 60)
    for i, row in enumerate(P.propagate(layers, batch=batch).layers):
        if "Activation" in row.name:
            ratio = np.log(values[:, i, 0]).std() / spread(row.log10_second_band)
            assert 1.0 / 1.6 < ratio < 1.6, (row.name, ratio)


@pytest.mark.parametrize("batch", [16, 64])
@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_gradients_behind_batch_norm_of_few_inputs(activation: str, batch: int) -> None:
    """E 1/s^2 of m Gaussian outputs is m / (m - 3), which five layers raise to the fifth power."""
    layers = [D(256), P.BatchNorm(), A(activation)] * 5
    measured = P.simulate(layers, batch, repeats=12, jacobian=False)
    for row, found in zip(P.propagate(layers, batch=batch).layers, measured.layers, strict=True):
        assert row.gradient == pytest.approx(found.gradient.value, rel=0.12), row.name


@pytest.mark.parametrize("bias", [0.0, 0.5])
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "sigmoid"])
def test_batch_norm_behind_activations(activation: str, bias: float) -> None:
    """Biases give units their own variances v: gradients follow E f'^2 / v and E 1 / v, kurtosis each unit's shape."""
    layers = [D(128, "lecun_normal", bias_std=bias), A(activation), P.BatchNorm()] * 3 + [D(128)]
    measured = P.simulate(layers, 128, repeats=16, jacobian=False)
    report = P.propagate(layers, batch=128).with_measured(measured)
    for row, found in zip(report.layers, measured.layers, strict=True):
        assert row.gradient == pytest.approx(found.gradient.value, rel=0.12), row.name
        assert "second" not in row.outside(), row.name
        if "BatchNorm" in row.name:
            assert row.kurtosis == pytest.approx(found.kurtosis.value, rel=0.12), row.name


def test_long_inputs_stay_long_behind_batch_norm() -> None:
    """It divides no input by its own length, which gated units square, block after block."""
    blocks = [P.Residual([P.BatchNorm(), P.Gated(256, activation="silu", init="he_normal")])] * 3
    measured = P.simulate([D(128), *blocks, D(10)], 64, repeats=40, jacobian=False)
    for row, found in zip(P.propagate([D(128), *blocks, D(10)], batch=64).layers, measured.layers, strict=True):
        for value, seen in ((row.second, found.second), (row.gradient, found.gradient)):
            assert value == pytest.approx(seen.value, rel=0.12, abs=4.0 * seen.error), row.name


VALID: dict[str, Any] = {"padding": "valid"}


@pytest.mark.parametrize("taps", [1, 3, 9])
def test_gradients_meet_the_weights_that_made_a_unit_large(taps: int) -> None:
    """E w_k^2 / v is 1 / (n q) for v = q w'w of n weights, though E 1/v is n / (n - 2) over E v, or infinite."""
    conv = P.Conv(256, (taps,), "normal", std=taps**-0.5, groups=256, image=(96,), fan_in=256, **VALID)
    report = P.propagate([conv, P.BatchNorm()], batch=8)
    assert 10**report.log10_input_gradient == pytest.approx((97 - taps) / 96, rel=0.003)
    if taps > 4:
        assert report.layers[0].gradient == pytest.approx(taps / (taps - 2.0), rel=0.003)


@pytest.mark.parametrize("activation", ["linear", "relu", "gelu", "tanh"])
@pytest.mark.parametrize("inputs", [4, 8])
def test_units_of_few_inputs_behind_batch_norm(inputs: int, activation: str) -> None:
    layers = [D(inputs, "orthogonal", fan_in=inputs), D(512, "lecun_normal"), A(activation), P.BatchNorm()]
    measured = P.simulate(layers, 256, repeats=40, jacobian=False)
    for row, found in zip(P.propagate(layers, batch=256).layers, measured.layers, strict=True):
        value, error = found.gradient
        at_h = row.name.startswith("1") and activation in ("gelu", "tanh")  # steep units have the larger v
        assert row.gradient == pytest.approx(value, abs=4.0 * error + (0.2 if at_h else 0.06) * value), row.name


def test_gradients_of_depthwise_convolutions() -> None:
    """As in MobileNets: the scale of a channel, of nine weights, is undone where a gradient meets them again."""
    block = [P.Conv(96, 3, "he_normal", groups=96), P.BatchNorm(), A("relu"),
             P.Conv(96, 1, "he_normal"), P.BatchNorm(), A("relu")]  # fmt: skip
    layers = [P.Conv(96, 3, "he_normal", image=8, fan_in=3), P.BatchNorm(), A("relu"), *block * 4]
    measured = P.simulate(layers, 16, repeats=8, jacobian=False)
    report = P.propagate(layers, batch=16)
    assert report.level == "good"
    for row, found in zip(report.layers, measured.layers, strict=True):
        assert row.gradient == pytest.approx(found.gradient.value, rel=0.12), row.name


def _columns(spread: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(0.0, 0.1, (100, 200)) * np.exp(spread * rng.standard_normal((1, 200)))


FEATURES: dict[str, Any] = {"image": (8, 8), "fan_in": 24}
RARE: dict[str, list[P.Layer]] = {
    "given, of unequal scales": [D(weight=_columns(0.8)), P.BatchNorm(), A("relu"), D(50)],
    "sparse": [D(200, "sparse", sparsity=0.95, std=0.3, fan_in=200), P.BatchNorm(), A("relu"), D(50)],
    "few uniform": [P.Conv(64, (3,), "he_uniform", groups=64, image=(32,), fan_in=64), P.BatchNorm(), A("relu"),
                    P.Conv(64, (1,))],
    "with a small mean": [P.Conv(48, 3, "he_normal", **FEATURES), A("relu"),
                          P.Conv(48, 3, "normal", mean=0.01, std=0.07), P.BatchNorm(), P.Conv(20, 1)],
    "with a mean": [P.Conv(48, 3, "he_normal", **FEATURES), A("relu"),
                    P.Conv(48, 3, "normal", mean=0.1, std=0.1, padding="valid"), P.BatchNorm(), P.Conv(20, 1)],
}  # fmt: skip


@pytest.mark.parametrize("name", RARE)
def test_weights_of_other_laws_behind_batch_norm(name: str) -> None:
    """E v E 1/v over the units is that of the weights' own law, and what a mean adds is alike for all units."""
    measured = P.simulate(RARE[name], 64, repeats=20, jacobian=False)
    report = P.propagate(RARE[name], batch=64)
    for row, found in zip(report.layers, measured.layers, strict=True):
        value, error = found.gradient
        assert row.gradient == pytest.approx(value, abs=4.0 * error + 0.12 * value), row.name


def test_batch_norm_of_nothing_and_of_large_kernels() -> None:
    report = P.propagate([D(64, "zeros", fan_in=100), P.BatchNorm(eps=0.0), A("relu"), D(10)])
    assert report.log10_input_gradient == report.layers[0].log10_gradient == -math.inf
    large = P.propagate([P.Conv(32, 1024, image=4096, fan_in=1), P.BatchNorm()])  # a million taps
    assert math.isfinite(large.log10_input_gradient)


@pytest.mark.parametrize(("taps", "exact"), [(3, 11.443), (5, 8.601)])
def test_mean_over_the_pixels_behind_zero_padding(taps: int, exact: float) -> None:
    """Two places share the taps that both have inside the image."""
    report = P.propagate([P.Conv(48, taps, "he_normal", **FEATURES), D(20, "he_normal")], input_mean=2.0)
    assert 10 ** report.layers[1].log10_second == pytest.approx(exact, rel=0.025)


def test_units_that_few_inputs_tell_apart_are_marked() -> None:
    """Where inputs have become alike, a ReLU unit may be nearly dead: BatchNorm divides by its tiny deviation."""
    layers = [D(400, "he_normal"), A("relu")] * 6
    report = P.propagate([*layers, P.BatchNorm()], batch=256)
    assert [row.name for row in report.layers if row.approximate] == ["12: BatchNorm"]
    assert not P.propagate([*layers[:2], P.BatchNorm()], batch=256).approximate


@pytest.mark.parametrize("activation", ["abs", "sin", "gelu"])
def test_maxima_of_functions_that_fall(activation: str) -> None:
    """The largest value is not that of the largest input."""
    layers = [P.Conv(128, 3, image=10, fan_in=32, **VALID), A(activation), P.Pool(2, "max")]
    measured = P.simulate(layers, 64, repeats=8, jacobian=False)
    for row, found in zip(P.propagate(layers, batch=64).layers, measured.layers, strict=True):
        assert 10**row.log10_second == pytest.approx(found.second.value, rel=0.01), row.name
        assert row.correlation == pytest.approx(found.correlation.value, abs=0.01), row.name
        assert row.gradient == pytest.approx(found.gradient.value, rel=0.015), row.name
    units = P.propagate([D(400, "he_normal", fan_in=300), A("abs"), P.Pool(2, "max")]).layers[2]
    assert 10**units.log10_second == pytest.approx(2.0 * (1.0 + 2.0 / math.pi), rel=0.002)


@pytest.mark.parametrize(("activation", "depth", "marked"), [
    ("relu", 20, False), ("tanh", 20, False), ("silu", 8, False), ("silu", 20, True), ("hardswish", 16, True),
])  # fmt: skip
def test_batches_of_few_long_inputs_are_marked(activation: str, depth: int, marked: bool) -> None:
    """BatchNorm holds the mean square over the batch: where an activation spreads that of single inputs, ever more."""
    f, rng = resolve(activation, {}), np.random.default_rng(0)
    x = rng.standard_normal((256, 128))
    for _ in range(depth):
        h = x @ rng.standard_normal((128, 128))
        h = (h - h.mean(0)) / h.std(0)
        x = f.eval(h.ravel())[0].reshape(h.shape)
    assert (np.var(np.log((h**2).mean(1))) > 0.8) == marked
    block = [D(128), P.BatchNorm(), A(activation)]
    for layers in (block * depth, [*block, P.Dropout(0.1)] * depth):
        assert bool(P.propagate(layers).approximate) == marked


def test_lengths_that_no_activation_spreads_stay_near_their_mean() -> None:
    assert not P.propagate([D(128), P.BatchNorm()] * 40).approximate
    assert not P.propagate([D(128), P.BatchNorm(), A("relu")] * 60).approximate


@pytest.mark.parametrize(
    ("width", "units", "name"), [(64, 1, "sigmoid"), (64, 3, "tanh"), (16, 1, "relu"), (64, 1, "none")]
)
def test_ratio_behind_few_outputs(width: int, units: int, name: str) -> None:
    """Of one input, the ratio scatters by what lies between the layers, not by what the outputs' slopes do to both."""
    end: list[P.Layer] = [] if name == "none" else [A(name)]
    layers = [D(width), A("relu"), D(width), A("relu"), D(units, "xavier_uniform"), *end]
    told = P.propagate(layers)
    names, values = draws(layers, batch=1)
    first, last = (values[:, names.index(f"{i}: Dense({n})"), 1] for i, n in ((0, width), (4, units)))
    alive = (first > 0.0) & (last > 0.0)
    measured = np.log10(first[alive] / last[alive])
    assert measured.std() == pytest.approx(told.log10_gradient_ratio_sd, rel=0.3)
