"""Whole models: specifications and `initialize`."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import numpy as np
import pytest
from messages import whole
from records import RECORDS

import fastinit as fi
from fastinit import Key, Spec


def test_functions_in_arguments_may_fill() -> None:
    def scaled(x: np.ndarray) -> Any:
        return fi.constant(x.shape, 3.0, dtype="float64") * x

    spec = Spec("he_normal", (4, 4), nonlinearity=scaled)
    got = fi.initialize({"a": spec, "b": Spec("ones", 3)}, seed=0)
    assert got["a"].tobytes() == spec.build(Key(0).fold_in("a")).tobytes()


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


def test_every_initializer_by_name() -> None:
    specs = {r.id: Spec(r.name, r.shapes[-1], **r.kwargs) for r in RECORDS}
    got = fi.initialize(specs, seed=1, num_threads=2)
    for record in RECORDS:
        want = record(record.shapes[-1], seed=Key(1).fold_in(record.id))
        assert got[record.id].tobytes() == want.tobytes()


def test_order_and_company_change_nothing() -> None:
    specs = {f"w{i}": Spec("normal", (i, 7)) for i in range(20)}
    whole = fi.initialize(specs)
    backwards = fi.initialize(dict(reversed(specs.items())))
    for name in specs:
        assert whole[name].tobytes() == backwards[name].tobytes()
        assert whole[name].tobytes() == fi.initialize({name: specs[name]})[name].tobytes()


def filled(shape: Any, seed: Any, table: Any) -> np.ndarray:
    return np.zeros(shape)


def test_spec_is_a_value() -> None:
    spec = Spec(fi.he_normal, [64, 32], mode="fan_out")
    assert spec == Spec("he_normal", (64, 32), mode="fan_out")
    own = [Spec(filled, 3, table=table) for table in (np.arange(3), np.arange(3), np.arange(3.0), None)]
    assert own[0] == own[1] and own[0] != own[2] and own[0] != own[3]
    assert spec != Spec("he_normal", (64, 32))
    assert spec != "he_normal"
    assert hash(spec) == hash(Spec("he_normal", (64, 32), mode="fan_out"))
    assert repr(spec) == "Spec('he_normal', (64, 32), mode='fan_out')"
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert eval(repr(spec), {"Spec": Spec}) == spec
    assert Spec("identity", np.int64(3)).build().shape == (3, 3)
    with pytest.raises(AttributeError, match="a Spec is immutable: cannot set shape"):
        spec.shape = (3,)
    with pytest.raises(AttributeError, match="cannot delete kwargs"):
        del spec.kwargs
    with pytest.raises(TypeError):
        spec.kwargs["mode"] = "fan_in"  # type: ignore[index]


def doubled(shape: Any, seed: Any, factor: float = 2.0) -> np.ndarray:
    return factor * fi.normal(shape, seed=seed)


def into(shape: Any, seed: Any, out: np.ndarray | None = None, num_threads: int | None = None) -> np.ndarray:
    result = fi.normal(shape, seed=seed, out=out, num_threads=num_threads)
    result += 1
    return result


def test_functions_of_the_user() -> None:
    specs = {
        "a": Spec(doubled, 50),
        "b": Spec("normal", 50),
        "c": Spec(functools.partial(fi.normal, std=0.5), 50),
        "d": Spec(into, 50),
    }
    out = np.zeros(50, np.float32)
    got = fi.initialize(specs, seed=2, out={"d": out})
    assert list(got) == list(specs)
    assert (got["a"] == 2 * fi.normal(50, seed=Key(2).fold_in("a"))).all()
    assert (got["c"] == fi.normal(50, std=0.5, seed=Key(2).fold_in("c"))).all()
    assert got["d"] is out
    assert (out == 1 + fi.normal(50, seed=Key(2).fold_in("d"))).all()
    assert pickle.loads(pickle.dumps(specs["a"])) == specs["a"]
    assert "partial" in repr(specs["c"])
    assert fi.initialize({"d": Spec(into, 3)}, num_threads=2)["d"].shape == (3,)
    with pytest.raises(ValueError, match="x: out must be returned by"):
        fi.initialize({"x": Spec(lambda shape, seed, out: out.copy(), 3)}, out={"x": out[:3]})


@pytest.mark.parametrize("normal", ["normal", fi.normal])
def test_an_argument_that_there_is_not(normal: Any) -> None:
    with pytest.raises(TypeError, match=whole("sdt is not an argument of normal; it takes mean, std, dtype, shard")):
        Spec(normal, 3, sdt=1.0)


BAD = [
    ({"bad": Spec("normal", 3, std=-1.0)}, ValueError, "bad: std < 0"),
    ({"bad": Spec("he_normal", 3)}, ValueError, "bad: shape must have at least 2 dimensions"),
    ({"bad": Spec("normal", 3, dtype="int8")}, TypeError, "bad: dtype must be one of"),
    ({"bad": Spec("normal", 2**55)}, MemoryError, "bad: Unable to allocate"),
    ({"bad": Spec(lambda shape, seed: 1 / 0 if seed is None else int("x"), 3)}, ValueError, "bad: invalid literal"),
    ({"bad": Spec(lambda shape, seed: "x", 3)}, ValueError, "bad: .* must return an array of shape .3,., got str"),
    ({"bad": Spec(lambda shape, seed: np.ones(2), 3)}, ValueError, "bad: .* array of shape .3,., got shape .2,."),
    ({"bad": Spec(lambda shape, seed: np.float32(1.0), (1,))}, ValueError, "got shape ..$"),
    ({"bad": Spec(lambda shape, seed: type("T", (), {"shape": 3}), 3)}, ValueError, "got shape 3$"),
]


@pytest.mark.parametrize(("more", "error", "message"), BAD, ids=[m for _, _, m in BAD])
def test_an_error_names_its_tensor_and_leaves_all_outs_untouched(
    more: dict[str, Spec], error: type[Exception], message: str
) -> None:
    kinds = [
        Spec("normal", (6, 6)), Spec("zeros", (6, 6)), Spec("constant", (6, 6), value=2.0), Spec("sparse", (6, 6)),
        Spec("identity", 6), Spec("dirac", (3, 2, 2)), Spec("xavier_normal", (6, 6), blocks=[2, 4]),
    ]  # fmt: skip
    specs = {str(i): kind for i, kind in enumerate(kinds)}
    outs = {name: np.full(spec.build().shape, 7, np.float32) for name, spec in specs.items()}
    with pytest.raises(error, match=message) as caught:
        fi.initialize({**specs, **more}, out=outs)
    assert type(caught.value) is error
    assert all((out == 7).all() for out in outs.values())


def test_outs_must_not_overlap() -> None:
    buffer = np.zeros((6, 8), np.float32)
    a, b = Spec("normal", (6, 4)), Spec("normal", (6, 4))
    fi.initialize({"a": a, "b": b}, out={"a": buffer[:, :4], "b": buffer[:, 4:]})
    assert (buffer[:, :4] == fi.initialize({"a": a})["a"]).all()
    fi.initialize({"a": a, "b": b}, out={"a": buffer[:, ::2], "b": buffer[:, :0:-2]})
    for first, second in ((buffer[:, :4], buffer[:, :4]), (buffer[:, :4], buffer[:, 1:5]),
                          (buffer[:, ::2], buffer[:, 4:])):  # fmt: skip
        before = buffer.copy()
        with pytest.raises(ValueError, match=r"out must not overlap: '[ab]' and '[ab]' share memory"):
            fi.initialize({"a": a, "b": b}, out={"a": first, "b": second})
        assert (buffer == before).all()
    with pytest.raises(TypeError, match="out must be a mapping of names to arrays, got list"):
        fi.initialize({"a": a}, out=[buffer])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a: out must be a NumPy array, got list"):
        fi.initialize({"a": a}, out={"a": [1.0]})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"a: size must match out\.shape"):
        fi.initialize({"a": a}, out={"a": buffer})


def test_shards_of_a_model() -> None:
    shard = (slice(3, 9), slice(None, None, 2))
    whole = fi.initialize({"w": Spec("xavier_normal", (16, 12), blocks=[4, 8])}, seed=3)["w"]
    part = fi.initialize({"w": Spec("xavier_normal", (16, 12), blocks=[4, 8], shard=shard)}, seed=3)["w"]
    assert (part == whole[shard]).all()
    assert fi.initialize({}) == {}


def test_lists_in_a_spec_cannot_change_it() -> None:
    sizes = [2, 4]
    spec = fi.Spec("he_normal", (4, 6), blocks=sizes)
    sizes.append(3)
    assert spec == fi.Spec("he_normal", (4, 6), blocks=(2, 4))
    assert hash(spec) == hash(fi.Spec("he_normal", (4, 6), blocks=[2, 4]))
    assert len({fi.Spec("normal", 4, shard=(slice(0, 2),)), fi.Spec("normal", 4, shard=(slice(0, 2),))}) == 1


def test_a_spec_keeps_copies_of_lists_and_arrays() -> None:
    array, rows = np.ones((2, 2)), [[1.0, 2.0], [3.0, 4.0]]
    specs = [Spec("constant", (2, 2), value=array), Spec("constant", (2, 2), value=rows)]
    want = [spec.build() for spec in specs]
    copies = pickle.loads(pickle.dumps(specs))
    array[0, 0] = rows[0][0] = 9.0
    assert [spec.build().tolist() for spec in specs] == [w.tolist() for w in want]
    assert specs == copies and specs[0] != specs[1]
    nested = [Spec("constant", (2, 2), value=[np.ones(2), np.full(2, top)]) for top in (1, 1, 2)]
    assert nested[0] == nested[1] != nested[2]
