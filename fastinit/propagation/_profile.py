"""How E x^2 and E g^2 differ between the places of an image behind zero padding, along each axis.

A profile holds numbers of mean 1 for each axis, and stands for their products: a convolution of independent
weights sums E x^2 over its taps, and those outside the image add nothing, more so the more such layers follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .._types import Array
from ._linear_layers import Conv, pads
from ._network import Step
from ._weights import ONE_TAP

Profile = tuple[Array, ...] | None


def taps_inside(conv: Step, middle: bool = False) -> Iterator[tuple[Array, Array]]:
    """Along each axis, by places (rows) and taps (columns), or the middle tap alone: where, and whether inside."""
    layer = conv.layer
    assert isinstance(layer, Conv) and conv.image_in is not None and conv.image_out is not None
    axes = zip(conv.image_in, conv.image_out, layer.kernel, layer.stride, pads(layer), strict=True)
    for n, out, k, stride, pad in axes:
        taps = np.array([k // 2]) if middle else np.arange(k)  # of even kernels beside the place itself
        at = np.arange(out)[:, None] * stride - pad + taps
        yield at.clip(0, n - 1), ((at >= 0) & (at < n)).astype(float)


def _known(conv: Step) -> bool:
    return conv.image_in is not None and conv.image_out is not None


def _middle(conv: Step) -> bool:
    return conv.weights[0].init in ONE_TAP


def seen(conv: Step, before: Profile, every: bool = False) -> list[Array]:
    """Sums of the profile over the taps inside the image, over the taps, at each place behind the convolution.

    Of the taps with weights, or of `every` one.
    """
    found = []
    for axis, (at, inside) in enumerate(taps_inside(conv, _middle(conv) and not every)):
        found.append((inside if before is None else inside * before[axis][at]).mean(1))
    return found


def tap_fraction(conv: Step, before: Profile = None, after: Profile = None, every: bool = False) -> float:
    """Part of the taps that fall inside the image, on average over places weighed by both profiles."""
    if not _known(conv):
        return 1.0
    values = seen(conv, before, every)
    if after is not None:
        values = [v * a for v, a in zip(values, after, strict=True)]
    return math.prod(float(v.mean()) for v in values)


def profile_behind(conv: Step, before: Profile, part: float) -> Profile:
    """The profile of the output, of which `part` comes from the weights, the rest from biases."""
    if not _known(conv):
        return None
    return tuple(1.0 - part + part * v / v.mean() for v in seen(conv, before))


def profile_of_gradient(conv: Step, after: Profile) -> Profile:
    """Of the gradient before the convolution, by that behind it."""
    if not _known(conv) or conv.image_in is None:
        return None
    found = []
    for axis, (at, inside) in enumerate(taps_inside(conv, _middle(conv))):
        values = np.zeros(conv.image_in[axis])
        np.add.at(values, at, inside if after is None else inside * after[axis][:, None])
        found.append(values / values.mean())
    return tuple(found)


def pooled(profile: Profile, size: int) -> Profile:
    """Means over windows."""
    if profile is None:
        return None
    means = [p[: len(p) // size * size].reshape(-1, size).mean(1) for p in profile]
    return tuple(m / m.mean() for m in means)


def unpooled(step: Step, profile: Profile, size: int) -> Profile:
    """Of a gradient before windows, by that behind; places that they leave out have none."""
    if step.image_in is None or step.image_out is None:
        return None
    found = []
    for axis, (n, out) in enumerate(zip(step.image_in, step.image_out, strict=True)):
        values = np.zeros(n)
        values[: out * size] = np.repeat(np.ones(out) if profile is None else profile[axis], size)
        found.append(values / values.mean())
    return tuple(found)


def evenness(profile: Profile, size: int | None = None) -> float:
    """Of two places of a window (by default the image) with equal signs: E x y over E x^2."""
    even = 1.0
    for p in profile or ():
        parts = p[None] if size is None else p[: len(p) // size * size].reshape(-1, size)
        even *= float((np.sqrt(parts).mean(1) ** 2).sum() / parts.mean(1).sum())
    return even


def unevenness(profile: Profile) -> float:
    """Mean square, of mean 1."""
    return math.prod(float((p * p).mean()) for p in profile or ())


def unevenly_heard(conv: Step) -> float:
    """Mean square of how many outputs hear an input, of mean 1, beside that of how many inputs an output hears."""
    return unevenness(profile_of_gradient(conv, None)) / unevenness(profile_behind(conv, None, 1.0))


def raised(profile: Profile, power: float) -> Profile:
    """Behind an activation whose E f^2 grows as this power of E h^2."""
    if profile is None or power == 1.0:
        return profile
    values = [np.maximum(p, 1e-12) ** power for p in profile]
    return tuple(v / v.mean() for v in values)


def mixed(one: Profile, two: Profile, share: float) -> Profile:
    """Of a sum, `share` of whose E x^2 comes from the first."""
    if one is None or two is None:
        return None if one is two else mixed(one or _flat(two), two or _flat(one), share)
    return tuple(share * a + (1.0 - share) * b for a, b in zip(one, two, strict=True))


def _flat(like: Profile) -> Profile:
    return None if like is None else tuple(np.ones_like(p) for p in like)


def divided(after: Profile, before: Profile) -> tuple[Profile, float]:
    """E g^2 over the places where g is divided by the root of E x^2 at each, and ln of what its mean grows by."""
    if before is None:
        return after, 0.0
    parts = [(1.0 if after is None else after[axis]) / np.maximum(p, 1e-12) for axis, p in enumerate(before)]
    return tuple(p / p.mean() for p in parts), sum(math.log(p.mean()) for p in parts)
