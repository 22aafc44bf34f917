"""The law of a layer's weights: exact mean and variance of every initializer, or of given arrays."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from .._args import check_fits, check_number, is_real, named_errors, unknown_name
from .._keys import Key
from .._run import CONSTANT, NORMAL, TRUNCATED, TRUNCATED_ABSOLUTE, UNIFORM, collecting
from .._types import Array
from ..spec import INITIALIZERS, check_arguments, parameters_of
from ._given import given_weights, moments_of, ratio

#: Initializers that orthogonalize: known by their second moment, E W^2 = g^2 / max(fan_in, fan_out).
ORTHOGONAL = ("orthogonal", "delta_orthogonal")
DIAGONAL = ("identity", "eye", "dirac")
ONE_TAP = ("delta_orthogonal", "dirac")  # with weights in the middle alone
_FOREIGN = ("seed", "out", "num_threads", "dtype", "shard", "layout", "in_axis", "out_axis", "batch_axis", "blocks")
_LARGEST = 1e140
_FEW = 4  # normal weights, of which one most often makes up more than half of the sum of squares
_ENOUGH, _DRAWS = 1 << 14, 256  # elements of a function's draws for its moments (2 % of E W^2), and draws at most

Init = str | Callable[..., Any]


class Law(NamedTuple):
    """One law for all elements, as the filling core takes it: see `Asked` in src/ops/fill.h."""

    code: int
    p0: float
    p1: float
    lo: float
    hi: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Weights:
    """Weights of one layer, resolved: how to draw them (or the arrays), and their moments.

    Attributes
    ----------
    shape : tuple of int
        ``(..., in, out)``; the leading dimensions are the receptive field of a convolution.
    fan_in, fan_out : int
        Inputs of an output, outputs of an input (stride 1).
    init, kwargs : str or callable or None, dict
        The initializer; None where `array` is given.
    array : ndarray or None
        The given weights, as ``(..., in, out)``; None of rescaled ones.
    law : Law or None
        What the core draws each element from; None for arrays, structured and orthogonal weights.
    mean, second : float
        E W and E W^2 of an element.
    pairs : float
        E W W' of two weights of one unit: E W squared, and of given arrays what units with sums of their own add.
    orthogonal : bool
        Rows or columns are orthogonal: products keep lengths.
    spread : float
        n tr((W^T W)^2) / (tr W^T W)^2 over the n inputs of a group: 1 + n / m for independent
        elements, m its outputs, max(1, n / m) for orthogonal ones. Of a convolution that of the
        matrices of its channels at all frequencies.
    sums : ndarray or None
        The sum of each unit's squared weights, of given arrays.
    bias_excess : float
        Excess kurtosis of given biases, at least 0.
    lone : bool
        A unit hears hardly more than one input, so that it is no more Gaussian than that one.
    bias : ndarray or None
        The given biases.
    bias_std : float
        Standard deviation of Gaussian biases, where `bias` is None.
    bias_mean, bias_second : float
        E b and E b^2.
    """

    shape: tuple[int, ...]
    fan_in: int
    fan_out: int
    init: Init | None
    kwargs: dict[str, Any]
    array: Array | None = field(repr=False)
    law: Law | None
    mean: float
    second: float
    pairs: float
    orthogonal: bool
    spread: float
    sums: Array | None = field(repr=False)
    bias_excess: float
    lone: bool
    bias: Array | None = field(repr=False)
    bias_std: float
    bias_mean: float
    bias_second: float

    @property
    def sigma_w2(self) -> float:
        """fan_in E W^2."""
        return self.fan_in * self.second

    @functools.cached_property
    def uneven(self) -> float:
        """E v^2 / (E v)^2 - 1 over the units, v the sum of a unit's squared weights, of given arrays; else 0."""
        return 0.0 if self.sums is None else ratio(self.sums) - 1.0

    @functools.cached_property
    def independent(self) -> float:
        """As many normal weights n have sums of squares v with the same E v E 1/v over the units: n / (n - 2).

        More than 2: where E 1/v is infinite, 3.
        """
        n, m = self.fan_in, self.shape[-1]
        if self.orthogonal:  # columns of fixed length, or parts of longer ones
            return max(3.0, n * (m + 2.0) / (m - n)) if m > n else math.inf
        if self.sums is not None:
            sums = self.sums[self.sums > 0.0]
            uneven = 1.0 - 1.0 / float(sums.mean() * (1.0 / sums).mean()) if sums.size else 0.0
            return 2.0 / uneven if uneven > 1e-12 else math.inf
        if self.init == "sparse":
            return max(3.0, float(_kept(self.shape, self.kwargs)))
        uniform = self.law is not None and self.law.code == UNIFORM
        return max(3.0, 2.5 * n - 3.0 if uniform else float(n))  # within 0.4 of E v E 1/v by quadrature

    @property
    def groups(self) -> int:
        return math.prod(self.shape[:-2]) * self.shape[-1] // self.fan_out

    @property
    def variance(self) -> float:
        """Of an element."""
        return max(0.0, self.second - self.mean * self.mean)

    def rescaled(self, sigma_w2: float, bias_std: float) -> Weights:
        """Moments of the given array, of any scale, times what gives it this sigma_w2; zeros stay zeros."""
        factor = sigma_w2 / self.sigma_w2 if self.second else 1.0
        return replace(
            self, array=None, mean=self.mean * math.sqrt(factor), second=self.second * factor,
            pairs=self.pairs * factor,
            sums=None if self.sums is None else self.sums * factor, bias=None, bias_std=bias_std, bias_mean=0.0,
            bias_second=bias_std * bias_std, bias_excess=0.0,
        )  # fmt: skip

    @property
    def symmetric(self) -> bool:
        """All elements equal: the units of the layer compute, and learn, the same."""
        return self.variance <= 1e-14 * self.second


