"""A report as aligned text, Markdown or HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._report import counted, fixed

if TYPE_CHECKING:
    from ._layer_report import LayerReport
    from ._measured import Measurement
    from ._report import Report

_HEAD = ("layer", "sigma_w2", "E x^2", "band", "measured", "corr", "E g^2", "band", "measured", "chi", "dead", "sat")


def number(value: float | None, digits: int = 3) -> str:
    """A short number; "-" for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.{digits}g}"


def from_log10(x: float | None) -> str:
    """10^x in scientific notation, however large."""
    if x is None or math.isnan(x):
        return "-"
    if math.isinf(x):
        return "0" if x < 0 else "inf"
    if -3.0 < x < 4.0:
        return f"{10.0**x:.3g}"
    if abs(x) >= 1e6:  # the exponent alone is longer than a column
        return f"10^{x:.3g}"
    whole = math.floor(x)
    lead = f"{10.0 ** (x - whole):.2f}"
    return f"1.00e{whole + 1:+03d}" if lead == "10.00" else f"{lead}e{whole:+03d}"


def _cosine(c: float | None) -> str:
    return "-" if c is None or math.isnan(c) else f"{c:.3f}".replace("-0.000", "0.000")


def percent(x: float | None) -> str:
    """A fraction as per cent."""
    return "-" if x is None or math.isnan(x) else f"{100.0 * x:.0f}%"


def _measured(value: Measurement | None, flagged: bool) -> str:
    if value is None:
        return "-"
    error = f" +-{value.error:.1g}" if math.isfinite(value.error) and value.error else ""
    return f"{value.value:.3g}{error}{' !' if flagged else ''}"


def _band(log10: float, band: tuple[float, float]) -> str:
    """The range as factors on the value."""
    if not math.isfinite(log10) or not band[1] - band[0] >= 1e-4:
        return "-"
    return f"x{_factor(band[0] - log10)}..{_factor(band[1] - log10)}"


def _factor(log10: float) -> str:
    """10^x beside 1: with two decimals, where these say it."""
    return f"{10.0**log10:.2f}" if -2.0 <= log10 < 4.0 else from_log10(log10)


def _log_ratio(value: Measurement | None) -> str:
    if value is None:
        return "-"
    return f"log10 {fixed(value.value)}" + (f" +- {fixed(value.error)}" if math.isfinite(value.error) else "")


def _rows(report: Report) -> list[tuple[LayerReport, LayerReport | None]]:
    """Layers with what their activation adds; activations alone only where nothing else is."""
    rows: list[tuple[LayerReport, LayerReport | None]] = []
    for row in report.layers:
        if row.saturated is not None and rows and rows[-1][1] is None and rows[-1][0].sigma_w2 is not None:
            rows[-1] = rows[-1][0], row
        else:
            rows.append((row, None))
    return rows


def _chosen(count: int, rows: int | None) -> list[int]:
    """First and last ones, and an even choice between."""
    if rows is None or count <= rows:
        return list(range(count))
    return sorted({round(i * (count - 1) / max(1, rows - 1)) for i in range(rows)})


def _cells(row: LayerReport, active: LayerReport | None) -> list[str]:
    flags = row.outside()
    seen = row.measured
    name = row.name if active is None else f"{row.name} {active.name.split('Activation', 1)[1]}"
    behind = active or row
    return [
        name, number(row.sigma_w2), from_log10(row.log10_second), _band(row.log10_second, row.log10_second_band),
        _measured(seen.second if seen else None, "second" in flags),
        _cosine(row.correlation), from_log10(row.log10_gradient), _band(row.log10_gradient, row.log10_gradient_band),
        _measured(seen.gradient if seen else None, "gradient" in flags),
        number(row.chi_perp), percent(behind.dead), percent(behind.saturated),
    ]  # fmt: skip


def _table(report: Report, rows: int | None) -> tuple[list[str], list[list[str]]]:
    pairs = _rows(report)
    chosen = _chosen(len(pairs), rows)
    cells = [_cells(*pairs[i]) for i in chosen]
    keep = [i for i in range(len(_HEAD)) if i == 0 or any(c[i] != "-" for c in cells)]
    return [_HEAD[i] for i in keep], [[c[i] for i in keep] for c in cells]


