"""Initializers by their law alone: normal, uniform, truncated normal."""

from __future__ import annotations

import math

from . import _core
from ._args import (
    check_bool,
    check_bounds,
    check_choice,
    check_ends,
    check_ends_fit,
    check_fits,
    check_number,
    check_stored,
    check_window,
)
from ._keys import SeedLike, key_bits
from ._run import NORMAL, TRUNCATED, TRUNCATED_ABSOLUTE, UNIFORM, run
from ._target import Target, global_shape
from ._types import Array, DTypeLike, ShapeLike, Shard

BOUNDS = ("sigma", "absolute")


def _check_order(value: object, name: str) -> None:
    """NumPy's distributions take the shape last."""
    if isinstance(value, (tuple, list)):
        raise TypeError(f"{name} must be a real number, got {value!r}; the shape is the first argument")


def normal(
    shape: ShapeLike | None = None,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
    num_threads: int | None = None,
) -> Array:
    """Independent normal draws, N(mean, std**2).

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    mean, std : float
        Finite, `mean` also as an element of the array's dtype; ``std >= 0``. Draws beyond the
        largest number of a narrow dtype round as the dtype does: to infinity, or NaN in float8_e4m3fn.
    dtype : dtype-like, optional
        float32, float64, float16, bfloat16, float8_e4m3fn or float8_e5m2. Default: that of
        `out`, else float32. Types narrower than float32 are the float32 result, rounded once.
    seed : None, int, sequence of int, SeedSequence, Generator or Key, optional
        See `Key`.
    out : ndarray, optional
        Filled in logical order, whatever its strides, and returned.
    shard : tuple of slice, optional
        The block of the global tensor to return; `shape` stays the global one.
    num_threads : int, optional
        Default `get_num_threads()`. Values do not depend on it.

    Returns
    -------
    ndarray
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Notes
    -----
    The tail reaches 6.7 `std` (9.4 in float64).

    References
    ----------
    Box and Muller, "A note on the generation of random normal deviates", 1958.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.normal((2, 3), std=0.02, seed=0).shape
    (2, 3)
    """
    _check_order(std, "std")
    dims = global_shape(shape, out, shard)
    mean, std = check_number(mean, "mean"), check_number(std, "std", low=0.0)
    target = Target(dims, dtype, seed, out, shard, num_threads)
    check_stored(mean, "mean", target.dtype)
    check_fits(std, "std", target.dtype)
    return run(target, NORMAL, mean, std, key_bits(seed))


def uniform(
    shape: ShapeLike | None = None,
    low: float = 0.0,
    high: float = 1.0,
    *,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
    num_threads: int | None = None,
) -> Array:
    """Independent uniform draws from [low, high).

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    low, high : float
        Finite, also as elements of the array's dtype; ``low <= high``. `high` itself is returned
        in float32 and float64 only where the two are equal; types narrower than that round to it.
    dtype : dtype-like, optional
        float32, float64, float16, bfloat16, float8_e4m3fn or float8_e5m2. Default: that of
        `out`, else float32. Types narrower than float32 are the float32 result, rounded once.
    seed : None, int, sequence of int, SeedSequence, Generator or Key, optional
        See `Key`.
    out : ndarray, optional
        Filled in logical order, whatever its strides, and returned.
    shard : tuple of slice, optional
        The block of the global tensor to return; `shape` stays the global one.
    num_threads : int, optional
        Default `get_num_threads()`. Values do not depend on it.

    Returns
    -------
    ndarray
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Examples
    --------
    >>> import fastinit
    >>> x = fastinit.uniform(1000, -1.0, 1.0, seed=0)
    >>> bool((x >= -1).all() and (x < 1).all())
    True
    """
    _check_order(high, "high")
    dims = global_shape(shape, out, shard)
    low, high = check_ends(low, high)
    target = Target(dims, dtype, seed, out, shard, num_threads)
    check_ends_fit(low, high, target.dtype)
    return run(target, UNIFORM, low, high, key_bits(seed))