def finite_array(value: Any, name: str) -> Array:
    """A real array without NaN or infinity; the message counts them."""
    try:
        array = np.asarray(value)
    except (ValueError, RuntimeError) as error:  # rows of different lengths; a tensor that requires grad
        raise ValueError(f"{name} must be an array of real numbers: {error}") from None
    if not is_real(array.dtype):
        raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    wide = array if array.dtype.kind in "iu" or array.dtype.itemsize >= 4 else array.astype(np.float32)
    bad = array.size - int(np.isfinite(wide).sum())
    if bad:
        raise ValueError(f"{name} has {bad} non-finite of {array.size} values")
    top = float(wide.flat[np.argmax(np.abs(wide))]) if wide.dtype.itemsize > 4 else 0.0
    if abs(top) > _LARGEST:
        raise ValueError(f"{name} must have values of at most {_LARGEST:g}, whose squares float64 holds; got {top:g}")
    return array


def check_init(init: Any, kwargs: dict[str, Any]) -> None:
    """A known name or a function, and no argument that belongs to a fill."""
    if isinstance(init, str):
        if init not in INITIALIZERS:
            raise unknown_name(init, "init", INITIALIZERS)
    elif not callable(init):
        got = "an array, which weight= takes" if isinstance(init, np.ndarray) else repr(init)
        raise TypeError(f"init must be the name of an initializer or a function, got {got}")
    for name in _FOREIGN:
        if name in kwargs:
            raise TypeError(f"{name} is not an argument of a layer's initializer")
    if isinstance(init, str):
        check_arguments(init, kwargs, (*_FOREIGN, "fan_in", "groups", "progress"))


class _Moments(NamedTuple):
    law: Law | None
    mean: float
    second: float


def resolve_weights(
    name: str,
    shape: tuple[int, ...],
    *,
    init: Init,
    kwargs: dict[str, Any],
    array: Array | None,
    bias: Array | None,
    bias_std: float,
    groups: int = 1,
) -> Weights:
    """Weights of `shape` ``(..., in, out)`` for the layer called `name`."""
    taps = math.prod(shape[:-2])
    fan_in, fan_out = taps * shape[-2], taps * shape[-1] // groups
    diagonal = init in DIAGONAL
    if array is None and groups > 1 and "groups" in _parameters(init):
        kwargs = {"groups": groups, **kwargs}
    per_output = shape[-2] * groups / shape[-1]  # inputs, within a group
    # rows of an orthogonal matrix that one frequency adds up: one in so many of all, if there are enough
    free = taps if init == "orthogonal" and fan_in > shape[-1] // groups else 1
    law, orthogonal, sums = None, False, None
    if array is not None:
        mean, second, pairs, sums, lone, spread = given_weights(array, groups)
    else:
        with named_errors(name):
            law, mean, second = _of_init(init, shape, kwargs, fan_in, fan_out, groups)
        pairs = mean * mean
        lone = diagonal or (init == "sparse" and _kept(shape, kwargs) <= _FEW)
        orthogonal, spread = diagonal or init in ORTHOGONAL, 1.0 + per_output
        if orthogonal:
            spread = max(1.0, per_output if diagonal else per_output + 1.0 - 1.0 / free)
    bias_mean, bias_second, bias_excess = 0.0, bias_std * bias_std, 0.0
    if bias is not None:
        wide = bias.astype(np.float64)
        bias_mean, bias_second = float(wide.mean()), float((wide * wide).mean())
        bias_excess = max(0.0, ratio(wide * wide) - 3.0)
    return Weights(
        shape=shape, fan_in=fan_in, fan_out=fan_out, init=None if array is not None else init, kwargs=dict(kwargs),
        array=array, law=law, mean=mean if second else 0.0, second=second, pairs=pairs,
        orthogonal=orthogonal, spread=spread, sums=sums, bias_excess=bias_excess, lone=lone, bias=bias,
        bias_std=bias_std, bias_mean=bias_mean, bias_second=bias_second,
    )  # fmt: skip


