"""What enters a network: the law of random inputs, or given ones, and the widths that these set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._args import check_int
from .._types import Array
from ._fluctuation import Transfer, gaussian_noise
from ._layers import Layer
from ._linear_layers import Conv
from ._network import Network, columns, first_with_weights, resolve_network
from ._signal import Signal, log
from ._weights import finite_array

_PAIRED = 256  # inputs, of which the cosines vary as those of all do


@dataclass(frozen=True)
class Input:
    """What enters the network: the law of random inputs, or the statistics of given ones."""

    signal: Signal
    batch: int


def resolve_batch(layers: tuple[Layer, ...], batch: Any) -> tuple[Network, int, Array | None]:
    """The checked network, the number of inputs, and those given: of the size that it is told, or they set it."""
    given = None if isinstance(batch, (int, np.integer)) else _given_inputs(batch)
    count = check_int(batch, "batch", low=1) if given is None else int(given.shape[0])
    network = resolve_network(layers, *_sizes(given, layers))
    first = network.steps[0]
    if given is not None and given.ndim > 2 and network.image is not None and given.shape[1:-1] != network.image:
        raise ValueError(f"batch has images of {given.shape[1:-1]}, but {first.name} takes {network.image}")
    return network, count, given


def _given_inputs(batch: Any) -> Array:
    array = finite_array(batch, "batch")
    if array.ndim < 2:
        raise ValueError(f"batch must be a count or an array of shape (inputs, ...), got shape {array.shape}")
    return array


def _sizes(given: Array | None, layers: tuple[Layer, ...]) -> tuple[int | None, tuple[int, ...] | None]:
    """Width and image size that given inputs set: of images their last axis and those before, else all as units."""
    if given is None:
        return None, None
    if isinstance(first_with_weights(layers), Conv) and given.ndim > 2:
        return int(given.shape[-1]), given.shape[1:-1]
    return int(np.prod(given.shape[1:], dtype=np.int64)), None


def random_input(network: Network, variance: float, mean: float) -> Signal:
    q = variance + mean * mean
    share = mean * mean / q if q else 0.0
    part = variance / q if q else 0.0
    # of x^2 about its mean for N(mean, variance)
    spread = 2.0 * part * part + 4.0 * share * part
    units = columns(network.fan_in, network.image)
    ratio = math.copysign(math.sqrt(share), mean)
    noise = gaussian_noise(units, ratio, 0.0)[0]
    return Signal(
        network.fan_in, log(q), ratio, share, 1.0 + spread, part if q else math.nan, Transfer(own=noise),
        scatter=(1.0 - share) ** 2 / network.fan_in,
    )  # fmt: skip


def measured_input(batch: Array, network: Network) -> Signal:
    width = network.fan_in
    x = batch.reshape(batch.shape[0], -1).astype(np.float64)
    lengths = (x * x).mean(1)
    q, mean = float(lengths.mean()), float(x.mean())
    count = x.shape[0]
    if q == 0.0:
        return Signal.silent(width)
    unit = x / np.sqrt(np.maximum(lengths, 1e-300) * x.shape[1])[:, None]
    together = unit.sum(0)
    pairs = count * (count - 1)
    cosine = (float(together @ together) - float((unit * unit).sum())) / pairs if count > 1 else 0.0
    ratio = mean / math.sqrt(q)
    apart = None
    if network.image is not None and math.prod(network.image) > 1:  # pixels of one image are alike in their own way
        places, n = x.reshape(count, -1, width), math.prod(network.image)
        alike = float((places.sum(1) ** 2).sum()) / (count * width * n * q) - 1.0
        apart = min(2.0, max(0.0, 1.0 - alike / (n - 1)))
    # the lengths are those of the batch: known, not drawn
    scatter = float(np.var(np.log(lengths[lengths > 0.0] / q)))
    some = unit[:: -(-count // _PAIRED)]
    cosines = (some @ some.T)[~np.eye(len(some), dtype=bool)]
    return Signal(
        width, math.log(q), ratio, ratio * ratio, float(((x / math.sqrt(q)) ** 4).mean()), min(2.0, max(0.0, 1.0 - cosine)),
        state=Transfer(own=np.diag((0.0, scatter, 0.0))), gaussian=False, apart=apart,
        scatter=float(cosines.var()) if cosines.size else 0.0,
    )  # fmt: skip
