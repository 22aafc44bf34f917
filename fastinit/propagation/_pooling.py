"""Windows over pixels or units: means, maxima, and the taps of a convolution inside its image."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from .. import _core
from .._activations import resolve
from .._types import Array
from ._fluctuation import Transfer
from ._layers import Activation, Dropout, Pool
from ._linear_layers import Conv
from ._network import Step
from ._node import Node
from ._normalization import Channels
from ._profile import evenness, pooled, taps_inside
from ._signal import NEAR, Origin, Signal, UnitLaw, exp, grid, log, mapped_below, slope_of_mean
from ._units import Passage, quantiles
from ._weights import ONE_TAP

#: Taps of a kernel, of whose patches the covariance over places is taken apart.
_MOST_TAPS = 256
_EDGES = 4.0  # of an image
_UNLIKE = 1e-3  # what padding adds to 1 - cosine of two places, from which it counts
_LINEAR = resolve("linear", {})


def pool(step: Step, x: Signal, shared: float = 1.0) -> Node:
    """Means and maxima over units, and over pixels, of which any two are as alike as two inputs.

    But for zero padding: `shared` as in `overlap`.
    """
    layer = step.layer
    assert isinstance(layer, Pool)
    k = windows(step)
    width, part = step.fan_out, 1.0 / k  # the windows may leave out a border
    if step.image_in is not None and step.image_out is not None:
        part = math.prod(step.image_out) / math.prod(step.image_in)
    if layer.kind == "mean":
        alike = pixels_alike(x, shared) * evenness(x.profile, layer.size) if step.spatial else x.common
        after, by = mean_of(x, k, width, alike)
        after = replace(after, profile=pooled(x.profile, layer.size))
        near = step.spatial and x.apart is not None  # what differs between places is alike at neighbours: left out
        given_back = spared(x, after, k) if step.spatial else 0.0
        return Node(step, x, after, factor=math.log(part / k), transfer=by, spared=given_back, approximate=near)
    first, second, fourth, _ = _maximum(step, x, shared)
    if second == 0.0:
        return Node(step, x, replace(x, width=width, law=None), factor=math.log(part))
    mean, kurtosis = first / math.sqrt(second), fourth / second**2
    by = _fewer(x, width, kurtosis - 1.0)
    if step.spatial and not math.isnan(x.below):
        _, square, _, together = _maximum(step, x)
        below = max(0.0, 1.0 - together / square)
    else:
        below = _maximum_below(x, k)
    after = replace(
        x, width=width, log_q=x.log_q + math.log(second), mean=mean, common=mean * mean, kurtosis=kurtosis,
        below=below, apart=None, gaussian=False, origin=None, law=_law(step, x, shared, second),
        state=by.after(x.state), profile=pooled(x.profile, layer.size),
    )  # fmt: skip
    return Node(
        step, x, after, factor=math.log(part), transfer=by, slope_kurtosis=float(k),
        approximate=not x.gaussian and x.origin is None,
    )  # fmt: skip


def _fewer(x: Signal, width: int, spread: float) -> Transfer:
    """What the units share stays, and of fewer of them the mean square scatters more: by spread / width."""
    noise = max(0.0, spread / width - (x.kurtosis - 1.0) / x.width)
    own, pair = (np.diag((1.0 / width, noise, 1.0 / width)) * c for c in (1.0, x.cosine**2))
    return Transfer(np.diag((0.0, 1.0, 0.0)), own, pair)


def _taps(conv: Step) -> list[Array]:
    """Along each axis: which taps (columns) fall inside the image at each place (rows)."""
    return [inside for _, inside in taps_inside(conv)]


def shared_taps(step: Step) -> float:
    """Part of the taps inside the image at one place that is inside at another one too, on average."""
    places = math.prod(step.image_out or ())
    if places <= 1 or step.image_in is None or step.weights[0].init in ONE_TAP:
        return 1.0
    counts = [taps.sum(0) for taps in _taps(step)]
    one, both = (math.prod(float((n**power).sum()) for n in counts) for power in (1, 2))
    return (both - one) / (one * (places - 1.0))


def channels_behind(nodes: list[Node], x: Signal) -> Channels | None:
    """By the zero padding of the convolution next before, or of those before that."""
    last = channel_variances(nodes[-1]) if nodes and isinstance(nodes[-1].step.layer, Conv) else None
    gap = 0.0 if x.apart is not None or not nodes else nodes[-1].unlike
    return _of_gap(x, gap) if gap > (last.part if last else x.below) + _UNLIKE else last


def channel_variances(conv: Node) -> Channels | None:
    """Behind zero padding; of larger kernels not told.

    A patch holds (a_i + e_i) at the taps t inside the image, a_i the same for all inputs and places. Zero
    padding makes what a_i adds differ between places: v = w' S w, S = (1 - c) D x 1 + c M x a a', with
    the covariance M over places of which taps are inside and D its diagonal without centring. For
    Gaussian w with eigenvalues s_k of S, E 1/v = int_0^inf prod_k (1 + 2 s_k u)^(-1/2) du, and
    E w_k^2/v has 1 / (1 + 2 s_k u) in the integral; a gradient meets w at the taps inside, D. The squares
    of other laws are as those of `each` normal numbers.
    """
    x, w = conv.before, conv.step.weights[0]
    known = conv.step.image_out is not None and w.init not in ONE_TAP and w.second > 0.0 and not math.isnan(x.below)
    if not known or math.prod(w.shape[:-2]) > _MOST_TAPS:
        return None
    both: Array = np.ones((1, 1))
    once: Array = np.ones(1)
    for taps in _taps(conv.step):
        both, once = np.kron(both, taps.T @ taps / len(taps)), np.kron(once, taps.mean(0))
    n, gap = w.shape[-2], min(1.0, x.below_places)
    centred = both - np.outer(once, once)
    along, vectors = np.linalg.eigh(gap * np.diag(once) + n * (1.0 - gap) * centred)
    eigen = np.concatenate([along.clip(0.0), gap * once])
    inside = np.concatenate([once @ vectors**2, once])
    count = np.repeat([1.0, n - 1.0], len(once))  # all channels but one combination of them have no a_i
    total = float(count @ eigen)
    if float(count @ (eigen > 1e-9 * total)) < 3.0:  # no finite mean of 1 / v
        return None
    inverse, met = _of_inverse(eigen / total, inside, count, min(1e6, w.independent / w.fan_in))
    part = conv.after.elastic / x.elastic if x.elastic else 1.0  # without the bias
    heard = n * float(once.sum())
    # what a mean of the weights adds to all channels alike: of the units' own parts, and of their mean
    fixed = w.mean**2 * (gap * heard + (n * x.mean) ** 2 * float(centred.sum()))
    drawn = w.variance * total
    told = w.second * heard + w.mean**2 * heard * max(0.0, heard - 1.0) * x.common  # E h^2
    share = (drawn / (drawn + fixed)) ** 2 if drawn > 0.0 else 0.0
    return Channels(part * (drawn + fixed) / told, share * log(inverse), share * log(met))


def _of_gap(x: Signal, gap: float) -> Channels:
    """Of channels of which two inputs at two places have 1 - cosine `gap`, and at one place less.

    What all inputs have at a place differs along the edges of an image, by sums of weights of their own.
    """
    n = max(_EDGES + 3.0, min(1e6, x.inputs or x.width))  # orthogonal weights are as infinitely many
    own = x.below / gap / n
    eigen = np.array([own, own + (1.0 - x.below / gap) / _EDGES])
    inverse, met = _of_inverse(eigen, np.ones(2), np.array([n - _EDGES, _EDGES]), 1.0)
    return Channels(min(1.0, gap), log(inverse), log(met))


def _of_inverse(eigen: Array, inside: Array, count: Array, each: float) -> tuple[float, float]:
    """E 1/v, and E w' R w / v over tr R E 1/v, R diagonal `inside`; so many times each."""
    log_u = np.linspace(-25.0, 25.0, 501)
    terms = 2.0 / each * eigen[:, None] * np.exp(log_u)
    values = np.exp(log_u - 0.5 * each * (count @ np.log1p(terms)))
    met = float(values @ ((count * inside) @ (1.0 / (1.0 + terms)))) / (float(count @ inside) * float(values.sum()))
    return float(values.sum()) * (log_u[1] - log_u[0]), met


