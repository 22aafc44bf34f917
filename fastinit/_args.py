"""Checks of arguments, shared by every public function: one message each, in order."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import runtime

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]

# Codes are those of DType in src/core/dtype.h.
DTYPE_CODES = {
    "float32": 0,
    "float64": 1,
    "float16": 2,
    "bfloat16": 3,
    "float8_e4m3fn": 4,
    "float8_e5m2": 5,
}
_FLOAT32 = np.dtype(np.float32)
_DTYPES: dict[Any, np.dtype[Any]] = {"float32": _FLOAT32, np.float32: _FLOAT32, _FLOAT32: _FLOAT32}
_MAX_ELEMENTS = 2**63 - 1


def check_dtype(dtype: Any, name: str = "dtype") -> np.dtype[Any]:
    """The dtype as NumPy's object, found by name, if it is one that can be filled."""
    try:
        found = _DTYPES.get(dtype)
    except TypeError:
        found = None
    if found is not None:
        return found
    resolved: np.dtype[Any] | None = None
    text = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", getattr(dtype, "name", None))
    if isinstance(text, str) and text in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        import ml_dtypes

        resolved = np.dtype(getattr(ml_dtypes, text))
    else:
        try:
            resolved = np.dtype(dtype)
        except TypeError:
            resolved = None
    if resolved is None or dtype is None or resolved.name not in DTYPE_CODES or not resolved.isnative:
        raise TypeError(f"{name} must be one of {', '.join(DTYPE_CODES)} in native byte order, got {dtype!r}")
    if isinstance(dtype, (str, type)):
        _DTYPES[dtype] = resolved
    return resolved


def check_shape(shape: Any, name: str = "shape") -> Shape:
    """A tuple of non-negative ints whose product fits 63 bits."""
    if type(shape) is tuple:
        dims: Sequence[Any] = shape
    elif isinstance(shape, (int, np.integer)) and not isinstance(shape, bool):
        dims = (shape,)
    elif isinstance(shape, (list, tuple)):
        dims = shape
    else:
        raise TypeError(f"{name} must be an int or a sequence of ints, got {shape!r}")
    total = 1
    for d in dims:
        if type(d) is not int and (isinstance(d, (bool, np.bool_)) or not isinstance(d, numbers.Integral)):
            raise TypeError(f"{name} must be an int or a sequence of ints, got {shape!r}")
        if d < 0:
            raise ValueError(f"{name}: negative dimensions are not allowed, got {shape!r}")
        total *= int(d) or 1
    if total > _MAX_ELEMENTS // 8:
        raise ValueError(f"{name} {tuple(dims)!r} is too large: its bytes do not fit 63 bits")
    if len(dims) > 32:
        raise ValueError(f"{name} must have at most 32 dimensions, got {len(dims)}")
    return tuple(int(d) for d in dims)


def check_number(value: Any, name: str, *, low: float = -math.inf, infinite: bool = False) -> float:
    """A real number, finite unless `infinite`, at least `low`."""
    if type(value) is not float:
        if isinstance(value, (bool, np.bool_, str, bytes)) or (
            not isinstance(value, numbers.Real) and not _is_real_scalar(value)
        ):
            raise TypeError(f"{name} must be a real number, got {value!r}")
        try:
            value = float(value)
        except OverflowError:
            raise ValueError(f"{name} must be finite, got {value!r}") from None
    if not (math.isfinite(value) or (infinite and not math.isnan(value))):
        raise ValueError(f"{name} must be {'a number, not NaN' if infinite else 'finite'}, got {value!r}")
    if value < low:
        if low == 0.0:
            raise ValueError(f"{name} < 0: {name} must be non-negative, got {value!r}")
        raise ValueError(f"{name} must be at least {low!r}, got {value!r}")
    return float(value)


def _is_real_scalar(value: Any) -> bool:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return getattr(value, "shape", None) == () and (kind in "iuf" or str(value.dtype) in DTYPE_CODES)


def check_fits(value: float, name: str, dtype: np.dtype[Any]) -> float:
    """A number that stays finite in the arithmetic of `dtype` (float32 below float64)."""
    if dtype.itemsize < 8 and abs(value) > 3.4028235677973366e38:
        raise ValueError(f"{name} must be finite in float32, in which {dtype.name} is computed, got {value!r}")
    return value


def check_choice(value: Any, name: str, choices: Sequence[str]) -> str:
    """One of the given strings."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, one of {', '.join(choices)}; got {value!r}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
    return value


def check_int(value: Any, name: str, *, low: int) -> int:
    """An int of at least `low`."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an int, got {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if number < low:
        raise ValueError(f"{name} must be at least {low}, got {value!r}")
    return number


def check_num_threads(num_threads: Any) -> int:
    """The number of threads for this call; 0 leaves the choice to the core."""
    if num_threads is None:
        return runtime.chosen_threads()
    return check_int(num_threads, "num_threads", low=1)


