"""Initializers with a structure: identity, dirac, sparse, constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _core
from ._args import check_fits, check_int, check_number, check_shape, check_stored, check_within, is_int
from ._fans import resolve_axes
from ._keys import SeedLike, key_bits
from ._parameters import check_range, chunks, holds, is_array, parameter
from ._run import CONSTANT, NORMAL, is_planned, run, then
from ._target import Target, global_shape, slice_of
from ._types import Array, ArrayLike, AxisLike, DTypeLike, ShapeLike, Shard


def constant(
    shape: ShapeLike | None = None,
    value: ArrayLike = 0.0,
    *,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
    num_threads: int | None = None,
) -> Array:
    """Every element equal to `value`.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    value : float or array_like
        Finite, also as an element of the array's dtype; an array is broadcast to `shape`.
    dtype, seed, out, shard, num_threads : optional
        As for `normal`; `seed` changes nothing here.

    Returns
    -------
    ndarray
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; the message names it.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.constant(3, 0.5)
    array([0.5, 0.5, 0.5], dtype=float32)
    """
    dims = global_shape(shape, out, shard)
    if is_array(value, "value"):
        values = parameter(value, "value")
        if not holds(dims, values.shape):
            raise ValueError(f"value must broadcast to the shape {dims}, got shape {values.shape}")
        target = Target(dims, dtype, seed, out, shard, num_threads)
        check_range("value", target.dtype, target.dtype, values)
        then(_set_each, target, values.copy() if is_planned() else values)  # before what a plan fills first
        return target.result
    number = check_number(value, "value")
    target = Target(dims, dtype, seed, out, shard, num_threads)
    check_stored(number, "value", target.dtype)
    return run(target, CONSTANT, number, 0.0, 0)


def _set_each(target: Target, values: Array) -> None:
    """Through float32 where the dtype is narrower, as every law goes."""
    block = np.broadcast_to(values, target.shape)[tuple(map(slice_of, target.ranges()))]
    with np.errstate(all="ignore"):
        for part, value in chunks(target.out, np.float32 if target.dtype.itemsize < 4 else target.dtype, block):
            part[...] = value


def _rounded(values: Any, dtype: np.dtype[Any]) -> Array:
    """Through float32 where the dtype is narrower, as every law goes."""
    with np.errstate(all="ignore"):
        return np.asarray(values, np.float32 if dtype.itemsize < 4 else np.float64).astype(dtype)


def zeros(
    shape: ShapeLike | None = None,
    *,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
    num_threads: int | None = None,
) -> Array:
    """Every element zero.

    Parameters
    ----------
    shape, dtype, seed, out, shard, num_threads : optional
        As for `constant`.

    Returns
    -------
    ndarray
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        As `constant`.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.zeros(2)
    array([0., 0.], dtype=float32)
    """
    return constant(shape, 0.0, dtype=dtype, seed=seed, out=out, shard=shard, num_threads=num_threads)


def ones(
    shape: ShapeLike | None = None,
    *,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
    num_threads: int | None = None,
) -> Array:
    """Every element one.

    Parameters
    ----------
    shape, dtype, seed, out, shard, num_threads : optional
        As for `constant`.

    Returns
    -------
    ndarray
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        As `constant`.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.ones(2)
    array([1., 1.], dtype=float32)
    """
    return constant(shape, 1.0, dtype=dtype, seed=seed, out=out, shard=shard, num_threads=num_threads)


def identity(
    shape: ShapeLike | None = None,
    *,
    gain: float = 1.0,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
    num_threads: int | None = None,
) -> Array:
    """`gain` on the main diagonal of a matrix, zero elsewhere.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Two dimensions (an int n stands for (n, n)).
    gain : float
        Finite, also as an element of the array's dtype.
    dtype, seed, out, shard, num_threads : optional
        As for `normal`; `seed` changes nothing here.

    Returns
    -------
    ndarray
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; a shape that is not two-dimensional.

    References
    ----------
    Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.identity((2, 3))
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    if is_int(shape):
        shape = check_shape(shape) * 2
    dims = global_shape(shape, out, shard)
    if len(dims) != 2:
        raise ValueError(f"shape must have 2 dimensions, got {dims}")
    number = check_number(gain, "gain")
    target = Target(dims, dtype, seed, out, shard, num_threads)
    check_stored(number, "gain", target.dtype)
    run(target, CONSTANT, 0.0, 0.0, 0)
    then(_set_diagonal, target.out, *target.ranges(), number)
    return target.result


def _set_diagonal(out: Array, rows: range, columns: range, value: float) -> None:
    short, long = sorted((rows, columns), key=len)
    at = np.arange(short.start, short.stop, short.step)
    place, rest = np.divmod(at - long.start, long.step)
    found = np.flatnonzero((rest == 0) & (place >= 0) & (place < len(long)))
    if found.size:
        i, j = (found, place[found]) if short is rows else (place[found], found)
        out[i, j] = _rounded(value, out.dtype)


