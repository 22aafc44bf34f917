"""Forward rules of LayerNorm, RMSNorm and BatchNorm."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from .._activations import Function
from .._types import Array
from ._fluctuation import MEAN, SECOND, Transfer, bounded, cosine_noise, zero
from ._layers import Activation, BatchNorm, Dropout, LayerNorm, Pool, RMSNorm
from ._linear_layers import Conv, Dense
from ._network import Step
from ._node import Node
from ._signal import NEAR, Signal, exp, grid, log, log_add, slope_of_mean

#: The part of E x^2 that all units share from which it is most of what E x^2 fluctuates by.
_SHARED = 0.05

#: The part of E x^2 that a LayerNorm keeps, below which no first order tells how it fluctuates.
_LITTLE = 0.1
#: The part of E x^2 that a BatchNorm keeps of inputs which share nothing.
_ALL = 0.99
#: Kurtosis over the number of inputs, from which first orders in 1 / inputs no longer do.
_FEW = 0.25
#: Variance of the logarithm of the inputs' mean squares, from which some of a batch are far longer than the others.
UNLIKE = 1.0
#: Its factor from one BatchNorm to the next, above which it grows without end.
_GROWS = 1.01


def norm(step: Step, x: Signal) -> Node:
    """LayerNorm and RMSNorm: divides by the root of the (centred) second moment plus eps; the gradient is too."""
    layer = step.layer
    assert isinstance(layer, LayerNorm)
    root_mean = isinstance(layer, RMSNorm)
    # the mean over the units takes one
    kept = 1.0 if root_mean else max(0.0, 1.0 - x.common) * (1.0 - 1.0 / x.width)
    log_part = x.log_q + log(kept)
    log_divisor = log_add(log_part, log(layer.eps))
    if log_divisor == -math.inf or log_part == -math.inf:
        alone = x.width == 1 and not root_mean  # its mean is itself
        return _silent(step, x, -math.inf if alone else -log_divisor)
    mean, common, below, kurtosis = x.mean, x.common, x.below, x.kurtosis
    if not root_mean:
        gap = 1.0 if math.isnan(x.below) else x.below
        mean, below = 0.0, min(2.0, gap / max(1.0 - x.common, 1e-12))
        common = -1.0 / (x.width - 1.0) if x.width > 1 else 0.0  # units that sum to 0
        if not x.gaussian:  # of wide layers, an affine map
            kurtosis = _centred_kurtosis(x)
    rest = math.exp(log(layer.eps) - log_divisor) if layer.eps else 0.0
    # of the divided square, by the state
    square = np.array([0.0, 1.0, 0.0] if root_mean else [-2.0 * x.mean / kept, 1.0 / kept, 0.0])
    # behind means over pixels channels may differ by little, which is known in order of size only
    little = step.spatial and kept < _LITTLE
    if little:
        square = np.zeros(3)
    matrix = np.diag((0.0, 0.0, 1.0))
    matrix[SECOND] = rest * square
    if root_mean:
        matrix[MEAN] = np.array([1.0, 0.0, 0.0]) - 0.5 * (1.0 - rest) * mean * square
    by = Transfer(matrix)
    after = Signal(
        x.width, log_part - log_divisor, mean, common, kurtosis, below, by.after(x.state), elastic=x.elastic * rest,
        gaussian=x.gaussian, scatter=x.scatter, inputs=x.inputs, fresh=x.fresh,
    )  # fmt: skip
    # E 1/q is above 1 / E q, and the directions of x (and of the mean) are projected out
    fixed = min(1.0, (1.0 if root_mean else 2.0) / x.width)
    pull = (rest - 1.0) * square
    spread = float(square @ x.state.own @ square)
    if not root_mean and x.shared > _SHARED:  # what all units share goes with their mean; the rest has a scale of its own
        spread = float(x.state.own[SECOND, SECOND]) - x.shared * (2.0 * x.shared + 4.0 * x.mean**2)
    bent = (1.0 - rest) * bounded(spread) + log(1.0 - (1.0 - rest) * fixed)
    return Node(step, x, after, factor=bent - log_divisor, transfer=by, pull=pull, approximate=little)


def batch_norm(step: Step, x: Signal, batch: int, units: Units, channels: Channels | None) -> Node:
    """Divides every unit by the root of its variance v over m inputs (and places), plus eps.

    v is q (1 - c) for inputs with correlation c, or what `channels` says of its mean. It varies from
    unit to unit, by the weights and, about kurtosis - 1 over m, by the inputs: E 1/v is above 1 / E v.
    """
    layer = step.layer
    assert isinstance(layer, BatchNorm)
    if batch * step.places < 2:  # a number less its own mean
        return _silent(step, x, -math.inf)
    gap = 1.0 if math.isnan(x.below) else x.below
    kept = _kept(x, channels)
    log_part = x.log_q + log(kept)
    log_divisor = log_add(log_part, log(layer.eps))
    if log_part == -math.inf:  # without eps, 0 / 0
        return _silent(step, x, -log_divisor if log_divisor > -math.inf else -math.inf)
    m, kurtosis = max(batch * step.places, 4), units.kurtosis
    uneven = units.inverse + x.fresh * (kurtosis - 1.0) / m
    rest = math.exp(log(layer.eps) - log_divisor) if layer.eps else 0.0
    full = 1.0 - rest
    # channels in which padding adds less to v keep more of what inputs differ by
    more = math.exp(max(0.0, channels.inverse - _inverse(x))) if channels else 1.0
    below = min(1.0, gap / max(kept, 1e-12) * more)
    # over the inputs mean and second moment are held, but not the shape
    scatter, by = _batch_shape(x, max(kept * kept, 1e-12))
    noise = np.diag((0.0, ((rest * full) ** 2 * uneven + units.scatter) / x.width, 0.0))
    if x.origin is None and kept > _ALL:  # no input is divided by its own length; their mean square is fixed
        own, pair = (float(of[SECOND, SECOND]) for of in (x.state.own, x.state.pair))
        by.matrix[SECOND, SECOND] = 1.0
        by.own[SECOND, SECOND], by.pair[SECOND, SECOND] = -pair, -pair - max(0.0, own - pair) / max(batch - 1, 1)
    after = Signal(
        x.width, log_part - log_divisor + log(units.kept) + math.log1p(-rest * (1.0 / m + full * uneven)), 0.0, 0.0,
        kurtosis * (m - 1.0) / (m + 1.0), below, Transfer(by.matrix, by.own + noise, by.pair + noise).after(x.state),
        elastic=x.elastic * rest, gaussian=x.gaussian, scatter=scatter,
        inputs=x.inputs, fresh=rest * rest * x.fresh,
        apart=1.0 if channels and below < 1.0 else None, profile=x.profile,
    )  # fmt: skip
    # m / (m - 3) by Gaussian inputs, less two of m parts, those of the mean and of the signal itself
    few = math.log1p(max(-0.5, x.fresh * (kurtosis - 2.0 * units.along) / max(m - 3, 1)))
    back = full * full * few + units.inverse - log_divisor
    few_inputs = units.few or x.fresh * (kurtosis - 1.0) / m > _FEW
    return Node(step, x, after, factor=back, transfer=by, pull_noise=uneven / x.width, approximate=few_inputs)


def stray(x: Signal, nodes: list[Node]) -> float:
    """Variance over the inputs of ln of their mean squares, which BatchNorm holds only on average.

    A deviation of one input's passes from one BatchNorm to the next, times d ln Var f / d ln q of the activations
    between; where that is above 1 the batch comes to consist of a few long inputs, which no formula here tells.
    """
    noise, passed = max(0.0, float(x.state.own[SECOND, SECOND] - x.state.pair[SECOND, SECOND])), 1.0
    for node in reversed(nodes):
        layer = node.step.layer
        if isinstance(layer, BatchNorm):  # of what does not grow, the batch's own mean keeps the sum small
            return noise + passed * node.strays if passed > _GROWS else noise
        if isinstance(layer, Activation):
            passed *= _stretch(layer.function) ** 2
        elif not isinstance(layer, (Dense, Conv, Dropout, Pool)):
            break
    return noise


@functools.lru_cache(maxsize=256)
def _stretch(f: Function) -> float:
    """d ln E (f - m)^2 / d ln q at q = 1, where the mean m of all inputs stays."""
    phi, phi2, *_, elastic = f.moments(1.0, 0.0)
    variance = phi2 - phi * phi
    return max(0.0, elastic - 2.0 * phi * slope_of_mean(f, 1.0)) / variance if variance > 0.0 else 0.0


def _silent(step: Step, x: Signal, back: float) -> Node:
    return Node(step, x, Signal.silent(x.width), factor=back)


def _centred_kurtosis(x: Signal) -> float:
    """Of x about its mean, by the activation that made x; else as if x were symmetric about it."""
    rest = 1.0 - x.mean * x.mean
    if x.origin is not None and abs(x.log_q) < NEAR:
        z, w = grid()
        f = x.origin.function.eval(x.origin.mean + math.sqrt(x.origin.variance) * z)[0]
        f = f - float(w @ f)
        second = float(w @ f**2)
        return max(1.0, float(w @ f**4) / second**2) if second > 0.0 else 3.0
    if rest < 1e-9:
        return 3.0
    return max(1.0, (x.kurtosis - 6.0 * x.mean**2 * rest - x.mean**4) / rest**2)


def _kept(x: Signal, channels: Channels | None) -> float:
    """The part of E x^2 that BatchNorm keeps."""
    return channels.part if channels else min(1.0, 1.0 if math.isnan(x.below) else x.below)


class Channels(NamedTuple):
    """Of the variances v = w' S w of channels over inputs and places, w the weights of one."""

    part: float  # E v, in E h^2
    inverse: float  # ln (E v E 1/v)
    met: float  # ln of E w^2 / v over E w^2 E 1/v


