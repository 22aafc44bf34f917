"""The bytes are a promise: instruction sets, threads, shards, layouts, golden hashes."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from golden import GOLDEN, golden_lines
from hypothesis import given, settings
from hypothesis import strategies as st
from records import DTYPES, KERNELS, RECORDS, SEEDED, Record

import fastinit as fi
from fastinit import _core

THREADS = (1, 2, 3, 7)


def test_golden_hashes(isa: str) -> None:
    assert golden_lines() == GOLDEN.read_text().splitlines()


def fortran(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.empty(shape, dtype, order="F")


def strided(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.empty([2 * n + 1 for n in shape], dtype)[(..., *(slice(1, None, 2) for _ in shape))]


def reversed_(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.empty(shape, dtype)[(..., *(slice(None, None, -1) for _ in shape))]


def rolled(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    raw = np.empty(shape[1:] + shape[:1], dtype)
    return np.moveaxis(raw, -1, 0) if shape else raw


def unaligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.empty(math.prod(shape) * dtype.itemsize + 1, np.uint8)[1:].view(dtype).reshape(shape)


def column(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.empty((*shape, 3), dtype)[..., 1]


LAYOUTS = (np.empty, fortran, strided, reversed_, rolled, unaligned, column)


def shards(shape: tuple[int, ...]) -> tuple[tuple[slice, ...], ...]:
    """All of a tensor, and parts that begin inside a block, run backwards, skip, or are empty."""
    inner = tuple(slice(n // 3, n - n // 5) for n in shape)
    backwards = tuple(slice(None, None, -3) for _ in shape)
    return (), inner, backwards, (slice(1, None, 5),) * len(shape[:1]), inner[:-1] + (slice(0),) * len(shape[-1:])


# Of a tensor's combinations every eleventh, by default, from another one on for every shape: as 11 divides the
# number of no kind of them, each of a kind is met, with ever new ones of the others.
@pytest.mark.parametrize("stride", [11, pytest.param(1, marks=pytest.mark.slow)], ids=["sample", "all"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.id)
def test_every_way_gives_the_same_bytes(record: Record, dtype: str, stride: int) -> None:
    """Those of the golden hashes: on every instruction set, in any number of threads, of parts, to any memory."""
    for i, shape in enumerate(record.shapes):
        whole = record(shape, seed=11, dtype=dtype)
        ways = list(product(fi.available_isas(), THREADS, shards(shape), LAYOUTS))
        for isa, threads, shard, layout in ways[i % stride :: stride]:
            _core.set_isa(isa)
            want = np.array(whole[shard], order="C")
            out = layout(want.shape, want.dtype)
            out.fill(7)
            assert record(shape, seed=11, shard=shard, out=out, num_threads=threads) is out
            assert out.tobytes() == want.tobytes(), (shape, isa, threads, shard, layout.__name__)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("record", [pytest.param(r, marks=[pytest.mark.slow] * r.costly, id=r.id) for r in KERNELS])
def test_threads_at_work(record: Record, dtype: str) -> None:
    """Enough bytes for all of them."""
    shape = 2**21 // np.dtype(dtype).itemsize // 1021 + 1, 1021
    want = record(shape, seed=4, dtype=dtype, num_threads=1).tobytes()
    for isa, threads in product(fi.available_isas(), THREADS):
        _core.set_isa(isa)
        assert record(shape, seed=4, dtype=dtype, num_threads=threads).tobytes() == want, (isa, threads)


@pytest.mark.parametrize("step", [2**63, -(2**70), -(10**25)])
@pytest.mark.parametrize("record", SEEDED, ids=lambda r: r.id)
def test_steps_beyond_any_axis(record: Record, step: int) -> None:
    shard = (slice(None),) * (len(record.large) - 2) + (slice(None, None, step), slice(None, None, -step))
    want = record(record.large, seed=5)[shard]
    assert record(record.large, seed=5, shard=shard).tobytes() == np.ascontiguousarray(want).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("law", ["normal", "uniform", "truncated_normal"])
def test_streamed_from_any_address(isa: str, law: str, dtype: str) -> None:
    """Large enough to go past the cache, whole lines at a time: no byte beside the array changes."""
    make = getattr(fi, law)
    n = 2**21 // np.dtype(dtype).itemsize + 37
    want = make(n, seed=8, dtype=dtype).tobytes()
    raw = np.empty(len(want) + 256, np.uint8)
    base = -raw.ctypes.data % 64 + 64
    for offset in (0, 1, 2, 4, 8, 12, 16, 32, 62):
        raw[:] = 0xA5
        begin, end = base + offset, base + offset + len(want)
        make(out=raw[begin:end].view(dtype), seed=8, num_threads=2)
        assert raw[begin:end].tobytes() == want, offset
        assert (raw[:begin] == 0xA5).all() and (raw[end:] == 0xA5).all(), offset


@pytest.mark.parametrize("dtype", DTYPES)
def test_streamed_from_any_element(isa: str, dtype: str) -> None:
    """A run that begins within a block of the tensor comes to whole blocks at another address."""
    n = 2**21 // np.dtype(dtype).itemsize + 101
    whole = fi.normal(n, seed=8, dtype=dtype)
    raw = np.empty(whole.nbytes + 128, np.uint8)
    base = -raw.ctypes.data % 64
    for start in (1, 2, 3, 4, 7, 8, 16, 32, 48, 63, 64):
        want = whole[start:].tobytes()
        for offset in (0, 4, 60):
            raw[:] = 0xA5
            begin, end = base + offset, base + offset + len(want)
            fi.normal(n, out=raw[begin:end].view(dtype), seed=8, shard=slice(start, None), num_threads=2)
            assert raw[begin:end].tobytes() == want, (start, offset)
            assert (raw[:begin] == 0xA5).all() and (raw[end:] == 0xA5).all(), (start, offset)


def test_a_large_draw_of_a_generator_that_stands_within_a_block() -> None:
    rng, whole = fi.default_rng(0), fi.default_rng(0).standard_normal(3 + 2**20, dtype="float32")
    rng.standard_normal(3, dtype="float32")
    assert rng.standard_normal(2**20, dtype="float32").tobytes() == whole[3:].tobytes()


def drawn_view(data: st.DataObject, shape: tuple[int, ...], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Of a shape, with its axes in any order, steps of any sign and gaps; and the array of sevens that it lies in."""
    steps = [data.draw(st.sampled_from((1, 1, 2, 3, -1, -2))) for _ in shape]
    gaps = [data.draw(st.integers(0, 2)) for _ in shape]
    order = data.draw(st.permutations(range(len(shape))))
    around = np.full([shape[i] * abs(steps[i]) + gaps[i] for i in order], 7, dtype)
    forward = (slice(gap, None, abs(step)) for gap, step in zip(gaps, steps, strict=True))
    backward = (slice(None, None, 1 if step > 0 else -1) for step in steps)
    return around.transpose([order.index(i) for i in range(len(shape))])[(..., *forward)][(..., *backward)], around


