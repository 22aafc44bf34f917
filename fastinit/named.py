"""Xavier and He initialization: variance scaling with the gain of an activation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ._activations import canonical_name
from ._args import check_choice, check_number, named_errors
from ._fans import resolve_fans
from ._gains import check_gain, rectifier_gain_squared
from ._gains import gain as activation_gain
from ._keys import SeedLike
from ._target import Target, global_shape
from ._types import Array, AxisLike, DTypeLike, ShapeLike, Shard
from .scaling import MODES, scaled, squared

RECTIFIERS = ("relu", "leaky_relu", "prelu")


def _he_gain_squared(nonlinearity: Any, negative_slope: Any, gain: Any) -> tuple[float, int]:
    if gain is None and type(nonlinearity) is str and type(negative_slope) is float:
        return _named_gain_squared(nonlinearity, negative_slope)
    return _any_gain_squared(nonlinearity, negative_slope, gain)


def _any_gain_squared(nonlinearity: Any, negative_slope: Any, gain: Any) -> tuple[float, int]:
    if not isinstance(nonlinearity, str) and not callable(nonlinearity):
        raise TypeError(f"nonlinearity must be the name of an activation or a function, got {nonlinearity!r}")
    with named_errors("nonlinearity"):
        name = canonical_name(nonlinearity) if isinstance(nonlinearity, str) else ""
        of_function = 0.0 if gain is not None or name in RECTIFIERS else activation_gain(name or nonlinearity)
    slope = check_number(negative_slope, "negative_slope")
    if slope != 0.0 and name not in RECTIFIERS:
        raise ValueError(f"negative_slope belongs to relu, leaky_relu and prelu, not to {nonlinearity!r}")
    if gain is not None:
        return squared(check_gain(gain, low=0.0))
    return rectifier_gain_squared(slope) if name in RECTIFIERS else squared(of_function)


@functools.lru_cache(maxsize=256)  # calls take microseconds
def _named_gain_squared(nonlinearity: str, negative_slope: float) -> tuple[float, int]:
    return _any_gain_squared(nonlinearity, negative_slope, None)


def xavier_normal(
    shape: ShapeLike | None = None,
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
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
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
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.xavier_normal((784, 256), seed=0).shape
    (784, 256)
    """
    dims = global_shape(shape, out, shard)
    factor = check_gain(gain, low=0.0)
    fans = resolve_fans(
        dims, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need="fan_avg",
    )
    target = Target(dims, dtype, seed, out, shard, num_threads)
    return scaled(target, squared(factor), "fan_avg", "normal", fans, seed, ("gain", gain))


def xavier_uniform(
    shape: ShapeLike | None = None,
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
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
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
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.xavier_uniform((784, 256), seed=0).shape
    (784, 256)
    """
    dims = global_shape(shape, out, shard)
    factor = check_gain(gain, low=0.0)
    fans = resolve_fans(
        dims, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need="fan_avg",
    )
    target = Target(dims, dtype, seed, out, shard, num_threads)
    return scaled(target, squared(factor), "fan_avg", "uniform", fans, seed, ("gain", gain))


def he_normal(
    shape: ShapeLike | None = None,
    *,
    mode: str = "fan_in",
    nonlinearity: str | Callable[..., Any] = "relu",
    negative_slope: float = 0.0,
    gain: float | str | None = None,
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
    """He (Kaiming) initialization, normal: ``std = gain / sqrt(fan)``.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        ``"fan_in"`` keeps the variance of activations, ``"fan_out"`` that of gradients.
    nonlinearity : str or callable
        The activation that follows, or a function of an array; for "relu", "leaky_relu" and "prelu" the gain is
        ``sqrt(2 / (1 + negative_slope**2))``, for others that of `fastinit.gain`.
    negative_slope : float, default 0
        Finite; of the three named above. Give the slope that the network has: 0.25 for PyTorch's PReLU, say.
    gain : float or str, optional
        Given outright: a number ``>= 0`` or the name of an activation (see `fastinit.gain`).
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
    He et al., "Delving deep into rectifiers", 2015.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.he_normal((512, 256), seed=0)
    >>> round(float(w.var() * 512), 1)
    2.0
    """
    dims = global_shape(shape, out, shard)
    check_choice(mode, "mode", MODES)
    square = _he_gain_squared(nonlinearity, negative_slope, gain)
    fans = resolve_fans(
        dims, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need=mode,
    )
    target = Target(dims, dtype, seed, out, shard, num_threads)
    cause = ("nonlinearity", nonlinearity) if gain is None else ("gain", gain)
    return scaled(target, square, mode, "normal", fans, seed, cause)


def he_uniform(
    shape: ShapeLike | None = None,
    *,
    mode: str = "fan_in",
    nonlinearity: str | Callable[..., Any] = "relu",
    negative_slope: float = 0.0,
    gain: float | str | None = None,
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
    """He (Kaiming) initialization, uniform: ``limit = gain * sqrt(3 / fan)``.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        ``"fan_in"`` keeps the variance of activations, ``"fan_out"`` that of gradients.
    nonlinearity : str or callable
        The activation that follows, or a function of an array; for "relu", "leaky_relu" and "prelu" the gain is
        ``sqrt(2 / (1 + negative_slope**2))``, for others that of `fastinit.gain`.
    negative_slope : float, default 0
        Finite; of the three named above. Give the slope that the network has: 0.25 for PyTorch's PReLU, say.
    gain : float or str, optional
        Given outright: a number ``>= 0`` or the name of an activation (see `fastinit.gain`).
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
    He et al., "Delving deep into rectifiers", 2015.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.he_uniform((512, 256), seed=0)
    >>> round(float(w.var() * 512), 1)
    2.0
    """
    dims = global_shape(shape, out, shard)
    check_choice(mode, "mode", MODES)
    square = _he_gain_squared(nonlinearity, negative_slope, gain)
    fans = resolve_fans(
        dims, layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out, need=mode,
    )
    target = Target(dims, dtype, seed, out, shard, num_threads)
    cause = ("nonlinearity", nonlinearity) if gain is None else ("gain", gain)
    return scaled(target, square, mode, "uniform", fans, seed, cause)


glorot_normal = xavier_normal
glorot_uniform = xavier_uniform
kaiming_normal = he_normal
kaiming_uniform = he_uniform
