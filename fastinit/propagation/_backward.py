"""Backward rules: the variance of gradients, and the spectrum of the input-output Jacobian."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ._forward import Node
from ._layers import Activation, Dropout, LayerNorm, Pool, Residual
from ._linear_layers import Gated
from ._signal import exp, fraction_inside, log, log_add, slope_regions


@dataclass(frozen=True)
class Gradient:
    """Statistics of dL/dx, relative to a standard normal gradient at the output."""

    width: int
    log_g: float = 0.0  # ln E g^2
    log_var: float = 0.0  # variance of ln E g^2, of one input and one draw
    log_cov: float = 0.0  # its covariance over two inputs
    sample: float = 0.0  # relative variance of the mean of g^2 over the units
    sample_cov: float = 0.0
    common: float = 0.0  # E g_i g_j / E g^2 over two units

    def batch_variance(self, batch: int) -> float:
        """As `Signal.batch_variance`."""
        return (self.log_var + self.sample) / batch + (1.0 - 1.0 / batch) * (self.log_cov + self.sample_cov)


@dataclass(frozen=True)
class Back:
    """One row of the way back: the gradient at a step's output and of its weights."""

    node: Node
    at: Gradient
    log_weight: float | None  # ln E (dL/dW)^2 of one input, of the (last) matrix
    weight_var: float = 0.0  # variance of its logarithm over draws


def back_through(nodes: tuple[Node, ...], g: Gradient, batch: int) -> tuple[list[Back], Gradient]:
    """Rows in execution order (branches before their block), and the gradient at the input.

    E g^2 before a layer is that after it, times fan_out Var W, times E f'^2 (Schoenholz et al.
    2017), with forward and backward weights taken as independent.
    """
    rows: list[Back] = []
    for node in reversed(nodes):
        weight = None
        inner: list[Back] = []
        layer = node.step.layer
        if node.step.weights:
            entry = node.before.log_q if not isinstance(layer, Gated) else node.inner[1]
            weight = g.log_g + entry
        variance = g.batch_variance(batch) + node.before.batch_variance(batch)
        row = Back(node, g, weight, variance)
        if isinstance(layer, Residual):
            inner, g = _residual(node, layer, g, batch)
        else:
            g = _step(node, g)
        rows[:0] = [*inner, row]
    return rows, g


def _step(node: Node, g: Gradient) -> Gradient:
    layer, x = node.step.layer, node.before
    log_g = g.log_g + node.factor
    bent = node.slope_elastic**2
    log_var = g.log_var + bent * (x.log_var + x.sample)
    log_cov = g.log_cov + bent * (x.log_cov + x.sample_cov)
    if isinstance(layer, LayerNorm):
        return replace(g, log_g=log_g, log_var=log_var, log_cov=log_cov)
    if isinstance(layer, (Activation, Dropout)):
        # of f'^2 g^2 over the units, less what a fixed length of g takes away
        held = max(0.0, 2.0 / g.width - g.sample)
        sample = max(0.0, (3.0 * node.slope_kurtosis - 1.0) / g.width - held)
        joint = (node.slope_kurtosis - 1.0) * node.slope_share
        return Gradient(g.width, log_g, log_var, log_cov, sample, joint / g.width, g.common * node.linear)
    if isinstance(layer, Pool):
        return Gradient(x.width, log_g, log_var, log_cov, g.sample, g.sample_cov)
    # through weights: Gaussian given the gradient behind them
    log_var, log_cov = log_var + g.sample, log_cov + g.sample_cov
    weights = node.step.weights
    if isinstance(layer, Gated):
        inside = (3.0 * node.slope_kurtosis - 1.0) / layer.hidden + 2.0 / layer.hidden
        shared = (node.slope_kurtosis - 1.0) * max(0.0, node.slope_share) / layer.hidden
        return Gradient(x.width, log_g, log_var + inside, log_cov + shared, 2.0 / x.width)
    # what the gradients of all units share adds up where weights have a mean
    shared = weights[0].mean ** 2 * (g.width - 1.0) * g.common / weights[0].second if weights[0].second else 0.0
    alike = (weights[0].mean ** 2 / weights[0].second + shared) / (1.0 + shared) if weights[0].mean else 0.0
    log_g += math.log1p(shared)
    sample = 2.0 * max(0.0, 1.0 / x.width - 1.0 / g.width) if weights[0].orthogonal else 2.0 / x.width
    return Gradient(x.width, log_g, log_var, log_cov, sample + 2.0 * alike * alike, 0.0, alike)


