"""Fluctuations of a network of finite width, to first order in 1 / width.

Given the layers before, the units of a layer are independent, so that three means over them decide
what the next layer sees: of x, of x^2, and of the shape of its distribution. Their deviations from
the wide-network limit are small, hence move through every layer by a matrix, and every layer adds
noise of its own (Hanin & Rolnick, "How to start training", NeurIPS 2018; Yaida, "Non-Gaussian
processes and neural networks at finite widths", MSML 2020).

A state is the vector (mean of x over sqrt(E x^2), mean of x^2 over E x^2 less 1, shape). The shape is
the mean of what f(z)^2 adds beyond its first two Hermite polynomials, of variance 1 per unit; its
correlation over two inputs of correlation c is taken as c^4, the lowest even order.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import numpy as np

from .._types import Array

MEAN, SECOND, SHAPE = 0, 1, 2
_LARGEST = 1.0  # log-variances beyond it are no small deviations: their second-order terms stop here


def zero() -> Array:
    return np.zeros((3, 3))


@dataclass(frozen=True, eq=False)
class Transfer:
    """A layer's matrix for the state, and the covariance of its own noise: of one input, over two inputs.

    Of a signal, what all layers before it make together.
    """

    matrix: Array = field(default_factory=lambda: np.eye(3))
    own: Array = field(default_factory=zero)
    pair: Array = field(default_factory=zero)

    def after(self, other: Transfer) -> Transfer:
        """Of `other` and then this layer."""
        m = self.matrix
        return Transfer(m @ other.matrix, m @ other.own @ m.T + self.own, m @ other.pair @ m.T + self.pair)


@functools.lru_cache(maxsize=4096)
def to_hermite(mean: float) -> Array:
    """From the state to the means of z and z^2 - 1 (and the shape), x = sqrt(E x^2) (mean + sigma z)."""
    sigma2 = max(1e-12, 1.0 - mean * mean)
    matrix = np.eye(3)
    matrix[MEAN, MEAN] = 1.0 / math.sqrt(sigma2)
    matrix[SECOND, :2] = -2.0 * mean / sigma2, 1.0 / sigma2
    return matrix


@functools.lru_cache(maxsize=4096)
def gaussian_noise(width: int, mean: float, cosine: float, scatter: float = 0.0) -> tuple[Array, Array]:
    """Covariance of the state of independent Gaussian units, of one input and over two inputs.

    Over two inputs E c^2 counts, which their cosine's variance `scatter` keeps from 0.
    """
    sigma2 = max(0.0, 1.0 - mean * mean)
    sigma = math.sqrt(sigma2)
    back = np.diag((sigma, sigma2, 1.0))
    back[SECOND, MEAN] = 2.0 * mean * sigma
    c = min(1.0, max(-1.0, (cosine - mean * mean) / sigma2)) if sigma2 > 1e-12 else 0.0
    own, pair = (back @ np.diag((v, 2.0 * square, square * square)) @ back.T / width
                 for v, square in ((1.0, 1.0), (c, min(1.0, c * c + scatter))))  # fmt: skip
    return own, pair


def cosine_noise(cosine: float, width: int) -> float:
    """Variance of the cosine of two inputs over Gaussian units (Fisher 1915)."""
    return (1.0 - min(1.0, cosine * cosine)) ** 2 / width


def batch_mean(own: float, pair: float, batch: int) -> float:
    """Variance of a mean over `batch` inputs."""
    return float(own / batch + (1.0 - 1.0 / batch) * pair)


def amplified(before: Transfer, after: Transfer) -> bool:
    """Whether a function is so steep that what means over the units fluctuate by is no small deviation behind it."""
    return float(after.own[SECOND, SECOND]) > 4.0 * (1.0 + float(before.own[SECOND, SECOND]))


def bounded(variance: float) -> float:
    """A variance, for use in a term of second order."""
    return min(_LARGEST, max(-_LARGEST, variance))
