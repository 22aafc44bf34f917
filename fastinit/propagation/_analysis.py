"""Theory of a checked network, forward and backward: the report without its verdict."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np

from .._activations import Function
from .._args import FORMATS
from ._backward import Back, Gradient, back_through
from ._edge import upper_edge
from ._fluctuation import SECOND
from ._forward import walk
from ._inputs import Input
from ._layer_report import LayerReport
from ._layers import Activation, BatchNorm, Dropout, LayerNorm, Pool
from ._linear_layers import Conv, Dense
from ._network import Network, columns
from ._node import Node
from ._phases import DepthScales, JacobianSpectrum
from ._range import any_beyond, below, beyond
from ._report import Report
from ._signal import LN10, Signal, exp, fraction_always, slope_regions
from ._spectrum import Spectrum, spectrum_through
from ._units import part_inside
from ._weights import Weights

_NARROW_FIRST = tuple(sorted(FORMATS, key=lambda name: FORMATS[name].largest))


@np.errstate(over="ignore", under="ignore", invalid="ignore")  # of what leaves float64
def analyse(network: Network, start: Input, dtype: str, *, brief: bool = False) -> Report:
    """The report without its verdict; a brief one, of a remedy, knows one dtype and a rough edge of the Jacobian."""
    formats = (dtype,) if brief else _NARROW_FIRST
    nodes = walk(network.steps, start.signal, start.batch)
    rows, end = back_through(nodes, _random_gradient(nodes[-1]), start.batch)
    trunk = _before_silent_head(nodes)
    whole = len(trunk) == len(nodes)
    behind = rows if whole else back_through(trunk, _random_gradient(trunk[-1]), start.batch)[0]
    ranges, overflow = _ranges(rows, formats)
    before = [None, *(back.node for back in rows[:-1])]
    layers = tuple(_row(b, last, start.batch, r) for b, last, r in zip(rows, before, ranges, strict=True))
    spectrum = spectrum_through(nodes)
    top = {id(node) for node in nodes}
    rows_of = [b for b in behind if id(b.node) in top]
    ratio, spread = _gradient_ratio(rows_of)
    plain = _plain(trunk)
    largest = None if brief else upper_edge(nodes, spectrum.log_mean)
    means = any(_has_mean(node) for node in nodes)
    if not means and any(node.after.profile is not None for node in nodes):  # places differ
        spectrum, largest = _by_gradient(spectrum, largest, end)
    jacobian = _jacobian(spectrum, plain, largest)
    return Report(
        layers=layers,
        dtype=dtype,
        batch=start.batch,
        fan_in=network.fan_in,
        fan_out=network.fan_out,
        depth=sum(1 for r in layers if r.sigma_w2 is not None),
        input_second=exp(start.signal.log_q),
        input_correlation=1.0 - start.signal.below,
        log10_gradient_ratio=ratio,
        log10_gradient_ratio_sd=spread,
        log10_typical_ratio=ratio - (0.0 if _is_loose(nodes) else _below_mean(spread)),
        log10_pooled=min(_pooled(trunk), max(0.0, -ratio)),  # norms behind give back some of it
        log10_head=_head_size(nodes) if whole else 0.0,
        log10_bare_ratio=_bare_ratio(trunk, rows_of),
        log10_input_gradient=end.log_g / LN10,
        log10_signal_ratio=_signal_ratio(trunk),
        passing=spectrum.passing,
        dead=_mean([r.dead for r in layers if r.dead is not None]) or 0.0,
        saturated=_mean([r.saturated for r in layers if r.saturated is not None and not r.zero]),
        overflow=overflow,
        underflow={name: _worst(layers, "underflow", name) for name in formats},
        gradient_underflow={name: _worst(layers, "gradient_underflow", name) for name in formats},
        jacobian=_with_means(spectrum, jacobian, end) if means else jacobian,
        condition=spectrum.condition,
        scales=None if plain is None else _scales_of(plain),
        symmetric=any(w.symmetric and w.shape[-1] > 1 for node in _before_head(nodes) for w in node.step.weights),
        silent_head=not whole,
        batch_norm=min((start.batch * b.node.step.places for b in rows if isinstance(b.node.step.layer, BatchNorm)),
                       default=None),
        shared=max((_shared(b.node) for b in rows), default=0.0),
        approximate=tuple(r.name for r in layers if r.approximate),
    )


def _before_head(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Without the last layer with weights, whose units have errors of their own, and what follows unit by unit."""
    body = nodes
    while body and isinstance(body[-1].step.layer, (Activation, Dropout)):
        body = body[:-1]
    return body[:-1] if body and isinstance(body[-1].step.layer, (Dense, Conv)) else nodes


