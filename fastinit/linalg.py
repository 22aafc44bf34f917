"""Dense factorizations with the same bytes on every machine."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

from . import _core
from ._args import check_choice, check_num_threads, check_progress
from ._types import Array, ArrayLike, Progress

MODES = ("reduced", "r")
_SAFE = 32  # squares of numbers within 2**-32 and 2**32 can be added in float32


@overload
def householder_qr(
    a: ArrayLike, mode: Literal["reduced"] = "reduced", *, num_threads: int | None = None, progress: Progress | None = None
) -> tuple[Array, Array]: ...
@overload
def householder_qr(
    a: ArrayLike, mode: Literal["r"], *, num_threads: int | None = None, progress: Progress | None = None
) -> Array: ...
def householder_qr(
    a: ArrayLike,
    mode: str = "reduced",
    *,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """QR factorization by blocked Householder reflections, with a non-negative diagonal of R.

    Parameters
    ----------
    a : array_like
        An (m, n) matrix of float32 or float64, finite. It is not changed.
    mode : {"reduced", "r"}
        Whether to return Q (m, k) and R (k, n), k = min(m, n), or R alone, at half the cost.
    num_threads : int, optional
        Default `get_num_threads()`. Values do not depend on it.
    progress : callable, optional
        Called now and then with the share of the work that is done, from 0 to 1.

    Returns
    -------
    (q, r) : tuple of ndarray, or r : ndarray
        Unique where `a` has full rank: that of `numpy.linalg.qr` after a change of signs.

    Raises
    ------
    TypeError
        `a` is not of float32 or float64.
    ValueError
        `a` is not a matrix, not finite, or has columns too long for its dtype; an unknown mode.

    Notes
    -----
    A matrix of very large or very small numbers is scaled by a power of two first, so that no
    square overflows.

    References
    ----------
    Schreiber and Van Loan, "A storage-efficient WY representation for products of Householder
    transformations", 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from fastinit.linalg import householder_qr
    >>> q, r = householder_qr(np.array([[3.0, 1.0], [4.0, 2.0]]))
    >>> r.round(12)
    array([[5. , 2.2],
           [0. , 0.4]])
    """
    matrix = np.asarray(a)
    if matrix.dtype not in (np.float32, np.float64):
        raise TypeError(f"a must be of float32 or float64, got {matrix.dtype}")
    if matrix.ndim != 2:
        raise ValueError(f"a must be a matrix, got shape {matrix.shape}")
    largest = max(float(matrix.max()), -float(matrix.min())) if matrix.size else 0.0
    if not np.isfinite(largest):
        bad = matrix.size - int(np.isfinite(matrix).sum())
        raise ValueError(f"a must be finite, got {bad} non-finite of {matrix.size} values")
    check_choice(mode, "mode", MODES)
    threads = check_num_threads(num_threads)
    check_progress(progress)
    exponent = int(np.frexp(largest)[1])
    if abs(exponent) < _SAFE:
        exponent = 0
    q = np.array(matrix, order="C")
    if exponent:
        with np.errstate(under="ignore"):
            np.ldexp(q, -exponent, out=q)
    k = min(q.shape)
    r = np.empty((k, q.shape[1]), q.dtype)
    _core.qr(q, r, mode == "reduced", threads, progress)
    if exponent:
        with np.errstate(over="ignore", under="ignore"):
            np.ldexp(r, exponent, out=r)
        if not np.isfinite(r).all():
            raise ValueError(f"a must have columns of a length that {r.dtype} holds, got numbers up to {largest:g}")
    if mode == "r":
        return r
    return np.ascontiguousarray(q[:, :k]), r


__all__ = ["householder_qr"]