def aligned(head: Sequence[str], cells: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Lines of a table; columns are flush right but for those in `left`."""
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        padded = (c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        return "  ".join(padded).rstrip()

    return [line(row) for row in (head, *cells)]


def markdown_lines(head: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """The same in Markdown."""
    first, *rest = (f"| {' | '.join(row)} |" for row in (head, *cells))
    return [first, f"|{'---|' * len(head)}", *rest]


def _network(report: Report) -> list[tuple[str, str]]:
    j, s = report.jacobian, report.scales
    lines = [
        ("log10 gradient ratio", f"{fixed(report.log10_gradient_ratio)} +- {fixed(report.log10_gradient_ratio_sd)}"),
        ("log10 signal ratio", fixed(report.log10_signal_ratio)),
        ("phase", report.phase),
    ]
    if s is not None:
        lines.append(("depth scales", f"xi_q {number(s.xi_q)}, xi_c {number(s.xi_c)}, xi_grad {number(s.xi_grad)}"))
        q = "as it is" if s.xi_q == math.inf and 0.0 < s.q < math.inf else number(s.q)  # every q is one that stays
        lines.append(("goes to", f"q {q}, correlation {number(s.c)}"))
    lines += [
        ("dead units", "-" if all(r.dead is None for r in report.layers) else percent(report.dead)),
        ("Jacobian J J^T", f"mean {number(j.mean)}, variance {number(j.variance)}, largest {number(j.largest)}"),
        ("condition number", number(report.condition)),
        ("overflow", ", ".join(f"{k} {number(v, 2)}" for k, v in report.overflow.items() if not k.startswith("float8"))),
    ]
    if report.approximate:
        lines.append(("approximate", f"{counted(len(report.approximate), 'layer')}, the first {report.approximate[0]}"))
    if report.loss_scale is not None:
        lines.append(("loss scale", f"2^{int(math.log2(report.loss_scale))}"))
    seen = report.measured
    if seen is not None:
        lines.append(("measured with", f"{counted(seen.batch, 'input')}, {counted(seen.repeats, 'repeat')}, {seen.dtype}"))
        for name in ("gradient", "signal"):
            lines.append((f"measured {name} ratio", _log_ratio(getattr(report, f"measured_{name}_ratio"))))
        if seen.jacobian_mean is not None and seen.jacobian_largest is not None:
            lines.append(("measured Jacobian", f"mean {number(seen.jacobian_mean.value)}, "
                                               f"largest {number(seen.jacobian_largest.value)}"))  # fmt: skip
        if seen.condition is not None:
            lines.append(("measured condition", number(seen.condition.value)))
    return lines


def render(report: Report, markdown: bool, rows: int | None) -> str:
    """The table, the network's numbers and the verdict."""
    head, cells = _table(report, rows)
    numbers = _network(report)
    if markdown:
        lines = [f"**{report.verdict.splitlines()[0]}**", "", *(f"- {t}" for t in report.verdict.splitlines()[1:]), ""]
        lines += [*markdown_lines(head, cells), "", *markdown_lines(("network", ""), numbers)]
        return "\n".join(lines)
    lines = aligned(head, cells)
    hidden = len(_rows(report)) - len(cells)
    if hidden:
        lines.append(f"({counted(hidden, 'layer')} between {'is' if hidden == 1 else 'are'} not shown)")
    left = max(len(k) for k, _ in numbers)
    lines += ["", *(f"{k:<{left}}  {v}" for k, v in numbers), "", report.verdict]
    return "\n".join(lines)


def render_html(report: Report) -> str:
    """The table for notebooks, the verdict above it."""
    head, cells = _table(report, 24)
    verdict = "<br>".join(html.escape(t) for t in report.verdict.splitlines())
    colour = {"good": "#2a7d3f", "warn": "#9a6700", "bad": "#b42318"}[report.level]
    row = "".join(f"<th>{html.escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in r) + "</tr>" for r in cells)
    numbers = "".join(f"<tr><td>{html.escape(k)}</td><td>{html.escape(v)}</td></tr>" for k, v in _network(report))
    return (
        f'<div><p style="border-left:4px solid {colour};padding-left:8px">{verdict}</p>'
        f"<table><thead><tr>{row}</tr></thead><tbody>{body}</tbody></table><table><tbody>{numbers}</tbody></table></div>"
    )
