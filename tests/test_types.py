"""What users write passes a strict type checker, and what is wrong does not: mypy reads this file too."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import fastinit as fi
from fastinit import propagation as P


def test_what_type_checkers_accept_runs() -> None:
    w = fi.he_normal((784, 256), seed=0)
    for seed in (None, 3, np.int64(3), [1, 2], np.array([1, 2]), fi.Key(0), fi.default_rng(0), np.random.default_rng(0)):
        assert fi.normal(5, dtype=ml_dtypes.bfloat16, seed=seed).shape == (5,)
    fi.normal([5, np.int64(3)], dtype="bfloat16", seed=np.random.SeedSequence(0), shard=(slice(0, 2), slice(None)))
    fi.uniform(out=np.empty(3, np.float16), shard=None)
    fi.orthogonal((4, 4), gain="tanh", blocks=[2, 2], in_axis=(0,), out_axis=1, progress=lambda _: None)
    fi.constant(3, [1, 2, 3], dtype=np.dtype(np.float64))
    fi.default_rng(0).normal(np.zeros(3), 1.0, size=(4, 3), dtype="float32")
    q, r = fi.linalg.householder_qr(w)
    assert fi.linalg.householder_qr(w, "r").shape == r.shape == (256, 256) and q.shape == w.shape
    np.random.Generator(fi.Philox4x32(0))
    weights = fi.initialize({"w": fi.Spec("he_normal", (3, 4))}, seed=0)
    fi.propagation.propagate([P.Dense(weight=weights["w"]), P.Activation(np.tanh)], batch=np.eye(3))
    P.simulate([P.Conv(4, weight=np.ones((3, 3, 2, 4)), image=4), P.Activation("relu")], batch=2, seed=fi.Key(2))


def test_what_type_checkers_refuse_fails() -> None:
    with pytest.raises(TypeError):
        fi.normal("3")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        fi.normal(3, seed="3")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        fi.normal(3, dtype=3.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        fi.normal(3, shard=3)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        fi.he_nrmal(3)  # type: ignore[attr-defined]
