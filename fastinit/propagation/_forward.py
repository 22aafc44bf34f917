"""Forward rules: how each layer moves the statistics of the signal."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from .._activations import Function
from .._types import Array
from ._fluctuation import (
    MEAN,
    SECOND,
    SHAPE,
    Transfer,
    amplified,
    bounded,
    cosine_noise,
    gaussian_noise,
    to_hermite,
    zero,
)
from ._layers import Activation, BatchNorm, Dropout, LayerNorm, Pool, Residual
from ._linear_layers import Conv, Dense, Gated
from ._network import Step
from ._node import Node, bias_part, follow_others
from ._normalization import UNLIKE, batch_norm, norm, stray, units_of
from ._pointwise import Branch, activation_step, depends_on_its_input, pointwise, with_masks
from ._pooling import at_largest, channels_behind, mean_of, overlap, pixels_alike, pool, shared_taps, spared, unlike_behind
from ._products import SHARED, bend, gated, through
from ._profile import evenness, profile_behind, raised, tap_fraction
from ._signal import NEAR, Curve, Origin, Signal, UnitLaw, exp, log, mapped_below, scaled_moments
from ._sum import sum_with_branch
from ._units import behind_normal, pairs_of, through_law, values_of
from ._weights import ONE_TAP

#: The excess kurtosis of h that units of different scales, or biases, make, from which it is no Gaussian.
_MIXED = 1.5
#: Weights of a unit, below which what its inputs share is not that of a typical one, as behind depthwise convolutions.
_FEW = 12
#: The variance of cosines over pairs of inputs from which their mean alone does not tell those behind, or dead units.
_GROUPED = 0.15
#: The part of the taps that places of a window share, below which padding makes them unlike.
_INSIDE = 0.9


def walk(steps: tuple[Step, ...], signal: Signal, batch: int) -> tuple[Node, ...]:
    """The nodes of a list of steps, for so many inputs."""
    nodes: list[Node] = []
    for step, following in zip(steps, (*steps[1:], None), strict=True):
        if isinstance(step.layer, Pool):
            shared = _shared(step.layer, nodes)
            node = pool(step, signal, shared)
            # of how far places are alike, what the convolutions before the last one change is left out
            stacked = sum(isinstance(n.step.layer, Conv) for n in nodes) > 1 and shared < _INSIDE
            node = replace(node, approximate=node.approximate or stacked)
            if step.layer.kind == "max" and nodes and signal.origin is not None:
                nodes[-1] = at_largest(nodes[-1], step, signal, shared)
        elif isinstance(step.layer, BatchNorm):
            node = _behind_batch_norm(step, signal, batch, nodes)
        elif isinstance(step.layer, Residual):
            node = _residual(step, signal, batch)
        elif isinstance(step.layer, (Dense, Conv)):
            node = _dense(step, signal, _shared_taps(nodes))
            node = replace(node, approximate=node.approximate or follow_others(nodes, step.weights[0]))
        else:
            node = _RULES[next(kind for kind in _RULES if isinstance(step.layer, kind))](step, signal)
        if following is not None and isinstance(following.layer, Residual) and isinstance(step.layer, Activation):
            node = _followed(node)
        if step.spatial:
            node = replace(node, unlike=unlike_behind(node, nodes[-1].unlike if nodes else 0.0))
        nodes.append(node)
        signal = node.after
    return tuple(nodes)


def _followed(node: Node) -> Node:
    """An activation of normal numbers before a skip connection, which keeps the law of its units."""
    layer, x = node.step.layer, node.before
    assert isinstance(layer, Activation)
    known = behind_normal(layer.function, x.log_q, x.mean) if x.gaussian and abs(x.log_q) < NEAR else None
    if known is None:
        return node
    values, passage = known
    return replace(node, after=_with_law(node.after, values), passage=passage)


def _with_law(x: Signal, values: Array) -> Signal:
    return replace(x, law=UnitLaw(values * exp(-0.5 * x.log_q)))


def _behind_batch_norm(step: Step, x: Signal, batch: int, nodes: list[Node]) -> Node:
    """Of steep units, and by weights that made v large, gradients are divided by more: in the nodes before."""
    padded = bool(nodes) and isinstance(nodes[-1].step.layer, Conv)
    channels = channels_behind(nodes, x)
    active = bool(nodes) and isinstance(nodes[-1].step.layer, Activation)
    units = units_of(step, x, batch, channels)
    node = batch_norm(step, x, batch, units, channels)
    if nodes:
        nodes[-1] = replace(nodes[-1], factor=nodes[-1].factor + units.steeper)
    linear = -2 if active else -1
    if len(nodes) >= -linear and isinstance(nodes[linear].step.layer, (Dense, Conv)):
        nodes[linear] = replace(nodes[linear], factor=nodes[linear].factor + units.met)
    # what differs between places is alike at neighbours, which is left out
    near, strays = padded and nodes[-1].before.apart is not None, stray(x, nodes)
    return replace(node, strays=strays, approximate=node.approximate or near or strays > UNLIKE)


def _shared(layer: Pool, nodes: list[Node]) -> float:
    """How far the places of a window see the same taps of the convolution behind which they are pooled."""
    conv = _convolution_before(nodes)
    return overlap(conv, layer.size) if conv is not None else 1.0


def _shared_taps(nodes: list[Node]) -> float:
    """The same of all places."""
    conv = _convolution_before(nodes)
    return shared_taps(conv) if conv is not None else 1.0


def _convolution_before(nodes: list[Node]) -> Step | None:
    steps = (node.step for node in reversed(nodes))
    last = next((step for step in steps if not isinstance(step.layer, (Activation, LayerNorm))), None)
    return last if last is not None and isinstance(last.layer, Conv) else None


def _dense(step: Step, x: Signal, shared: float) -> Node:
    (w,) = step.weights
    taps, back, given_back = 1.0, log(step.fan_out * w.second), 0.0
    if isinstance(step.layer, Conv):
        taps = tap_fraction(step, x.profile)
        fewer = 1.0 / math.prod(step.layer.stride)
        if step.image_in is not None and step.image_out is not None:
            fewer = math.prod(step.image_out) / math.prod(step.image_in)
        back = log(w.fan_out * w.second * tap_fraction(step) * fewer)
        # a window takes the mean over its taps, between which only what inputs share stays
        window = 1 if w.init in ONE_TAP else math.prod(step.layer.kernel)
        state = replace(x.state, own=x.state.own / window + (1.0 - 1.0 / window) * x.state.pair)
        x = replace(x, state=state, scatter=x.scatter / window)
    elif step.image_in is not None and not step.spatial and step.fan_in == x.width:
        pixels = math.prod(step.image_in)  # channels of an image: the mean over its pixels
        mean = mean_of(x, pixels, x.width, pixels_alike(x, shared) * evenness(x.profile))[0]
        given_back, x = spared(x, mean, pixels), replace(mean, apart=None)
        back -= 2.0 * math.log(pixels)
    after, by = through(w, x, taps, step.layer.groups if isinstance(step.layer, Conv) else 1)
    alone = bias_part(w, after)
    mixed_units = 3.0 * (1.0 - alone) ** 2 * w.uneven + alone**2 * w.bias_excess  # excess kurtosis over the units
    gaussian = x.gaussian or not (w.lone or after.shared > SHARED)
    after = replace(after, gaussian=gaussian and mixed_units < _MIXED + 12.0 / w.fan_in)
    if isinstance(step.layer, Conv) and after.log_q > -math.inf:
        part = math.exp(x.log_q + log(w.fan_in * taps * w.second) - after.log_q) if x.log_q > -math.inf else 0.0
        after = replace(after, profile=profile_behind(step, x.profile, min(1.0, part)))
    # pixels of real images are alike where they are near, which the gradients of weights see; and so are gradients
    # at near places, behind weights with a mean
    near = x.apart is not None and not x.gaussian and x.origin is None
    summed = isinstance(step.layer, Conv) and w.fan_out * w.mean**2 > SHARED * w.second
    return Node(step, x, after, factor=back, transfer=by, spared=given_back, approximate=near or summed)


def _activation(step: Step, x: Signal) -> Node:
    """E f(h)^2 over h ~ N(mean, var), and the correlation map (Poole et al. 2016)."""
    assert isinstance(step.layer, Activation)
    f = step.layer.function
    m = scaled_moments(f, x.log_q, x.mean)
    values, passage = None, None
    if x.law is not None and abs(x.log_q) < NEAR and (found := through_law(f, x, x.law, m)):
        m, values, passage = found
    if m.log_phi2 == -math.inf or x.log_q == -math.inf:
        alive = m.log_phi2 > -math.inf
        after = Signal(x.width, m.log_phi2, m.mean, float(alive), m.kurtosis, 0.0 if alive else math.nan,
                       elastic=0.0, gaussian=False)  # fmt: skip
        return Node(step, x, after, factor=m.log_dphi2)

    units = values_of(x.law) if x.law is not None and values is not None else None

    def alike(gap: float) -> tuple[float, float]:
        return mapped_below(f, x.log_q, x.mean, gap) if units is None else pairs_of(f, x.log_q, units, gap)

    below, share = (math.nan, 1.0) if math.isnan(x.below) else alike(x.below)
    common = m.mean * m.mean
    if x.common > x.mean * x.mean + 1e-12:
        common = 1.0 - mapped_below(f, x.log_q, x.mean, 1.0 - x.common)[0]
    by = _activated(m.curve, x)
    # E q^e of a fluctuating q is not (E q)^e; a Gaussian's own fluctuation is in E f^2 already, and so is that
    # of a number which all units share
    own = gaussian_noise(x.width, x.mean, 0.0)[0][SECOND, SECOND] + x.shared * (2.0 * x.shared + 4.0 * x.mean**2)
    loose = bounded(float(x.state.own[SECOND, SECOND] - own))
    # what the units themselves scatter is drawn anew behind f; the rest moves by the slope of the map
    steep = share * exp(min(NEAR, x.log_q + m.log_dphi2 - m.log_phi2))
    latent = max(0.0, x.scatter - cosine_noise(x.cosine, x.width))
    scatter = min(1.0, steep * steep * latent + (cosine_noise(1.0 - below, x.width) if not math.isnan(below) else 0.0))
    few = 0.0 < x.inputs < _FEW and x.cosine > SHARED
    centre, deviation = x.centre_and_deviation()
    origin = Origin(f, centre, deviation * deviation, x.below)
    bent, tilted = (bend(power, loose) for power in (m.elastic, m.curve.slope[1]))
    after = Signal(
        x.width, m.log_phi2 + bent, m.mean, common, m.kurtosis, below,
        state=by.after(x.state), elastic=x.elastic * m.elastic, gaussian=False,
        origin=origin if x.gaussian else None, scatter=scatter, inputs=x.inputs, fresh=x.fresh,
        profile=raised(x.profile, m.elastic), apart=None if x.apart is None else alike(x.apart)[0],
    )  # fmt: skip
    if values is not None:
        after = _with_law(after, values)
    new = (share - m.linear) / (1.0 - m.linear) if m.linear < 1.0 - 1e-9 else 1.0
    factor = m.log_dphi2 + tilted
    return Node(
        step, x, after, factor=factor, transfer=by, slope_kurtosis=m.slope_kurtosis, slope_share=min(1.0, max(0.0, new)),
        linear=m.linear, slopes=share, slopes_bend=_slopes_bend(f, x) if step.spatial else 0.0, steep=steep,
        pull=np.array(m.curve.slope[:3]) @ to_hermite(x.mean), pull_noise=m.curve.slope[3] / x.width, curve=m.curve,
        passage=passage, approximate=few or latent > _GROUPED or amplified(x.state, after.state),
    )  # fmt: skip


def _slopes_bend(f: Function, x: Signal) -> float:
    """d (E f'(u) f'(v) / E f'^2) / d cosine, about x, by a difference."""
    if math.isnan(x.below):
        return 0.0
    step = 0.1 * min(x.below, 2.0 - x.below)
    near, far = (mapped_below(f, x.log_q, x.mean, x.below + s)[1] for s in (-step, step))
    return 0.5 * (near - far) / step if step > 1e-9 else 0.0


def _activated(curve: Curve, x: Signal) -> Transfer:
    """The means of f and f^2 by the state before; the units' own shape is new behind f."""
    matrix, own, pair = zero(), zero(), zero()
    for row, by in ((MEAN, curve.value), (SECOND, curve.second)):
        matrix[row] = by[:3]
        own[row, row] = by[3] / x.width
        pair[row, row] = by[3] / x.width * x.cosine**4
    own[SHAPE, SHAPE] = 1.0 / x.width
    pair[SHAPE, SHAPE] = x.cosine**4 / x.width
    return Transfer(matrix @ to_hermite(x.mean), own, pair)


def _dropout(step: Step, x: Signal) -> Node:
    """Inverted dropout: E x^2 / keep, and independent masks keep cross moments (Schoenholz et al. 2017)."""
    assert isinstance(step.layer, Dropout)
    keep = 1.0 - step.layer.p
    root = math.sqrt(keep)
    kurtosis = x.kurtosis / keep
    by = Transfer(np.diag((root, 1.0, 1.0)), np.diag((1.0 - keep, kurtosis - x.kurtosis, 0.0)) / x.width)
    after = replace(
        x, log_q=x.log_q - math.log(keep), mean=x.mean * root, common=x.common * keep, kurtosis=kurtosis,
        below=1.0 - keep + keep * x.below, apart=None if x.apart is None else 1.0 - keep + keep * x.apart,
        gaussian=x.gaussian and keep == 1.0, origin=None, law=None, state=by.after(x.state),
    )  # fmt: skip
    return Node(
        step, x, after, factor=-math.log(keep), transfer=by, slope_kurtosis=1.0 / keep, slope_share=0.0, linear=keep,
        pull_noise=(1.0 / keep - 1.0) / x.width,
    )  # fmt: skip


def _residual(step: Step, x: Signal, batch: int) -> Node:
    """``a x + b f(x)``: q' = a^2 q + b^2 q_f for a branch with independent weights (Yang & Schoenholz 2017).

    A branch without is a function of x, unit by unit, and the block an activation; or, where layers
    mix the units or masks come before an activation, its dependence on x is left out.
    """
    layer = step.layer
    assert isinstance(layer, Residual)
    body = walk(step.body, replace(x, state=replace(x.state, matrix=np.eye(3))), batch)
    if layer.skip * layer.scale != 0.0 and x.log_q > -math.inf and depends_on_its_input(step.body):
        branch = pointwise(body)
        if branch is None:
            return replace(sum_with_branch(step, layer, x, body), approximate=True)
        return _block_of_units(step, layer, x, body, branch)
    return sum_with_branch(step, layer, x, body)


def _block_of_units(step: Step, layer: Residual, x: Signal, body: tuple[Node, ...], branch: Branch) -> Node:
    """A block that is an activation of x."""
    whole = branch.sum_with(layer.skip, layer.scale)
    node = _activation(activation_step(step, whole), x)
    node = with_masks(node, layer, branch, body[-1].after.log_q)
    # the divisor of a norm is that of wide layers: what it fluctuates by remains where x cancels
    loose = layer.skip * layer.scale < 0.0 and any(isinstance(n.step.layer, LayerNorm) for n in body)
    return replace(node, step=step, body=body, whole=whole, approximate=loose or not x.gaussian)


_RULES: dict[type, Any] = {
    Activation: _activation,
    LayerNorm: norm,
    Dropout: _dropout,
    Gated: gated,
}
