"""The verdict: thresholds, reasons in words, and the change that mends the network, propagated again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from .._args import Array
from .._gains import check_gain
from ._analysis import analyse
from ._inputs import Input
from ._layers import Activation, Dropout, Layer, LayerNorm, Residual, flattened
from ._linear_layers import Conv, Dense, Gated
from ._network import Network, resolve_network
from ._report import LEVELS, Remedy, Report, counted, fixed
from ._signal import exp, log, log_add

#: Where a quantity starts to be a warning, and where it is bad.
THRESHOLDS = {
    "gradient": (1.0, 3.0),  # abs(log10 of the gradient ratio)
    "signal": (3.0, 6.0),  # abs(log10 of the ratio of second moments)
    "depth": (3.0, 6.0),  # depth / xi_c: e^-6 of a correlation's deviation is left
    "blocked": (0.05, 0.5),  # probability that no gradient of an input reaches the first layer
    "shared": (0.5, 0.9),
    "batch_norm": (1 / 8, 1 / 4),  # one over the numbers that it takes a variance of: E 1/v is finite from 4 on
    "dead": (0.2, 0.5),
    "saturated": (0.3, 0.7),
    "overflow": (1e-3, 1e-3),  # probability that an input overflows somewhere
    "underflow": (0.1, 0.5),  # part of a layer that is rounded to 0
}


def grade_of(value: float, name: str) -> int:
    """0 for good, 1 for a warning, 2 for bad, by `THRESHOLDS`."""
    warn, bad = THRESHOLDS[name]
    return 2 if not value <= bad else 1 if value > warn else 0


def findings(report: Report) -> list[tuple[int, str]]:
    """(grade, sentence) of everything that is not good, worst first; what is good if nothing is bad."""
    found: list[tuple[int, str]] = []
    total = report.log10_gradient_ratio
    sd = report.log10_gradient_ratio_sd
    if report.symmetric:
        what = "zero" if report.log10_signal_ratio == -math.inf or total == -math.inf else "the same number"
        found.append((2, f"Weights that are all {what} are symmetric: the units of a layer stay copies of one another."))
    elif grade_of(report.shared, "shared"):
        words = f"up to {report.shared:.0%} of E h^2 is one number that all units of a layer share."
        found.append((grade_of(report.shared, "shared"), f"Weights have a mean: {words}"))
    if total == -math.inf:
        found.append((2, "No gradient reaches the first layer: the network is dead."))
    else:
        grade = grade_of(abs(total), "gradient")
        first = f"The gradient at the first of {counted(report.depth, 'layer')} is"
        if grade == 0:
            factor = f"{10.0**total:.2g}"
            words = f"{'' if factor == '1' else f'{factor} times '}as large as at the last"
        else:
            way = "smaller (vanishing)" if total < 0 else "larger (exploding)"
            words = f"{_times(abs(total))} {way} than at the last"
        found.append((grade, f"{first} {words} (log10 ratio {fixed(total)} +- {fixed(sd)})."))
        typical = _typical(report)
        if grade_of(abs(typical), "gradient") > grade:
            words = f"Narrow layers scatter it: half of all draws have a log10 ratio below {fixed(typical)}."
            found.append((grade_of(abs(typical), "gradient"), words))
        blocked = 1.0 - report.passing
        if grade_of(blocked, "blocked"):
            words = "no gradient of an input reaches the first layer: all units of a narrow layer have slope 0."
            found.append((grade_of(blocked, "blocked"), f"With probability {blocked:.3g} {words}"))
    signal = report.log10_signal_ratio
    if math.isfinite(signal) and grade_of(abs(signal), "signal"):
        words = "shrinks" if signal < 0 else "grows"
        found.append((grade_of(abs(signal), "signal"), f"The signal {words}: log10 E x^2 changes by {fixed(signal)}."))
    scales = report.scales
    if scales is not None and scales.xi_c < math.inf and scales.xi_c > 0.0:
        ratio = report.depth / scales.xi_c
        if grade_of(ratio, "depth"):
            end = "become the same" if scales.c > 1.0 - 1e-6 else f"reach the correlation {scales.c:.2f}"
            reach = counted(max(1, round(6 * scales.xi_c)), "layer")
            found.append((grade_of(ratio, "depth"), f"All inputs {end} within about {reach} "
                                                  f"(depth / xi_c = {ratio:.1f})."))  # fmt: skip
    if grade_of(report.dead, "dead") and total != -math.inf:
        found.append((grade_of(report.dead, "dead"),
                      f"{report.dead:.0%} of the units are dead: slope 0 for all "
                      f"{counted(report.batch, 'input')}."))  # fmt: skip
    saturated = [r.saturated for r in report.layers if r.saturated is not None and not r.zero]
    mean = sum(saturated) / len(saturated) if saturated else 0.0
    if grade_of(mean, "saturated"):
        found.append((grade_of(mean, "saturated"), f"{mean:.0%} of the activations are saturated."))
    few = report.batch_norm
    grade = 0 if few is None else grade_of(1.0 / few, "batch_norm")
    if few is not None and grade:
        scatter = (": its deviations scatter, and gradients more than their bands say.",
                   " divides by deviations that may be all but 0: squared gradients have no mean.")[grade - 1]  # fmt: skip
        words = " gives 0: nothing passes." if few == 1 else scatter
        found.append((grade, f"BatchNorm over {counted(few, 'number')}{words}"))
    found += _range_findings(report)
    return sorted(found, key=lambda item: -item[0])


def _typical(report: Report) -> float:
    """log10 of the gradient ratio of half of all draws: the median of a lognormal number of that mean."""
    return report.log10_gradient_ratio - 0.5 * math.log(10.0) * report.log10_gradient_ratio_sd**2


def _times(log10: float) -> str:
    return "infinitely many times" if math.isinf(log10) else f"10^{log10:.{'1f' if log10 < 1e6 else '3g'}} times"


def _range_findings(report: Report) -> Iterator[tuple[int, str]]:
    name = report.dtype
    over = report.overflow[name]
    if grade_of(over, "overflow"):
        first = next(r.name for r in report.layers if r.width * r.overflow[name] > 1e-3 or r is report.layers[-1])
        yield 2, f"Activations overflow {name} with probability {over:.2g}, from layer {first}."
    if report.log10_signal_ratio == -math.inf or report.log10_gradient_ratio == -math.inf:
        return
    under = report.underflow[name]
    if grade_of(under, "underflow"):
        yield grade_of(under, "underflow"), f"{under:.0%} of a layer's activations are rounded to 0 in {name}."
    back = report.gradient_underflow[name]
    if grade_of(back, "underflow"):
        scale = suggested_loss_scale(report)
        hint = f"; a loss scale of 2^{int(math.log2(scale))} keeps them" if scale else ""
        yield grade_of(back, "underflow") if not scale else 1, (
            f"{back:.0%} of a layer's gradients (of 1 at the output) are rounded to 0 in {name}{hint}."
        )


def suggested_loss_scale(report: Report) -> float | None:
    """Power of two that lifts the smallest gradients towards 2^8 times the smallest normal number of float16.

    None where the largest would overflow before the smallest are safe, or for a wider dtype.
    """
    if report.dtype != "float16" or report.log10_gradient_ratio == -math.inf:
        return None
    logs = [r.log10_gradient for r in report.layers if math.isfinite(r.log10_gradient)]
    if not logs:
        return None
    low, high = 0.5 * min(logs), 0.5 * max(logs)
    wanted = math.ceil((math.log10(2.0**8 * 2.0**-14) - low) / math.log10(2.0))
    exponent = min(wanted, math.floor((math.log10(65504.0 / 8.0) - high) / math.log10(2.0)))
    if exponent <= 0 or low + exponent * math.log10(2.0) < math.log10(2.0**-20):
        return None
    return float(2.0**exponent)


def judge(report: Report, network: Network, start: Input) -> Report:
    """The report with level, reasons and remedy."""
    judged = _graded(report)
    if judged.level == "good":
        return judged
    return replace(judged, remedy=_best_remedy(judged, network, start))


def _graded(report: Report) -> Report:
    found = findings(report)
    level = LEVELS[max((grade for grade, _ in found), default=0)]
    return replace(report, level=level, reasons=tuple(text for _, text in found), loss_scale=suggested_loss_scale(report))


def _rank(report: Report) -> tuple[int, float]:
    ratio, typical = abs(report.log10_gradient_ratio), abs(_typical(report))
    if grade_of(typical, "gradient") > grade_of(ratio, "gradient"):
        ratio = typical
    size = ratio + 2.0 * (1.0 - report.passing) + 0.25 * abs(report.log10_signal_ratio) + 2.0 * report.dead
    return LEVELS.index(report.level), size if math.isfinite(size) else math.inf


def _best_remedy(report: Report, network: Network, start: Input) -> Remedy | None:
    best: tuple[tuple[int, float], Remedy] | None = None
    layers = tuple(step.layer for step in network.steps)
    late: list[tuple[float, Change]] = []  # those that lose the signal: only where nothing else helps

    def consider(change: Change) -> bool:
        """Whether it is as good as it gets."""
        nonlocal best
        try:
            changed = resolve_network(change.layers, network.fan_in, network.image)
            after = _graded(analyse(changed, start, report.dtype, (report.dtype,)))
        except ValueError:
            return False  # such as a widened bias that this law cannot take
        rank = _rank(after)
        rank = (rank[0], round(rank[1], 1))  # of equals the first, which is the simplest
        if rank < (_rank(report)[0], 0.8 * _rank(report)[1]) and (best is None or rank < best[0]):
            best = rank, Remedy(
                change.words, after.level, after.log10_gradient_ratio, after.log10_signal_ratio, after.dead,
                after.overflow[report.dtype], change.bias_std,
            )  # fmt: skip
        return best is not None and best[0][0] == 0 and best[0][1] < 0.5

    for change in _candidates(layers, report):
        if change is None:  # other activations: only where no initializer lifts the verdict
            if best is not None and best[0][0] < LEVELS.index(report.level):
                break
        elif (drift := _drift(change.layers, start.signal.log_q)) > THRESHOLDS["signal"][1] * math.log(10.0):
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
            log_q = log(layer.function.second_moment(exp(min(600.0, log_q))))
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
        yield Change(f"scale the {blocks} residual branches by 1/sqrt({blocks}) = {scale:.4g}", scaled, None)
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
    if isinstance(layer, Dense):
        return Dense(layer.width, init, bias_std=bias_std, fan_in=layer.fan_in, **kwargs)
    if isinstance(layer, Gated):
        return Gated(layer.hidden, layer.width, layer.function, init, bias_std=bias_std, fan_in=layer.fan_in, **kwargs)
    if isinstance(layer, Conv):
        return Conv(layer.width, layer.kernel, init, bias_std=bias_std, stride=layer.stride, padding=layer.padding,
                    groups=layer.groups, image=layer.image, fan_in=layer.fan_in, **kwargs)  # fmt: skip
    return layer


def _rescaled(layer: Layer, sigma_w2: float, bias_std: float) -> Layer:
    if isinstance(layer, Gated):
        gate, up, down = (_scaled(w, sigma_w2) for w in (layer.gate, layer.up, layer.down))
        return Gated(gate=gate, up=up, down=down, activation=layer.function, bias_std=bias_std)
    if isinstance(layer, Dense):
        return Dense(weight=_scaled(layer.weight, sigma_w2), bias_std=bias_std)
    assert isinstance(layer, Conv)
    return Conv(weight=_scaled(layer.weight, sigma_w2), bias_std=bias_std, stride=layer.stride, padding=layer.padding,
                groups=layer.groups, image=layer.image)  # fmt: skip


def _centred(layer: Layer) -> Layer:
    """With arrays whose mean is 0."""
    if isinstance(layer, Gated) and layer.gate is not None:
        gate, up, down = (w - w.mean() for w in (layer.gate, layer.up, layer.down) if w is not None)
        return Gated(gate=gate, up=up, down=down, activation=layer.function, bias_std=layer.bias_std)
    if not isinstance(layer, (Dense, Conv)) or layer.weight is None:
        return layer
    weight = layer.weight - layer.weight.mean()
    if isinstance(layer, Dense):
        return Dense(weight=weight, bias=layer.bias, bias_std=layer.bias_std)
    return Conv(weight=weight, bias=layer.bias, bias_std=layer.bias_std, stride=layer.stride, padding=layer.padding,
                groups=layer.groups, image=layer.image)  # fmt: skip


def _scaled(weight: Array | None, sigma_w2: float) -> Array:
    """The weight, of any scale, with fan_in E W^2 = sigma_w2; zeros stay."""
    assert weight is not None
    wide = weight.astype("float64")
    second = float((wide * wide).mean())
    fan_in = wide.size / wide.shape[-1]
    return wide * math.sqrt(sigma_w2 / fan_in / second) if second else wide
