"""One step of a network with the signal around it."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field
from typing import NamedTuple

import numpy as np

from .. import _core
from .._types import Array
from ._fluctuation import Transfer
from ._given import aligned
from ._layers import Pool
from ._network import Step
from ._signal import Curve, Signal, exp, log
from ._units import Passage
from ._weights import Weights


def bias_part(w: Weights, h: Signal) -> float:
    """The part of E h^2 that the biases make."""
    return exp(min(0.0, log(w.bias_second) - h.log_q)) if h.log_q > -math.inf else 0.0


def follow_others(nodes: list[Node], w: Weights) -> bool:
    """Whether given weights are far from independent of those next before."""
    before = next((n for n in reversed(nodes) if n.step.weights or n.body or isinstance(n.step.layer, Pool)), None)
    if w.array is None or before is None or len(before.step.weights) != 1:
        return False
    (v,) = before.step.weights
    if v.array is None or v.shape[-1] != w.shape[-2] or v.groups * w.groups > 1:
        return False
    return aligned(v.array, w.array, (v.mean, w.mean))


class GateStatistics(NamedTuple):
    """Of the hidden units of Gated, for the way back."""

    log_hidden: float  # ln E z^2
    behind: Array = np.zeros((3, 3))  # of the last matrix, by the state of the hidden units
    along: float = 0.0  # covariance of the rows' variance with z^2, of the means over the units
    rows: float = 0.0  # variance of the rows' variance
    shared: float = 0.0  # the largest part of E g^2 and E u^2 that all hidden units share


@dataclass(frozen=True, eq=False)
class Node:
    """A step with the signal before and after it, and what the way back needs."""

    step: Step
    before: Signal
    after: Signal
    _: KW_ONLY
    factor: float = 0.0  # ln of the factor on the gradient variance, backwards
    transfer: Transfer = field(default_factory=Transfer)
    slope_kurtosis: float = 1.0  # E d^2 / (E d)^2 of the squared slopes d
    slope_share: float = 1.0  # correlation of the slopes of two inputs
    linear: float = 1.0  # (E f')^2 / E f'^2
    slopes: float = 1.0  # E f'(u) f'(v) / E f'^2 over two inputs (or places)
    slopes_bend: float = 0.0  # its slope in their cosine
    steep: float = 1.0  # slope of the map of the cosine
    pull: Array = field(default_factory=lambda: np.zeros(3))  # d ln factor / d state before the layer
    pull_noise: float = 0.0  # variance of the rest of ln factor
    curve: Curve = field(default_factory=Curve)
    body: tuple[Node, ...] = ()
    branch: Transfer = field(default_factory=Transfer)  # of Residual by its branch; `transfer` is the skip's
    gate: GateStatistics | None = None
    whole: _core.Activation | None = None  # the activation that a Residual is, whose branch takes each unit by itself
    masked: bool = False  # and Dropout at the end of that
    passage: Passage | None = None  # of an activation, from the units before to those behind
    spared: float = 0.0  # ln of what a mean over pixels takes from g^2, and sums over them give back to weights
    strays: float = 0.0  # behind BatchNorm, the variance over the inputs of ln of their mean squares
    unlike: float = 0.0  # see `unlike_behind`
    approximate: bool = False
