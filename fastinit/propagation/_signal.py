"""What is followed through a network, and the expectations of an activation at any scale."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from .._activations import Function
from .._types import Array
from ._fluctuation import SECOND, Transfer, batch_mean
from ._profile import Profile

LN10 = math.log(10.0)
#: abs(ln q) up to which q itself, and laws in its units, are worked with.
NEAR = 600.0
# Moments are evaluated for log q within these bounds; beyond them every moment is a power of q.
_FAR = 60.0 * LN10
_STEP = 4.0 * LN10
_TINY = 1e-300


class Origin(NamedTuple):
    """The activation that made a signal, and what it was applied to."""

    function: Function
    mean: float
    variance: float
    below: float  # 1 - cosine of two inputs


class UnitLaw(NamedTuple):
    """The law of ``x = values + blur z``, in units of sqrt(E x^2): values of the cells of `_units`, z ~ N(0, 1)."""

    values: Array
    blur: float = 0.0


@dataclass(frozen=True)
class Signal:
    """Second-order statistics of one layer's output over random weights.

    Pixels of an image share the weights as inputs do: two pixels of a channel, of one image or of
    two, are taken to be as much alike as two inputs are. Convolutions with independent weights
    keep the autocovariance of an image (Xiao et al. 2018), so that this holds for all layers if it
    holds for the inputs; zero padding makes it approximate near the border.

    Scales are logarithms and everything else is relative to them, so that no depth overflows.
    """

    width: int
    log_q: float  # ln E x^2
    mean: float  # E x / sqrt(E x^2)
    common: float  # E x_i x_j / E x^2 over two units of one input; mean^2 where units are independent
    kurtosis: float  # E x^4 / (E x^2)^2
    below: float  # 1 - <x, y> / (|x| |y|) for two inputs
    state: Transfer = field(default_factory=Transfer)  # its fluctuation, and how it follows that at the last split
    elastic: float = 1.0  # d ln E x^2 / d ln E x_0^2
    gaussian: bool = True
    origin: Origin | None = None
    scatter: float = 0.0  # variance of the cosine of two inputs over the units
    inputs: float = 0.0  # independent weights of a unit, where a layer with weights made it
    fresh: float = 1.0  # the part of E v^2 / (E v)^2 - 1 that no BatchNorm has taken, v a unit's variance over inputs
    profile: Profile = None  # of E x^2 over the places of an image
    apart: float | None = None  # 1 - cosine of two places of an image, where it is not that of two inputs
    law: UnitLaw | None = None  # of a unit, where it is known and not normal

    @classmethod
    def silent(cls, width: int) -> Signal:
        """Of zeros, with the kurtosis of the normal numbers that they are a limit of."""
        return cls(width, -math.inf, 0.0, 0.0, 3.0, math.nan)

    def batch_variance(self, batch: int) -> float:
        """Variance of the logarithm of the second moment measured over units and `batch` inputs."""
        return batch_mean(self.state.own[SECOND, SECOND], self.state.pair[SECOND, SECOND], batch)

    @property
    def excess(self) -> float:
        """E x^4 / (E x^2)^2 less that of a normal number of the same mean."""
        return self.kurtosis - 3.0 + 2.0 * self.mean**4

    @property
    def shared(self) -> float:
        """The part of E x^2 that is one random number for all units of an input."""
        return max(0.0, self.common - self.mean * self.mean) if self.width > 1 else 0.0

    @property
    def uneven(self) -> float:
        """E v^2 / (E v)^2 - 1 over the units, v a unit's variance over inputs: chi-squared over its weights."""
        return 2.0 * self.fresh / (self.inputs or max(3.0, self.width))

    @property
    def below_places(self) -> float:
        """1 - cosine of two places of an image."""
        return self.below if self.apart is None else self.apart

    def runs_away(self) -> bool:
        """Whether draws part ways: an E x^2 that grows by more than 2 % for 1 % at the input, and fluctuates much."""
        return self.elastic > 2.0 and float(self.state.own[SECOND, SECOND]) > 0.5

    def centre_and_deviation(self) -> tuple[float, float]:
        """E x and the deviation about it; of scales beyond e^300, where activations are powers, of that one."""
        scale = exp(min(300.0, 0.5 * self.log_q))
        return self.mean * scale, math.sqrt(max(0.0, 1.0 - self.mean * self.mean)) * scale

    @property
    def cosine(self) -> float:
        """Of two inputs; 0 where there is no signal."""
        return 0.0 if math.isnan(self.below) else 1.0 - self.below