class Units(NamedTuple):
    """Of units y, functions of h = w x or h itself, each about its mean over the inputs and divided by its deviation.

    That is the root of v + eps.
    """

    kurtosis: float = 3.0  # E y^4 / (E y^2)^2
    kept: float = 1.0  # E v / (v + eps), over that of the mean v
    scatter: float = 0.0  # the variance of v / (v + eps) over the units
    inverse: float = 0.0  # ln of E 1 / (v + eps), over that of the mean v
    steeper: float = 0.0  # ln of E f'^2 / (v + eps), over E f'^2 E 1 / (v + eps)
    along: float = 1.0  # E f'^2 y^2 / E f'^2: what a gradient through f weighs
    few: bool = False  # much of E f'^2 / (v + eps) is of units with few inputs that differ
    met: float = 0.0  # ln of E w^2 f'^2 / (v + eps), over E w^2 E f'^2 / (v + eps): a gradient meets w again


def _inverse(x: Signal) -> float:
    """ln (E v E 1/v) of v that is chi-squared over the independent weights of a unit."""
    return -math.log1p(-x.uneven)


def units_of(step: Step, x: Signal, batch: int, channels: Channels | None) -> Units:
    """By the activation that made x, if one did: what its inputs h share over the batch sets a unit's mean and v.

    The scale s of a unit's v is that of its squared weights: chi-squared over as many as are independent.
    """
    layer = step.layer
    assert isinstance(layer, BatchNorm)
    if x.origin is None or abs(x.log_q) > NEAR:
        log_part = x.log_q + log(_kept(x, channels))
        full = exp(2.0 * (log_part - log_add(log_part, log(layer.eps)))) if log_part > -math.inf else 0.0
        by_weights = channels.inverse if channels else _inverse(x)
        return Units(inverse=full * by_weights, met=full * (channels.met if channels else -by_weights))
    h, eps, m = x.origin, layer.eps, max(batch * step.places, 4)
    square = h.mean * h.mean
    shared = min(1.0, max(0.0, (1.0 - h.below) - h.below * square / h.variance)) if h.variance > 0.0 else 0.0
    z, w = grid()
    common, of_common = (z, w) if shared > 0.0 else (np.zeros(1), np.ones(1))
    standard = math.sqrt(shared) * common[:, None] + math.sqrt(1.0 - shared) * z

    def at(scale: float) -> tuple[Array, Array, Array]:
        """f about its mean and f' by the shared part (rows) and the rest, and v by the former."""
        units = h.mean + math.sqrt(scale * h.variance) * standard
        f, slope = (y.reshape(standard.shape) for y in h.function.eval(units.ravel()))
        f = f - (f @ w)[:, None]
        return f, slope, f**2 @ w

    f, slope, v = at(1.0)
    divisor = np.maximum(v + eps, 1e-300)
    mean, second = float(of_common @ v), float(of_common @ (v / divisor))
    steep, along = slope**2 @ w, (slope * f) ** 2 @ w
    total, flat = float(of_common @ steep), float(of_common @ (steep / divisor))
    plain = inverse = met = 0.0
    for scale, weight in _scales(2.0 / x.uneven if x.uneven else math.inf):
        _, slope, variance = at(scale)
        by = weight * of_common / np.maximum(variance + eps, 1e-300)
        steep = slope**2 @ w
        plain, inverse, met = plain + float(by.sum()), inverse + float(by @ steep), met + scale * float(by @ steep)
    fourths = np.minimum(f**4 @ w, m * v * v)  # y^2 exceeds none of m
    fourth = float(of_common @ (fourths / divisor**2))
    few = float(of_common @ (steep / divisor * (fourths > _FEW * m * v * v))) > 0.1 * flat
    if not all(0.0 < number < math.inf for number in (second, inverse, met, flat, total, fourth)):
        return Units()
    scatter = max(0.0, float(of_common @ ((v / divisor) ** 2)) - second**2)
    return Units(
        max(1.0, fourth / second**2), second * (mean + eps) / mean, scatter, math.log(plain * (mean + eps)),
        math.log(inverse / (total * plain)), float(of_common @ (along / divisor**2)) / flat, few,
        math.log(met / inverse),
    )  # fmt: skip


