"""Fans of a weight: how many inputs feed an output, how many outputs an input feeds."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from ._args import check_int, check_positive, check_shape, is_int, items_of
from ._types import AxisLike, Shape, ShapeLike

Fan = int | float
_EXACT = 2.0**53  # from here on floats stay floats


class Fans(NamedTuple):
    """Fans of the whole, or of each block along `out_axis` where sizes differ."""

    fan_in: Fan | None
    fan_out: tuple[Fan, ...] | None
    out_axis: int | None
    sizes: tuple[int, ...] | None  # of the blocks, where they differ


def _axes(value: Any, name: str, ndim: int) -> tuple[int, ...]:
    items = items_of(value)
    found = []
    for item in (value,) if items is None else items:
        if not is_int(item):
            raise TypeError(f"{name} must be an int or a sequence of ints, got {value!r}")
        axis = operator.index(item)
        if not -ndim <= axis < ndim:
            raise ValueError(f"{name} {axis} is out of range for a shape of {ndim} dimensions")
        found.append(axis % ndim)
    return tuple(found)


def resolve_axes(
    shape: Shape, layout: str | None, in_axis: AxisLike, out_axis: AxisLike, batch_axis: AxisLike
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The input, output and batch axes as non-negative ints."""
    ndim = len(shape)
    if layout is not None:
        if not isinstance(layout, str):
            raise TypeError(f"layout must be a string such as 'io' or 'oihw', got {layout!r}")
        if in_axis is not None or out_axis is not None or batch_axis is not None:
            raise ValueError(f"layout {layout!r} already names the axes: give no in_axis, out_axis, batch_axis")
        letters = layout.lower()
        if len(layout) != ndim:
            raise ValueError(f"layout {layout!r} must have one letter per dimension of shape {shape}")
        if len(set(letters)) != ndim or not {"i", "o"} <= set(letters) or not letters.isalpha():
            raise ValueError(
                f"layout must hold the letters i and o once, b for a batch axis, and others "
                f"(such as d, h, w) for the receptive field; got {layout!r}"
            )
        return (letters.index("i"),), (letters.index("o"),), tuple(letters.index(c) for c in "b" if c in letters)
    if ndim < 2 and (in_axis is None or out_axis is None):
        raise ValueError(
            f"shape must have at least 2 dimensions for fans to be computed, got {shape}; "
            "give fan_in and fan_out, or in_axis and out_axis"
        )
    inputs = _axes(-2 if in_axis is None else in_axis, "in_axis", ndim)
    outputs = _axes(-1 if out_axis is None else out_axis, "out_axis", ndim)
    batch = _axes(() if batch_axis is None else batch_axis, "batch_axis", ndim)
    used = inputs + outputs + batch
    if len(set(used)) != len(used):
        raise ValueError(f"in_axis {inputs}, out_axis {outputs} and batch_axis {batch} must not share an axis")
    return inputs, outputs, batch