class Curve(NamedTuple):
    """How the means over units of f, f^2 and f'^2 follow those of z, z^2 - 1 and the shape.

    Each is (by z, by z^2 - 1, by the shape, variance per unit of the rest), with f in units of
    sqrt(E f^2) and the squares in units of their means.
    """

    value: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    second: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    slope: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    along: float = 0.0  # (E h f f')^2 / (E h^2 E f^2 E f'^2): how much of f'h lies along f
    stretch: float = 1.0  # E (h f')^2 / (E h^2 E f'^2)
    boost: float = 1.0  # E (f f')^2 / (E f^2 E f'^2)


class Scaled(NamedTuple):
    """Moments of an activation with their scales taken out."""

    log_phi2: float
    mean: float  # E f / sqrt(E f^2)
    kurtosis: float  # E f^4 / (E f^2)^2
    log_dphi2: float
    slope_kurtosis: float  # E f'^4 / (E f'^2)^2
    elastic: float  # d ln E f^2 / d ln q
    linear: float = 1.0  # (E f')^2 / E f'^2
    curve: Curve = Curve()


def log(x: float) -> float:
    """ln x, -inf at 0."""
    return math.log(x) if x > 0.0 else -math.inf


def exp(x: float) -> float:
    """e^x, inf beyond the range."""
    return math.exp(x) if x < 709.0 else math.inf


def log_add(a: float, b: float) -> float:
    """ln (e^a + e^b)."""
    if a < b:
        a, b = b, a
    if math.isinf(a):
        return a
    return a + math.log1p(math.exp(b - a)) if b > -math.inf else a


@functools.lru_cache(maxsize=4096)
def slope_of_mean(function: _core.Activation, var: float, mean: float = 0.0) -> float:
    """d E f / d ln q over h ~ N(mean, q)."""
    step = 1e-3
    up, down = (function.moments(var * by, mean)[0] for by in (1.0 + step, 1.0 - step))
    return float(up - down) / (2.0 * step)


def scaled_moments(function: _core.Activation, log_q: float, mean: float) -> Scaled:
    """Moments over h with E h^2 = exp(log_q) and E h = mean sqrt(E h^2)."""
    if -_FAR <= log_q <= _FAR:
        return _moments_at(function, log_q, mean)
    if log_q == -math.inf:
        m = function.moments(0.0, 0.0)
        return Scaled(log(m[1]), math.copysign(1.0, m[0]) if m[0] else 0.0, 1.0, log(m[4]), 1.0, 0.0)
    edge = math.copysign(_FAR, log_q)
    near, inner = (_moments_at(function, e, mean) for e in (edge, edge - math.copysign(_STEP, log_q)))
    if near.log_phi2 == -math.inf or inner.log_phi2 == -math.inf:
        return near
    powers = [(getattr(near, k) - getattr(inner, k)) / math.copysign(_STEP, log_q) for k in ("log_phi2", "log_dphi2")]
    if not math.isfinite(powers[1]):
        powers[1] = 0.0
    away = log_q - edge
    return near._replace(
        log_phi2=near.log_phi2 + powers[0] * away, log_dphi2=near.log_dphi2 + powers[1] * away,
        elastic=powers[0],
    )  # fmt: skip


def _moments_at(function: _core.Activation, log_q: float, mean: float) -> Scaled:
    q = math.exp(log_q)
    at, var = mean * math.sqrt(q), q * max(0.0, 1.0 - mean * mean)
    phi, phi2, phi4, dphi, dphi2, dphi4, cross = function.moments(var, at)
    if not phi2 > 0.0:
        return Scaled(-math.inf, 0.0, 1.0, log(dphi2), 1.0, 0.0)
    curve = _curve(function, var, at)
    return Scaled(
        math.log(phi2), phi / math.sqrt(phi2), max(1.0, phi4 / max(phi2 * phi2, _TINY)), log(dphi2),
        max(1.0, dphi4 / max(dphi2 * dphi2, _TINY)) if dphi2 > 0.0 else 1.0, cross / phi2,
        min(1.0, dphi * dphi / dphi2) if dphi2 > 0.0 else 1.0, curve,
    )  # fmt: skip