@settings(max_examples=300, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), threads=st.integers(1, 3))
def test_any_shape_shard_and_strides(data: st.DataObject, dtype: str, threads: int) -> None:
    shape = data.draw(st.lists(st.integers(0, 40), max_size=4).map(tuple))
    shard = tuple(data.draw(st.slices(n)) for n in shape)
    want = np.array(fi.normal(shape, seed=1, dtype=dtype)[shard], order="C")
    out, around = drawn_view(data, want.shape, want.dtype)
    assert fi.normal(shape, seed=1, shard=shard, out=out, num_threads=threads) is out
    assert out.tobytes() == want.tobytes()
    assert np.count_nonzero(around == 7) == around.size - out.size


@given(n=st.integers(0, 5000), k=st.integers(0, 5000))
@settings(max_examples=50, deadline=None)
def test_prefix_of_a_longer_fill(n: int, k: int) -> None:
    n, k = sorted((n, k))
    assert fi.normal(k, seed=9)[:n].tobytes() == fi.normal(n, seed=9).tobytes()


def test_forcing_an_isa() -> None:
    for isa in fi.available_isas():
        _core.set_isa(isa)
        assert _core.isa() == isa
    available = ", ".join(fi.available_isas())
    with pytest.raises(ValueError, match=f"'mmx' is not available on this machine; available: {available}$"):
        _core.set_isa("mmx")
