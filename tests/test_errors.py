"""Wrong arguments: type, message, and `out` untouched."""

from __future__ import annotations

import os
import subprocess
import sys
from inspect import signature
from itertools import combinations
from typing import Any

import numpy as np
import pytest

import fastinit as fi
from fastinit.spec import INITIALIZERS

NAN, INF = float("nan"), float("inf")


def view(n: int, strides: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(np.zeros(n, np.float32), shape, strides, writeable=True)


def read_only() -> np.ndarray:
    x = np.zeros(3, np.float32)
    x.flags.writeable = False
    return x


CASES: list[tuple[str, tuple, dict[str, Any], type[Exception], str]] = [
    ("normal", (), {}, TypeError, "shape must be given when out is not"),
    ("normal", (-1,), {}, ValueError, "negative dimensions are not allowed"),
    ("normal", (2.0,), {}, TypeError, "shape must be an int or a sequence of ints, got 2.0"),
    ("normal", (True,), {}, TypeError, "shape must be an int"),
    ("normal", ("3",), {}, TypeError, "shape must be an int"),
    ("normal", ((3, 1.5),), {}, TypeError, "shape must be an int"),
    ("normal", ((2**40, 2**40),), {}, ValueError, "too large"),
    ("normal", ((2**55,),), {}, MemoryError, "Unable to allocate"),
    ("normal", (3, "a"), {}, TypeError, "mean must be a real number, got 'a'"),
    ("normal", (3, NAN), {}, ValueError, "mean must be finite, got nan"),
    ("normal", (3, 0.0, INF), {}, ValueError, "std must be finite, got inf"),
    ("normal", (3, 0.0, -1.0), {}, ValueError, "std < 0"),
    ("normal", (3, 0.0, 1e39), {}, ValueError, "std must be finite in float32"),
    ("normal", (3, 465.0), {"dtype": "float8_e4m3fn"}, ValueError, "mean must be finite in float8_e4m3fn"),
    ("uniform", (3, -500, 1), {"dtype": "float8_e4m3fn"}, ValueError, "low must be finite in float8_e4m3fn"),
    ("uniform", (3, 0, 1e5), {"dtype": "float16"}, ValueError, "high must be finite in float16"),
    ("truncated_normal", (3, 1e5), {"dtype": "float8_e5m2"}, ValueError, "window of lower and upper must be finite"),
    ("xavier_uniform", ((2, 2),), {"gain": 1.7e308, "dtype": "float64"}, ValueError, "uniform law must be finite"),
    ("xavier_normal", ((2, 2),), {"gain": 1e308, "fan_in": 1e-5, "fan_out": 1e-5}, ValueError,
     "standard deviation must be finite"),
    ("he_uniform", ((3, 3),), {"gain": 1e5, "dtype": "float16"}, ValueError, "bound of the uniform law must be finite"),
    ("normal", (3,), {"dtype": "int32"}, TypeError, "dtype must be one of float32, float64"),
    ("normal", (3,), {"dtype": ">f4"}, TypeError, "native byte order"),
    ("normal", (3,), {"dtype": "complex64"}, TypeError, "dtype must be one of"),
    ("normal", (3,), {"dtype": "nonsense"}, TypeError, "dtype must be one of"),
    ("normal", (3,), {"dtype": {"names": ["a"], "formats": []}}, TypeError, "dtype must be one of"),
    ("normal", (3,), {"dtype": "\ud800"}, TypeError, "dtype must be one of"),
    ("normal", (3,), {"seed": -1}, ValueError, "seed must be None, a non-negative int"),
    ("normal", (3,), {"seed": 1.5}, TypeError, "seed must be"),
    ("normal", (3,), {"seed": "a"}, TypeError, "seed must be"),
    ("normal", (3,), {"seed": []}, ValueError, "seed must be"),
    ("normal", (3,), {"seed": type(fi.default_rng())}, TypeError, "seed must be"),
    ("normal", (np.timedelta64(3),), {}, TypeError, "shape must be an int or a sequence of ints"),
    ("normal", (3, np.timedelta64(1)), {}, TypeError, "mean must be a real number"),
    ("normal", (3,), {"num_threads": np.timedelta64(1)}, TypeError, "num_threads must be an int"),
    ("normal", (3,), {"num_threads": 0}, ValueError, "num_threads must be at least 1, got 0"),
    ("normal", (3,), {"num_threads": 1.0}, TypeError, "num_threads must be an int"),
    ("normal", (3,), {"shard": 2}, TypeError, "shard must be a tuple of slices, got 2"),
    ("normal", (3,), {"shard": (1,)}, TypeError, "shard must be a tuple of slices"),
    ("normal", (3,), {"shard": (slice(1), slice(1))}, ValueError, "shard has 2 slices"),
    ("normal", (3,), {"shard": slice(0.5)}, TypeError, "shard must hold slices of ints"),
    ("normal", (), {"shard": slice(1), "out": np.zeros(1, np.float32)}, TypeError, "shape, the global one"),
    ("normal", (3,), {"out": [1.0]}, TypeError, "out must be a NumPy array, got list"),
    ("normal", (4,), {"out": np.zeros(3, np.float32)}, ValueError, "size must match out.shape"),
    ("normal", (3,), {"out": np.zeros(3), "dtype": "float32"}, TypeError, "expected float32, got float64"),
    ("normal", (3,), {"out": np.zeros(3, int)}, TypeError, "out must have one of the dtypes"),
    ("normal", (3,), {"out": np.zeros(3, object)}, TypeError, "out must have one of the dtypes"),
    ("normal", (3,), {"out": np.zeros(3, ">f4")}, TypeError, "native byte order"),
    ("normal", (3,), {"out": read_only()}, ValueError, "out must be writable"),
    ("normal", (), {"out": view(1, (0,), (4,))}, ValueError, "overlap itself"),
    ("normal", (), {"out": view(9, (4, 4), (3, 3))}, ValueError, "overlap itself"),
    ("normal", (), {"out": view(9, (2,), (3,))}, ValueError, "overlap itself"),
    ("uniform", (3, 1.0, 0.0), {}, ValueError, "high - low < 0"),
    ("uniform", (3, NAN), {}, ValueError, "low must be finite"),
    ("uniform", (3, -3e38, 3e38), {}, ValueError, "high - low must be finite in float32"),
    ("uniform", (3, -1.7e308, 1.7e308), {"dtype": "float64"}, ValueError, "high - low must be finite"),
    ("truncated_normal", (3, 0, 1, 2, -2), {}, ValueError, "lower must be below upper"),
    ("truncated_normal", (3, 0, 1, NAN), {}, ValueError, "lower must be a number, not NaN"),
    ("truncated_normal", (3,), {"bounds": "std"}, ValueError, "bounds must be one of sigma, absolute; got 'std'"),
    ("truncated_normal", (3,), {"correct_std": 1}, TypeError, "correct_std must be a bool"),
    ("variance_scaling", ((3, 3), -1.0), {}, ValueError, "scale < 0"),
    ("variance_scaling", ((3, 3), 1.0, "fan"), {}, ValueError, "mode must be one of fan_in, fan_out, fan_avg"),
    ("variance_scaling", ((3, 3),), {"distribution": "gauss"}, ValueError, "distribution must be one of"),
    ("xavier_normal", ((3,),), {}, ValueError, "at least 2 dimensions"),
    ("xavier_normal", ((),), {}, ValueError, "at least 2 dimensions"),
    ("xavier_normal", ((3, 3), "reluu"), {}, ValueError, "activation must be one of linear, relu"),
    ("he_normal", ((3, 3),), {"nonlinearity": "nope"}, ValueError, "nonlinearity: activation must be one of"),
    ("he_normal", ((3, 3),), {"nonlinearity": lambda: 0}, TypeError, "nonlinearity: .* takes 0 positional arguments"),
    ("he_normal", ((3, 3),), {"nonlinearity": "tanh", "negative_slope": 1}, ValueError, "negative_slope belongs"),
    ("he_normal", ((3, 3),), {"nonlinearity": "tanh", "negative_slope": 1, "gain": 1}, ValueError, "negative_slope b"),
    ("he_uniform", ((3, 3),), {"nonlinearity": "nonsense", "gain": 1}, ValueError, "nonlinearity: .* one of linear"),
    ("he_normal", ((3, 3),), {"negative_slope": NAN}, ValueError, "negative_slope must be finite"),
    ("he_normal", ((3, 3),), {"layout": "oihw"}, ValueError, "layout 'oihw' must have one letter per dimension"),
    ("he_normal", ((3, 3),), {"layout": "xy"}, ValueError, "must hold the letters i and o"),
    ("he_normal", ((3, 3),), {"layout": "io", "in_axis": 0}, ValueError, "already names the axes"),
    ("he_normal", ((3, 3),), {"in_axis": 5}, ValueError, "in_axis 5 is out of range"),
    ("he_normal", ((3, 3),), {"in_axis": 1}, ValueError, "must not share an axis"),
    ("he_normal", ((3, 4),), {"groups": 3}, ValueError, "groups must divide the out axis: 3 does not divide 4"),
    ("he_normal", ((3, 4),), {"groups": 0}, ValueError, "groups must be at least 1"),
    ("he_normal", ((3, 4),), {"blocks": 3}, ValueError, "blocks must divide the out axis"),
    ("he_normal", ((3, 4),), {"blocks": [1, 2]}, ValueError, "blocks must sum to the out axis of length 4"),
    ("he_normal", ((3, 4),), {"fan_in": 0}, ValueError, "fan_in must be positive"),
    ("he_normal", ((3, 4),), {"groups": np.array([1, 2])}, TypeError, "groups must be an int"),
    ("orthogonal", (3,), {}, ValueError, r"shape must have at least 2 dimensions, got \(3,\)"),
    ("orthogonal", ((3, 3), "nope"), {}, ValueError, "gain: activation must be one of linear"),
    ("delta_orthogonal", ((3, 3, 3), "nope"), {}, ValueError, "gain: activation must be one of linear"),
    ("sparse", ((3, 4), 1.5), {}, ValueError, r"sparsity must be in \[0, 1\]"),
    ("sparse", ((3, 4), NAN), {}, ValueError, "sparsity must be finite"),
    ("sparse", ((3, 4, 5),), {}, ValueError, "shape must have 2 dimensions"),
    ("identity", (True,), {}, TypeError, "shape must be an int or a sequence of ints, got True"),
    ("identity", ((3, 4, 5),), {}, ValueError, "shape must have 2 dimensions"),
    ("dirac", ((3, 4),), {}, ValueError, "shape must have 3, 4 or 5 dimensions"),
    ("dirac", ((3, 4, 5),), {"groups": 2}, ValueError, "groups must divide the out axis: 2 does not divide 5"),
    ("constant", (3, INF), {}, ValueError, "value must be finite"),
    ("gain", ("nope",), {}, ValueError, "activation must be one of linear, relu"),
    ("gain", ("relu",), {"convention": "he"}, ValueError, "convention must be one of"),
    ("gain", ("relu",), {"alpha": 1.0}, TypeError, "alpha is not a parameter of relu"),
    ("gain", ("gelu",), {"convention": "torch"}, ValueError, "for the torch convention, got 'gelu'"),
    ("gain", (3,), {}, TypeError, "activation must be a name or a function"),
    ("gain", ("leaky_relu",), {"a": 1, "negative_slope": 2}, TypeError, "a and negative_slope name the same"),
    ("set_num_threads", (0,), {}, ValueError, "num_threads must be at least 1"),
    ("set_num_threads", ("2",), {}, TypeError, "num_threads must be an int"),
    ("Spec", ("he", (3, 3)), {}, ValueError, "initializer must be one of normal"),
    ("Spec", (3, (3, 3)), {}, TypeError, "initializer must be a name or a function"),
    ("Spec", ("normal", 3), {"seed": 1}, TypeError, "seed belongs to initialize"),
    ("xavier_normal", ((3, 3), "nope"), {}, ValueError, "gain: activation must be one of linear"),
    ("initialize", ([],), {}, TypeError, "specs must be a mapping"),
    ("initialize", ({"a": fi.Spec("ones", 2)},), {"seed": "x", "out": 3, "num_threads": 0}, TypeError, "seed must be"),
    ("initialize", ({"a": 1},), {}, TypeError, "specs must map names to Spec"),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "error", "message"), CASES)