def _before_silent_head(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Without a last layer of zeros behind others: it learns first, and then lets gradients pass."""
    trunk = _before_head(nodes)
    silent = len(trunk) < len(nodes) and nodes[len(trunk)].step.weights[0].second == 0.0
    return trunk if silent and any(n.step.weights or n.body for n in trunk) else nodes


def _shared(node: Node) -> float:
    """The part of the E h^2 of an activation's inputs that all its units share."""
    if node.gate is not None:
        return node.gate.shared
    return node.before.shared if isinstance(node.step.layer, Activation) else 0.0


def _random_gradient(last: Node) -> Gradient:
    width, fluctuation = last.step.fan_out, last.after.state
    reach = float(fluctuation.own[SECOND, SECOND]), float(fluctuation.pair[SECOND, SECOND])
    return Gradient(width, own=2.0 / width, pixels=last.step.places, square=1.0 / width, reach=reach)


def _row(back: Back, last: Node | None, batch: int, ranges: dict[str, dict[str, float]]) -> LayerReport:
    node, g = back.node, back.at
    x, y, layer = node.before, node.after, node.step.layer
    weights = node.step.weights
    mixed = isinstance(layer, Activation) and not x.gaussian and x.law is None
    saturated = zero = dead = None
    if isinstance(layer, Activation):
        saturated, zero, dead = _fractions(node, layer, batch, 0.0 if last is None else last.unlike)
    low, high = band(y.log_q, y.batch_variance(batch * node.step.places))
    g_low, g_high = band(g.log_g, g.variance(y, batch))
    sigma_w2 = chi_par = chi_perp = None
    if weights:
        sigma_w2 = weights[-1].sigma_w2
        if isinstance(layer, (Dense, Conv)) and last is not None and isinstance(last.step.layer, Activation):
            chi_perp = sigma_w2 * exp(last.factor)
            chi_par = y.elastic / last.before.elastic * exp(y.log_q - last.before.log_q) if last.before.elastic else None

    return LayerReport(
        name=node.step.name,
        width=node.step.fan_out,
        mean=y.mean * exp(0.5 * y.log_q) if y.mean else 0.0,
        log10_second=y.log_q / LN10,
        log10_second_band=(low, high),
        kurtosis=y.kurtosis,
        correlation=None if math.isnan(y.below) else 1.0 - y.below,
        one_minus_correlation=None if math.isnan(y.below) else y.below,
        log10_gradient=g.log_g / LN10,
        log10_gradient_band=(g_low, g_high),
        log10_weight_gradient=None if back.log_weight is None else back.log_weight / LN10,
        log10_weight_gradient_band=None if back.log_weight is None else band(back.log_weight, back.weight_var),
        sigma_w2=sigma_w2,
        sigma_b2=weights[-1].bias_second if weights else None,
        chi_par=chi_par,
        chi_perp=chi_perp,
        saturated=saturated,
        zero=zero,
        dead=dead,
        overflow=ranges["overflow"],
        underflow=ranges["underflow"],
        gradient_underflow=ranges["gradient_underflow"],
        approximate=node.approximate or mixed or y.runs_away(),
    )


def band(log_value: float, variance: float) -> tuple[float, float]:
    """log10 of two standard deviations about a log-normal quantity of known mean."""
    sd = math.sqrt(max(0.0, variance))
    return (log_value - 0.5 * variance - 2.0 * sd) / LN10, (log_value + 2.0 * sd) / LN10


def _fractions(node: Node, layer: Activation, batch: int, unlike: float) -> tuple[float, float, float | None]:
    """The saturated, zero and dead parts; of an image of unknown size nobody knows the last."""
    x, step = node.before, node.step
    flat, zeros, none = slope_regions(layer.function)
    unknown = step.spatial and step.image_out is None
    dead = None if unknown else _dead(none, x, batch, step.places, unlike)
    return part_inside(flat, x), part_inside(zeros, x), dead


def _dead(flat: tuple[tuple[float, float], ...], x: Signal, batch: int, places: int, unlike: float) -> float:
    """The part of units with slope 0 for all inputs, at all places of an image, which padding makes `unlike`."""
    mean, std = x.centre_and_deviation()
    if math.isnan(x.below):
        return fraction_always(flat, mean, std, 0.0, batch)
    gaps = x.below, max(unlike, x.below_places)
    of_inputs, of_places = (min(1.0, gap / max(1e-300, 1.0 - x.mean * x.mean)) for gap in gaps)
    if places == 1 or of_inputs == of_places:
        return fraction_always(flat, mean, std, of_inputs, batch * places)
    # what is less alike, images or the places of one, stands between groups of the other
    groups = sorted(((of_inputs, batch), (of_places, places)))
    return fraction_always(flat, mean, std, *groups[1], *groups[0])


def _ranges(rows: list[Back], formats: tuple[str, ...]) -> tuple[list[dict[str, dict[str, float]]], dict[str, float]]:
    """By layer and dtype what leaves the range, as a `LayerReport` names it; P(an input overflows somewhere)."""
    largest, smallest = [FORMATS[n].largest for n in formats], [FORMATS[n].smallest for n in formats]
    after = [row.node.after for row in rows]
    log_q, variance = np.array([(y.log_q, _of_one(y)) for y in after], np.float64).T
    noise = [max(0.0, row.at.variance(y, 1)) for row, y in zip(rows, after, strict=True)]
    log_g = np.array([row.at.log_g for row in rows])
    counts = np.array([row.node.step.fan_out * row.node.step.places for row in rows], np.float64)
    parts = {
        "overflow": beyond(log_q, variance, largest), "underflow": below(log_q, variance, smallest),
        "gradient_underflow": below(log_g, np.array(noise), smallest),
    }  # fmt: skip
    by_row = [
        {name: dict(zip(formats, part[:, i].tolist(), strict=True)) for name, part in parts.items()}
        for i in range(len(rows))
    ]
    return by_row, dict(zip(formats, any_beyond(log_q, variance, counts, largest), strict=True))


def _of_one(y: Signal) -> float:
    """Variance of the logarithm of one input's mean square, over draws."""
    return max(0.0, float(y.state.own[SECOND, SECOND]))


def _worst(layers: tuple[LayerReport, ...], field: str, name: str) -> float:
    """The largest part of a layer, but of those that are exactly zero: a branch may start so."""
    of = "log10_gradient" if field == "gradient_underflow" else "log10_second"
    return max((float(getattr(r, field)[name]) for r in layers if getattr(r, of) > -math.inf), default=0.0)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _gradient_ratio(rows: list[Back]) -> tuple[float, float]:
    """log10 of E abs(g)^2 after the first layer with weights over that after the last, and its sd."""
    linear = [b for b in rows if b.node.step.weights or b.node.body] or rows
    first, last = linear[0].at, linear[-1].at
    sizes = [columns(b.at.width, b.node.step.image_out) for b in (linear[0], linear[-1])]
    lengths = math.log(sizes[0]) - math.log(sizes[1])
    if first.log_g == -math.inf:
        return -math.inf, 0.0
    if not first.log_g < math.inf:  # beyond float64 as a logarithm too
        return math.inf, 0.0
    value = (first.log_g - last.log_g + lengths) / LN10
    variances = [b.at.variance(b.node.after, 1) for b in (linear[0], linear[-1])]
    return value, math.sqrt(max(0.0, variances[0] - variances[1])) / LN10


def _below_mean(sd: float) -> float:
    """By how much log10 of half of all draws lies below that of their mean, of lognormal numbers; little counts as 0."""
    less = 0.5 * LN10 * sd * sd
    return less if less > 0.25 else 0.0


def _is_loose(nodes: tuple[Node, ...]) -> bool:
    """Whether the deviation over draws is an upper bound alone: where these part ways, and over places of an image."""
    return any(n.after.runs_away() or n.step.places > 1 or _is_loose(n.body) for n in nodes)


def _pooled(nodes: tuple[Node, ...]) -> float:
    """log10 of what means over alike pixels take from that ratio."""
    linear = [i for i, n in enumerate(nodes) if n.step.weights or n.body]
    return sum(n.spared for n in nodes[linear[0] + 1 : linear[-1] + 1]) / LN10 if linear else 0.0


def _bare_ratio(nodes: tuple[Node, ...], rows: list[Back]) -> float | None:
    """log10 of the gradient ratio from the first layer that no norm follows; None where that is the first of all."""
    linear = [i for i, n in enumerate(nodes) if n.step.weights or n.body]
    bare = next((i for i in linear[:-1] if not _normed(nodes, i)), linear[-1] if linear else 0)
    if not linear or bare == linear[0]:
        return None
    ratio, _ = _gradient_ratio(rows[bare:])
    return ratio + min(_pooled(nodes[bare:]), max(0.0, -ratio))


def _normed(nodes: tuple[Node, ...], i: int) -> bool:
    """Whether a norm takes the scale of these weights, or of all in this block, away again."""
    inner = nodes[i].body
    if inner:
        return all(_normed(inner, k) for k, n in enumerate(inner) if n.step.weights or n.body)
    for node in nodes[i + 1 :]:
        layer = node.step.layer
        if isinstance(layer, LayerNorm):
            return True
        # a homogeneous function, a mask or a window passes the scale on, where no bias stands beside the weights
        same = isinstance(layer, Activation) and abs(node.after.elastic - node.before.elastic) < 1e-9 * node.before.elastic
        if not (same or isinstance(layer, (Dropout, Pool))) or any(w.bias_second for w in nodes[i].step.weights):
            break
    return False


def _head_size(nodes: tuple[Node, ...]) -> float:
    """log10 of the least sigma_w2 before over that of a last layer where that is ten times as small, else 0."""
    trunk = _before_head(nodes)
    if len(trunk) == len(nodes):
        return 0.0
    others = [w.sigma_w2 for node in trunk for w in _weights(node) if w.second]
    head = nodes[len(trunk)].step.weights[0].sigma_w2
    size = math.log10(min(others) / head) if others and head else 0.0
    return size if size >= 1.0 else 0.0


def _weights(node: Node) -> list[Weights]:
    return [*node.step.weights, *(w for inner in node.body for w in _weights(inner))]


def _signal_ratio(nodes: tuple[Node, ...]) -> float:
    """log10 of E x^2 after the last layer with weights over that after the first."""
    linear = [n.after.log_q for n in nodes if n.step.weights or n.body] or [nodes[-1].after.log_q]
    return -math.inf if linear[-1] == -math.inf else (linear[-1] - linear[0]) / LN10


@dataclass(frozen=True)
class _Plain:
    """What a chain of weights and one activation has in common."""

    function: Function
    depth: int
    sigma_w2: float
    sigma_b2: float
    orthogonal: bool
    log_q: float  # mean over the layers
    ends: tuple[float, float]  # ln q behind the first weights and the last
    alike: bool  # one law, square


def _plain(nodes: tuple[Node, ...]) -> _Plain | None:
    weights = [n for n in nodes if isinstance(n.step.layer, (Dense, Conv))]
    active = [n for n in nodes if isinstance(n.step.layer, Activation)]
    functions = {id(n.step.layer.function): n.step.layer.function for n in active if isinstance(n.step.layer, Activation)}
    if len(weights) + len(active) != len(nodes) or len(functions) != 1 or not weights:
        return None
    laws = [n.step.weights[0] for n in weights]
    if any(w.mean != 0.0 or w.bias_mean != 0.0 or w.second == 0.0 for w in laws) or active[0].before.log_q == -math.inf:
        return None
    logs = [math.log(w.sigma_w2) for w in laws]
    spread = max(logs) - min(logs)
    inside = laws[1:-1] or laws  # the first and the last often have widths of their own
    alike = spread < 1e-9 and len({w.orthogonal for w in laws}) == 1 and len({n.after.width for n in nodes}) == 1
    return _Plain(
        next(iter(functions.values())), len(weights), math.exp(sum(math.log(w.sigma_w2) for w in inside) / len(inside)),
        sum(w.bias_second for w in inside) / len(inside), all(w.orthogonal for w in laws),
        sum(n.before.log_q for n in active) / len(active), (active[0].before.log_q, active[-1].before.log_q),
        alike and len(active) == len(weights),
    )  # fmt: skip


def _scales_of(plain: _Plain) -> DepthScales | None:
    """Those of the fixed point that the chain goes to; None where it leaves the one met from q = 1 behind."""
    scales = _depth_scales(plain.function, plain.sigma_w2, plain.sigma_b2)
    if scales is None:
        return None
    first, last = (abs(exp(log_q) - scales.q) for log_q in plain.ends)
    return scales if last <= first + 0.1 * scales.q else None


@functools.lru_cache(maxsize=256)
def _depth_scales(function: Function, sigma_w2: float, sigma_b2: float) -> DepthScales | None:
    try:
        return DepthScales(*function.depth_scales(sigma_w2, sigma_b2))
    except ValueError:  # the limit lies where a formula overflows; these layers do not reach it
        return None


def _jacobian(spectrum: Spectrum, plain: _Plain | None, largest: float | None) -> JacobianSpectrum:
    """Where `largest` is None that of a homogeneous chain, else of the Gaussian product with the same variance."""
    mean, variance = exp(spectrum.log_mean), max(0.0, spectrum.relative - 1.0)
    if largest is None and plain is not None and plain.alike and abs(plain.log_q) < 100.0:
        unit = plain.function.jacobian_spectrum(plain.depth, 1.0, math.exp(plain.log_q), plain.orthogonal)
        if unit[0] > 0.0:
            largest = exp(spectrum.log_mean + math.log(unit[2] / unit[0]))
    if largest is None:
        v = variance
        edge = (v + 1.0) * math.log1p(v) - (v * math.log(v) if v > 0.0 else 0.0)
        largest = exp(spectrum.log_mean + edge)
    return JacobianSpectrum(mean, exp(2.0 * spectrum.log_mean) * variance if variance else 0.0, largest)


def _log_mean(spectrum: Spectrum, end: Gradient) -> float:
    """E tr J J^T over the outputs: what a random gradient of the outputs is at the inputs."""
    return end.log_g + math.log(spectrum.inputs / spectrum.outputs)


def _by_gradient(spectrum: Spectrum, largest: float | None, end: Gradient) -> tuple[Spectrum, float | None]:
    """With the mean by the gradient at the input, which meets the border of an image where it has become large.

    What a norm projects out lowers the mean, not the largest.
    """
    log_mean = _log_mean(spectrum, end)
    if largest is not None and math.isfinite(spectrum.log_mean):
        largest *= exp(max(0.0, log_mean - spectrum.log_mean))
    return replace(spectrum, log_mean=log_mean), largest


def _with_means(bulk: Spectrum, jacobian: JacobianSpectrum, end: Gradient) -> JacobianSpectrum:
    """With the mean by the gradient at the input, where weights have a mean."""
    spectrum, log_spike = bulk.with_spike(_log_mean(bulk, end))
    mean = exp(spectrum.log_mean)
    variance = exp(2.0 * spectrum.log_mean) * max(0.0, spectrum.relative - 1.0) if mean else 0.0
    return JacobianSpectrum(mean, variance, max(jacobian.largest, exp(log_spike)))


def _has_mean(node: Node) -> bool:
    return any(w.mean != 0.0 for w in node.step.weights) or any(_has_mean(inner) for inner in node.body)
