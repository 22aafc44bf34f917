"""NumPy's interfaces: `default_rng` and the bit generator."""

from __future__ import annotations

import copy
import pickle
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
import reference
from messages import whole
from numpy.random.bit_generator import ISeedSequence
from records import DTYPES

import fastinit as fi


@pytest.mark.parametrize("method", ["random", "standard_normal", "uniform", "normal", "truncated_normal"])
def test_generator_splits(method: str) -> None:
    whole, parts = fi.default_rng(4), fi.default_rng(4)
    want = getattr(whole, method)(size=1000)
    got = np.concatenate([getattr(parts, method)(size=n) for n in (1, 62, 3, 934)])
    assert want.dtype == np.float64
    assert got.tobytes() == want.tobytes()


def test_generator_is_numpys() -> None:
    rng = fi.default_rng(7)
    assert fi.default_rng(rng) is rng
    assert isinstance(rng.random(), float)
    assert isinstance(rng.normal(1.0, 2.0), float)
    assert rng.random(()).shape == ()
    assert (fi.default_rng(7).normal(size=9) == fi.normal(9, seed=7, dtype="float64")).all()
    out = np.empty((2, 3), np.float32)
    assert rng.standard_normal(out=out) is out
    assert rng.normal([0.0, 100.0], [[1.0], [0.0]]).shape == (2, 2)
    assert rng.normal([5.0, 6.0], 0.0).tolist() == [5.0, 6.0]
    assert rng.uniform(np.zeros(3), 2.0, size=(4, 3), dtype="float32").dtype == np.float32
    a, b = rng.spawn(2)
    assert not (a.random(5) == b.random(5)).any()
    copy = pickle.loads(pickle.dumps(rng))
    assert (copy.random(5) == rng.random(5)).all()


def test_bit_generator() -> None:
    bits = fi.Philox4x32(0)
    want = reference.words(np.arange(200), reference.key_of(0))
    assert bits.random_raw(100).tolist() == want[:100].tolist()
    rng = np.random.Generator(fi.Philox4x32(0))
    both = want[0::2].astype(np.uint64) << np.uint64(32) | want[1::2]
    assert (rng.random(100) == (both >> np.uint64(11)) * 2.0**-53).all()
    copy = pickle.loads(pickle.dumps(rng))
    assert (copy.standard_gamma(3.0, 50) == rng.standard_gamma(3.0, 50)).all()
    moved = fi.Philox4x32(0).advance(10)
    assert moved.random_raw() == want[10]
    state = moved.state
    first = moved.random_raw(5).tolist()
    moved.state = state
    assert moved.random_raw(5).tolist() == first
    assert moved.jumped().state["state"]["position"] == moved.state["state"]["position"] + 2**44
    held = np.random.Generator(moved)
    moved.advance(-moved.state["state"]["position"])
    assert held.bit_generator.random_raw() == want[0]
    assert len(moved.spawn(2)) == 2


