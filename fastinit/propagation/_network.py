"""From a list of layers to a checked network: widths, image sizes, weights of every step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tqdm import tqdm

from .._types import Array
from ._layers import Layer, Pool, Residual, flattened
from ._linear_layers import Conv, Dense, Gated, image_behind
from ._weights import Weights, resolve_weights

Image = tuple[int, ...] | None


def columns(width: int, image: Image) -> int:
    """Numbers per input: pixels x channels, or units."""
    return width * math.prod(image or ())


@dataclass(frozen=True, eq=False)
class Step:
    """One layer with its sizes settled.

    Attributes
    ----------
    name : str
        Position and class, such as "3: Dense(512)" or "4.1: Activation(relu)" in a branch.
    layer : Layer
        As the user gave it; its class says what the step does.
    fan_in, fan_out : int
        Units (channels of an image) before and after.
    image_in, image_out : tuple of int or None
        Image sizes around a step, where they are known.
    weights : tuple of Weights
        One for Dense and Conv; gate, up and down of Gated; none of the others.
    body : tuple of Step
        The branch of Residual.
    spatial : bool
        Units are channels of an image.
    """

    name: str
    layer: Layer
    fan_in: int
    fan_out: int
    image_in: Image = None
    image_out: Image = None
    weights: tuple[Weights, ...] = ()
    body: tuple[Step, ...] = ()
    spatial: bool = False

    @property
    def places(self) -> int:
        """Outputs of a unit for one input: places of an image, else 1."""
        return math.prod(self.image_out or ()) if self.spatial else 1


@dataclass(frozen=True, eq=False)
class Network:
    """A checked list of steps; `steps` nest only through `Step.body`."""

    steps: tuple[Step, ...]
    fan_in: int
    fan_out: int
    image: Image = None


@dataclass(frozen=True)
class _Place:
    """What the next layer sees: units, image, and who made them."""

    width: int
    image: Image
    spatial: bool
    source: str


def _label(position: str, layer: Layer) -> str:
    kind = type(layer).__name__
    what: Any = getattr(layer, "width", None) or getattr(layer, "activation", None)
    if callable(what):
        what = getattr(what, "__name__", "function")
    return f"{position}: {kind}({what})" if what else f"{position}: {kind}"


def _first_width(layers: Sequence[Layer]) -> int | None:
    """Input width that the first layer with one asks for, else that layer's own width."""
    for layer in layers:
        if isinstance(layer, Residual):
            inner = [x for x in flattened(layer.layers) if isinstance(x, (Dense, Conv, Gated))]
            asked = next((x.fan_in for x in inner[:1] if x.fan_in is not None), None)
            if asked is not None:
                return asked
            widths = [x.width for x in inner if x.width is not None]
            if widths:  # a branch ends as wide as it begins
                return widths[-1]
        elif isinstance(layer, (Dense, Conv, Gated)):
            if layer.fan_in is not None:
                return layer.fan_in
            if isinstance(layer, Conv) and layer.groups > 1:
                return layer.groups
            return layer.width if layer.width is not None else layer.hidden if isinstance(layer, Gated) else None
    return None


def first_with_weights(layers: Sequence[Layer]) -> Layer | None:
    """The layer that says whether the input is an image."""
    return next((x for x in flattened(layers) if isinstance(x, (Dense, Conv, Gated))), None)


def resolve_network(layers: Sequence[Layer], width: int | None = None, image: Image = None) -> Network:
    """Settle what each of the checked layers leaves open.

    Parameters
    ----------
    layers : sequence of Layer
        The network, checked.
    width : int, optional
        Units of the input. By default what the first layer asks for, else that layer's own width.
    image : tuple of int, optional
        Size of given images, where no layer tells it.

    Raises
    ------
    TypeError, ValueError
        Widths of neighbours that disagree (the message names both), an argument that an initializer refuses.
    """
    found = width if width is not None else _first_width(layers)
    if found is None:
        raise ValueError("layers must hold a Dense, Conv or Gated layer where no batch gives the input width")
    spatial = isinstance(first_with_weights(layers), Conv)
    image = next((x.image for x in flattened(layers) if isinstance(x, Conv) and x.image is not None), image)
    place = _Place(found, image if spatial else None, spatial, "the input")
    bar = tqdm(layers, desc="weights", unit="layer", delay=2.0, leave=False, disable=None)  # large arrays take long
    steps, end = _resolve(bar, place, "")
    return Network(steps, found, end.width, place.image)