def _curve(function: _core.Activation, variance: float, mean: float) -> Curve:
    z, w = grid()
    h = mean + math.sqrt(variance) * z
    phi, slope = function.eval(h)
    second, squares, size = float(w @ phi**2), float(w @ slope**2), float(w @ h**2)
    if not (second > 0.0 and size > 0.0):
        return Curve()
    quadratic = z * z - 1.0
    rest: Array | None = None

    def parts(y: Array) -> tuple[float, float, float, float]:
        nonlocal rest
        y = y - float(w @ y)
        one, two = float(w @ (y * z)), 0.5 * float(w @ (y * quadratic))
        y = y - one * z - two * quadratic
        if rest is None:  # the shape is what f^2 leaves
            rest = y / math.sqrt(max(float(w @ y**2), _TINY))
        shape = float(w @ (y * rest))
        return one, two, shape, max(0.0, float(w @ y**2) - shape * shape)

    squared = parts(phi**2 / second)
    value = parts(phi / math.sqrt(second))
    if not squares > 0.0:
        return Curve(value, squared)
    h, phi, slope = h / math.sqrt(size), phi / math.sqrt(second), slope / math.sqrt(squares)
    return Curve(
        value, squared, parts(slope**2), float(w @ (h * phi * slope)) ** 2,
        float(w @ (h * slope) ** 2), float(w @ (phi * slope) ** 2),
    )  # fmt: skip


@functools.lru_cache(maxsize=4096)
def mapped_below(function: _core.Activation, log_q: float, mean: float, below: float) -> tuple[float, float]:
    """1 - cosine of f(u) and f(v), and E f'(u) f'(v) / E f'^2, for inputs with 1 - cosine `below`."""
    if math.isnan(log_q):
        return math.nan, 1.0
    if not below > 0.0:
        return 0.0, 1.0
    log_q = min(max(log_q, -_FAR), _FAR)
    q = math.exp(log_q)
    if abs(mean) > 1e-9:
        return _shifted_below(function, q, mean, below)
    _, new, _, second, slope = function.c_map(min(below, 2.0), q, 1.0, 0.0, True)
    dphi2 = exp(scaled_moments(function, log_q, 0.0).log_dphi2)
    # slope is dc'/dc = E f'(u) f'(v) q / E f^2
    share = slope * second / (q * dphi2) if dphi2 > 0.0 else 1.0
    return (new if second > 0.0 else math.nan), share


def _shifted_below(function: _core.Activation, q: float, mean: float, below: float) -> tuple[float, float]:
    """The same about a mean, on a grid in the rotated coordinates, where the difference does not cancel."""
    variance = q * max(0.0, 1.0 - mean * mean)
    if variance <= 0.0:
        return 0.0, 1.0
    gap = min(below * q / variance, 2.0)  # 1 - correlation of the centred parts
    x, w = grid()
    s = math.sqrt(variance)
    a, b = s * math.sqrt(1.0 - 0.5 * gap), s * math.sqrt(0.5 * gap)
    middle = mean * math.sqrt(q) + a * x[:, None]
    n = x.size
    u, du = function.eval((middle + b * x[None, :]).ravel())
    u, du = u.reshape(n, n), du.reshape(n, n)
    v, dv = u[:, ::-1], du[:, ::-1]
    weight = w[:, None] * w[None, :]
    second = float((weight * u * u).sum())
    if not second > 0.0:
        return math.nan, 1.0
    squares = float((weight * du * du).sum())
    share = float((weight * du * dv).sum()) / squares if squares > 0.0 else 1.0
    return 0.5 * float((weight * (u - v) ** 2).sum()) / second, share


@functools.lru_cache(maxsize=1)
def grid() -> tuple[Array, Array]:
    """Nodes and weights of N(0, 1), symmetric: panels of Gauss-Legendre."""
    node, weight = np.polynomial.legendre.leggauss(12)
    edges = np.linspace(-8.0, 8.0, 13)
    half = 0.5 * (edges[1] - edges[0])
    x = ((edges[:-1] + half)[:, None] + half * node).ravel()
    w = np.tile(half * weight, 12) * np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return x, w / w.sum()