def truncated_normal(
    shape: ShapeLike | None = None,
    mean: float = 0.0,
    std: float = 1.0,
    lower: float = -2.0,
    upper: float = 2.0,
    *,
    bounds: str = "sigma",
    correct_std: bool = False,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
    num_threads: int | None = None,
) -> Array:
    """Normal draws, truncated to a window.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    mean, std : float
        Of the normal law before truncation; ``std >= 0``.
    lower, upper : float
        ``lower < upper``; either may be infinite. Types narrower than float32 may round to the nearest of their
        numbers beyond the window.
    bounds : {"sigma", "absolute"}
        Whether `lower` and `upper` count in `std` from `mean`, or are values.
    correct_std : bool, default False
        Whether `std` is that of the draws: the law before truncation is widened for it
        (and with it the window, where bounds count in sigma).
    dtype : dtype-like, optional
        float32, float64, float16, bfloat16, float8_e4m3fn or float8_e5m2. Default: that of
        `out`, else float32. Types narrower than float32 are the float32 result, rounded once.
    seed : None, int, sequence of int, SeedSequence, Generator or Key, optional
        See `Key`.
    out : ndarray, optional
        Filled in logical order, whatever its strides, and returned.
    shard : tuple of slice, optional
        The block of the global tensor to return; `shape` stays the global one.
    num_threads : int, optional
        Default `get_num_threads()`. Values do not depend on it.

    Returns
    -------
    ndarray
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Notes
    -----
    Inverse CDF of one word per element: no rejection, no atoms at the bounds, both tails resolved
    alike, far tails included.

    References
    ----------
    Wichura, "Algorithm AS 241: the percentage points of the normal distribution", 1988.

    Examples
    --------
    >>> import fastinit
    >>> x = fastinit.truncated_normal(1000, std=0.02, seed=0)
    >>> bool(abs(x).max() <= 0.04)
    True
    """
    _check_order(std, "std")
    dims = global_shape(shape, out, shard)
    mean, std = check_number(mean, "mean"), check_number(std, "std", low=0.0)
    lower, upper = check_bounds(lower, upper)
    check_choice(bounds, "bounds", BOUNDS)
    check_bool(correct_std, "correct_std")
    absolute = bounds == "absolute"
    if absolute and std == 0 and not lower <= mean <= upper:
        raise ValueError(f"std is 0 and mean {mean!r} lies outside [{lower!r}, {upper!r}]")
    target = Target(dims, dtype, seed, out, shard, num_threads)
    check_fits(mean, "mean", target.dtype)
    check_fits(std, "std", target.dtype)
    if correct_std and std > 0:
        std = _sigma_for_std(mean, std, lower, upper) if absolute else _widened(std, lower, upper)
        check_fits(std, "std, corrected for the truncation,", target.dtype)
    if std > 0:
        low, high = (lower, upper) if absolute else (mean + lower * std, mean + upper * std)
        check_window(low, high, target.dtype)
    law = TRUNCATED_ABSOLUTE if absolute else TRUNCATED
    return run(target, law, mean, std, key_bits(seed), lower, upper)


def _widened(std: float, lower: float, upper: float) -> float:
    """The sigma whose law, truncated `lower` and `upper` sigmas from the mean, has the given std."""
    variance = _core.truncated_moments(lower, upper)[1]
    if not variance > 0:
        raise ValueError(
            f"correct_std needs a window with some variance, which lower {lower!r} and upper {upper!r} lack"
        )
    return std / math.sqrt(variance)


def _sigma_for_std(mean: float, std: float, lower: float, upper: float) -> float:
    """The sigma whose law, truncated to absolute bounds, has the given std: by bisection."""

    def reached(sigma: float) -> float:
        return sigma * math.sqrt(_core.truncated_moments((lower - mean) / sigma, (upper - mean) / sigma)[1])

    small, large = std, std
    while reached(large) < std:
        large *= 2.0
        if large > 1e300:
            raise ValueError(f"std {std!r} cannot be reached within [{lower!r}, {upper!r}]")
    for _ in range(80):
        middle = 0.5 * (small + large)
        if reached(middle) < std:
            small = middle
        else:
            large = middle
    return 0.5 * (small + large)