def test_message(name: str, args: tuple, kwargs: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        getattr(fi, name)(*args, **kwargs)


def test_out_is_untouched_on_error() -> None:
    out = np.full((3, 4), 7.0, np.float32)
    for name, kwargs in [
        ("normal", {"std": -1.0}), ("uniform", {"low": 2.0}), ("truncated_normal", {"lower": 3.0}),
        ("he_normal", {"blocks": 3}), ("sparse", {"sparsity": 2.0}), ("identity", {"seed": -1}),
        ("normal", {"num_threads": -1}), ("zeros", {"seed": "x"}), ("xavier_normal", {"gain": "x"}),
    ]:  # fmt: skip
        with pytest.raises((ValueError, TypeError)):
            getattr(fi, name)(out=out, **kwargs)
    good = fi.Spec("normal", (3, 4))
    with pytest.raises(ValueError, match=r"b: std < 0"):
        fi.initialize({"a": good, "b": fi.Spec("normal", 3, std=-1.0)}, out={"a": out})
    with pytest.raises(ValueError, match="out names tensors that specs does not: 'c'"):
        fi.initialize({"a": good}, out={"c": out})
    assert (out == 7).all()


def test_impossible_isa_is_an_error() -> None:
    code = "import fastinit; fastinit.isa()"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "FASTINIT_ISA": "mmx"},
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "FASTINIT_ISA: 'mmx' is not available on this machine; available: " in done.stderr


# One wrong value for every argument there is.
WRONG_VALUES: dict[str, Any] = {
    **dict.fromkeys("mean std low high lower upper scale value sparsity negative_slope".split(), "text"),
    **dict.fromkeys("mode distribution method bounds".split(), "nothing"),
    **dict.fromkeys("nonlinearity layout out shard progress scaled correct_std".split(), 3),
    **dict.fromkeys("shape in_axis out_axis batch_axis".split(), "x"),
    **dict.fromkeys("groups blocks num_threads".split(), 0),
    **dict.fromkeys("fan_in fan_out seed".split(), -1),
    "gain": object(),
    "dtype": "int8",
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_arguments_are_checked_in_order(name: str) -> None:
    shape = (3, 3, 4, 4) if name in ("dirac", "delta_orthogonal") else (4, 4)
    for first, second in combinations(signature(getattr(fi, name)).parameters, 2):
        wrong = {"shape": shape, first: WRONG_VALUES[first], second: WRONG_VALUES[second]}
        with pytest.raises((TypeError, ValueError), match=f"^{first}"):
            getattr(fi, name)(**wrong)