def _residual(node: Node, layer: Residual, g: Gradient, batch: int) -> tuple[list[Back], Gradient]:
    """Factor a^2 + b^2 chi_f: the branch's gradient adds to the skip's (Yang & Schoenholz 2017)."""
    start = replace(g, log_g=g.log_g + 2.0 * log(abs(layer.scale)))
    rows, end = back_through(node.body, start, batch)
    skip = g.log_g + 2.0 * log(abs(layer.skip))
    total = log_add(skip, end.log_g)
    part = math.exp(end.log_g - total) if end.log_g > -math.inf else 0.0
    square, kept = part * part, 1.0 - part
    bases = (g.log_var, g.sample, end.log_var), (g.log_cov, g.sample_cov, end.log_cov)
    joint = []
    for base, own_sample, reached in bases:
        own = max(0.0, reached - base)
        joint.append(base + square * own + 2.0 * part * kept * math.sqrt((base + own_sample) * own))
    after = Gradient(
        g.width, total, joint[0], joint[1],
        (1.0 - part) ** 2 * g.sample + square * end.sample + 4.0 * part * (1.0 - part) / g.width, g.sample_cov,
    )  # fmt: skip
    return rows, after


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of J J^T, J the Jacobian of the outputs by the inputs."""

    log_mean: float
    relative: float  # E lambda^2 / (E lambda)^2 over the outputs
    rank: float  # what the layers so far let pass
    even: bool  # nothing but isometries: all singular values are equal

    def condition(self, outputs: int) -> float | None:
        """Largest over smallest singular value of wide layers: 1, inf, or None where it depends."""
        if self.even:
            return 1.0
        return math.inf if outputs >= self.rank * (1.0 - 1e-9) else None


def spectrum_through(nodes: tuple[Node, ...], start: Spectrum | None = None) -> Spectrum:
    """Mean and second moment of a product of free factors, layer by layer (Pennington et al. 2017).

    With k = E lambda^2 / (E lambda)^2: squared slopes of kurtosis k_d add k_d - 1; a matrix of
    n inputs and m outputs gives (m / n) (k + s - 1), s its own spread (1 + n / m for independent
    elements, max(1, n / m) for orthogonal ones).
    """
    s = start or Spectrum(0.0, 1.0, math.inf, True)
    mean, k, rank, even = s.log_mean, s.relative, s.rank, s.even
    for node in nodes:
        layer = node.step.layer
        n = node.before.width * math.prod(node.step.image_in or (1,))
        m = node.after.width * math.prod(node.step.image_out or (1,))
        # factors are those of gradients, tr J^T J / n; over the outputs it is tr / m
        shift = node.factor + math.log(n / m)
        if isinstance(layer, Residual):
            inner = spectrum_through(node.body)
            a, b = 2.0 * log(abs(layer.skip)), 2.0 * log(abs(layer.scale)) + inner.log_mean
            total = log_add(a, b)
            if total > -math.inf:
                u, v = math.exp(a - total), math.exp(b - total) if b > -math.inf else 0.0
                k += u * u + 4.0 * u * v + v * v * inner.relative - 1.0
            mean += total
            even = even and (v == 0.0 or (u == 0.0 and inner.even))
            rank = rank if u > 0.0 else min(rank, inner.rank)
            continue
        mean += shift
        rank = min(rank, n)
        if isinstance(layer, (Activation, Dropout)):
            k += node.slope_kurtosis - 1.0
            even = even and node.slope_kurtosis <= 1.0 + 1e-12
            rank = min(rank, n * (1.0 - _zero_slopes(node)))
        elif isinstance(layer, Pool):
            k = (m / n) * (k + n / m - 1.0)
        elif isinstance(layer, Gated):
            k = ((layer.hidden / n) * k + 1.0) + node.slope_kurtosis - 1.0
            k = (m / layer.hidden) * k + 1.0
            rank, even = min(rank, layer.hidden), False
        elif node.step.weights:
            (w,) = node.step.weights
            k = (m / n) * (k + w.spread - 1.0)
            even = even and w.orthogonal and m <= n
    return Spectrum(mean, k, rank, even)


def _zero_slopes(node: Node) -> float:
    """Fraction of units that let no gradient pass."""
    layer, x = node.step.layer, node.before
    if isinstance(layer, Dropout):
        return layer.p
    assert isinstance(layer, Activation)
    std = exp(0.5 * x.log_q)
    return fraction_inside(slope_regions(layer.function)[2], x.mean * std if x.mean else 0.0, std)
