"""Parameters of a law that may have one value per element."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._args import Array, Shape, code_of


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
        values = values.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number or an array of them, got {value!r}") from None
    except OverflowError:
        raise ValueError(f"{name} must be finite, got {value!r}") from None
    check_all(np.isfinite(values), name, "finite", values)
    return values


def check_range(values: Array, name: str, dtype: np.dtype[Any], stays: Any) -> None:
    """Parameters that stay finite in the arithmetic of `dtype` and as elements of type `stays`."""
    kind = np.float64 if dtype.itemsize == 8 else np.float32
    check_all(np.isfinite(values.astype(kind).astype(stays)), name, f"finite in {np.dtype(stays).name}", values)


def check_all(ok: Any, name: str, allowed: str, values: Array) -> None:
    """The message names the first value that is not `ok`."""
    if not np.all(ok):
        raise ValueError(f"{name} must be {allowed}, got {float(values[np.logical_not(ok)].flat[0])!r}")
