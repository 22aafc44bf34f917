"""Checks of arguments, shared by every public function: one message each, in order."""

from __future__ import annotations

import math
import numbers
import operator
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _core
from ._keys import check_seed

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
COMPLEX = ("complex64", "complex128")  # where an initializer says so
_FLOAT32 = np.dtype(np.float32)
_DTYPES: dict[Any, np.dtype[Any]] = {"float32": _FLOAT32, np.float32: _FLOAT32, _FLOAT32: _FLOAT32}
_CODES: dict[np.dtype[Any], int] = {_FLOAT32: 0}  # of the dtypes met so far: their names are slow
_MAX_BYTES = 2**63 - 1
_MAX_DIMS = 64 if int(np.__version__.split(".")[0]) >= 2 else 32  # NumPy's own limits
_MAX_FLOAT32 = 3.4028234663852886e38
_ALWAYS_FINITE = 448.0  # the largest float8_e4m3fn, the narrowest range of all
_MAX_THREADS = 2**16  # the core takes an int, and never starts as many

_NO_NUMBERS = (bool, np.bool_, np.timedelta64)  # though Python, or NumPy, counts them as integers

_threads = 0


def code_of(dtype: np.dtype[Any]) -> int | None:
    """The core's code of a dtype; None for one that cannot be filled."""
    code = _CODES.get(dtype)
    if code is None and dtype.isnative and dtype.name in DTYPE_CODES:
        code = _CODES[dtype] = DTYPE_CODES[dtype.name]
    return code


def check_dtype(dtype: Any, name: str = "dtype", also: tuple[str, ...] = ()) -> np.dtype[Any]:
    """The dtype as NumPy's object, found by name, if it is one that can be filled, or in `also`."""
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
        except (TypeError, ValueError, DeprecationWarning):  # an error where the user made it one
            resolved = None
    if resolved is not None and resolved.name in also and resolved.isnative and dtype is not None:
        return resolved
    if resolved is None or dtype is None or code_of(resolved) is None:
        known = ", ".join((*DTYPE_CODES, *also))
        raise TypeError(f"{name} must be one of {known} in native byte order, got {dtype!r}")
    if isinstance(dtype, (str, type)):
        _DTYPES[dtype] = resolved
    return resolved


def check_shape(shape: Any, name: str = "shape") -> Shape:
    """A tuple of non-negative ints whose product fits 63 bits."""
    dims: Sequence[Any]
    if type(shape) is tuple:
        dims = shape
    elif isinstance(shape, (list, tuple, range)) or getattr(shape, "ndim", None) == 1:
        dims = tuple(shape)
    elif is_length(shape):
        dims = (shape,)
    else:
        raise TypeError(f"{name} must be an int or a sequence of ints, got {shape!r}")
    total = 1
    exact = True
    for d in dims:
        if type(d) is not int:
            exact = False
            if not is_length(d):
                raise TypeError(f"{name} must be an int or a sequence of ints, got {shape!r}")
            d = operator.index(d)
        if d < 0:
            raise ValueError(f"{name}: negative dimensions are not allowed, got {shape!r}")
        total *= d or 1
    if total > _MAX_BYTES // 8:
        raise ValueError(f"{name} {tuple(dims)!r} is too large: its bytes do not fit 63 bits")
    if len(dims) > _MAX_DIMS:
        raise ValueError(f"{name} must have at most {_MAX_DIMS} dimensions, got {len(dims)}")
    return tuple(dims) if exact else tuple(map(operator.index, dims))


def is_length(shape: Any) -> bool:
    """Whether a shape is a single length, not a sequence of them: any integer that Python takes as an index."""
    if isinstance(shape, _NO_NUMBERS):
        return False
    try:
        operator.index(shape)
    except TypeError:
        return False
    return True


def check_number(value: Any, name: str, *, low: float = -math.inf, infinite: bool = False) -> float:
    """A real number, finite unless `infinite`, at least `low`."""
    if type(value) is not float:
        if isinstance(value, _NO_NUMBERS) or (
            not isinstance(value, numbers.Real) and not _is_real_scalar(value)
        ):
            raise TypeError(f"{name} must be a real number, got {value!r}")
        try:
            value = float(value)
        except OverflowError:
            raise ValueError(f"{name} must be finite, got {value!r}") from None
    if not math.isfinite(value) and (not infinite or value != value):
        raise ValueError(f"{name} must be {'a number, not NaN' if infinite else 'finite'}, got {value!r}")
    if value < low:
        if low == 0.0:
            raise ValueError(f"{name} < 0: {name} must be non-negative, got {value!r}")
        raise ValueError(f"{name} must be at least {low!r}, got {value!r}")
    return value  # type: ignore[no-any-return]