def _overlaps_itself(out: Array) -> bool:
    """Whether two elements may share memory; exact for all layouts that nest."""
    extent = out.itemsize
    for stride, n in sorted((abs(s), n) for s, n in zip(out.strides, out.shape, strict=True) if n > 1):
        if stride < extent:
            return True
        extent += stride * (n - 1)
    return False


def check_out(out: Any, dtype: np.dtype[Any] | None) -> Array:
    """A writable array of a known dtype, any strides, no two elements in one place."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, got {type(out).__name__}")
    if out.dtype.name not in DTYPE_CODES or not out.dtype.isnative:
        raise TypeError(
            f"out must have one of the dtypes {', '.join(DTYPE_CODES)} in native byte order, got {out.dtype}"
        )
    if dtype is not None and dtype != out.dtype:
        raise TypeError(f"out has the wrong dtype: expected {dtype.name}, got {out.dtype.name}")
    if not out.flags.writeable:
        raise ValueError("out must be writable, got a read-only array")
    if not out.flags.c_contiguous and out.size > 1 and _overlaps_itself(out):
        raise ValueError(f"out must not overlap itself, got strides {out.strides} for shape {out.shape}")
    return out


class Target:
    """Where a fill goes: the global shape, the block of it, and the array for the block."""

    __slots__ = ("base", "code", "dtype", "out", "shape", "slices", "steps")

    def __init__(self, shape: Any, dtype: Any, out: Any, shard: Any) -> None:
        if shape is None and out is None:
            raise TypeError("shape must be given when out is not")
        if shape is None and shard is not None:
            raise TypeError("shape, the global one, must be given with shard")
        self.shape: Shape = check_shape(shape) if shape is not None else ()
        kind = None if dtype is None else check_dtype(dtype)
        if out is not None:
            out = check_out(out, kind)
            kind = out.dtype
            if shape is None:
                self.shape = out.shape
        self.dtype = kind = _FLOAT32 if kind is None else kind
        self.code = DTYPE_CODES[kind.name]
        self.base = 0
        self.steps: tuple[int, ...] | None = None
        self.slices: tuple[slice, ...] | None = None
        local = self.shape
        if shard is not None:
            local = self._set_shard(shard)
        if out is None:
            out = np.empty(local, kind)
        elif out.shape != local:
            raise ValueError(
                f"size must match out.shape: {'shard' if shard is not None else 'shape'} gives {local}, "
                f"out has {out.shape}"
            )
        self.out: Array = out

    def _set_shard(self, shard: Any) -> Shape:
        slices = (shard,) if isinstance(shard, slice) else shard
        if not isinstance(slices, (tuple, list)) or not all(isinstance(s, slice) for s in slices):
            raise TypeError(f"shard must be a tuple of slices, got {shard!r}")
        if len(slices) > len(self.shape):
            raise ValueError(f"shard has {len(slices)} slices for a shape of {len(self.shape)} dimensions")
        self.slices = tuple(slices) + (slice(None),) * (len(self.shape) - len(slices))
        strides = dense_steps(self.shape)
        local: list[int] = []
        steps: list[int] = []
        for s, n, stride in zip(self.slices, self.shape, strides, strict=True):
            try:
                start, stop, step = s.indices(n)
            except TypeError:
                raise TypeError(f"shard must hold slices of ints, got {s!r}") from None
            count = len(range(start, stop, step))
            local.append(count)
            steps.append(step * stride if count > 1 else stride)  # a lone element has no step
            self.base += start * stride if count else 0
        if 0 in local:
            self.base = 0
        self.steps = tuple(steps)
        return tuple(local)


    def split(self, axis: int, sizes: tuple[int, ...]) -> list[Target]:
        """The parts that fall into consecutive blocks of the global axis."""
        local = range(self.shape[axis])
        if self.slices is not None:
            local = range(*self.slices[axis].indices(self.shape[axis]))
        steps = self.steps if self.steps is not None else dense_steps(self.shape)
        parts = []
        begin = 0
        for size in sizes:
            inside = [i for i, g in enumerate(local) if begin <= g < begin + size]
            part = object.__new__(Target)
            first, last = (inside[0], inside[-1] + 1) if inside else (0, 0)
            part.shape, part.dtype, part.code, part.slices = self.shape, self.dtype, self.code, None
            part.steps = steps
            part.base = self.base + first * steps[axis]
            part.out = self.out[(slice(None),) * axis + (slice(first, last),)]
            parts.append(part)
            begin += size
        return parts


def dense_steps(shape: Shape) -> tuple[int, ...]:
    """Steps in elements of a C-ordered tensor."""
    steps = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        steps[i] = steps[i + 1] * max(shape[i + 1], 1)
    return tuple(steps)
