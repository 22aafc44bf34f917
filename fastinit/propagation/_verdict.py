"""The verdict: thresholds, a grade, and the reasons in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from .._args import FORMATS
from ._heeded import linear_rows, measured_findings, missed_gradient, missed_signal, refutes_typical, top_rows
from ._report import LEVELS, Report, counted, fixed

#: Where a quantity starts to be a warning, and where it is bad.
THRESHOLDS = {
    "gradient": (1.0, 3.0),  # abs(log10 of the gradient ratio)
    # The same where it is large in front of norms: such weights grow until their steps are of the right size (Arora et al.,
    # "Theoretical analysis of auto rate-tuning by batch normalization", 2019); 50 layers of ReLU behind BatchNorm, 10^8,
    # are where that ends (Yang et al., "A mean field theory of batch normalization", 2019).
    "normed": (3.0, 8.0),
    "signal": (3.0, 6.0),  # abs(log10 of the ratio of second moments)
    "depth": (3.0, 6.0),  # depth / xi_c: e^-6 of a correlation's deviation is left
    "blocked": (0.05, 0.5),  # probability that no gradient of an input reaches the first layer
    "shared": (0.5, 0.9),
    "alike": (50.0, 2000.0),  # one over 1 - cosine of two inputs, where the network leaves them so
    "batch_norm": (1 / 8, 1 / 4),  # one over the numbers that it takes a variance of: E 1/v is finite from 4 on
    "dead": (0.2, 0.5),
    "saturated": (0.3, 0.7),
    "overflow": (1e-3, 1e-3),  # probability that an input overflows somewhere
    "underflow": (0.1, 0.5),  # part of a layer that is rounded to 0
}
_NORMS = ("LayerNorm", "RMSNorm", "BatchNorm")
_EQUAL = 1e-9  # 1 - cosine of inputs that are the same on purpose


def grade_of(value: float, name: str) -> int:
    """0 for good, 1 for a warning, 2 for bad, by `THRESHOLDS`."""
    warn, bad = THRESHOLDS[name]
    return 2 if not value <= bad else 1 if value > warn else 0


Finding = tuple[int, str]  # a grade, and a sentence


def findings(report: Report) -> list[Finding]:
    """Everything that is not good, worst first; what is good if nothing is bad."""
    parts = (
        _symmetry_findings, measured_findings, _gradient_findings, _signal_findings, _cosine_findings, _unit_findings,
        _norm_findings, _range_findings, _theory_findings,
    )  # fmt: skip
    return sorted((found for part in parts for found in part(report)), key=lambda found: -found[0])


def _symmetry_findings(report: Report) -> Iterator[Finding]:
    if report.symmetric:
        nothing = -math.inf in (report.log10_signal_ratio, report.log10_gradient_ratio)
        what = "zero" if nothing else "the same number"
        yield 2, f"Weights that are all {what} are symmetric: the units of a layer stay copies of one another."
    elif grade := grade_of(report.shared, "shared"):
        yield grade, (
            f"Weights have a mean: up to {report.shared:.0%} of E h^2 is one number that all units of a layer share."
        )


def _gradient_findings(report: Report) -> Iterator[Finding]:
    total = report.log10_gradient_ratio
    if total == -math.inf:
        if report.batch_norm != 1:  # which says so by itself
            yield 2, "No gradient reaches the first layer: the network is dead."
        return
    seen = missed_gradient(report)
    if seen is not None:  # of what lies behind the last norm only theory is known
        bare = 0.0 if report.log10_bare_ratio == 0.0 else None
        report = replace(
            report, log10_gradient_ratio=seen.value, log10_typical_ratio=seen.value, log10_bare_ratio=bare
        )
    kept = _kept(report)
    grade = gradient_grade(report)
    if grade == 0:
        factor = f"{10.0**kept:.0f}" if kept > 2.0 else f"{10.0**kept:.2g}"
        words = f"{'' if factor == '1' else f'{factor} times '}as large as at the last"
    else:
        way = "smaller (vanishing)" if kept < 0 else "larger (exploding)"
        words = f"{_times(abs(kept))} {way} than at the last"
    aside = {name: fixed(-size) for name, size in _taken(report).items() if fixed(size) != "0.00"}
    the = f"{' and '.join(aside)} aside, the".capitalize() if aside else "The"
    parts = "".join(f", of which {name} {size}" for name, size in aside.items())
    first = f"{the} gradient's squared length at the first of {counted(report.depth, 'layer')} is"
    told = f"{fixed(total)} +- {fixed(report.log10_gradient_ratio_sd)}"
    ratio = told if seen is None else f"as measured {fixed(seen.value)}, in theory {fixed(total)}"
    yield grade, f"{first} {words} (log10 ratio {ratio}{parts})."
    bare = report.log10_bare_ratio or 0.0
    if (without := grade_of(abs(bare), "gradient")) > grade:
        way = "smaller" if bare < 0 else "larger"
        yield without, f"At the first layer without a norm behind it, it is {_times(abs(bare))} {way} than at the last."
    typical = _typical(report)
    if (narrow := grade_of(abs(typical), _limits(report))) > grade and not refutes_typical(report):
        yield narrow, (
            f"Narrow layers scatter it: of one input, half of all draws have a log10 ratio below {fixed(typical)}."
        )
    blocked = 1.0 - report.passing
    if grade := grade_of(blocked, "blocked"):
        yield grade, (
            f"With probability {blocked:.3g} no gradient of an input reaches the first layer: all units of a narrow "
            "layer have slope 0."
        )
    if report.silent_head:
        yield 0, "The last layer starts at zero: in the first step it alone learns."


def _signal_findings(report: Report) -> Iterator[Finding]:
    if enters_nothing(report):
        yield 2, "All inputs are zero: the weights of the first layer get no gradient."
    behind = _behind_norms(report)
    seen = missed_signal(report) if behind is None else None
    signal = report.log10_signal_ratio if behind is None else behind
    if seen is not None:
        signal = seen.value
    if math.isfinite(signal) and (grade := grade_of(abs(signal + report.log10_head), "signal")):
        words = "shrinks" if signal < 0 else "grows"
        as_measured = "" if seen is None else f" as measured, by {fixed(report.log10_signal_ratio)} in theory"
        yield grade, f"The signal {words}: log10 E x^2 changes by {fixed(signal)}{as_measured}."


def _cosine_findings(report: Report) -> Iterator[Finding]:
    if report.batch == 1:
        return
    first, last = _cosines(report)
    if first > _EQUAL and (grade := min(grade_of(1.0 / max(1e-300, below), "alike") for below in (first, last))):
        yield grade, f"Inputs are alike, of cosine {report.input_correlation:.5g}, and stay so: subtract their mean."
    scales = report.scales
    if scales is not None and 0.0 < scales.xi_c < math.inf:
        depths, folds = report.depth / scales.xi_c, _foldings(first, last, scales.c)
        if grade := grade_of(min(depths, folds), "depth"):
            end = "the same" if scales.c > 1.0 - 1e-6 and grade == 2 else "alike"
            way = f"from {1.0 - first:.2f} to {1.0 - last:.4f}"
            nearer = f"{min(depths, folds):.1f} factors of e nearer to {scales.c:.2f}"
            yield grade, f"All inputs become {end}: the cosine of two goes {way}, {nearer}."


def _behind_norms(report: Report) -> float | None:
    """log10 of the signal's ratio, from the first layer behind the last norm on: before it E x^2 is of no account."""
    rows = top_rows(report)
    last = max((i for i, (kind, _) in enumerate(rows) if kind in _NORMS), default=None)
    if last is None:
        return None
    logs = [row.log10_second for row in linear_rows(rows[last + 1 :])] or [0.0]
    return logs[-1] - logs[0]


