"""Wrong arguments: type, message, and `out` untouched."""

from __future__ import annotations

import re
from inspect import signature
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from messages import whole
from processes import run

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
    ("normal", (-1,), {}, ValueError, "shape: negative dimensions are not allowed, got -1"),
    ("normal", (2.0,), {}, TypeError, "shape must be an int or a sequence of ints, got 2.0"),
    ("normal", (True,), {}, TypeError, "shape must be an int or a sequence of ints, got True"),
    ("normal", ("3",), {}, TypeError, "shape must be an int or a sequence of ints, got '3'"),
    ("normal", ((3, 1.5),), {}, TypeError, "shape must be an int or a sequence of ints, got (3, 1.5)"),
    ("normal", ((2**40, 2**40),), {}, ValueError,
     "shape (1099511627776, 1099511627776) is too large: its bytes do not fit 63 bits"),
    ("normal", ((2**55,),), {}, MemoryError,
     "Unable to allocate 128. PiB for an array with shape (36028797018963968,) and data type float32"),
    ("normal", (3, "a"), {}, TypeError, "mean must be a real number, got 'a'"),
    ("normal", (3, NAN), {}, ValueError, "mean must be finite, got nan"),
    ("normal", (3, 0.0, INF), {}, ValueError, "std must be finite, got inf"),
    ("normal", (3, 0.0, -1.0), {}, ValueError, "std < 0: std must be non-negative, got -1.0"),
    ("normal", (3, 0.0, 1e39), {}, ValueError, "std must be finite in float32, got 1e+39"),
    ("normal", (3, 465.0), {"dtype": "float8_e4m3fn"}, ValueError, "mean must be finite in float8_e4m3fn, got 465.0"),
    ("truncated_normal", (2, 5.0, 0.0, -1.0, 1.0), {"bounds": "absolute"}, ValueError,
     "std is 0 and mean 5.0 lies outside [-1.0, 1.0]"),
    ("truncated_normal", (2, 1e39, 0.0), {}, ValueError, "mean must be finite in float32, got 1e+39"),
    ("truncated_normal", (2, 1e39, 1.0, -INF, INF), {}, ValueError, "mean must be finite in float32, got 1e+39"),
    ("uniform", (3, -500, 1), {"dtype": "float8_e4m3fn"}, ValueError, "low must be finite in float8_e4m3fn, got -500.0"),
    ("uniform", (3, 0, 1e5), {"dtype": "float16"}, ValueError, "high must be finite in float16, got 100000.0"),
    ("truncated_normal", (3, 1e5), {"dtype": "float8_e5m2"}, ValueError,
     "the window of lower and upper must be finite in float8_e5m2, got 99998.0"),
    ("xavier_uniform", ((2, 2),), {"gain": 1.7e308, "dtype": "float64"}, ValueError,
     "gain 1.7e+308 with fan 2.0: the width of the uniform law must be finite in float64, got inf"),
    ("xavier_normal", ((2, 2),), {"gain": 1e308, "fan_in": 1e-5, "fan_out": 1e-5}, ValueError,
     "gain 1e+308 with fan 1e-05: the standard deviation must be finite in float32, got inf"),
    ("he_uniform", ((3, 3),), {"gain": 1e5, "dtype": "float16"}, ValueError,
     "gain 100000.0 with fan 3: the bound of the uniform law must be finite in float16, got 100000.0"),
    ("normal", (3,), {"dtype": "int32"}, TypeError,
     "dtype must be one of float32, ..., float8_e5m2 in native byte order, got 'int32'"),
    ("normal", (3,), {"dtype": ">f4"}, TypeError,
     "dtype must be one of float32, ..., float8_e5m2 in native byte order, got '>f4'"),
    ("normal", (3,), {"dtype": "complex64"}, TypeError,
     "dtype must be one of float32, ..., float8_e5m2 in native byte order, got 'complex64'"),
    ("normal", (3,), {"dtype": "nonsense"}, TypeError,
     "dtype must be one of float32, ..., float8_e5m2 in native byte order, got 'nonsense'"),
    ("normal", (3,), {"dtype": {"names": ["a"], "formats": []}}, TypeError,
     "dtype must be one of float32, ..., float8_e5m2 in native byte order, got {'names': ['a'], 'formats': []}"),
    ("normal", (3,), {"dtype": "\ud800"}, TypeError,
     "dtype must be one of float32, ..., float8_e5m2 in native byte order, got '\\ud800'"),
    ("normal", (3,), {"seed": -1}, ValueError, "seed must be None, a non-negative int, ..., or a fastinit.Key; got -1"),
    ("normal", (3,), {"seed": 1.5}, TypeError, "seed must be None, a non-negative int, ..., or a fastinit.Key; got 1.5"),
    ("normal", (3,), {"seed": "a"}, TypeError, "seed must be None, a non-negative int, ..., or a fastinit.Key; got 'a'"),
    ("normal", (3,), {"seed": []}, ValueError, "seed must be None, a non-negative int, ..., or a fastinit.Key; got []"),
    ("normal", (3,), {"seed": type(fi.default_rng())}, TypeError,
     "seed must be None, a non-negative int, ..., or a fastinit.Key; got <class 'fastinit.random.Generator'>"),
    ("normal", (np.timedelta64(3, "s"),), {}, TypeError,
     "shape must be an int or a sequence of ints, got ...timedelta64(3,'s')"),
    ("normal", (0, 0.02, (784, 256)), {}, TypeError,
     "std must be a real number, got (784, 256); the shape is the first argument"),
    ("truncated_normal", (0, 1, [2, 3]), {}, TypeError,
     "std must be a real number, got [2, 3]; the shape is the first argument"),
    ("uniform", (-1, 1, (2, 3)), {}, TypeError, "high must be a real number, got (2, 3); the shape is the first argument"),
    ("normal", (3, np.timedelta64(1, "s")), {}, TypeError, "mean must be a real number, got ...timedelta64(1,'s')"),
    ("normal", (3,), {"num_threads": np.timedelta64(1, "s")}, TypeError,
     "num_threads must be an int, got ...timedelta64(1,'s')"),
    ("normal", (3,), {"num_threads": 0}, ValueError, "num_threads must be at least 1, got 0"),
    ("normal", (3,), {"num_threads": 1.0}, TypeError, "num_threads must be an int, got 1.0"),
    ("normal", (3,), {"shard": 2}, TypeError, "shard must be a tuple of slices, got 2"),
    ("normal", (3,), {"shard": (1,)}, TypeError, "shard must be a tuple of slices, got (1,)"),
    ("normal", (3,), {"shard": (slice(1), slice(1))}, ValueError, "shard has 2 slices for a shape of 1 dimensions"),
    ("normal", (3,), {"shard": slice(0.5)}, TypeError, "shard must hold slices of ints, got slice(None, 0.5, None)"),
    ("normal", (), {"shard": slice(1), "out": np.zeros(1, np.float32)}, TypeError,
     "shape, the global one, must be given with shard"),
    ("normal", (3,), {"out": [1.0]}, TypeError, "out must be a NumPy array, got list"),
    ("normal", (4,), {"out": np.zeros(3, np.float32)}, ValueError,
     "size must match out.shape: shape gives (4,), out has (3,)"),
    ("normal", (3,), {"out": np.zeros(3), "dtype": "float32"}, TypeError,
     "out has the wrong dtype: expected float32, got float64"),
    ("normal", (3,), {"out": np.zeros(3, int)}, TypeError,
     "out must have one of the dtypes float32, ..., float8_e5m2 in native byte order, got int64"),
    ("normal", (3,), {"out": np.zeros(3, object)}, TypeError,
     "out must have one of the dtypes float32, ..., float8_e5m2 in native byte order, got object"),
    ("normal", (3,), {"out": np.zeros(3, ">f4")}, TypeError,
     "out must have one of the dtypes float32, ..., float8_e5m2 in native byte order, got >f4"),
    ("normal", (3,), {"out": read_only()}, ValueError, "out must be writable, got a read-only array"),
    ("normal", (), {"out": view(1, (0,), (4,))}, ValueError,
     "out must not overlap itself, or interleave, got strides (0,) for shape (4,)"),
    ("normal", (), {"out": view(9, (4, 4), (3, 3))}, ValueError,
     "out must not overlap itself, or interleave, got strides (4, 4) for shape (3, 3)"),
    ("normal", (), {"out": view(9, (2,), (3,))}, ValueError,
     "out must not overlap itself, or interleave, got strides (2,) for shape (3,)"),
    ("uniform", (3, 1.0, 0.0), {}, ValueError, "high - low < 0: low is 1.0, high is 0.0"),
    ("uniform", (3, NAN), {}, ValueError, "low must be finite, got nan"),
    ("uniform", (3, -3e38, 3e38), {}, ValueError, "high - low must be finite in float32, got 6e+38"),
    ("uniform", (3, -1.7e308, 1.7e308), {"dtype": "float64"}, ValueError,
     "high - low must be finite, got low -1.7e+308 and high 1.7e+308"),
    ("truncated_normal", (3, 0, 1, 2, -2), {}, ValueError, "lower must be below upper, got 2.0 and -2.0"),
    ("truncated_normal", (3, 0, 1, NAN), {}, ValueError, "lower must be a number, not NaN, got nan"),
    ("truncated_normal", (3,), {"bounds": "std"}, ValueError, "bounds must be one of sigma, absolute; got 'std'"),
    ("truncated_normal", (3,), {"correct_std": 1}, TypeError, "correct_std must be a bool, got 1"),
    ("variance_scaling", ((3, 3), -1.0), {}, ValueError, "scale < 0: scale must be non-negative, got -1.0"),
    ("variance_scaling", ((3, 3), 1.0, "fan"), {}, ValueError,
     "mode must be one of fan_in, fan_out, fan_avg, fan_geo_avg; got 'fan' (did you mean 'fan_in'?)"),
    ("variance_scaling", ((3, 3),), {"distribution": "gauss"}, ValueError,
     "distribution must be one of normal, uniform, truncated_normal; got 'gauss'"),
    ("xavier_normal", ((3,),), {}, ValueError,
     "shape must have at least 2 dimensions for fans to be computed, got (3,); give fan_in and fan_out, ..."),
    ("xavier_normal", ((),), {}, ValueError,
     "shape must have at least 2 dimensions for fans to be computed, got (); give fan_in and fan_out, ..."),
    ("xavier_normal", ((3, 3), "reluu"), {}, ValueError,
     "gain: activation must be one of linear, relu, ..., tanhshrink; got 'reluu' (did you mean 'relu'?)"),
    ("he_normal", ((3, 3),), {"nonlinearity": "nope"}, ValueError,
     "nonlinearity: activation must be one of linear, relu, ..., tanhshrink; got 'nope'"),
    ("he_normal", ((3, 3),), {"nonlinearity": lambda: 0}, TypeError,
     "nonlinearity: activation must take a float64 array, ...: <lambda>() takes 0 positional arguments but 1 was given"),
    ("he_normal", ((3, 3),), {"nonlinearity": "tanh", "negative_slope": 1}, ValueError,
     "negative_slope belongs to relu, leaky_relu and prelu, not to 'tanh'"),
    ("he_normal", ((3, 3),), {"nonlinearity": "tanh", "negative_slope": 1, "gain": 1}, ValueError,
     "negative_slope belongs to relu, leaky_relu and prelu, not to 'tanh'"),
    ("he_uniform", ((3, 3),), {"nonlinearity": "nonsense", "gain": 1}, ValueError,
     "nonlinearity: activation must be one of linear, relu, ..., tanhshrink; got 'nonsense'"),
    ("he_normal", ((3, 3),), {"negative_slope": NAN}, ValueError, "negative_slope must be finite, got nan"),
    ("he_normal", ((3, 3),), {"layout": "oihw"}, ValueError,
     "layout 'oihw' must have one letter per dimension of shape (3, 3)"),
    ("he_normal", ((3, 3),), {"layout": "xy"}, ValueError,
     "layout must hold the letters i and o once, b for a batch axis, and others (...) for the receptive field; got 'xy'"),
    ("he_normal", ((3, 3),), {"layout": "io", "in_axis": 0}, ValueError,
     "layout 'io' already names the axes: give no in_axis, out_axis, batch_axis"),
    ("he_normal", ((3, 3),), {"in_axis": 5}, ValueError, "in_axis 5 is out of range for a shape of 2 dimensions"),
    ("he_normal", ((3, 3),), {"in_axis": 1}, ValueError,
     "in_axis (1,), out_axis (1,) and batch_axis () must not share an axis"),
    ("he_normal", ((3, 4),), {"groups": 3}, ValueError, "groups must divide the out axis: 3 does not divide 4"),
    ("he_normal", ((3, 4),), {"groups": 0}, ValueError, "groups must be at least 1, got 0"),
    ("he_normal", ((3, 4),), {"blocks": 3}, ValueError, "blocks must divide the out axis: 3 does not divide 4"),
    ("he_normal", ((3, 4),), {"blocks": [1, 2]}, ValueError, "blocks must sum to the out axis of length 4, got [1, 2]"),
    ("he_normal", ((3, 4),), {"fan_in": 0}, ValueError, "fan_in must be positive, got 0"),
    ("he_normal", ((3, 4),), {"groups": np.array([1, 2])}, TypeError, "groups must be an int, got array([1, 2])"),
    ("orthogonal", (3,), {}, ValueError, "shape must have at least 2 dimensions, got (3,)"),
    ("orthogonal", ((3, 3), "nope"), {}, ValueError,
     "gain: activation must be one of linear, relu, ..., tanhshrink; got 'nope'"),
    ("delta_orthogonal", ((3, 3, 3), "nope"), {}, ValueError,
     "gain: activation must be one of linear, relu, ..., tanhshrink; got 'nope'"),
    ("sparse", ((3, 4), 1.5), {}, ValueError, "sparsity must be in [0, 1], got 1.5"),
    ("sparse", ((3, 4), NAN), {}, ValueError, "sparsity must be finite, got nan"),
    ("sparse", ((3, 4, 5),), {}, ValueError, "shape must have 2 dimensions, got (3, 4, 5)"),
    ("identity", (True,), {}, TypeError, "shape must be an int or a sequence of ints, got True"),
    ("identity", ((3, 4, 5),), {}, ValueError, "shape must have 2 dimensions, got (3, 4, 5)"),
    ("dirac", ((3, 4),), {}, ValueError, "shape must have 3, 4 or 5 dimensions, as a convolution's kernel, got (3, 4)"),
    ("dirac", ((3, 4, 5),), {"groups": 2}, ValueError, "groups must divide the out axis: 2 does not divide 5"),
    ("constant", (3, INF), {}, ValueError, "value must be finite, got inf"),
    ("constant", (3, [0.0, INF, 0.0]), {}, ValueError, "value must be finite, got inf"),
    ("constant", (3, [0.0, 1.0]), {}, ValueError, "value must broadcast to the shape (3,), got shape (2,)"),
    ("constant", ((), [0.0]), {}, ValueError, "value must broadcast to the shape (), got shape (1,)"),
    ("constant", (3, ["a"]), {}, TypeError, "value must be a real number or an array of them, got ['a']"),
    ("constant", (3, [0.0, 1.0, 1e5]), {"dtype": "float16"}, ValueError, "value must be finite in float16, got 100000.0"),
    ("gain", ("nope",), {}, ValueError, "activation must be one of linear, relu, ..., tanhshrink; got 'nope'"),
    ("gain", ("relu",), {"convention": "he"}, ValueError,
     "convention must be one of second_moment, variance, torch; got 'he'"),
    ("gain", ("relu",), {"alpha": 1.0}, TypeError, "alpha is not a parameter of relu; its parameters: none"),
    ("gain", ("gelu",), {"convention": "torch"}, ValueError,
     "activation must be one of linear, identity, ..., selu for the torch convention, got 'gelu'"),
    ("gain", (3,), {}, TypeError, "activation must be a name or a function of an array, got 3"),
    ("gain", ("leaky_relu",), {"a": 1, "negative_slope": 2}, TypeError,
     "a and negative_slope name the same parameter of leaky_relu"),
    ("set_num_threads", (0,), {}, ValueError, "num_threads must be at least 1, got 0"),
    ("set_num_threads", ("2",), {}, TypeError, "num_threads must be an int, got '2'"),
    ("Spec", ("he", (3, 3)), {}, ValueError, "initializer must be one of normal, uniform, ..., constant; got 'he'"),
    ("Spec", (3, (3, 3)), {}, TypeError, "initializer must be a name or a function, got 3"),
    ("Spec", ("normal", 3), {"seed": 1}, TypeError, "seed belongs to initialize, not to a Spec"),
    ("xavier_normal", ((3, 3), "nope"), {}, ValueError,
     "gain: activation must be one of linear, relu, ..., tanhshrink; got 'nope'"),
    ("initialize", ([],), {}, TypeError, "specs must be a mapping of names to Spec, got list"),
    ("initialize", ({"a": fi.Spec("ones", 2)},), {"seed": "x", "out": 3, "num_threads": 0}, TypeError,
     "seed must be None, a non-negative int, ..., or a fastinit.Key; got 'x'"),
    ("initialize", ({"a": 1},), {}, TypeError, "specs must map names to Spec, got 'a': 1"),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "error", "message"), CASES)
