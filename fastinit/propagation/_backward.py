"""Backward rules: the variance of gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._types import Array
from ._fluctuation import MEAN, SECOND, Transfer, batch_mean, bounded
from ._layers import Activation, BatchNorm, Dropout, LayerNorm, Pool, Residual, RMSNorm
from ._linear_layers import Conv, Dense, Gated
from ._node import Node, bias_part
from ._pointwise import as_activation
from ._pooling import pixels_alike, shared_taps, windows
from ._profile import Profile, divided, mixed, profile_of_gradient, tap_fraction, unpooled
from ._signal import NEAR, Signal, exp, log, log_add
from ._weights import ONE_TAP


class Gradient(NamedTuple):
    """Statistics of dL/dx, relative to a standard normal gradient at the output.

    ln of its mean square over the units fluctuates with what the layers behind draw, and follows
    the fluctuating state of the signal at this place, by `pull`: slopes and norms behind it do.
    """

    width: int
    log_g: float = 0.0  # ln E g^2
    pull: Array = np.zeros(3)  # d ln g^2 / d state of the signal
    own: float = 0.0  # variance of the rest, of one input
    pair: float = 0.0  # and over two inputs
    common: float = 0.0  # E g_i g_j / E g^2 over two units
    excess: float = 0.0  # part of g^2 along the signal, beyond that of a random direction
    grown: float = 0.0  # ln of what `excess` has made g^2 grow by
    pixels: int = 1  # places of an image with gradients of their own
    profile: Profile = None  # of E g^2 over them
    together: float = 1.0  # sum over pairs of places of E g g', over the sum over places of E g^2
    bend: float = 0.0  # d together / d cosine of two places of the signal
    centred: bool = False  # sums to 0 over inputs and places
    square: float = 0.0  # E c^2, c the cosine of the gradients of two inputs (or places)
    reach: tuple[float, float] = (0.0, 0.0)  # variance of ln q at the output, of one input and over two
    by_cell: Array | None = None  # E g^2 over its mean by the cells of the signal's `law`, where it depends on them
    joint: float = 0.0  # ln of what the factors' fluctuating together has made E g^2 grow by

    def variance(self, x: Signal, batch: int) -> float:
        """Of the logarithm of the mean square over units and inputs, x the signal at this place."""
        # what comes from the part along the signal, beyond a random one, is the square of one normal number, times the
        # signal's growth
        aligned = min(max(self.excess, -math.expm1(-max(0.0, self.grown))), 1.0 - 1.0 / self.width) ** 2
        own, pair = (
            noise + float(self.pull @ a @ self.pull) + aligned * max(0.0, reach - float(a[SECOND, SECOND]))
            for noise, a, reach in zip((self.own, self.pair), (x.state.own, x.state.pair), self.reach, strict=True)
        )
        return batch_mean(own + 2.0 * (self.common**2 + aligned), pair, batch * self.pixels)

    def through(self, by: Transfer, pull: Array | None = None, weight: float = 1.0) -> Gradient:
        """Before a layer that moves the state, and (times `weight`) the gradient by `pull` of it."""
        before = by.matrix.T @ self.pull
        return self._replace(
            pull=before if pull is None else before + weight * pull,
            own=self.own + float(self.pull @ by.own @ self.pull), pair=self.pair + float(self.pull @ by.pair @ self.pull),
        )  # fmt: skip

    def coherent(self, growth: float, excess: float) -> Gradient:
        """With g^2 larger by a factor 1 + growth because of the part of it along the signal."""
        more = math.log1p(growth)
        return self._replace(
            log_g=self.log_g + more, grown=self.grown + more, excess=min(1.0, max(-1.0 / self.width, excess)),
        )  # fmt: skip

    def parted(self, slopes: float, squares: float, width: int) -> Gradient:
        """Times slopes of `width` units, unlike for two inputs: of the means E f'f'' and E f'^2 f''^2 where E f'^2 = 1."""
        return self._replace(square=min(1.0, self.square * slopes**2 + max(0.0, squares - slopes**2) / width))

    def fluctuating(self, covariance: float) -> Gradient:
        """Times the mean of a product of two factors: to second order, while all such terms together are small."""
        total = bounded(self.joint + covariance)
        return self._replace(log_g=self.log_g + total - self.joint, joint=total)

    def noisier(self, own: float, pair: float = 0.0) -> Gradient:
        return self._replace(own=self.own + own, pair=self.pair + pair)


@dataclass(frozen=True)
class Back:
    """One row of the way back: the gradient at a step's output and of its weights."""

    node: Node
    at: Gradient
    log_weight: float | None  # ln E (dL/dW)^2 of one input, of the (last) matrix
    weight_var: float = 0.0  # variance of its logarithm over draws


