"""Forward rules of products with weights: of one matrix, and of gated blocks of three."""

from __future__ import annotations

import math

import numpy as np

from .._activations import Function
from .._types import Array
from ._fluctuation import MEAN, SECOND, Transfer, bounded, cosine_noise, gaussian_noise, zero
from ._linear_layers import Gated
from ._network import Step
from ._node import GateStatistics, Node
from ._signal import Curve, Signal, exp, grid, log, log_add, mapped_below, scaled_moments
from ._weights import Weights

#: The part of E h^2 that all units share from which h is no Gaussian behind the next activation.
SHARED = 0.1


def through(weights: Weights, x: Signal, taps: float = 1.0, groups: int = 1) -> tuple[Signal, Transfer]:
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


def gated(step: Step, x: Signal) -> Node:
    """``(f(x Wg) * (x Wu)) Wd``: E z^2 = E f(g)^2 E u^2 with independent g and u (Shazeer 2020)."""
    layer = step.layer
    assert isinstance(layer, Gated)
    gate, up, down = step.weights
    (g, _), (u, _) = through(gate, x), through(up, x)
    m = scaled_moments(layer.function, g.log_q, g.mean)
    if m.log_phi2 == -math.inf or u.log_q == -math.inf:
        after, by = through(down, Signal.silent(layer.hidden))
        return Node(step, x, after, factor=-math.inf, transfer=by, gate=GateStatistics(-math.inf))
    below, _ = mapped_below(layer.function, g.log_q, g.mean, g.below)
    elastic = (g.elastic * m.elastic + u.elastic) / x.elastic if x.elastic else 0.0
    # E q^e of a fluctuating q is not (E q)^e
    bent = bend(elastic, bounded(float(x.state.own[SECOND, SECOND])))
    inside = Transfer(np.diag((0.0, elastic, 0.0)), *_gate_noise(m.curve, g, u, layer.hidden))
    z = Signal(
        layer.hidden, m.log_phi2 + u.log_q + bent, m.mean * u.mean, m.mean**2 * u.common, 3.0 * m.kurtosis,
        below + u.below - below * u.below, elastic=elastic * x.elastic, gaussian=False, state=inside.after(x.state),
    )  # fmt: skip
    after, by = through(down, z)
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
        approximate=shared > SHARED or any(w.lone or w.mean != 0.0 for w in step.weights),
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


def bend(power: float, loose: float) -> float:
    """ln of E q^power over (E q)^power for a q of relative variance `loose`, to second order: no more than that tells."""
    return max(-3.0, min(3.0, 0.5 * power * (power - 1.0) * loose))
