"""NumPy's `Generator` methods over fastinit's fills."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from ._args import check_bounds, check_ends, check_ends_fit, check_fits, check_int, check_stored, check_window
from ._keys import Key, SeedLike
from ._parameters import (
    check_all,
    check_range,
    chunks,
    holds,
    is_array,
    loc_and_scale,
    nearest_zero,
    parameter,
    shape_of,
    window,
)
from ._run import NORMAL, TRUNCATED, UNIFORM, run
from ._target import Target, global_shape
from ._types import Array, ArrayLike, DTypeLike, ShapeLike

_FAR = 4.0  # scales


class Generator:
    """`random`, `uniform`, `standard_normal` and `normal` in the argument order of `numpy.random.Generator`.

    And `truncated_normal` and `spawn`; for NumPy's other distributions, and wherever a generator of NumPy's is asked
    for (``random_state=`` of SciPy), ``numpy.random.Generator(fastinit.Philox4x32(seed))``. Each value takes one
    element of one stream, so a fill split into several calls gives the same values, and the first draw equals
    the function of the same name in the same dtype, here by default float64.

    Parameters
    ----------
    seed : None, int, sequence of int, SeedSequence, Generator or Key, optional
        See `Key`.

    Raises
    ------
    TypeError, ValueError
        As `Key`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastinit import default_rng
    >>> a, b = default_rng(0), default_rng(0)
    >>> bool((a.random(5) == np.append(b.random(2), b.random(3))).all())
    True
    """

    def __init__(self, seed: SeedLike = None) -> None:
        self._key = Key(seed)
        self._position = 0
        self._children = 0
        self._lock = threading.RLock()  # a signal's handler may draw too

    if not TYPE_CHECKING:  # for which every name would be one

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or not hasattr(np.random.Generator, name):
                return object.__getattribute__(self, name)  # which raises, as ever
            where = "numpy.random.Generator(fastinit.Philox4x32(seed)) has it"
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}; {where}", name=name, obj=self)

    def _draw_key(self) -> int:
        """The key that this generator gives when it serves as a seed; it advances."""
        with self._lock:
            child = self._children
            self._children += 1
        return self._key.fold_in(f"child {child}").bits

    def spawn(self, n_children: int) -> list[Generator]:
        """`n_children` generators with keys of their own.

        Parameters
        ----------
        n_children : int
            ``>= 0``.

        Returns
        -------
        list of Generator

        Raises
        ------
        TypeError, ValueError
            `n_children` is not an int, or negative.

        Examples
        --------
        >>> from fastinit import default_rng
        >>> len(default_rng(0).spawn(2))
        2
        """
        count = check_int(n_children, "n_children", low=0)
        with self._lock:
            first = self._children
            self._children += count
        return [type(self)(self._key.fold_in(f"child {first + i}")) for i in range(count)]

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"Generator({self._key!r}, position={self._position})"

    def _take(self, count: int) -> int:
        """The first of as many places of the stream, which are this call's own."""
        with self._lock:
            first = self._position
            self._position += count
        return first

    def _fill(
        self, law: int, p0: float, p1: float, size: ShapeLike | None, dtype: DTypeLike | None, out: Array | None,
        num_threads: int | None, lo: float = 0.0, hi: float = 0.0,
    ) -> Any:
        scalar = size is None and out is None
        if out is None and dtype is None:
            dtype = np.float64
        dims = () if scalar else global_shape(size, out, None, "size")
        target = Target(dims, dtype, 0, out, None, num_threads, name="size")
        if law == UNIFORM:
            check_ends_fit(p0, p1, target.dtype)
        else:
            check_stored(p0, "loc", target.dtype)
            check_fits(p1, "scale", target.dtype)
        if law == TRUNCATED and p1 > 0:
            check_window(p0 + lo * p1, p0 + hi * p1, target.dtype)
        target.base = self._take(target.out.size)
        run(target, law, p0, p1, self._key.bits, lo, hi)
        return float(target.out) if scalar else target.result

    def random(
        self, size: ShapeLike | None = None, dtype: DTypeLike | None = None, out: Array | None = None, *,
        num_threads: int | None = None,
    ) -> Any:
        """Uniform draws from [0, 1).

        Parameters
        ----------
        size : int or sequence of int, optional
            Of the result; may be left out where `out` is given.
        dtype : dtype-like, optional
            Default: that of `out`, else float64.
        out : ndarray, optional
            Filled in logical order and returned.
        num_threads : int, optional
            Default `get_num_threads()`. Values do not depend on it.

        Returns
        -------
        float or ndarray
            A float where neither `size` nor `out` is given.

        Raises
        ------
        TypeError, ValueError
            An argument of a wrong type or value; the message names it.

        Examples
        --------
        >>> from fastinit import default_rng
        >>> 0 <= default_rng(0).random() < 1
        True
        """
        return self._fill(UNIFORM, 0.0, 1.0, size, dtype, out, num_threads)

    def standard_normal(
        self, size: ShapeLike | None = None, dtype: DTypeLike | None = None, out: Array | None = None, *,
        num_threads: int | None = None,
    ) -> Any:
        """Draws from N(0, 1).

        Parameters
        ----------
        size, dtype, out, num_threads : optional
            As for `random`.

        Returns
        -------
        float or ndarray
            A float where neither `size` nor `out` is given.

        Raises
        ------
        TypeError, ValueError
            An argument of a wrong type or value; the message names it.

        Examples
        --------
        >>> from fastinit import default_rng
        >>> default_rng(0).standard_normal((2, 3)).shape
        (2, 3)
        """
        return self._fill(NORMAL, 0.0, 1.0, size, dtype, out, num_threads)

    def uniform(
        self, low: ArrayLike = 0.0, high: ArrayLike = 1.0, size: ShapeLike | None = None, *,
        dtype: DTypeLike | None = None, out: Array | None = None, num_threads: int | None = None,
    ) -> Any:
        """Uniform draws from [low, high); array bounds are broadcast, and give what numbers give.

        Parameters
        ----------
        low, high : float or array_like
            Bounds, finite, with ``low <= high``.
        size, dtype, out, num_threads : optional
            As for `random`.

        Returns
        -------
        float or ndarray
            A float where the parameters are numbers and neither `size` nor `out` is given; else of `size`,
            or of the parameters' common shape.

        Raises
        ------
        TypeError, ValueError
            An argument of a wrong type; ``high < low``, or a bound or their difference is not finite.

        Examples
        --------
        >>> from fastinit import default_rng
        >>> default_rng(0).uniform(-1, [1, 2, 3]).shape
        (3,)
        """
        if is_array(low, "low") or is_array(high, "high"):
            lows, highs = parameter(low, "low"), parameter(high, "high")
            shape_of(lows, highs, "low", "high")
            check_all(lambda v: v >= 0, "high - low < 0: high - low", "non-negative", highs, lows, of=np.subtract)
            check_all(np.isfinite, "high - low", "finite", highs, lows, of=np.subtract)
            return self._broadcast(UNIFORM, lows, highs, size, dtype, out, num_threads)
        return self._fill(UNIFORM, *check_ends(low, high), size, dtype, out, num_threads)

    def normal(
        self, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, size: ShapeLike | None = None, *,
        dtype: DTypeLike | None = None, out: Array | None = None, num_threads: int | None = None,
    ) -> Any:
        """Draws from N(loc, scale**2); array parameters are broadcast, and give what numbers give.

        Parameters
        ----------
        loc, scale : float or array_like
            Mean, finite, and standard deviation, ``>= 0``.
        size, dtype, out, num_threads : optional
            As for `random`.

        Returns
        -------
        float or ndarray
            A float where the parameters are numbers and neither `size` nor `out` is given; else of `size`,
            or of the parameters' common shape.

        Raises
        ------
        TypeError, ValueError
            An argument of a wrong type; ``scale < 0``, or a parameter is not finite.

        Examples
        --------
        >>> from fastinit import default_rng
        >>> default_rng(0).normal(10.0, 2.0, size=(2, 2)).shape
        (2, 2)
        """
        mean, std = loc_and_scale(loc, scale)
        draw = self._broadcast if isinstance(mean, np.ndarray) else self._fill
        return draw(NORMAL, mean, std, size, dtype, out, num_threads)

    def truncated_normal(
        self, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, lower: float = -2.0, upper: float = 2.0,
        size: ShapeLike | None = None, *, dtype: DTypeLike | None = None, out: Array | None = None,
        num_threads: int | None = None,
    ) -> Any:
        """Draws from N(loc, scale**2) truncated `lower` and `upper` scales from `loc`.

        Arrays as `loc` and `scale` are broadcast: standard draws, moved and scaled by each element's own.

        Parameters
        ----------
        loc, scale : float or array_like
            Mean, finite, and standard deviation, ``>= 0``, of the law before it is cut.
        lower, upper : float
            Bounds in scales from `loc`, ``lower < upper``; may be infinite.
        size, dtype, out, num_threads : optional
            As for `random`.

        Returns
        -------
        float or ndarray
            A float where the parameters are numbers and neither `size` nor `out` is given; else of `size`,
            or of the parameters' common shape.

        Raises
        ------
        TypeError, ValueError
            An argument of a wrong type; ``scale < 0``, ``lower >= upper``, or a parameter is not finite, but for
            bounds, which may be infinite.

        Examples
        --------
        >>> from fastinit import default_rng
        >>> bool(abs(default_rng(0).truncated_normal(size=100)).max() <= 2)
        True
        """
        mean, std = loc_and_scale(loc, scale)
        a, b = check_bounds(lower, upper)
        draw = self._broadcast if isinstance(mean, np.ndarray) else self._fill
        return draw(TRUNCATED, mean, std, size, dtype, out, num_threads, a, b)

    def _broadcast(
        self, law: int, p0: Array, p1: Array, size: ShapeLike | None, dtype: DTypeLike | None, out: Array | None,
        num_threads: int | None, lo: float = 0.0, hi: float = 0.0,
    ) -> Array:
        """With parameters for each element; values are those of the same numbers, of truncated normals to rounding."""
        names = ("low", "high") if law == UNIFORM else ("loc", "scale")
        shape = shape_of(p0, p1, *names)
        if size is None:
            size = getattr(out, "shape", shape)  # what is no array is refused with the other arguments
        dims = global_shape(size, out, None, "size")
        if dtype is None and out is None:
            dtype = np.float64
        full = Target(dims, dtype, 0, out, None, num_threads, name="size")
        if not holds(full.shape, shape):
            raise ValueError(f"size {full.shape} does not hold {names[0]} and {names[1]} of shape {shape}")
        kind = np.float64 if full.dtype.itemsize == 8 else np.float32
        check_range(names[0], full.dtype, full.dtype, p0)
        check_range(names[1], full.dtype, full.dtype if law == UNIFORM else kind, p1)
        if law == UNIFORM:
            check_range("high - low", full.dtype, kind, p1, p0, of=np.subtract)
        if law == TRUNCATED:
            nearest = partial(nearest_zero, lower=lo, upper=hi)
            check_range("the window of lower and upper", full.dtype, full.dtype, p0, p1, of=nearest)
        with np.errstate(over="ignore", under="ignore"):
            self._draw_each(full.out, kind, law, p0, p1, lo, hi)
        return full.result

    def _draw_each(self, out: Array, kind: DTypeLike, law: int, p0: Array, p1: Array, lo: float, hi: float) -> None:
        """Chunks of standard draws, and what the law makes of them: the operations of the kernels."""
        first = self._take(out.size)
        # between bounds far from zero, before loc is added, float32 has few numbers
        within = np.float64 if max(lo, -hi) > _FAR else kind
        for y, a, b in chunks(out, kind, p0, p1):
            part = Target(y.shape, within, 0, None, None, 1)
            part.base = first
            first += y.size
            x = run(part, law, 0.0, 1.0, self._key.bits, lo, hi)
            shift, scale = a.astype(within), b.astype(within)
            if law == UNIFORM:
                last = np.nextafter(scale, shift)  # below the excluded bound, which rounding may reach
                _core.affine(x, np.subtract(scale, shift, dtype=np.float64).astype(kind), shift)
                np.minimum(x, last, out=x)
            else:
                _core.affine(x, scale, shift)
            if law == TRUNCATED:
                low, high = window(a, b, lo, hi)
                np.clip(x, low, high, out=x)
            y[...] = x


def default_rng(seed: SeedLike = None) -> Generator:
    """A `Generator`; one that is passed in is returned as it is.

    Parameters
    ----------
    seed : None, int, sequence of int, SeedSequence, Generator or Key, optional
        See `Key`.

    Returns
    -------
    Generator

    Raises
    ------
    TypeError, ValueError
        As `Key`.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.default_rng(0).random(3).shape
    (3,)
    """
    return seed if isinstance(seed, Generator) else Generator(seed)
