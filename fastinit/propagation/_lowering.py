"""From the steps of a checked network to those that the core runs, with the numbers of one seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._keys import Key
from .._types import Array
from ..spec import INITIALIZERS
from ._layers import Activation, BatchNorm, Dropout, LayerNorm, Pool, Residual, RMSNorm
from ._linear_layers import Conv, Dense, Gated, pads
from ._network import Network, Step, columns
from ._signal import small_slope
from ._weights import Weights, drawn

CoreStep = tuple[Any, ...]
Windows = tuple[int, ...]

_MOST = 2**60  # weights of a layer: their indices fit 64 bits
_ONE, _NONE = (1, 1, 1), (0, 0, 0)


class Lowering:
    """Steps for the core, and the name of each in the order of the core's rows; None for a helper."""

    def __init__(self, network: Network, key: Key) -> None:
        self.key = key
        self.names: list[str | None] = []
        self.steps = self._all(network.steps, columns(network.fan_in, network.image))

    def _all(self, steps: tuple[Step, ...], arriving: int) -> list[CoreStep]:
        lowered: list[CoreStep] = []
        for step in steps:
            if isinstance(step.layer, Dense) and step.fan_in != arriving:
                # It takes the channels of an image: the mean over the pixels.
                image = _image(step, step.image_in)
                lowered.append(("mean_pool", (*image, step.fan_in, *image, *_ONE, *_NONE, *_ONE)))
                self.names.append(None)
            lowered.append(self._one(step))
            self.names.append(step.name)
            arriving = columns(step.fan_out, step.image_out if step.spatial else None)
        return lowered

    def _one(self, step: Step) -> CoreStep:
        layer, key = step.layer, self.key
        size = columns(step.fan_in, step.image_in if step.spatial else None)
        if isinstance(layer, Dense):
            return "linear", _dense(step, 0, step.name, key)
        if isinstance(layer, Conv):
            return "linear", _conv(step, layer, key)
        if isinstance(layer, Activation):
            return "activation", size, step.fan_in, layer.function, small_slope(layer.function)
        if isinstance(layer, BatchNorm):
            return "batch_norm", size, step.fan_in, layer.eps
        if isinstance(layer, LayerNorm):
            return "rms_norm" if isinstance(layer, RMSNorm) else "layer_norm", size, step.fan_in, layer.eps
        if isinstance(layer, Dropout):
            return "dropout", size, 1.0 - layer.p, key.fold_in(step.name).bits
        if isinstance(layer, Pool):
            return f"{layer.kind}_pool", _pool(step, layer)
        if isinstance(layer, Gated):
            parts = [_dense(step, i, f"{step.name} {part}", key) for i, part in enumerate(("gate", "up", "down"))]
            return ("gated", *parts, layer.function, small_slope(layer.function))
        assert isinstance(layer, Residual)
        return "residual", self._all(step.body, size), layer.skip, layer.scale


def _dense(step: Step, part: int, name: str, key: Key) -> tuple[Any, ...]:
    """A dense map; of every pixel, where it stands between the pixels of an image."""
    weights = step.weights[part]
    fan_in, width = weights.shape
    image = _image(step, step.image_in) if step.spatial else _ONE
    windows = (*image, fan_in, *_ONE, *_ONE, *_NONE, *image)
    return windows, 1, width, _numbers(weights, name, key), _bias(weights, name, key)


def _image(step: Step, image: tuple[int, ...] | None) -> Windows:
    """Depth, height and width; those that it lacks are 1."""
    if image is None:
        raise ValueError(
            f"{step.name} needs the size of its image to be simulated: give image= to the first Conv"
        )
    if len(image) > 3:
        raise ValueError(f"{step.name} has an image of {len(image)} dimensions; at most 3 can be simulated")
    return _three(image)


def _three(sizes: tuple[int, ...], absent: int = 1) -> Windows:
    return (absent,) * (3 - len(sizes)) + sizes


def _conv(step: Step, layer: Conv, key: Key) -> tuple[Any, ...]:
    image, out = _image(step, step.image_in), _image(step, step.image_out)
    kernel, stride = _three(layer.kernel), _three(layer.stride)
    windows = (*image, step.fan_in, *kernel, *stride, *_three(pads(layer), 0), *out)
    weights = step.weights[0]
    return (windows, layer.groups, layer.width, _numbers(weights, step.name, key), _bias(weights, step.name, key))


def _pool(step: Step, layer: Pool) -> Windows:
    if not step.spatial:  # neighbouring units, as a line of one channel
        line = (1, 1, layer.size)
        return (1, 1, step.fan_in, 1, *line, *line, *_NONE, 1, 1, step.fan_out)
    image, out = _image(step, step.image_in), _image(step, step.image_out)
    size = _three((layer.size,) * len(step.image_in or ()))
    return (*image, step.fan_in, *size, *size, *_NONE, *out)


# ---- numbers --------------------------------------------------------------------------


def _numbers(weights: Weights, name: str, key: Key) -> Any:
    """How the core gets a weight: drawn tile by tile, the caller's array, or made when it is needed."""
    size = math.prod(weights.shape)
    if size > _MOST:
        raise ValueError(f"{name} has {size} weights; at most 2**60 can be simulated")
    if weights.array is not None:
        return _given(weights.array)
    seed = key.fold_in(name)
    if weights.law is not None:
        return (*weights.law, seed.bits, size)
    return (_maker(weights, seed), size)


def _given(array: Array) -> Any:
    if array.dtype == np.float32 and array.flags.c_contiguous:
        return array.reshape(-1)

    def copy(out: Array) -> None:
        with np.errstate(over="ignore"):
            np.copyto(out.reshape(array.shape), array, casting="unsafe")

    return (copy, array.size)


def _maker(weights: Weights, seed: Key) -> Callable[[Array], None]:
    init, kwargs = weights.init, weights.kwargs

    def make(out: Array) -> None:
        target = out.reshape(weights.shape)
        if isinstance(init, str):
            INITIALIZERS[init](weights.shape, seed=seed, out=target, **kwargs)
        else:
            assert init is not None
            np.copyto(target, drawn(init, weights.shape, seed=seed, **kwargs), casting="unsafe")

    return make


def _bias(weights: Weights, name: str, key: Key) -> Any:
    if weights.bias is not None:
        return _given(weights.bias)
    if weights.bias_std == 0.0:
        return None
    return (1, 0.0, weights.bias_std, 0.0, 0.0, key.fold_in(f"{name} bias").bits, weights.shape[-1])
