"""Gains: published values, conventions, bits, errors."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from records import ACTIVATIONS

import fastinit

ROWS = json.loads((Path(__file__).parent / "data" / "moments.json").read_text())["rows"]
UNIT = [(name, params, values) for name, params, q, mean, values in ROWS if q == 1.0 and mean == 0.0]


def test_every_activation_is_in_the_fixtures() -> None:
    assert {row[0] for row in UNIT} == set(ACTIVATIONS) - {"prelu"}


@pytest.mark.parametrize(("name", "params", "values"), UNIT)
def test_against_mpmath(name: str, params: dict[str, float], values: list[str]) -> None:
    mean, second = float(values[0]), float(values[1])
    assert fastinit.gain(name, **params) == pytest.approx(second**-0.5, rel=1e-14)
    variance = fastinit.gain(name, convention="variance", **params)
    assert variance == pytest.approx((second - mean**2) ** -0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("linear", 1.0),
        ("relu", 1.4142135623731),
        ("elu", 1.24519830070071),
        ("gelu", 1.53353044119554),
        ("gelu_tanh", 1.53358052166615),
        ("silu", 1.67653247033109),
        ("mish", 1.48684758127321),
        ("softplus", 1.0418668355353),
        ("tanh", 1.59253741972283),
        ("sigmoid", 1.84622854533861),
        ("hardtanh", 1.39203614044831),
        ("sin", 1.52086662317881),
    ],
)
def test_known_values(name: str, value: float) -> None:
    assert fastinit.gain(name) == pytest.approx(value, rel=1e-12)


def test_exact_values() -> None:
    assert fastinit.gain("relu") == math.sqrt(2.0)
    assert fastinit.gain("abs") == 1.0
    assert fastinit.gain("selu") == pytest.approx(1.0, abs=1e-15)
    assert fastinit.gain("selu", convention="variance") == pytest.approx(1.0, abs=1e-15)
    for slope in (0.0, 0.01, 0.2, 1.0, -1.0, 3.0):
        assert fastinit.gain("leaky_relu", negative_slope=slope) == math.sqrt(2.0 / (1.0 + slope**2))
        assert fastinit.gain("leaky_relu", a=slope) == fastinit.gain("leaky_relu", negative_slope=slope)


def test_torch_table() -> None:
    table = {"linear": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    for name, value in table.items():
        assert fastinit.gain(name, convention="torch") == value
    assert fastinit.gain("leaky_relu", convention="torch") == math.sqrt(2 / (1 + 0.01**2))
    assert fastinit.gain("leaky_relu", convention="torch", negative_slope=0.2) == math.sqrt(2 / (1 + 0.2**2))
    for name in ("gelu", "nonsense"):
        with pytest.raises(ValueError, match="leaky_relu"):
            fastinit.gain(name, convention="torch")
    with pytest.raises(ValueError, match="torch"):
        fastinit.gain(np.tanh, convention="torch")
    with pytest.raises(TypeError, match="negative_slope"):
        fastinit.gain("relu", convention="torch", negative_slope=0.1)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("swish", "silu"),
        ("identity", "linear"),
        ("hard_tanh", "hardtanh"),
        ("relu2", "squared_relu"),
        ("logsigmoid", "log_sigmoid"),
        ("hard_swish", "hardswish"),
        ("hardsigmoid", "hard_sigmoid"),
        ("arctan", "atan"),
        ("gelu_new", "gelu_tanh"),
        ("GELU", "gelu"),
        ("Leaky-ReLU", "leaky_relu"),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    assert fastinit.gain(alias) == fastinit.gain(name)


def test_bits_of_named_gains() -> None:
    bits = {name: fastinit.gain(name).hex() for name in ACTIVATIONS}
    expected = json.loads((Path(__file__).parent / "data" / "gains.json").read_text())
    assert bits == expected


def test_functions() -> None:
    def relu(x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0.0)

    assert fastinit.gain(relu) == pytest.approx(math.sqrt(2), rel=1e-13)
    assert fastinit.gain(np.tanh) == pytest.approx(fastinit.gain("tanh"), rel=1e-13)
    assert fastinit.gain(np.tanh, convention="variance") == pytest.approx(fastinit.gain("tanh"), rel=1e-13)
    shifted = fastinit.gain(lambda x, k: np.maximum(x - k, 0.0), k=0.337)
    assert shifted == pytest.approx(fastinit.gain(lambda x: np.maximum(x - 0.337, 0.0), kinks=[0.337]), rel=1e-12)


def test_unknown_activation_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="rellu") as error:
        fastinit.gain("rellu")
    for name in ACTIVATIONS:
        assert name in str(error.value)


@pytest.mark.parametrize("bad", [None, 3, 1.5, b"relu", ["relu"]])
def test_wrong_type(bad: object) -> None:
    with pytest.raises(TypeError, match="activation"):
        fastinit.gain(bad)  # type: ignore[arg-type]


def test_parameters_are_checked() -> None:
    with pytest.raises(TypeError, match="alpha is not a parameter of relu"):
        fastinit.gain("relu", alpha=1.0)
    with pytest.raises(TypeError, match="beta"):
        fastinit.gain("elu", beta=1.0)
    with pytest.raises(TypeError, match="alpha"):
        fastinit.gain("elu", alpha="1")
    with pytest.raises(TypeError, match="alpha"):
        fastinit.gain("elu", alpha=True)
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="negative_slope"):
            fastinit.gain("leaky_relu", negative_slope=value)
    for value in (0.0, -1.0):
        with pytest.raises(ValueError, match="alpha must be positive"):
            fastinit.gain("celu", alpha=value)
    with pytest.raises(TypeError, match="same parameter"):
        fastinit.gain("leaky_relu", negative_slope=0.1, a=0.1)
    with pytest.raises(ValueError, match="convention"):
        fastinit.gain("relu", convention="he")
    with pytest.raises(TypeError, match="convention"):
        fastinit.gain("relu", convention=None)  # type: ignore[arg-type]


def test_functions_that_have_no_gain() -> None:
    with pytest.raises(ValueError, match="second moment"):
        fastinit.gain(lambda x: 0.0 * x)
    for rate in (0.25, 0.3, 1.0):  # E exp(2 rate z^2) is infinite
        with pytest.raises(ValueError, match="must have a positive, finite second moment, got inf"):
            fastinit.gain(lambda x, rate=rate: np.exp(rate * x * x))
        with pytest.raises(ValueError, match="must have a positive, finite variance, got inf"):
            fastinit.gain(lambda x, rate=rate: np.exp(rate * x * x), convention="variance")
    assert fastinit.gain(lambda x: np.exp(0.2 * x * x)) == pytest.approx(0.2**0.25, rel=1e-12)
    with pytest.raises(ValueError, match="second moment"):
        fastinit.gain("sin", w=0.0)
    with pytest.raises(ValueError, match="variance"):
        fastinit.gain(lambda x: 0.0 * x + 3.0, convention="variance")
    for bad in (lambda x: x + 1j, lambda x: ["a"] * len(x)):
        with pytest.raises(TypeError, match="activation must return an array of real numbers, got <class"):
            fastinit.gain(bad)
    with pytest.raises(ValueError, match="finite"):
        fastinit.gain(lambda x: np.log(x))
    with pytest.raises(ValueError, match="same shape"):
        fastinit.gain(lambda x: x[:3])
    with pytest.raises(ValueError, match="same shape"):
        fastinit.gain(lambda x: 1.0)
    with pytest.raises(ZeroDivisionError):
        fastinit.gain(lambda x: 1 / 0)
    for kinks in (3, np.array(1), "x", np):
        with pytest.raises(TypeError, match="kinks must be a sequence of real numbers"):
            fastinit.gain(np.tanh, kinks=kinks)
