"""Orthogonal and delta-orthogonal initialization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._args import COMPLEX, check_bool, check_choice, check_progress, check_stored
from ._fans import block_sizes, resolve_axes
from ._gains import check_gain
from ._keys import Key, SeedLike
from ._orthogonal import Axes, fill
from ._run import clear, then
from ._target import Target, global_shape
from ._types import Array, AxisLike, DTypeLike, Progress, ShapeLike, Shard

METHODS = ("direct", "qr")


def _check_scale(number: float, name: str, dtype: np.dtype[Any]) -> None:
    # A complex number is two of half its size.
    check_stored(number, name, np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype)


def orthogonal(
    shape: ShapeLike | None = None,
    gain: float | str = 1.0,
    *,
    method: str = "direct",
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    blocks: int | Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Array:
    """Orthogonal matrices, uniformly distributed (Haar's law), times `gain`.

    The tensor is read as a matrix whose columns are the output axis, by default the last, and
    whose rows are all other axes in order. Its columns are orthonormal if it has at least as many
    rows as columns; else its rows are.

    Parameters
    ----------
    shape : int or sequence of int, optional
        At least two dimensions. May be left out where `out` is given.
    gain : float or str
        A finite number or the name of an activation (see `fastinit.gain`).
    method : {"direct", "qr"}
        ``"direct"`` draws the Householder reflectors (Stewart 1980), which takes half the work.
        ``"qr"`` factors ``normal((m, n), seed=seed)``, m >= n, with a positive diagonal of R. Both
        have the same law, and values of their own.
    layout, in_axis, out_axis, batch_axis : optional
        What the dimensions mean; see `compute_fans`. Along `batch_axis` every matrix is independent; the rows
        are what it and `out_axis` leave.
    blocks : int or sequence of int, optional
        Number, or sizes, of matrices stored side by side along the output axis, each orthogonal by
        itself: fused QKV, gates of an LSTM.
    dtype : dtype-like, optional
        float32, float64, float16, bfloat16, float8_e4m3fn or float8_e5m2. Default: that of
        `out`, else float32. Types narrower than float32 are the float32 result, rounded once.
        complex64 and complex128 give unitary matrices of Haar's law (`method="direct"`).
    seed : None, int, sequence of int, SeedSequence, Generator or Key, optional
        See `Key`. Matrix j of a batch uses ``Key(seed).fold_in(j)``; then block j of `blocks` folds
        in j.
    out : ndarray, optional
        Filled in logical order, whatever its strides, and returned.
    shard : tuple of slice, optional
        The block of the global tensor to return; `shape` stays the global one. With
        ``method="direct"`` the cost follows the number of columns of a tall matrix (rows of a wide
        one) and the number of matrices.
    num_threads : int, optional
        Default `get_num_threads()`. Values do not depend on it.
    progress : callable, optional
        Called now and then with the share of the work that is done, from 0 to 1. What it raises stops the
        work, as Ctrl-C does, and leaves `out` half written.

    Returns
    -------
    ndarray
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError, MemoryError
        An argument of a wrong type or value; the message names it. `out` is untouched then.

    References
    ----------
    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks", 2014. Stewart, "The efficient generation of random orthogonal
    matrices", SIAM Journal on Numerical Analysis 17, 1980.

    Examples
    --------
    >>> import fastinit
    >>> import numpy as np
    >>> q = fastinit.orthogonal((256, 64), seed=0)
    >>> bool(np.allclose(q.T @ q, np.eye(64), atol=1e-5))
    True
    >>> experts = fastinit.orthogonal((8, 64, 64), batch_axis=0, seed=0)
    >>> experts.shape
    (8, 64, 64)
    """
    dims = global_shape(shape, out, shard)
    if len(dims) < 2:
        raise ValueError(f"shape must have at least 2 dimensions, got {dims}")
    scale = check_gain(gain)
    check_choice(method, "method", METHODS)
    rest: AxisLike = () if layout is None and in_axis is None else in_axis  # no default that others could meet
    _, outputs, batch = resolve_axes(dims, layout, rest, out_axis, batch_axis)
    if len(outputs) != 1:
        raise ValueError(f"out_axis must be one axis, got {outputs}")
    rows = tuple(a for a in range(len(dims)) if a not in outputs + batch)
    if not rows:
        raise ValueError(f"batch_axis must leave an axis for the rows, got {batch} for a shape of {len(dims)} dimensions")
    sizes = None if blocks is None else block_sizes(blocks, dims[outputs[0]])
    target = Target(dims, dtype, seed, out, shard, num_threads, COMPLEX)
    check_progress(progress)
    if method == "qr" and target.dtype.kind == "c":
        raise ValueError("method must be 'direct' for complex dtypes, got 'qr'")
    _check_scale(scale, "gain", target.dtype)
    then(fill, target, Axes(rows, outputs[0], batch, sizes), Key(seed), scale, method, progress)
    return target.result


def delta_orthogonal(
    shape: ShapeLike | None = None,
    gain: float | str = 1.0,
    *,
    scaled: bool = False,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    dtype: DTypeLike | None = None,
    seed: SeedLike = None,
    out: Array | None = None,
    shard: Shard | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Array:
    """A convolution kernel that is an orthogonal matrix at its centre and zero elsewhere.

    It keeps the norm of what it is convolved with (circularly), which is how Xiao et al. trained
    plain convolutional networks of 10,000 layers.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Three to five dimensions: one to three of space, input, output channels; by default
        ``(..., in, out)``, with no more inputs than outputs. The centre of n taps is tap
        ``n // 2``, as in `dirac` (for even n, JAX takes the one before).
    gain : float or str
        A finite number or the name of an activation (see `fastinit.gain`).
    scaled : bool, default False
        Whether to multiply by ``sqrt(max(out / in, 1))`` too, which keeps the mean square of a
        channel instead of the norm.
    layout, in_axis, out_axis : optional
        What the dimensions mean; see `compute_fans`.
    dtype, seed, out, shard, num_threads, progress : optional
        As for `orthogonal`, but real; the matrix at the centre is ``orthogonal((in, out), gain, seed=seed)``.

    Returns
    -------
    ndarray
        Of `shape`, or of the block that `shard` takes; `out` itself where that is given.

    Raises
    ------
    TypeError, ValueError, MemoryError
        An argument of a wrong type or value; more inputs than outputs. `out` is untouched then.

    References
    ----------
    Xiao, Bahri, Sohl-Dickstein, Schoenholz and Pennington, "Dynamical isometry and a mean field
    theory of CNNs", 2018.

    Examples
    --------
    >>> import fastinit
    >>> w = fastinit.delta_orthogonal((3, 3, 8, 16), seed=0)
    >>> bool((w[1, 1] == fastinit.orthogonal((8, 16), seed=0)).all())
    True
    >>> int((w != 0).any(axis=(2, 3)).sum())
    1
    """
    dims = global_shape(shape, out, shard)
    if len(dims) not in (3, 4, 5):
        raise ValueError(f"shape must have 3, 4 or 5 dimensions, as a convolution's kernel, got {dims}")
    number = check_gain(gain)
    check_bool(scaled, "scaled")
    inputs, outputs, batch = resolve_axes(dims, layout, in_axis, out_axis, None)
    if len(inputs) != 1 or len(outputs) != 1 or batch:
        raise ValueError(f"in_axis and out_axis must be one axis each, without a batch, got {inputs} and {outputs}")
    n_in, n_out = dims[inputs[0]], dims[outputs[0]]
    if n_in > n_out:
        raise ValueError(f"shape must have no more inputs than outputs, got {n_in} and {n_out}")
    target = Target(dims, dtype, seed, out, shard, num_threads)
    check_progress(progress)
    _check_scale(number, "gain", target.dtype)
    if scaled and n_in > 0:
        number *= math.sqrt(n_out / n_in)
        _check_scale(number, "gain, scaled,", target.dtype)
    then(_set_delta, target, inputs[0], outputs[0], Key(seed), number, progress)
    return target.result


def _set_delta(
    target: Target, in_axis: int, out_axis: int, key: Key, scale: float, progress: Progress | None
) -> None:
    index: list[Any] = [slice(None)] * len(target.shape)
    for axis, (n, local) in enumerate(zip(target.shape, target.ranges(), strict=True)):
        if axis in (in_axis, out_axis):
            continue
        if n // 2 not in local:
            return clear(target, target.out)
        index[axis] = local.index(n // 2)
    # First, as it may find too little memory; then zeros around it.
    fill(target.matrix(tuple(index), in_axis, out_axis), Axes((0,), 1, (), None), key, scale, "direct", progress)
    for axis, centre in enumerate(index):
        if not isinstance(centre, slice):
            for side in (slice(centre), slice(centre + 1, None)):
                clear(target, target.out[(*index[:axis], side)])


__all__ = ["delta_orthogonal", "orthogonal"]
