"""What the machine can do at most, measured where the benchmarks run."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import fastinit as fi

from .peers import as_torch, seconds

THREADS = sorted({1, fi.get_num_threads()})  # fills are timed on one, and on all
_BYTE = 0x3F  # not zero: some CPUs clear whole lines at twice the speed of any other value


def store(out: np.ndarray, threads: int) -> Callable[[], Any]:
    """Writes every byte of an array, the fastest way found: no fill can take less time than its stores.

    The C library's memset does not stream what it takes for a part of the caches, which can be
    hundreds of MiB; fastinit's constants stream from 2 MiB on, and compute nothing; torch's threads
    are awake already. One thread alone may be faster than several, which must be told to begin.
    """
    number = np.full(4, _BYTE, np.uint8).view(np.float32)[0]
    numbers = out.reshape(-1).view(np.float32)
    constant = partial(fi.constant, value=number, out=numbers)
    ways = [way for n in {1, threads} for way in (_memset(out, n), partial(constant, num_threads=n))]
    if importlib.util.find_spec("torch"):
        tensor = as_torch(numbers, threads)
        ways.append(lambda: tensor.fill_(float(number)))
    return min(ways, key=seconds)


def _memset(out: np.ndarray, threads: int) -> Callable[[], Any]:
    address, size = out.ctypes.data, out.nbytes
    if threads == 1 or size < 2**20:
        return lambda: ctypes.memset(address, _BYTE, size)
    part = -(-size // threads)
    pool = ThreadPoolExecutor(threads)  # ctypes lets go of the GIL
    parts = [(address + i, min(part, size - i)) for i in range(0, size, part)]
    return lambda: list(pool.map(lambda p: ctypes.memset(p[0], _BYTE, p[1]), parts))


def first_touch(size: int, dtype: np.dtype[Any], threads: int) -> Callable[[], Any]:
    """The same into fresh memory, where the system must find and clear each page first."""

    def run() -> np.ndarray:
        out = np.empty(size, dtype)
        _memset(out, threads)()
        return out

    return run


def matrix_product(n: int, dtype: str) -> Callable[[], np.ndarray]:
    """An n x n by n x n product by NumPy's BLAS: 2 n**3 operations. See `blas_threads`."""
    a = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
    c = np.empty_like(a)
    return lambda: np.matmul(a, a, out=c)


def blas_threads(threads: int) -> threadpool_limits:
    """Holds BLAS to a number of threads within a `with`."""
    return threadpool_limits(threads, user_api="blas")
