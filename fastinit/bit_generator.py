"""A NumPy bit generator over fastinit's words."""

from __future__ import annotations

import operator
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from . import _core
from ._args import check_int
from ._keys import Key, check_entropy, key_bits

_REENTRANT = type(threading.RLock())
_SEEDS = "None, a non-negative int, a sequence of one or more, a numpy SeedSequence or a fastinit.Key"


class Philox4x32(np.random.BitGenerator):
    """NumPy bit generator over fastinit's words, in the order of a fill's elements.

    ``numpy.random.Generator(fastinit.Philox4x32(0))`` gives all of NumPy's distributions.

    Parameters
    ----------
    seed : None, int, sequence of int, SeedSequence or Key, optional
        As for NumPy's bit generators; a `Key` stands for itself.

    Raises
    ------
    TypeError, ValueError
        `seed` is of another type, negative, or an empty sequence.

    Notes
    -----
    Each number takes a 32-bit word; 64-bit numbers and doubles take two, the high one first.
    Before NumPy 2.4, whose lock a thread may take twice, setting the state and `advance` take no lock, as
    those of NumPy's own generators: hold ``lock`` where other threads draw.

    References
    ----------
    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from fastinit import Philox4x32
    >>> int(np.random.Generator(Philox4x32(0)).integers(1, 7)) in range(1, 7)
    True
    """

    def __init__(self, seed: int | Sequence[int] | np.random.SeedSequence | Key | None = None) -> None:
        if seed is not None and not isinstance(seed, ISeedSequence):
            seed = check_entropy(seed, _SEEDS)
        # A Key has no SeedSequence; one of its bits serves `spawn`.
        super().__init__(np.random.SeedSequence(seed.bits) if isinstance(seed, Key) else seed)
        bits = seed.bits if isinstance(seed, Key) else key_bits(self.seed_seq)
        if not hasattr(self, "_stream"):
            self._stream = _core.WordStream(bits, 0)
        self._stream.restart(bits, 0)  # initialised again: Generators hold a pointer to the stream
        _core.bitgen_install(self.capsule, self._stream)

    @property
    def state(self) -> Any:
        """Key and position (the number of 32-bit words taken)."""
        return {
            "bit_generator": type(self).__name__,
            "state": {"key": self._stream.key, "position": self._stream.position},
        }

    @state.setter
    def state(self, value: Any) -> None:
        message = (
            f"state must be a dict for a {type(self).__name__} generator, with the 64-bit ints "
            f"'key' and 'position' under 'state'; got {value!r}"
        )
        if not isinstance(value, dict):
            raise TypeError(message)
        if value.get("bit_generator") != type(self).__name__:
            raise ValueError(message)
        try:
            words = [operator.index(value["state"][name]) for name in ("key", "position")]
        except (IndexError, KeyError, TypeError):
            raise ValueError(message) from None
        if not all(0 <= w < 2**64 for w in words):
            raise ValueError(message)
        self._restart(*words)

    def __reduce__(self) -> Any:
        reduced = super().__reduce__()
        # NumPy before 2.0 gives the name, and looks it up among its own bit generators.
        return (_philox, (type(self), self.seed_seq), self.state) if isinstance(reduced[1][0], str) else reduced

    def _locked(self) -> AbstractContextManager[Any]:
        """NumPy's lock, unless a caller who holds it would wait for himself, as before NumPy 2.4."""
        return self.lock if isinstance(self.lock, _REENTRANT) else nullcontext()

    def _restart(self, key: int, position: int) -> None:
        with self._locked():
            self._stream.restart(key, position)

    def advance(self, delta: int) -> Philox4x32:
        """Move by `delta` words (modulo 2**64); returns the generator itself.

        Parameters
        ----------
        delta : int
            Of either sign.

        Returns
        -------
        Philox4x32

        Raises
        ------
        TypeError
            `delta` is not an int.

        Examples
        --------
        >>> from fastinit import Philox4x32
        >>> bool(Philox4x32(0).advance(2).random_raw() == Philox4x32(0).random_raw(3)[2])
        True
        """
        by = check_int(delta, "delta")
        with self._locked():
            self._stream.advance(by % 2**64)
        return self

    def jumped(self, jumps: int = 1) -> Philox4x32:
        """A new generator, `jumps` times 2**44 words ahead (modulo 2**64: there are 2**20 such streams).

        Parameters
        ----------
        jumps : int
            Of either sign.

        Returns
        -------
        Philox4x32

        Raises
        ------
        TypeError
            `jumps` is not an int.

        Examples
        --------
        >>> from fastinit import Philox4x32
        >>> Philox4x32(0).jumped().state["state"]["position"] == 2**44
        True
        """
        by = check_int(jumps, "jumps") * 2**44
        other = _philox(type(self), self.seed_seq)
        other._restart(self._stream.key, (self._stream.position + by) % 2**64)
        return other


def _philox(kind: type[Philox4x32], seed: Any) -> Philox4x32:
    return kind(seed)
