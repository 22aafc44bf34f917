"""Checks of arguments, shared by every public function: one message each, in order."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from . import _core
from ._types import Array, Shape


class Format(NamedTuple):
    """A dtype that can be filled."""

    code: int  # that of DType in src/core/dtype.h
    largest: float
    smallest: float  # positive, a subnormal number


FORMATS = {
    "float32": Format(0, 3.4028234663852886e38, 2.0**-149),
    "float64": Format(1, 1.7976931348623157e308, 5e-324),
    "float16": Format(2, 65504.0, 2.0**-24),
    "bfloat16": Format(3, 3.3895313892515355e38, 2.0**-133),
    "float8_e4m3fn": Format(4, 448.0, 2.0**-9),
    "float8_e5m2": Format(5, 57344.0, 2.0**-16),
}
COMPLEX = ("complex64", "complex128")  # where an initializer says so
FLOAT32 = np.dtype(np.float32)
_DTYPES: dict[Any, np.dtype[Any]] = {"float32": FLOAT32, np.float32: FLOAT32, FLOAT32: FLOAT32}
_CODES: dict[np.dtype[Any], int] = {FLOAT32: 0}  # of the dtypes met so far: their names are slow
_MAX_BYTES = 2**63 - 1
_MAX_DIMS = 64 if int(np.__version__.split(".")[0]) >= 2 else 32  # NumPy's own limits
_MAX_FLOAT32 = FORMATS["float32"].largest
_ALWAYS_FINITE = min(f.largest for f in FORMATS.values())
_BEYOND_NUMPY = tuple(name for name in FORMATS if not hasattr(np, name))  # those of ml_dtypes
_MAX_THREADS = 2**16  # the core takes an int, and never starts as many

_NO_NUMBERS = (bool, np.bool_, np.timedelta64)  # though Python, or NumPy, counts them as integers

_threads = 0


@contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Puts a name in front of the messages of errors."""
    try:
        yield
    except (TypeError, ValueError, MemoryError) as error:
        # The plain types: a subclass may not be made from a message.
        kind = next(k for k in (TypeError, ValueError, MemoryError) if isinstance(error, k))
        raise kind(f"{name}: {error}") from error


def code_of(dtype: np.dtype[Any]) -> int | None:
    """The core's code of a dtype; None for one that cannot be filled."""
    code = _CODES.get(dtype)
    if code is None and dtype.isnative and dtype.name in FORMATS:
        code = _CODES[dtype] = FORMATS[dtype.name].code
    return code


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether its elements are real numbers, integers among them."""
    return dtype.kind in "fiu" or dtype.name in FORMATS


def check_dtype(dtype: Any, name: str = "dtype", also: tuple[str, ...] = ()) -> np.dtype[Any]:
    """The dtype as NumPy's object, found by name, if it is one that can be filled, or in `also`."""
    try:
        found = _DTYPES.get(dtype)
    except (TypeError, ValueError):  # what cannot be hashed, a timedelta without a unit among it
        found = None
    if found is not None:
        return found
    resolved: np.dtype[Any] | None = None
    text = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", getattr(dtype, "name", None))
    if isinstance(text, str) and text in _BEYOND_NUMPY:
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
        known = (*FORMATS, *also)
        meant = likely(str(dtype).rpartition(".")[2], known)  # of a framework's dtype the name
        raise TypeError(f"{name} must be one of {', '.join(known)} in native byte order, got {dtype!r}{meant}")
    if isinstance(dtype, (str, type)):
        _DTYPES[dtype] = resolved
    return resolved


def check_shape(shape: Any, name: str = "shape") -> Shape:
    """A tuple of non-negative ints whose product fits 63 bits."""
    dims: Sequence[Any] | None = shape if type(shape) is tuple else items_of(shape)
    if dims is None:
        dims = (shape,)
    total = 1
    exact = True
    for d in dims:
        if type(d) is not int:
            exact = False
            if not is_int(d):
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


def is_int(value: Any) -> bool:
    """Whether Python takes it as an index, and it is no bool."""
    if isinstance(value, _NO_NUMBERS):
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def items_of(value: Any) -> Sequence[Any] | None:
    """What a sequence of numbers holds; None for anything else."""
    if isinstance(value, (list, tuple, range)):
        return value
    return tuple(value) if getattr(value, "ndim", None) == 1 else None


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


