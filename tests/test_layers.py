"""Layers, the exact variance of every initializer, and the checks of a network."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
import pytest
from messages import whole
from records import PLAIN

import fastinit as fi
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
    Residual,
    RMSNorm,
    c_map,
    propagate,
    simulate,
)
from fastinit.propagation._network import resolve_network


def weights(layer: Any, width: int | None = None) -> Any:
    return resolve_network((layer,), width).steps[0].weights[0]


@pytest.mark.parametrize("record", PLAIN, ids=lambda r: r.id)
def test_moments_are_those_of_the_drawn_weights(record: Any) -> None:
    n, m = 400, 300
    law = weights(Dense(m, record.name, fan_in=n, **record.kwargs))
    x = np.asarray(record((n, m), seed=3, dtype="float64"))
    if record.name == "identity":
        assert law.second == pytest.approx((x * x).mean())
        return
    deviation = math.sqrt(max(law.second - law.mean**2, 0.0) / x.size)
    assert abs(x.mean() - law.mean) < 5 * deviation + 1e-12
    assert abs((x * x).mean() - law.second) < 5 * max(x.std() ** 2, abs(law.mean) * x.std()) * 2 / math.sqrt(x.size) + 1e-12


@pytest.mark.parametrize(("n", "m"), [(64, 64), (96, 32), (32, 96)])
def test_orthogonal_has_its_exact_second_moment(n: int, m: int) -> None:
    law = weights(Dense(m, "orthogonal", gain=1.5, fan_in=n))
    w = fi.orthogonal((n, m), 1.5, seed=0, dtype="float64")
    assert law.second == pytest.approx((w * w).mean(), rel=1e-12)
    s = np.linalg.svd(w, compute_uv=False) ** 2
    assert law.spread == pytest.approx(n * (s**2).sum() / s.sum() ** 2)


def test_spread_of_given_weights() -> None:
    w = np.random.default_rng(0).standard_normal((200, 120))
    s = np.linalg.svd(w, compute_uv=False) ** 2
    assert weights(Dense(weight=w)).spread == pytest.approx(200 * (s**2).sum() / s.sum() ** 2, rel=0.05)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("mean", [0.0, 0.3])
def test_rescaled_weights_are_those_of_the_rescaled_array(dtype: str, mean: float) -> None:
    w = fi.normal((3, 3, 16, 24), mean, 0.1, seed=0, dtype=dtype)
    w[..., :8] *= 2
    layer = Conv(weight=w, bias=np.ones(24), groups=2)
    found = weights(layer).rescaled(2.0, 0.5)
    factor = np.sqrt(2.0 / weights(layer).sigma_w2)
    exact = weights(Conv(weight=w.astype(np.float64) * factor, groups=2, bias_std=0.5))
    for name in ("mean", "second", "sigma_w2", "spread", "uneven", "independent", "lone", "bias_second", "bias_excess"):
        assert getattr(found, name) == pytest.approx(getattr(exact, name), rel=1e-6), name
    assert weights(Dense(weight=np.zeros((8, 8)))).rescaled(2.0, 0.0).second == 0.0


def test_conv_fans_and_taps() -> None:
    law = weights(Conv(64, 3, "he_normal", mode="fan_out", fan_in=16))
    assert (law.fan_in, law.fan_out) == (144, 576)
    assert law.second == pytest.approx(2 / 576)
    deep = weights(Conv(16, 3, "he_normal", groups=16, fan_in=16))
    assert (deep.shape, deep.fan_in) == ((3, 3, 1, 16), 9)
    given = Conv(weight=np.ones((8, 4, 3, 5)), layout="oihw")
    assert (given.width, given.kernel, given.fan_in) == (8, (3, 5), 4)


def test_kernels_larger_than_their_image() -> None:
    with pytest.raises(ValueError, match=whole("0: Conv(4) has a kernel (5, 5) larger than its image (3, 3)")):
        propagate([Conv(4, 5, padding="valid", image=3, fan_in=4)])


def test_layouts_and_sizes() -> None:
    layer = Dense(weight=np.arange(6.0).reshape(2, 3), layout="oi", bias=np.ones(2))
    assert (layer.width, layer.fan_in) == (2, 3)
    network = resolve_network([
        Conv(8, 3, image=9, fan_in=3, stride=2), Activation("relu"), Pool(2), Conv(8, 2, padding="valid"),
        Dense(5, fan_in=8),
    ])  # fmt: skip
    assert [s.image_out for s in network.steps] == [(5, 5), (5, 5), (2, 2), (1, 1), None]
    assert resolve_network([Residual([LayerNorm(), Dense(64), Activation("gelu"), Dense(16)])]).fan_in == 16
    assert resolve_network([Dense(8), Pool(4), Dense(3)]).steps[-1].fan_in == 2


@pytest.mark.parametrize("sequence", [list, tuple, deque])
def test_given_images_keep_their_size_in_any_sequence_and_branch(sequence: type) -> None:
    images = np.ones((4, 6, 5, 3), np.float32)
    layers = sequence([Residual(sequence([Conv(3, 3), Activation("relu")])), Conv(8, 3)])
    assert propagate(layers, batch=images).fan_in == 3
    assert len(simulate(layers, batch=images, repeats=1, jacobian=np.False_).layers) == 4


def test_layers_are_values() -> None:
    layer = Dense(4, "normal", std=0.5)
    with pytest.raises(AttributeError, match=whole("a layer is immutable: cannot set width")):
        layer.width = 5
    with pytest.raises(AttributeError, match=whole("a layer is immutable: cannot delete width")):
        del layer.width
    assert "2x3 float64" in repr(Dense(weight=np.ones((2, 3))))


MADE = [
    Dense(4, "normal", std=0.5), Conv(64, (3, 5), stride=2, image=8, fan_in=4, groups=2, mode="fan_out"), LayerNorm(1e-3),
    RMSNorm(), BatchNorm(), Dropout(0.2), Pool(3, "max"), Gated(64, 32, "gelu", bias_std=0.1),
    Activation("leaky_relu", negative_slope=0.1), Residual([Dense(4), Activation("relu")], 0.5, -1.0),
]  # fmt: skip


@pytest.mark.parametrize("layer", MADE)
def test_a_representation_makes_the_layer_again(layer: Layer) -> None:
    again = eval(repr(layer))
    assert type(again) is type(layer)
    assert repr(again) == repr(layer)


NAN = np.array([[1.0, np.nan], [np.inf, 2.0]])
BAD = [
    (lambda: Dense(0), ValueError, "width must be at least 1, got 0"),
    (lambda: Dense(2.5), TypeError, "width must be an int, got 2.5"),
    (lambda: Dense(), TypeError, "width must be given where weight is not"),
    (lambda: Dense(4, "nope"), ValueError, "init must be one of normal, uniform, ..., constant; got 'nope'"),
    (lambda: Dense(4, 7), TypeError, "init must be the name of an initializer or a function, got 7"),
    (lambda: Dense(4, "normal", seed=1), TypeError, "seed is not an argument of a layer's initializer"),
    (lambda: Dense(4, bias_std=-1.0), ValueError, "bias_std < 0: bias_std must be non-negative, got -1.0"),
    (lambda: Dense(4, bias_std=math.nan), ValueError, "bias_std must be finite, got nan"),
    (lambda: Dense(weight=NAN), ValueError, "weight has 2 non-finite of 4 values"),
    (lambda: Dense(weight=np.full((2, 3), 1e300)), ValueError,
     "weight must have values of at most 1e+140, whose squares float64 holds; got 1e+300"),
    (lambda: Dense(weight=np.ones((2, 3)), bias=np.full(3, -1e200)), ValueError,
     "bias must have values of at most 1e+140, whose squares float64 holds; got -1e+200"),
    (lambda: Dense(weight=np.ones((2, 3)), bias=np.ones(2)), ValueError, "bias must have shape (3,), got (2,)"),
    (lambda: Dense(weight=np.ones((2, 3)), init="zeros"), TypeError,
     "init must not be given with weight, the actual weights"),
    (lambda: Dense(weight=np.ones((2, 3)), width=4), ValueError, "width must be that of weight, 3, got 4"),
    (lambda: Dense(weight=np.ones(3)), ValueError, "weight must have 2 dimensions, got shape (3,)"),
    (lambda: Dense(weight=np.array([["a"]])), TypeError, "weight must be an array of real numbers, got dtype <U1"),
    (lambda: Dense(weight=np.ones((2, 3)), layout="xy"), ValueError,
     "layout must hold the letters i and o once, b for a batch axis, and others (...) for the receptive field; got 'xy'"),
    (lambda: Conv(weight=np.ones((2, 3, 4)), layout="o.i"), ValueError,
     "layout must hold the letters i and o once, b for a batch axis, and others (...) for the receptive field; got 'o.i'"),
    (lambda: Conv(weight=np.ones((2, 3, 4)), layout="bio"), ValueError, "layout must not have a batch axis, got 'bio'"),
    (lambda: Conv(6, groups=4), ValueError, "groups must divide channels: 4 does not divide 6"),
    (lambda: Conv(6, padding="full"), ValueError, "padding must be one of same, valid; got 'full'"),
    (lambda: Conv(6, (3, 3), stride=(1, 1, 1)), ValueError,
     "stride must have as many sizes as kernel (3, 3), got (1, 1, 1)"),
    (lambda: Activation("nope"), ValueError, "activation must be one of linear, relu, ..., tanhshrink; got 'nope'"),
    (lambda: Activation("relu", alpha=1), TypeError, "alpha is not a parameter of relu; its parameters: none"),
    (lambda: LayerNorm(-1), ValueError, "eps < 0: eps must be non-negative, got -1.0"),
    (lambda: BatchNorm(64), ValueError, "eps must be below 1, got 64.0; the layer before sets the width"),
    (lambda: Dropout(1.0), ValueError, "p must be in [0, 1), got 1.0"),
    (lambda: Residual([]), ValueError, "layers must not be empty"),
    (lambda: Residual(Dense(3)), TypeError,
     "layers must be a sequence of layers, got one layer: Dense(width=3, init='he_normal', bias_std=0.0); write [layer]"),
    (lambda: Gated(8, gate=np.ones((2, 8))), TypeError, "gate, up and down must be given together"),
    (lambda: Pool(2, "median"), ValueError, "kind must be one of mean, max; got 'median' (did you mean 'mean'?)"),
    (lambda: propagate([]), ValueError, "layers must not be empty"),
    (lambda: propagate(3), TypeError, "layers must be a sequence of layers, got int"),
    (lambda: propagate([Dense(3), "relu"]), TypeError,
     "layers must hold layers such as Dense and Activation, got 'relu' at 1"),
    (lambda: propagate([Dense(3), Activation("relu"), Dense(4, fan_in=5)]), ValueError,
     "2: Dense(4) takes 5 inputs, but 1: Activation(relu) gives 3: neighbouring widths must agree"),
    (lambda: propagate([Dense(8), Activation("relu"), Conv(4, 3, image=8)]), ValueError,
     "2: Conv(4) needs an image, but 1: Activation(relu) gives 8 units: no Conv follows a Dense"),
    (lambda: propagate([Dense(3), Residual([Dense(4)])]), ValueError,
     "1.0: Dense(4) ends the branch of 1: Residual with 4, but 0: Dense(3) gives it 3: a branch must keep the width"),
    (lambda: propagate([Dense(3), Dense(4, "he_normal", std=1.0)]), TypeError,
     "std is not an argument of he_normal; it takes mode, nonlinearity, negative_slope, gain, fan_out"),
    (lambda: propagate([Dense(3), Dense(4, "orthogonal", std=1.0)]), TypeError,
     "std is not an argument of orthogonal; it takes gain, method"),
    (lambda: propagate([Dense(3), Dense(4, "normal", gain=2.0)]), TypeError,
     "gain is not an argument of normal; it takes mean, std"),
    (lambda: propagate([Dense(8, "delta_orthogonal")]), ValueError,
     "0: Dense(8): delta_orthogonal needs a convolution with no more inputs than outputs, got shape (8, 8)"),
    (lambda: propagate([Conv(4, 3, "delta_orthogonal", fan_in=8)]), ValueError,
     "0: Conv(4): delta_orthogonal needs a convolution with no more inputs than outputs, got shape (3, 3, 8, 4)"),
    (lambda: propagate([Dense(4, lambda shape, seed: np.ones(3))]), ValueError,
     "0: Dense(4): init must return an array of shape (4, 4), got (3,)"),
    (lambda: propagate([Conv(4, 3, image=8, fan_in=1)], batch=np.ones((2, 9, 9, 1))), ValueError,
     "batch has images of (9, 9), but 0: Conv(4) takes (8, 8)"),
    (lambda: Dense(4, layout="oi"), TypeError, "layout must not be given without weight, whose axes it names; got 'oi'"),
    (lambda: Dense(weight=[[1.0, 2.0], [3.0]]), ValueError, "weight must be an array of real numbers: ..."),
    (lambda: c_map("relu", 0.5, 1.0, 1.0, complement="no"), TypeError, "complement must be a bool, got 'no'"),
    (lambda: c_map("squared_relu", 0.5, 1e200, 1.0), ValueError,
     "q makes the next layer's second moment larger than float64 holds, got 1e+200"),
    (lambda: propagate([Dense(9), Pool(2)]), ValueError,
     "1: Pool has windows of 2, which do not divide the 9 units of 0: Dense(9)"),
    (lambda: propagate([Activation("relu")]), ValueError,
     "layers must hold a Dense, Conv or Gated layer where no batch gives the input width"),
    (lambda: propagate([Dense(3)], -1.0), ValueError, "input_var < 0: input_var must be non-negative, got -1.0"),
    (lambda: propagate([Dense(3)], 1.0, math.inf), ValueError, "input_mean must be finite, got inf"),
    (lambda: propagate([Dense(3)], dtype="int8"), TypeError,
     "dtype must be one of float32, ..., float8_e5m2 in native byte order, got 'int8'"),
    (lambda: propagate([Dense(3)], batch=0), ValueError, "batch must be at least 1, got 0"),
    (lambda: propagate([Dense(3)], batch=np.ones(3)), ValueError,
     "batch must be a count or an array of shape (inputs, ...), got shape (3,)"),
    (lambda: propagate([Dense(3)], batch=NAN), ValueError, "batch has 2 non-finite of 4 values"),
    (lambda: propagate([Dense(3, fan_in=4)], batch=np.ones((2, 5))), ValueError,
     "0: Dense(3) takes 4 inputs, but the input gives 5: neighbouring widths must agree"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_errors(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=whole(message)):
        call()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [5e-324, 1e-200, 1e-170, 1e-100, 1e100])
def test_weights_and_inputs_of_any_size(size: float) -> None:
    draw = np.random.default_rng(0).standard_normal((3, 3)) * size
    for array in (draw, np.full((3, 3), size)):
        assert "nan" not in propagate([Dense(weight=array), Activation("relu"), Dense(weight=array)]).table()
        assert "nan" not in propagate([Dense(3)], batch=array).table()
    assert propagate([Dense(4, "constant", value=min(size, 1.0))] * 2).symmetric


@pytest.mark.parametrize(("norm", "mean"), [(LayerNorm, 0.0), (RMSNorm, math.pi**-0.5), (BatchNorm, 0.0)])
def test_what_norms_keep(norm: Any, mean: float) -> None:
    """Of rectified independent inputs, RMSNorm keeps the mean and all that they have in common by it."""
    row = propagate([Dense(64), Activation("relu"), norm(), Dense(4)]).layers[2]
    assert row.log10_second == pytest.approx(0.0, abs=1e-5)
    assert row.mean == pytest.approx(mean, rel=1e-4, abs=1e-12)
    assert row.correlation == pytest.approx(mean**2, rel=1e-4, abs=1e-12)