def _cosines(report: Report) -> tuple[float, float]:
    """1 - cosine of two inputs, and of what the network makes of them."""
    last = [row.one_minus_correlation for row in report.layers if row.one_minus_correlation is not None]
    return 1.0 - report.input_correlation, last[-1] if last else 0.0


def _foldings(first: float, last: float, limit: float) -> float:
    """By how many factors of e the cosine has come nearer to its limit; depth / xi_c is that of a network already there."""
    before, after = (abs(below - max(0.0, 1.0 - limit)) for below in (first, last))
    return math.log(before / after) if before > 0.0 and after > 0.0 else math.inf if before > 0.0 else 0.0


def enters_nothing(report: Report) -> bool:
    """Whether the inputs are zeros, and still are where the first weights take them."""
    first = next((row for row in report.layers if row.log10_weight_gradient is not None), None)
    return report.input_second == 0.0 and first is not None and first.log10_weight_gradient == -math.inf


def _unit_findings(report: Report) -> Iterator[Finding]:
    if report.log10_gradient_ratio != -math.inf and (grade := grade_of(report.dead, "dead")):
        inputs = "the input" if report.batch == 1 else f"all {report.batch} inputs"
        yield grade, f"{report.dead:.0%} of the units are dead: slope 0 for {inputs}."
    flat = report.saturated or 0.0
    if grade := grade_of(flat, "saturated"):
        yield grade, f"{flat:.0%} of the activations are saturated."


