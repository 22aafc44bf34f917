"""Orthogonal initialization: orthogonality, Haar's law, shapes, selections, errors."""

from __future__ import annotations

import itertools
import signal
import threading
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import deviation, sign_fixed_qr
from scipy import stats

import fastinit as fi
from fastinit import _core

METHODS = ("direct", "qr")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (7, 3), (31, 33), (129, 128), (300, 520), (1500, 65)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_orthonormal(isa: str, shape: tuple[int, int], dtype: str, method: str) -> None:
    assert deviation(fi.orthogonal(shape, method=method, dtype=dtype, seed=2)) < 8


@pytest.mark.parametrize("n", [1024, 2048])
def test_orthonormal_at_size(n: int) -> None:
    q = fi.orthogonal((n, n), seed=1)
    assert deviation(q) < 8
    assert deviation(fi.orthogonal((n, n), method="qr", seed=1)) < 8


@pytest.mark.parametrize("shape", list(itertools.product(range(4), range(4))), ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_small_shapes(shape: tuple[int, int], method: str) -> None:
    for dtype in ("float32", "float64", "bfloat16"):
        q = fi.orthogonal(shape, method=method, dtype=dtype, seed=0)
        assert q.shape == shape
        if dtype != "bfloat16":
            assert deviation(q) < 8


def stewart(m: int, n: int, seed: int) -> np.ndarray:
    """Stewart's method, reflector by reflector."""
    x = fi.normal((m, n), seed=seed, dtype="float64")
    q, signs = np.eye(m), np.ones(n)
    for k in range(n):
        if k == m - 1:
            signs[k] = np.sign(x[k, k])
            break
        v = x[k:, k].copy()
        sign = -1.0 if v[0] < 0 else 1.0
        v[0] += sign * np.linalg.norm(v)
        signs[k] = -sign
        q[:, k:] -= 2 / (v @ v) * np.outer(q[:, k:] @ v, v)
    return q[:, :n] * signs


@pytest.mark.parametrize(("m", "n"), [(5, 5), (40, 33), (130, 129), (300, 200)])
def test_direct_is_stewarts_method(m: int, n: int) -> None:
    want = stewart(m, n, 3)
    assert abs(fi.orthogonal((m, n), dtype="float64", seed=3) - want).max() < 1e-13
    assert abs(fi.orthogonal((m, n), seed=3) - want).max() < 1e-5
    if m != n:
        assert (fi.orthogonal((n, m), seed=3) == fi.orthogonal((m, n), seed=3).T).all()


@pytest.mark.parametrize(("m", "n"), [(1, 1), (17, 17), (40, 33), (300, 260), (700, 600)])
def test_qr_is_that_of_the_normal_fill(m: int, n: int) -> None:
    q, _ = sign_fixed_qr(fi.normal((m, n), dtype="float64", seed=4))
    assert abs(fi.orthogonal((m, n), method="qr", dtype="float64", seed=4) - q).max() < 1e-12
    assert abs(fi.orthogonal((m, n), method="qr", seed=4) - q).max() < 1e-4


def test_haar_one_by_one_and_determinants() -> None:
    signs = fi.orthogonal((4000, 1, 1), batch_axis=0, seed=0)
    assert set(signs.ravel().tolist()) == {-1.0, 1.0}
    assert abs(signs.mean()) < 5 / 4000**0.5
    for method in METHODS:
        dets = np.linalg.det(fi.orthogonal((4000, 3, 3), batch_axis=0, method=method, seed=1))
        assert abs(np.abs(dets) - 1).max() < 1e-5
        assert abs(dets.mean()) < 5 / 4000**0.5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [2, 3, 5, 40])
