"""What a filled array must be; every benchmark asserts it before it is timed."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

FEW = 2**22  # elements looked at, spread over the whole


def assert_moments(values: Any, mean: float, std: float) -> None:
    flat = np.asarray(values).reshape(-1)
    flat = flat[:: -(-flat.size // FEW) | 1].astype(np.float64)  # odd: every place of a block comes up
    # Two bits of mantissa are worth 1 % of the deviation, and JAX's bfloat16 is biased by as much.
    near = (6 / flat.size**0.5 + 0.015) * std
    assert abs(flat.mean() - mean) < near
    assert abs(flat.std() - std) < near


def assert_orthonormal(q: np.ndarray) -> None:
    """Of the columns, or of the rows where there are fewer."""
    tall = q if q.shape[0] >= q.shape[1] else q.T
    n, eps = tall.shape[1], float(ml_dtypes.finfo(q.dtype).eps)
    narrow = q.dtype.itemsize < 4  # rounded once: errors of single elements, that cancel
    wide = tall.astype(np.float32) if narrow else tall
    assert abs(wide.T @ wide - np.eye(n, dtype=wide.dtype)).max() < (eps if narrow else 8 * eps * n**0.5)


def assert_delta(kernel: np.ndarray) -> None:
    """An orthogonal matrix at one point of a (points, in, out) kernel, zero at the others."""
    points = [k for k in range(len(kernel)) if (kernel[k] != 0).any()]
    assert len(points) == 1
    assert_orthonormal(kernel[points[0]])


def assert_constant(values: np.ndarray, value: float) -> None:
    assert (values == values.dtype.type(value)).all()


def assert_diagonal(values: np.ndarray) -> None:
    """Ones on the diagonal of a matrix (in, out), or of the middle of a kernel (points, in, out); else zeros."""
    points = values.reshape(-1, *values.shape[-2:])
    columns = np.arange(points.shape[-1])
    step = -(-values.size // FEW)
    for k, matrix in enumerate(points):
        rows = np.arange(0, len(matrix), step)
        want = (rows[:, None] == columns) & (k == len(points) // 2)
        assert (matrix[rows].astype(bool) == want).all() and (matrix[rows][want] == 1).all()


def assert_sparse(values: np.ndarray, sparsity: float, std: float) -> None:
    """The exact number of zeros in every column; float8 makes zeros of small draws too."""
    few = values[:, :64].astype(np.float64)
    zeros, want = (few == 0).sum(0), np.ceil(sparsity * len(few))
    assert (zeros >= want).all() if values.dtype.itemsize == 1 else (zeros == want).all()
    drawn = (len(few) - want) * few.shape[1]
    assert abs(((few**2).sum() / drawn) ** 0.5 / std - 1) < 6 / drawn**0.5 + 0.015
