"""Orthogonal initialization and matrix products beside NumPy and torch; each asserts its answer first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastinit as fi
from bench import peers
from fastinit import _core
from fastinit.linalg import householder_qr

LIBRARIES = ["fastinit", "numpy", *(n for n in ("scipy", "torch") if n in peers.PEERS)]
SQUARE = (256, 512, 1024, 2048, 4096)
SLOWEST = 1024  # the largest n of SciPy's ortho_group, which reflects in a loop of Python
THREADS = fi.get_num_threads()
pytestmark = pytest.mark.benchmark(min_rounds=3, max_time=0.3)


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
    if library == "scipy":
        from scipy.stats import ortho_group

        return lambda: ortho_group.rvs(shape[0], random_state=0).astype(dtype)
    import torch

    torch.set_num_threads(THREADS)
    w = torch.empty(shape, dtype=getattr(torch, dtype))
    return lambda: torch.nn.init.orthogonal_(w).numpy()


CASES = [
    *((n, (s, s), "float32", "square") for n in LIBRARIES for s in SQUARE if n != "scipy" or s <= SLOWEST),
    *((n, s, "float32", k) for n in LIBRARIES if n != "scipy" for s, k in (((4096, 1024), "tall"), ((1024, 4096), "wide"))),
    *((n, (s, s), "float64", "square") for n in LIBRARIES for s in (512, 1024, 2048) if n != "scipy" or s <= SLOWEST),
]


@pytest.mark.parametrize(("library", "shape", "dtype", "kind"), CASES, ids=str)
def test_orthogonal(
    row: Callable[..., Any], library: str, shape: tuple[int, int], dtype: str, kind: str, timed: bool
) -> None:
    if not timed:
        shape = (shape[0] // 32, shape[1] // 32)
    make = orthogonal(library, shape, dtype)
    assert_orthonormal(make())
    m, n = shape
    row(f"orthogonal {dtype} {m} x {n}", library, task="orthogonal", shape=kind, m=m, n=n, dtype=dtype,
        threads=THREADS)(make)  # fmt: skip


@pytest.mark.parametrize("library", LIBRARIES)
def test_batch(row: Callable[..., Any], library: str, timed: bool) -> None:
    count = 1000 if timed else 10
    if library == "fastinit":
        out = np.empty((count, 64, 64), np.float32)
        make = lambda: fi.orthogonal(out=out, batch_axis=0, seed=0)  # noqa: E731
    elif library == "scipy":
        from scipy.stats import ortho_group

        make = lambda: ortho_group.rvs(64, size=count, random_state=0).astype(np.float32)  # noqa: E731
    else:
        one = orthogonal(library, (64, 64), "float32")
        make = lambda: np.stack([one().copy() for _ in range(count)])  # noqa: E731
    assert_orthonormal(make()[count - 1])
    row(f"{count} orthogonal matrices of 64 x 64", library, task="orthogonal", shape="batch", n=64, dtype="float32",
        threads=THREADS)(make)  # fmt: skip


@pytest.mark.parametrize("n", [2048, 4096])
@pytest.mark.parametrize("library", [n for n in LIBRARIES if n != "scipy"])
def test_qr(row: Callable[..., Any], library: str, n: int, timed: bool) -> None:
    n = n if timed else n // 32
    a = fi.normal((n, n), seed=0)
    factor: Callable[[], Any]
    if library == "torch":
        import torch

        t = torch.from_numpy(a)
        factor = lambda: torch.linalg.qr(t)  # noqa: E731
    else:
        factor = lambda: (householder_qr if library == "fastinit" else np.linalg.qr)(a)  # noqa: E731
    q, r = (np.asarray(x) for x in factor())
    assert_orthonormal(q)
    assert abs(q @ r - a).max() < 1e-3
    row(f"QR float32 {n}", library, task="orthogonal", shape="qr", n=n, dtype="float32", threads=THREADS)(factor)


@pytest.mark.parametrize(("dtype", "n"), [("float32", n) for n in (512, 1024, 2048, 4096)] + [("float64", 2048)])
@pytest.mark.parametrize("library", ["fastinit", "numpy"])
def test_product(row: Callable[..., Any], library: str, dtype: str, n: int, timed: bool) -> None:
    n = n if timed else n // 32
    a, b = fi.normal((n, n), seed=0, dtype=dtype), fi.normal((n, n), seed=1, dtype=dtype)
    c = np.empty_like(a)
    own = library == "fastinit"
    multiply: Callable[[], Any] = (
        (lambda: _core.gemm(a, b, c, 1.0, False, THREADS)) if own else (lambda: np.matmul(a, b, out=c))
    )
    multiply()
    assert abs(c[:4] - a[:4].astype(np.float64) @ b).max() < 1e-2
    row(f"product {dtype} {n}", library, task="product", dtype=dtype, flops=2 * n**3, threads=THREADS)(multiply)
