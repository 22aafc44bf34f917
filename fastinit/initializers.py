"""Initializers that draw by one law: normal, uniform, truncated normal, and the variance-scaling family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import _core
from ._args import (
    Array,
    Target,
    check_choice,
    check_fits,
    check_num_threads,
    check_number,
)
from ._fans import AxisLike, Fans, resolve_fans
from ._gains import gain as activation_gain
from ._keys import key_bits
from ._run import NORMAL, TRUNCATED, TRUNCATED_ABSOLUTE, UNIFORM, run

MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
DISTRIBUTIONS = ("normal", "uniform", "truncated_normal")
BOUNDS = ("sigma", "absolute")


def normal(
    shape: Any = None,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """Independent normal draws, N(mean, std**2).

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    mean, std : float
        Finite; ``std >= 0``.
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

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Notes
    -----
    Box and Muller, "A note on the generation of random normal deviates", 1958, on Philox
    words; the tail reaches 6.7 `std` (9.4 in float64).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.normal((2, 3), std=0.02, seed=0).shape
    (2, 3)
    """
    target = Target(shape, dtype, out, shard)
    mean = check_fits(check_number(mean, "mean"), "mean", target.dtype)
    std = check_fits(check_number(std, "std", low=0.0), "std", target.dtype)
    threads = check_num_threads(num_threads)
    return run(target, NORMAL, mean, std, key_bits(seed), threads)


def uniform(
    shape: Any = None,
    low: float = 0.0,
    high: float = 1.0,
    *,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """Independent uniform draws from [low, high).

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    low, high : float
        Finite, ``low <= high``. `high` itself is never returned in float32 and float64; types
        narrower than that round to it.
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
    target = Target(shape, dtype, out, shard)
    low = check_fits(check_number(low, "low"), "low", target.dtype)
    high = check_fits(check_number(high, "high"), "high", target.dtype)
    if high < low:
        raise ValueError(f"high - low < 0: low is {low!r}, high is {high!r}")
    if not math.isfinite(high - low):
        raise ValueError(f"high - low must be finite, got low {low!r} and high {high!r}")
    check_fits(high - low, "high - low", target.dtype)
    threads = check_num_threads(num_threads)
    return run(target, UNIFORM, low, high, key_bits(seed), threads)


