"""Whole models: a specification per tensor, one team of threads for all of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from . import isometric, laws, named, scaling, structured
from ._args import check_array, check_num_threads, check_shape, is_int, named_errors, unknown_name
from ._keys import Key, SeedLike, check_seed
from ._run import collecting
from ._types import Array, ShapeLike

_NAMES = {
    laws: "normal uniform truncated_normal",
    scaling: "variance_scaling lecun_normal lecun_uniform",
    named: "xavier_normal xavier_uniform glorot_normal glorot_uniform he_normal he_uniform "
    "kaiming_normal kaiming_uniform",
    isometric: "orthogonal delta_orthogonal",
    structured: "identity eye dirac sparse zeros ones constant",
}
INITIALIZERS: dict[str, Callable[..., Array]] = {
    name: getattr(module, name) for module, names in _NAMES.items() for name in names.split()
}
_NAME_OF = {function: name for name, function in reversed(INITIALIZERS.items())}
_RESERVED = ("seed", "out", "num_threads")
_SHARED_WORK: Any = 10**6  # of NumPy's exact test for shared memory; beyond it, it counts as shared


@functools.cache
def parameters_of(name: str) -> tuple[str, ...]:
    """Those of an initializer, in order."""
    return tuple(inspect.signature(INITIALIZERS[name]).parameters)


def check_arguments(initializer: str, kwargs: Mapping[str, Any], hidden: tuple[str, ...]) -> None:
    """Known ones; `hidden` are those that a message does not offer."""
    known = parameters_of(initializer)
    strange = next((name for name in kwargs if name not in known[1:]), None)
    if strange is not None:
        takes = ", ".join(name for name in known[1:] if name not in hidden) or "none"
        raise TypeError(f"{strange} is not an argument of {initializer}; it takes {takes}")


class Spec:
    """How to make one tensor: an initializer, a shape, and the initializer's arguments.

    A value: immutable, picklable, equal to a Spec of the same parts. Of lists and arrays for
    initializers of fastinit it keeps copies.

    Parameters
    ----------
    initializer : str or callable
        Name of an initializer of fastinit, or a function. One of your own is called as
        ``function(shape, seed=key, **kwargs)``, with `out` and `num_threads` where they are given.
    shape : int or sequence of int
        Of the tensor.
    **kwargs
        Arguments of the initializer, but for `seed`, `out` and `num_threads`, which belong
        to `initialize`.

    Raises
    ------
    TypeError, ValueError
        `initializer` is neither a name nor callable, or an unknown name; `shape` is none; an argument that
        the initializer does not have.

    Examples
    --------
    >>> from fastinit import Spec
    >>> Spec("he_normal", (784, 256), dtype="bfloat16")
    Spec('he_normal', (784, 256), dtype='bfloat16')
    """

    __slots__ = ("initializer", "kwargs", "shape")
    initializer: str | Callable[..., Any]
    shape: int | tuple[int, ...]
    kwargs: Mapping[str, Any]

    def __init__(self, initializer: str | Callable[..., Any], shape: ShapeLike, **kwargs: Any) -> None:
        if isinstance(initializer, str):
            if initializer not in INITIALIZERS:
                raise unknown_name(initializer, "initializer", INITIALIZERS)
        elif not callable(initializer):
            raise TypeError(f"initializer must be a name or a function, got {initializer!r}")
        dims = check_shape(shape)
        for name in _RESERVED:
            if name in kwargs:
                raise TypeError(f"{name} belongs to initialize, not to a Spec")
        own = _name_of(initializer)
        if own is not None:
            check_arguments(own, kwargs, _RESERVED)
        object.__setattr__(self, "initializer", own or initializer)
        # An int stays one: identity reads it as the side of a square.
        object.__setattr__(self, "shape", dims[0] if is_int(shape) else dims)
        if own is not None:
            kwargs = {name: _frozen(v) for name, v in kwargs.items()}
        object.__setattr__(self, "kwargs", MappingProxyType(kwargs))

    def build(self, seed: SeedLike = None, out: Array | None = None, num_threads: int | None = None) -> Any:
        """The array of this specification.

        Parameters
        ----------
        seed : None, int, sequence of int, SeedSequence, Generator or Key, optional
            See `Key`.
        out : ndarray, optional
            Filled and returned.
        num_threads : int, optional
            Default `get_num_threads()`.

        Returns
        -------
        ndarray

        Raises
        ------
        TypeError, ValueError, MemoryError
            What the initializer raises; `out` was given and a function of your own returned another object.

        Examples
        --------
        >>> from fastinit import Spec
        >>> Spec("ones", 2).build()
        array([1., 1.], dtype=float32)
        """
        if isinstance(self.initializer, str):
            function = INITIALIZERS[self.initializer]
            return function(self.shape, seed=seed, out=out, num_threads=num_threads, **self.kwargs)
        given = {"out": out, "num_threads": num_threads}
        given = {name: value for name, value in given.items() if value is not None}
        result = self.initializer(self.shape, seed=seed, **given, **self.kwargs)
        dims = (self.shape,) if isinstance(self.shape, int) else self.shape
        made = getattr(result, "shape", None)
        if not isinstance(made, tuple) or (made != dims and "shard" not in self.kwargs):
            got = type(result).__name__ if made is None else f"shape {made}"
            raise ValueError(f"{self.initializer!r} must return an array of shape {dims}, got {got}")
        if out is not None and result is not out:
            raise ValueError(f"out must be returned by {self.initializer!r}, which gave another object")
        return result

    def __repr__(self) -> str:
        rest = "".join(f", {k}={v!r}" for k, v in self.kwargs.items())
        return f"Spec({self.initializer!r}, {self.shape!r}{rest})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spec) or (self.initializer, self.shape) != (other.initializer, other.shape):
            return False
        mine, theirs = self.kwargs, other.kwargs
        return mine.keys() == theirs.keys() and all(_equal(mine[k], theirs[k]) for k in mine)

    def __hash__(self) -> int:
        return hash((self.initializer, self.shape, frozenset(self.kwargs)))  # values may be slices or arrays

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(Spec, **self.kwargs), (self.initializer, self.shape)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"a Spec is immutable: cannot set {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Spec is immutable: cannot delete {name}")


def _name_of(initializer: str | Callable[..., Any]) -> str | None:
    if isinstance(initializer, str):
        return initializer
    try:
        return _NAME_OF.get(initializer)
    except TypeError:  # a callable without a hash
        return None


def _frozen(value: Any) -> Any:
    """Of what could change later, such as a list of blocks' sizes or an array of values, a copy that cannot."""
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.flags.writeable = False
        return value
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)