def _norm_findings(report: Report) -> Iterator[Finding]:
    few = report.batch_norm
    if few is not None and (grade := grade_of(1.0 / few, "batch_norm")):
        scatter = (": its deviations scatter, and gradients more than their bands say.",
                   " divides by deviations that may be all but 0: squared gradients have no mean.")[grade - 1]  # fmt: skip
        yield grade, f"BatchNorm over {counted(few, 'number')}{' gives 0: nothing passes.' if few == 1 else scatter}"


def _theory_findings(report: Report) -> Iterator[Finding]:
    if report.approximate:
        layers = counted(len(report.approximate), "layer")
        hint = ": simulate to be sure" if report.measured is None else ""
        yield 0, f"Theory is approximate in {layers}, the first {report.approximate[0]}{hint}."


def _taken(report: Report) -> dict[str, float]:
    """What takes from the gradients between the two layers, but not from what the weights meet, as log10."""
    pooled = min(report.log10_pooled, max(0.0, -report.log10_gradient_ratio))
    return {"means over pixels": pooled, "the small last layer": report.log10_head}


def _kept(report: Report) -> float:
    """log10 of the gradient ratio that the weights meet."""
    return report.log10_gradient_ratio + sum(_taken(report).values())


def _limits(report: Report) -> str:
    """The thresholds of that ratio."""
    return "gradient" if report.log10_bare_ratio is None or _kept(report) < 0.0 else "normed"


def gradient_grade(report: Report) -> int:
    return grade_of(abs(_kept(report)), _limits(report))


def _typical(report: Report) -> float:
    """The same of half of all draws."""
    return report.log10_typical_ratio + sum(_taken(report).values())


def _times(log10: float) -> str:
    return "infinitely many times" if math.isinf(log10) else f"10^{log10:.{'1f' if log10 < 1e6 else '3g'}} times"


def _range_findings(report: Report) -> Iterator[Finding]:
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
    exponent = min(wanted, math.floor((math.log10(FORMATS["float16"].largest / 8.0) - high) / math.log10(2.0)))
    if exponent <= 0 or low + exponent * math.log10(2.0) < math.log10(2.0**-20):
        return None
    return float(2.0**exponent)


def graded(report: Report) -> Report:
    found = findings(report)
    level = LEVELS[max((grade for grade, _ in found), default=0)]
    return replace(report, level=level, reasons=tuple(text for _, text in found), loss_scale=suggested_loss_scale(report))


def rank_of(report: Report) -> tuple[int, float]:
    ratio, typical = abs(_kept(report)), abs(_typical(report))
    if grade_of(typical, _limits(report)) > gradient_grade(report):
        ratio = typical
    size = ratio + 2.0 * (1.0 - report.passing) + 0.25 * abs(report.log10_signal_ratio) + 2.0 * report.dead
    return LEVELS.index(report.level), size if math.isfinite(size) else math.inf
