"""What arguments may look like, and what they do to `out`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastinit as fi
from fastinit._args import FORMATS, _overlaps_itself
from fastinit._target import Target


class Lengths:
    """One integer, or one dimension of them, of another library."""

    def __init__(self, *values: int) -> None:
        self.values, self.ndim = values, int(len(values) > 1)

    def __repr__(self) -> str:
        return f"Lengths{self.values}"

    def __index__(self) -> int:
        return self.values[0]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, i: int) -> Lengths:
        return Lengths(self.values[i])


SHAPES: list[tuple[Any, tuple[int, ...]]] = [
    (3, (3,)), (np.int64(3), (3,)), (np.uint8(3), (3,)), ((), ()), ([], ()), ([2, 3], (2, 3)),
    ((2, np.int32(3)), (2, 3)), (np.array([2, 3]), (2, 3)), (np.array(4), (4,)), (0, (0,)), ((2, 0, 3), (2, 0, 3)),
    ((1,) * 32, (1,) * 32), ((np.array(2), 3), (2, 3)), (Lengths(3), (3,)), ((Lengths(3), 2), (3, 2)),
    (Lengths(3, 2), (3, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "want"), SHAPES, ids=str)
def test_shapes(shape: Any, want: tuple[int, ...]) -> None:
    x = fi.normal(shape, seed=0)
    assert type(x) is np.ndarray
    assert x.shape == want
    assert x.size == np.empty(shape).size


NOT_NUMBERS = [
    np.dtype("f4"), np.float32, np.ma.masked, np.ma.array(2.0, mask=True), np, "1", None, 1j, True, np.datetime64(1, "s"),
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=lambda v: getattr(v, "__name__", repr(v)))
def test_what_is_no_number(value: Any) -> None:
    for call in (fi.normal, fi.uniform, fi.Generator(0).normal, fi.constant):
        with pytest.raises(TypeError, match=r"(mean|low|loc|value) must be"):
            call(*(() if "Generator" in repr(call) else (2,)), value)


class Unhashable:
    """As NumPy's timedelta without a unit."""

    def __repr__(self) -> str:
        return "Unhashable()"

    def __hash__(self) -> int:
        raise ValueError("can't hash")


@pytest.mark.parametrize("dtype", [Unhashable(), np.timedelta64(1, "s"), [], {}, "nope"], ids=repr)
def test_what_is_no_dtype(dtype: Any) -> None:
    with pytest.raises(TypeError, match="dtype must be one of float32"):
        fi.normal(2, dtype=dtype)


class OtherFloat32:
    """A dtype of a framework, as it shows itself."""

    def __repr__(self) -> str:
        return "torch.float32"


@pytest.mark.parametrize(("dtype", "meant"), [(OtherFloat32(), "float32"), ("bf16", "bfloat16"), ("float15", "float16")])
def test_the_dtype_that_was_meant(dtype: Any, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"\(did you mean '{meant}'\?\)$"):
        fi.normal(2, dtype=dtype)


NOT_SHAPES = [
    "3", b"3", 3.0, (3, 2.0), True, (2, True), (None,), {2, 3}, {2: 3},
    np.array([1.5]), np.array([[1]]), np.array([True]), np.array(2.0),
]  # fmt: skip


@pytest.mark.parametrize("shape", NOT_SHAPES, ids=str)
def test_not_shapes(shape: Any) -> None:
    with pytest.raises(TypeError, match="shape must be an int or a sequence of ints"):
        fi.normal(shape)


@pytest.mark.parametrize("shape", [-1, (3, -2), np.array([-1]), [0, -1]], ids=str)
def test_negative_dimensions(shape: Any) -> None:
    with pytest.raises(ValueError, match="negative dimensions are not allowed"):
        fi.normal(shape)


@pytest.mark.parametrize("shape", [2**63, 2**200, (2**32, 2**32), (0, 2**62, 2**62), (1,) * 65], ids=str)
def test_impossible_shapes(shape: Any) -> None:
    with pytest.raises(ValueError, match="shape"):
        fi.normal(shape)


SPELLINGS: list[tuple[Any, str]] = [
    ("float32", "float32"), ("f4", "float32"), (np.float32, "float32"), (np.dtype("f4"), "float32"),
    (float, "float64"), ("d", "float64"), ("half", "float16"), (np.float16, "float16"),
    ("bfloat16", "bfloat16"), (ml_dtypes.bfloat16, "bfloat16"), (np.dtype(ml_dtypes.bfloat16), "bfloat16"),
    (ml_dtypes.float8_e4m3fn, "float8_e4m3fn"), ("float8_e5m2", "float8_e5m2"),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "name"), SPELLINGS, ids=str)
def test_dtypes(dtype: Any, name: str) -> None:
    assert fi.normal(2, dtype=dtype).dtype.name == name


NOT_DTYPES = [
    int, bool, object, "i4", "U3", "complex64", np.longdouble, ">f4", np.dtype(">f8"), "float8_e4m3",
    ml_dtypes.float8_e4m3fnuz, [("a", "f4")], ("f4", (2,)), 3, "nope",
]  # fmt: skip


