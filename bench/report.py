"""Tables and plots of a run: ``python -m bench.report results.json``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

LIMIT = "stores alone"  # the library of the physical limit
Row = dict[str, Any]  # extra_info of a benchmark, and its best time as "seconds"
Cell = str | float | None


def load(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """Machine and rows of a file of pytest-benchmark; a row is `extra_info`, group, name and best seconds.

    Raises
    ------
    ValueError
        It is no such file.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        rows = [
            {"task": "", "group": b["group"] or b["name"], "library": b["name"], **b["extra_info"],
             "seconds": b["stats"]["min"]}
            for b in stored["benchmarks"]
        ]  # fmt: skip
        if not rows:
            raise ValueError("no benchmarks")
        return stored["machine_info"], _one_limit(rows)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no result of pytest-benchmark: {error!r}") from None


def _one_limit(rows: list[Row]) -> list[Row]:
    """Stores take what they take whatever law they stand beside: the best time of every dtype and size."""
    same: dict[Any, list[Row]] = {}
    for r in rows:
        if r["task"] == "fill" and r["library"] == LIMIT:
            same.setdefault((r["dtype"], r["size"], r["threads"]), []).append(r)
    for group in same.values():
        best = min(r["seconds"] for r in group)
        for r in group:
            r["seconds"] = best
    return rows


def on_threads(n: int) -> str:
    return f"{n} thread{'s' * (n > 1)}"


def seconds(value: float) -> str:
    """Three digits and a unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * scale >= 1:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def markdown(header: Sequence[str], body: Sequence[Sequence[Cell]]) -> str:
    """Text to the left, numbers to the right, columns aligned in the source too."""
    text = [[("–" if c is None else f"{c:.3g}" if isinstance(c, float) else c) for c in line] for line in body]
    columns = list(zip(header, *text, strict=True))
    widths = [max(map(len, column)) for column in columns]
    left = [i == 0 or name == "library" for i, name in enumerate(header)]
    pad = [str.ljust if first else str.rjust for first in left]
    lines = ["| " + " | ".join(f(c, w) for f, c, w in zip(pad, line, widths, strict=True)) + " |"
             for line in [list(header), *text]]  # fmt: skip
    rule = "|".join("-" * (w + 2) if first else "-" * (w + 1) + ":" for w, first in zip(widths, left, strict=True))
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def _by_group(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    groups: dict[str, dict[str, Row]] = {}
    for row in rows:
        groups.setdefault(row["group"], {})[row["library"]] = row
    return groups


def fills(rows: Sequence[Row]) -> Iterator[str]:
    """Largest size of each law and dtype: speed, gain by threads, ratio to each peer, share of the limit."""
    rows = [r for r in rows if r["task"] == "fill"]
    most = max((r["threads"] for r in rows), default=1)
    for threads in sorted({1, most}):
        at = [r for r in rows if r["threads"] == threads]
        peers = [n for n in dict.fromkeys(r["library"] for r in at) if n not in ("fastinit", LIMIT)]
        body: list[list[Cell]] = []
        for law, dtype in dict.fromkeys((r["law"], r["dtype"]) for r in at):
            size = max(r["size"] for r in at if (r["law"], r["dtype"]) == (law, dtype))
            times = {r["library"]: r["seconds"] for r in at if (r["law"], r["dtype"], r["size"]) == (law, dtype, size)}
            if "fastinit" not in times:
                continue
            own = times["fastinit"]
            body.append([f"{law} {dtype} 2^{size.bit_length() - 1}", size / own / 1e9,
                         *(times[p] / own if p in times else None for p in peers),
                         f"{times[LIMIT] / own:.0%}" if LIMIT in times else None])  # fmt: skip
        if body:
            yield f"### Fills, {on_threads(threads)}: 10⁹ elements a second, and times as fast as"
            yield markdown(["fill", "G/s", *(f"× {p}" for p in peers), "of the stores' speed"], body)


TITLES = {
    "model": "Whole models through `initialize`",
    "fresh": "Into fresh memory",
    "orthogonal": "Orthogonal",
    "product": "Matrix products",
    "simulation": "Simulation",
    "initializer": "Initializers",
    "latency": "Calls",
    "shard": "Shards",
    "import": "Import",
    "memory": "Memory beyond the output",
    "limit": "Limits of the machine",
    "": "Theory and other",
}


def _amount(row: Row) -> str | None:
    if "beyond" in row:
        return f"{row['beyond'] / 2**20:.1f} MiB"
    for key, unit in (("bytes", "GB/s"), ("flops", "GFLOP/s")):
        if key in row:
            return f"{row[key] / row['seconds'] / 1e9:.3g} {unit}"
    if "size" in row:
        return f"{row['size'] / row['seconds'] / 1e9:.3g} G/s"
    return None


def tasks(rows: Sequence[Row]) -> Iterator[str]:
    """Every other group: a line a library, beside fastinit where it is one of them."""
    for task, title in TITLES.items():
        body: list[list[Cell]] = []
        for group, found in _by_group([r for r in rows if r["task"] == task]).items():
            own = found.get("fastinit", {}).get("seconds")
            body += [[group, name, seconds(r["seconds"]), _amount(r), _ratio(own, r["seconds"])]
                     for name, r in found.items()]  # fmt: skip
        if body:
            yield f"### {title}"
            yield markdown(["task", "library", "best time", "rate", "time / fastinit's"], body)


def heading(machine: dict[str, Any]) -> str:
    cpu, own = machine.get("cpu", {}), machine.get("fastinit", {})
    return (
        f"{cpu.get('brand_raw', machine.get('machine', 'unknown CPU'))}, {own.get('threads', '?')} threads, "
        f"{own.get('isa', '?')}, {own.get('compiler', '?')}, Python {machine.get('python_version', '?')}, "
        f"{machine.get('system', '?')}; fastinit {own.get('version', '?')}, {own.get('date', '?')}, "
        f"by `{own.get('command', 'pytest bench/')}`. Best of the rounds, side by side in one run."
    )


def report(machine: dict[str, Any], rows: Sequence[Row]) -> str:
    return "\n\n".join(["## Measured", heading(machine), *fills(rows), *tasks(rows)]) + "\n"


def _ratio(own: float | None, other: float | None) -> Cell:
    return None if own is None or other is None else other / own


README_PEERS = ("numpy", "torch", "mkl", "jax")


def brief(machine: dict[str, Any], rows: Sequence[Row]) -> str:
    """The README's part: fills, models and orthogonal matrices in one small table each."""
    fill = [r for r in rows if r["task"] == "fill"]
    most = max((r["threads"] for r in fill), default=1)
    counts = sorted({1, most})
    beside = {p: 1 if any((r["library"], r["threads"]) == (p, 1) for r in fill) else most for p in README_PEERS}
    body: list[list[Cell]] = []
    for law, dtype in dict.fromkeys((r["law"], r["dtype"]) for r in fill):
        size = max(r["size"] for r in fill if (r["law"], r["dtype"]) == (law, dtype))
        same = [r for r in fill if (r["law"], r["dtype"], r["size"]) == (law, dtype, size)]
        times = {n: {r["library"]: r["seconds"] for r in same if r["threads"] == n} for n in counts}
        if not all("fastinit" in found for found in times.values()):
            continue
        body.append([f"{law} {dtype} 2^{size.bit_length() - 1}", *(size / times[n]["fastinit"] / 1e9 for n in counts),
                     *(_ratio(times[n]["fastinit"], times[n].get(p)) for p, n in beside.items()),
                     f"{times[most][LIMIT] / times[most]['fastinit']:.0%}" if LIMIT in times[most] else None])  # fmt: skip
    parts = [heading(machine)]
    if body:
        header = ["fill", *(f"G/s, {on_threads(n)}" for n in counts),
                  *(f"× {p}, {on_threads(n)}" for p, n in beside.items()),
                  f"of the stores' speed, {on_threads(most)}"]  # fmt: skip
        parts.append(markdown(header, body))
    for task, title in (("model", "model through `initialize`"), ("orthogonal", "matrix")):
        groups = _by_group([r for r in rows if r["task"] == task])
        peers = [n for n in dict.fromkeys(r["library"] for r in rows if r["task"] == task) if n not in ("fastinit", LIMIT)]
        lines: list[list[Cell]] = []
        for group, found in groups.items():
            times = {name: r["seconds"] for name, r in found.items()}
            own = times.get("fastinit")
            if own is not None:
                lines.append([group, seconds(own), *(_ratio(own, times.get(p)) for p in peers)])
        if lines:
            parts.append(markdown([title, "time", *(f"× {p}" for p in peers)], lines))
    return "\n\n".join(parts)


