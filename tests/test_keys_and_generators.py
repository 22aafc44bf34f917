"""Seeds and keys, NumPy's interfaces, whole models."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

import fastinit as fi
from fastinit import Key, Spec


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**70, [1, 2], (3,), np.int64(5), True, np.array([4, 5])], ids=str)
def test_key_is_seed_sequence(seed: object) -> None:
    entropy = seed if not isinstance(seed, np.ndarray) else seed.tolist()
    k0, k1 = reference.key_of(entropy)
    assert Key(seed).bits == k0 | k1 << 32
    assert Key(np.random.SeedSequence(entropy)) == Key(seed)


def test_sources_of_seeds() -> None:
    assert Key() != Key()
    rng = np.random.default_rng(0)
    words = np.random.default_rng(0).integers(0, 2**32, size=2, dtype=np.uint32).tolist()
    assert Key(rng).bits == words[0] | words[1] << 32
    assert Key(rng) != Key(rng)
    mine = fi.default_rng(0)
    assert Key(mine) != Key(mine)
    assert Key(np.random.RandomState(0)) == Key(np.random.RandomState(0))
    key = Key(3)
    assert (fi.normal(5, seed=key) == fi.normal(5, seed=3)).all()
    assert pickle.loads(pickle.dumps(key)) == key
    assert {key: 1}[Key(3)] == 1
    with pytest.raises(AttributeError):
        key.bits = 3


@given(st.one_of(st.text(), st.integers()), st.one_of(st.text(), st.integers()))
def test_fold_in(a: object, b: object) -> None:
    same = type(a) is type(b) and a == b
    assert (Key(0).fold_in(a) == Key(0).fold_in(b)) == same
    assert Key(0).fold_in(a) != Key(1).fold_in(a)


def test_fold_in_is_philox_of_blake2b() -> None:
    from hashlib import blake2b

    counter = np.frombuffer(blake2b(b"sabc", digest_size=16).digest(), "<u4").astype(np.uint64)
    w = reference.philox(counter[None], reference.key_of(0))[0].tolist()
    assert Key(0).fold_in("abc").bits == w[0] | w[1] << 32
    assert Key(0).split(3) == [Key(0).fold_in(i) for i in range(3)]


def test_keys_are_independent() -> None:
    a, b = (fi.normal(200_000, seed=k, dtype="float64") for k in Key(0).split(2))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / 200_000**0.5
    for lag in (1, 16, 32, 64):
        assert abs(np.corrcoef(a[lag:], a[:-lag])[0, 1]) < 5 / 200_000**0.5
        assert abs(np.corrcoef(a[lag:] ** 2, a[:-lag] ** 2)[0, 1]) < 5 / 200_000**0.5


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
    with pytest.raises(ValueError, match="scale < 0"):
        rng.normal(0, -1)
    with pytest.raises(ValueError, match="high - low < 0"):
        rng.uniform(1, 0)
    with pytest.raises(ValueError, match="scale < 0"):
        rng.normal(0, [1, -1])
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
    assert moved.jumped().state["state"]["position"] == moved.state["state"]["position"] + 2**60
    held = np.random.Generator(moved)
    moved.advance(-moved.state["state"]["position"])
    assert held.bit_generator.random_raw() == want[0]
    assert len(moved.spawn(2)) == 2
    with pytest.raises(ValueError, match="state must be a dict"):
        moved.state = {"bit_generator": "MT19937"}


def test_initialize() -> None:
    specs = {
        "a": Spec("he_normal", (64, 32)), "b": Spec("zeros", 32), "c": Spec(fi.uniform, (5,), low=-1.0),
        "s": Spec("sparse", (8, 8), sparsity=0.5),
        "q": Spec("xavier_normal", (6, 6), blocks=[2, 4], dtype="bfloat16"),
    }  # fmt: skip
    got = fi.initialize(specs, seed=5)
    assert list(got) == list(specs)
    for name, spec in specs.items():
        assert got[name].tobytes() == spec.build(Key(5).fold_in(name)).tobytes()
    fewer = fi.initialize({k: specs[k] for k in ("c", "a")}, seed=5, num_threads=2)
    assert fewer["a"].tobytes() == got["a"].tobytes()
    out = np.empty((64, 32), np.float32, order="F")
    assert fi.initialize(specs, seed=5, out={"a": out})["a"] is out
    assert (out == got["a"]).all()
    assert repr(specs["c"]) == "Spec('uniform', (5,), low=-1.0)"
    assert pickle.loads(pickle.dumps(specs["a"])) == specs["a"]