def _is_real_scalar(value: Any) -> bool:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return getattr(value, "shape", None) == () and (kind in "iuf" or str(value.dtype) in DTYPE_CODES)


def check_fits(value: float, name: str, dtype: np.dtype[Any]) -> float:
    """A number that stays finite in the arithmetic of `dtype` (float32 below float64)."""
    if not abs(value) <= _MAX_FLOAT32 and (dtype.itemsize < 8 or not math.isfinite(value)):
        where = f"float32, in which {dtype.name} is computed" if dtype.itemsize < 4 else dtype.name
        raise ValueError(f"{name} must be finite in {where}, got {value!r}")
    return value


def check_stored(value: float, name: str, dtype: np.dtype[Any]) -> float:
    """A number that stays finite as an element of `dtype`."""
    check_fits(value, name, dtype)
    if dtype.itemsize < 4 and abs(value) > _ALWAYS_FINITE:
        with np.errstate(over="ignore"):
            stored = np.float32(value).astype(dtype)
        if not np.isfinite(stored):
            raise ValueError(f"{name} must be finite in {dtype.name}, got {value!r}")
    return value


def check_window(low: float, high: float, dtype: np.dtype[Any]) -> None:
    """The ends of a truncation's window, of which the one next to zero must be finite in `dtype`."""
    if low > 0 or high < 0:
        check_stored(low if low > 0 else high, "the window of lower and upper", dtype)


def check_choice(value: Any, name: str, choices: Sequence[str]) -> str:
    """One of the given strings."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, one of {', '.join(choices)}; got {value!r}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
    return value


def check_int(value: Any, name: str, *, low: int | None = None) -> int:
    """An int, of at least `low` where that is given."""
    if isinstance(value, _NO_NUMBERS):
        raise TypeError(f"{name} must be an int, got {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if low is not None and number < low:
        raise ValueError(f"{name} must be at least {low}, got {value!r}")
    return number


def check_progress(progress: Any) -> None:
    """A function of the share done, or None."""
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be a function of the share done, got {progress!r}")


def check_num_threads(num_threads: Any) -> int:
    """The number of threads for this call; 0 leaves the choice to the core."""
    if num_threads is None:
        return _threads or _core.asked_threads()
    return min(check_int(num_threads, "num_threads", low=1), _MAX_THREADS)


def chosen_threads() -> int:
    """What `set_num_threads` set, or 0."""
    return _threads


def choose_threads(num_threads: int | None) -> None:
    """Set what calls without `num_threads` use; None leaves the choice to the core again."""
    global _threads
    _threads = 0 if num_threads is None else check_num_threads(num_threads)


def _overlaps_itself(out: Array) -> bool:
    """Whether two elements may share memory; exact for all layouts that nest."""
    extent = out.itemsize
    for stride, n in sorted((abs(s), n) for s, n in zip(out.strides, out.shape, strict=True) if n > 1):
        if stride < extent:
            return True
        extent += stride * (n - 1)
    return False


def check_array(out: Any) -> Array:
    """An array, of any dtype."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, got {type(out).__name__}")
    return out


def check_out(out: Any, dtype: np.dtype[Any] | None, also: tuple[str, ...] = ()) -> Array:
    """A writable array of a known dtype, any strides, no two elements in one place."""
    array = check_array(out)
    if code_of(array.dtype) is None and not (array.dtype.name in also and array.dtype.isnative):
        known = ", ".join((*DTYPE_CODES, *also))
        raise TypeError(f"out must have one of the dtypes {known} in native byte order, got {array.dtype}")
    if dtype is not None and dtype != array.dtype:
        raise TypeError(f"out has the wrong dtype: expected {dtype.name}, got {array.dtype.name}")
    if not array.flags.writeable:
        raise ValueError("out must be writable, got a read-only array")
    if not array.flags.c_contiguous and array.size > 1 and _overlaps_itself(array):
        raise ValueError(f"out must not overlap itself, or interleave, got strides {array.strides} for shape {array.shape}")
    return array


def global_shape(shape: Any, out: Any, shard: Any, name: str = "shape") -> Shape:
    """The shape of the whole tensor: as it is given, else that of `out`."""
    if shape is not None:
        return check_shape(shape, name)
    if out is None:
        raise TypeError(f"{name} must be given when out is not")
    if shard is not None:
        raise TypeError(f"{name}, the global one, must be given with shard")
    return tuple(check_array(out).shape)


