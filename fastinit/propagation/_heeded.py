"""What a simulation tells the verdict: ratios that theory misses, and numbers that are none."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ._layer_report import COMPARED, LayerReport
from ._measured import Measurement
from ._report import Report
from ._signal import LN10

_MISSED = 0.5  # decades


def measured_ratios(report: Report) -> tuple[Measurement | None, Measurement | None]:
    """Of gradient and signal: what the theory's are, moved as the rows of their two layers are."""
    first, last = _ends(report)
    gradient = _moved(report.log10_gradient_ratio, "gradient", first, last)
    return gradient, _moved(report.log10_signal_ratio, "second", last, first)


def top_rows(report: Report) -> list[tuple[str, LayerReport]]:
    """Those that stand in no branch, with their kinds."""
    split = [r.name.split(": ", 1) for r in report.layers]
    return [(kind, r) for (index, kind), r in zip(split, report.layers, strict=True) if "." not in index]


def linear_rows(rows: list[tuple[str, LayerReport]]) -> list[LayerReport]:
    """Layers with weights, and residual blocks, which ratios are of."""
    return [r for kind, r in rows if r.sigma_w2 is not None or kind == "Residual"]


def _ends(report: Report) -> tuple[LayerReport, LayerReport]:
    """The two layers of the ratios."""
    linear = linear_rows(top_rows(report)) or list(report.layers)
    return linear[0], linear[-2 if report.silent_head else -1]


def _moved(ratio: float, field: str, over: LayerReport, under: LayerReport) -> Measurement | None:
    above, below = _away(over, field), _away(under, field)
    value = ratio + above.value - below.value
    return Measurement(value, math.hypot(above.error, below.error)) if math.isfinite(value) else None


def _away(row: LayerReport, field: str) -> Measurement:
    """log10 of a measured value over that of the theory."""
    seen: Measurement | None = getattr(row.measured, field, None)
    if seen is None or not seen.value > 0.0:
        return Measurement(math.nan, math.nan)
    return Measurement(math.log10(seen.value) - getattr(row, COMPARED[field]), seen.error / seen.value / LN10)


def missed_gradient(report: Report) -> Measurement | None:
    """The measured ratio of gradients where theory does not expect it: of one lognormal number its median lies lower."""
    less = report.log10_gradient_ratio - report.log10_typical_ratio
    return _missed(report.measured_gradient_ratio, report.log10_gradient_ratio, less, 2.0 * report.log10_gradient_ratio_sd)


def refutes_typical(report: Report) -> bool:
    """Whether the measured ratio is nearer to the mean over draws than to that of a typical one."""
    seen = report.measured_gradient_ratio
    if seen is None:
        return False
    return abs(seen.value - report.log10_gradient_ratio) < abs(seen.value - report.log10_typical_ratio)


def missed_signal(report: Report) -> Measurement | None:
    return _missed(report.measured_signal_ratio, report.log10_signal_ratio, 0.0, 2.0 * _MISSED)


def _missed(seen: Measurement | None, told: float, less: float, spread: float) -> Measurement | None:
    if seen is None:
        return None
    slack = max(_MISSED, spread) + (2.0 * seen.error if math.isfinite(seen.error) else _MISSED)
    return None if told - less - slack <= seen.value <= told + slack else seen


def measured_findings(report: Report) -> Iterator[tuple[int, str]]:
    """What no ratio tells: numbers that are infinite, or none, and gradients of 0."""
    for field, what in (("nonfinite", "outputs"), ("gradient_nonfinite", "gradients")):
        rows = [r for r in report.layers if _value(r, field) > 0.0]
        if rows:
            worst = max(rows, key=lambda r: _value(r, field))
            part = f"{_value(worst, field):.2g} of all"
            yield 2, f"As measured, {what} of {worst.name} are infinite or not a number ({part})."
            return
    if report.measured is not None and not report.silent_head and report.log10_gradient_ratio > -math.inf:
        first, last = _ends(report)
        if _value(first, "gradient") == 0.0 < _value(last, "gradient"):
            yield 2, "As measured, no gradient reaches the first layer."


def _value(row: LayerReport, field: str) -> float:
    seen: Measurement | None = getattr(row.measured, field, None)
    return math.nan if seen is None else seen.value
