"""Orthogonal initialization, QR and matrix products beside the peers; each asserts its answer first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import fastinit as fi
from bench import limits, peers
from bench.answers import assert_orthonormal
from fastinit import _core
from fastinit.linalg import householder_qr

ORTHO_GROUP = "scipy ortho_group"
LAPACK = ["numpy", *(["scipy qr"] if "scipy" in peers.PEERS else []), *(n for n in ("torch", "jax") if n in peers.PEERS)]
LIBRARIES = ["fastinit", *LAPACK, *([ORTHO_GROUP] if "scipy" in peers.PEERS else [])]
SQUARE = (256, 512, 1024, 2048, 4096)
SLOWEST = 1024  # the largest n of SciPy's ortho_group, which reflects in a loop of Python
LONG = 2048  # seconds a call by some: three rounds, without the calls of a calibration
THREADS = fi.get_num_threads()
BATCH = 64
pytestmark = pytest.mark.benchmark(min_rounds=3, max_time=0.3)


def has(library: str, dtype: str) -> bool:
    """JAX has float64 only where all of a process is switched to it."""
    return library != "jax" or dtype == "float32"


def sign_fixed(q: Any, r: Any, xp: Any) -> Any:
    """The factor that goes with a positive diagonal: only that is uniform over the orthogonal matrices."""
    return q * xp.sign(xp.diagonal(r, 0, -2, -1))[..., None, :]


def lapack_qr(library: str, a: np.ndarray) -> Callable[[], tuple[Any, Any]]:
    """Thin QR of a matrix by the LAPACK of a library."""
    if library == "numpy":
        return partial(np.linalg.qr, a)
    if library == "scipy qr":
        from scipy.linalg import qr

        return partial(qr, a, mode="economic", check_finite=False)
    if library == "torch":
        import torch

        torch.set_num_threads(THREADS)
        return partial(torch.linalg.qr, torch.from_numpy(a))
    import jax

    compiled, on_device = jax.jit(jax.numpy.linalg.qr), jax.numpy.asarray(a)
    return lambda: jax.block_until_ready(compiled(on_device))


def _by_qr(qr: Callable[..., Any], shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Of a Gaussian matrix, or a stack of them; wide ones by the transpose."""
    tall = shape if shape[-2] >= shape[-1] else (*shape[:-2], shape[-1], shape[-2])
    a = np.random.default_rng(0).standard_normal(tall, dtype=dtype)
    q: np.ndarray = sign_fixed(*qr(a), np)
    return q if tall == shape else q.swapaxes(-1, -2)


def orthogonal(library: str, shape: tuple[int, int], dtype: str) -> Callable[[], Any]:
    """A function that makes one matrix again and again."""
    if library == "fastinit":
        return partial(fi.orthogonal, out=np.empty(shape, dtype), seed=0)
    if library == "numpy":
        return partial(_by_qr, np.linalg.qr, shape, dtype)
    if library == "scipy qr":
        from scipy.linalg import qr

        return partial(_by_qr, partial(qr, mode="economic", check_finite=False, overwrite_a=True), shape, dtype)
    if library == ORTHO_GROUP:
        from scipy.stats import ortho_group

        return lambda: ortho_group.rvs(shape[0], random_state=0).astype(dtype)
    if library == "torch":
        import torch

        torch.set_num_threads(THREADS)
        w = torch.empty(shape, dtype=getattr(torch, dtype))
        return lambda: torch.nn.init.orthogonal_(w).numpy()
    import jax

    compiled, key = jax.jit(lambda key: jax.nn.initializers.orthogonal()(key, shape, dtype)), jax.random.key(0)
    return lambda: compiled(key).block_until_ready()


def measure(bench: Any, call: Callable[[], Any], n: int) -> None:
    with limits.blas_threads(THREADS):
        if n < LONG:
            bench(call)
        else:
            bench.pedantic(call, rounds=3)


SHAPES = [*(((s, s), "float32", "square") for s in SQUARE), ((4096, 1024), "float32", "tall"),
          ((1024, 4096), "float32", "wide"), *(((s, s), "float64", "square") for s in (512, 1024, 2048))]  # fmt: skip
CASES = [(n, s, d, k) for s, d, k in SHAPES for n in LIBRARIES
         if has(n, d) and (n != ORTHO_GROUP or (k == "square" and s[0] <= SLOWEST))]  # fmt: skip