def _resolve(items: Iterable[Layer], place: _Place, prefix: str) -> tuple[tuple[Step, ...], _Place]:
    steps = []
    for i, layer in enumerate(items):
        step = _step(layer, place, f"{prefix}{i}")
        steps.append(step)
        place = _Place(step.fan_out, step.image_out, step.spatial, step.name)
    return tuple(steps), place


def _step(layer: Layer, place: _Place, position: str) -> Step:
    name = _label(position, layer)
    inputs = getattr(layer, "fan_in", None)
    if isinstance(layer, Dense) and place.spatial:
        # channels are averaged or flattened by the user's own choice: both are one width here
        pixels = math.prod(place.image) if place.image else None
        if inputs is not None and pixels is not None and inputs == pixels * place.width:
            place = replace(place, width=inputs)
    if inputs is not None and inputs != place.width:
        raise ValueError(
            f"{name} takes {inputs} inputs, but {place.source} gives {place.width}: neighbouring widths must agree"
        )
    same = Step(name, layer, place.width, place.width, place.image, place.image, spatial=place.spatial)
    if isinstance(layer, Dense):
        weights = _weights(name, (place.width, layer.width), layer, layer.weight)
        return Step(name, layer, place.width, layer.width, place.image, None, (weights,))
    if isinstance(layer, Conv):
        return _conv(name, layer, place)
    if isinstance(layer, Gated):
        n, m, out = place.width, layer.hidden, layer.width or place.width
        matrices = ((n, m), layer.gate), ((n, m), layer.up), ((m, out), layer.down)
        drawn = tuple(_weights(name, shape, layer, array) for shape, array in matrices)
        return replace(same, fan_out=out, weights=drawn)
    if isinstance(layer, Residual):
        body, end = _resolve(layer.layers, place, f"{position}.")
        if end.width != place.width or end.image != place.image:
            raise ValueError(
                f"{end.source} ends the branch of {name} with {_size(end)}, but {place.source} gives it "
                f"{_size(place)}: a branch must keep the width"
            )
        return replace(same, body=body)
    if isinstance(layer, Pool):
        return _pool(same, layer, place)
    return same


def _size(place: _Place) -> str:
    image = f" x {'x'.join(map(str, place.image))}" if place.image else ""
    return f"{place.width}{image}"


def _weights(name: str, shape: tuple[int, ...], layer: Any, array: Array | None, groups: int = 1) -> Weights:
    return resolve_weights(
        name, shape, init=layer.init or "zeros", kwargs=layer.kwargs, array=array,
        bias=getattr(layer, "bias", None), bias_std=layer.bias_std, groups=groups,
    )  # fmt: skip


def _conv(name: str, layer: Conv, place: _Place) -> Step:
    if not place.spatial:
        raise ValueError(f"{name} needs an image, but {place.source} gives {place.width} units: no Conv follows a Dense")
    if place.width % layer.groups:
        raise ValueError(
            f"{name} has {layer.groups} groups, but {place.source} gives {place.width} channels: "
            "groups must divide them"
        )
    image = layer.image or place.image
    if layer.image is not None and place.image is not None and layer.image != place.image:
        raise ValueError(f"{name} takes an image of {layer.image}, but {place.source} gives {place.image}")
    out: Image = None
    if image is not None:
        if len(image) != len(layer.kernel):
            raise ValueError(f"{name} has a kernel of {len(layer.kernel)} dimensions for an image of {len(image)}")
        out = image_behind(layer, image)
        if min(out) < 1:
            raise ValueError(f"{name} has a kernel {layer.kernel} larger than its image {image}")
    shape = (*layer.kernel, place.width // layer.groups, layer.width)
    weights = _weights(name, shape, layer, layer.weight, layer.groups)
    return Step(name, layer, place.width, layer.width, image, out, (weights,), spatial=True)


def _pool(same: Step, layer: Pool, place: _Place) -> Step:
    if place.spatial:
        if place.image is None:
            return same
        out = tuple(n // layer.size for n in place.image)
        if min(out) < 1:
            raise ValueError(f"{same.name} has windows of {layer.size} larger than the image {place.image}")
        return replace(same, image_out=out)
    if place.width % layer.size:
        raise ValueError(
            f"{same.name} has windows of {layer.size}, which do not divide the {place.width} units of {place.source}"
        )
    return replace(same, fan_out=place.width // layer.size)