def back_through(nodes: tuple[Node, ...], g: Gradient, batch: int, weight: float = 1.0) -> tuple[list[Back], Gradient]:
    """Rows in execution order (branches before their block), and the gradient at the input.

    E g^2 before a layer is that after it, times fan_out Var W, times E f'^2 (Schoenholz et al.
    2017), with forward and backward weights taken as independent. What the layers add to the
    fluctuation of ln g^2 is multiplied by `weight`.
    """
    rows: list[Back] = []
    for node in reversed(nodes):
        log_weight, variance = None, 0.0
        inner: list[Back] = []
        layer = node.step.layer
        if node.step.weights:
            log_weight = g.log_g + (node.before.log_q if node.gate is None else node.gate.log_hidden)
            if isinstance(layer, Conv):
                log_weight += _places(node, g)
            both = g.through(node.transfer, np.array([0.0, 1.0, 0.0]))
            variance = both.variance(node.before, batch)
        row = Back(node, g, log_weight, variance)
        if node.whole is not None and isinstance(layer, Residual):
            start = g._replace(log_g=g.log_g + 2.0 * log(abs(layer.scale)), by_cell=None)
            inner, _ = back_through(node.body, start, batch)
            g = _step(as_activation(node, node.whole), g, weight)
        elif isinstance(layer, Residual):
            inner, g = _residual(node, layer, g, batch, weight)
        else:
            g = _step(node, g, weight)
        rows[:0] = [*inner, row]
    return rows, g


def _places(node: Node, g: Gradient) -> float:
    """ln of the terms in a weight's gradient, sum_p g_p x_p over the places p of the image.

    Its square sums E g_p g_q E x_p x_q over pairs of places. Both factors follow the cosine c of the
    signal there, which varies over the units: E c T(c) = c T + Var(c) T'. The second part is what
    slopes f'(w x) and the x they depend on have in common, which is all where places are independent:
    for a ReLU, E x f'(w x) = w / sqrt(2 pi q) adds up over the image.
    """
    x, places = node.before, math.prod(node.step.image_out or ())
    if places <= 1:
        return 0.0
    pairs = (g.together - 1.0) * pixels_alike(x) + g.bend * x.scatter
    each = x.below if g.centred and not math.isnan(x.below) else 1.0 + shared_taps(node.step) * pairs
    return log(places * tap_fraction(node.step, x.profile, g.profile, every=True) * each)


def _step(node: Node, g: Gradient, weight: float) -> Gradient:
    x = node.before
    before = g.through(node.transfer, node.pull, weight)
    if weight == 1.0:
        before = before.fluctuating(float(node.pull @ x.state.own @ (before.pull - node.pull)))
    before = before._replace(log_g=before.log_g + node.factor, by_cell=None, centred=False)
    rule = next(rule for kind, rule in _RULES.items() if isinstance(node.step.layer, kind))
    return rule(node, g, before, weight)


# Rules take the node, the gradient behind it, that before it as far as it is known, and the weight of new noise.


def _norm(node: Node, g: Gradient, before: Gradient, weight: float) -> Gradient:
    """The part along the signal is projected out."""
    layer, x = node.step.layer, node.before
    before = before.coherent(-min(0.9, g.excess), -1.0 / x.width)
    if isinstance(layer, BatchNorm):  # of all inputs together; and what all places and inputs have in common
        before = before._replace(together=1.0, bend=0.0, centred=True, excess=0.0)
    else:
        profile, log_more = divided(g.profile, x.profile)
        before = before._replace(
            log_g=before.log_g + log_more, profile=profile, bend=g.bend * node.steep, centred=g.centred,
        )  # fmt: skip
        if not isinstance(layer, RMSNorm) and x.width > 1:  # and what all units have in common
            left = log(1.0 - min(1.0, max(0.0, g.common)))
            before = before._replace(log_g=before.log_g + left, common=-1.0 / (x.width - 1.0))
    noise = weight * weight * node.pull_noise
    return before.noisier(noise, noise)


def _activation(node: Node, g: Gradient, before: Gradient, weight: float) -> Gradient:
    kurtosis, n = node.slope_kurtosis, node.before.width
    if node.passage is not None:
        by_cell, more, kurtosis = node.passage.back(g.by_cell)
        before = before._replace(log_g=before.log_g + log(more), by_cell=by_cell)
    grown = max(-0.9, g.excess * (node.curve.boost - 1.0))
    along = g.excess * node.curve.along + node.curve.stretch / n
    before = before.coherent(grown, along / (1.0 + grown) - 1.0 / n)._replace(
        common=g.common * node.linear, together=1.0 + (g.together - 1.0) * node.slopes,
        bend=g.bend * node.steep * node.slopes + (g.together - 1.0) * node.slopes_bend,
    )  # fmt: skip
    fresh = 2.0 * (kurtosis - 1.0) / n
    alike = (g.square * fresh + node.pull_noise) * node.slope_share
    before = before.parted(node.slopes, 1.0 + (kurtosis - 1.0) * node.slope_share, n)
    return before.noisier(weight * weight * (fresh + node.pull_noise), weight * weight * alike)