@pytest.mark.parametrize("dtype", NOT_DTYPES, ids=str)
def test_not_dtypes(dtype: Any) -> None:
    with pytest.raises(TypeError, match="dtype must be one of float32, float64, float16, bfloat16"):
        fi.normal(2, dtype=dtype)


NUMBERS = [2, 2.0, np.float32(2), np.int8(2), np.array(2.0), ml_dtypes.bfloat16(2)]
NOT_NUMBERS = ["2", b"2", None, True, np.True_, 2j, [2.0], np.array([2.0])]


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_numbers(number: Any) -> None:
    assert (fi.normal(5, std=number, seed=0) == fi.normal(5, std=2.0, seed=0)).all()


@pytest.mark.parametrize("number", NOT_NUMBERS, ids=repr)
def test_not_numbers(number: Any) -> None:
    with pytest.raises(TypeError, match="std must be a real number"):
        fi.normal(5, std=number)


@pytest.mark.parametrize("name", FORMATS)
def test_the_ends_of_every_format(name: str) -> None:
    limits = ml_dtypes.finfo(fi.zeros(0, dtype=name).dtype)
    assert FORMATS[name][1:] == (float(limits.max), float(limits.smallest_subnormal))


def test_bools_of_both_kinds() -> None:
    drawn, again = (fi.truncated_normal(9, correct_std=kind(True), seed=0) for kind in (bool, np.bool_))
    assert drawn.tobytes() == again.tobytes()


def test_an_error_comes_before_the_seed_is_drawn() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    for kwargs in ({"std": -1.0}, {"dtype": int}, {"num_threads": 0}, {"shard": 1}, {"out": [1]}):
        with pytest.raises((TypeError, ValueError)):
            fi.normal(3, seed=rng, **kwargs)
    assert rng.bit_generator.state == before


def test_many_threads_are_no_error() -> None:
    want = fi.normal(1000, seed=0)
    for n in (1, np.int32(2), 10**6, 2**40, 10**30):
        assert (fi.normal(1000, seed=0, num_threads=n) == want).all()


def test_shards_of_all_kinds() -> None:
    whole = fi.normal((6, 5), seed=0)
    for shard in (slice(2, 4), (slice(2, 4),), [slice(2, 4)], (slice(np.int64(2), np.int64(4)),)):
        assert (fi.normal((6, 5), seed=0, shard=shard) == whole[2:4]).all()
    assert (fi.normal((6, 5), seed=0, shard=()) == whole).all()
    assert fi.normal((), seed=0, shard=()).shape == ()
    out = np.empty((2, 5), np.float16)
    assert fi.normal((6, 5), seed=0, shard=slice(2, 4), out=out) is out
    with pytest.raises(ValueError, match=r"size must match out\.shape: shard gives"):
        fi.normal((6, 5), shard=slice(1, 4), out=out)
    for wrong in (..., (..., slice(2)), (0,), (None,), "a", {"rows": slice(2)}):
        with pytest.raises(TypeError, match="shard must be a tuple of slices"):
            fi.normal((6, 5), shard=wrong)
    with pytest.raises(ValueError, match="steps other than 0"):
        fi.normal((6, 5), shard=slice(None, None, 0))


def test_a_shard_of_a_tensor_that_cannot_exist() -> None:
    shape = (2**30, 2**29)
    part = fi.normal(shape, seed=0, shard=(slice(2**29, 2**29 + 2), slice(None, 3)))
    again = fi.normal(shape, seed=0, shard=(slice(2**29 + 1, 2**29 - 1, -1), slice(2, None, -1)))
    assert (part == again[::-1, ::-1]).all()


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([-7, -3, -2, -1, 1, 2, 5]), st.data())
def test_blocks_of_a_sliced_axis(start: int, stop: int, step: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, 60), max_size=4)))
    sizes = tuple(b - a for a, b in zip([0, *cuts], [*cuts, 60], strict=True))
    target = Target((60,), None, 0, None, (slice(start, stop, step),), None)
    target.out[:] = np.arange(60)[start:stop:step]
    begin = 0
    for part, size in zip(target.split(0, sizes), sizes, strict=True):
        inside = target.out[(target.out >= begin) & (target.out < begin + size)]
        assert part.out.tolist() == inside.tolist()
        assert part.out.size == 0 or part.base == inside[0]
        begin += size


def test_outs_that_overlap_and_that_do_not() -> None:
    x = np.zeros((8, 9), np.float32)
    cube = x.reshape(4, 2, 9).transpose(1, 2, 0)
    for good in (x, x.T, x[::-2, ::3], x[:, 4], cube, np.diagonal(x), x[:0], x[2:3, 1:2]):
        assert not _overlaps_itself(good)
    for bad in (
        np.broadcast_to(x[0], (3, 9)),
        np.lib.stride_tricks.sliding_window_view(x[0], 4),
        np.lib.stride_tricks.as_strided(x, (3, 3), (4, -4)),
    ):
        assert _overlaps_itself(bad)
    one = np.lib.stride_tricks.as_strided(x, (1, 1), (0, 0))
    assert fi.normal(out=one, seed=0) is one
    zero_d = np.zeros((), np.float64)
    assert fi.normal(out=zero_d, seed=0) is zero_d
    assert zero_d == fi.normal((), seed=0, dtype="float64")


