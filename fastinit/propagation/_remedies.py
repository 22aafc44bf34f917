"""The change that mends a network: candidates, each propagated again and judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .._gains import check_gain
from .._types import Array
from ._analysis import analyse
from ._inputs import Input
from ._layers import Activation, Dropout, Layer, LayerNorm, Residual, flattened, replaced
from ._linear_layers import Conv, Dense, Gated
from ._network import Network, resolve_network
from ._report import LEVELS, Remedy, Report, counted
from ._signal import LN10, NEAR, exp, log, log_add
from ._verdict import THRESHOLDS, grade_of, graded, rank_of


def judge(report: Report, network: Network, start: Input) -> Report:
    """The report with level, reasons and remedy."""
    judged = graded(report)
    if judged.level == "good":
        return judged
    return replace(judged, remedy=_best_remedy(judged, network, start))


def _best_remedy(report: Report, network: Network, start: Input) -> Remedy | None:
    best: tuple[tuple[int, float], Remedy] | None = None
    layers = tuple(step.layer for step in network.steps)
    late: list[tuple[float, Change]] = []  # those that lose the signal: only where nothing else helps

    def consider(change: Change) -> bool:
        """Whether it is as good as it gets."""
        nonlocal best
        try:
            changed = resolve_network(change.layers, network.fan_in, network.image)
            after = graded(analyse(changed, start, report.dtype, brief=True))
        except ValueError:
            return False  # such as a widened bias that this law cannot take
        rank = rank_of(after)
        rank = (rank[0], round(rank[1], 1))  # of equals the first, which is the simplest
        if rank < (rank_of(report)[0], 0.8 * rank_of(report)[1]) and (best is None or rank < best[0]):
            best = rank, Remedy(
                change.words, after.level, after.log10_gradient_ratio, after.log10_signal_ratio, after.dead,
                after.overflow[report.dtype], change.bias_std,
            )  # fmt: skip
        return best is not None and best[0][0] == 0 and best[0][1] < 0.5

    for change in _candidates(layers, report):
        if change is None:  # other activations: only where no initializer lifts the verdict
            if best is not None and best[0][0] < LEVELS.index(report.level):
                break
        elif (drift := _drift(change.layers, start.signal.log_q)) > THRESHOLDS["signal"][1] * LN10:
            late.append((drift, change))
        elif consider(change):
            break
    if best is None and late:
        consider(min(late, key=lambda item: item[0])[1])
    return None if best is None else best[1]


def _drift(layers: list[Layer], log_q: float) -> float:
    """By how much ln E x^2 of a wide chain of dense layers and activations changes; 0 for other networks.

    Much cheaper than the whole analysis, which it spares unstable fixed points such as GELU's exact gain:
    a finite width starts beside them.
    """
    log_q += 0.01
    after = []
    for layer in layers:
        if isinstance(layer, Dense) and layer.init in ("variance_scaling", "orthogonal"):
            scale = layer.kwargs.get("scale", check_gain(layer.kwargs.get("gain", 1.0)) ** 2)
            log_q = log_add(log_q + log(scale), 2.0 * log(layer.bias_std))
        elif isinstance(layer, Activation):
            log_q = log(layer.function.second_moment(exp(min(NEAR, log_q))))
        else:
            return 0.0
        after.append(log_q)
    return abs(after[-1] - after[0])


class Change(NamedTuple):
    """A change in words, and the layers after exactly that change."""

    words: str
    layers: list[Layer]
    bias_std: float | None  # of all biases after it; None where they stay


def _candidates(layers: tuple[Layer, ...], report: Report) -> Iterator[Change | None]:
    """Changes worth trying, the simplest first; None before those that swap the activation."""
    flat, prefix = flattened(layers), ""
    if grade_of(report.shared, "shared") and any(map(_given, flat)):
        layers, prefix = tuple(_mapped(layers, _centred)), "subtract the mean of each given array, and "
        flat = flattened(layers)
    blocks = sum(isinstance(layer, Residual) for layer in layers)
    if blocks:
        scale = 1.0 / math.sqrt(blocks)
        scaled = [Residual(x.layers, scale, x.skip) if isinstance(x, Residual) else x for x in layers]
        branches = counted(blocks, "residual branch", "residual branches")
        yield Change(f"give the {branches} the scale 1/sqrt({blocks}) = {scale:.4g}", scaled, None)
    active = [layer for layer in flat if isinstance(layer, Activation)]
    keep, dropped = _kept(flat)
    if not active or any(isinstance(layer, Gated) for layer in flat):
        yield from _gains(layers, f"linear{dropped}", keep, 0.0, prefix)
    if not active:
        return
    main = max(active, key=lambda a: sum(a.function is b.function for b in active))
    bias = max((r.sigma_b2 or 0.0) for r in report.layers)
    f = main.function
    second = f.second_moment(1.0)
    if second > 0.0:
        yield from _gains(layers, f"exact gain{dropped}", keep / second, 0.0, prefix)
    critical = f.critical_point(bias)
    if critical is not None:
        yield from _gains(layers, f"critical for sigma_b {math.sqrt(bias):.3g}", critical[0], bias, prefix)
    for q in (1.0, 0.25):
        sw, sb, _ = f.critical_line(q)
        steep = sw * f.moments(q, 0.0)[6] / q  # dq'/dq: far above 1 a draw leaves that q at once
        if sb >= 0.0 and math.isfinite(sw) and steep < 1.2:
            yield from _gains(layers, f"critical at q = {q:g}", sw, sb, prefix)
    yield None  # what follows swaps the activation, or drops layers
    names = dict.fromkeys(str(getattr(a.activation, "__name__", a.activation)) for a in active)
    if not names.keys() & {"leaky_relu", "prelu"}:
        leaky = _mapped(layers, lambda x: Activation("leaky_relu", negative_slope=0.1) if x in active else x)
        yield from _gains(tuple(leaky), "", 2.0 / (1.0 + 0.1**2), 0.0,
                          f"{prefix}leaky_relu with negative_slope 0.1 instead of {' and '.join(names)}, and ")  # fmt: skip
    bare = _without_norms(layers)
    if second > 0.0 and len(flattened(bare)) < len(flat):
        yield from _gains(bare, f"exact gain{dropped}", keep / second, 0.0, f"{prefix}leave the normalizations out, and ")


def _kept(flat: list[Layer]) -> tuple[float, str]:
    """The part of E x^2 that undoes what dropout adds per layer with weights, and words that say so."""
    rates = [layer.p for layer in flat if isinstance(layer, Dropout)]
    count = sum(isinstance(layer, (Dense, Conv, Gated)) for layer in flat)
    logs = sum(math.log1p(-p) for p in rates)
    return (math.exp(logs / count), " under dropout") if logs else (1.0, "")


def _gains(
    layers: tuple[Layer, ...], why: str, sigma_w2: float, sigma_b2: float, prefix: str = ""
) -> Iterator[Change]:
    """All weights with this sigma_w2 and all biases with this sigma_b2, each as the words round it."""
    reason = f" ({why})" if why else ""
    std, gain = (float(f"{math.sqrt(square):.4g}") for square in (sigma_b2, sigma_w2))
    flat = flattened(layers)
    bias = f" and bias_std {std:.4g}" if std else " and zero biases" if any(map(_biased, flat)) else ""
    plain = {1.0: "'lecun_normal'", 2.0: "'he_normal'"}
    known = next((text for value, text in plain.items() if abs(sigma_w2 - value) < 1e-9), None)
    normal = "init " + (known or f"'variance_scaling' with scale {sigma_w2:.4g}")
    if not known:
        sigma_w2 = float(f"{sigma_w2:.4g}")
    kwargs = {"scale": sigma_w2}
    given = [_given(layer) for layer in flat if isinstance(layer, (Dense, Conv, Gated))]
    if any(given):
        rest = "" if all(given) else f" and {normal} for the others"
        yield Change(
            f"{prefix}multiply each weight so that sigma_w2 = {sigma_w2:.4g}{rest}{bias}{reason}",
            _mapped(layers, lambda x: _rescaled(x, sigma_w2, std) if _given(x)
                    else _redrawn(x, "variance_scaling", kwargs, std)), std,
        )  # fmt: skip
        return
    yield Change(
        f"{prefix}{normal}{bias}: sigma_w {gain:.4g}{reason}",
        _mapped(layers, lambda x: _redrawn(x, "variance_scaling", kwargs, std)), std,
    )  # fmt: skip
    yield Change(
        f"{prefix}init 'orthogonal' with gain {gain:.4g}{bias}{reason}",
        _mapped(layers, lambda x: _redrawn(x, "orthogonal", {"gain": gain}, std)), std,
    )  # fmt: skip


def _mapped(layers: Any, change: Callable[[Any], Layer]) -> list[Layer]:
    result: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Residual):
            result.append(Residual(_mapped(layer.layers, change), layer.scale, layer.skip))
        else:
            result.append(change(layer))
    return result


def _without_norms(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Without normalizations, but where a branch has nothing else."""
    kept: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Residual):
            kept.append(Residual(_without_norms(layer.layers) or layer.layers, layer.scale, layer.skip))
        elif not isinstance(layer, LayerNorm):
            kept.append(layer)
    return tuple(kept)


