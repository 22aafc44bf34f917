"""The factorization: Q orthonormal, Q R = A, R that of LAPACK, whatever the columns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matrices import deviation, sign_fixed_qr

import fastinit as fi
from fastinit.linalg import householder_qr


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (5, 70), (70, 5), (130, 300), (520, 513)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_householder_qr(shape: tuple[int, int], dtype: str) -> None:
    a = fi.normal(shape, dtype=dtype, seed=5)
    before = a.copy()
    q, r = householder_qr(a)
    assert (a == before).all()
    assert q.shape == (shape[0], min(shape)) and r.shape == (min(shape), shape[1])
    assert deviation(q) < 8
    assert (np.tril(r, -1) == 0).all() and (np.diag(r) >= 0).all()
    scale = np.finfo(dtype).eps * max(1, min(shape)) ** 0.5
    if a.size:
        assert abs(q.astype(np.float64) @ r - a).max() < 16 * scale * abs(a).max()
        assert abs(r - sign_fixed_qr(a.astype(np.float64))[1]).max() < 16 * scale * abs(a).max()
    assert householder_qr(np.asfortranarray(a), "r", num_threads=2).tobytes() == r.tobytes()


@pytest.mark.parametrize("factor", [1e-36, 1e36, 0.0])
def test_householder_qr_of_extreme_matrices(factor: float) -> None:
    a = fi.normal((40, 20), seed=0) * np.float32(factor)
    q, r = householder_qr(a)
    assert deviation(q) < 8
    assert abs(q @ (r / (factor or 1)) - a / (factor or 1)).max() < 1e-5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(20))
def test_householder_qr_of_columns_that_depend_on_others(seed: int, dtype: str) -> None:
    """What is left of them is rounding of rounding, whose squares underflow."""
    a = np.tile(fi.normal((60, 3), dtype=dtype, seed=seed), 7)
    q, r = householder_qr(a)
    assert deviation(q) < 8
    assert abs(q @ r - a).max() < 32 * np.finfo(dtype).eps * abs(a).max()


@pytest.mark.parametrize("tiny", [1e-18, 1e-20, 1e-23, 1e-38, 0.0])
def test_householder_qr_of_graded_columns(tiny: float) -> None:
    a = np.array([[1, 0, 3], [0, tiny, 1], [0, tiny, 2]], np.float32)
    q, r = householder_qr(a)
    assert deviation(q) < 8
    assert abs(q @ r - a).max() < 1e-6
    np.testing.assert_allclose(r[1, 1], math.sqrt(2.0) * a[1, 1], rtol=1e-6)


@pytest.mark.parametrize(("a", "mode", "error", "message"), [
    (np.eye(3, dtype=int), "r", TypeError, "a must be of float32 or float64, got int64"),
    (np.ones(3), "r", ValueError, "a must be a matrix, got shape .3,."),
    (np.full((2, 2), np.nan), "r", ValueError, "a must be finite"),
    (np.full((9, 2), 3e38, np.float32), "r", ValueError, r"a must have columns of a length that float32 holds.*3e\+38"),
    (np.eye(3), "full", ValueError, "mode must be one of reduced, r; got 'full'"),
])  # fmt: skip
def test_householder_qr_errors(a: np.ndarray, mode: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        householder_qr(a, mode)
