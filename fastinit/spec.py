"""Whole models: a specification per tensor, one team of threads for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import laws, named, scaling, structured
from ._args import Array, check_num_threads
from ._keys import Key
from ._run import collecting, run_now

_NAMES = {
    laws: "normal uniform truncated_normal",
    scaling: "variance_scaling lecun_normal lecun_uniform",
    named: "xavier_normal xavier_uniform glorot_normal glorot_uniform he_normal he_uniform "
    "kaiming_normal kaiming_uniform",
    structured: "identity eye dirac sparse zeros ones constant",
}
INITIALIZERS: dict[str, Callable[..., Array]] = {
    name: getattr(module, name) for module, names in _NAMES.items() for name in names.split()
}
_RESERVED = ("seed", "out", "num_threads")


class Spec:
    """How to make one tensor: an initializer, a shape, and the initializer's arguments.

    Parameters
    ----------
    initializer : str or callable
        Name of an initializer of fastinit, or the function.
    shape : int or sequence of int
        Of the tensor.
    **kwargs
        Arguments of the initializer, but for `seed`, `out` and `num_threads`, which belong
        to `initialize`.

    Raises
    ------
    TypeError, ValueError
        `initializer` is neither a name nor callable, or an unknown name.

    Examples
    --------
    >>> from fastinit import Spec
    >>> Spec("he_normal", (784, 256), dtype="bfloat16")
    Spec('he_normal', (784, 256), dtype='bfloat16')
    """

    __slots__ = ("initializer", "kwargs", "shape")

    def __init__(self, initializer: str | Callable[..., Array], shape: Any, **kwargs: Any) -> None:
        if isinstance(initializer, str):
            if initializer not in INITIALIZERS:
                raise ValueError(
                    f"initializer must be one of {', '.join(INITIALIZERS)}; got {initializer!r}"
                )
        elif not callable(initializer):
            raise TypeError(f"initializer must be a name or a function, got {initializer!r}")
        for name in _RESERVED:
            if name in kwargs:
                raise TypeError(f"{name} belongs to initialize, not to a Spec")
        self.initializer = initializer
        self.shape = shape
        self.kwargs = kwargs

    def build(self, seed: Any = None, out: Array | None = None, num_threads: int | None = None) -> Array:
        """The array of this specification.

        Examples
        --------
        >>> from fastinit import Spec
        >>> Spec("ones", 2).build()
        array([1., 1.], dtype=float32)
        """
        function = INITIALIZERS[self.initializer] if isinstance(self.initializer, str) else self.initializer
        return function(self.shape, seed=seed, out=out, num_threads=num_threads, **self.kwargs)

    def __repr__(self) -> str:
        name = self.initializer if isinstance(self.initializer, str) else self.initializer.__name__
        rest = "".join(f", {k}={v!r}" for k, v in self.kwargs.items())
        return f"Spec({name!r}, {self.shape!r}{rest})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and (self.initializer, self.shape, self.kwargs) == (
            other.initializer, other.shape, other.kwargs,
        )

    __hash__ = None  # type: ignore[assignment]


def initialize(
    specs: Mapping[str, Spec],
    seed: Any = 0,
    *,
    out: Mapping[str, Array] | None = None,
    num_threads: int | None = None,
) -> dict[str, Array]:
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
        Arrays to fill in place, for some or all names.
    num_threads : int, optional
        Default `get_num_threads()`.

    Returns
    -------
    dict of str to ndarray
        In the order of `specs`.

    Raises
    ------
    TypeError, ValueError
        As the initializers do, with the tensor's name in front; nothing is filled then.

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
    root = Key(seed)
    arrays = dict(out) if out is not None else {}
    unknown = [name for name in arrays if name not in specs]
    if unknown:
        raise ValueError(f"out names tensors that specs does not: {', '.join(map(repr, unknown))}")
    threads = check_num_threads(num_threads)
    result: dict[str, Array] = {}
    with collecting() as jobs:
        for name, spec in specs.items():
            try:
                result[name] = spec.build(root.fold_in(name), arrays.get(name), num_threads)
            except (TypeError, ValueError, MemoryError) as error:
                raise type(error)(f"{name}: {error}") from error
    run_now(jobs, threads)
    return result
