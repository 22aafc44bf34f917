"""Forward rules: how each layer moves the statistics of the signal."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from .._activations import Function
from .._types import Array
from ._fluctuation import MEAN, SECOND, SHAPE, Transfer, amplified, bounded, cosine_noise, gaussian_noise, to_hermite, zero
from ._layers import Activation, BatchNorm, Dropout, LayerNorm, Pool, Residual
from ._linear_layers import Conv, Dense, Gated
from ._network import Step
from ._node import GateStatistics, Node, bias_part, follow_others
from ._normalization import UNLIKE, batch_norm, norm, stray, units_of
from ._pointwise import Branch, activation_step, depends_on_its_input, pointwise, with_masks
from ._pooling import at_largest, channels_behind, mean_of, overlap, pixels_alike, pool, shared_taps, spared, unlike_behind
from ._profile import evenness, profile_behind, raised, tap_fraction
from ._signal import NEAR, Curve, Origin, Signal, UnitLaw, exp, grid, log, log_add, mapped_below, scaled_moments
from ._sum import sum_with_branch
from ._units import behind_normal, pairs_of, through_law, values_of
from ._weights import ONE_TAP, Weights

#: The part of E h^2 that all units share from which h is no Gaussian behind the next activation.
_SHARED = 0.1
#: The excess kurtosis of h that units of different scales, or biases, make, from which it is no Gaussian.
_MIXED = 1.5
#: Weights of a unit, below which what its inputs share is not that of a typical one, as behind depthwise convolutions.
_FEW = 12
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


def _through(weights: Weights, x: Signal, taps: float = 1.0, groups: int = 1) -> tuple[Signal, Transfer]:
    """``h = x W + b``: Gaussian given x, with E h^2 = fan_in E W^2 E x^2 + E b^2 (Poole et al. 2016).

    The cosine of two inputs varies more over the units of one of several groups.

    Weights with a mean add up what the inputs have in common, to which biases with a mean add.
    Orthogonal weights keep the length of x, so that the second moment over the units does not
    fluctuate anew.
    """
    n, m = weights.fan_in * taps, weights.shape[-1]
    shared = weights.pairs * n * max(n - 1.0, 0.0)
    factor = n * weights.second + shared * x.common
    log_q = log_add(x.log_q + log(factor), log(weights.bias_second))
    if log_q == -math.inf:
        return Signal(m, log_q, 0.0, 0.0, 3.0, math.nan), Transfer(zero())
    cross = 0.0  # 2 E x W E b, in units of the other terms
    if weights.bias_mean and weights.mean and x.mean:
        cross = 2.0 * n * weights.mean * x.mean * weights.bias_mean * exp(0.5 * x.log_q - log_q)
        cross = max(cross, 1e-12 - 1.0)
        log_q += math.log1p(cross)
        cross /= 1.0 + cross
    part = math.exp(x.log_q + log(factor) - log_q)  # of the weights in E h^2
    bias = math.exp(-0.5 * log_q) * weights.bias_mean if weights.bias_mean else 0.0
    scale = math.exp(0.5 * (x.log_q - log_q)) if part else 0.0
    drift = n * weights.mean * scale
    mean = max(-1.0, min(1.0, drift * x.mean + bias))
    common = weights.mean**2 * (n + n * max(n - 1.0, 0.0) * x.common) * scale * scale + bias * bias + cross
    common = min(1.0, max(common, mean * mean))
    gap = 0.0 if math.isnan(x.below) else x.below
    apart = n * weights.second * gap + shared * (x.common - x.mean * x.mean) * gap
    below = min(2.0, apart * scale * scale)
    places = None if x.apart is None or gap == 0.0 else min(2.0, below * x.apart / gap)
    matrix = zero()
    matrix[MEAN, MEAN] = drift
    matrix[SECOND, SECOND] = part - (drift * x.mean) ** 2
    matrix[SECOND, MEAN] = 2.0 * drift * mean
    scatter = part * part * x.scatter
    own, pair = (a.copy() for a in gaussian_noise(m, mean, 1.0 - below, groups * scatter))
    if weights.orthogonal:  # lengths are kept, but for what a narrower output leaves out, and biases
        inputs = x.width if x.width > 1 else weights.fan_in
        kept = part * part * min(1.0, m / inputs)
        own[SECOND, SECOND] *= 1.0 - kept
        pair[SECOND, SECOND] *= 1.0 - kept
    # the square of a normal number that all units share, where the inputs do not share it already
    own[SECOND, SECOND] += 2.0 * max(0.0, (common - mean * mean) ** 2 - (x.common - x.mean * x.mean) ** 2)
    by = Transfer(matrix, own, pair)
    after = Signal(
        m, log_q, mean, common, 3.0, below, by.after(x.state), x.elastic * (part + 0.5 * cross),
        scatter=scatter + cosine_noise(1.0 - below, m), inputs=weights.independent, apart=places,
    )  # fmt: skip
    return after, by


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
    after, by = _through(w, x, taps, step.layer.groups if isinstance(step.layer, Conv) else 1)
    alone = bias_part(w, after)
    mixed_units = 3.0 * (1.0 - alone) ** 2 * w.uneven + alone**2 * w.bias_excess  # excess kurtosis over the units
    gaussian = x.gaussian or not (w.lone or after.shared > _SHARED)
    after = replace(after, gaussian=gaussian and mixed_units < _MIXED + 12.0 / w.fan_in)
    if isinstance(step.layer, Conv) and after.log_q > -math.inf:
        part = math.exp(x.log_q + log(w.fan_in * taps * w.second) - after.log_q) if x.log_q > -math.inf else 0.0
        after = replace(after, profile=profile_behind(step, x.profile, min(1.0, part)))
    # pixels of real images are alike where they are near, which the gradients of weights see; and so are gradients
    # at near places, behind weights with a mean
    near = x.apart is not None and not x.gaussian and x.origin is None
    summed = isinstance(step.layer, Conv) and w.fan_out * w.mean**2 > _SHARED * w.second
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
    centre, deviation = x.centre_and_deviation()
    origin = Origin(f, centre, deviation * deviation, x.below)
    bent, tilted = (_bend(power, loose) for power in (m.elastic, m.curve.slope[1]))
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
        passage=passage, approximate=(0.0 < x.inputs < _FEW and x.cosine > _SHARED) or amplified(x.state, after.state),
    )  # fmt: skip


def _bend(power: float, loose: float) -> float:
    """ln of E q^power over (E q)^power for a q of relative variance `loose`, to second order: no more than that tells."""
    return max(-3.0, min(3.0, 0.5 * power * (power - 1.0) * loose))


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


def _gated(step: Step, x: Signal) -> Node:
    """``(f(x Wg) * (x Wu)) Wd``: E z^2 = E f(g)^2 E u^2 with independent g and u (Shazeer 2020)."""
    layer = step.layer
    assert isinstance(layer, Gated)
    gate, up, down = step.weights
    (g, _), (u, _) = _through(gate, x), _through(up, x)
    m = scaled_moments(layer.function, g.log_q, g.mean)
    if m.log_phi2 == -math.inf or u.log_q == -math.inf:
        after, by = _through(down, Signal.silent(layer.hidden))
        return Node(step, x, after, factor=-math.inf, transfer=by, gate=GateStatistics(-math.inf))
    below, _ = mapped_below(layer.function, g.log_q, g.mean, g.below)
    elastic = (g.elastic * m.elastic + u.elastic) / x.elastic if x.elastic else 0.0
    # E q^e of a fluctuating q is not (E q)^e
    bend = _bend(elastic, bounded(float(x.state.own[SECOND, SECOND])))
    inside = Transfer(np.diag((0.0, elastic, 0.0)), *_gate_noise(m.curve, g, u, layer.hidden))
    z = Signal(
        layer.hidden, m.log_phi2 + u.log_q + bend, m.mean * u.mean, m.mean**2 * u.common, 3.0 * m.kurtosis,
        below + u.below - below * u.below, elastic=elastic * x.elastic, gaussian=False, state=inside.after(x.state),
    )  # fmt: skip
    after, by = _through(down, z)
    gates = m.log_dphi2 + u.log_q + log(gate.second)
    ups = m.log_phi2 + log(up.second)
    share = 1.0 / (1.0 + math.exp(min(700.0, ups - gates))) if gates > -math.inf else 0.0
    rows, along = _row_statistics(layer.function, g, u, gate.second, up.second)
    follow = share * (g.elastic * m.curve.slope[1] * 2.0 + u.elastic) + (1.0 - share) * g.elastic * m.elastic
    shared = max(g.shared, u.shared)  # which is the same number in both
    statistics = GateStatistics(
        z.log_q, by.matrix, (along - 1.0) / layer.hidden, (rows - 1.0) / layer.hidden, shared,
    )  # fmt: skip
    back = log(step.fan_out * down.second) + math.log(layer.hidden) + log_add(gates, ups)
    return Node(
        step, x, after, factor=back, transfer=by.after(inside), slope_kurtosis=rows,
        slope_share=max(0.0, g.cosine * u.cosine),
        pull=np.array([0.0, follow / x.elastic if x.elastic else 0.0, 0.0]), gate=statistics,
        approximate=shared > _SHARED or any(w.lone or w.mean != 0.0 for w in step.weights),
    )  # fmt: skip


def _gate_noise(curve: Curve, g: Signal, u: Signal, hidden: int) -> tuple[Array, Array]:
    """Of the mean of f(g)^2 u^2 over the hidden units: (1 + Var f^2) (1 + 2) - 1 of one input."""
    own, pair = zero(), zero()
    one, two, shape, rest = curve.second
    for noise, a, b in ((own, 1.0, 1.0), (pair, g.cosine, u.cosine)):
        gate = one * one * a + 2.0 * two * two * a * a + (shape * shape + rest) * a**4
        noise[SECOND, SECOND] = ((1.0 + gate) * (1.0 + 2.0 * b * b) - 1.0) / hidden
    return own, pair


def _row_statistics(function: Function, g: Signal, u: Signal, gate: float, up: float) -> tuple[float, float]:
    """E r^2 / (E r)^2 and E r z^2 / (E r E z^2) of r = f'(g)^2 u^2 Var Wg + f(g)^2 Var Wu and z = f(g) u.

    r is the variance of a row of the inner Jacobian.
    """
    if abs(g.log_q) > 100.0 or abs(u.log_q) > 100.0:
        return 3.0, 3.0
    z, w = grid()
    mean, deviation = g.centre_and_deviation()
    phi, slope = function.eval(mean + deviation * z)
    one, two = slope**2 * math.exp(u.log_q) * gate, phi**2 * up
    row, second = float(w @ (one + two)), float(w @ phi**2)
    square = float(w @ (3.0 * one * one + 2.0 * one * two + two * two))
    mixed = float(w @ ((3.0 * one + two) * phi**2))
    return (square / (row * row), mixed / (row * second)) if row > 0.0 and second > 0.0 else (1.0, 1.0)


_RULES: dict[type, Any] = {
    Activation: _activation,
    LayerNorm: norm,
    Dropout: _dropout,
    Gated: _gated,
}
