"""Fills under pytest-benchmark; each asserts its answer before it is timed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import fastinit as fi

SIZES = (2**10, 2**16, 2**22)


def numpy_fill(law: str, out: np.ndarray) -> Any:
    rng = np.random.default_rng(0)
    draw = {"normal": rng.standard_normal, "uniform": rng.random}[law]
    return lambda: draw(out=out, dtype=np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("law", ["normal", "uniform"])
@pytest.mark.parametrize("library", ["fastinit", "numpy"])
def test_float32(benchmark: Any, library: str, law: str, size: int) -> None:
    benchmark.group = f"{law} float32 {size}"
    out = np.empty(size, np.float32)
    fill = partial(getattr(fi, law), out=out, seed=0) if library == "fastinit" else numpy_fill(law, out)
    fill()
    mean, std = {"normal": (0.0, 1.0), "uniform": (0.5, 12**-0.5)}[law]
    assert abs(out.mean() - mean) < 6 * std / size**0.5
    assert abs(out.std() - std) < 6 * std / size**0.5
    benchmark(fill)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn"])
@pytest.mark.parametrize("threads", [1, 2])
def test_dtypes(benchmark: Any, dtype: str, threads: int) -> None:
    benchmark.group = f"normal {2**22}"
    out = fi.normal(2**22, dtype=dtype, seed=0)
    assert abs(float(out.astype(np.float32).std()) - 1) < 0.01
    benchmark(lambda: fi.normal(out=out, seed=0, num_threads=threads))


def test_small_call(benchmark: Any) -> None:
    benchmark.group = "latency"
    assert fi.he_normal((64, 64), seed=0).shape == (64, 64)
    benchmark(lambda: fi.he_normal((64, 64), seed=0))


def test_shard(benchmark: Any) -> None:
    benchmark.group = "shard 1/64"
    shard = (slice(64, 128),)
    assert (fi.normal((4096, 1024), seed=0, shard=shard) == fi.normal((4096, 1024), seed=0)[64:128]).all()
    benchmark(lambda: fi.normal((4096, 1024), seed=0, shard=shard))
