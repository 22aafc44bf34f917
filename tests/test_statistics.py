"""Moments and tails of large samples at fixed seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

import fastinit as fi


def chunks(law: str, n: int, **kwargs: object) -> Iterator[np.ndarray]:
    """Shards of one tensor of n elements, as float64."""
    step = 2**22
    for begin in range(0, n, step):
        yield getattr(fi, law)(n, seed=123, shard=slice(begin, begin + step), **kwargs).astype(np.float64)


def check_normal(n: int) -> None:
    power = np.zeros(5)
    tails = dict.fromkeys((3.0, 4.0, 5.0), 0)
    for x in chunks("normal", n):
        square = x * x
        power += [x.size, x.sum(), square.sum(), (square * x).sum(), (square * square).sum()]
        size = np.abs(x)
        for t in tails:
            tails[t] += int((size > t).sum())
    m = power / n
    # Standard errors of the raw moments of N(0, 1): variances 1, 2, 15, 96.
    for value, want, variance in zip(m[1:], (0, 1, 0, 3), (1, 2, 15, 96), strict=True):
        assert abs(value - want) < 5 * math.sqrt(variance / n)
    for t, count in tails.items():
        expected = n * 2 * stats.norm.sf(t)
        assert abs(count - expected) < 5 * math.sqrt(expected) + 1


def test_normal_moments_and_tails() -> None:
    check_normal(2**24)


@pytest.mark.slow
def test_normal_moments_and_tails_of_2_30_samples() -> None:
    check_normal(2**30)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kolmogorov_smirnov(seed: int, dtype: str) -> None:
    n = 1_000_000
    laws = {"normal": stats.norm(), "uniform": stats.uniform(), "truncated_normal": stats.truncnorm(-2, 2)}
    for name, law in laws.items():
        x = getattr(fi, name)(n, seed=seed, dtype=dtype).astype(np.float64)
        assert stats.kstest(x, law.cdf).pvalue > 1e-3


def test_pairs_are_uncorrelated() -> None:
    x = fi.normal(2**22, seed=5, dtype="float64")
    for lag in (1, 2, 15, 16, 17, 31, 32, 33, 48, 64, 128, 4096):
        for f in (lambda v: v, np.square, np.abs):
            a, b = f(x[lag:]), f(x[:-lag])
            assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(a.size)
