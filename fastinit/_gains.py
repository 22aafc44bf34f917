"""Gains of activations from exact integrals over the standard normal law."""

from __future__ import annotations

import math
from typing import Any

from ._activations import ActivationLike, resolve
from ._args import check_choice, check_number

CONVENTIONS = ("second_moment", "variance", "torch")
_TORCH = {
    "linear": 1.0,
    "identity": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / (1.0 + 0.01**2)),
    "selu": 3.0 / 4.0,
}


def gain(activation: ActivationLike, *, convention: str = "second_moment", **params: Any) -> float:
    """The factor on the weights' standard deviation that an activation asks for.

    Parameters
    ----------
    activation : str or callable
        Name of an activation, or a vectorised function of a float64 array.
    convention : {"second_moment", "variance", "torch"}
        ``1 / sqrt(E f(z)^2)``, which keeps the second moment and is the one He et al. 2015
        derive; ``1 / sqrt(Var f(z))``; or the table of ``torch.nn.init.calculate_gain``. z is
        standard normal.
    **params : float
        `negative_slope` of leaky_relu and prelu, `alpha` of elu and celu, `w` of sin. For a
        function: `kinks`, where it or a derivative jumps (found if not given); anything else is
        passed on to it.

    Returns
    -------
    float
        The same to the bit on every platform for a named activation.

    Raises
    ------
    TypeError
        A wrong type, or a parameter that the activation does not have.
    ValueError
        An unknown activation or convention; a parameter that is not finite; a function that is
        zero, constant (`convention="variance"`) or not finite.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015.

    Examples
    --------
    >>> import fastinit
    >>> round(fastinit.gain("relu"), 6)
    1.414214
    >>> round(fastinit.gain("gelu"), 6)
    1.53353
    >>> fastinit.gain("tanh", convention="torch") == 5 / 3
    True
    """
    if not isinstance(activation, str) and not callable(activation):
        raise TypeError(f"activation must be a name or a function of an array, got {activation!r}")
    if isinstance(convention, str) and convention == "torch":  # whose names are its own
        return _torch_gain(activation, params)
    function = resolve(activation, params)
    check_choice(convention, "convention", CONVENTIONS)
    second = function.second_moment(1.0)
    if convention == "variance":
        variance = function.variance(1.0)
        if not variance > 1e-28 * second or not math.isfinite(variance):
            raise ValueError(f"activation must have a positive, finite variance, got {variance!r}")
        return math.sqrt(1.0 / variance)
    if not (second > 0.0 and math.isfinite(second)):
        raise ValueError(f"activation must have a positive, finite second moment, got {second!r}")
    return math.sqrt(1.0 / second)


def rectifier_gain_squared(negative_slope: float) -> tuple[float, int]:
    """(s, e) with ``2 / (1 + negative_slope**2) == s * 4**e``, where the square overflows too."""
    square = negative_slope * negative_slope
    if square < math.inf:
        return 2.0 / (1.0 + square), 0
    mantissa, exponent = math.frexp(negative_slope)
    return 2.0 / (mantissa * mantissa), -exponent


def check_gain(value: Any, low: float = -math.inf) -> float:
    """An initializer's argument `gain`: a number, or the name of an activation."""
    if not isinstance(value, str):
        return check_number(value, "gain", low=low)
    try:
        return float(gain(value))
    except ValueError as error:
        raise ValueError(f"gain: {error}") from None


def _torch_gain(activation: Any, params: dict[str, Any]) -> float:
    if not isinstance(activation, str) or activation not in _TORCH:
        raise ValueError(
            f"activation must be one of {', '.join(_TORCH)} for the torch convention, got {activation!r}"
        )
    slope = 0.01
    for key, value in params.items():
        if activation != "leaky_relu" or key not in ("negative_slope", "a"):
            raise TypeError(f"{key} is not a parameter of {activation} in the torch convention")
        slope = check_number(value, key)
    if activation == "leaky_relu":
        square, exponent = rectifier_gain_squared(slope)
        return math.ldexp(math.sqrt(square), exponent)
    return _TORCH[activation]
