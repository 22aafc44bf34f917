"""The plots of `bench.report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from .report import LIMIT, Row, fill_name, largest, on_threads
from .report import share as share_of_limit

COLORS = {"fastinit": "C3", LIMIT: "0.3"}
OTHERS = ["C0", "C1", "C2", "C4", "C5", "C6", "C8", "C9"]


def _style(library: str, libraries: Sequence[str]) -> dict[str, Any]:
    if library == LIMIT:
        return {"color": COLORS[library], "linestyle": "--", "linewidth": 1.5}
    if library == "fastinit":
        return {"color": COLORS[library], "marker": "o", "linewidth": 2.5, "zorder": 3}
    rest = [n for n in libraries if n not in COLORS]
    return {"color": OTHERS[rest.index(library) % len(OTHERS)], "marker": ".", "linewidth": 1.2}


def _unique(rows: Sequence[Row], key: str) -> list[Any]:
    return list(dict.fromkeys(r[key] for r in rows))


def _save(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def speed(rows: Sequence[Row], path: Path) -> Path | None:
    """Speed of float32 fills against size, every library, with the line of the stores alone."""
    rows = [r for r in rows if r["task"] == "fill" and r["dtype"] == "float32"]
    laws, counts = _unique(rows, "law"), sorted(set(_unique(rows, "threads")))
    if not rows:
        return None
    libraries = _unique(rows, "library")
    figure, axes = pyplot.subplots(len(counts), len(laws), figsize=(4.3 * len(laws), 3.6 * len(counts)), squeeze=False,
                                   sharex=True, sharey=True, layout="constrained")  # fmt: skip
    for i, threads in enumerate(counts):
        for j, law in enumerate(laws):
            panel = axes[i][j]
            panel.set_title(f"{law}, {on_threads(threads)}", fontsize=10)
            for library in libraries:
                points = sorted((r["size"], r["size"] / r["seconds"] / 1e9) for r in rows
                                if (r["law"], r["threads"], r["library"]) == (law, threads, library))  # fmt: skip
                if points:
                    panel.loglog(*zip(*points, strict=True), label=library, base=10, **_style(library, libraries))
            panel.set_xscale("log", base=2)
            panel.grid(alpha=0.3)
            if i == len(counts) - 1:
                panel.set_xlabel("float32 elements")
            if j == 0:
                panel.set_ylabel("10⁹ elements / s")
    named = {t: h for panel in axes.flat for h, t in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=5)
    return _save(figure, path)


def threads(rows: Sequence[Row], path: Path) -> Path | None:
    """How the speed of the largest fills grows with the threads."""
    rows = [r for r in largest([r for r in rows if r["task"] == "fill"]) if r["library"] in ("fastinit", LIMIT)]
    one = {_task(r): r["seconds"] for r in rows if r["threads"] == 1}
    more = [(r, one[_task(r)] / r["seconds"]) for r in rows if r["threads"] > 1 and _task(r) in one]
    if not more:
        return None
    count = more[0][0]["threads"]
    labels = list(dict.fromkeys(_name(r) for r, _ in more))
    figure, panel = pyplot.subplots(figsize=(8, 0.42 * len(labels) + 1.6), layout="constrained")
    for offset, library in ((-0.2, "fastinit"), (0.2, LIMIT)):
        gains = {_name(r): gain for r, gain in more if r["library"] == library}
        panel.barh([labels.index(n) + offset for n in gains], list(gains.values()), 0.38,
                   color=COLORS[library], label=library)  # fmt: skip
    panel.axvline(1, color="0.7", linewidth=1)
    panel.axvline(count, color="0.7", linewidth=1, linestyle="--")
    panel.set_yticks(range(len(labels)), labels)
    panel.invert_yaxis()
    panel.set_xlabel(f"speed on {count} threads / speed on 1")
    figure.legend(loc="outside lower center", ncols=2)
    return _save(figure, path)


def _task(r: Row) -> tuple[Any, ...]:
    return r["law"], r["dtype"], r["size"], r["library"]


def _name(r: Row) -> str:
    return fill_name(r["law"], r["dtype"], r["size"])


def share(rows: Sequence[Row], path: Path) -> Path | None:
    """Share of the limit: time of the stores alone by time of the fill, largest sizes."""
    rows = largest([r for r in rows if r["task"] == "fill"])
    mine = [r for r in rows if r["library"] == "fastinit" and share_of_limit(r) is not None]
    if not mine:
        return None
    labels, counts = list(dict.fromkeys(_name(r) for r in mine)), sorted(set(_unique(mine, "threads")))
    figure, panel = pyplot.subplots(figsize=(8, 0.42 * len(labels) + 1.6), layout="constrained")
    height = 0.8 / len(counts)
    for k, n in enumerate(counts):
        bars = {_name(r): share_of_limit(r) for r in mine if r["threads"] == n}
        at = [labels.index(name) + (k - (len(counts) - 1) / 2) * height for name in bars]
        drawn = panel.barh(at, list(bars.values()), 0.95 * height, color="C3", alpha=0.5 + 0.5 * (k == len(counts) - 1),
                           label=on_threads(n))  # fmt: skip
        panel.bar_label(drawn, fmt="{:.0%}", padding=3, fontsize=8)
    panel.set_yticks(range(len(labels)), labels)
    panel.invert_yaxis()
    panel.margins(x=0.12)
    panel.set_xlabel("share of the speed of the stores alone")
    figure.legend(loc="outside lower center", ncols=2)
    return _save(figure, path)


def orthogonal(rows: Sequence[Row], path: Path) -> Path | None:
    """Time of square orthogonal matrices against n, with that of 4/3 n^3 operations at the rate of a product."""
    square = [r for r in rows if r["task"] == "orthogonal" and r.get("shape", "") == "square"]
    dtypes = _unique(square, "dtype")
    if not square:
        return None
    rates: dict[tuple[str, int], float] = {}  # of the best product in the run, whoever made it
    for r in rows:
        if "flops" in r:
            key = r["dtype"], r["threads"]
            rates[key] = max(rates.get(key, 0.0), r["flops"] / r["seconds"])
    libraries = _unique(square, "library")
    figure, axes = pyplot.subplots(1, len(dtypes), figsize=(5.5 * len(dtypes), 4.6), squeeze=False, layout="constrained")
    for panel, dtype in zip(axes[0], dtypes, strict=True):
        most = max(r["threads"] for r in square if r["dtype"] == dtype)
        panel.set_title(f"orthogonal (n, n), {dtype}, {on_threads(most)}", fontsize=10)
        for library in libraries:
            points = sorted((r["n"], r["seconds"]) for r in square
                            if (r["dtype"], r["threads"], r["library"]) == (dtype, most, library))  # fmt: skip
            if points:
                panel.loglog(*zip(*points, strict=True), label=library, **_style(library, libraries))
        rate = rates.get((dtype, most))
        if rate:
            ns = sorted({r["n"] for r in square if r["dtype"] == dtype})
            panel.loglog(ns, [4 / 3 * n**3 / rate for n in ns], "--", color="0.3",
                         label="4/3 n³ at the rate of a product")  # fmt: skip
        panel.set_xscale("log", base=2)
        panel.grid(alpha=0.3)
        panel.set_xlabel("n")
        panel.set_ylabel("seconds")
        panel.legend(fontsize=8)
    return _save(figure, path)


FIGURES = {"speed": speed, "threads": threads, "share": share, "orthogonal": orthogonal}