def test_memory_maps(tmp_path: Path) -> None:
    path = tmp_path / "w.npy"
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(30, 20))
    assert fi.normal(out=out, seed=0) is out
    out.flush()
    del out
    assert (np.load(path) == fi.normal((30, 20), seed=0)).all()
    with pytest.raises(ValueError, match="out must be writable, got a read-only array"):
        fi.normal(out=np.load(path, mmap_mode="r"))
    assert (np.load(path) == fi.normal((30, 20), seed=0)).all()


EXTREMES = [
    ("truncated_normal", {"lower": 1e200, "upper": np.inf}, "the window of lower and upper must be finite"),
    ("truncated_normal", {"lower": -np.inf, "upper": -1e39}, "the window of lower and upper must be finite"),
    ("truncated_normal", {"lower": 1e39, "upper": 2e39, "bounds": "absolute"}, "the window of lower and upper"),
    ("truncated_normal", {"lower": 1e200, "upper": np.inf, "correct_std": True}, "a window with some variance"),
    ("truncated_normal", {"lower": -1e-320, "upper": 1e-320, "correct_std": True}, "a window with some variance"),
    ("truncated_normal", {"std": 1e38, "lower": 0.0, "upper": 0.1, "correct_std": True}, "std, corrected for the"),
    ("variance_scaling", {"scale": 1e300}, r"^scale 1e\+300 with fan 3: the standard deviation must be finite in float32"),
    ("variance_scaling", {"scale": 1e77, "distribution": "uniform"}, "the width of the uniform law must be finite"),
    ("xavier_normal", {"gain": 1e200}, r"^gain 1e\+200 with fan 3.5: the standard deviation must be finite"),
    ("he_uniform", {"gain": 1e200}, "the width of the uniform law must be finite"),
    ("sparse", {"std": 1e39}, "std must be finite in float32"),
]


@pytest.mark.parametrize(("name", "kwargs", "message"), EXTREMES)
def test_no_infinite_weights(name: str, kwargs: dict[str, Any], message: str) -> None:
    out = np.full((3, 4), 7, np.float32)
    with pytest.raises(ValueError, match=message):
        getattr(fi, name)(out=out, **kwargs)
    assert (out == 7).all()


def test_wide_windows_are_fine() -> None:
    want = fi.normal(100, seed=0).shape
    for bound in (1e30, 1e39, 1e300, np.inf):
        x = fi.truncated_normal(100, lower=-bound, upper=bound, seed=0)
        assert x.shape == want
        assert np.isfinite(x).all()


class Stubborn(np.ndarray):
    """Refuses to be indexed."""

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError(index)

    __setitem__ = __getitem__  # type: ignore[assignment]


@pytest.mark.parametrize("name", ["normal", "identity", "sparse", "orthogonal", "constant"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_subclasses_of_arrays_are_filled_as_arrays(name: str, dtype: str) -> None:
    make = getattr(fi, name)
    want = make((6, 6), dtype=dtype, seed=0)
    masked = np.ma.masked_array(np.full((6, 6), 7, dtype), mask=np.eye(6), hard_mask=True)
    for out in (masked, np.full((6, 6), 7, dtype).view(Stubborn)):
        assert make(out=out, seed=0) is out
        assert out.view(np.ndarray).tobytes() == want.tobytes()


def test_empty_shards_of_blocks() -> None:
    backwards = slice(None, None, -1)
    assert fi.he_normal((4, 6), blocks=[2, 4], shard=(slice(0, 0), backwards)).shape == (0, 6)
    assert fi.he_normal((0, 6), blocks=[2, 4], mode="fan_out", shard=(slice(None), backwards)).shape == (0, 6)


# Working memory of 2^50 bytes and more, which no address space has.
TOO_LARGE = [
    ("delta_orthogonal", (3, 2**16, 2**42), {}),
    ("orthogonal", (2**24, 2**24), {"method": "qr", "blocks": [1, 2**24 - 1]}),
    ("orthogonal", (2**24, 2**24), {"method": "qr"}),
]


@pytest.mark.parametrize(("name", "shape", "kwargs"), TOO_LARGE)
def test_out_is_untouched_where_memory_does_not_suffice(name: str, shape: tuple[int, ...], kwargs: dict[str, Any]) -> None:
    shard = (*(slice(1, 2),) * (len(shape) - 2), slice(0, 1), slice(0, 2))
    out = np.full([len(range(*s.indices(n))) for s, n in zip(shard, shape, strict=True)], 7, np.float32)
    with pytest.raises(MemoryError):
        getattr(fi, name)(shape, shard=shard, out=out, **kwargs)
    assert (out == 7).all()
