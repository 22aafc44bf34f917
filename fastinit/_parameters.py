"""Parameters of a law that may have one value per element."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from ._args import check_number, code_of
from ._types import Array, Shape

_CHUNK = 2**13  # elements: what is computed of them stays in the cache


def is_array(value: Any, name: str) -> bool:
    """Whether a parameter has one value per element."""
    try:
        return np.ndim(value) > 0
    except ValueError:  # a ragged sequence
        raise TypeError(f"{name} must be a real number or an array of them, got {value!r}") from None


def shape_of(a: Array, b: Array, *names: str) -> Shape:
    """That of both together."""
    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        message = f"{names[0]} and {names[1]} must broadcast together, got shapes {a.shape} and {b.shape}"
        raise ValueError(message) from None


def holds(size: Shape, shape: Shape) -> bool:
    """Whether arrays of `shape` broadcast to `size`."""
    try:
        return np.broadcast_shapes(shape, size) == size
    except ValueError:
        return False


def parameter(value: Any, name: str) -> Array:
    """As float64, finite."""
    try:
        values = np.asarray(value)
        large = values.dtype.kind == "O" and all(type(v) is int for v in values.flat)  # for NumPy's types
        if not large and values.dtype.kind not in "iuf" and code_of(values.dtype) is None:
            raise TypeError
        values = values.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number or an array of them, got {value!r}") from None
    except OverflowError:
        raise ValueError(f"{name} must be finite, got {value!r}") from None
    check_all(np.isfinite(values), name, "finite", values)
    return values


def loc_and_scale(loc: Any, scale: Any) -> tuple[Any, Any]:
    """Numbers, or arrays where one of them is; a scale of -0.0 is negative, as for NumPy."""
    if is_array(loc, "loc") or is_array(scale, "scale"):
        locs, scales = parameter(loc, "loc"), parameter(scale, "scale")
        check_all(~np.signbit(scales), "scale < 0: scale", "non-negative", scales)
        return locs, scales
    mean, std = check_number(loc, "loc"), check_number(scale, "scale", low=0.0)
    if math.copysign(1.0, std) < 0.0:
        raise ValueError(f"scale < 0: scale must be non-negative, got {std!r}")
    return mean, std


def check_range(values: Array, name: str, dtype: np.dtype[Any], stays: Any) -> None:
    """Parameters that stay finite in the arithmetic of `dtype` and as elements of type `stays`."""
    kind = np.float64 if dtype.itemsize == 8 else np.float32
    with np.errstate(over="ignore", under="ignore"):
        finite = np.isfinite(values.astype(kind).astype(stays))
    check_all(finite, name, f"finite in {np.dtype(stays).name}", values)


def check_all(ok: Any, name: str, allowed: str, values: Array) -> None:
    """The message names the first value that is not `ok`."""
    if not np.all(ok):
        raise ValueError(f"{name} must be {allowed}, got {float(values[np.logical_not(ok)].flat[0])!r}")


def window(loc: Array, scale: Array, lower: float, upper: float) -> tuple[Array, Array]:
    """Bounds of a truncated law; of a point mass, which no infinite bound moves, its place."""
    low, high = (loc + np.where(scale > 0, bound, 0.0) * scale for bound in (lower, upper))
    return low, high


def chunks(out: Array, kind: Any, p0: Array, p1: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Parts of `out` in logical order, of type `kind`, rounded as they are written, and the parameters of each.

    Each part must be written before the next is asked for.
    """
    parts = np.nditer(
        (out, p0, p1),
        ["buffered", "copy_if_overlap", "external_loop", "zerosize_ok"],
        [["writeonly"], ["readonly"], ["readonly"]],
        op_dtypes=[np.dtype(kind), p0.dtype, p1.dtype],
        order="C",
        casting="unsafe",
        buffersize=_CHUNK,
    )  # fmt: skip
    with closing(parts):
        yield from parts