def check_positive(value: Any, name: str) -> float:
    """A finite number above 0."""
    number = check_number(value, name)
    if not number > 0.0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return number


def check_within(value: Any, name: str, low: float, high: float) -> float:
    """A number of the closed interval."""
    number = check_number(value, name)
    if not low <= number <= high:
        raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {value!r}")
    return number


def check_ends(low: Any, high: Any) -> tuple[float, float]:
    """The ends of a uniform law."""
    a, b = check_number(low, "low"), check_number(high, "high")
    if b < a:
        raise ValueError(f"high - low < 0: low is {a!r}, high is {b!r}")
    if not math.isfinite(b - a):
        raise ValueError(f"high - low must be finite, got low {a!r} and high {b!r}")
    return a, b


def check_ends_fit(low: float, high: float, dtype: np.dtype[Any]) -> None:
    """Ends that are elements of `dtype`, and whose distance its arithmetic holds."""
    check_stored(low, "low", dtype)
    check_stored(high, "high", dtype)
    check_fits(high - low, "high - low", dtype)


def check_bounds(lower: Any, upper: Any) -> tuple[float, float]:
    """The bounds of a truncation, which may be infinite."""
    a, b = check_number(lower, "lower", infinite=True), check_number(upper, "upper", infinite=True)
    if not a < b:
        raise ValueError(f"lower must be below upper, got {a!r} and {b!r}")
    return a, b


def _is_real_scalar(value: Any) -> bool:
    """A number of NumPy's or of a framework's; not what has such attributes too: a dtype, a class, a masked number."""
    if isinstance(value, (np.dtype, type)) or np.ma.is_masked(value) or not hasattr(value, "__float__"):
        return False
    dtype = getattr(value, "dtype", None)
    kind, name = getattr(dtype, "kind", None), str(dtype).rpartition(".")[2]
    integer = name.startswith(("int", "uint")) if kind is None else kind in "iuf"
    return getattr(value, "shape", None) == () and (integer or name in FORMATS)


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


def likely(value: str, choices: Iterable[str]) -> str:
    """In brackets the choice that was likely meant; nothing where none is near."""
    import difflib

    near = difflib.get_close_matches(value.lower(), list(choices), 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def unknown_name(value: Any, name: str, choices: Iterable[str]) -> ValueError:
    """The error of a name that is none of the choices, with the one that was likely meant."""
    known = list(choices)
    meant = likely(value, known) if isinstance(value, str) else ""
    return ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}{meant}")


def check_choice(value: Any, name: str, choices: Sequence[str]) -> str:
    """One of the given strings."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, one of {', '.join(choices)}; got {value!r}")
    if value not in choices:
        raise unknown_name(value, name, choices)
    return value


def check_int(value: Any, name: str, *, low: int | None = None) -> int:
    """An int, of at least `low` where that is given."""
    if not is_int(value):
        raise TypeError(f"{name} must be an int, got {value!r}")
    number = operator.index(value)
    if low is not None and number < low:
        raise ValueError(f"{name} must be at least {low}, got {value!r}")
    return number


def check_bool(value: Any, name: str) -> bool:
    """A bool, NumPy's too."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a bool, got {value!r}")
    return bool(value)


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
        hint = "; of a tensor on the CPU, tensor.detach().numpy() shares the memory" if hasattr(out, "detach") else ""
        raise TypeError(f"out must be a NumPy array, got {type(out).__name__}{hint}")
    return out


def check_out(out: Any, dtype: np.dtype[Any] | None, also: tuple[str, ...] = ()) -> Array:
    """A writable array of a known dtype, any strides, no two elements in one place."""
    array = check_array(out)
    if code_of(array.dtype) is None and not (array.dtype.name in also and array.dtype.isnative):
        known = ", ".join((*FORMATS, *also))
        raise TypeError(f"out must have one of the dtypes {known} in native byte order, got {array.dtype}")
    if dtype is not None and dtype != array.dtype:
        raise TypeError(f"out has the wrong dtype: expected {dtype.name}, got {array.dtype.name}")
    if not array.flags.writeable:
        raise ValueError("out must be writable, got a read-only array")
    if not array.flags.c_contiguous and array.size > 1 and _overlaps_itself(array):
        raise ValueError(f"out must not overlap itself, or interleave, got strides {array.strides} for shape {array.shape}")
    return array