def initialize(
    specs: Mapping[str, Spec],
    seed: SeedLike = 0,
    *,
    out: Mapping[str, Array] | None = None,
    num_threads: int | None = None,
) -> dict[str, Any]:
    """All tensors of a model, by one team of threads.

    Each tensor's key is ``Key(seed).fold_in(name)``: order, additions and removals change
    nothing for the others.

    Parameters
    ----------
    specs : mapping of str to Spec
        The tensors by name.
    seed : None, int, sequence of int, SeedSequence, Generator or Key, default 0
        See `Key`.
    out : mapping of str to ndarray, optional
        Arrays to fill in place, for some or all names. They must not share memory.
    num_threads : int, optional
        Default `get_num_threads()`.

    Returns
    -------
    dict of str to ndarray
        In the order of `specs`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As the initializers do, with the tensor's name in front; fastinit's initializers have
        filled nothing then, unless an orthogonal one finds no working memory after the fills.
        A generator given as `seed` has advanced.

    Examples
    --------
    >>> from fastinit import Spec, initialize
    >>> weights = initialize({"w": Spec("he_normal", (8, 4)), "b": Spec("zeros", 4)}, seed=0)
    >>> {name: w.shape for name, w in weights.items()}
    {'w': (8, 4), 'b': (4,)}
    """
    if not isinstance(specs, Mapping):
        raise TypeError(f"specs must be a mapping of names to Spec, got {type(specs).__name__}")
    for name, spec in specs.items():
        if not isinstance(name, str) or not isinstance(spec, Spec):
            raise TypeError(f"specs must map names to Spec, got {name!r}: {spec!r}")
    check_seed(seed)
    arrays = _check_outs(out, specs)
    threads = check_num_threads(num_threads)
    root = Key(seed)
    result: dict[str, Any] = dict.fromkeys(specs)
    own = [name for name, spec in specs.items() if isinstance(spec.initializer, str)]
    foreign = [name for name, spec in specs.items() if not isinstance(spec.initializer, str)]

    def build(name: str) -> None:
        with named_errors(name):
            result[name] = specs[name].build(root.fold_in(name), arrays.get(name), num_threads)

    with collecting() as plan:
        for name in own:
            plan.name = name
            build(name)
    # A user's function may read what it has filled, so it cannot be put off; those that write
    # into arrays of the caller come last.
    for name in sorted(foreign, key=arrays.__contains__):
        build(name)
    plan.execute(threads)
    return result


def _check_outs(out: Any, specs: Mapping[str, Spec]) -> dict[str, Array]:
    if out is None:
        return {}
    if not isinstance(out, Mapping):
        raise TypeError(f"out must be a mapping of names to arrays, got {type(out).__name__}")
    unknown = [name for name in out if name not in specs]
    if unknown:
        raise ValueError(f"out names tensors that specs does not: {', '.join(map(repr, unknown))}")
    arrays = {name: array for name, array in out.items() if array is not None}
    for name, array in arrays.items():
        with named_errors(name):
            check_array(array)
    # By their ends in memory: only neighbours in that order can meet.
    ends = sorted((*_ends(array), name) for name, array in arrays.items() if array.size)
    open_ones: list[tuple[int, str]] = []
    for begin, end, name in ends:
        open_ones = [(e, n) for e, n in open_ones if e > begin]
        for _, other in open_ones:
            if _share(arrays[other], arrays[name]):
                raise ValueError(f"out must not overlap: {other!r} and {name!r} share memory")
        open_ones.append((end, name))
    return arrays


def _ends(array: Array) -> tuple[int, int]:
    begin = end = array.__array_interface__["data"][0]
    for n, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            begin += (n - 1) * stride
        else:
            end += (n - 1) * stride
    return begin, end + array.itemsize


def _share(a: Array, b: Array) -> bool:
    try:
        return bool(np.shares_memory(a, b, max_work=_SHARED_WORK))
    except np.exceptions.TooHardError:
        return True