def _scales(n: float) -> list[tuple[float, float]]:
    """Nodes s and weights of E g(s), s chi-squared over n > 2 of mean 1, for g like 1 / s: Gauss-Laguerre."""
    if n > 1e6:
        return [(1.0, 1.0)]
    alpha, k = 0.5 * n - 2.0, np.arange(3)  # of the density times 1 / s, whose shape is n / 2 - 1
    matrix = np.diag(2.0 * k + 1.0 + alpha) + np.diag(np.sqrt(k[1:] * (k[1:] + alpha)), 1)
    nodes, vectors = np.linalg.eigh(matrix, "U")
    nodes = nodes / (0.5 * n)
    return list(zip(nodes.tolist(), (vectors[0] ** 2 * nodes * n / (n - 2.0)).tolist(), strict=True))


def _batch_shape(x: Signal, variance2: float) -> tuple[float, Transfer]:
    """Behind BatchNorm: the variance of the cosine c of two inputs, and the noise of the units' shapes.

    With mean and variance held, what is left of f^2 begins with odd orders, so that E c^3 counts over two
    inputs, c before the units draw anew. It is bounded by E abs(c)^3 = sqrt(8 / pi) Var(c)^(3/2).
    """
    scatter, latent = (min(1.0, s / variance2) for s in (x.scatter, x.scatter - cosine_noise(x.cosine, x.width)))
    together = min(1.0, math.sqrt(8.0 / math.pi) * max(0.0, latent) ** 1.5)
    return scatter, Transfer(zero(), *(np.diag((0.0, 0.0, c / x.width)) for c in (1.0, together)))
