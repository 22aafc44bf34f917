"""Layers with weights: Dense, Conv and Gated."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._activations import ActivationLike, Function, canonical_name, resolve
from .._args import check_choice, check_int, items_of
from .._fans import resolve_axes
from .._types import Array, ArrayLike
from ._layers import Layer
from ._weights import Init, check_init, check_std, finite_array


def _order(shape: tuple[int, ...], layout: Any) -> tuple[int, ...]:
    """The order of axes that makes an array of this layout ``(..., in, out)``."""
    (inputs,), (outputs,), batch = resolve_axes(shape, layout, None, None, None)
    if batch:
        raise ValueError(f"layout must not have a batch axis, got {layout!r}")
    return (*(axis for axis in range(len(shape)) if axis not in (inputs, outputs)), inputs, outputs)


def _given(weight: Any, name: str, ndim: int, layout: Any) -> Array | None:
    if weight is None:
        if layout is not None:
            raise TypeError(f"layout must not be given without {name}, whose axes it names; got {layout!r}")
        return None
    array = finite_array(weight, name)
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimensions, got shape {array.shape}")
    return array.transpose(_order(array.shape, layout))


def _given_bias(bias: Any, bias_std: float, size: int | None) -> Array | None:
    if bias is None:
        return None
    array = finite_array(bias, "bias")
    if array.ndim != 1 or (size is not None and array.shape[0] != size):
        raise ValueError(f"bias must have shape ({size},), got {array.shape}")
    if bias_std:
        raise ValueError(f"bias_std must be 0 where bias is given, got {bias_std!r}")
    return array


def _width(width: Any, weight: Array | None, name: str, source: str = "weight") -> int:
    if weight is None and width is None:
        raise TypeError(f"{name} must be given where {source} is not")
    if width is None:
        assert weight is not None
        return int(weight.shape[-1])
    number = check_int(width, name, low=1)
    if weight is not None and weight.shape[-1] != number:
        raise ValueError(f"{name} must be that of {source}, {weight.shape[-1]}, got {number}")
    return number


def _checked_init(
    init: Any, kwargs: dict[str, Any], array: Array | None, default: str = "he_normal", source: str = "weight"
) -> Init | None:
    if array is not None:
        if init is not None or kwargs:
            extra = "init" if init is not None else next(iter(kwargs))
            raise TypeError(f"{extra} must not be given with {source}, the actual weights")
        return None
    chosen = default if init is None else init
    check_init(chosen, kwargs)
    return chosen


def _sizes(value: Any, name: str, ndim: int = 2) -> tuple[int, ...]:
    """Of an image's axes; an int stands for all of them."""
    items = items_of(value)
    if items is not None and not items:
        raise ValueError(f"{name} must not be empty")
    return tuple(check_int(v, name, low=1) for v in ((value,) * ndim if items is None else items))


class Dense(Layer):
    """A fully connected layer: ``h = x W + b``.

    Parameters
    ----------
    width : int, optional
        Number of units; may be left out where `weight` is given.
    init : str or callable, default "he_normal"
        Name of an initializer of fastinit, or a function ``init(shape, seed=key)``; NumPy's generators take
        the `fastinit.Key` as a seed too.
    weight : array of shape (in, out), optional
        The actual weights, instead of a law.
    bias : array of shape (out,), optional
        The actual biases.
    bias_std : float, default 0
        Standard deviation of Gaussian biases.
    layout : str, optional
        "oi" for a `weight` of shape (out, in).
    fan_in : int, optional
        Number of inputs; by default the width of what comes before. Behind an image it says what becomes of the
        pixels: by default each channel's mean over them is taken (global average pooling); channels times pixels
        flattens them.
    **kwargs : Any
        Arguments of the initializer: `gain`, `std`, `mode`, `nonlinearity`, ...

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value, an unknown initializer, weights that are not finite
        (counted).

    Examples
    --------
    >>> from fastinit.propagation import Dense
    >>> Dense(512, init="orthogonal", gain=2**0.5, bias_std=0.1)
    Dense(width=512, init='orthogonal', bias_std=0.1, gain=1.4142135623730951)
    """

    _shown = ("width", "init", "weight", "bias", "bias_std", "fan_in", "kwargs")
    width: int
    init: Init | None
    weight: Array | None
    bias: Array | None
    bias_std: float
    fan_in: int | None
    kwargs: dict[str, Any]

    def __init__(
        self,
        width: int | None = None,
        init: Init | None = None,
        *,
        weight: ArrayLike | None = None,
        bias: ArrayLike | None = None,
        bias_std: float = 0.0,
        layout: str | None = None,
        fan_in: int | None = None,
        **kwargs: Any,
    ) -> None:
        array = _given(weight, "weight", 2, layout)
        units = _width(width, array, "width")
        init = _checked_init(init, kwargs, array)
        std = check_std(bias_std, "bias_std")
        inputs = None if fan_in is None else check_int(fan_in, "fan_in", low=1)
        if array is not None and inputs not in (None, array.shape[0]):
            raise ValueError(f"fan_in must be that of weight, {array.shape[0]}, got {inputs}")
        if array is not None:
            inputs = int(array.shape[0])
        self._set(width=units, init=init, weight=array, bias=_given_bias(bias, std, units), bias_std=std,
                  fan_in=inputs, kwargs=kwargs)  # fmt: skip


