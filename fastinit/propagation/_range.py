"""What leaves the range of a dtype, of normal numbers whose mean square is itself a log-normal one at finite width."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from .. import _core
from .._types import Array

_WIDEST = 1e6  # variance of ln q


@functools.lru_cache(maxsize=1)
def _draws() -> tuple[Array, Array]:
    """Nodes and weights over N(0, 1)."""
    z, w = np.polynomial.hermite_e.hermegauss(15)
    return z, w / w.sum()


def _roots(log_q: Array, variance: Array) -> Array:
    """ln sqrt(q) at the nodes (last axis), of mean E q."""
    z, _ = _draws()
    bounded = np.minimum(variance, _WIDEST)[..., None]  # of layers beyond float64 as logarithms, too
    roots: Array = 0.5 * (log_q[..., None] - 0.5 * bounded + np.sqrt(bounded) * z)
    return roots


def _special(name: str, x: Array) -> Array:
    return _core.special(name, x.ravel()).reshape(x.shape)


def _over(limits: Sequence[float], roots: Array) -> Array:
    """P(abs(h) > limit) for h ~ N(0, q): by limit (first axis) and the axes of `roots`."""
    logs = np.log(limits).reshape(-1, *(1,) * roots.ndim)
    return 2.0 * _special("normal_cdf", -np.exp(np.minimum(50.0, logs - roots)))


def beyond(log_q: Array, variance: Array, limits: Sequence[float]) -> Array:
    """P(abs(h) > limit) by limit and layer, for ln q of this variance."""
    found: Array = _over(limits, _roots(log_q, variance)) @ _draws()[1]
    return found


def any_beyond(log_q: Array, variance: Array, counts: Array, limits: Sequence[float]) -> list[float]:
    """P(one of so many numbers of each layer lies beyond), whose mean squares rise and fall together."""
    total = np.einsum("l,fld->fd", counts, _over(limits, _roots(log_q, variance)))
    found: list[float] = (-np.expm1(-total) @ _draws()[1]).tolist()
    return found


def below(log_q: Array, variance: Array, tiny: Sequence[float]) -> Array:
    """P(h rounds to 0), by smallest number and layer: below half of it."""
    logs = np.log(tiny)[:, None, None] - math.log(2.0) - 0.5 * math.log(2.0)
    small = np.exp(np.minimum(50.0, logs - _roots(log_q, variance)))
    return np.where(log_q == -math.inf, 1.0, _special("erf", small) @ _draws()[1])
