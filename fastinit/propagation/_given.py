"""What theory needs to know of given weights, measured once."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .._types import Array

_INDEPENDENT = math.log(1.25)
_PROBES = 64  # random vectors for the spread of the spectrum, and units looked at for inputs that stand alone


class Given(NamedTuple):
    """Moments of an array ``(..., in, out)``; see `Weights`."""

    mean: float
    second: float
    pairs: float
    sums: Array
    lone: bool
    spread: float


def given_weights(array: Array, groups: int) -> Given:
    matrix = array.reshape(-1, array.shape[-1])
    mean, second, sums, totals = moments_of(matrix)
    lone = _is_lone(matrix)
    if lone:  # no common sum
        mean = 0.0
    n = len(matrix)
    pairs = (float((totals * totals).mean()) - n * second) / (n * (n - 1.0)) if n > 1 and not lone else 0.0
    return Given(mean, second, pairs, sums, lone, _spread_of(array, groups, mean))


def aligned(before: Array, after: Array, means: tuple[float, float]) -> bool:
    """Whether weights ``(..., n)`` and those ``(..., n, m)`` behind them are far from independent, as training makes them.

    n |A B|^2 / (|A|^2 |B|^2), of matrices A and B, is 1 for independent ones, up to its deviation over draws,
    sqrt(2 / (rows of A times columns of B)). Of large ones it is measured by random rows (Hutchinson 1990).
    """
    n = before.shape[-1]
    a, b = (_of_size_one(array, mean) for array, mean in zip((before, after), means, strict=True))
    a, b = a.reshape(-1, n), b.reshape(-1, n, after.shape[-1]).transpose(1, 0, 2).reshape(n, -1)
    noise = math.sqrt(2.0 / (len(a) * b.shape[1]))
    if min(len(a), b.shape[1]) > _PROBES:
        a = np.random.default_rng(0).choice(np.array([-1.0, 1.0], np.float32), (_PROBES, len(a))) @ a
    sizes = [float(np.einsum("ij,ij->", part, part, dtype=np.float64)) for part in (a, b, a @ b)]
    if not sizes[0] * sizes[1] > 0.0:
        return False
    return abs(math.log(max(1e-300, n * sizes[2] / (sizes[0] * sizes[1])))) > _INDEPENDENT + 4.0 * noise


def moments_of(matrix: Array) -> tuple[float, float, Array, Array]:
    """E w, E w^2, each column's sum of squares and sum, in float64 by slabs; a mean within its own noise counts as 0."""
    sums, totals = np.zeros((2, matrix.shape[-1]))
    for part in np.array_split(matrix, max(1, min(len(matrix), matrix.size >> 20))):
        wide = part.astype(np.float64)
        totals += wide.sum(0)
        sums += np.square(wide, out=wide).sum(0)
    mean, second = float(totals.sum()) / matrix.size, float(sums.sum()) / matrix.size
    if abs(mean) <= 5.0 * math.sqrt(second / matrix.size) and second > mean * mean * (1.0 + 1e-12):
        mean = 0.0
    return mean, second, sums, totals


def ratio(values: Array) -> float:
    """E v^2 / (E v)^2 of numbers v >= 0; 1 where all are 0."""
    top = float(values.max())
    if top == 0.0:
        return 1.0
    v = values / top
    return float((v * v).mean() / v.mean() ** 2)


def _is_lone(matrix: Array) -> bool:
    """Whether one weight makes up most of a typical unit's E h^2."""
    if len(matrix) < 4:
        return False
    square = np.square(matrix[:, :_PROBES].astype(np.float64))
    total = square.sum(0)
    used = total > 0.0
    return bool(used.any()) and float(np.median(square.max(0)[used] / total[used])) > 0.5


def _spread_of(array: Array, groups: int, mean: float) -> float:
    """n tr((W^T W)^2) / (tr W^T W)^2 of W about its mean by random probes (Hutchinson 1990), n the inputs of a group.

    Of a convolution, over matrices sum_t W_t exp(i t w) at random frequencies w.
    """
    places, n, m = array.shape[:-2], int(array.shape[-2]), int(array.shape[-1]) // groups
    matrices = _of_size_one(array, mean).reshape(-1, n, groups, m).transpose(0, 2, 1, 3)
    if not matrices.any():
        return 1.0 + n / m
    rng = np.random.default_rng(0)
    taps = np.indices(places).reshape(len(places), len(matrices))
    trace = fourth = 0.0
    count = 16 if len(matrices) > 1 else 1
    for angle in rng.uniform(0.0, 2.0 * math.pi, (count, len(places))):
        phases = np.exp(1j * (angle @ taps)).astype(np.complex64)
        at = matrices[0] if count == 1 else np.tensordot(phases, matrices, 1)
        z = rng.choice(np.array([-1.0, 1.0], np.float32), (_PROBES // count, groups, n)).transpose(1, 0, 2)
        image = z @ at
        back = image @ at.conj().transpose(0, 2, 1)
        # the same vectors in both: their errors cancel in part
        trace += float((np.abs(image).astype(np.float64) ** 2).sum())
        fourth += float((np.abs(back).astype(np.float64) ** 2).sum())
    probes = _PROBES * groups
    return max(1.0, n * (fourth / probes) / (trace / probes) ** 2)


def _of_size_one(array: Array, mean: float) -> Array:
    """About the mean in float32, and so scaled that no square of it leaves the range."""
    plain = mean == 0.0 and array.dtype == np.float32
    centred = array if plain else np.subtract(array, mean, dtype=np.float64)
    top = max(float(centred.max()), -float(centred.min()))
    scaled: Array = np.divide(centred, top, dtype=centred.dtype).astype(np.float32, copy=False) if top else centred
    return scaled
