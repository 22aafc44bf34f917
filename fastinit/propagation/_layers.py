"""Layers of a network whose signal is followed: each a small value that checks its arguments."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._activations import ActivationLike, Function, canonical_name, resolve
from .._args import check_choice, check_int, check_number


class Layer:
    """What all layers share: immutable, with a representation that rebuilds it."""

    _shown: tuple[str, ...] = ()

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a layer is immutable: cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a layer is immutable: cannot delete {name}")

    def __repr__(self) -> str:
        found = {name: getattr(self, name) for name in self._shown}
        # `kwargs` and `params` stand for all their entries
        more: dict[str, Any] = found.pop("kwargs", {}) | found.pop("params", {})
        parts = []
        for name, value in (found | more).items():
            if isinstance(value, np.ndarray):
                parts.append(f"{name}=<{'x'.join(map(str, value.shape))} {value.dtype.name}>")
            elif value is not None:
                parts.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


class Activation(Layer):
    """An activation function, unit by unit.

    Parameters
    ----------
    activation : str or callable
        Name, or a vectorised function of a float64 array.
    **params : Any
        As in `moments`: `negative_slope`, `alpha`, `w`; `derivative` and `kinks` of a function.

    Raises
    ------
    TypeError, ValueError
        An unknown activation (the known ones are listed) or parameter.

    Examples
    --------
    >>> from fastinit.propagation import Activation
    >>> Activation("leaky_relu", negative_slope=0.1)
    Activation(activation='leaky_relu', negative_slope=0.1)
    """

    _shown = ("activation", "params")
    activation: ActivationLike
    params: dict[str, Any]
    function: Function

    def __init__(self, activation: ActivationLike, **params: Any) -> None:
        function = resolve(activation, params)
        name = canonical_name(activation) if isinstance(activation, str) else activation
        self._set(activation=name, params=params, function=function)


class LayerNorm(Layer):
    """Layer normalization without affine parameters: mean 0 and variance 1 over the units.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the variance.

    Raises
    ------
    TypeError, ValueError
        `eps` is no number, negative, or at least 1.

    References
    ----------
    J. Ba, J. Kiros, G. Hinton, "Layer normalization", 2016.

    Examples
    --------
    >>> from fastinit.propagation import LayerNorm
    >>> LayerNorm()
    LayerNorm(eps=1e-05)
    """

    _shown = ("eps",)
    eps: float

    def __init__(self, eps: float = 1e-5) -> None:
        number = check_number(eps, "eps", low=0.0)
        if number >= 1.0:  # a width, as other libraries take one
            raise ValueError(f"eps must be below 1, got {number!r}; the layer before sets the width")
        self._set(eps=number)


class RMSNorm(LayerNorm):
    """Second moment 1 over the units; the mean stays.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the second moment.

    Raises
    ------
    TypeError, ValueError
        `eps` is no number, negative, or at least 1.

    References
    ----------
    B. Zhang, R. Sennrich, "Root mean square layer normalization", NeurIPS 2019.

    Examples
    --------
    >>> from fastinit.propagation import RMSNorm
    >>> RMSNorm(1e-6)
    RMSNorm(eps=1e-06)
    """


class BatchNorm(LayerNorm):
    """Mean 0 and variance 1 of every unit over the batch.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the variance.

    Raises
    ------
    TypeError, ValueError
        `eps` is no number, negative, or at least 1.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015; G. Yang et al., "A mean field theory of batch
    normalization", ICLR 2019.

    Examples
    --------
    >>> from fastinit.propagation import BatchNorm
    >>> BatchNorm()
    BatchNorm(eps=1e-05)
    """


class Dropout(Layer):
    """Inverted dropout while training: zero with probability `p`, else divided by 1 - p.

    Parameters
    ----------
    p : float, default 0.5
        In [0, 1).

    Raises
    ------
    TypeError, ValueError
        `p` is no number in [0, 1).

    References
    ----------
    N. Srivastava et al., "Dropout", JMLR 2014.

    Examples
    --------
    >>> from fastinit.propagation import Dropout
    >>> Dropout(0.1)
    Dropout(p=0.1)
    """

    _shown = ("p",)
    p: float

    def __init__(self, p: float = 0.5) -> None:
        number = check_number(p, "p", low=0.0)
        if number >= 1.0:
            raise ValueError(f"p must be in [0, 1), got {p!r}")
        self._set(p=number)


class Residual(Layer):
    """A residual block: ``skip * x + scale * f(x)``.

    Parameters
    ----------
    layers : sequence of layers
        The branch f, which must keep the width.
    scale : float, default 1
        Factor of the branch.
    skip : float, default 1
        Factor of the skip connection.

    Raises
    ------
    TypeError, ValueError
        An empty branch, or something in it that is no layer; a number that is not finite.

    References
    ----------
    K. He et al., "Deep residual learning for image recognition", CVPR 2016; G. Yang, S. Schoenholz, "Mean field
    residual networks", NeurIPS 2017.

    Examples
    --------
    >>> from fastinit.propagation import Activation, Dense, Residual
    >>> block = Residual([Activation("relu"), Dense(256)], scale=0.1)
    >>> len(block.layers), block.scale
    (2, 0.1)
    """

    _shown = ("layers", "scale", "skip")
    layers: tuple[Layer, ...]
    scale: float
    skip: float

    def __init__(self, layers: Sequence[Layer], scale: float = 1.0, skip: float = 1.0) -> None:
        self._set(layers=check_layers(layers), scale=check_number(scale, "scale"), skip=check_number(skip, "skip"))


class Pool(Layer):
    """Mean or maximum over windows: of pixels after a convolution, else of neighbouring units.

    Parameters
    ----------
    size : int, default 2
        Of the window, along every axis of an image; the windows do not overlap.
    kind : {"mean", "max"}

    Raises
    ------
    TypeError, ValueError
        `size` is no int >= 1, or `kind` another word.

    Examples
    --------
    >>> from fastinit.propagation import Pool
    >>> Pool(2, "max")
    Pool(size=2, kind='max')
    """

    _shown = ("size", "kind")
    size: int
    kind: str

    def __init__(self, size: int = 2, kind: str = "mean") -> None:
        self._set(size=check_int(size, "size", low=1), kind=check_choice(kind, "kind", ("mean", "max")))


def check_layers(layers: Any) -> tuple[Layer, ...]:
    """A tuple of layers, at least one."""
    if isinstance(layers, Layer):
        raise TypeError(f"layers must be a sequence of layers, got one layer: {layers!r}; write [layer]")
    try:
        operator.length_hint(layers)
        items = tuple(layers)
    except TypeError:
        raise TypeError(f"layers must be a sequence of layers, got {type(layers).__name__}") from None
    if not items:
        raise ValueError("layers must not be empty")
    for i, item in enumerate(items):
        if not isinstance(item, Layer):
            raise TypeError(f"layers must hold layers such as Dense and Activation, got {item!r} at {i}")
    return items


def flattened(layers: Sequence[Layer]) -> list[Layer]:
    """The layers with those of each branch in place of its `Residual`."""
    flat: list[Layer] = []
    for layer in layers:
        flat += flattened(layer.layers) if isinstance(layer, Residual) else [layer]
    return flat
