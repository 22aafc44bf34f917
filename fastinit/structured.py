"""Initializers with a structure: identity, dirac, sparse, constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _core
from ._args import Array, Target, check_int, check_num_threads, check_number
from ._fans import AxisLike, resolve_axes
from ._keys import key_bits
from ._run import NORMAL, collecting, run, run_now


def constant(
    shape: Any = None,
    value: float = 0.0,
    *,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """Every element equal to `value`.

    Parameters
    ----------
    shape : int or sequence of int, optional
        May be left out where `out` is given.
    value : float
        Finite.
    dtype, out, shard, seed, num_threads : optional
        As for `normal`; `seed` and `num_threads` change nothing here.

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
    target = Target(shape, dtype, out, shard)
    number = check_number(value, "value")
    key_bits(seed)
    check_num_threads(num_threads)
    target.out[...] = number
    return target.out


def zeros(
    shape: Any = None,
    *,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """Every element zero; see `constant` for the arguments and errors.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.zeros(2)
    array([0., 0.], dtype=float32)
    """
    return constant(shape, 0.0, dtype=dtype, seed=seed, out=out, shard=shard, num_threads=num_threads)


def ones(
    shape: Any = None,
    *,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """Every element one; see `constant` for the arguments and errors.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.ones(2)
    array([1., 1.], dtype=float32)
    """
    return constant(shape, 1.0, dtype=dtype, seed=seed, out=out, shard=shard, num_threads=num_threads)


def identity(
    shape: Any = None,
    gain: float = 1.0,
    *,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """`gain` on the main diagonal of a matrix, zero elsewhere.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Two dimensions (an int n stands for (n, n)).
    gain : float
        Finite.
    dtype, out, shard, seed, num_threads : optional
        As for `normal`; `seed` and `num_threads` change nothing here.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; a shape that is not two-dimensional.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.identity((2, 3))
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    if isinstance(shape, (int, np.integer)) and not isinstance(shape, bool):
        shape = (shape, shape)
    target = Target(shape, dtype, out, shard)
    if len(target.shape) != 2:
        raise ValueError(f"shape must have 2 dimensions, got {target.shape}")
    number = check_number(gain, "gain")
    key_bits(seed)
    check_num_threads(num_threads)
    target.out[...] = 0
    rows, columns = _ranges(target)
    n = min(target.shape)
    at = {c: j for j, c in enumerate(columns) if c < n}
    pairs = [(i, at[r]) for i, r in enumerate(rows) if r < n and r in at]
    if pairs:
        index = np.array(pairs)
        target.out[index[:, 0], index[:, 1]] = number
    return target.out


eye = identity


def _ranges(target: Target) -> list[range]:
    """Global indices along each axis of the block."""
    slices = target.slices or (slice(None),) * len(target.shape)
    return [range(*s.indices(n)) for s, n in zip(slices, target.shape, strict=True)]


def dirac(
    shape: Any = None,
    groups: int = 1,
    *,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """A convolution kernel that passes its input through, channel by channel.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Three to five dimensions: one to three of space, input, output channels; by default
        ``(..., in, out)``.
    groups : int, default 1
        Groups of the convolution; must divide the output channels.
    layout, in_axis, out_axis : optional
        What the dimensions mean; see `compute_fans`.
    dtype, out, shard, seed, num_threads : optional
        As for `normal`; `seed` and `num_threads` change nothing here.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; groups that do not divide.

    Notes
    -----
    Zagoruyko and Komodakis, "DiracNets", 2017.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.dirac((3, 2, 2))[1]
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    target = Target(shape, dtype, out, shard)
    ndim = len(target.shape)
    if ndim not in (3, 4, 5):
        raise ValueError(f"shape must have 3, 4 or 5 dimensions, got {target.shape}")
    count = check_int(groups, "groups", low=1)
    inputs, outputs, _ = resolve_axes(target.shape, layout, in_axis, out_axis, None)
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(f"in_axis and out_axis must be one axis each, got {inputs} and {outputs}")
    n_in, n_out = target.shape[inputs[0]], target.shape[outputs[0]]
    if n_out % count:
        raise ValueError(f"groups must divide the out axis: {count} does not divide {n_out}")
    key_bits(seed)
    check_num_threads(num_threads)
    target.out[...] = 0
    ranges = _ranges(target)
    where: list[int] = [0] * ndim
    for axis, n in enumerate(target.shape):
        if axis in inputs or axis in outputs:
            continue
        if n // 2 not in ranges[axis]:
            return target.out
        where[axis] = ranges[axis].index(n // 2)
    per_group = n_out // count
    for local, channel in enumerate(ranges[outputs[0]]):
        source = channel % per_group
        if source < n_in and source in ranges[inputs[0]]:
            where[outputs[0]] = local
            where[inputs[0]] = ranges[inputs[0]].index(source)
            target.out[tuple(where)] = 1
    return target.out


def sparse(
    shape: Any = None,
    sparsity: float = 0.9,
    std: float = 0.01,
    *,
    layout: str | None = None,
    dtype: Any = None,
    seed: Any = None,
    out: Array | None = None,
    shard: Any = None,
    num_threads: int | None = None,
) -> Array:
    """Normal draws of which an exact share in every column is zero.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Two dimensions, by default (in, out).
    sparsity : float
        Fraction of *zeros* among the weights of each output, in [0, 1]; their number is
        rounded up.
    std : float
        Of the others; finite, ``>= 0``.
    layout : {"io", "oi"}, optional
        ``"oi"`` for matrices of shape (out, in).
    dtype, out, shard, seed, num_threads : optional
        As for `normal`.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; a shape that is not two-dimensional.

    Notes
    -----
    Martens, "Deep learning via Hessian-free optimization", 2010.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.sparse((10, 4), 0.75, seed=0)
    >>> (w == 0).sum(axis=0)
    array([8, 8, 8, 8])
    """
    target = Target(shape, dtype, out, shard)
    if len(target.shape) != 2:
        raise ValueError(f"shape must have 2 dimensions, got {target.shape}")
    fraction = check_number(sparsity, "sparsity")
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"sparsity must be in [0, 1], got {sparsity!r}")
    scale = check_number(std, "std", low=0.0)
    (axis,), _, _ = resolve_axes(target.shape, layout, None, None, None)
    threads = check_num_threads(num_threads)
    key = key_bits(seed)
    # Two passes over one array: not to be put off into a list of independent fills.
    with collecting() as jobs:
        run(target, NORMAL, 0.0, scale, key, threads)
    run_now(jobs, threads)
    rows = target.shape[axis]
    view = target.out if axis == 0 else target.out.T
    ranges = _ranges(target)
    row, column = ranges[axis], ranges[1 - axis]
    _core.sparse_mask(
        view, key, rows, math.ceil(fraction * rows), (row.start, row.step), (column.start, column.step), threads
    )
    return target.out


__all__ = ["constant", "dirac", "eye", "identity", "ones", "sparse", "zeros"]
