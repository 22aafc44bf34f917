"""The spectrum of the input-output Jacobian: mean, second moment and rank, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ._layers import Activation, Dropout, Pool, Residual
from ._linear_layers import Conv, Dense, Gated
from ._network import columns
from ._node import Node
from ._pointwise import as_activation
from ._profile import Profile, profile_behind, unevenly_heard, unevenness
from ._signal import fraction_always, fraction_inside, log, log_add, slope_regions
from ._weights import ONE_TAP


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of J J^T, J the Jacobian of the outputs by the inputs."""

    log_mean: float
    relative: float  # E lambda^2 / (E lambda)^2 over the outputs
    rank: float  # the least of the layers' inputs, or of what they let pass
    reach: float  # and of their outputs
    even: bool  # nothing but isometries: all singular values are equal
    inputs: int
    outputs: int
    passing: float  # probability that no layer has all slopes 0 for an input

    def with_spike(self, log_mean: float) -> tuple[Spectrum, float]:
        """With the mean that weights with a mean give, and ln of the eigenvalue that they add.

        That of the direction which all units share: what the mean has more, over one of the outputs.
        """
        bulk = math.exp(min(0.0, self.log_mean - log_mean)) if log_mean > -math.inf else 1.0
        relative = bulk * bulk * self.relative + (1.0 - bulk) ** 2 * self.outputs
        return replace(self, log_mean=log_mean, relative=relative, even=False), log_mean + log((1.0 - bulk) * self.outputs)

    @property
    def condition(self) -> float | None:
        """Largest over smallest of the min(inputs, outputs) singular values: 1, inf, or None where it depends.

        Of wide layers: a square product of independent elements reaches down to 0.
        """
        small = min(self.inputs, self.outputs)
        if min(self.rank, self.reach) < small * (1.0 - 1e-9):
            return math.inf
        if self.even:
            return 1.0
        through = self.rank if self.outputs <= self.inputs else self.reach
        return math.inf if small >= through * (1.0 - 1e-9) else None


def spectrum_through(nodes: tuple[Node, ...]) -> Spectrum:
    """Mean and second moment of a product of free factors, layer by layer (Pennington et al. 2017).

    With k = E lambda^2 / (E lambda)^2: squared slopes of kurtosis k_d add k_d - 1; a matrix of
    n inputs and m outputs gives (m / n) (k + s - 1), s its own spread (1 + n / m for independent
    elements, max(1, n / m) for orthogonal ones). Weights are taken about their mean: see `with_spike`.
    """
    mean, k, rank, reach, passing, together = 0.0, 1.0, math.inf, math.inf, 1.0, 1.0
    even, grows, shrinks = True, False, False
    profile: Profile = None  # of the rows of J over the places of an image
    for node in nodes:
        if node.whole is not None:
            node = as_activation(node, node.whole)
        layer = node.step.layer
        n = columns(node.before.width, node.step.image_in)
        m = columns(node.after.width, node.step.image_out)
        # factors are those of gradients, tr J^T J / n; over the outputs it is tr / m
        shift = node.factor + math.log(n / m)
        if isinstance(layer, Residual):
            inner = spectrum_through(node.body)
            a, b = 2.0 * log(abs(layer.skip)), 2.0 * log(abs(layer.scale)) + inner.log_mean
            total = log_add(a, b)
            mean += total
            if total == -math.inf:  # nothing passes
                rank, reach, even = 0.0, 0.0, False
                continue
            u, v = math.exp(a - total), math.exp(b - total) if b > -math.inf else 0.0
            k += u * u + 4.0 * u * v + v * v * inner.relative - 1.0
            even = even and (v == 0.0 or (u == 0.0 and inner.even))
            if u == 0.0:
                rank, reach = min(rank, inner.rank), min(reach, inner.reach)
            passing *= 1.0 if u > 0.0 else inner.passing
            continue
        mean += shift
        rank, reach = min(rank, n), min(reach, m)
        grows, shrinks = grows or m > n, shrinks or m < n
        if isinstance(layer, (Activation, Dropout)):
            k += node.slope_kurtosis - 1.0
            even = even and node.slope_kurtosis <= 1.0 + 1e-12
            off, all_off = _zero_slopes(node, n)
            rank, reach = min(rank, n * (1.0 - off)), min(reach, n * (1.0 - off))
            if node.before.shared > 0.0:  # of one number in all such layers
                together = min(together, 1.0 - all_off)
            else:
                passing *= 1.0 - all_off
        elif isinstance(layer, Pool):
            k, profile = (m / n) * (k + n / m - 1.0), None
        elif isinstance(layer, Gated):
            k = ((layer.hidden / n) * k + 1.0) + node.slope_kurtosis - 1.0
            k = (m / layer.hidden) * k + 1.0
            rank, reach, even = min(rank, layer.hidden), min(reach, layer.hidden), False
        elif node.step.weights:
            (w,) = node.step.weights
            if w.mean != 0.0:
                mean += log(w.variance / w.second)
            if w.symmetric:
                rank, reach = min(rank, 1), min(reach, 1)
            before, profile = profile, profile_behind(node.step, profile, 1.0) if isinstance(layer, Conv) else None
            k = unevenness(profile) * _behind_weights(node, k / unevenness(before), n, m)
            even = even and w.orthogonal and not (w.init == "orthogonal" and _taps(node) > 1)
    first, last = nodes[0].step, nodes[-1].step
    inputs, outputs = columns(first.fan_in, first.image_in), columns(last.fan_out, last.image_out)
    return Spectrum(mean, k, rank, reach, even and not (grows and shrinks), inputs, outputs, passing * together)


def _behind_weights(node: Node, k: float, n: int, m: int) -> float:
    """Of n inputs and m outputs; units of images are channels at places."""
    w = node.step.weights[0]
    if isinstance(node.step.layer, Dense) and w.fan_in < n:  # of channels: the mean over the pixels
        k, n = (w.fan_in / n) * (k + n / w.fan_in - 1.0), w.fan_in
    return (m / n) * (k + _spread(node) - 1.0)


def _taps(node: Node) -> int:
    layer = node.step.layer
    return math.prod(layer.kernel) if isinstance(layer, Conv) and node.step.weights[0].init not in ONE_TAP else 1


def _spread(node: Node) -> float:
    """Of the layer's whole matrix: fewer places behind it hear some inputs more often than others, or not at all."""
    w, step = node.step.weights[0], node.step
    if not isinstance(step.layer, Conv) or step.image_in is None or step.image_out is None:
        return w.spread
    fewer = math.prod(step.image_in) / math.prod(step.image_out)
    return unevenly_heard(step) + (w.spread - 1.0) * fewer


def _zero_slopes(node: Node, n: int) -> tuple[float, float]:
    """Fraction of units that let no gradient pass, and the probability that none of n does."""
    layer, x = node.step.layer, node.before
    if isinstance(layer, Dropout):
        return layer.p, layer.p**n
    assert isinstance(layer, Activation)
    flat, (centre, deviation) = slope_regions(layer.function)[2], x.centre_and_deviation()
    apart = 1.0 - x.shared / max(1e-300, 1.0 - x.mean * x.mean)
    return fraction_inside(flat, centre, deviation), fraction_always(flat, centre, deviation, apart, n)