def _dropout(node: Node, g: Gradient, before: Gradient, weight: float) -> Gradient:
    n = node.before.width
    before = before._replace(
        common=g.common * node.linear, together=1.0 + (g.together - 1.0) * node.linear, bend=g.bend * node.linear**2
    )
    before = before.parted(node.linear, 1.0, n)
    return before.noisier(weight * weight * (2.0 * (node.slope_kurtosis - 1.0) / n + node.pull_noise))


def _pool(node: Node, g: Gradient, before: Gradient, weight: float) -> Gradient:
    step, layer = node.step, node.step.layer
    assert isinstance(layer, Pool)
    before = before._replace(profile=unpooled(step, g.profile, layer.size), width=node.before.width, excess=0.0)
    if layer.kind == "mean":  # its places have one gradient
        return before._replace(together=g.together * windows(step), bend=g.bend * windows(step))
    return before._replace(by_cell=g.by_cell)


def _linear(node: Node, g: Gradient, before: Gradient, weight: float) -> Gradient:
    step, x, w = node.step, node.before, node.step.weights[0]
    layer, n = step.layer, x.width
    # a place's gradient comes from a window of them
    window = math.prod(layer.kernel) if isinstance(layer, Conv) and w.init not in ONE_TAP else 1
    same = g.square / window
    # what the gradients of all units share adds up where weights have a mean
    shared = w.mean**2 * (g.width - 1.0) * g.common / w.second if w.second else 0.0
    alike = (w.mean**2 / w.second + shared) / (1.0 + shared) if w.mean and shared > -1.0 else 0.0
    # of the part along h = x W + b that along x W reaches x
    aligned = g.excess * (1.0 - bias_part(w, node.after)) * g.width / n if isinstance(layer, Dense) else 0.0
    # Independent elements keep the part along the signal beside what they make of the rest; orthogonal ones keep
    # all lengths, but for what more outputs than inputs project out.
    grown = max(-0.9, aligned * (max(0.0, (g.width - n) / max(g.width - 1, 1)) if w.orthogonal else 1.0))
    before = before._replace(width=n).coherent(grown, (1.0 / n + aligned) / (1.0 + grown) - 1.0 / n)
    if isinstance(layer, Conv):  # two places meet the same weight at the taps that both have
        part, slope = shared_taps(step), node.after.elastic / x.elastic if x.elastic else 0.0
        at_places = log(tap_fraction(step, after=g.profile)) - log(tap_fraction(step))
        before = before._replace(
            log_g=before.log_g + at_places, profile=profile_of_gradient(step, g.profile),
            together=1.0 + (g.together - 1.0) * part, bend=g.bend * part * slope,
        )
    elif step.fan_in != n:  # all pixels, as units
        before = before._replace(profile=None)
        n *= math.prod(step.image_in or ())
    else:
        before = before._replace(together=float(math.prod(step.image_in or ())))
    fresh = 2.0 * max(0.0, 1.0 / n - 1.0 / g.width) if w.orthogonal else 2.0 / n
    before = before._replace(
        log_g=before.log_g + log(max(0.0, 1.0 + shared)), common=alike, square=same + (1.0 - same) ** 2 * 0.5 * fresh,
    )  # fmt: skip
    noise = weight * weight * fresh
    return before.noisier(noise, noise * same)  # two inputs meet the same weights


def _gated(node: Node, g: Gradient, before: Gradient, weight: float) -> Gradient:
    """The rows' variance fluctuates with the hidden units, as the signal behind them does."""
    gate, layer = node.gate, node.step.layer
    assert gate is not None and isinstance(layer, Gated)
    hidden, square = layer.hidden, weight * weight
    behind = float((gate.behind.T @ g.pull)[SECOND])
    rows = square * gate.rows + 2.0 * weight * behind * gate.along
    fresh = 2.0 * node.slope_kurtosis / hidden + 2.0 / node.before.width
    same = g.square * node.slope_share**2
    before = before._replace(width=node.before.width, common=0.0, excess=0.0, square=min(1.0, same + 0.5 * fresh))
    if weight == 1.0:
        before = before.fluctuating(behind * gate.along)
    return before.noisier(square * fresh + rows, rows * node.slope_share + square * fresh * same)


_RULES: dict[type, Callable[[Node, Gradient, Gradient, float], Gradient]] = {
    LayerNorm: _norm, Activation: _activation, Dropout: _dropout, Pool: _pool, Gated: _gated, Dense: _linear, Conv: _linear,
}  # fmt: skip