@pytest.mark.parametrize(("library", "shape", "dtype", "kind"), CASES, ids=str)
def test_orthogonal(
    row: Callable[..., Any], library: str, shape: tuple[int, int], dtype: str, kind: str, timed: bool
) -> None:
    m, n = shape if timed else (shape[0] // 32, shape[1] // 32)
    make = orthogonal(library, (m, n), dtype)
    assert_orthonormal(np.asarray(make()))
    bench = row(f"orthogonal {dtype} {m} x {n}", library, task="orthogonal", shape=kind, m=m, n=n, dtype=dtype,
                threads=THREADS)  # fmt: skip
    measure(bench, make, min(m, n))


def batch(library: str, count: int) -> Callable[[], Any]:
    """Many small matrices in one call, where the library can."""
    shape = (count, BATCH, BATCH)
    if library == "fastinit":
        return partial(fi.orthogonal, out=np.empty(shape, np.float32), batch_axis=0, seed=0)
    if library == "numpy":
        return partial(_by_qr, np.linalg.qr, shape, "float32")
    if library == ORTHO_GROUP:
        from scipy.stats import ortho_group

        return lambda: ortho_group.rvs(BATCH, size=count, random_state=0).astype(np.float32)
    if library == "torch":
        import torch

        torch.set_num_threads(THREADS)
        return lambda: sign_fixed(*torch.linalg.qr(torch.randn(shape)), torch).numpy()
    if library == "jax":
        import jax

        keys = jax.random.split(jax.random.key(0), count)
        compiled = jax.jit(jax.vmap(lambda key: jax.nn.initializers.orthogonal()(key, shape[1:])))
        return lambda: compiled(keys).block_until_ready()
    one = orthogonal(library, shape[1:], "float32")
    return lambda: np.stack([one() for _ in range(count)])


@pytest.mark.parametrize("library", LIBRARIES)
def test_batch(row: Callable[..., Any], library: str, timed: bool) -> None:
    count = 1000 if timed else 10
    make = batch(library, count)
    made = np.asarray(make())
    assert made.shape == (count, BATCH, BATCH)
    for q in made[:: count - 1]:
        assert_orthonormal(q)
    bench = row(f"{count} orthogonal matrices of {BATCH} x {BATCH}", library, task="orthogonal", shape="batch", n=BATCH,
                dtype="float32", threads=THREADS)  # fmt: skip
    measure(bench, make, BATCH)


QR_CASES = [(n, *case) for case in (("float32", 2048), ("float32", 4096), ("float64", 2048))
            for n in ("fastinit", *LAPACK) if has(n, case[0])]  # fmt: skip


@pytest.mark.parametrize(("library", "dtype", "n"), QR_CASES)
def test_qr(row: Callable[..., Any], library: str, dtype: str, n: int, timed: bool) -> None:
    n = n if timed else n // 32
    a = fi.normal((n, n), seed=0, dtype=dtype)
    factor: Callable[[], Any] = partial(householder_qr, a) if library == "fastinit" else lapack_qr(library, a)
    q, r = (np.asarray(x) for x in factor())
    assert_orthonormal(q)
    assert (np.tril(r, -1) == 0).all()
    assert abs(q @ r - a).max() < 4 * np.finfo(dtype).eps * n
    bench = row(f"QR {dtype} {n}", library, task="orthogonal", shape="qr", n=n, dtype=dtype, threads=THREADS)
    measure(bench, factor, n)


@pytest.mark.parametrize(("dtype", "n"), [("float32", n) for n in (512, 1024, 2048, 4096)] + [("float64", 2048)])
@pytest.mark.parametrize("library", ["fastinit", "numpy"])
def test_product(row: Callable[..., Any], library: str, dtype: str, n: int, timed: bool) -> None:
    n = n if timed else n // 32
    a, b = fi.normal((n, n), seed=0, dtype=dtype), fi.normal((n, n), seed=1, dtype=dtype)
    c = np.empty_like(a)
    multiply: Callable[[], Any] = (
        partial(_core.gemm, a, b, c, 1.0, False, THREADS) if library == "fastinit" else partial(np.matmul, a, b, out=c)
    )
    multiply()
    assert abs(c[:4] - a[:4].astype(np.float64) @ b).max() < 8 * np.finfo(dtype).eps * n**0.5 * 8
    measure(row(f"product {dtype} {n}", library, task="product", dtype=dtype, flops=2 * n**3, threads=THREADS), multiply, n)
