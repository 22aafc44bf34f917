"""The matrix product: near float64 NumPy, and the same bytes however it is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastinit as fi
from fastinit import _core

SHAPES = [(1, 1, 1), (3, 5, 7), (64, 64, 64), (13, 32, 256), (14, 33, 257), (65, 130, 700), (300, 500, 513), (7, 4200, 3)]


def operands(shape: tuple[int, int, int], dtype: str) -> list[np.ndarray]:
    m, n, k = shape
    sizes = [(m, k), (k, n), (m, n)]
    return [fi.normal(s, seed=i, dtype=dtype) for i, s in enumerate(sizes)]


def product(a: Any, b: Any, c: Any, alpha: float = 1.0, add: bool = False, threads: int = 1) -> np.ndarray:
    _core.gemm(a, b, c, alpha, add, threads)
    return np.ascontiguousarray(c)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("alpha", "add"), [(1.0, False), (-1.0, True), (0.37, True), (2.5, False)])
def test_against_numpy(isa: str, shape: tuple[int, int, int], dtype: str, alpha: float, add: bool) -> None:
    a, b, c = operands(shape, dtype)
    wide = np.longdouble if dtype == "float64" else np.float64
    want = alpha * (a.astype(wide) @ b.astype(wide)) + (c if add else 0)
    got = product(a, b, c.copy(), alpha, add)
    # Each of the k sums rounds once: a bound of the classical kind on |a| |b|.
    bound = (shape[2] + 3) * np.finfo(dtype).eps * (abs(alpha) * (abs(a) @ abs(b)) + abs(c))
    assert (abs(got - want) <= bound).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bytes(shape: tuple[int, int, int], dtype: str) -> None:
    a, b, c = operands(shape, dtype)
    m, n, _ = shape
    wide = np.zeros((2 * m, 3 * n), dtype)[::2, ::-3]
    outs = [np.empty((m, n), dtype), np.empty((n, m), dtype).T, wide]
    lefts = [a, np.asfortranarray(a), np.repeat(a, 2, 1)[:, ::2]]
    rights = [b, np.asfortranarray(b), b[::-1, ::-1].copy()[::-1, ::-1]]
    seen = set()
    for isa in fi.available_isas():
        _core.set_isa(isa)
        for i, out in enumerate(outs):
            out[...] = c
            seen.add(product(lefts[i], rights[i - 1], out, -0.7, True, threads=1 + i).tobytes())
    assert len(seen) == 1


def test_empty_products() -> None:
    assert product(np.ones((2, 0)), np.ones((0, 3)), np.full((2, 3), 7.0)).tolist() == [[0] * 3] * 2
    assert product(np.ones((2, 0)), np.ones((0, 3)), np.full((2, 3), 7.0), add=True).tolist() == [[7] * 3] * 2
    assert product(np.ones((0, 4)), np.ones((4, 3)), np.ones((0, 3))).shape == (0, 3)
