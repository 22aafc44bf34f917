"""Pooling: means and maxima over windows of pixels or units."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _core
from ._fluctuation import Transfer
from ._layers import Pool
from ._network import Step
from ._node import Node
from ._signal import Signal, _grid, exp, log, mapped_below


def pool(step: Step, x: Signal) -> Node:
    """Means and maxima of independent units (of pixels, which a convolution correlates, approximately)."""
    layer = step.layer
    assert isinstance(layer, Pool)
    k = windows(step)
    width = step.fan_out
    if layer.kind == "mean":
        alike = pixels_alike(x) if step.spatial else x.common
        after, by = mean_of(x, k, width, alike)
        return Node(step, x, after, -2.0 * math.log(k), by)
    first, second, fourth = _maximum(x, k)
    if second == 0.0:
        return Node(step, x, replace(x, width=width), -math.log(k))
    mean, kurtosis = first / math.sqrt(second), fourth / second**2
    by = _fewer(x, width, kurtosis - 1.0)
    after = replace(
        x, width=width, log_q=x.log_q + math.log(second), mean=mean, common=mean * mean, kurtosis=kurtosis,
        below=_maximum_below(x, k), gaussian=False, origin=None, state=by.after(x.state),
    )  # fmt: skip
    return Node(step, x, after, -math.log(k), by, float(k))


def _fewer(x: Signal, width: int, spread: float) -> Transfer:
    """What the units share stays, and of fewer of them the mean square scatters more: by spread / width."""
    noise = max(0.0, spread / width - (x.kurtosis - 1.0) / x.width)
    own, pair = (np.diag((1.0 / width, noise, 1.0 / width)) * c for c in (1.0, x.cosine**2))
    return Transfer(np.diag((0.0, 1.0, 0.0)), own, pair)


def pixels_alike(x: Signal) -> float:
    """E of products of two pixels of a channel over E x^2: they share weights as two inputs do."""
    return x.common if math.isnan(x.below) else max(x.common, min(1.0, 1.0 - x.below))


def mean_of(x: Signal, k: int, width: int, alike: float) -> tuple[Signal, Transfer]:
    """Means over k units or pixels each, of which two have the product `alike` on average."""
    part = (1.0 - alike) / k + alike
    if part == 0.0 or math.isnan(x.below):
        return replace(x, width=width, origin=None), Transfer()
    excess = max(0.0, x.kurtosis - 3.0) / k
    by = _fewer(x, width, 2.0 + excess)
    return replace(
        x, width=width, log_q=x.log_q + math.log(part), mean=x.mean / math.sqrt(part), common=min(1.0, x.common / part),
        kurtosis=3.0 + excess, below=min(2.0, x.below / k / part), origin=None, state=by.after(x.state),
    ), by  # fmt: skip


def windows(step: Step) -> int:
    """Units that a window takes together."""
    assert isinstance(step.layer, Pool)
    return int(step.layer.size ** (len(step.image_in) if step.image_in is not None else 2 if step.spatial else 1))


def _before_maximum(x: Signal) -> tuple[Any, float, float]:
    """The activation that was applied (or None), and mean and standard deviation before it."""
    if x.origin is not None:
        return x.origin[0], x.origin[1], math.sqrt(x.origin[2])
    return None, x.mean, math.sqrt(max(0.0, 1.0 - x.mean * x.mean))


def largest_slope(x: Signal, k: int) -> float:
    """ln E f'^2 at the largest of k pre-activations."""
    function, mean, std = _before_maximum(x)
    z, w = _grid()
    weight = w * k * _core.special("normal_cdf", z) ** (k - 1)
    slope = function.eval(mean + std * z)[1]
    return log(float((weight * slope**2).sum())) if slope is not None else 0.0


def _maximum_below(x: Signal, k: int) -> float:
    """1 - cosine of the maxima of two inputs: over fixed normal numbers, as there is no closed form."""
    if math.isnan(x.below):
        return x.below
    function, mean, std = _before_maximum(x)
    below = x.below
    if x.origin is not None:
        # 1 - cosine before the activation, by bisection of its map
        log_q, ratio = log(mean * mean + std * std), mean / math.hypot(mean, std)
        low, high = 0.0, 1.0
        for _ in range(40):
            below = 0.5 * (low + high)
            low, high = (below, high) if mapped_below(function, log_q, ratio, below)[0] < x.below else (low, below)
    below = min(1.0, below / max(1e-12, 1.0 - (mean / math.hypot(mean, std)) ** 2))
    one, two = np.random.default_rng(0).standard_normal((2, 4096, k))
    a, b = std * math.sqrt(1.0 - 0.5 * below), std * math.sqrt(0.5 * below)
    u, v = (mean + a * one + sign * b * two for sign in (1.0, -1.0))
    u, v = u.max(1), v.max(1)
    if function is not None:
        u, v = function.eval(u)[0], function.eval(v)[0]
    square = float((u * u).mean() + (v * v).mean())
    return float(((u - v) ** 2).mean()) / square if square > 0.0 else math.nan


def _maximum(x: Signal, k: int) -> tuple[float, float, float]:
    """E m, E m^2, E m^4 of the largest m of k units, in units of sqrt(E x^2).

    Density k pdf cdf^(k-1) of the pre-activation: the largest comes from the largest, as all
    pooled activations rise.
    """
    q = exp(x.log_q) if abs(x.log_q) < 600.0 else 1.0
    function, mean, std = _before_maximum(x)
    z, w = _grid()
    weight = w * k * _core.special("normal_cdf", z) ** (k - 1)
    h = mean + std * z
    values = h if function is None else function.eval(h)[0] / math.sqrt(q)
    return float((weight * values).sum()), float((weight * values**2).sum()), float((weight * values**4).sum())
