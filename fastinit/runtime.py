"""Threads, instruction set and build of this process."""

from __future__ import annotations

from typing import Any

from . import _core
from ._args import choose_threads, chosen_threads


def get_num_threads() -> int:
    """Threads that a call uses when it is not told otherwise.

    In this order: `set_num_threads`, the environment variables ``FASTINIT_NUM_THREADS`` and
    ``OMP_NUM_THREADS``, the CPUs that the affinity mask and the cgroup quota leave.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        ``FASTINIT_NUM_THREADS`` is not an int of at least 1.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.get_num_threads() >= 1
    True
    """
    return chosen_threads() or _core.default_num_threads()


def set_num_threads(num_threads: int | None) -> None:
    """Set the number of threads of later calls; ``None`` takes the setting back.

    Values never depend on the number of threads.

    Parameters
    ----------
    num_threads : int or None
        At least 1.

    Raises
    ------
    TypeError
        `num_threads` is not an int.
    ValueError
        `num_threads` is below 1.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.set_num_threads(2)
    >>> fastinit.get_num_threads()
    2
    >>> fastinit.set_num_threads(None)
    """
    choose_threads(num_threads)


def isa() -> str:
    """Name of the instruction set in use: the best available, or ``FASTINIT_ISA``.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        ``FASTINIT_ISA`` names none that is available here.

    Examples
    --------
    >>> import fastinit
    >>> fastinit.isa() in fastinit.available_isas()
    True
    """
    return _core.isa()


def available_isas() -> list[str]:
    """Names of the instruction sets that this build and this CPU have.

    Returns
    -------
    list of str
        The fastest last.

    Examples
    --------
    >>> import fastinit
    >>> len(fastinit.available_isas()) >= 1
    True
    """
    return _core.available_isas()


def build_info() -> dict[str, Any]:
    """Version, compiler and flags of the compiled core.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> import fastinit
    >>> sorted(fastinit.build_info())
    ['compiler', 'flags', 'version']
    """
    return _core.build_info()