def overlap(conv: Step, size: int) -> float:
    """Taps inside the image at both of two places of a window, over those at one: zero padding makes places unlike."""
    if conv.image_out is None or min(conv.image_out) < size or conv.weights[0].init in ONE_TAP:
        return 1.0
    both = one = 1.0
    for taps in _taps(conv):
        windows_of = taps[: len(taps) // size * size].reshape(-1, size, taps.shape[1])
        both *= float((windows_of.sum(1) ** 2).sum()) / (len(windows_of) * size * size)
        one *= float(windows_of.sum()) / (len(windows_of) * size)
    k = size ** len(conv.image_out)
    return (k * both - one) / ((k - 1.0) * one) if k > 1 else 1.0


def unlike_behind(node: Node, before: float) -> float:
    """1 - cosine of two places of two inputs, which zero padding of the convolutions up to this layer makes unlike."""
    x, layer = node.before, node.step.layer
    if not isinstance(layer, (Conv, Activation, Dropout)):
        return 0.0
    gap = max(before, x.below_places)
    if isinstance(layer, Conv):
        kept = node.after.elastic / x.elastic if x.elastic else 1.0  # without the bias
        # a mean of the weights adds up what all units share, which is not followed
        return 0.0 if node.step.weights[0].mean else kept * (1.0 - shared_taps(node.step) * (1.0 - gap))
    if isinstance(layer, Activation) and abs(x.log_q) < NEAR:
        return mapped_below(layer.function, x.log_q, x.mean, gap)[0]
    return gap


def pixels_alike(x: Signal, shared: float = 1.0) -> float:
    """E of products of two pixels of a channel over E x^2: they share weights as two inputs do.

    Less so where the taps of the convolution before overlap by `shared` only.
    """
    if math.isnan(x.below):
        return x.common
    if shared < 1.0 and x.apart is None and x.origin is not None and x.origin.variance > 0.0:
        function, mean, variance, below = x.origin
        q = mean * mean + variance
        below, _ = mapped_below(function, log(q), mean / math.sqrt(q), 1.0 - shared * (1.0 - below))
        return max(x.common, min(1.0, 1.0 - below))
    return max(x.common, min(1.0, shared * (1.0 - x.below_places)))


def mean_of(x: Signal, k: int, width: int, alike: float) -> tuple[Signal, Transfer]:
    """Means over k units or pixels each, of which two have the product `alike` on average."""
    part = (1.0 - alike) / k + alike
    if part == 0.0 or math.isnan(x.below):
        return replace(x, width=width, origin=None, law=None), Transfer()
    excess = max(0.0, x.excess) / k
    # two units are no more alike than a unit is at two of the places, and less by the lengths of their weights
    most = min(1.0, alike / part) * (1.0 - _by_length(x) * width / x.width) if alike > 0.0 else 1.0
    mean = math.copysign(min(math.sqrt(most), abs(x.mean) / math.sqrt(part)), x.mean)
    by = _fewer(x, width, 2.0 + excess)
    apart = None if x.apart is None else min(2.0, max(0.0, (part - 1.0 + x.apart) / part))  # of two windows
    return replace(
        x, width=width, log_q=x.log_q + math.log(part), mean=mean, common=min(most, x.common / part),
        kurtosis=max(1.0, 3.0 - 2.0 * mean**4 + excess), below=min(2.0, x.below / k / part), apart=apart,
        origin=None, law=None, state=by.after(x.state),
    ), by  # fmt: skip


def _by_length(x: Signal) -> float:
    """What the lengths of units' weights add to the variance of their means E f, over (E f)^2."""
    h = x.origin
    if h is None or abs(x.log_q) > NEAR:
        return 0.0
    mean = h.function.moments(h.variance, h.mean)[0]
    return min(1.0, (slope_of_mean(h.function, h.variance, h.mean) / mean) ** 2 * x.uneven) if mean else 0.0


def spared(x: Signal, mean: Signal, pixels: int) -> float:
    """ln of pixels E m^2 / E x^2, m the mean over them: ln of their number where all are alike, 0 for independent ones.

    A mean leaves one over the pixels of a squared gradient; the gradients of weights, which are sums over them, get it
    back as far as those are alike.
    """
    return max(0.0, math.log(pixels) + mean.log_q - x.log_q) if mean.log_q > -math.inf else 0.0


def windows(step: Step) -> int:
    """Units that a window takes together."""
    assert isinstance(step.layer, Pool)
    return int(step.layer.size ** (len(step.image_in) if step.image_in is not None else 2 if step.spatial else 1))


def _before_maximum(x: Signal) -> Origin:
    """What the pooled units were before the activation."""
    if x.origin is not None:
        return x.origin
    q = _square(x)
    return Origin(_LINEAR, x.mean * math.sqrt(q), q * max(0.0, 1.0 - x.mean * x.mean), x.below)


def _square(x: Signal) -> float:
    """E x^2, or 1 in place of one that float64 does not hold."""
    return exp(x.log_q) if abs(x.log_q) < NEAR else 1.0


def _largest(step: Step, x: Signal, shared: float = 1.0) -> tuple[Array, Array, Array]:
    """Of the largest of a window: its own part e, its pre-activation, and weights, by what all have in common.

    Units with correlation r are sqrt(r) z + sqrt(1 - r) e_i; the largest value has the density
    k pdf cdf^(k - 1). Rows share a z.
    """
    origin = _before_maximum(x)
    share = origin.mean**2 / max(origin.mean**2 + origin.variance, 1e-300)
    below = 1.0 - x.common if not step.spatial else 0.0 if math.isnan(origin.below) else 1.0 - shared * (1.0 - origin.below)
    alike = min(1.0, max(0.0, 1.0 - below / max(1.0 - share, 1e-12))) if share < 1.0 else 0.0
    if not step.spatial and x.origin is not None:
        alike = 0.0  # units of one input
    z, w = grid()
    k = windows(step)
    common, weight = (z, w) if alike > 1e-9 else (np.zeros(1), np.ones(1))
    std = math.sqrt(origin.variance)
    h = origin.mean + std * (math.sqrt(alike) * common[:, None] + math.sqrt(1.0 - alike) * z[None, :])
    smaller = np.tile(_core.special("normal_cdf", z), (len(common), 1))  # P(another unit's value is smaller)
    values = origin.function.eval(h.ravel())[0].reshape(h.shape)
    if (np.diff(values, axis=1) < 0.0).any():  # no rising activation, of which the largest has the largest e
        order = np.argsort(values, axis=1, kind="stable")
        np.put_along_axis(smaller, order, np.cumsum(w[order], axis=1) - 0.5 * w[order], axis=1)
    own = w * k * smaller ** (k - 1)
    return z, h, weight[:, None] * own / own.sum(1, keepdims=True)


def at_largest(node: Node, step: Step, x: Signal, shared: float) -> Node:
    """An activation whose gradients pass the largest of a window alone, behind it.

    A window picks the place by the signal there: E e f', e its own part of the pre-activation, is
    that of the largest.
    """
    e, h, weight = _largest(step, x, shared)
    origin = _before_maximum(x)
    value, slope = (part.reshape(h.shape) for part in origin.function.eval(h.ravel()))
    square, rows = float((weight * slope**2).sum()), weight.sum(1)
    if not square > 0.0:
        return replace(node, factor=-math.inf)
    slopes, along = (float(rows @ ((weight * slope * part).sum(1) / rows) ** 2) / square for part in (1.0, e))
    centred = origin.variance / (origin.mean**2 + origin.variance)
    told = Passage(*(part.reshape(1, -1) for part in (slope**2 / square, weight, quantiles(value, weight)[1])))
    return replace(
        node, factor=log(square), slopes=slopes, slopes_bend=along / centred if centred > 0.0 else 0.0, passage=told,
    )  # fmt: skip


def _maximum(step: Step, x: Signal, shared: float = 1.0) -> tuple[float, float, float, float]:
    """E m, E m^2, E m^4 of the largest m of a window, and E m m' over two windows, in units of sqrt(E x^2)."""
    _, h, weight = _largest(step, x, shared)
    values = _before_maximum(x).function.eval(h.ravel())[0].reshape(h.shape) / math.sqrt(_square(x))
    rows = weight.sum(1)
    given = (weight * values).sum(1) / rows  # by what the windows have in common
    first, second, fourth = (float((weight * values**p).sum()) for p in (1, 2, 4))
    return first, second, fourth, float(rows @ given**2)


def _law(step: Step, x: Signal, shared: float, second: float) -> UnitLaw | None:
    """Of the largest of a window, whose mean square is E x^2 times `second`."""
    if x.origin is None or abs(x.log_q) > NEAR:
        return None
    _, h, weight = _largest(step, x, shared)
    values = x.origin.function.eval(h.ravel())[0].reshape(h.shape)
    return UnitLaw(quantiles(values * exp(-0.5 * (x.log_q + math.log(second))), weight)[0])


def _maximum_below(x: Signal, k: int) -> float:
    """1 - cosine of the maxima of two inputs: over fixed normal numbers, as there is no closed form."""
    if math.isnan(x.below):
        return x.below
    function, mean, variance, below = _before_maximum(x)
    std = math.sqrt(variance)
    below = min(1.0, below / max(1e-12, variance / max(mean * mean + variance, 1e-300)))
    one, two = np.random.default_rng(0).standard_normal((2, 4096, k))
    a, b = std * math.sqrt(1.0 - 0.5 * below), std * math.sqrt(0.5 * below)
    u, v = (mean + a * one + sign * b * two for sign in (1.0, -1.0))
    u, v = (function.eval(h.ravel())[0].reshape(h.shape).max(1) for h in (u, v))
    square = float((u * u).mean() + (v * v).mean())
    return float(((u - v) ** 2).mean()) / square if square > 0.0 else math.nan
