"""Seeds and keys of the counter-based generator."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Protocol, SupportsIndex

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence

from . import _core
from ._args import check_int, is_int, items_of

_SEEDS = (
    "None, a non-negative int, a sequence of one or more, a numpy SeedSequence, Generator, BitGenerator or "
    "RandomState, or a fastinit.Key"
)


def _joined(words: Any) -> int:
    """64 bits of two words, the low one first."""
    low, high = words.tolist()
    return int(low) | int(high) << 32


@functools.lru_cache(maxsize=4096)
def _key_of_int(seed: int) -> int:
    return _joined(np.random.SeedSequence(seed).generate_state(2, np.uint32))


def key_bits(seed: Any) -> int:
    """The 64 bits of the key that a seed stands for."""
    if type(seed) is int and seed >= 0:
        return _key_of_int(seed)
    if isinstance(seed, Key):
        return seed.bits
    if seed is None:
        sequence: ISeedSequence = np.random.SeedSequence()
    elif isinstance(seed, ISeedSequence):
        sequence = seed
    elif hasattr(type(seed), "_draw_key"):
        return int(seed._draw_key())
    elif isinstance(seed, (np.random.Generator, np.random.BitGenerator)):
        generator = seed if isinstance(seed, np.random.Generator) else np.random.Generator(seed)
        return _joined(generator.integers(0, 2**32, size=2, dtype=np.uint32))
    elif isinstance(seed, np.random.RandomState):
        return _joined(seed.randint(0, 2**32, size=2, dtype=np.uint32))
    else:
        sequence = np.random.SeedSequence(check_entropy(seed, _SEEDS))
    return _joined(sequence.generate_state(2, np.uint32))


def check_seed(seed: Any) -> None:
    """Check a seed that nothing is drawn with: a generator does not advance."""
    sources = (ISeedSequence, np.random.Generator, np.random.BitGenerator, np.random.RandomState)
    if seed is not None and not isinstance(seed, sources) and not hasattr(type(seed), "_draw_key"):
        key_bits(seed)


def check_entropy(seed: Any, allowed: str) -> int | list[int]:
    """A non-negative int, or a sequence of them."""
    message = f"seed must be {allowed}; got {seed!r}"
    if isinstance(seed, (str, bytes)):
        raise TypeError(message)
    try:
        items = items_of(seed)
        if items is not None and not items:
            raise ValueError(message)
        words: int | list[int] = operator.index(seed) if items is None else [operator.index(s) for s in items]
    except TypeError:
        raise TypeError(message) from None
    if min(words) < 0 if isinstance(words, list) else words < 0:
        raise ValueError(message)
    return words


def fold_all(bits: int, numbers: list[int]) -> list[int]:
    """The bits of ``key.fold_in(j)`` for many numbers."""
    digests = b"".join([blake2b(b"i%d" % j, digest_size=16).digest() for j in numbers])
    return _core.philox_keys(bits, digests)


class Key:
    """A 64-bit key of the generator, immutable.

    Parameters
    ----------
    seed : None, int, sequence of int, SeedSequence, Generator, BitGenerator, RandomState or Key, optional
        An int, a sequence of ints or a `numpy.random.SeedSequence` gives the key by
        ``SeedSequence.generate_state(2, uint32)``, a stream that NumPy promises to keep. None
        takes entropy from the system. A generator of NumPy's is drawn from, and advances.

    Raises
    ------
    TypeError
        `seed` is of another type.
    ValueError
        `seed` is negative, or an empty sequence.

    References
    ----------
    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011: Philox4x32-10.

    Examples
    --------
    >>> from fastinit import Key
    >>> key = Key(0)
    >>> key.fold_in("layer1.weight") == Key(0).fold_in("layer1.weight")
    True
    >>> len(set(key.split(3)))
    3
    """

    __slots__ = ("bits",)
    bits: int

    def __init__(self, seed: SeedLike = None) -> None:
        object.__setattr__(self, "bits", key_bits(seed))

    @classmethod
    def _from_bits(cls, bits: int) -> Key:
        key = cls.__new__(cls)
        object.__setattr__(key, "bits", bits)
        return key

    def fold_in(self, data: int | str) -> Key:
        """A new key from this one and a name or number.

        Parameters
        ----------
        data : int or str
            Hashed by BLAKE2b to a 128-bit counter, which Philox turns into the new key.

        Returns
        -------
        Key

        Raises
        ------
        TypeError
            `data` is neither an int nor a str.

        Examples
        --------
        >>> from fastinit import Key
        >>> Key(0).fold_in(1) == Key(0).fold_in("1")
        False
        """
        if isinstance(data, str):
            text = b"s" + data.encode("utf-8", "surrogatepass")
        else:
            if not is_int(data):
                raise TypeError(f"data must be an int or a str, got {data!r}")
            text = b"i%d" % operator.index(data)
        return Key._from_bits(_core.philox_keys(self.bits, blake2b(text, digest_size=16).digest())[0])

    def split(self, n: int) -> list[Key]:
        """`n` new keys: ``[key.fold_in(0), ..., key.fold_in(n - 1)]``.

        Parameters
        ----------
        n : int
            ``>= 0``.

        Returns
        -------
        list of Key

        Raises
        ------
        TypeError
            `n` is not an int.
        ValueError
            `n` is negative.

        Examples
        --------
        >>> from fastinit import Key
        >>> Key(0).split(2)[1] == Key(0).fold_in(1)
        True
        """
        return [self.fold_in(i) for i in range(check_int(n, "n", low=0))]

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        """Words for the state of a generator: NumPy takes a Key where it takes a SeedSequence.

        A key does not change, so that NumPy's generators made from one cannot spawn; `split` gives keys for more.

        Parameters
        ----------
        n_words : int
            ``>= 0``.
        dtype : dtype-like
            uint32 or uint64.

        Returns
        -------
        ndarray

        Raises
        ------
        TypeError, ValueError
            As `numpy.random.SeedSequence.generate_state`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastinit import Key
        >>> np.random.default_rng(Key(0)).random() == np.random.default_rng(Key(0)).random()
        True
        """
        return np.random.SeedSequence(self.bits).generate_state(n_words, dtype)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Key is immutable: cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Key is immutable: cannot delete {name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.bits == other.bits

    def __hash__(self) -> int:
        return hash((Key, self.bits))

    def __reduce__(self) -> tuple[Any, ...]:
        return Key._from_bits, (self.bits,)

    def __repr__(self) -> str:
        return f"<fastinit.Key 0x{self.bits:016x}>"


ISeedSequence.register(Key)


class _DrawsKey(Protocol):
    """A generator of this package."""

    def _draw_key(self) -> int: ...


SeedLike = (
    SupportsIndex | Sequence[SupportsIndex] | npt.NDArray[np.integer[Any]] | ISeedSequence | Key
    | np.random.Generator | np.random.BitGenerator | np.random.RandomState | _DrawsKey | None
)  # fmt: skip
