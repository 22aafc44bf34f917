"""The change that mends a network: candidates, each propagated again and judged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from ._analysis import analyse
from ._inputs import Input
from ._layers import Activation, Dropout, LayerNorm, Residual
from ._linear_layers import Dense, Gated
from ._network import Network, Step
from ._report import LEVELS, Remedy, Report, counted
from ._signal import LN10, NEAR, exp, log, log_add
from ._verdict import THRESHOLDS, enters_nothing, grade_of, graded, rank_of
from ._weights import Weights, resolve_weights

Steps = tuple[Step, ...]


def judge(report: Report, network: Network, start: Input) -> Report:
    """The report with level, reasons and remedy."""
    judged = graded(report)
    if judged.level == "good" or enters_nothing(judged):  # no weights mend zeros
        return judged
    return replace(judged, remedy=_best_remedy(judged, network, start))


def _best_remedy(report: Report, network: Network, start: Input) -> Remedy | None:
    best: tuple[tuple[int, float], Remedy] | None = None
    late: list[tuple[float, Change]] = []  # those that lose the signal: only where nothing else helps

    def consider(change: Change, *, spare: bool = True) -> bool:
        """Whether it is as good as it gets."""
        nonlocal best
        try:
            steps = change.steps()
            drift = _drift(steps, start.signal.log_q)
            if spare and drift > THRESHOLDS["signal"][1] * LN10:
                late.append((drift, change))
                return False
            after = graded(analyse(replace(network, steps=steps), start, report.dtype, brief=True))
        except (ValueError, ArithmeticError):
            return False  # such as a widened bias that this law cannot take, or a function beyond where it is finite
        rank = rank_of(after)
        rank = (rank[0], round(rank[1], 1))  # of equals the first, which is the simplest
        if rank < (rank_of(report)[0], 0.8 * rank_of(report)[1]) and (best is None or rank < best[0]):
            best = rank, Remedy(
                change.words, after.level, after.log10_gradient_ratio, after.log10_signal_ratio, after.dead,
                after.overflow[report.dtype], change.bias_std,
            )  # fmt: skip
        return best is not None and best[0][0] == 0 and best[0][1] < 0.5

    tried = _candidates(network.steps, report)
    for change in tqdm(tried, desc="remedies", unit="", delay=2.0, leave=False, disable=None):
        if change is None:  # other activations: only where no initializer lifts the verdict
            if best is not None and best[0][0] < LEVELS.index(report.level):
                break
        elif consider(change):
            break
    if best is None and late:
        consider(min(late, key=lambda item: item[0])[1], spare=False)
    return None if best is None else best[1]


def _drift(steps: Steps, log_q: float) -> float:
    """By how much ln E x^2 of a wide chain of dense layers and activations changes; 0 for other networks.

    Much cheaper than the whole analysis, which it spares unstable fixed points such as GELU's exact gain:
    a finite width starts beside them.
    """
    log_q += 0.01
    after = []
    for step in steps:
        layer = step.layer
        if isinstance(layer, Dense) and step.weights[0].mean == 0.0:
            (w,) = step.weights
            log_q = log_add(log_q + log(w.sigma_w2), log(w.bias_second))
        elif isinstance(layer, Activation):
            log_q = log(layer.function.second_moment(exp(min(NEAR, log_q))))
        else:
            return 0.0
        after.append(log_q)
    return abs(after[-1] - after[0])


class Change(NamedTuple):
    """A change in words, and what makes the steps after exactly that change."""

    words: str
    steps: Callable[[], Steps]
    bias_std: float | None  # of all biases after it; None where they stay


def _candidates(steps: Steps, report: Report) -> Iterator[Change | None]:
    """Changes worth trying, the simplest first; None before those that swap the activation."""
    flat, prefix = _flattened(steps), ""
    if grade_of(report.shared, "shared") and any(map(_given, flat)):
        steps, prefix = _mapped(steps, _centred), "subtract the mean of each given array, and "
        flat = _flattened(steps)
    blocks = sum(isinstance(step.layer, Residual) for step in steps)
    if blocks:
        scale = 1.0 / math.sqrt(blocks)
        branches = counted(blocks, "residual branch", "residual branches")
        words = f"give the {branches} the scale 1/sqrt({blocks}) = {scale:.4g}"
        yield Change(words, lambda: tuple(_branch_scaled(step, scale) for step in steps), None)
    active = [step.layer for step in flat if isinstance(step.layer, Activation)]
    keep, dropped = _kept(flat)
    if not active or any(isinstance(step.layer, Gated) for step in flat):
        yield from _gains(steps, f"linear{dropped}", keep, 0.0, prefix)
    if not active:
        return
    uses = Counter(id(a.function) for a in active)
    main = max(active, key=lambda a: uses[id(a.function)])
    bias = max((r.sigma_b2 or 0.0) for r in report.layers)
    f = main.function
    second = f.second_moment(1.0)
    if second > 0.0:
        yield from _gains(steps, f"exact gain{dropped}", keep / second, 0.0, prefix)
    critical = f.critical_point(bias)
    if critical is not None:
        yield from _gains(steps, f"critical for sigma_b {math.sqrt(bias):.3g}", critical[0], bias, prefix)
    for q in (1.0, 0.25):
        sw, sb, _ = f.critical_line(q)
        steep = sw * f.moments(q, 0.0)[6] / q  # dq'/dq: far above 1 a draw leaves that q at once
        if sb >= 0.0 and math.isfinite(sw) and steep < 1.2:
            yield from _gains(steps, f"critical at q = {q:g}", sw, sb, prefix)
    yield None  # what follows swaps the activation, or drops layers
    names = dict.fromkeys(str(getattr(a.activation, "__name__", a.activation)) for a in active)
    if not names.keys() & {"leaky_relu", "prelu"}:
        leaky = Activation("leaky_relu", negative_slope=0.1)
        swapped = _mapped(steps, lambda x: replace(x, layer=leaky) if isinstance(x.layer, Activation) else x)
        yield from _gains(swapped, "", 2.0 / (1.0 + 0.1**2), 0.0,
                          f"{prefix}leaky_relu with negative_slope 0.1 instead of {' and '.join(names)}, and ")  # fmt: skip
    bare = _without_norms(steps)
    if report.level == "bad" and second > 0.0 and len(_flattened(bare)) < len(flat):  # they help too
        yield from _gains(bare, f"exact gain{dropped}", keep / second, 0.0, f"{prefix}leave the normalizations out, and ")


def _flattened(steps: Steps) -> list[Step]:
    """The steps with those of each branch in place of its `Residual`."""
    return [inner for step in steps for inner in (_flattened(step.body) if step.body else [step])]


def _kept(flat: list[Step]) -> tuple[float, str]:
    """The part of E x^2 that undoes what dropout adds per layer with weights, and words that say so."""
    rates = [step.layer.p for step in flat if isinstance(step.layer, Dropout)]
    count = sum(bool(step.weights) for step in flat)
    logs = sum(math.log1p(-p) for p in rates)
    return (math.exp(logs / count), " under dropout") if logs else (1.0, "")


def _gains(steps: Steps, why: str, sigma_w2: float, sigma_b2: float, prefix: str = "") -> Iterator[Change]:
    """All weights with this sigma_w2 and all biases with this sigma_b2, each as the words round it."""
    reason = f" ({why})" if why else ""
    std, gain = (float(f"{math.sqrt(square):.4g}") for square in (sigma_b2, sigma_w2))
    flat = _flattened(steps)
    biased = any(w.bias_second != 0.0 for step in flat for w in step.weights)
    bias = f" and bias_std {std:.4g}" if std else " and zero biases" if biased else ""
    plain = {1.0: "'lecun_normal'", 2.0: "'he_normal'"}
    known = next((text for value, text in plain.items() if abs(sigma_w2 - value) < 1e-9), None)
    normal = "init " + (known or f"'variance_scaling' with scale {sigma_w2:.4g}")
    if not known:
        sigma_w2 = float(f"{sigma_w2:.4g}")
    scaled = _Redrawn("variance_scaling", {"scale": sigma_w2}, std)
    given = [_given(step) for step in flat if step.weights]
    if any(given):
        rest = "" if all(given) else f" and {normal} for the others"
        yield Change(
            f"{prefix}multiply each weight so that sigma_w2 = {sigma_w2:.4g}{rest}{bias}{reason}",
            lambda: _mapped(steps, lambda x: _rescaled(x, sigma_w2, std) if _given(x) else scaled(x)), std,
        )  # fmt: skip
        return
    yield Change(f"{prefix}{normal}{bias}: sigma_w {gain:.4g}{reason}", lambda: _mapped(steps, scaled), std)
    orthogonal = _Redrawn("orthogonal", {"gain": gain}, std)
    yield Change(
        f"{prefix}init 'orthogonal' with gain {gain:.4g}{bias}{reason}", lambda: _mapped(steps, orthogonal), std
    )


def _mapped(steps: Steps, change: Callable[[Step], Step]) -> Steps:
    return tuple(replace(x, body=_mapped(x.body, change)) if x.body else change(x) for x in steps)


def _branch_scaled(step: Step, scale: float) -> Step:
    layer = step.layer
    return replace(step, layer=Residual(layer.layers, scale, layer.skip)) if isinstance(layer, Residual) else step


def _without_norms(steps: Steps) -> Steps:
    """Without normalizations, but where a branch has nothing else."""
    kept = [replace(x, body=_without_norms(x.body) or x.body) if x.body else x for x in steps]
    return tuple(x for x in kept if not isinstance(x.layer, LayerNorm))


def _given(step: Step) -> bool:
    """Whether its weights are arrays."""
    return any(w.sums is not None for w in step.weights)


class _Redrawn:
    """A step with weights of this law, and biases; equal weights are worked out once."""

    def __init__(self, init: str, kwargs: dict[str, Any], bias_std: float) -> None:
        self.init, self.kwargs, self.bias_std = init, kwargs, bias_std
        self.known: dict[tuple[tuple[int, ...], int], Weights] = {}

    def __call__(self, step: Step) -> Step:
        return replace(step, weights=tuple(self._weights(step.name, w.shape, w.groups) for w in step.weights))

    def _weights(self, name: str, shape: tuple[int, ...], groups: int) -> Weights:
        if (shape, groups) not in self.known:
            self.known[shape, groups] = resolve_weights(
                name, shape, init=self.init, kwargs=self.kwargs, array=None, bias=None, bias_std=self.bias_std,
                groups=groups,
            )  # fmt: skip
        return self.known[shape, groups]


def _rescaled(step: Step, sigma_w2: float, bias_std: float) -> Step:
    return replace(step, weights=tuple(w.rescaled(sigma_w2, bias_std) for w in step.weights))


def _centred(step: Step) -> Step:
    """With arrays whose mean is 0."""
    return replace(step, weights=tuple(_about_mean(step.name, w) for w in step.weights))


def _about_mean(name: str, w: Weights) -> Weights:
    if w.array is None:
        return w
    wide = w.array.astype(np.float64)
    return resolve_weights(
        name, w.shape, init="zeros", kwargs={}, array=wide - wide.mean(), bias=w.bias, bias_std=w.bias_std, groups=w.groups
    )
