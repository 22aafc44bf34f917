"""What the machine can do at most, in the same run as the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench import limits
from bench.report import on_threads

pytestmark = pytest.mark.benchmark(min_rounds=3, max_time=0.3)


@pytest.mark.parametrize("threads", limits.THREADS)
@pytest.mark.parametrize("kind", ["stores", "first touch"])
def test_memory(row: Callable[..., Any], kind: str, threads: int, timed: bool) -> None:
    size = 2**28 if timed else 2**20
    out = np.zeros(size, np.uint8)
    run = limits.store(out, threads) if kind == "stores" else limits.first_touch(size, out.dtype, threads)
    written = run() if kind == "first touch" else (run(), out)[1]
    assert (written == written[0]).all() and written[0]
    row(f"limit: {size >> 20} MiB written", f"{kind}, {on_threads(threads)}",
        task="limit", kind=kind, threads=threads, bytes=size)(run)  # fmt: skip


@pytest.mark.parametrize("threads", limits.THREADS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matrix_product(row: Callable[..., Any], dtype: str, threads: int, timed: bool) -> None:
    n = 2048 if timed else 64
    run = limits.matrix_product(n, dtype)
    a = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
    assert np.allclose(run()[:3], a[:3] @ a, rtol=1e-3, atol=1e-3)
    with limits.blas_threads(threads):
        row(f"limit: matrix product {dtype} {n}", f"BLAS, {on_threads(threads)}",
            task="limit", kind="matrix product", dtype=dtype, threads=threads, flops=2 * n**3)(run)  # fmt: skip