def _marked(path: Path, name: str) -> tuple[str, str]:
    """What stands up to the first mark of `name` in a Markdown file, and from the second on."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{path} has no marks {begin} and {end}")
    return before + begin, end + after


def insert(path: Path, name: str, text: str) -> None:
    """Replaces what stands between the marks of `name` in a Markdown file."""
    before, after = _marked(path, name)
    path.write_text(f"{before}\n{text.strip()}\n{after}", encoding="utf-8")


def check_paths(output: Path, readme: Path | None, name: str) -> None:
    """Makes the folder, and reads the marks; OSError or ValueError before any work is done."""
    if readme is not None:
        if not readme.is_file():
            raise ValueError(f"--readme must be a file that exists, got {str(readme)!r}")
        _marked(readme, name)
    output.mkdir(parents=True, exist_ok=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.report", description="Markdown tables and plots of a run of the benchmarks.",
        epilog="example:\n  pytest bench/ --benchmark-json=results.json && python -m bench.report results.json",
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("results", type=Path, help="JSON of pytest --benchmark-json")
    parser.add_argument("--output", type=Path, default=Path("bench/plots"), metavar="DIR", help="default bench/plots")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="put the short tables between its marks")
    args = parser.parse_args(argv)
    try:
        machine, rows = load(args.results)
        check_paths(args.output, args.readme, "speed")
    except (OSError, ValueError) as error:
        print(f"report: error: {error}", file=sys.stderr)
        return 2
    from .figures import FIGURES

    text = report(machine, rows)
    (args.output / "report.md").write_text(text, encoding="utf-8")
    if args.readme is not None:
        insert(args.readme, "speed", brief(machine, rows))
    print(text)
    made = [path for name, draw in FIGURES.items() if (path := draw(rows, args.output / f"{name}.png"))]
    print(*(f"wrote {p}" for p in [args.output / "report.md", *made]), sep="\n", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