FIRST = [
    ("random", (), fi.uniform, {}),
    ("uniform", (-1.0, 3.0), fi.uniform, {"low": -1.0, "high": 3.0}),
    ("standard_normal", (), fi.normal, {}),
    ("normal", (0.5, 2.0), fi.normal, {"mean": 0.5, "std": 2.0}),
    ("truncated_normal", (1.0, 2.0, -1.0, 0.5), fi.truncated_normal,
     {"mean": 1.0, "std": 2.0, "lower": -1.0, "upper": 0.5}),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize(("method", "args", "function", "kwargs"), FIRST, ids=[f[0] for f in FIRST])
def test_first_draw_is_the_function(
    method: str, args: tuple[float, ...], function: Any, kwargs: dict[str, float], dtype: str
) -> None:
    got = getattr(fi.default_rng(3), method)(*args, size=(7, 11), dtype=dtype, num_threads=2)
    assert got.tobytes() == function((7, 11), seed=3, dtype=dtype, **kwargs).tobytes()
    out = np.empty((11, 7), got.dtype).T
    assert getattr(fi.default_rng(3), method)(*args, out=out) is out
    assert (out == got).all()


def test_one_stream_for_all_methods() -> None:
    rng = fi.default_rng(1)
    parts = [rng.random(3), rng.standard_normal(4), rng.random(5)]
    want = fi.uniform(12, seed=1, dtype="float64")
    assert (parts[0] == want[:3]).all()
    assert (parts[2] == want[7:]).all()
    rng.random((0, 3))
    assert (rng.random() == fi.uniform(13, seed=1, dtype="float64")[12]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("method", "p0", "p1"),
    [
        ("normal", 0.3, 1.7), ("normal", -7.1, 0.013), ("normal", 3.0, 0.0),
        ("uniform", -1.3, 2.7), ("uniform", 1.0, 1.0000002), ("uniform", 5.0, 5.0),
        ("truncated_normal", 0.3, 1.7), ("truncated_normal", 0.3, 0.0),
    ],
)  # fmt: skip
def test_arrays_of_parameters_give_what_numbers_give(method: str, p0: float, p1: float, dtype: str) -> None:
    n = 20_001  # several chunks
    want = getattr(fi.default_rng(3), method)(p0, p1, size=n, dtype=dtype)
    for parameters in ((np.full(n, p0), p1), (p0, [p1])):
        assert getattr(fi.default_rng(3), method)(*parameters, size=n, dtype=dtype).tobytes() == want.tobytes()
    out = np.zeros((2, n), want.dtype)[::-1, ::-1].T[:, 0]
    assert getattr(fi.default_rng(3), method)([p0], p1, out=out) is out
    assert out.tobytes() == want.tobytes()


def test_array_parameters() -> None:
    loc, scale = np.array([0.0, 100.0]), np.array([[1.0], [2.0], [0.0]])
    drawn = fi.default_rng(0).normal(loc, scale)
    for index in np.ndindex(3, 2):
        place = index[0] * 2 + index[1]
        assert drawn[index] == fi.default_rng(0).normal(loc[index[1]], scale[index[0], 0], 6)[place]
    assert (fi.default_rng(0).normal(loc, scale, size=(4, 3, 2)).shape) == (4, 3, 2)
    assert fi.default_rng(0).normal(loc, scale, size=(0, 3, 2)).shape == (0, 3, 2)
    high = np.nextafter(np.float32(1), np.float32(2))
    x = fi.default_rng(0).uniform(np.full(10_000, 1.0), float(high), dtype="float32")
    assert x.max() < high
    assert fi.default_rng(0).normal(fi.ones(3, dtype="bfloat16"), 0.0).tolist() == [1.0, 1.0, 1.0]
    itself = np.arange(3.0)
    fi.default_rng(0).normal(itself[::-1], 1.0, out=itself)
    assert (itself == fi.default_rng(0).normal([2.0, 1.0, 0.0], 1.0)).all()
    for words in (["1"], [True, 1]):
        with pytest.raises(TypeError, match="loc must be a real number or an array of them"):
            fi.default_rng(0).normal(np.array(words, object), 1.0)
    rng = fi.default_rng(0)
    rng.normal(loc, 1.0)
    assert rng.random() == fi.uniform(3, seed=0, dtype="float64")[2]


@pytest.mark.parametrize(("lower", "upper"), [(5.0, 6.0), (-np.inf, 1.0), (-8.0, 8.0), (0.1, 0.2)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_arrays_of_parameters_move_truncated_draws(lower: float, upper: float, dtype: str) -> None:
    want = fi.default_rng(3).truncated_normal(0.3, 1.7, lower, upper, 5000, dtype=dtype)
    got = fi.default_rng(3).truncated_normal([0.3], 1.7, lower, upper, 5000, dtype=dtype)
    assert np.abs(got - want).max() <= 2 * np.spacing(np.abs(want).max())
    assert got.min() >= want.dtype.type(0.3 + 1.7 * lower)
    assert got.max() <= want.dtype.type(0.3 + 1.7 * upper)


def test_arrays_of_parameters_in_far_windows() -> None:
    want = fi.default_rng(0).truncated_normal(-1000.0, 1.0, 1000.0, 1001.0, 10**5, dtype="float32")
    got = fi.default_rng(0).truncated_normal(np.full(10**5, -1000.0), 1.0, 1000.0, 1001.0, dtype="float32")
    assert np.abs(got - want).max() < 1e-7 and len(np.unique(got)) > 0.99 * 10**5


def test_arrays_of_parameters_take_little_memory() -> None:
    out = np.empty((2**19, 4), np.float32)
    tracemalloc.start()
    fi.default_rng(0).normal([0.0, 1.0, 2.0, 3.0], 1.0, out=out)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**20


WRONG = [
    ("random", (-1,), {}, ValueError, "size: negative dimensions are not allowed, got -1"),
    ("random", (2.0,), {}, TypeError, "size must be an int or a sequence of ints, got 2.0"),
    ("random", (3,), {"dtype": "int32"}, TypeError,
     "dtype must be one of float32, ..., float8_e5m2 in native byte order, got 'int32'"),
    ("random", (3,), {"out": np.zeros(4)}, ValueError, "size must match out.shape: size gives (3,), out has (4,)"),
    ("random", (3,), {"num_threads": 0}, ValueError, "num_threads must be at least 1, got 0"),
    ("normal", (0.0, -1.0), {}, ValueError, "scale < 0: scale must be non-negative, got -1.0"),
    ("normal", (0, [1, -1]), {}, ValueError, "scale < 0: scale must be non-negative, got -1.0"),
    ("normal", (0, -0.0), {}, ValueError, "scale < 0: scale must be non-negative, got -0.0"),
    ("normal", (0, [-0.0]), {}, ValueError, "scale < 0: scale must be non-negative, got -0.0"),
    ("normal", (float("nan"),), {}, ValueError, "loc must be finite, got nan"),
    ("normal", ("a",), {}, TypeError, "loc must be a real number, got 'a'"),
    ("normal", (["a"],), {}, TypeError, "loc must be a real number or an array of them, got ['a']"),
    ("normal", ([1j],), {}, TypeError, "loc must be a real number or an array of them, got [1j]"),
    ("normal", ([0.0], [float("inf")]), {}, ValueError, "scale must be finite, got inf"),
    ("normal", (0.0, 1e39, 3), {"dtype": "float32"}, ValueError, "scale must be finite in float32, got 1e+39"),
    ("normal", ([0.0], 1e39), {"dtype": "float32"}, ValueError, "scale must be finite in float32, got 1e+39"),
    ("normal", ([1e5], 1.0), {"dtype": "float16"}, ValueError, "loc must be finite in float16, got 100000.0"),
    ("normal", ([1.0, 2.0], [1.0, 2.0, 3.0]), {}, ValueError,
     "loc and scale must broadcast together, got shapes (2,) and (3,)"),
    ("uniform", ([0.0, 1.0], [1.0, 2.0, 3.0]), {}, ValueError,
     "low and high must broadcast together, got shapes (2,) and (3,)"),
    ("uniform", (0.0, [1e6, 1.0]), {"dtype": "float16"}, ValueError, "high must be finite in float16, got 1000000.0"),
    ("uniform", (0.0, [[1], [1, 2]]), {}, TypeError, "high must be a real number or an array of them, got [[1], [1, 2]]"),
    ("random", (3.0,), {}, TypeError, "size must be an int or a sequence of ints, got 3.0"),
    ("truncated_normal", (0.0, 1e38, 5.0, 6.0), {"dtype": "float32"}, ValueError,
     "the window of lower and upper must be finite in float32, got 5e+38"),
    ("truncated_normal", ([0.0], 1e38, 5.0, 6.0), {"dtype": "float32"}, ValueError,
     "the window of lower and upper must be finite in float32, got 5e+38"),
    ("truncated_normal", ([0.0], 1e38, -6.0, -5.0), {"dtype": "float32"}, ValueError,
     "the window of lower and upper must be finite in float32, got -5e+38"),
    ("normal", ([0.0, 1.0], 1.0, 3), {}, ValueError, "size (3,) does not hold loc and scale of shape (2,)"),
    ("normal", ([0.0, 1.0], 1.0, ()), {}, ValueError, "size () does not hold loc and scale of shape (2,)"),
    ("uniform", (1.0, 0.0), {}, ValueError, "high - low < 0: low is 1.0, high is 0.0"),
    ("uniform", ([1.0], 0.0), {}, ValueError, "high - low < 0: high - low must be non-negative, got -1.0"),
    ("uniform", (-1.7e308, [1.7e308]), {}, ValueError, "high - low must be finite, got inf"),
    ("uniform", (-3e38, 3e38, 2), {"dtype": "float32"}, ValueError, "high - low must be finite in float32, got 6e+38"),
    ("truncated_normal", (0.0, 1.0, 2.0, -2.0), {}, ValueError, "lower must be below upper, got 2.0 and -2.0"),
    ("truncated_normal", (0.0, [-1.0]), {}, ValueError, "scale < 0: scale must be non-negative, got -1.0"),
    ("spawn", (-1,), {}, ValueError, "n_children must be at least 0, got -1"),
    ("spawn", (1.5,), {}, TypeError, "n_children must be an int, got 1.5"),
]


@pytest.mark.parametrize(("method", "args", "kwargs", "error", "message"), WRONG)
def test_errors_leave_the_position(
    method: str, args: tuple[Any, ...], kwargs: dict[str, Any], error: type[Exception], message: str
) -> None:
    rng = fi.default_rng(0)
    with pytest.raises(error, match=whole(message)):
        getattr(rng, method)(*args, **kwargs)
    assert rng.random() == fi.default_rng(0).random()


class Own(fi.Generator):
    pass


def test_a_subclass_keeps_what_it_adds() -> None:
    class Named(fi.Generator):
        name = ""

    rng = Named(0)
    rng.name = "a"
    rng.random(3)
    again = copy.deepcopy(rng)
    assert (type(again), again.name, again.random()) == (Named, "a", rng.random())


def test_spawned_generators_do_not_repeat() -> None:
    assert type(Own(0).spawn(1)[0]) is Own
    rng = fi.default_rng(0)
    many = [rng, *rng.spawn(3), *rng.spawn(3), *rng.spawn(1)[0].spawn(2)]
    assert len({g.random() for g in many}) == len(many)
    assert rng.spawn(0) == []


class Words(ISeedSequence):
    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        return np.arange(7, 7 + n_words, dtype=dtype)


def test_bit_generator_takes_keys_and_checks_states() -> None:
    key = fi.Key(5).fold_in("noise")
    bits = fi.Philox4x32(key)
    words = fi.Philox4x32(key).random_raw(20)
    assert fi.Philox4x32(Words()).random_raw() == fi.Philox4x32(fi.Key(Words())).random_raw()
    assert fi.Key(Words()).bits == 7 | 8 << 32
    k0, k1 = key.bits % 2**32, key.bits >> 32
    assert words.tolist() == reference.words(np.arange(20), (k0, k1)).tolist()
    state = bits.state
    for wrong in (
        None, {}, {"bit_generator": "MT19937"}, {"bit_generator": "Philox4x32"},
        {**state, "state": {"key": 2**64, "position": 0}}, {**state, "state": {"key": 0, "position": -1}},
        {**state, "state": {"key": 0.5, "position": 0}},
    ):  # fmt: skip
        message = f"state must be a dict for a Philox4x32 generator, with the 64-bit ints ... under 'state'; got {wrong}"
        with pytest.raises(ValueError if isinstance(wrong, dict) else TypeError, match=whole(message)):
            bits.state = wrong
    assert bits.state == state
    for move, name in ((bits.advance, "delta"), (bits.jumped, "jumps")):
        with pytest.raises(TypeError, match=whole(f"{name} must be an int, got 1.5")):
            move(1.5)
    for wrong in (1.5, "a"):
        message = f"seed must be None, a non-negative int, ... or a fastinit.Key; got {wrong!r}"
        with pytest.raises(TypeError, match=whole(message)):
            fi.Philox4x32(wrong)
    assert bits.advance(-3).random_raw(4)[3] == words[0]


def test_bit_generator_under_numpys_lock() -> None:
    rng = np.random.Generator(fi.Philox4x32(0))
    parts: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: parts.append(rng.random(500))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    want = np.random.Generator(fi.Philox4x32(0)).random(4000)
    assert sorted(np.concatenate(parts)) == sorted(want)


def test_bit_generator_moves_under_the_lock_that_its_user_holds() -> None:
    bits, done = fi.Philox4x32(0), threading.Event()

    def move() -> None:
        with bits.lock:
            bits.state = bits.advance(3).state
        done.set()

    threading.Thread(target=move, daemon=True).start()
    assert done.wait(10.0)
    assert bits.state["state"]["position"] == 3


def test_copies_of_bit_generators_spawn_their_own_children() -> None:
    for seed in (1, 2):
        first = fi.Philox4x32(seed)
        other = pickle.loads(pickle.dumps(first))
        assert first.spawn(1)[0].state == other.spawn(1)[0].state == fi.Philox4x32(seed).spawn(1)[0].state


def test_bit_generator_initialised_again_restarts_its_generators() -> None:
    bits = fi.Philox4x32(0)
    rng = np.random.Generator(bits)
    rng.random(3)
    bits.__init__(1)  # type: ignore[misc]
    assert rng.random(100).tobytes() == np.random.Generator(fi.Philox4x32(1)).random(100).tobytes()


def test_array_parameters_under_strict_errors() -> None:
    with np.errstate(all="raise"):
        x = fi.default_rng(0).normal([0.0, 0.0], [1e-4, 1.0], dtype="float16", size=(5, 2))
        y = fi.default_rng(0).uniform([0.0, 0.0], [1e-5, 1.0], dtype="float16")
    assert x[:, 0].any() and y[0] > 0.0  # subnormal numbers among them


@pytest.mark.parametrize("seed", [5, [1, 2]])
def test_integers_of_any_kind_seed_a_bit_generator(seed: int | list[int]) -> None:
    class Index:
        def __init__(self, value: int) -> None:
            self.value = value

        def __index__(self) -> int:
            return self.value

    kinds: list[Any] = [np.array(seed), [Index(s) for s in seed] if isinstance(seed, list) else Index(seed)]
    want = fi.Philox4x32(seed).state
    for kind in kinds:
        assert fi.Philox4x32(kind).state == want


def test_names_of_numpys_generator_say_where_they_are() -> None:
    rng = fi.default_rng(0)
    with pytest.raises(AttributeError, match=r"no attribute 'integers'; numpy.random.Generator\(fastinit.Philox4x32\(seed"):
        rng.integers(3)
    for name in ("nonesuch", "_bit_generator"):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'$"):
            getattr(rng, name)
    assert pickle.loads(pickle.dumps(rng)).random() == copy.copy(rng).random() == rng.random()
