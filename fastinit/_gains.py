"""Gains of activations from exact integrals over the standard normal law."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ._args import check_choice, check_number

CONVENTIONS = ("second_moment", "variance", "torch")
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def _elu(x: float, alpha: float = 1.0) -> float:
    return x if x > 0 else alpha * math.expm1(x)


def _clip(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


def _leaky(x: float, negative_slope: float = 0.01) -> float:
    return x if x > 0 else negative_slope * x


def _gelu_tanh(x: float) -> float:
    return 0.5 * x * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _celu(x: float, alpha: float = 1.0) -> float:
    return x if x > 0 else alpha * math.expm1(x / alpha)


# THE table: the function and the places where a derivative jumps.
ACTIVATIONS: dict[str, tuple[Callable[..., float], tuple[float, ...]]] = {
    "linear": (lambda x: x, ()),
    "relu": (lambda x: max(x, 0.0), (0.0,)),
    "leaky_relu": (_leaky, (0.0,)),
    "prelu": (lambda x, negative_slope=0.25: _leaky(x, negative_slope), (0.0,)),
    "relu6": (lambda x: _clip(x, 0.0, 6.0), (0.0, 6.0)),
    "elu": (_elu, (0.0,)),
    "celu": (_celu, (0.0,)),
    "selu": (lambda x: _SELU_SCALE * _elu(x, _SELU_ALPHA), (0.0,)),
    "gelu": (lambda x: 0.5 * x * math.erfc(-x / math.sqrt(2.0)), ()),
    "gelu_tanh": (_gelu_tanh, ()),
    "quick_gelu": (lambda x: x * _sigmoid(1.702 * x), ()),
    "silu": (lambda x: x * _sigmoid(x), ()),
    "mish": (lambda x: x * math.tanh(_softplus(x)), ()),
    "softplus": (_softplus, ()),
    "tanh": (math.tanh, ()),
    "sigmoid": (_sigmoid, ()),
    "hardtanh": (lambda x: _clip(x, -1.0, 1.0), (-1.0, 1.0)),
    "hard_sigmoid": (lambda x: _clip(x / 6.0 + 0.5, 0.0, 1.0), (-3.0, 3.0)),
    "hardswish": (lambda x: x * _clip(x + 3.0, 0.0, 6.0) / 6.0, (-3.0, 3.0)),
    "softsign": (lambda x: x / (1.0 + abs(x)), (0.0,)),
    "erf": (math.erf, ()),
    "atan": (math.atan, ()),
    "sin": (lambda x, w=1.0: math.sin(w * x), ()),
    "squared_relu": (lambda x: max(x, 0.0) ** 2, (0.0,)),
    "abs": (abs, (0.0,)),
    "log_sigmoid": (lambda x: -_softplus(-x), ()),
    "tanhshrink": (lambda x: x - math.tanh(x), ()),
}
ALIASES = {"swish": "silu", "identity": "linear", "hard_tanh": "hardtanh", "relu2": "squared_relu",
           "logsigmoid": "log_sigmoid", "hard_swish": "hardswish", "hardsigmoid": "hard_sigmoid",
           "arctan": "atan"}  # fmt: skip
_PARAMS = {"leaky_relu": "negative_slope", "prelu": "negative_slope", "elu": "alpha", "celu": "alpha",
           "sin": "w"}  # fmt: skip
_TORCH = {"linear": 1.0, "identity": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "sigmoid": 1.0,
          "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}  # fmt: skip


def _nodes(kinks: tuple[float, ...]) -> tuple[list[float], list[float]]:
    """Composite Gauss-Legendre on [-12, 12], a panel edge at every kink, weighted by the density."""
    edges = sorted({-12.0, 12.0, *[k / 2.0 for k in range(-23, 24)], *kinks})
    x, w = np.polynomial.legendre.leggauss(24)
    points: list[float] = []
    weights: list[float] = []
    for a, b in itertools.pairwise(edges):
        for xi, wi in zip(x.tolist(), w.tolist(), strict=True):
            z = 0.5 * (a + b) + 0.5 * (b - a) * xi
            points.append(z)
            weights.append(0.5 * (b - a) * wi * math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi))
    return points, weights


@functools.lru_cache(maxsize=1024)
def _named_gain(name: str, convention: str, params: tuple[tuple[str, float], ...]) -> float:
    if name in ("relu", "leaky_relu", "prelu") and convention == "second_moment":
        slope = {"relu": 0.0, "leaky_relu": 0.01, "prelu": 0.25}[name]
        slope = dict(params).get("negative_slope", slope)
        return math.sqrt(2.0 / (1.0 + slope * slope))
    function, kinks = ACTIVATIONS[name]
    points, weights = _nodes(kinks)
    return _gain_of([function(z, **dict(params)) for z in points], weights, convention)


def _gain_of(values: list[float], weights: list[float], convention: str) -> float:
    second = math.fsum(w * v * v for v, w in zip(values, weights, strict=True))
    if convention == "variance":
        mean = math.fsum(w * v for v, w in zip(values, weights, strict=True))
        second = math.fsum(w * (v - mean) ** 2 for v, w in zip(values, weights, strict=True))
    if not (second > 0.0 and math.isfinite(second)):
        raise ValueError(f"activation must have a positive, finite second moment, got {second!r}")
    return 1.0 / math.sqrt(second)


def gain(activation: str | Callable[[Any], Any], *, convention: str = "second_moment", **params: float) -> float:
    """The factor on the weights' standard deviation that an activation asks for.

    Parameters
    ----------
    activation : str or callable
        Name of an activation, or a vectorised function of an array.
    convention : {"second_moment", "variance", "torch"}
        ``1 / sqrt(E f(z)^2)``, which keeps the second moment and is the one He et al. 2015
        derive; ``1 / sqrt(Var f(z))``; or the table of ``torch.nn.init.calculate_gain``. z is
        standard normal.
    **params : float
        `negative_slope` of leaky_relu and prelu, `alpha` of elu and celu, `w` of sin.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        A wrong type, or a parameter that the activation does not have.
    ValueError
        An unknown activation or convention; a parameter that is not finite.

    Examples
    --------
    >>> import fastinit
    >>> round(fastinit.gain("relu"), 6)
    1.414214
    >>> round(fastinit.gain("gelu"), 6)
    1.53353
    """
    check_choice(convention, "convention", CONVENTIONS)
    if not isinstance(activation, str):
        if not callable(activation):
            raise TypeError(f"activation must be a name or a function, got {activation!r}")
        points, weights = _nodes((0.0,))
        values = np.asarray(activation(np.array(points), **params), dtype=float)
        if values.shape != (len(points),):
            raise ValueError(f"activation must map an array to an array of its shape, got {values.shape}")
        return _gain_of(values.tolist(), weights, convention)
    name = ALIASES.get(activation, activation)
    if convention == "torch":
        return _torch_gain(name, params)
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")
    for key in params:
        if _PARAMS.get(name) != key:
            raise TypeError(f"{key} is not a parameter of {name}")
    checked = tuple((key, check_number(value, key)) for key, value in params.items())
    if name == "celu" and dict(checked).get("alpha", 1.0) == 0.0:
        raise ValueError("alpha must not be 0 for celu")
    return _named_gain(name, convention, checked)


def _torch_gain(name: str, params: dict[str, float]) -> float:
    if name == "leaky_relu":
        slope = check_number(params.get("negative_slope", 0.01), "negative_slope")
        return math.sqrt(2.0 / (1.0 + slope * slope))
    if name not in _TORCH:
        raise ValueError(f"activation must be one of {', '.join([*_TORCH, 'leaky_relu'])} for torch; got {name!r}")
    return _TORCH[name]
