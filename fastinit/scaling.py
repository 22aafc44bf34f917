"""Variance scaling, which Xavier and He initialization build on, and LeCun initialization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import _core
from ._args import check_choice, check_fits, check_number, check_stored
from ._fans import Fans, resolve_fans
from ._keys import SeedLike, key_bits
from ._run import NORMAL, TRUNCATED, UNIFORM, run
from ._target import Target, global_shape
from ._types import Array, AxisLike, DTypeLike, ShapeLike, Shard

MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
DISTRIBUTIONS = ("normal", "uniform", "truncated_normal")


def _fan_for(mode: str, fan_in: float | None, fan_out: float | None) -> float:
    if mode in ("fan_in", "fan_out"):
        return (fan_in if mode == "fan_in" else fan_out) or 1.0  # of an empty tensor
    assert fan_in is not None and fan_out is not None
    # Explicit fans may leave the range of float64 on the way.
    if mode == "fan_avg":
        total = fan_in + fan_out
        return (0.5 * total if total < math.inf else 0.5 * fan_in + 0.5 * fan_out) or 1.0
    product = fan_in * fan_out
    return (math.sqrt(product) if 0.0 < product < math.inf else math.sqrt(fan_in) * math.sqrt(fan_out)) or 1.0


def scaled(
    target: Target, gain2: tuple[float, int], mode: str, distribution: str, fans: Fans, seed: Any,
    cause: tuple[str, Any],
) -> Array:
    """Variance ``gain**2 / fan``, block by block where the blocks' fans differ; for `gain2` see `squared`.

    `cause` is the argument, and its value, that a message names.
    """
    scale, exponent = gain2
    outs = fans.fan_out
    # sizes before the key: a generator advances only where nothing is wrong
    if outs is None or len(outs) == 1:
        fan = _fan_for(mode, fans.fan_in, None if outs is None else outs[0])
        size = _size(target, scale, fan, exponent, distribution, cause)
        return _draw(target, size, distribution, key_bits(seed))
    assert fans.sizes is not None and fans.out_axis is not None
    sizes = [_size(target, scale, _fan_for(mode, fans.fan_in, n), exponent, distribution, cause) for n in outs]
    key = key_bits(seed)
    for part, size in zip(target.split(fans.out_axis, fans.sizes), sizes, strict=True):
        _draw(part, size, distribution, key)
    return target.result


def squared(gain: float) -> tuple[float, int]:
    """(s, e) with ``gain**2 == s * 4**e``: the square itself could leave the range of float64."""
    mantissa, exponent = math.frexp(gain)
    return mantissa * mantissa, exponent


def _by_fours(x: float) -> tuple[float, int]:
    """(y, e) with ``x == y * 4**e`` and y within [1/2, 2)."""
    mantissa, exponent = math.frexp(x)
    return math.ldexp(mantissa, exponent % 2), exponent // 2


def _root(x: float, exponent: int) -> float:
    """``sqrt(x * 4**exponent)``, infinite where that overflows."""
    try:
        return math.ldexp(math.sqrt(x), exponent)
    except OverflowError:
        return math.inf


def _size(
    target: Target, scale: float, fan: float, exponent: int, distribution: str, cause: tuple[str, Any]
) -> float:
    """The half width of a uniform law, the sigma of the others, of variance ``scale * 4**exponent / fan``."""
    variance = scale / fan
    if not 1e-300 < variance < 1e300 and scale > 0.0:  # its root may well be within range
        (scale, more), (part, less) = _by_fours(scale), _by_fours(fan)
        variance, exponent = scale / part, exponent + more - less
    try:
        if distribution == "uniform":
            limit = _root(3.0 * variance, exponent)
            check_fits(2.0 * limit, "the width of the uniform law", target.dtype)
            return check_stored(limit, "the bound of the uniform law", target.dtype)
        if distribution == "truncated_normal":
            variance /= _core.truncated_moments(-2.0, 2.0)[1]
        return check_fits(_root(variance, exponent), "the standard deviation", target.dtype)
    except ValueError as error:
        name, value = cause
        raise ValueError(f"{name} {value!r} with fan {fan!r}: {error}") from None


def _draw(target: Target, size: float, distribution: str, key: int) -> Array:
    if distribution == "normal":
        return run(target, NORMAL, 0.0, size, key)
    if distribution == "uniform":
        return run(target, UNIFORM, -size, size, key)
    return run(target, TRUNCATED, 0.0, size, key, -2.0, 2.0)


def variance_scaling(
    shape: ShapeLike | None = None,
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
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
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
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    References
    ----------
    He et al., "Delving deep into rectifiers", 2015; Glorot and Bengio, "Understanding the difficulty of
    training deep feedforward neural networks", 2010.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.variance_scaling((256, 128), 2.0, "fan_avg", seed=0)
    >>> round(float(w.var() * 192), 1)
    2.0
    """
    dims = global_shape(shape, out, shard)
    scale = check_number(scale, "scale", low=0.0)
    check_choice(mode, "mode", MODES)
    check_choice(distribution, "distribution", DISTRIBUTIONS)
    fans = resolve_fans(
        dims, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need=mode,
    )
    target = Target(dims, dtype, seed, out, shard, num_threads)
    return scaled(target, (scale, 0), mode, distribution, fans, seed, ("scale", scale))


def lecun_normal(
    shape: ShapeLike | None = None,
    *,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    groups: int = 1,
    blocks: int | Sequence[int] | None = None,
    fan_in: float | None = None,
    fan_out: float | None = None,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
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
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    References
    ----------
    LeCun et al., "Efficient BackProp", 1998; the choice for SELU (Klambauer et al. 2017).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.lecun_normal((784, 256), seed=0).shape
    (784, 256)
    """
    dims = global_shape(shape, out, shard)
    fans = resolve_fans(
        dims, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need="fan_in",
    )
    target = Target(dims, dtype, seed, out, shard, num_threads)
    return scaled(target, (1.0, 0), "fan_in", "normal", fans, seed, ("shape", dims))


def lecun_uniform(
    shape: ShapeLike | None = None,
    *,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    groups: int = 1,
    blocks: int | Sequence[int] | None = None,
    fan_in: float | None = None,
    fan_out: float | None = None,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
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
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    References
    ----------
    LeCun et al., "Efficient BackProp", 1998; the choice for SELU (Klambauer et al. 2017).

    Examples
    --------
    >>> import fastinit
    >>> fastinit.lecun_uniform((784, 256), seed=0).shape
    (784, 256)
    """
    dims = global_shape(shape, out, shard)
    fans = resolve_fans(
        dims, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need="fan_in",
    )
    target = Target(dims, dtype, seed, out, shard, num_threads)
    return scaled(target, (1.0, 0), "fan_in", "uniform", fans, seed, ("shape", dims))