def block_sizes(blocks: Any, n: int) -> tuple[int, ...]:
    """Sizes of the blocks along an axis of length `n`."""
    items = items_of(blocks)
    if items is not None:
        sizes = tuple(check_int(b, "blocks", low=0) for b in items)
        if not sizes or sum(sizes) != n:
            raise ValueError(f"blocks must sum to the out axis of length {n}, got {blocks!r}")
        return sizes
    count = check_int(blocks, "blocks", low=1)
    if n % count:
        raise ValueError(f"blocks must divide the out axis: {count} does not divide {n}")
    return (n // count,) * count


def _explicit(value: Any, name: str) -> Fan | None:
    if value is None:
        return None
    number = check_positive(value, name)
    return int(number) if number < _EXACT and number == int(number) else number


@functools.lru_cache(maxsize=256)
def _fans_of_matrix(n: int, m: int) -> Fans:
    return Fans(n, (m,), 1, None)


def resolve_fans(
    shape: Shape,
    *,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    groups: int = 1,
    blocks: int | Sequence[int] | None = None,
    fan_in: float | None = None,
    fan_out: float | None = None,
    need: str = "both",
) -> Fans:
    """Fans with the axis and sizes of blocks; see `compute_fans`."""
    default = (
        layout is None and in_axis is None and out_axis is None and batch_axis is None
        and type(groups) is int and groups == 1 and blocks is None
    )
    if default and fan_in is None and fan_out is None and len(shape) == 2:
        return _fans_of_matrix(*shape)  # the common case, kept short: calls take microseconds
    if default and (fan_in is not None or need == "fan_out") and (fan_out is not None or need == "fan_in"):
        given_in, given_out = _explicit(fan_in, "fan_in"), _explicit(fan_out, "fan_out")
        return Fans(given_in, None if given_out is None else (given_out,), None, None)
    inputs, outputs, batch = resolve_axes(shape, layout, in_axis, out_axis, batch_axis)
    group_count = check_int(groups, "groups", low=1)
    field = n_in = n_out = 1
    for axis, n in enumerate(shape):
        if axis in inputs:
            n_in *= n
        elif axis in outputs:
            n_out *= n
        elif axis not in batch:
            field *= n
    if n_out % group_count:
        raise ValueError(f"groups must divide the out axis: {group_count} does not divide {n_out}")
    sizes: tuple[int, ...] = (n_out,)
    if blocks is not None:
        if len(outputs) != 1:
            raise ValueError(f"blocks need a single out_axis, got {outputs}")
        sizes = block_sizes(blocks, n_out)
        if any(size % group_count for size in sizes):
            raise ValueError(f"groups must divide every block: {group_count} does not divide {sizes}")
    given_in, given_out = _explicit(fan_in, "fan_in"), _explicit(fan_out, "fan_out")
    even = len(set(sizes)) == 1
    outs: tuple[Fan, ...] = tuple(size * field // group_count for size in (sizes[:1] if even else sizes))
    if given_out is not None:
        outs, even = (given_out,), True
    return Fans(
        n_in * field if given_in is None else given_in,
        outs,
        outputs[0] if len(outputs) == 1 else None,
        None if even else sizes,
    )


def compute_fans(
    shape: ShapeLike,
    *,
    layout: str | None = None,
    in_axis: AxisLike = None,
    out_axis: AxisLike = None,
    batch_axis: AxisLike = None,
    groups: int = 1,
    blocks: int | Sequence[int] | None = None,
    fan_in: float | None = None,
    fan_out: float | None = None,
) -> tuple[Any, Any]:
    """Fan-in and fan-out of a weight of the given shape.

    Parameters
    ----------
    shape : int or sequence of int
        Shape of the weight. Without `layout` or axes it is read as ``(..., in, out)``, the
        leading dimensions being the receptive field of a convolution.
    layout : str, optional
        One letter per dimension: ``i`` input, ``o`` output, ``b`` batch of independent
        weights, any other letter receptive field: ``"oi"``, ``"oihw"``, ``"hwio"``, ... In either case.
    in_axis, out_axis, batch_axis : int or sequence of int, optional
        The same by numbers; the default is -2, -1 and none.
    groups : int, default 1
        Groups of a convolution. The input axis holds the inputs of one group, the output axis the
        outputs of all groups, as frameworks store it. PyTorch's transposed convolutions, whose input
        axis holds all inputs, and Keras' depthwise kernels store it otherwise: give `fan_in` and `fan_out`.
    blocks : int or sequence of int, optional
        Number, or sizes, of weights stored side by side along the output axis: fused QKV,
        gates of an LSTM. The fans are those of one block.
    fan_in, fan_out : float, optional
        Given outright.

    Returns
    -------
    fan_in, fan_out : int or float
        `fan_out` is a tuple where `blocks` have different sizes.

    Raises
    ------
    TypeError, ValueError
        A wrong type or value; fewer than two dimensions without explicit fans or axes; groups
        or blocks that do not divide the output axis.

    Examples
    --------
    >>> from fastinit import compute_fans
    >>> compute_fans((784, 256))
    (784, 256)
    >>> compute_fans((64, 32, 3, 3), layout="oihw")
    (288, 576)
    >>> compute_fans((768, 3 * 768), blocks=3)
    (768, 768)
    """
    fans = resolve_fans(
        check_shape(shape), layout=layout, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
        groups=groups, blocks=blocks, fan_in=fan_in, fan_out=fan_out,
    )
    outs = fans.fan_out
    return fans.fan_in, (outs[0] if outs is not None and len(outs) == 1 else outs)
