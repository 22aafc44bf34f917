"""Laws and independence of large samples at fixed seeds, within five standard errors of what is exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from scipy import special, stats

import fastinit as fi

LAWS: dict[str, Any] = {
    "normal": stats.norm(), "uniform": stats.uniform(), "truncated_normal": stats.truncnorm(-2, 2),
}  # fmt: skip
# As `LAWS` has them, but ten times as fast.
CDFS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "normal": special.ndtr,
    "uniform": lambda x: x,
    "truncated_normal": lambda x: (special.ndtr(x) - special.ndtr(-2.0)) / (1.0 - 2.0 * special.ndtr(-2.0)),
}
DTYPES = ("float64", "float32", "float16", "bfloat16")
CHUNK = 2**16  # stays in the cache
FEW = stats.norm.sf(5.0)
TAILS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def midpoint(t: float, dtype: str) -> float:
    """Of two neighbours around t: rounding takes no draw to the other side of it."""
    kind = ml_dtypes.finfo(dtype).dtype.type
    return (float(kind(t)) + float(np.nextafter(kind(t), kind(np.inf)))) / 2


@pytest.mark.parametrize("n", [2**24, pytest.param(2**30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("law", LAWS)
def test_moments_and_tails(law: str, dtype: str, n: int) -> None:
    """Rounding to 8 bits changes these moments by parts of 1e-5, and 2^30 draws know them to 1e-4."""
    exact = LAWS[law]
    sums = np.zeros(4)
    low, high = ([midpoint(t, dtype) for t in tail(TAILS)] for tail in (exact.ppf, exact.isf))
    below, above = np.zeros(len(low), int), np.zeros(len(high), int)
    for begin in range(0, n, CHUNK):
        x = getattr(fi, law)(n, seed=123, dtype=dtype, shard=slice(begin, begin + CHUNK)).astype(np.float64)
        square = x * x
        sums += [x.sum(), square.sum(), (x * square).sum(), (square * square).sum()]
        lowest, highest = x[x < low[0]], x[x > high[0]]
        below += [np.count_nonzero(lowest < t) for t in low]
        above += [np.count_nonzero(highest > t) for t in high]
    for k, total in enumerate(sums, 1):
        mean, variance = exact.moment(k), exact.moment(2 * k) - exact.moment(k) ** 2
        assert abs(total / n - mean) < 5 * math.sqrt(variance / n), k
    step = 2.0**-24 if law == "uniform" and dtype != "float64" else 0.0  # between draws, so that they have atoms
    for counts, probabilities in ((below, exact.cdf(low)), (above, exact.sf(high))):
        for count, p in zip(counts.tolist(), probabilities.tolist(), strict=True):
            least, most = (stats.binom.ppf(q, n, max(p + at, 0.0)) for q, at in ((FEW, -step), (1.0 - FEW, step)))
            assert least <= count <= most, p


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("law", LAWS)
def test_kolmogorov_smirnov(law: str, dtype: str, seed: int) -> None:
    x = getattr(fi, law)(1_000_000, seed=seed, dtype=dtype).astype(np.float64)
    assert stats.kstest(x, CDFS[law]).pvalue > 1e-3


def standard(x: np.ndarray) -> list[np.ndarray]:
    """What correlations are taken of: x, x^2 and |x| about the middle, each with mean 0 and variance 1."""
    centred = x.astype(np.float64) - x.mean(dtype=np.float64)
    functions = centred, np.square(centred), np.abs(centred)
    return [(f - f.mean()) / f.std() for f in functions]


def check_uncorrelated(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    """The sample correlation of independent draws has the variance 1 / n."""
    for f, g in product(a, b):
        assert abs(np.einsum("i,i->", f, g)) < 5 * math.sqrt(f.size)  # not of BLAS, whose threads wait for each other


def cells(law: str, x: np.ndarray) -> np.ndarray:
    """Which of 32 cells of equal probability every draw falls into."""
    return np.minimum(CDFS[law](x.astype(np.float64)) * 32, 31).astype(np.int32)


def check_joint_law(a: np.ndarray, b: np.ndarray) -> None:
    """chi^2 of the pairs of cells has mean 1023 and variance 2046."""
    counts = np.bincount(a * 32 + b, minlength=1024)
    expected = a.size / 1024
    assert abs(((counts - expected) ** 2).sum() / expected - 1023) < 5 * math.sqrt(2046)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_neighbours_are_independent(law: str, dtype: str) -> None:
    """Of one counter and of two (lags 16, 32 and 48), of one block of 64 elements and of several."""
    x = getattr(fi, law)(2**21, seed=5, dtype=dtype)
    functions, places = standard(x), cells(law, x)
    for lag in (1, 2, 15, 16, 17, 31, 32, 33, 48, 64, 128, 4096):
        check_uncorrelated([f[lag:] for f in functions], [f[:-lag] for f in functions])
    for lag in (1, 16, 32, 64):
        check_joint_law(places[lag:], places[:-lag])


KEY = fi.Key(5)
# Two sources each of what should have nothing in common.
APART: dict[str, tuple[Any, Any]] = {
    "seeds": (5, 6),
    "seed and a sequence": (5, [5, 1]),
    "bits of a key": (KEY, fi.Key(np.random.SeedSequence(5).spawn(1)[0])),
    "key and child": (KEY, KEY.fold_in(0)),
    "children by number": (KEY.fold_in(0), KEY.fold_in(1)),
    "children by name": (KEY.fold_in("layer1.weight"), KEY.fold_in("layer2.weight")),
    "number and name": (KEY.fold_in(1), KEY.fold_in("1")),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("pair", APART)
def test_keys_are_independent(law: str, pair: str) -> None:
    a, b = (getattr(fi, law)(2**20, seed=source) for source in APART[pair])
    check_joint_law(cells(law, a), cells(law, b))
    f, g = standard(a), standard(b)
    check_uncorrelated(f, g)
    for lag in (1, 16, 32, 64):
        check_uncorrelated([x[lag:] for x in f], [x[:-lag] for x in g])


def test_words_that_refine_are_independent_of_those_refined() -> None:
    x = fi.uniform(2**20, seed=5, dtype="float64")
    below = x * 2.0**32 % 1.0  # the digits of the second stream
    check_joint_law(cells("uniform", x), cells("uniform", below))
    check_uncorrelated(standard(x), standard(below))


BITS = fi.Philox4x32(5)
GENERATORS: dict[str, Callable[[], Sequence[Any]]] = {
    "one twice": lambda: [fi.default_rng(5)] * 2,
    "parent and child": lambda: [fi.default_rng(5), *fi.default_rng(5).spawn(1)],
    "children": lambda: fi.default_rng(5).spawn(2),
    "bit generator and its jump": lambda: [np.random.Generator(b) for b in (BITS, BITS.jumped())],
    "bit generator and its child": lambda: [np.random.Generator(b) for b in (BITS, *BITS.spawn(1))],
}


@pytest.mark.parametrize("pair", GENERATORS)
def test_streams_are_independent(pair: str) -> None:
    a, b = (generator.random(2**20) for generator in GENERATORS[pair]())
    check_joint_law(cells("uniform", a), cells("uniform", b))
    check_uncorrelated(standard(a), standard(b))
