"""Identity, dirac, sparse and constants; every initializer in blocks and into odd memory."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from records import DTYPES, RECORDS, Record

import fastinit as fi


def test_sparse_zeroes_exactly() -> None:
    x = fi.sparse((100, 31), 0.333, std=2.0, seed=1)
    assert ((x == 0).sum(axis=0) == 34).all()
    y = fi.sparse((31, 100), 0.333, std=2.0, seed=1, layout="oi")
    assert ((y == 0).sum(axis=1) == 34).all()
    assert abs(x[x != 0].std() - 2) < 0.15
    assert (fi.sparse((5, 5), 1.0) == 0).all()
    assert (fi.sparse((5, 5), 0.0) != 0).all()
    # Which rows: all alike over many columns.
    counts = (fi.sparse((20, 20_000), 0.5, seed=2) == 0).sum(axis=1)
    assert abs(counts - 10_000).max() < 5 * math.sqrt(20_000 * 0.25)


@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_passes_its_input_through(groups: int) -> None:
    w = fi.dirac((3, 4, 8), groups=groups)
    want = np.zeros((3, 4, 8))
    for g in range(groups):
        for c in range(min(8 // groups, 4)):
            want[1, c, g * 8 // groups + c] = 1
    assert (w == want).all()
    shard = (slice(None), slice(1, 3), slice(None, None, -1))
    assert (fi.dirac((3, 4, 8), groups=groups, shard=shard) == want[shard]).all()
    torch_layout = fi.dirac((8, 4, 3), groups=groups, layout="oih")
    assert (torch_layout == want.transpose(2, 1, 0)).all()


def test_identity() -> None:
    assert (fi.identity(4) == np.eye(4)).all()
    assert (fi.identity(np.array(4)) == np.eye(4)).all()
    assert (fi.eye((3, 5), gain=2.0) == 2 * np.eye(3, 5)).all()
    assert (fi.identity((6, 5), shard=(slice(4, 1, -1), slice(2, 5))) == np.eye(6, 5)[4:1:-1, 2:5]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_constants_of_many_values(dtype: str) -> None:
    """As numpy.full spreads them, each rounded as one value is."""
    values = np.array([[0.1], [-2.7], [1e-3]])
    want = np.concatenate([fi.constant((1, 4), v, dtype=dtype) for v in values.ravel()])
    assert fi.constant((3, 4), values, dtype=dtype).tobytes() == want.tobytes()
    assert fi.constant((2, 3, 4), values.tolist(), dtype=dtype)[1].tobytes() == want.tobytes()
    out = np.ones((4, 3), want.dtype).T[:, ::-1]
    assert fi.constant(None, values, out=out) is out
    assert (out == want).all()
    shard = (slice(None, None, -2), slice(1, 3))
    assert fi.constant((3, 4), values, dtype=dtype, shard=shard).tobytes() == want[shard].tobytes()
    assert fi.initialize({"b": fi.Spec("constant", (3, 4), value=values, dtype=dtype)})["b"].tobytes() == want.tobytes()
    assert fi.constant((0, 4), np.zeros(4), dtype=dtype).shape == (0, 4)


STRUCTURED = tuple(r for r in RECORDS if not r.seeded or r.name == "sparse")
SHARDS = {
    2: [(), (slice(2, 50, 3),), (slice(None, None, -1), slice(40, 2, -7)), (slice(7, 7),),
        (slice(30, 31), slice(1))],
    3: [(slice(1, 2),), (slice(None), slice(None, None, -2), slice(1, 6, 2)), (slice(0, 1), slice(5)),
        (slice(3, 3),)],
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float8_e4m3fn"])
@pytest.mark.parametrize("record", STRUCTURED, ids=lambda r: r.id)
def test_shard_is_slice(record: Record, dtype: str) -> None:
    shape = record.large
    whole = record(shape, dtype=dtype, seed=3)
    for shard in SHARDS[len(shape)]:
        got = record(shape, dtype=dtype, seed=3, shard=shard)
        assert got.tobytes() == np.ascontiguousarray(whole[shard]).tobytes()
        out = np.empty(got.shape[::-1], got.dtype).T
        assert record(shape, seed=3, shard=shard, out=out) is out
        assert np.ascontiguousarray(out).tobytes() == got.tobytes()


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.id)
def test_out_of_any_layout(record: Record) -> None:
    shape = record.large
    want = record(shape, seed=3)
    raw = np.empty(want.nbytes + 1, np.uint8)
    for out in (
        np.empty(shape[::-1], np.float32).T,
        np.empty(shape, np.float32)[tuple(slice(None, None, -1) for _ in shape)],
        np.empty((*shape, 2), np.float32)[..., 1],
        raw[1:].view(np.float32).reshape(shape),
    ):
        assert record(seed=3, out=out) is out
        assert np.ascontiguousarray(out).tobytes() == want.tobytes()


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.id)
def test_blocks_leave_what_lies_between_alone(record: Record) -> None:
    shape = record.large
    frame = np.full(tuple(2 * n for n in shape), 77, np.float32)
    inner = tuple(slice(None, None, 2) for _ in shape)
    record(seed=3, out=frame[inner])
    assert (frame[inner] == record(shape, seed=3)).all()
    frame[inner] = 77
    assert (frame == 77).all()


@pytest.mark.parametrize("n", [5, 2**21 + 37])
@pytest.mark.parametrize("dtype", DTYPES)
def test_constants_are_rounded_as_astype_does(isa: str, dtype: str, n: int) -> None:
    for value in (0.1, -1 / 3, 2.0**-12, 440.0, -0.0):
        x = fi.constant(n, value, dtype=dtype, num_threads=2)
        want = np.full(n, value, np.float64 if dtype == "float64" else np.float32).astype(x.dtype)
        assert x.tobytes() == want.tobytes()
    assert (fi.identity(3, gain=0.1, dtype=dtype) == fi.constant((), 0.1, dtype=dtype) * np.eye(3, dtype=x.dtype)).all()


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "float64"])  # beyond which there are no numbers to give
def test_constants_reach_the_largest_number_and_no_further(dtype: str) -> None:
    top = float(ml_dtypes.finfo(fi.zeros((), dtype=dtype).dtype).max)
    assert float(fi.constant((), -top, dtype=dtype)) == -top
    out = np.full(3, 7, fi.zeros((), dtype=dtype).dtype)
    where = "float32, in which bfloat16 is computed" if dtype == "bfloat16" else dtype  # of a range as wide
    for name, make in (("value", fi.constant), ("gain", fi.identity)):
        target = out if name == "value" else np.full((3, 3), 7, out.dtype)
        with pytest.raises(ValueError, match=f"{name} must be finite in {where}, got"):
            make(out=target, **{name: top * 1.1})
        assert (target == 7).all()


def test_zero_sizes() -> None:
    for shape in [(0, 3), (3, 0), (0, 0)]:
        assert fi.sparse(shape, 0.5).shape == shape
        assert fi.identity(shape).shape == shape
        assert fi.zeros(shape).shape == shape
    assert fi.dirac((0, 2, 2)).shape == (0, 2, 2)
    assert fi.identity(0).shape == (0, 0)


def test_dirac_of_a_batch_has_a_kernel_for_each() -> None:
    one = fi.dirac((5, 3, 4), layout="dio", groups=2)
    assert (fi.dirac((2, 5, 3, 4), layout="bdio", groups=2) == one).all()
    batch = fi.dirac((5, 3, 2, 4), layout="dibo", groups=2, shard=(slice(1, None), slice(None), slice(1, 2)))
    assert (batch[:, :, 0] == one[1:]).all() and batch.any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e5m2"])
def test_rounding_heeds_no_error_state(dtype: str) -> None:
    with np.errstate(all="raise"):
        for x in (fi.identity(3, gain=1e-42, dtype=dtype), fi.constant(3, 1e-42, dtype=dtype)):
            assert not x.any()
        assert fi.orthogonal((64, 64), seed=0, dtype=dtype).any()
        assert fi.delta_orthogonal((3, 64, 64), seed=0, dtype=dtype).any()


def test_sparse_draws_normals_where_it_is_not_zero() -> None:
    dense = fi.normal((300, 40), std=0.5, seed=6)
    x = fi.sparse((300, 40), 0.9, std=0.5, seed=6, num_threads=2)
    assert (x[x != 0] == dense[x != 0]).all()
    assert ((x == 0).sum(axis=0) == 270).all()


def test_seeds_of_structured_initializers_are_checked_and_kept() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    fi.zeros(3, seed=rng)
    fi.identity(3, seed=rng)
    fi.dirac((1, 2, 2), seed=rng)
    assert rng.bit_generator.state == before
    with pytest.raises(TypeError, match="seed must be"):
        fi.identity(3, seed="x")