class Target:
    """Where a fill goes: the global shape, the block of it, and the array for the block.

    `result` is what the caller gets: the very `out` that was given, of which the array `out` is a
    plain view (a masked array would hide elements from what is written by index, a matrix keeps
    two dimensions).
    """

    __slots__ = ("base", "block", "code", "dtype", "out", "result", "shape", "steps", "threads")

    def __init__(
        self, shape: Shape, dtype: Any, seed: Any, out: Any, shard: Any, num_threads: Any,
        also: tuple[str, ...] = (), name: str = "shape",
    ) -> None:  # fmt: skip
        """What `global_shape` gave, and the arguments common to all initializers, checked in their order."""
        kind = None if dtype is None else check_dtype(dtype, also=also)
        if type(seed) is not int or seed < 0:
            check_seed(seed)
        if out is not None:
            out = check_out(out, kind, also)
            kind = out.dtype
        elif kind is None:
            kind = _FLOAT32
        self.shape = local = shape
        self.dtype: np.dtype[Any] = kind
        self.code = _CODES.get(kind, -1)
        self.base = 0
        self.steps: tuple[int, ...] | None = None
        self.block: list[range] | None = None
        if shard is not None:
            local = self._set_shard(shard)
        if out is not None and out.shape != local:
            raise ValueError(
                f"size must match out.shape: {'shard' if shard is not None else name} gives {local}, "
                f"out has {out.shape}"
            )
        self.threads = check_num_threads(num_threads)
        if out is None:
            out = np.empty(local, kind)
        self.result: Array = out
        self.out: Array = out if type(out) is np.ndarray else out.view(np.ndarray)

    def _set_shard(self, shard: Any) -> Shape:
        slices = (shard,) if isinstance(shard, slice) else shard
        if not isinstance(slices, (tuple, list)) or not all(isinstance(s, slice) for s in slices):
            raise TypeError(f"shard must be a tuple of slices, got {shard!r}")
        if len(slices) > len(self.shape):
            raise ValueError(f"shard has {len(slices)} slices for a shape of {len(self.shape)} dimensions")
        every = tuple(slices) + (slice(None),) * (len(self.shape) - len(slices))
        strides = dense_steps(self.shape)
        self.block = []
        local: list[int] = []
        steps: list[int] = []
        for s, n, stride in zip(every, self.shape, strides, strict=True):
            try:
                start, stop, step = s.indices(n)
            except TypeError:
                raise TypeError(f"shard must hold slices of ints, got {s!r}") from None
            except ValueError:
                raise ValueError(f"shard must hold slices with steps other than 0, got {s!r}") from None
            count = len(range(start, stop, step))
            if count <= 1:  # a lone element has no step, and one given can be of any size
                stop, step = start + count, 1
            self.block.append(range(start, stop, step))
            local.append(count)
            steps.append(step * stride)
            self.base += start * stride if count else 0
        if 0 in local:
            self.base = 0
        self.steps = tuple(steps)
        return tuple(local)

    def ranges(self) -> list[range]:
        """Global indices along each axis of the block."""
        return [range(n) for n in self.shape] if self.block is None else list(self.block)

    def matrix(self, index: tuple[Any, ...], row: int, column: int) -> Target:
        """The matrix of two axes at an index of the others (slices stand for those two)."""
        part = object.__new__(Target)
        part.shape, part.dtype, part.code = (self.shape[row], self.shape[column]), self.dtype, self.code
        part.block = None if self.block is None else [self.block[row], self.block[column]]
        part.base, part.steps, part.threads = 0, None, self.threads
        part.out = part.result = self.out[index] if row < column else self.out[index].T
        return part

    def split(self, axis: int, sizes: tuple[int, ...]) -> list[Target]:
        """The parts that fall into consecutive blocks of the global axis."""
        local = self.ranges()[axis]
        steps = self.steps if self.steps is not None else dense_steps(self.shape)
        parts = []
        begin = 0
        for size in sizes:
            first, last = span(local, begin, begin + size)
            part = object.__new__(Target)
            part.shape, part.dtype, part.code, part.block = self.shape, self.dtype, self.code, None
            part.steps, part.threads = steps, self.threads
            part.out = part.result = self.out[(slice(None),) * axis + (slice(first, last),)]
            part.base = self.base + first * steps[axis] if part.out.size else 0
            parts.append(part)
            begin += size
        return parts


def span(indices: range, begin: int, end: int) -> tuple[int, int]:
    """Positions first, last of the part of `indices` that lies in [begin, end)."""
    if indices.step > 0:
        return bisect_left(indices, begin), bisect_left(indices, end)
    upward, n = indices[::-1], len(indices)
    return n - bisect_left(upward, end), n - bisect_left(upward, begin)


def slice_of(indices: range) -> slice:
    """The slice that takes them."""
    return slice(indices.start, indices.stop if indices.stop >= 0 else None, indices.step)


def dense_steps(shape: Shape) -> tuple[int, ...]:
    """Steps in elements of a C-ordered tensor."""
    steps = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        steps[i] = steps[i + 1] * max(shape[i + 1], 1)
    return tuple(steps)
