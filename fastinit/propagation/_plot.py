"""The picture of a report: theory with its band, measured values as points."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ._report import counted, fixed
from ._signal import LN10

if TYPE_CHECKING:
    from ._layer_report import LayerReport
    from ._report import Report

_THEORY, _MEASURED, _GRID = "#1f5fa8", "#c8501e", "#d9d9d9"


def picture_path(path: str | os.PathLike[str], name: str = "path") -> str:
    """Where the picture goes: .png where it has no suffix."""
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise TypeError(f"{name} must be the name of a file, such as out.png, got {path!r}")
    text = os.fspath(path)
    if not os.path.basename(text) or os.path.isdir(text):
        what = "a folder" if text else "an empty name"
        raise ValueError(f"{name} must be the name of a file, such as out.png, got {what}: {text!r}")
    folder = os.path.dirname(text) or os.curdir
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{name} must be in a folder that exists, got {text!r}")
    place = text if os.path.splitext(text)[1].strip(".") else text.rstrip(".") + ".png"
    if not os.access(place if os.path.exists(place) else folder, os.W_OK):
        raise PermissionError(f"{name} must be where files may be written, got {text!r}")
    return place


def figure_type() -> Any:
    """Matplotlib's Figure, or an error that says what to install."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plot needs matplotlib: pip install matplotlib") from error
    return Figure


def check_drawable(place: str, name: str) -> None:
    """Matplotlib is there, and writes such files."""
    figure_type()
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = sorted(FigureCanvasBase.filetypes)
    if os.path.splitext(place)[1][1:].lower() not in kinds:
        raise ValueError(f"{name} must end in one of {', '.join('.' + kind for kind in kinds)}; got {place!r}")


def draw(report: Report, path: str | os.PathLike[str]) -> None:
    """Four panels, legible at the width of a README."""
    place = picture_path(path)
    check_drawable(place, "path")
    rows = [r for r in report.layers if r.sigma_w2 is not None] or list(report.layers)
    figure = figure_type()(figsize=(9.0, 6.0), dpi=120, layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    _curve(panels[0], rows, "log10_second", "second", "forward: E x²")
    _curve(panels[1], rows, "log10_gradient", "gradient", "backward: E g²")
    _correlation(panels[2], rows)
    _spectrum(panels[3], report)
    for panel in panels:
        panel.grid(color=_GRID, linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[:3]:  # over layers
        panel.xaxis.get_major_locator().set_params(integer=True)
        if len(rows) <= 5:
            panel.set_xlim(0.5, len(rows) + 0.5)
            panel.set_xticks(range(1, len(rows) + 1))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    phase = f"{report.phase}, log10 gradient ratio {fixed(report.log10_gradient_ratio)}"
    verdict = report.verdict.splitlines()[0].rstrip(".").lower()
    figure.suptitle(f"{counted(report.depth, 'layer')}: {verdict} ({phase})", fontsize=12)
    figure.savefig(place)


def _line(rows: list[LayerReport]) -> str:
    """A line through one layer alone would not show."""
    return "-" if len(rows) > 1 else "D"


def _point(points: list[Any]) -> float:
    """The size of one of so many, between which the theory is to be seen."""
    return 3.0 if len(points) <= 60 else 1.5


def _note(panel: Any, text: str) -> None:
    panel.text(0.5, 0.5, text, transform=panel.transAxes, ha="center", va="center")


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def _show_flat(panel: Any, low: float, high: float) -> None:
    """A flat line is flat, and no picture of rounding."""
    if high - low < 0.5:
        middle = 0.5 * (high + low)
        panel.set_ylim(middle - 0.5, middle + 0.5)


def _curve(panel: Any, rows: list[LayerReport], stored: str, measured: str, title: str) -> None:
    at = np.arange(1, len(rows) + 1)
    values = np.array([_finite(getattr(r, stored)) for r in rows])
    low, high = np.array([[_finite(v) for v in getattr(r, f"{stored}_band")] for r in rows]).T
    panel.fill_between(at, low, high, color=_THEORY, alpha=0.2, linewidth=0, label="2 sd of finite width")
    panel.plot(at, values, _line(rows), color=_THEORY, linewidth=1.8, label="theory")
    seen = [(x, getattr(r.measured, measured, None)) for x, r in zip(at, rows, strict=True)]
    points = [(x, m) for x, m in seen if m is not None and m.value > 0.0 and math.isfinite(m.value)]
    if points:
        y = np.array([math.log10(m.value) for _, m in points])
        error = np.array([m.error if math.isfinite(m.error) else 0.0 for _, m in points])
        error /= np.array([m.value for _, m in points]) * LN10
        at_points, size = [x for x, _ in points], _point(points)
        panel.errorbar(at_points, y, error, fmt="o", markersize=size, color=_MEASURED, label="measured")
    if not np.isfinite(values).any():
        beyond = any(getattr(r, stored) == math.inf for r in rows)
        _note(panel, "beyond float64" if beyond else "all zero")
        panel.set_yticks([])
    else:
        _show_flat(panel, np.nanmin(low), np.nanmax(high))
    panel.set_title(title, fontsize=11, loc="left")
    panel.set_ylabel("log10")
    panel.set_xlabel("layer")


def _correlation(panel: Any, rows: list[LayerReport]) -> None:
    at = np.arange(1, len(rows) + 1)
    values = np.array([math.nan if r.correlation is None else r.correlation for r in rows])
    panel.plot(at, values, _line(rows), color=_THEORY, linewidth=1.8)
    seen = [(x, r.measured.correlation) for x, r in zip(at, rows, strict=True) if r.measured and r.measured.correlation]
    if seen:
        panel.plot([x for x, _ in seen], [m.value for _, m in seen], "o", markersize=_point(seen), color=_MEASURED)
    low = float(np.nanmin(values)) if np.isfinite(values).any() else 0.0
    if not np.isfinite(values).any():
        _note(panel, "all zero: no cosine")
    panel.set_ylim(min(-0.03, low - 0.03), 1.03)
    panel.set_title("correlation of two inputs", fontsize=11, loc="left")
    panel.set_xlabel("layer")


def _spectrum(panel: Any, report: Report) -> None:
    """Measured singular values by rank, or the depth scales of the theory as words."""
    j = report.jacobian
    panel.set_title("singular values of the Jacobian", fontsize=11, loc="left")
    values = None if report.measured is None else report.measured.singular_values
    lines = {"root mean square": j.mean, "upper edge": j.largest}
    styles = {"root mean square": "-", "upper edge": "--"}
    for name, square in lines.items():
        if square > 0.0 and math.isfinite(square):
            panel.axhline(0.5 * math.log10(square), color=_THEORY, linestyle=styles[name], linewidth=1.5, label=name)
    panel.set_ylabel("log10")
    if values is not None and np.size(values):
        s = np.sort(np.asarray(values, np.float64))[::-1]
        s = s[s > 3e-7 * s[0]] if s[0] > 0.0 else s[:0]  # below, float32 has noise only
        rank = np.arange(1, s.size + 1) / np.size(values)
        panel.plot(rank, np.log10(s), color=_MEASURED, linewidth=1.8, label="measured")
        panel.set_xlabel("rank / width")
        panel.locator_params(axis="x", nbins=6)
        _show_flat(panel, *panel.get_ylim())
    else:
        panel.set_xticks([])
        panel.set_xlabel("theory, wide layers")
        panel.margins(y=0.6)
    if panel.get_legend_handles_labels()[0]:
        panel.legend(frameon=False, fontsize=9)
    else:
        _note(panel, "all zero" if j.mean == 0.0 else "beyond float64")
