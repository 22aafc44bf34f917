"""Branches that take each unit by itself: ``a x + b f(x)`` is then one activation of x."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .. import _core
from .._activations import Function
from .._types import Array
from ._layers import Activation, BatchNorm, Dropout, LayerNorm, Residual, RMSNorm
from ._linear_layers import Conv, Dense
from ._network import Step
from ._node import Node
from ._signal import exp, log, log_add, scaled_moments
from ._weights import DIAGONAL

Both = Callable[[Array], tuple[Array, Array]]  # f and f'


class Branch(NamedTuple):
    """f of each unit, the part of its outputs that masks at its end let pass, and whether its slopes are exact."""

    function: Both
    keep: float
    exact: bool

    def sum_with(self, skip: float, scale: float) -> _core.Activation:
        """``skip x + scale f(x)``."""

        def both(x: Array) -> tuple[Array, Array]:
            with np.errstate(all="ignore"):
                f, slope = self.function(x)
                return skip * x + scale * f, skip + scale * slope

        # differences are no derivative to integrate: the core takes that of its interpolant
        return _core.Activation.from_callable(lambda x: both(x)[0], (lambda x: both(x)[1]) if self.exact else None, [0.0])


def depends_on_its_input(steps: tuple[Step, ...]) -> bool:
    """No random matrix parts the branch from x, so that E x f(x) is more than E x E f."""
    return not any(step.weights and step.weights[-1].init not in DIAGONAL for step in steps)


def pointwise(nodes: tuple[Node, ...]) -> Branch | None:
    """The branch as a function of one unit, where it is one."""
    parts: list[Both] = []
    keep, exact = 1.0, True
    for node in nodes:
        if isinstance(node.step.layer, Dropout):
            keep *= 1.0 - node.step.layer.p
            continue
        part = _part(node)
        if part is None or keep < 1.0:
            return None
        parts.append(part)
        exact = exact and _exact(node)

    def function(x: Array) -> tuple[Array, Array]:
        slope = np.ones_like(x)
        for part in parts:
            x, d = part(x)
            slope = slope * d
        return x, slope

    return Branch(function, keep, exact)


def _exact(node: Node) -> bool:
    function = node.step.layer.function if isinstance(node.step.layer, Activation) else node.whole
    return function is None or bool(function.has_derivative)


def _part(node: Node) -> Both | None:
    layer, x = node.step.layer, node.before
    if isinstance(layer, Activation):
        function: _core.Activation = layer.function
        return function.eval
    if isinstance(layer, Residual):
        return None if node.whole is None or node.masked else node.whole.eval
    if isinstance(layer, LayerNorm) and not isinstance(layer, BatchNorm):  # of wide layers: an affine map
        mean = 0.0 if isinstance(layer, RMSNorm) else x.mean * exp(0.5 * x.log_q)
        root = exp(-0.5 * log_add(x.log_q + log(1.0 if isinstance(layer, RMSNorm) else 1.0 - x.common), log(layer.eps)))
        return lambda h: ((h - mean) * root, np.full_like(h, root))
    if isinstance(layer, (Dense, Conv)) and node.step.fan_in == node.step.fan_out:
        (w,) = node.step.weights
        gain = float(w.kwargs.get("gain", 1.0))
        if w.init in DIAGONAL and w.bias_second == 0.0 and getattr(layer, "groups", 1) == 1:
            return lambda h: (gain * h, np.full_like(h, gain))
    return None


def with_masks(node: Node, layer: Residual, branch: Branch, branch_log_q: float) -> Node:
    """``a x + b m f(x)`` with masks m of mean 1 (Dropout at the end of the branch), from that with m = 1.

    The masks add b^2 Var(m) E f^2, which two inputs do not share. Fourth moments are those of the two
    functions that m picks: a x + b f(x) / keep, and a x.
    """
    keep, x, y = branch.keep, node.before, node.after
    if keep == 1.0 or y.log_q == -math.inf:
        return node
    log_q = log_add(y.log_q, 2.0 * log(abs(layer.scale)) + branch_log_q + log(1.0 - keep))
    part = math.exp(y.log_q - log_q)
    kept = scaled_moments(branch.sum_with(layer.skip, layer.scale / keep), x.log_q, x.mean)
    left = scaled_moments(_core.Activation("linear", []), x.log_q, x.mean)
    log_skip = 2.0 * log(abs(layer.skip))

    factor = log_add(log(keep) + kept.log_dphi2, log(1.0 - keep) + log_skip)
    kurtosis = keep * kept.kurtosis * exp(2.0 * (kept.log_phi2 - log_q))
    kurtosis += (1.0 - keep) * left.kurtosis * exp(2.0 * (left.log_phi2 + log_skip - log_q))
    slopes = keep * kept.slope_kurtosis * exp(2.0 * (kept.log_dphi2 - factor))
    slopes += (1.0 - keep) * exp(2.0 * (log_skip - factor))
    by = replace(node.transfer, matrix=np.diag((math.sqrt(part), 1.0, 1.0)) @ node.transfer.matrix)
    fresh = np.diag((1.0 - part, max(0.0, kurtosis - y.kurtosis), 0.0)) / x.width
    by = replace(by, own=by.own + fresh)
    after = replace(
        y, log_q=log_q, mean=y.mean * math.sqrt(part), common=y.common * part, kurtosis=kurtosis,
        below=1.0 - part * (1.0 - y.below), origin=None, law=None, state=by.after(x.state),
    )  # fmt: skip
    shared = math.exp(node.factor - factor)  # of the slopes, by all but the masks
    return replace(
        node, after=after, factor=factor, transfer=by, slope_kurtosis=slopes,
        slopes=node.slopes * shared, slopes_bend=node.slopes_bend * shared, linear=node.linear * shared,
        slope_share=node.slope_share * shared, steep=node.steep * part, masked=True,
    )  # fmt: skip


def as_activation(node: Node, function: Function) -> Node:
    """The node of a block as that of an activation."""
    return replace(node, step=activation_step(node.step, function))


def activation_step(step: Step, function: Function) -> Step:
    return replace(step, layer=Activation(function))
