"""The correlation map of a smooth activation from its Hermite series."""

from __future__ import annotations

import functools
import math

import numpy as np

from .. import _core
from .._args import Array

_TERMS = 96
_LEFT_OUT = 1e-12  # relative, of the slope's series, which converges last


@functools.lru_cache(maxsize=1)
def _basis() -> tuple[Array, Array]:
    """Nodes of N(0, 1), and the rows that give E f(z) he_n(z) from f there, he_n normalized."""
    node, weight = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(-12.0, 12.0, 25)
    half = 0.5 * (edges[1] - edges[0])
    z = ((edges[:-1] + half)[:, None] + half * node).ravel()
    w = np.tile(half * weight, edges.size - 1) * np.exp(-0.25 * z * z) / math.sqrt(2.0 * math.pi)
    rows = np.empty((_TERMS, z.size))
    rows[0] = np.exp(-0.25 * z * z)  # half of the density goes with the polynomial, so that neither overflows
    rows[1] = z * rows[0]
    for n in range(2, _TERMS):
        rows[n] = (z * rows[n - 1] - math.sqrt(n - 1) * rows[n - 2]) / math.sqrt(n)
    return z, rows * w


@functools.lru_cache(maxsize=4096)
def squared_coefficients(function: _core.Activation, log_q: float, second: float, slope: float) -> Array | None:
    """a_n^2 / E f^2 of f(sqrt(q) z) = sum a_n he_n(z); None where the series is too long.

    `second` is E f^2 and `slope` q E f'^2 = sum n a_n^2, which tell what is left out.
    """
    z, rows = _basis()
    squares = (rows @ function.eval(math.exp(0.5 * log_q) * z)[0]) ** 2
    if not (second > 0.0 and slope > 0.0):
        return None
    n = np.arange(_TERMS)
    if abs(1.0 - squares.sum() / second) > _LEFT_OUT or abs(1.0 - (n @ squares) / slope) > _LEFT_OUT:
        return None
    return np.asarray(squares / second)


def below_and_share(squares: Array, below: float) -> tuple[float, float]:
    """1 - cosine of f(u) and f(v), and E f'(u) f'(v) / E f'^2, by Mehler's formula: sum a_n^2 c^n.

    The sum is over 1 - c^n, so that it keeps its digits as c goes to 1 (Daniely et al., NeurIPS 2016).
    """
    n = np.arange(squares.size)
    c = 1.0 - below
    powers = np.power(c, n)
    away = -np.expm1(n * math.log1p(-below)) if below < 0.5 else 1.0 - powers
    slopes = n[1:] * squares[1:]
    return float(squares @ away), float(slopes @ powers[:-1]) / float(slopes.sum())
