"""Parameters of a law that may have one value per element."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from numbers import Real
from types import ModuleType
from typing import Any, Literal

import numpy as np

from ._args import check_number, code_of
from ._types import Array, Shape

_CHUNK = 2**13  # elements: what is computed of them stays in the cache


def is_array(value: Any, name: str) -> bool:
    """Whether a parameter has one value per element."""
    if isinstance(value, (type, ModuleType)):  # whose attributes are not a value's
        raise TypeError(f"{name} must be a real number or an array of them, got {value!r}")
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
    """As floats, finite."""
    try:
        values = np.asarray(value)
        # ints too large for NumPy's types, and fractions
        real = values.dtype.kind == "O" and all(isinstance(v, Real) and not isinstance(v, bool) for v in values.flat)
        if not real and values.dtype.kind not in "iuf" and code_of(values.dtype) is None:
            raise TypeError
        if code_of(values.dtype) is None:
            with np.errstate(over="ignore", under="ignore"):
                values = values.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number or an array of them, got {value!r}") from None
    except OverflowError:
        raise ValueError(f"{name} must be finite, got {value!r}") from None
    check_all(np.isfinite, name, "finite", values)
    return values


def loc_and_scale(loc: Any, scale: Any) -> tuple[Any, Any]:
    """Numbers, or arrays where one of them is; a scale of -0.0 is negative, as for NumPy."""
    if is_array(loc, "loc") or is_array(scale, "scale"):
        locs, scales = parameter(loc, "loc"), parameter(scale, "scale")
        check_all(lambda s: ~np.signbit(s), "scale < 0: scale", "non-negative", scales)
        return locs, scales
    mean, std = check_number(loc, "loc"), check_number(scale, "scale")
    if math.copysign(1.0, std) < 0.0:
        raise ValueError(f"scale < 0: scale must be non-negative, got {std!r}")
    return mean, std


def check_range(
    name: str, dtype: np.dtype[Any], stays: Any, *arrays: Array, of: Callable[..., Array] = np.positive
) -> None:
    """A function of parameters that stays finite in the arithmetic of `dtype` and as elements of type `stays`."""
    kind = np.float64 if dtype.itemsize == 8 else np.float32
    finite = f"finite in {np.dtype(stays).name}"
    check_all(lambda v: np.isfinite(v.astype(kind).astype(stays)), name, finite, *arrays, of=of)


def check_all(
    ok: Callable[[Array], Array], name: str, allowed: str, *arrays: Array, of: Callable[..., Array] = np.positive
) -> None:
    """A function of parameters, in float64; the message names its first value that is not `ok`."""
    with np.errstate(over="ignore", under="ignore"):
        for parts in _parts((), arrays):
            values = of(*parts)
            good = ok(values)
            if not good.all():
                raise ValueError(f"{name} must be {allowed}, got {float(values[~good][0])!r}")


def window(loc: Array, scale: Array, lower: float, upper: float) -> tuple[Array, Array]:
    """Bounds of a truncated law; of a point mass, which no infinite bound moves, its place."""
    low, high = (loc + np.where(scale > 0, bound, 0.0) * scale for bound in (lower, upper))
    return low, high


def nearest_zero(loc: Array, scale: Array, lower: float, upper: float) -> Array:
    """The number of the window next to zero, which the dtype has to hold."""
    low, high = window(loc, scale, lower, upper)
    return np.minimum(np.maximum(low, 0.0), high)


def chunks(out: Array, kind: Any, *parameters: Array) -> Iterator[tuple[Array, ...]]:
    """Parts of `out` in logical order, of type `kind`, rounded as they are written, and the parameters of each.

    Each part must be written before the next is asked for.
    """
    return _parts(((out, np.dtype(kind)),), parameters)


def _parts(
    written: Sequence[tuple[Array, np.dtype[Any]]], read: Sequence[Array]
) -> Iterator[tuple[Array, ...]]:
    """In logical order, broadcast together: no second array of their size is made, and Ctrl-C comes in between."""
    modes: list[list[Literal["writeonly", "readonly"]]] = [["writeonly"] for _ in written]
    modes += [["readonly"] for _ in read]
    parts = np.nditer(
        [*(array for array, _ in written), *read],
        ["buffered", "copy_if_overlap", "external_loop", "zerosize_ok"],
        modes,
        op_dtypes=[*(kind for _, kind in written), *(np.dtype(np.float64) for _ in read)],
        order="C",
        casting="unsafe",
        buffersize=_CHUNK,
    )  # fmt: skip
    with closing(parts):
        for part in parts:
            yield part if isinstance(part, tuple) else (part,)
