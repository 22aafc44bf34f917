"""The bytes are a promise: instruction sets, threads, shards, layouts, golden hashes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from golden import GOLDEN, golden_lines
from hypothesis import given, settings
from hypothesis import strategies as st
from records import DTYPES, SEEDED, Record

import fastinit as fi
from fastinit import _core

LARGE = (1037, 1021)  # several chunks of every dtype, no round numbers


def digest(a: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()[:32]


def test_golden_hashes(isa: str) -> None:
    assert golden_lines() == GOLDEN.read_text().splitlines()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("law", ["normal", "uniform", "truncated_normal"])
def test_threads_and_isas(law: str, dtype: str) -> None:
    make = getattr(fi, law)
    before = _core.isa()
    try:
        hashes = set()
        for name in fi.available_isas():
            _core.set_isa(name)
            for threads in (1, 2, 3, 7):
                hashes.add(digest(make(LARGE, seed=4, dtype=dtype, num_threads=threads)))
    finally:
        _core.set_isa(before)
    assert len(hashes) == 1


SHARDS = [
    (slice(3, 9),),
    (slice(None), slice(None, None, -3)),
    (slice(100, 1, -7), slice(2, 120, 5)),
    (slice(5, 5),),
    (slice(-2, None), slice(-1, None)),
]


@pytest.mark.parametrize("record", SEEDED, ids=lambda r: r.id)
@pytest.mark.parametrize("shard", SHARDS, ids=str)
def test_shards_equal_slices(record: Record, shard: tuple[slice, ...]) -> None:
    shard = (slice(None),) * (len(record.large) - 2) + shard
    want = record(record.large, seed=5)[shard]
    got = record(record.large, seed=5, shard=shard)
    assert got.shape == want.shape
    assert got.tobytes() == np.ascontiguousarray(want).tobytes()


@pytest.mark.parametrize("step", [2**63, -(2**70), -(10**25)])
@pytest.mark.parametrize("record", SEEDED, ids=lambda r: r.id)
def test_steps_beyond_any_axis(record: Record, step: int) -> None:
    shard = (slice(None),) * (len(record.large) - 2) + (slice(None, None, step), slice(None, None, -step))
    want = record(record.large, seed=5)[shard]
    assert record(record.large, seed=5, shard=shard).tobytes() == np.ascontiguousarray(want).tobytes()


def layouts(shape: tuple[int, ...], dtype: np.dtype) -> dict[str, np.ndarray]:
    """Empty arrays of one shape in many memory layouts."""
    wide = tuple(2 * n + 1 for n in shape)
    raw = np.empty(int(np.prod(shape)) * dtype.itemsize + 1, np.uint8)
    return {
        "fortran": np.empty(shape, dtype, order="F"),
        "strided": np.empty(wide, dtype)[tuple(slice(1, 2 * n + 1, 2) for n in shape)],
        "reversed": np.empty(shape, dtype)[tuple(slice(None, None, -1) for _ in shape)],
        "rolled": np.empty((*shape[1:], shape[0]), dtype).transpose((len(shape) - 1, *range(len(shape) - 1))),
        "unaligned": raw[1:].view(dtype).reshape(shape),
        "column": np.empty((*shape, 3), dtype)[..., 1],
    }


@pytest.mark.parametrize("shape", [(5,), (129, 257), (1025, 3), (3, 2000), (4, 9, 31), (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float8_e5m2"])
def test_memory_layouts(shape: tuple[int, ...], dtype: str) -> None:
    want = fi.normal(shape, seed=6, dtype=dtype)
    for name, out in layouts(shape, want.dtype).items():
        assert fi.normal(out=out, seed=6, num_threads=2) is out
        assert np.ascontiguousarray(out).tobytes() == want.tobytes(), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("law", ["normal", "uniform", "truncated_normal"])
def test_streamed_from_any_address(isa: str, law: str, dtype: str) -> None:
    """Large enough to go past the cache, whole lines at a time: no byte beside the array changes."""
    make = getattr(fi, law)
    n = 2**22 // np.dtype(dtype).itemsize + 37
    want = make(n, seed=8, dtype=dtype).tobytes()
    raw = np.empty(len(want) + 256, np.uint8)
    base = -raw.ctypes.data % 64 + 64
    for offset in (0, 1, 2, 4, 6, 8, 12, 16, 20, 32, 36, 48, 60, 62):
        raw[:] = 0xA5
        begin, end = base + offset, base + offset + len(want)
        make(out=raw[begin:end].view(dtype), seed=8, num_threads=2)
        assert raw[begin:end].tobytes() == want, offset
        assert (raw[:begin] == 0xA5).all() and (raw[end:] == 0xA5).all(), offset


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_shape_shard_and_order(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(0, 40), max_size=4).map(tuple))
    shard = tuple(data.draw(st.slices(n)) for n in shape)
    want = np.ascontiguousarray(fi.normal(shape, seed=1)[shard])
    order = data.draw(st.permutations(range(len(shape))))
    out = np.empty(tuple(want.shape[i] for i in order), np.float32).transpose(np.argsort(order))
    fi.normal(shape, seed=1, shard=shard, out=out, num_threads=data.draw(st.integers(1, 3)))
    assert np.ascontiguousarray(out).tobytes() == want.tobytes()


@given(n=st.integers(0, 5000), k=st.integers(0, 5000))
@settings(max_examples=50, deadline=None)
def test_prefix_of_a_longer_fill(n: int, k: int) -> None:
    n, k = sorted((n, k))
    assert fi.normal(k, seed=9)[:n].tobytes() == fi.normal(n, seed=9).tobytes()


def test_forcing_an_isa() -> None:
    for isa in fi.available_isas():
        _core.set_isa(isa)
        assert _core.isa() == isa
    with pytest.raises(ValueError, match="not available on this machine; available: "):
        _core.set_isa("mmx")