def _residual(node: Node, layer: Residual, g: Gradient, batch: int, weight: float) -> tuple[list[Back], Gradient]:
    """Factor a^2 + b^2 chi_f: the branch's gradient adds to the skip's (Yang & Schoenholz 2017).

    A gradient along the signal meets it in the branch's Jacobian J again, J x = f for a homogeneous
    branch: there the two gradients add up coherently. The branch is passed twice, so that blocks in blocks
    cost 2 to the depth of their nesting.
    """
    x, f, y = node.before, node.body[-1].after, node.after
    start = g.through(node.branch)
    # what the branch does not share in the fluctuation at the block's output
    own, pair = (
        max(0.0, float(g.pull @ a @ g.pull - start.pull @ b @ start.pull))
        for a, b in ((y.state.own, f.state.own), (y.state.pair, f.state.pair))
    )
    skip, scale = _shares(layer, x, f, y)
    to_f = (skip * x.mean * f.mean + scale) ** 2  # cosine^2 of the sum and the branch
    start = start._replace(
        log_g=g.log_g + 2.0 * log(abs(layer.scale)), own=g.own + own, pair=g.pair + pair,
        excess=g.excess * min(1.0, to_f), by_cell=None,
    )  # fmt: skip
    rows, end = back_through(node.body, start, batch)
    straight = g.log_g + 2.0 * log(abs(layer.skip))
    total = log_add(straight, end.log_g)
    part = math.exp(end.log_g - total) if end.log_g > -math.inf else 0.0
    moved = g.through(node.transfer)
    alone = g.through(node.branch)._replace(own=moved.own, pair=moved.pair, excess=0.0, grown=0.0, by_cell=None)
    _, joint = back_through(node.body, alone, batch, weight * part)
    fresh = 4.0 * part * (1.0 - part) / g.width
    excess, log_total = g.excess, total
    if total > -math.inf and x.log_q > -math.inf:
        degree = float(f.state.matrix[SECOND, SECOND])  # of J x along f
        shift = x.mean * float(2.0 * f.state.matrix[MEAN, SECOND] + f.state.matrix[MEAN, MEAN] * x.mean)  # and along x
        onto_x, onto_branch = skip + scale * x.mean * f.mean, skip * shift + scale * degree
        length = skip * skip + (scale * degree) ** 2 + 2.0 * skip * scale * shift
        larger = exp(min(NEAR, y.log_q - x.log_q + g.log_g - total))  # of lengths, y^2 g^2 / x^2 over the new g^2
        grown = max(1e-3, 1.0 + g.excess * 2.0 * skip * scale * onto_x * onto_branch * larger)
        along = skip * onto_x + scale * onto_branch
        excess = (g.excess * along**2 + length / g.width) * larger / grown - 1.0 / g.width
        log_total = total + math.log(grown)
    plain = log_add(straight, end.log_g - (end.grown - g.grown))
    after = Gradient(
        g.width, log_total, moved.pull + joint.pull, joint.own + weight * weight * fresh,
        joint.pair + weight * weight * fresh * math.sqrt(g.square * end.square),
        square=((1.0 - part) * math.sqrt(g.square) + part * math.sqrt(end.square)) ** 2,
        by_cell=_by_cell(g, end, part),
        profile=mixed(g.profile, end.profile, 1.0 - part), common=(1.0 - part) * g.common + part * end.common,
        excess=min(1.0, max(-1.0 / g.width, excess)), pixels=g.pixels, reach=g.reach,
        together=(1.0 - part) * g.together + part * end.together, bend=(1.0 - part) * g.bend * skip**2 + part * end.bend,
        grown=g.grown + (log_total - plain if plain > -math.inf else 0.0),
    )  # fmt: skip
    return rows, after


def _by_cell(g: Gradient, end: Gradient, part: float) -> Array | None:
    """Of skip and branch together, by the cells that both have from the block's input."""
    if g.by_cell is None and end.by_cell is None:
        return None
    one, two = (np.ones(1) if of.by_cell is None else of.by_cell for of in (g, end))
    mixed_cells: Array = (1.0 - part) * one + part * two
    return mixed_cells


def _shares(layer: Residual, x: Signal, f: Signal, y: Signal) -> tuple[float, float]:
    """Signed parts of skip and branch in the output, in units of sqrt(E y^2)."""
    if y.log_q == -math.inf:
        return 0.0, 0.0
    parts = (layer.skip, x.log_q), (layer.scale, f.log_q)
    one, two = (math.copysign(exp(0.5 * (2.0 * log(abs(c)) + q - y.log_q)), c) for c, q in parts)
    return one, two
