"""Seeds and keys."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from messages import whole

import fastinit as fi
from fastinit import Key
from fastinit.propagation import Dense, simulate


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


def test_a_generator_advances_only_where_nothing_is_wrong() -> None:
    for make, kwargs in ((fi.he_normal, {"gain": 1e60}), (fi.xavier_uniform, {"gain": 1e60}),
                         (fi.variance_scaling, {"scale": 1e120}), (fi.normal, {"std": -1.0})):  # fmt: skip
        rng = np.random.default_rng(1)
        with pytest.raises(ValueError, match=r"must be|< 0"):
            make((4, 4), seed=rng, **kwargs)
        assert rng.random() == np.random.default_rng(1).random()
    rng = np.random.default_rng(1)
    for wrong in ({"repeats": 0}, {"dtype": "int8"}, {"input_var": -1.0}, {"jacobian": 1}, {"progress": 3}):
        with pytest.raises((TypeError, ValueError), match=r"must be|< 0"):
            simulate([Dense(4)], 4, seed=rng, **wrong)
    assert rng.random() == np.random.default_rng(1).random()


def test_key_splits_by_a_count() -> None:
    with pytest.raises(TypeError, match=whole("n must be an int, got True")):
        Key(0).split(True)