class Conv(Layer):
    """A convolution with zero padding.

    Parameters
    ----------
    channels : int, optional
        Output channels; may be left out where `weight` is given.
    kernel : int or tuple of int, default 3
        Size of the receptive field; an int stands for a square.
    init, weight, bias, bias_std, **kwargs
        As for `Dense`; `weight` has shape ``(..., in / groups, out)`` unless `layout` says otherwise.
    stride : int or tuple of int, default 1
    padding : {"same", "valid"}
        "same" pads by (kernel - 1) // 2 and kernel // 2: zeros that lower the variance at the border.
    groups : int, default 1
        Groups of channels; as many as inputs for a depthwise convolution.
    layout : str, optional
        Of `weight`, such as "oihw" or "hwio".
    image : int or tuple of int, optional
        Size of the input image. Needed once, by the first layer, to count padding.
    fan_in : int, optional
        Input channels (of all groups).

    Raises
    ------
    TypeError, ValueError
        As for `Dense`; groups that do not divide the channels.

    References
    ----------
    L. Xiao et al., "Dynamical isometry and a mean field theory of CNNs", ICML 2018.

    Examples
    --------
    >>> from fastinit.propagation import Conv
    >>> Conv(64, 3, init="he_normal", mode="fan_out", image=32).kernel
    (3, 3)
    """

    _shown = ("channels", "kernel", "init", "weight", "bias", "bias_std", "stride", "padding", "groups", "image",
              "fan_in", "kwargs")  # fmt: skip
    width: int
    kernel: tuple[int, ...]
    init: Init | None
    weight: Array | None
    bias: Array | None
    bias_std: float
    stride: tuple[int, ...]
    padding: str
    groups: int
    image: tuple[int, ...] | None
    fan_in: int | None
    kwargs: dict[str, Any]

    def __init__(
        self,
        channels: int | None = None,
        kernel: int | tuple[int, ...] | None = None,
        init: Init | None = None,
        *,
        weight: ArrayLike | None = None,
        bias: ArrayLike | None = None,
        bias_std: float = 0.0,
        stride: int | tuple[int, ...] = 1,
        padding: str = "same",
        groups: int = 1,
        layout: str | None = None,
        image: int | tuple[int, ...] | None = None,
        fan_in: int | None = None,
        **kwargs: Any,
    ) -> None:
        array = _given(weight, "weight", 3 if weight is None else max(3, np.ndim(weight)), layout)
        units = _width(channels, array, "channels")
        size: Any = kernel
        if kernel is None:
            size = 3 if array is None else array.shape[:-2]
        taps = _sizes(size, "kernel")
        if array is not None and taps != array.shape[:-2]:
            raise ValueError(f"kernel must be that of weight, {array.shape[:-2]}, got {taps}")
        init = _checked_init(init, kwargs, array)
        std = check_std(bias_std, "bias_std")
        steps = _sizes(stride, "stride", len(taps))
        check_choice(padding, "padding", ("same", "valid"))
        groups = check_int(groups, "groups", low=1)
        if units % groups:
            raise ValueError(f"groups must divide channels: {groups} does not divide {units}")
        extent = None if image is None else _sizes(image, "image", len(taps))
        for name, sizes in (("stride", steps), ("image", extent)):
            if sizes is not None and len(sizes) != len(taps):
                raise ValueError(f"{name} must have as many sizes as kernel {taps}, got {sizes}")
        inputs = None if fan_in is None else check_int(fan_in, "fan_in", low=1)
        if array is not None:
            if inputs not in (None, array.shape[-2] * groups):
                raise ValueError(f"fan_in must be that of weight, {array.shape[-2] * groups}, got {inputs}")
            inputs = int(array.shape[-2]) * groups
        self._set(width=units, kernel=taps, init=init, weight=array, bias=_given_bias(bias, std, units), bias_std=std,
                  stride=steps, padding=padding, groups=groups, image=extent, fan_in=inputs, kwargs=kwargs)  # fmt: skip

    @property
    def channels(self) -> int:
        """The width, as an argument."""
        return self.width