def _given(layer: Layer) -> bool:
    """Whether its weights are arrays."""
    return getattr(layer, "weight", None) is not None or getattr(layer, "gate", None) is not None


def _biased(layer: Layer) -> bool:
    bias = getattr(layer, "bias", None)
    return getattr(layer, "bias_std", 0.0) != 0.0 or (bias is not None and bool(bias.any()))


def _redrawn(layer: Layer, init: str, kwargs: dict[str, Any], bias_std: float) -> Layer:
    """With weights of this law, and biases."""
    if not isinstance(layer, (Dense, Conv, Gated)):
        return layer
    none = dict.fromkeys(("gate", "up", "down") if isinstance(layer, Gated) else ("weight", "bias"))
    return replaced(layer, init=init, kwargs=kwargs, bias_std=bias_std, **none)


def _rescaled(layer: Layer, sigma_w2: float, bias_std: float) -> Layer:
    bias = {} if isinstance(layer, Gated) else {"bias": None}
    return _with_arrays(layer, lambda w: _scaled(w, sigma_w2), bias_std=bias_std, **bias)


def _centred(layer: Layer) -> Layer:
    """With arrays whose mean is 0."""
    return _with_arrays(layer, _about_mean) if _given(layer) else layer


def _with_arrays(layer: Layer, change: Callable[[Array], Array], **others: Any) -> Layer:
    """With each given array changed, and other arguments."""
    names = ("gate", "up", "down") if isinstance(layer, Gated) else ("weight",)
    return replaced(layer, **{name: change(getattr(layer, name).astype(np.float64)) for name in names}, **others)


def _about_mean(weight: Array) -> Array:
    centred: Array = weight - weight.mean()
    return centred


def _scaled(weight: Array, sigma_w2: float) -> Array:
    """The weight, of any scale, with fan_in E W^2 = sigma_w2; zeros stay."""
    second = float((weight * weight).mean())
    fan_in = weight.size / weight.shape[-1]
    return weight * math.sqrt(sigma_w2 / fan_in / second) if second else weight