def test_message(name: str, args: tuple, kwargs: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=whole(message)):
        getattr(fi, name)(*args, **kwargs)


def test_out_is_untouched_on_error() -> None:
    out = np.full((3, 4), 7.0, np.float32)
    for name, kwargs, message in [
        ("normal", {"std": -1.0}, "std < 0: std must be non-negative, got -1.0"),
        ("uniform", {"low": 2.0}, "high - low < 0: low is 2.0, high is 1.0"),
        ("truncated_normal", {"lower": 3.0}, "lower must be below upper, got 3.0 and 2.0"),
        ("he_normal", {"blocks": 3}, "blocks must divide the out axis: 3 does not divide 4"),
        ("sparse", {"sparsity": 2.0}, "sparsity must be in [0, 1], got 2.0"),
        ("identity", {"seed": -1}, "seed must be None, a non-negative int, ..., or a fastinit.Key; got -1"),
        ("normal", {"num_threads": -1}, "num_threads must be at least 1, got -1"),
        ("zeros", {"seed": "x"}, "seed must be None, a non-negative int, ..., or a fastinit.Key; got 'x'"),
        ("xavier_normal", {"gain": "x"}, "gain: activation must be one of linear, relu, ..., tanhshrink; got 'x'"),
    ]:
        with pytest.raises((ValueError, TypeError), match=whole(message)):
            getattr(fi, name)(out=out, **kwargs)
    good = fi.Spec("normal", (3, 4))
    with pytest.raises(ValueError, match=whole("b: std < 0: std must be non-negative, got -1.0")):
        fi.initialize({"a": good, "b": fi.Spec("normal", 3, std=-1.0)}, out={"a": out})
    with pytest.raises(ValueError, match=whole("out names tensors that specs does not: 'c'")):
        fi.initialize({"a": good}, out={"c": out})
    assert (out == 7).all()


