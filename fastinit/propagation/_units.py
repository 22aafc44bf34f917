"""The law of a unit's values where it is no normal one: on the way of a skip connection past activations.

A `UnitLaw` is kept as the root mean squares of narrow cells of N(0, 1), by which the values are sorted, and a
Gaussian of its own may be added. What an activation behind makes of a cell is known cell by cell, so that a
ReLU lets pass again what a ReLU has let pass. Two inputs are joined by a Gaussian copula, of the correlation
that gives the cosine that they have.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from .. import _core
from .._activations import Function
from .._types import Array
from ._signal import Scaled, Signal, UnitLaw, exp, fraction_inside, grid, log

_SMALL = 1e-9  # a blur, or a step, that is none
_RARE = 1e-12  # weight of a cell of which sums over it tell nothing


@functools.lru_cache(maxsize=1)
def cells() -> tuple[Array, Array]:
    """Middles and weights: so narrow that a step of a slope within one counts for less than 1 %."""
    edges = np.linspace(-8.0, 8.0, 401)
    weights = np.diff(_core.special("normal_cdf", edges))
    return 0.5 * (edges[1:] + edges[:-1]), weights / weights.sum()


@dataclass(frozen=True, eq=False)
class Passage:
    """What an activation makes of the cells of its input (rows), and of the Gaussian added to each (columns)."""

    slopes: Array  # f'^2 over E f'^2
    weights: Array  # of the columns, of sum 1 in each row
    cells: Array  # of the output

    def back(self, behind: Array | None) -> tuple[Array | None, float, float]:
        """Of E g^2 by the cells of the output, over its mean: that by those of the input, where these are several.

        And what the mean grows by, and the kurtosis of the slopes: of what the cells do not tell.
        """
        rows = np.ones(1) if len(self.weights) == 1 else cells()[1]
        given = np.ones_like(self.slopes) if behind is None else behind[self.cells]
        passed = given * self.slopes
        by_cell = (self.weights * passed).sum(1)
        mean = float(rows @ by_cell)
        if not mean > 0.0:
            return None, mean, 1.0
        after, before = (float(rows @ (self.weights * part**2).sum(1)) for part in (given, passed / mean))
        kurtosis = 1.0 + max(0.0, before - after)
        return (None if len(rows) == 1 else by_cell / mean), mean, kurtosis


def quantiles(values: Array, weights: Array) -> tuple[Array, Array]:
    """Root mean squares, with signs, of the cells that values of these weights fill in their order; the cell of each."""
    _, w = cells()
    order = np.argsort(values, axis=None, kind="stable")
    v, p = values.ravel()[order], weights.ravel()[order]
    p = p / p.sum()
    ends = np.cumsum(p)
    edges = np.concatenate([[0.0], np.cumsum(w)])
    at = np.concatenate([[0.0], ends])
    first, second = (np.diff(np.interp(edges, at, np.concatenate([[0.0], np.cumsum(p * v**k)]))) for k in (1, 2))
    middle = v[np.minimum(np.searchsorted(ends, edges[:-1] + 0.5 * w), len(v) - 1)]
    found = np.where(w > _RARE, np.copysign(np.sqrt(second.clip(0.0) / w), first), middle)
    at_cell = np.empty(len(v), np.intp)
    at_cell[order] = np.clip(np.searchsorted(edges, ends - 0.5 * p) - 1, 0, len(w) - 1)
    return found, at_cell.reshape(values.shape)


@functools.lru_cache(maxsize=256)
def behind_normal(function: Function, log_q: float, mean: float) -> tuple[Array, Passage] | None:
    """Values of f(h), h normal, and the passage from the one cell that h is."""
    z, w = cells()
    h = exp(0.5 * log_q) * (mean + math.sqrt(max(0.0, 1.0 - mean * mean)) * z)
    found = _through(function, h[None, :], w[None, :])
    return None if found is None else found[1:]


def through_law(function: Function, x: Signal, law: UnitLaw, normal: Scaled) -> tuple[Scaled, Array, Passage] | None:
    """Moments of an activation over units of this law, in place of those over normal ones; its values; the passage."""
    h, weights = _points(law)
    found, square = _through(function, exp(0.5 * x.log_q) * h, weights), float((weights * h * h).sum())
    if found is None or not square > 0.0:
        return None
    moments, values, passage = found
    more = -moments.elastic * math.log(square)  # what narrow layers add to E x^2 is in no unit's law
    # what slopes have in common with the signal, and follow it by, is in the gradient's profile already
    curve = normal.curve._replace(slope=(0.0, 0.0, 0.0, 0.0), along=1.0, stretch=1.0, boost=1.0)
    return moments._replace(log_phi2=moments.log_phi2 + more, curve=curve), values, passage


def _through(function: Function, h: Array, weights: Array) -> tuple[Scaled, Array, Passage] | None:
    phi, slope = (part.reshape(h.shape) for part in function.eval(h.ravel()))
    second, squares = float((weights * phi**2).sum()), float((weights * slope**2).sum())
    if not (0.0 < second < math.inf and 0.0 < squares < math.inf):
        return None
    f, d = phi / math.sqrt(second), slope / math.sqrt(squares)
    values, at_cell = quantiles(phi, weights)
    moments = Scaled(
        math.log(second), float((weights * f).sum()), float((weights * f**4).sum()), math.log(squares),
        float((weights * d**4).sum()), float((weights * phi * slope * h).sum()) / second,
        min(1.0, float((weights * d).sum()) ** 2),
    )  # fmt: skip
    return moments, values, Passage(d**2, weights / weights.sum(1, keepdims=True), at_cell)


def _points(law: UnitLaw) -> tuple[Array, Array]:
    """Values and their weights: by cell, and by what blurs it."""
    (_, w), (z, v) = cells(), grid()
    if law.blur < _SMALL:
        # where an activation has cut off, its values lie on a kink, and past that for the next one
        return law.values[:, None] * (1.0 + _SMALL), w[:, None]
    return law.values[:, None] + law.blur * z, w[:, None] * v


def values_of(law: UnitLaw) -> Array:
    """By cell, with what blurs them."""
    return law.values if law.blur < _SMALL else quantiles(*_points(law))[0]


def pairs_of(function: Function, log_q: float, values: Array, below: float) -> tuple[float, float]:
    """1 - cosine of f(u) and f(v), and E f'(u) f'(v) / E f'^2, for units of these values with 1 - cosine `below`."""
    if not below > 0.0:
        return 0.0, 1.0
    gap = _gap(values, below)
    scale = exp(0.5 * log_q)
    u, v, weights = _joined(values, gap)
    (f, d), (g, e) = (function.eval(scale * part.ravel()) for part in (u, v))
    weights = weights.ravel()
    # sums, not products of BLAS: its threads take longer than the numbers
    second, squares = float((weights * (f * f)).sum()), float((weights * (d * d)).sum())
    new = 0.5 * float((weights * (f - g) ** 2).sum()) / second if second > 0.0 else math.nan
    return new, float((weights * (d * e)).sum()) / squares if squares > 0.0 else 1.0


