"""Every initializer of fastinit by dtype, size and threads, beside NumPy, torch and JAX; the laws are in `test_fills`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from bench import initializers, limits, peers
from bench.report import fill_name, on_threads

pytestmark = pytest.mark.benchmark(min_rounds=3, max_time=0.1)

CASES = [(n, d, lib, t) for n, d, t in product(initializers.NAMES, peers.DTYPES, limits.THREADS)
         for lib in initializers.libraries(n, d, t)]  # fmt: skip


def bearable(name: str, library: str) -> int:
    """The largest size that does not take minutes; `test_orthogonal` has larger matrices."""
    if name in initializers.MATRICES:
        return 2**25 if library == "fastinit" else 2**22
    return 2**28 if library == "fastinit" else 2**25


@pytest.mark.sizes(2**22)
@pytest.mark.parametrize(("name", "dtype", "library", "threads"), CASES)
def test_initializers(row: Callable[..., Any], name: str, dtype: str, library: str, size: int, threads: int) -> None:
    if size > bearable(name, library):
        pytest.skip("takes minutes")
    fill = initializers.MAKE[library](name, initializers.shape_of(name, size), dtype, threads)
    initializers.CHECKS[name](initializers.array(name, library, fill()))
    row(f"{fill_name(name, dtype, size)}, {on_threads(threads)}", library,
        task="initializer", law=name, dtype=dtype, size=size, threads=threads)(fill)  # fmt: skip
