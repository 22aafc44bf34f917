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
from bench.report import LIMIT, on_threads

pytestmark = pytest.mark.benchmark(min_rounds=3, max_time=0.15)

SIZES = tuple(2**k for k in (10, 14, 18, 22, 25))
LARGE = (2**28,)
SMALL = (2**10, 2**18)
COMPARED = 2**22  # the size at which dtypes and initializers are compared
NARROWEST = ("float8_e4m3fn", "float8_e5m2")
THREADS = sorted({1, fi.get_num_threads()})
DTYPES = ("float64", "float16", "bfloat16", *NARROWEST)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "size" in metafunc.fixturenames:
        option = metafunc.config.getoption
        sizes = SMALL if option("benchmark_disable") else SIZES + (LARGE if option("--large") else ())
        metafunc.parametrize("size", sizes, ids=lambda n: f"2^{n.bit_length() - 1}")


def rows(law: str, dtype: str) -> list[tuple[str, int]]:
    """(library, threads) of a task."""
    return [(n, t) for t in THREADS for n in ("fastinit", *peers.able(law, dtype, t), LIMIT)]


def make(library: str, law: str, out: np.ndarray, threads: int) -> Callable[[], Any]:
    if library == "fastinit":
        return partial(getattr(fi, law), out=out, seed=0, num_threads=threads)
    if library == LIMIT:
        return limits.store(out, threads)
    return peers.PEERS[library].make(law, out, threads)


def check(law: str, values: np.ndarray) -> None:
    values = np.asarray(values).astype(np.float64)
    mean, std = peers.LAWS[law]
    # Two bits of mantissa are worth 1 % of the deviation, and JAX's bfloat16 is biased by as much.
    near = (6 / values.size**0.5 + 0.015) * std
    assert abs(values.mean() - mean) < near
    assert abs(values.std() - std) < near


def measure(row: Callable[..., Any], library: str, law: str, dtype: str, size: int, threads: int) -> None:
    out = np.zeros(size, fi.zeros(0, dtype=dtype).dtype)
    fill = make(library, law, out, threads)
    answer = fill()
    if library != LIMIT:
        check(law, out if answer is None else answer)
    bench = row(f"{law} {dtype} 2^{size.bit_length() - 1}, {on_threads(threads)}", library,
                task="fill", law=law, dtype=dtype, size=size, threads=threads)  # fmt: skip
    bench(fill)


@pytest.mark.parametrize(("law", "library", "threads"), [(w, *r) for w in peers.LAWS for r in rows(w, "float32")])
def test_float32(row: Callable[..., Any], law: str, library: str, size: int, threads: int) -> None:
    measure(row, library, law, "float32", size, threads)


@pytest.mark.parametrize(
    ("law", "dtype", "library", "threads"),
    [(w, d, *r) for w, d in product(("normal", "uniform"), DTYPES) for r in rows(w, d)],
)
def test_dtypes(row: Callable[..., Any], law: str, dtype: str, library: str, threads: int, timed: bool) -> None:
    measure(row, library, law, dtype, COMPARED if timed else SMALL[1], threads)


def classic(name: str, shape: tuple[int, int]) -> Callable[[], np.ndarray]:
    """The same law as one writes it with NumPy."""
    rng, (fan_in, fan_out) = np.random.default_rng(0), shape
    limit = {"xavier": 6 / (fan_in + fan_out), "he": 6 / fan_in, "lecun": 3 / fan_in}[name.split("_")[0]] ** 0.5
    if name.endswith("normal"):
        std = np.float32(limit / 3**0.5)
        return lambda: rng.standard_normal(shape, np.float32) * std
    return lambda: (rng.random(shape, np.float32) * 2 - 1) * np.float32(limit)


SCALED = ("xavier_normal", "xavier_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform")
OTHERS = {"sparse": {"sparsity": 0.9}, "identity": {}, "zeros": {}}


@pytest.mark.parametrize("library", ["fastinit", "numpy"])
@pytest.mark.parametrize("name", SCALED)
def test_initializers(row: Callable[..., Any], name: str, library: str, timed: bool) -> None:
    """A fresh matrix from each variance-scaling initializer, all threads."""
    shape = (2048, 2048) if timed else (128, 64)
    fill = partial(getattr(fi, name), shape, seed=0) if library == "fastinit" else classic(name, shape)
    want = classic(name, shape)().std()
    assert abs(fill().std() / want - 1) < 0.05
    row(f"{name} {shape[0]} x {shape[1]}", library, task="initializer", law=name, size=shape[0] * shape[1])(fill)


@pytest.mark.parametrize("name", OTHERS)
def test_structured(row: Callable[..., Any], name: str, timed: bool) -> None:
    n = 2048 if timed else 64
    fill = partial(getattr(fi, name), (n, n), **OTHERS[name])
    zeros = {"sparse": n * round(0.9 * n), "identity": n * n - n, "zeros": n * n}[name]
    assert abs(int((fill() == 0).sum()) - zeros) <= n
    row(f"structured {n} x {n}", name, task="initializer", law=name, size=n * n)(fill)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("library", ["fastinit", "numpy", "torch", LIMIT])
def test_fresh_memory(row: Callable[..., Any], library: str, threads: int, timed: bool) -> None:
    """A new array each time: the system's work on fresh pages is a part."""
    size = 2**25 if timed else 2**18
    if library == "torch":
        torch = pytest.importorskip("torch")
        fill = lambda: torch.empty(size).normal_().numpy()  # noqa: E731
    else:
        rng = np.random.default_rng(0)
        fill = {
            "fastinit": lambda: fi.normal(size, seed=0, num_threads=threads),
            "numpy": lambda: rng.standard_normal(size, np.float32),
            LIMIT: limits.first_touch(size, np.dtype(np.float32), threads),
        }[library]
    if library != LIMIT:
        check("normal", fill())
    row(f"normal float32 2^{size.bit_length() - 1} into fresh memory, {on_threads(threads)}", library,
        task="fresh", law="normal", dtype="float32", size=size, threads=threads)(fill)  # fmt: skip