@functools.lru_cache(maxsize=1)
def _points() -> Array:
    h = np.concatenate([[0.0], np.geomspace(1e-6, 1e4, 1500)])
    return np.concatenate([-h[:0:-1], h])


@functools.lru_cache(maxsize=256)
def small_slope(function: _core.Activation) -> float:
    """The slope below which a unit counts as saturated: 1e-3 of the largest for abs(h) < 30."""
    h = _points()
    return 1e-3 * float(np.abs(function.eval(h[np.abs(h) < 30.0])[1]).max())


@functools.lru_cache(maxsize=256)
def slope_regions(function: _core.Activation) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Intervals of h where abs(f') < 1e-3 of its largest, where f = 0, where f' = 0."""
    h = _points()
    phi, slope = function.eval(h)
    small = small_slope(function)
    tests: tuple[Callable[[Array, Array], Array], ...] = (
        lambda p, d: np.abs(d) < small,
        lambda p, d: p == 0.0,
        lambda p, d: d == 0.0,
    )
    return tuple(_intervals(function, h, test(phi, slope), test) for test in tests)


def _intervals(function: _core.Activation, h: Array, inside: Array, test: Any) -> tuple[tuple[float, float], ...]:
    change = np.flatnonzero(inside[1:] != inside[:-1])
    low, high, was = h[change].copy(), h[change + 1].copy(), inside[change]
    for _ in range(60 if change.size else 0):
        middle = 0.5 * (low + high)
        same = test(*function.eval(middle)) == was
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    ends = [-math.inf] if inside[0] else []
    ends += [0.0 if abs(x) < 1e-12 else x for x in (0.5 * (low + high)).tolist()]
    ends += [math.inf] if inside[-1] else []
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def fraction_inside(regions: tuple[tuple[float, float], ...], mean: float, std: float) -> float:
    """P(h in one of the intervals) for h ~ N(mean, std^2)."""
    if std < 1e-300:
        return float(any(a <= mean <= b for a, b in regions))
    if math.isinf(std):
        return float(sum(0.5 for a, b in regions for end in (a, b) if math.isinf(end)))
    return sum(_cdf((b - mean) / std) - _cdf((a - mean) / std) for a, b in regions)


def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@functools.lru_cache(maxsize=4096)
def fraction_always(
    regions: tuple[tuple[float, float], ...], mean: float, std: float, below: float, count: int,
    within: float = 0.0, each: int = 1,
) -> float:  # fmt: skip
    """P(all of `count` equicorrelated h lie in the intervals): Poole's correlation decides how many units are dead.

    Or of so many groups of `each`, in which 1 - correlation is `within`, less than `below` between them.
    """
    if not regions or std < 1e-300 or math.isinf(std):
        return fraction_inside(regions, mean, std)
    below = min(max(below, 0.0), 1.0)
    if below < 1e-12:
        return fraction_inside(regions, mean, std)
    z, weight = _trapezoid()
    centre, width = mean + std * math.sqrt(1.0 - below) * z, std * math.sqrt(below)
    if each == 1:
        return float(weight @ _between(regions, centre, width) ** count)
    y, group = grid()
    within = min(max(within, 1e-12), below)
    centres = centre[:, None] + std * math.sqrt(below - within) * y
    inside = _between(regions, centres, std * math.sqrt(within)) ** each
    return float((weight * (inside * group).sum(1) ** count).sum())


def _between(regions: tuple[tuple[float, float], ...], centre: Array, width: float) -> Array:
    """P(N(centre, width^2) lies in one of the intervals)."""
    inside = np.zeros_like(centre)
    for a, b in regions:
        upper = _core.special("normal_cdf", (b - centre) / width) if b < math.inf else 1.0
        lower = _core.special("normal_cdf", (a - centre) / width) if a > -math.inf else 0.0
        inside += upper - lower
    return inside.clip(0.0, 1.0)


@functools.lru_cache(maxsize=1)
def _trapezoid() -> tuple[Array, Array]:
    """Even nodes and weights of N(0, 1), for functions with steps."""
    z = np.linspace(-7.0, 7.0, 1401)
    density = np.exp(-0.5 * z * z)
    return z, density / density.sum()