def pads(conv: Conv) -> tuple[int, ...]:
    """Zeros before each axis of an image; behind it as many, one more for an even kernel."""
    return tuple((k - 1) // 2 if conv.padding == "same" else 0 for k in conv.kernel)


def image_behind(conv: Conv, image: tuple[int, ...]) -> tuple[int, ...]:
    """Its size; below 1 where the kernel is larger than the image."""
    ends = [k - 1 if conv.padding == "same" else 0 for k in conv.kernel]
    return tuple((n + end - k) // s + 1 for n, end, k, s in zip(image, ends, conv.kernel, conv.stride, strict=True))


class Gated(Layer):
    """A gated block: ``(f(x W_gate) * (x W_up)) W_down``: SwiGLU with silu, GEGLU with gelu.

    Parameters
    ----------
    hidden : int, optional
        Units of the two hidden matrices; may be left out where `gate` is given.
    width : int, optional
        Output width; by default the input's.
    activation : str or callable, default "silu"
        Of the gate.
    init : str or callable, default "lecun_normal"
        Initializer of the three matrices.
    gate, up, down : arrays of shape (in, hidden), (in, hidden), (hidden, out), optional
        The actual weights: all three or none.
    bias_std : float, default 0
        Standard deviation of Gaussian biases of the three matrices.
    layout : str, optional
        "oi" for arrays of shape (out, in).
    fan_in : int, optional
        Number of inputs.
    **kwargs : Any
        Arguments of the initializer.

    Raises
    ------
    TypeError, ValueError
        A width that is no int >= 1, an unknown activation or initializer, arrays that do not fit or are
        not finite; the message names the argument.

    References
    ----------
    N. Shazeer, "GLU variants improve transformer", 2020.

    Examples
    --------
    >>> from fastinit.propagation import Gated
    >>> Gated(1024, activation="gelu").hidden
    1024
    """

    _shown = ("hidden", "width", "activation", "init", "gate", "up", "down", "bias_std", "fan_in", "kwargs")
    hidden: int
    width: int | None
    activation: ActivationLike
    function: Function
    init: Init | None
    gate: Array | None
    up: Array | None
    down: Array | None
    bias_std: float
    fan_in: int | None
    kwargs: dict[str, Any]

    def __init__(
        self,
        hidden: int | None = None,
        width: int | None = None,
        activation: ActivationLike = "silu",
        init: Init | None = None,
        *,
        gate: ArrayLike | None = None,
        up: ArrayLike | None = None,
        down: ArrayLike | None = None,
        bias_std: float = 0.0,
        layout: str | None = None,
        fan_in: int | None = None,
        **kwargs: Any,
    ) -> None:
        arrays = [_given(a, n, 2, layout) for a, n in ((gate, "gate"), (up, "up"), (down, "down"))]
        if len({a is None for a in arrays}) > 1:
            raise TypeError("gate, up and down must be given together")
        first, second, last = arrays
        units = _width(hidden, first, "hidden", "gate")
        inputs = None if fan_in is None else check_int(fan_in, "fan_in", low=1)
        out = None if width is None else check_int(width, "width", low=1)
        if first is not None and second is not None and last is not None:
            if second.shape != first.shape or last.shape[0] != units:
                raise ValueError(
                    "gate and up must have shape (in, hidden) and down (hidden, out), "
                    f"got {first.shape}, {second.shape} and {last.shape}"
                )
            for name, value, want in (("width", out, last.shape[1]), ("fan_in", inputs, first.shape[0])):
                if value not in (None, want):
                    raise ValueError(f"{name} must be that of the arrays, {want}, got {value}")
            out, inputs = int(last.shape[1]), int(first.shape[0])
        function = resolve(activation, {})
        init = _checked_init(init, kwargs, first, "lecun_normal", "gate, up and down")
        std = check_std(bias_std, "bias_std")
        named = canonical_name(activation) if isinstance(activation, str) else activation
        self._set(hidden=units, width=out, activation=named, function=function, init=init, gate=first, up=second,
                  down=last, bias_std=std, fan_in=inputs, kwargs=kwargs)  # fmt: skip
