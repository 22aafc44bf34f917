"""Upper edge of the spectrum of J J^T for chains of layers of any widths, by S-transforms."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .._types import Array
from ._layers import Activation, BatchNorm, Dropout, LayerNorm
from ._linear_layers import Conv, Dense
from ._network import columns
from ._node import Node
from ._profile import profile_behind, tap_fraction, unevenly_heard, unevenness
from ._signal import exp, grid
from ._weights import ONE_TAP, Weights

LogS = Callable[[Array], Array]  # of z times the number of outputs


def upper_edge(nodes: tuple[Node, ...], log_mean: float) -> float | None:
    """Largest eigenvalue of J J^T of wide layers, weights about their mean; None where a layer is of another kind.

    With S-transforms normalized by the M outputs, free factors multiply (Voiculescu 1987; Pennington et al.
    2017), each taken at z M over its own width, and the edge is the least of (1 + z) / (z S(z)) over z > 0.
    """
    terms = [_log_s(node) for node in nodes]
    if not terms or any(term is None for term in terms):
        return None
    outputs = columns(nodes[-1].step.fan_out, nodes[-1].step.image_out)
    low, high = -40.0, 40.0
    best = math.inf
    for _ in range(4):
        t = np.linspace(low, high, 161)
        z = np.exp(t)
        value = np.logaddexp(0.0, -t)
        for term in terms:
            assert term is not None
            value = value - term(outputs * z)
        at = int(np.argmin(value))
        best = min(best, float(value[at]))
        low, high = float(t[max(at - 1, 0)]), float(t[min(at + 1, 160)])
    return exp(max(best, log_mean))  # never below the mean


def _log_s(node: Node) -> LogS | None:
    """ln of the factor's S-transform, by M z."""
    layer, step = node.step.layer, node.step
    if step.spatial and step.image_in is None:
        return None
    n, m = columns(step.fan_in, step.image_in), columns(step.fan_out, step.image_out)
    if isinstance(layer, Conv):
        return _of_taps(node, n, m)
    if isinstance(layer, Dense):
        return _of_weights(step.weights[0], n, m) if step.weights[0].fan_in == n else None
    if isinstance(layer, Activation) and node.before.log_q > -math.inf:
        return _of_slopes(*_slopes(node), n)
    if isinstance(layer, Dropout):
        keep = 1.0 - layer.p
        return _of_slopes(np.array([1.0 / keep**2, 0.0]), np.array([keep, layer.p]), n)
    if isinstance(layer, LayerNorm) and not isinstance(layer, BatchNorm):  # its projections are lost in wide layers
        return lambda mz: np.full_like(mz, -node.factor)
    return None


def _of_taps(node: Node, n: float, m: float) -> LogS | None:
    """Independent elements at every frequency, which see all inputs; what is left of them at the border.

    Or orthogonal ones at every place.
    """
    w, step = node.step.weights[0], node.step
    assert isinstance(step.layer, Conv)
    if w.init in ONE_TAP and w.orthogonal and step.layer.groups == 1 and math.prod(step.layer.stride) == 1:
        return _of_isometry(math.log(w.second * math.prod(w.shape[:-2]) * max(w.shape[-2:])), n, m)
    if not w.variance > 0.0 or w.orthogonal:
        return None
    if math.prod(step.layer.stride) > math.prod(step.layer.kernel):  # some inputs unused
        return None
    if abs(w.spread / (1.0 + w.fan_in / w.fan_out) - 1.0) > 0.05:
        return None
    n /= unevenly_heard(step)
    log_second = math.log(w.fan_in * w.variance * tap_fraction(step) * unevenness(profile_behind(step, None, 1.0)) / n)
    return lambda mz: -log_second - np.log(n + mz)


def _of_weights(w: Weights, n: float, m: float) -> LogS | None:
    if not w.variance > 0.0:
        return None
    log_second = math.log(w.variance)
    if not w.orthogonal:  # independent elements (Marchenko & Pastur 1967), or an array that looks like them
        if abs(w.spread / (1.0 + n / m) - 1.0) > 0.05:
            return None
        return lambda mz: -log_second - np.log(n + mz)
    return _of_isometry(log_second + math.log(max(n, m)), n, m)


def _of_isometry(log_gain: float, n: float, m: float) -> LogS:
    if m <= n:
        return lambda mz: np.full_like(mz, -log_gain)
    return lambda mz: -log_gain + np.log(m + mz) - np.log(n + mz)


def _slopes(node: Node) -> tuple[Array, Array]:
    layer, x = node.step.layer, node.before
    assert isinstance(layer, Activation)
    mean, deviation = x.centre_and_deviation()
    z, weight = grid()
    return layer.function.eval(mean + deviation * z)[1] ** 2, weight


def _of_slopes(square: Array, weight: Array, n: float) -> LogS | None:
    """(1 + z) / (z w), w the solution of E d / (w - d) = z for squared slopes d: from a table of w - max d."""
    square, where = np.unique(np.round(square, 14), return_inverse=True)
    weight = np.bincount(where.ravel(), weight)
    top = float(square[-1])
    if not (top > 0.0 and math.isfinite(top)):
        return None
    log_gap = np.linspace(60.0, -60.0, 1201)
    gap = top * np.exp(log_gap)
    z = (weight * square / (gap[:, None] + (top - square))).sum(1)
    if not z.min() > 0.0:  # the largest slopes are those of numbers that are all but never met
        return None
    log_z = np.log(z)

    def log_s(mz: Array) -> Array:
        log_own = np.log(mz / n)
        w = np.log(top) + np.log1p(np.exp(np.interp(log_own, log_z, log_gap)))
        return np.asarray(np.logaddexp(0.0, -log_own) - w)

    return log_s
