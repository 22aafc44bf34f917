"""Orthogonal initialization and matrix products beside NumPy and torch; each asserts its answer first."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastinit as fi
from fastinit import _core
from fastinit.linalg import householder_qr

LIBRARIES = ["fastinit", "numpy", pytest.param("torch", marks=pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed"))]  # fmt: skip


def assert_orthonormal(q: np.ndarray) -> None:
    tall = q if q.shape[0] >= q.shape[1] else q.T
    n = tall.shape[1]
    assert abs(tall.T @ tall - np.eye(n, dtype=q.dtype)).max() < 8 * np.finfo(q.dtype).eps * n**0.5


def sign_fixed(a: np.ndarray) -> np.ndarray:
    q, r = np.linalg.qr(a if a.shape[0] >= a.shape[1] else a.T)
    q *= np.sign(np.diag(r))
    return q if a.shape[0] >= a.shape[1] else q.T


def orthogonal(library: str, shape: tuple[int, ...], dtype: str) -> Callable[[], np.ndarray]:
    """A function that fills one matrix again and again."""
    if library == "fastinit":
        out = np.empty(shape, dtype)
        return lambda: fi.orthogonal(out=out, seed=0)
    if library == "numpy":
        return lambda: sign_fixed(np.random.default_rng(0).standard_normal(shape, dtype=dtype))
    import torch

    w = torch.empty(shape, dtype=getattr(torch, dtype))
    return lambda: torch.nn.init.orthogonal_(w).numpy()


@pytest.mark.parametrize("shape", [(1024, 1024), (2048, 2048), (4096, 4096), (4096, 1024), (1024, 4096)], ids=str)
@pytest.mark.parametrize("library", LIBRARIES)
def test_orthogonal(benchmark: Any, library: str, shape: tuple[int, int]) -> None:
    benchmark.group = f"orthogonal float32 {shape}"
    make = orthogonal(library, shape, "float32")
    assert_orthonormal(make())
    benchmark.pedantic(make, rounds=3)


@pytest.mark.parametrize("library", LIBRARIES)
def test_float64(benchmark: Any, library: str) -> None:
    benchmark.group = "orthogonal float64 2048"
    make = orthogonal(library, (2048, 2048), "float64")
    assert_orthonormal(make())
    benchmark.pedantic(make, rounds=3)


@pytest.mark.parametrize("library", LIBRARIES)
def test_batch(benchmark: Any, library: str) -> None:
    benchmark.group = "1000 matrices of 64 x 64"
    if library == "fastinit":
        out = np.empty((1000, 64, 64), np.float32)

        def make() -> np.ndarray:
            return fi.orthogonal(out=out, batch_axis=0, seed=0)
    else:
        one = orthogonal(library, (64, 64), "float32")

        def make() -> np.ndarray:
            return np.stack([one().copy() for _ in range(1000)])

    assert_orthonormal(make()[999])
    benchmark.pedantic(make, rounds=5)


@pytest.mark.parametrize("n", [2048, 4096])
@pytest.mark.parametrize("library", LIBRARIES)
def test_qr(benchmark: Any, library: str, n: int) -> None:
    benchmark.group = f"QR float32 {n}"
    a = fi.normal((n, n), seed=0)
    if library == "torch":
        import torch

        t = torch.from_numpy(a)
        factor: Callable[[], Any] = lambda: torch.linalg.qr(t)  # noqa: E731
    else:
        factor = lambda: (householder_qr if library == "fastinit" else np.linalg.qr)(a)  # noqa: E731
    q, r = (np.asarray(x) for x in factor())
    assert_orthonormal(q)
    assert abs(q @ r - a).max() < 1e-3
    benchmark.pedantic(factor, rounds=2)


@pytest.mark.parametrize("n", [512, 1024, 2048, 4096])
@pytest.mark.parametrize("library", ["fastinit", "numpy"])
def test_product(benchmark: Any, library: str, n: int) -> None:
    benchmark.group = f"product float32 {n}"
    a, b = fi.normal((n, n), seed=0), fi.normal((n, n), seed=1)
    c = np.empty_like(a)
    threads = fi.get_num_threads()
    multiply = (
        (lambda: _core.gemm(a, b, c, 1.0, False, threads)) if library == "fastinit" else (lambda: np.matmul(a, b, out=c))
    )
    multiply()
    assert abs(c[:4] - a[:4].astype(np.float64) @ b).max() < 1e-2
    benchmark.pedantic(multiply, rounds=5)