eye = identity


def dirac(
    shape: ShapeLike | None = None,
    groups: int = 1,
    *,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
    num_threads: int | None = None,
) -> Array:
    """A convolution kernel that passes its input through, channel by channel.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Three to five dimensions: one to three of space, input, output channels; by default
        ``(..., in, out)``. A batch axis of `layout` holds one kernel each.
    groups : int, default 1
        Groups of the convolution; must divide the output channels.
    layout, in_axis, out_axis : optional
        What the dimensions mean; see `compute_fans`.
    dtype, seed, out, shard, num_threads : optional
        As for `normal`; `seed` changes nothing here.

    Returns
    -------
    ndarray
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; groups that do not divide.

    References
    ----------
    Zagoruyko and Komodakis, "DiracNets", 2017.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.dirac((3, 2, 2))[1]
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    dims = global_shape(shape, out, shard)
    if len(dims) not in (3, 4, 5):
        raise ValueError(f"shape must have 3, 4 or 5 dimensions, as a convolution's kernel, got {dims}")
    count = check_int(groups, "groups", low=1)
    inputs, outputs, batch = resolve_axes(dims, layout, in_axis, out_axis, None)
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(f"in_axis and out_axis must be one axis each, got {inputs} and {outputs}")
    n_out = dims[outputs[0]]
    if n_out % count:
        raise ValueError(f"groups must divide the out axis: {count} does not divide {n_out}")
    target = Target(dims, dtype, seed, out, shard, num_threads)
    run(target, CONSTANT, 0.0, 0.0, 0)
    then(_set_dirac, target, inputs[0], outputs[0], batch, n_out // count)
    return target.result


def _set_dirac(target: Target, in_axis: int, out_axis: int, batch: tuple[int, ...], per_group: int) -> None:
    ranges = target.ranges()
    where: list[Any] = [slice(None)] * len(ranges)
    for axis, n in enumerate(target.shape):
        if axis in (in_axis, out_axis, *batch):
            continue
        if n // 2 not in ranges[axis]:
            return
        where[axis] = ranges[axis].index(n // 2)
    sources = ranges[in_axis]
    for local, channel in enumerate(ranges[out_axis]):
        source = channel % per_group
        if source in sources:
            where[out_axis] = local
            where[in_axis] = sources.index(source)
            target.out[tuple(where)] = 1


def sparse(
    shape: ShapeLike | None = None,
    sparsity: float = 0.9,
    std: float = 0.01,
    *,
    layout: str | None = None,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
    num_threads: int | None = None,
) -> Array:
    """Normal draws of which an exact share in every column is zero.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Two dimensions, by default (in, out).
    sparsity : float
        Fraction of *zeros* among the weights of each output, in [0, 1]: ``ceil(sparsity * in)``
        of them, as in Martens' paper. PyTorch counts in each column, which is an input of its
        weights (out, in): that is what leaving `layout` out gives for them.
    std : float
        Of the others; finite, ``>= 0``.
    layout : {"io", "oi"}, optional
        ``"oi"`` for matrices of shape (out, in).
    dtype, seed, out, shard, num_threads : optional
        As for `normal`; a shard takes the work of all its whole columns.

    Returns
    -------
    ndarray
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; a shape that is not two-dimensional.

    References
    ----------
    Martens, "Deep learning via Hessian-free optimization", 2010.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.sparse((10, 4), 0.75, seed=0)
    >>> (w == 0).sum(axis=0)
    array([8, 8, 8, 8])
    """
    dims = global_shape(shape, out, shard)
    if len(dims) != 2:
        raise ValueError(f"shape must have 2 dimensions, got {dims}")
    fraction = check_within(sparsity, "sparsity", 0.0, 1.0)
    scale = check_number(std, "std", low=0.0)
    (axis,), _, _ = resolve_axes(dims, layout, None, None, None)
    target = Target(dims, dtype, seed, out, shard, num_threads)
    check_fits(scale, "std", target.dtype)
    # Asked now, as the mask may need it when the fill does not, and an error must come before both.
    threads = target.threads or _core.default_num_threads()
    key = key_bits(seed)
    run(target, NORMAL, 0.0, scale, key)
    rows = dims[axis]
    view = target.out if axis == 0 else target.out.T
    ranges = target.ranges()
    row, column = ranges[axis], ranges[1 - axis]
    count = math.ceil(fraction * rows)
    then(
        _core.sparse_mask,
        view, key, rows, count, (row.start, row.step), (column.start, column.step), threads,
    )  # fmt: skip
    return target.result


__all__ = ["constant", "dirac", "eye", "identity", "ones", "sparse", "zeros"]