def test_impossible_isa_is_an_error() -> None:
    done = run("import fastinit; fastinit.isa()", FASTINIT_ISA="mmx")
    assert done.returncode != 0
    available = ", ".join(fi.available_isas())
    assert f"ValueError: FASTINIT_ISA: 'mmx' is not available on this machine; available: {available}\n" in done.stderr


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


@pytest.mark.parametrize("name", ["orthogonal", "delta_orthogonal", "identity", "dirac", "sparse"])
def test_a_shape_of_wrong_rank_comes_first(name: str) -> None:
    for other in set(signature(getattr(fi, name)).parameters) - {"shape"}:
        with pytest.raises(ValueError, match=r"^shape "):
            getattr(fi, name)((2,) if name == "orthogonal" else (2,) * 7, **{other: WRONG_VALUES[other]})


@pytest.mark.parametrize("name", INITIALIZERS)
def test_arguments_are_checked_in_order(name: str) -> None:
    shape = (3, 3, 4, 4) if name in ("dirac", "delta_orthogonal") else (4, 4)
    for first, second in combinations(signature(getattr(fi, name)).parameters, 2):
        wrong = {"shape": shape, first: WRONG_VALUES[first], second: WRONG_VALUES[second]}
        received = {"out": "int"}.get(first, repr(WRONG_VALUES[first]))
        with pytest.raises((TypeError, ValueError), match=rf"^{first}\b.* {re.escape(received)}$"):
            getattr(fi, name)(**wrong)