def test_haar_entries_and_traces(method: str, n: int) -> None:
    count = 20_000 if n < 40 else 2000
    q = fi.orthogonal((count, n, n), batch_axis=0, method=method, seed=n, dtype="float64")
    # (1 + x) / 2 of an entry has the law Beta((n - 1) / 2, (n - 1) / 2).
    law = stats.beta((n - 1) / 2, (n - 1) / 2, loc=-1, scale=2)
    for i, j in ((0, 0), (0, n - 1), (n - 1, 0), (n - 1, n - 1), (n // 2, n // 3)):
        assert stats.kstest(q[:, i, j], law.cdf).pvalue > 1e-5
    # Diaconis and Shahshahani 1994: moments of the trace are those of a normal law up to 2n + 1.
    trace = np.trace(q, axis1=1, axis2=2)
    for power, want, spread in ((1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0)):
        assert abs((trace**power).mean() - want) < 5 * (spread / count) ** 0.5
    # Rows and columns are exchangeable: entries of one row are uncorrelated.
    assert abs((q[:, 0, 0] * q[:, 0, 1]).mean()) < 5 / (n * count**0.5)


@pytest.mark.parametrize("method", METHODS)
def test_haar_eigenvalue_angles(method: str) -> None:
    # SO(2) and the rotations of SO(3): an angle uniform, and one of density (1 - cos t) / pi.
    q = fi.orthogonal((20_000, 2, 2), batch_axis=0, method=method, seed=1, dtype="float64")
    rotations = q[np.linalg.det(q) > 0]
    angles = np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])
    assert stats.kstest(angles, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-5
    q = fi.orthogonal((20_000, 3, 3), batch_axis=0, method=method, seed=2, dtype="float64")
    rotations = q[np.linalg.det(q) > 0]
    t = np.arccos(np.clip((np.trace(rotations, axis1=1, axis2=2) - 1) / 2, -1, 1))
    assert stats.kstest(t, lambda x: (x - np.sin(x)) / np.pi).pvalue > 1e-5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bytes(method: str, dtype: str) -> None:
    shape = (333, 290)
    seen = set()
    for isa in fi.available_isas():
        _core.set_isa(isa)
        for threads in (1, 2, 5):
            for out in (np.empty(shape, dtype), np.empty(shape[::-1], dtype).T, np.empty(shape, dtype)[::-1]):
                fi.orthogonal(out=out, method=method, seed=6, num_threads=threads)
                seen.add(np.ascontiguousarray(out).tobytes())
    assert len(seen) == 1


@pytest.mark.parametrize("options", [{}, {"blocks": 2}, {"shard": (slice(4, 0, -1), ..., slice(1, None, 2))}], ids=str)
def test_keys_of_some_matrices_at_a_time(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of millions of small ones the keys alone would take several times the memory of the matrices."""
    if "shard" in options:
        options = {"shard": (slice(4, 0, -1), slice(None), slice(None), slice(1, None, 2))}
    told: list[float] = []
    whole = fi.orthogonal((5, 3, 4, 6), batch_axis=(0, 2), seed=3, progress=told.append, **options)
    assert told == sorted(told) and told[-1] == 1.0
    monkeypatch.setattr("fastinit._orthogonal._AT_ONCE", 7)
    told.clear()
    again = fi.orthogonal((5, 3, 4, 6), batch_axis=(0, 2), seed=3, progress=told.append, **options)
    assert again.tobytes() == whole.tobytes()
    assert told == sorted(told) and told[-1] == 1.0


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_shape_batch_blocks_and_shard(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(0, 9), min_size=2, max_size=4).map(tuple))
    axes = data.draw(st.permutations(range(len(shape))))
    column, row, *rest = axes
    batch = tuple(rest[: data.draw(st.integers(0, len(rest)))])
    cuts = sorted(data.draw(st.lists(st.integers(0, shape[column]), max_size=2)))
    sizes = tuple(np.diff([0, *cuts, shape[column]]).tolist())
    blocks = data.draw(st.sampled_from([None, sizes]))
    method = data.draw(st.sampled_from(METHODS))
    dtype = data.draw(st.sampled_from(["float32", "float64", "float16"]))
    options: dict[str, Any] = {
        "in_axis": data.draw(st.sampled_from([None, row])), "out_axis": column, "batch_axis": batch,
        "blocks": blocks, "method": method, "dtype": dtype, "seed": 7,
    }  # fmt: skip
    whole = fi.orthogonal(shape, **options)
    rows = tuple(a for a in range(len(shape)) if a != column and a not in batch)
    moved = whole.transpose(*batch, *rows, column)
    numbers = itertools.product(*(range(shape[a]) for a in batch))
    for j, index in enumerate(numbers):
        matrix = moved[index].reshape(int(np.prod([shape[a] for a in rows])), shape[column])
        key = fi.Key(7).fold_in(j) if batch else fi.Key(7)
        begin = 0
        for b, size in enumerate(sizes if blocks else (shape[column],)):
            part = matrix[:, begin : begin + size]
            one = key.fold_in(b) if blocks else key
            assert part.tolist() == fi.orthogonal(part.shape, method=method, dtype=dtype, seed=one).tolist()
            begin += size
    shard = tuple(data.draw(st.slices(n)) for n in shape)
    assert fi.orthogonal(shape, shard=shard, **options).tobytes() == np.ascontiguousarray(whole[shard]).tobytes()


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (7, 20), (200, 130), (64, 300)], ids=str)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_unitary(shape: tuple[int, int], dtype: str) -> None:
    seen = set()
    for isa in fi.available_isas():
        _core.set_isa(isa)
        for out in (np.empty(shape, dtype), np.empty(shape[::-1], dtype).T, np.empty((*shape, 2), dtype)[..., 1]):
            assert fi.orthogonal(out=out, seed=4, num_threads=len(seen) + 1) is out
            seen.add(np.ascontiguousarray(out).tobytes())
    assert len(seen) == 1
    wide = out.astype(np.complex128)
    tall = wide if shape[0] >= shape[1] else wide.conj().T
    n = min(shape)
    assert abs(tall.conj().T @ tall - np.eye(n)).max() < 8 * np.finfo(dtype).eps * n**0.5
    shard = (slice(None, None, -2), slice(1, None, 3))
    assert fi.orthogonal(shape, dtype=dtype, seed=4, shard=shard).tolist() == out[shard].tolist()


def test_haar_unitary() -> None:
    count = 20_000
    q = fi.orthogonal((count, 3, 3), batch_axis=0, dtype="complex128", seed=3)
    # The squared size of an entry has the law Beta(1, n - 1), its phase is uniform, and the moments of
    # the trace are those of a complex normal law.
    for i, j in ((0, 0), (2, 1), (2, 2)):
        assert stats.kstest(abs(q[:, i, j]) ** 2, stats.beta(1, 2).cdf).pvalue > 1e-5
        assert stats.kstest(np.angle(q[:, i, j]), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-5
    assert stats.kstest(np.angle(np.linalg.det(q)), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-5
    trace = np.trace(q, axis1=1, axis2=2)
    assert abs(trace.mean()) < 5 / count**0.5
    assert abs((abs(trace) ** 2).mean() - 1) < 5 / count**0.5


def test_flattening() -> None:
    want = fi.orthogonal((27, 16), seed=1)
    assert (fi.orthogonal((3, 3, 3, 16), seed=1).reshape(27, 16) == want).all()
    torch_like = fi.orthogonal((16, 3, 3, 3), layout="oihw", seed=1)
    assert (torch_like.reshape(16, 27) == want.T).all()


def test_gain_and_rounding() -> None:
    q = fi.orthogonal((50, 30), seed=2)
    assert (fi.orthogonal((50, 30), 2.0, seed=2) == 2 * q).all()
    scaled = fi.orthogonal((50, 30), "relu", seed=2)
    assert (scaled == q * np.float32(fi.gain("relu"))).all()
    for dtype in ("float16", "bfloat16", "float8_e4m3fn"):
        low = fi.orthogonal((50, 30), "relu", seed=2, dtype=dtype)
        assert low.tobytes() == scaled.astype(low.dtype).tobytes()
    assert (fi.orthogonal((5, 3), 0.0, seed=0) == 0).all()


@pytest.mark.parametrize("shape", [(3, 4, 8), (4, 3, 5, 5), (3, 3, 3, 2, 7)], ids=str)
@pytest.mark.parametrize("scaled", [False, True])
def test_delta_orthogonal(shape: tuple[int, ...], scaled: bool) -> None:
    w = fi.delta_orthogonal(shape, 0.5, scaled=scaled, seed=3, dtype="float64")
    n_in, n_out = shape[-2:]
    centre = tuple(n // 2 for n in shape[:-2])
    factor = 0.5 * (n_out / n_in) ** 0.5 if scaled else 0.5
    assert (w[centre] == fi.orthogonal((n_in, n_out), factor, seed=3, dtype="float64")).all()
    w[centre] = 0
    assert (w == 0).all()


def test_delta_orthogonal_keeps_norms() -> None:
    w = fi.delta_orthogonal((8, 4, 3, 3), layout="oihw", seed=0, dtype="float64")
    x = fi.normal((10, 10, 4), seed=1, dtype="float64")
    y = sum(np.roll(x, (1 - i, 1 - j), (0, 1)) @ w[:, :, i, j].T for i in range(3) for j in range(3))
    assert abs(np.linalg.norm(y, axis=2) - np.linalg.norm(x, axis=2)).max() < 1e-13


def test_column_shard_costs_its_share() -> None:
    shard = (slice(None), slice(1800, 1864))

    def cpu(**options: Any) -> float:
        start = time.process_time()
        fi.orthogonal((2000, 2000), seed=0, num_threads=1, **options)
        return time.process_time() - start

    # A promise of work, not of speed: a 31st of the columns costs far less than half of the whole.
    assert min(cpu(shard=shard) for _ in range(3)) < 0.5 * min(cpu() for _ in range(2))


def test_progress_rises_to_one() -> None:
    for options in ({}, {"method": "qr"}, {"blocks": 3}, {"dtype": "bfloat16"}):
        told: list[float] = []
        fi.orthogonal((300, 300), seed=0, progress=told.append, **options)
        assert told == sorted(told)
        assert told[0] > 0 and abs(told[-1] - 1) < 1e-12


def test_progress_may_stop_the_work() -> None:
    def stop(done: float) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        fi.orthogonal((300, 300), seed=0, progress=stop)


@pytest.mark.parametrize("method", METHODS)
def test_interrupt(method: str) -> None:
    def late() -> float:
        sent = []

        def send() -> None:
            sent.append(time.perf_counter())
            signal.raise_signal(signal.SIGINT)

        timer = threading.Timer(0.15, send)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            fi.orthogonal((100, 3000, 3000), batch_axis=0, method=method, seed=0)
        end = time.perf_counter()
        timer.join()
        return end - sent[0]

    # The best of several, as the machine may do other things too.
    assert any(late() < 0.2 for _ in range(5))


def test_no_second_matrix_in_python() -> None:
    tracemalloc.start()
    fi.orthogonal((1000, 1000), seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * 4e6


NAN, INF = float("nan"), float("inf")
ERRORS: list[tuple[str, tuple, dict[str, Any], type[Exception], str]] = [
    ("orthogonal", (5,), {}, ValueError, "shape must have at least 2 dimensions"),
    ("orthogonal", ((),), {}, ValueError, "shape must have at least 2 dimensions"),
    ("orthogonal", ((3, -1),), {}, ValueError, "negative dimensions"),
    ("orthogonal", ((2**40, 2**40),), {}, ValueError, "too large"),
    ("orthogonal", ((2**30, 2**25),), {}, MemoryError, "Unable to allocate"),
    ("orthogonal", ((3, 3), NAN), {}, ValueError, "gain must be finite, got nan"),
    ("orthogonal", ((3, 3), INF), {}, ValueError, "gain must be finite, got inf"),
    ("orthogonal", ((3, 3), 1e39), {}, ValueError, "gain must be finite in float32"),
    ("orthogonal", ((3, 3), 1e6), {"dtype": "float16"}, ValueError, "gain must be finite in float16"),
    ("orthogonal", ((3, 3), "reluu"), {}, ValueError, "activation must be one of"),
    ("orthogonal", ((3, 3), None), {}, TypeError, "gain must be a real number"),
    ("orthogonal", ((3, 3),), {"dtype": "int32"}, TypeError, "dtype must be one of float32"),
    ("orthogonal", ((3, 3),), {"method": "svd"}, ValueError, "method must be one of direct, qr; got 'svd'"),
    ("orthogonal", ((3, 3),), {"method": "qr", "dtype": "complex64"}, ValueError, "method must be 'direct' for complex"),
    ("orthogonal", ((3, 3), 1e39), {"dtype": "complex64"}, ValueError, "gain must be finite in float32"),
    ("orthogonal", ((3, 4),), {"blocks": 3}, ValueError, "blocks must divide the out axis: 3 does not divide 4"),
    ("orthogonal", ((3, 4),), {"blocks": (1, 2)}, ValueError, "blocks must sum to the out axis of length 4"),
    ("orthogonal", ((3, 4),), {"layout": "oihw"}, ValueError, "one letter per dimension"),
    ("orthogonal", ((3, 4),), {"batch_axis": -1}, ValueError, "must not share an axis"),
    ("orthogonal", ((3, 4, 5),), {"out_axis": (1, 2), "in_axis": 0}, ValueError, "out_axis must be one axis"),
    ("orthogonal", ((3, 4),), {"batch_axis": 0}, ValueError, r"batch_axis must leave .* got \(0,\)"),
    ("orthogonal", ((3, 4),), {"seed": -1}, ValueError, "seed must be"),
    ("orthogonal", ((3, 4),), {"num_threads": 0}, ValueError, "num_threads must be at least 1"),
    ("orthogonal", ((3, 4),), {"progress": 1}, TypeError, "progress must be a function"),
    ("delta_orthogonal", ((3, 4),), {}, ValueError, "shape must have 3, 4 or 5 dimensions, as a convolution's kernel"),
    ("delta_orthogonal", ((3, 5, 4),), {}, ValueError, "no more inputs than outputs, got 5 and 4"),
    ("delta_orthogonal", ((3, 3, 2, 2),), {"progress": 3}, TypeError,
     "progress must be a function of the share done, got 3"),
    ("delta_orthogonal", ((3, 4, 4),), {"scaled": 1}, TypeError, "scaled must be a bool"),
    ("delta_orthogonal", ((3, 4, 4),), {"layout": "bio"}, ValueError, "without a batch"),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "error", "message"), ERRORS)
def test_errors(name: str, args: tuple, kwargs: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        getattr(fi, name)(*args, **kwargs)


def test_out_is_untouched_on_error() -> None:
    out = np.full((3, 4), 7.0, np.float32)
    for options in ({"gain": NAN}, {"method": "x"}, {"blocks": 3}, {"seed": -1}, {"progress": 1}):
        with pytest.raises((ValueError, TypeError)):
            fi.orthogonal(out=out, **options)
    assert (out == 7).all()