def truncated_normal(
    shape: Any = None,
    mean: float = 0.0,
    std: float = 1.0,
    lower: float = -2.0,
    upper: float = 2.0,
    *,
    bounds: str = "sigma",
    correct_std: bool = False,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
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
        ``lower < upper``; either may be infinite.
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

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Notes
    -----
    Inverse CDF of one word per element (Wichura, Algorithm AS 241, 1988): no rejection, no
    atoms at the bounds, both tails resolved alike, far tails included.

    Examples
    --------
    >>> import fastinit
    >>> x = fastinit.truncated_normal(1000, std=0.02, seed=0)
    >>> bool(abs(x).max() <= 0.04)
    True
    """
    target = Target(shape, dtype, out, shard)
    mean = check_fits(check_number(mean, "mean"), "mean", target.dtype)
    std = check_fits(check_number(std, "std", low=0.0), "std", target.dtype)
    lower = check_number(lower, "lower", infinite=True)
    upper = check_number(upper, "upper", infinite=True)
    if not lower < upper:
        raise ValueError(f"lower must be below upper, got {lower!r} and {upper!r}")
    check_choice(bounds, "bounds", BOUNDS)
    if not isinstance(correct_std, bool):
        raise TypeError(f"correct_std must be a bool, got {correct_std!r}")
    absolute = bounds == "absolute"
    if absolute and std == 0 and not lower <= mean <= upper:
        raise ValueError(f"std is 0 and mean {mean!r} lies outside [{lower!r}, {upper!r}]")
    if correct_std and std > 0:
        std = (_sigma_for_std(mean, std, lower, upper) if absolute
               else std / math.sqrt(_core.truncated_moments(lower, upper)[1]))
    threads = check_num_threads(num_threads)
    law = TRUNCATED_ABSOLUTE if absolute else TRUNCATED
    return run(target, law, mean, std, key_bits(seed), threads, lower, upper)


def _sigma_for_std(mean: float, std: float, lower: float, upper: float) -> float:
    """The sigma whose law, truncated to absolute bounds, has the given std: by bisection."""

    def reached(sigma: float) -> float:
        return sigma * math.sqrt(_core.truncated_moments((lower - mean) / sigma, (upper - mean) / sigma)[1])

    small, large = std, std
    for _ in range(60):
        if reached(large) >= std:
            break
        large *= 2.0
    else:
        raise ValueError(f"std {std!r} cannot be reached within [{lower!r}, {upper!r}]")
    for _ in range(80):
        middle = 0.5 * (small + large)
        if reached(middle) < std:
            small = middle
        else:
            large = middle
    return 0.5 * (small + large)


def _fan_for(mode: str, fan_in: float | None, fan_out: float | None) -> float:
    if mode == "fan_in":
        n = fan_in
    elif mode == "fan_out":
        n = fan_out
    elif mode == "fan_avg":
        n = 0.5 * (fan_in + fan_out)  # type: ignore[operator]
    else:
        n = math.sqrt(fan_in * fan_out)  # type: ignore[operator]
    return max(n, 1.0)  # type: ignore[type-var,return-value]


def _scaled(
    target: Target, scale: float, mode: str, distribution: str, fans: Fans, key: int, threads: int
) -> Array:
    """Variance ``scale / fan``, block by block where the blocks' fans differ."""
    outs = fans.fan_out or (None,)
    if len(outs) == 1:
        return _draw(target, scale / _fan_for(mode, fans.fan_in, outs[0]), distribution, key, threads)
    assert fans.sizes is not None and fans.out_axis is not None
    for part, fan_out in zip(target.split(fans.out_axis, fans.sizes), outs, strict=True):
        _draw(part, scale / _fan_for(mode, fans.fan_in, fan_out), distribution, key, threads)
    return target.out


def _draw(target: Target, variance: float, distribution: str, key: int, threads: int) -> Array:
    if distribution == "normal":
        return run(target, NORMAL, 0.0, math.sqrt(variance), key, threads)
    if distribution == "uniform":
        limit = math.sqrt(3.0 * variance)
        return run(target, UNIFORM, -limit, limit, key, threads)
    std = math.sqrt(variance / _core.truncated_moments(-2.0, 2.0)[1])
    return run(target, TRUNCATED, 0.0, std, key, threads, -2.0, 2.0)


def variance_scaling(
    shape: Any = None,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "normal",
    *,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    groups: int = 1,
    blocks: int | Sequence[int] | None = None,
    fan_in: float | None = None,
    fan_out: float | None = None,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """Draws with variance ``scale / fan``.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    scale : float
        Finite, ``>= 0``.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        Which fan: the input's, the output's, their mean, their geometric mean.
    distribution : {"normal", "uniform", "truncated_normal"}
        The truncated one is cut at two of its sigmas and widened, so that its variance is exact.
    layout, in_axis, out_axis, batch_axis, groups, blocks, fan_in, fan_out : optional
        What the dimensions mean; see `compute_fans`.
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

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.variance_scaling((256, 128), 2.0, "fan_avg", seed=0)
    >>> round(float(w.var() * 192), 1)
    2.0
    """
    target = Target(shape, dtype, out, shard)
    scale = check_number(scale, "scale", low=0.0)
    check_choice(mode, "mode", MODES)
    check_choice(distribution, "distribution", DISTRIBUTIONS)
    fans = resolve_fans(
        target.shape, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need=mode,
    )
    threads = check_num_threads(num_threads)
    return _scaled(target, scale, mode, distribution, fans, key_bits(seed), threads)


def xavier_normal(
    shape: Any = None,
    gain: float | str = 1.0,
    *,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    groups: int = 1,
    blocks: int | Sequence[int] | None = None,
    fan_in: float | None = None,
    fan_out: float | None = None,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """Xavier (Glorot) initialization, normal: ``std = gain * sqrt(2 / (fan_in + fan_out))``.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    gain : float or str
        A number ``>= 0`` or the name of an activation (see `fastinit.gain`).
    layout, in_axis, out_axis, batch_axis, groups, blocks, fan_in, fan_out : optional
        What the dimensions mean; see `compute_fans`.
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

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Notes
    -----
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.xavier_normal((784, 256), seed=0).shape
    (784, 256)
    """
    target = Target(shape, dtype, out, shard)
    factor = _gain_number(gain)
    fans = resolve_fans(
        target.shape, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need="fan_avg",
    )
    threads = check_num_threads(num_threads)
    return _scaled(target, factor * factor, "fan_avg", "normal", fans, key_bits(seed), threads)


def xavier_uniform(
    shape: Any = None,
    gain: float | str = 1.0,
    *,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    groups: int = 1,
    blocks: int | Sequence[int] | None = None,
    fan_in: float | None = None,
    fan_out: float | None = None,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """Xavier (Glorot) initialization, uniform: ``limit = gain * sqrt(6 / (fan_in + fan_out))``.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    gain : float or str
        A number ``>= 0`` or the name of an activation (see `fastinit.gain`).
    layout, in_axis, out_axis, batch_axis, groups, blocks, fan_in, fan_out : optional
        What the dimensions mean; see `compute_fans`.
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

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Notes
    -----
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.xavier_uniform((784, 256), seed=0).shape
    (784, 256)
    """
    target = Target(shape, dtype, out, shard)
    factor = _gain_number(gain)
    fans = resolve_fans(
        target.shape, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need="fan_avg",
    )
    threads = check_num_threads(num_threads)
    return _scaled(target, factor * factor, "fan_avg", "uniform", fans, key_bits(seed), threads)


def he_normal(
    shape: Any = None,
    *,
    mode: str = "fan_in",
    nonlinearity: str = "relu",
    negative_slope: float = 0.0,
    gain: float | None = None,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    groups: int = 1,
    blocks: int | Sequence[int] | None = None,
    fan_in: float | None = None,
    fan_out: float | None = None,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """He (Kaiming) initialization, normal: ``std = gain / sqrt(fan)``.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        ``"fan_in"`` keeps the variance of activations, ``"fan_out"`` that of gradients.
    nonlinearity : str
        The activation that follows; for "relu", "leaky_relu" and "prelu" the gain is
        ``sqrt(2 / (1 + negative_slope**2))``, for others that of `fastinit.gain`.
    negative_slope : float, default 0
        Finite; of the three named above.
    gain : float, optional
        Given outright, ``>= 0``.
    layout, in_axis, out_axis, batch_axis, groups, blocks, fan_in, fan_out : optional
        What the dimensions mean; see `compute_fans`.
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

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Notes
    -----
    He et al., "Delving deep into rectifiers", 2015.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.he_normal((512, 256), seed=0)
    >>> round(float(w.var() * 512), 1)
    2.0
    """
    target = Target(shape, dtype, out, shard)
    check_choice(mode, "mode", MODES)
    square = _he_gain_squared(nonlinearity, negative_slope, gain)
    fans = resolve_fans(
        target.shape, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need=mode,
    )
    threads = check_num_threads(num_threads)
    return _scaled(target, square, mode, "normal", fans, key_bits(seed), threads)


def he_uniform(
    shape: Any = None,
    *,
    mode: str = "fan_in",
    nonlinearity: str = "relu",
    negative_slope: float = 0.0,
    gain: float | None = None,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    groups: int = 1,
    blocks: int | Sequence[int] | None = None,
    fan_in: float | None = None,
    fan_out: float | None = None,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """He (Kaiming) initialization, uniform: ``limit = gain * sqrt(3 / fan)``.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        ``"fan_in"`` keeps the variance of activations, ``"fan_out"`` that of gradients.
    nonlinearity : str
        The activation that follows; for "relu", "leaky_relu" and "prelu" the gain is
        ``sqrt(2 / (1 + negative_slope**2))``, for others that of `fastinit.gain`.
    negative_slope : float, default 0
        Finite; of the three named above.
    gain : float, optional
        Given outright, ``>= 0``.
    layout, in_axis, out_axis, batch_axis, groups, blocks, fan_in, fan_out : optional
        What the dimensions mean; see `compute_fans`.
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

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Notes
    -----
    He et al., "Delving deep into rectifiers", 2015.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.he_uniform((512, 256), seed=0)
    >>> round(float(w.var() * 512), 1)
    2.0
    """
    target = Target(shape, dtype, out, shard)
    check_choice(mode, "mode", MODES)
    square = _he_gain_squared(nonlinearity, negative_slope, gain)
    fans = resolve_fans(
        target.shape, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need=mode,
    )
    threads = check_num_threads(num_threads)
    return _scaled(target, square, mode, "uniform", fans, key_bits(seed), threads)


def lecun_normal(
    shape: Any = None,
    *,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    groups: int = 1,
    blocks: int | Sequence[int] | None = None,
    fan_in: float | None = None,
    fan_out: float | None = None,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """LeCun initialization, normal: ``std = sqrt(1 / fan_in)``.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    layout, in_axis, out_axis, batch_axis, groups, blocks, fan_in, fan_out : optional
        What the dimensions mean; see `compute_fans`.
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

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Notes
    -----
    LeCun et al., "Efficient BackProp", 1998; the choice for SELU (Klambauer et al. 2017).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.lecun_normal((784, 256), seed=0).shape
    (784, 256)
    """
    target = Target(shape, dtype, out, shard)
    fans = resolve_fans(
        target.shape, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need="fan_in",
    )
    threads = check_num_threads(num_threads)
    return _scaled(target, 1.0, "fan_in", "normal", fans, key_bits(seed), threads)


def lecun_uniform(
    shape: Any = None,
    *,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    groups: int = 1,
    blocks: int | Sequence[int] | None = None,
    fan_in: float | None = None,
    fan_out: float | None = None,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """LeCun initialization, uniform: ``limit = sqrt(3 / fan_in)``.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    layout, in_axis, out_axis, batch_axis, groups, blocks, fan_in, fan_out : optional
        What the dimensions mean; see `compute_fans`.
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

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    Notes
    -----
    LeCun et al., "Efficient BackProp", 1998; the choice for SELU (Klambauer et al. 2017).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.lecun_uniform((784, 256), seed=0).shape
    (784, 256)
    """
    target = Target(shape, dtype, out, shard)
    fans = resolve_fans(
        target.shape, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need="fan_in",
    )
    threads = check_num_threads(num_threads)
    return _scaled(target, 1.0, "fan_in", "uniform", fans, key_bits(seed), threads)


def _gain_number(gain: Any) -> float:
    if isinstance(gain, str):
        return float(activation_gain(gain))
    return check_number(gain, "gain", low=0.0)


def _he_gain_squared(nonlinearity: Any, negative_slope: Any, gain: Any) -> float:
    if not isinstance(nonlinearity, str) and not callable(nonlinearity):
        raise TypeError(f"nonlinearity must be the name of an activation or a function, got {nonlinearity!r}")
    slope = check_number(negative_slope, "negative_slope")
    if gain is not None:
        number = check_number(gain, "gain", low=0.0)
        return number * number
    if nonlinearity in ("relu", "leaky_relu", "prelu"):
        return 2.0 / (1.0 + slope * slope)
    if slope != 0.0:
        raise ValueError(f"negative_slope belongs to relu, leaky_relu and prelu, not to {nonlinearity!r}")
    try:
        number = float(activation_gain(nonlinearity))
    except ValueError as error:
        raise ValueError(f"nonlinearity: {error}") from None
    return number * number


glorot_normal = xavier_normal
glorot_uniform = xavier_uniform
kaiming_normal = he_normal
kaiming_uniform = he_uniform