def _of_orthogonal(init: str, shape: tuple[int, ...], kwargs: dict[str, Any]) -> _Moments:
    delta = init == "delta_orthogonal"
    if delta and (not shape[:-2] or shape[-2] > shape[-1]):
        raise ValueError(f"{init} needs a convolution with no more inputs than outputs, got shape {shape}")
    one = (1,) * len(shape)
    INITIALIZERS[init](one, seed=0, **kwargs)  # checks its arguments, in the dtype that a simulation draws
    gain = float(INITIALIZERS[init](one, seed=0, dtype="float64", **kwargs).item())  # but for the sign
    taps = math.prod(shape[:-2])
    # orthogonal flattens the receptive field and the inputs; delta_orthogonal fills one tap
    second = gain * gain / max(shape[-2] if delta else taps * shape[-2], shape[-1])
    if kwargs.get("scaled"):
        second *= shape[-1] / shape[-2]
    return _Moments(None, 0.0, second / taps if delta else second)


def drawn(init: Callable[..., Any], shape: tuple[int, ...], **kwargs: Any) -> Array:
    """What a function gives for a layer's weights."""
    array = np.asarray(init(shape, **kwargs))
    if array.shape != shape:
        raise ValueError(f"init must return an array of shape {shape}, got {array.shape}")
    return array


def _of_init(
    init: Init, shape: tuple[int, ...], kwargs: dict[str, Any], fan_in: int, fan_out: int, groups: int
) -> _Moments:
    """Exact moments: the initializer checks its arguments and plans the fill of one element. Of a function, measured."""
    if not isinstance(init, str):
        count = min(_DRAWS, -(-_ENOUGH // math.prod(shape)))
        draws = [drawn(init, shape, seed=Key(0).fold_in(i), **kwargs).ravel() for i in range(count)]
        mean, second, *_ = moments_of(finite_array(np.concatenate(draws), "the drawn weights")[:, None])
        return _Moments(None, mean, second)
    if init in ORTHOGONAL:
        return _of_orthogonal(init, shape, kwargs)
    if init in ("zeros", "ones", "constant"):
        value = 1.0 if init == "ones" else kwargs.get("value", 0.0)
        INITIALIZERS[init](1, **kwargs)
        value = float(value)
        return _Moments(None, value, value * value)
    fans = {"fan_in": fan_in, "fan_out": fan_out} if "fan_in" in parameters_of(init) else {}
    with collecting() as plan:
        INITIALIZERS[init]((1,) * (len(shape) - 1) + (groups,), seed=0, **{**fans, **kwargs})
    size = math.prod(shape)
    if init in DIAGONAL:
        gain = float(kwargs.get("gain", 1.0))
        ones = min(shape[-2] * groups, shape[-1])
        return _Moments(None, 0.0, gain * gain * ones / size)  # at most one weight per unit: no common sum
    _, _, code, p0, p1, lo, hi, *_ = plan.jobs[0]
    law = Law(code, p0, p1, lo, hi)
    mean, variance = _law_moments(law)
    if init == "sparse":
        kept = _kept(shape, kwargs) / shape[-2]
        return _Moments(None, kept * mean, kept * (variance + mean * mean))
    return _Moments(law, mean, variance + mean * mean)


def _kept(shape: tuple[int, ...], kwargs: dict[str, Any]) -> int:
    """Weights of a unit that `sparse` leaves."""
    return shape[-2] - math.ceil(float(kwargs.get("sparsity", 0.9)) * shape[-2])


def _parameters(init: Init) -> tuple[str, ...]:
    return parameters_of(init) if isinstance(init, str) else tuple(inspect.signature(init).parameters)


def _law_moments(law: Law) -> tuple[float, float]:
    code, p0, p1, lo, hi = law
    if code == CONSTANT:
        return p0, 0.0
    if code == NORMAL:
        return p0, p1 * p1
    if code == UNIFORM:
        return 0.5 * (p0 + p1), (p1 - p0) * (p1 - p0) / 12.0
    assert code in (TRUNCATED, TRUNCATED_ABSOLUTE)
    if p1 == 0.0:
        return p0, 0.0
    if code == TRUNCATED_ABSOLUTE:
        lo, hi = (lo - p0) / p1, (hi - p0) / p1
    mean, variance = _core.truncated_moments(lo, hi)
    if abs(mean) < 1e-15:
        mean = 0.0  # rounding of a symmetric window
    return p0 + p1 * mean, p1 * p1 * variance


def check_std(value: Any, name: str) -> float:
    """A standard deviation that float32 holds."""
    return check_fits(check_number(value, name, low=0.0), name, np.dtype(np.float32))
