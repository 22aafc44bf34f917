"""Fills beside the peers and beside the stores alone, by law, dtype, size and threads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest

import fastinit as fi
from bench import limits, peers
from bench.answers import assert_moments
from bench.report import LIMIT, fill_name, on_threads

pytestmark = pytest.mark.benchmark(min_rounds=3, max_time=0.15)

BEARABLE = 2**25  # beyond it the truncated normals of SciPy, torch and JAX take minutes


def rows(law: str, dtype: str) -> list[tuple[str, int]]:
    """(library, threads) of a task."""
    return [(n, t) for t in limits.THREADS for n in ("fastinit", *peers.able(law, dtype, t), LIMIT)]


def make(library: str, law: str, out: np.ndarray, threads: int) -> Callable[[], Any]:
    if library == "fastinit":
        return partial(getattr(fi, law), out=out, seed=0, num_threads=threads)
    if library == LIMIT:
        return limits.store(out, threads)
    return peers.PEERS[library].make(law, out, threads)


def measure(row: Callable[..., Any], library: str, law: str, dtype: str, size: int, threads: int) -> None:
    if law == "truncated_normal" and size > BEARABLE and library not in ("fastinit", LIMIT):
        pytest.skip("takes minutes")
    out = np.zeros(size, fi.zeros(0, dtype=dtype).dtype)
    fill = make(library, law, out, threads)
    answer = fill()
    if library != LIMIT:
        assert_moments(out if answer is None else answer, *peers.LAWS[law])
    bench = row(f"{fill_name(law, dtype, size)}, {on_threads(threads)}", library, task="fill", law=law, dtype=dtype,
                size=size, threads=threads, way=peers.way(library, law, out))  # fmt: skip
    if library == "scipy" and size > 2**20:  # seconds a call, and a calibration would take two more
        bench.pedantic(fill, rounds=2)
    else:
        bench(fill)


@pytest.mark.sizes(2**10, 2**14, 2**18, 2**22, 2**25)
@pytest.mark.parametrize(("law", "library", "threads"), [(w, *r) for w in peers.LAWS for r in rows(w, "float32")])
def test_float32(row: Callable[..., Any], law: str, library: str, size: int, threads: int) -> None:
    measure(row, library, law, "float32", size, threads)


OTHER = [(w, d, *r) for w, d in product(peers.LAWS, peers.DTYPES) if d != "float32" for r in rows(w, d)]


@pytest.mark.sizes(2**14, 2**22)
@pytest.mark.parametrize(("law", "dtype", "library", "threads"), OTHER)
def test_dtypes(row: Callable[..., Any], law: str, dtype: str, library: str, size: int, threads: int) -> None:
    measure(row, library, law, dtype, size, threads)


FRESH = [(n, t) for t in limits.THREADS for n in ("fastinit", "numpy", "torch", "jax", LIMIT)
         if n in ("fastinit", LIMIT, *peers.able("normal", "float32", t))]  # fmt: skip


@pytest.mark.parametrize(("library", "threads"), FRESH)
def test_fresh_memory(row: Callable[..., Any], library: str, threads: int, timed: bool) -> None:
    """A new array each time: the system's work on fresh pages is a part."""
    size = 2**25 if timed else 2**18
    fill: Callable[[], Any]
    if library == "fastinit":
        fill = partial(fi.normal, size, seed=0, num_threads=threads)
    elif library == "numpy":
        fill = partial(np.random.default_rng(0).standard_normal, size, np.float32)
    elif library == "torch":
        import torch

        torch.set_num_threads(threads)
        fill = lambda: torch.empty(size).normal_().numpy()  # noqa: E731
    elif library == "jax":
        fill = peers.jax("normal", np.empty(size, np.float32), threads)
    else:
        fill = limits.first_touch(size, np.dtype(np.float32), threads)
    if library != LIMIT:
        assert_moments(fill(), *peers.LAWS["normal"])
    row(f"{fill_name('normal', 'float32', size)} into fresh memory, {on_threads(threads)}", library,
        task="fresh", law="normal", dtype="float32", size=size, threads=threads)(fill)  # fmt: skip