def _joined(values: Array, gap: float) -> tuple[Array, Array, Array]:
    """Values at two normal numbers of correlation 1 - gap, in rotated coordinates: no difference cancels."""
    z, w = grid()
    a, b = math.sqrt(1.0 - 0.5 * gap) * z[:, None], math.sqrt(0.5 * gap) * z
    middles, _ = cells()
    return np.interp(a + b, middles, values), np.interp(a - b, middles, values), w[:, None] * w


def _gap(values: Array, below: float) -> float:
    """1 - correlation of the copula that gives values of 1 - cosine `below`; at most independence.

    Both are nearly powers of one another: by secants of the logarithms, halved where they leave the bracket.
    """
    low, high, want = math.log(1e-14), 0.0, math.log(below)

    def missed(at: float) -> float:
        u, v, weights = _joined(values, math.exp(at))
        return log(0.5 * float((weights * (u - v) ** 2).sum()) / float((weights * u * u).sum())) - want

    last, error = high, missed(high)
    if error <= 0.0:
        return 1.0
    at = max(low, last - error)
    for _ in range(30):
        new = missed(at)
        if abs(new) < 1e-9:
            break
        low, high = (at, high) if new < 0.0 else (low, at)
        slope = (new - error) / (at - last) if math.isfinite(new - error) else 0.0
        step = at - new / slope if slope > 0.0 else low
        last, error, at = at, new, step if low < step < high else 0.5 * (low + high)
    return math.exp(at)


def part_inside(regions: tuple[tuple[float, float], ...], x: Signal) -> float:
    """P(a unit lies in one of the intervals)."""
    if x.law is None:
        return fraction_inside(regions, *x.centre_and_deviation())
    scale = exp(min(300.0, 0.5 * x.log_q))
    return float(cells()[1] @ [fraction_inside(regions, scale * v, scale * x.law.blur) for v in x.law.values.tolist()])
