"""Tables and plots of a run: ``python -m bench.report results.json``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

LIMIT = "stores alone"  # the library of the physical limit
FILLS = {"fill": "Fills", "initializer": "Initializers"}  # tasks that have a law, a dtype, a size and threads
NEEDED = {**dict.fromkeys(FILLS, ("law", "dtype", "size", "threads")), "orthogonal": ("n", "dtype", "threads")}
NUMBERS = ("size", "threads", "n", "flops", "bytes", "beyond")
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
             "seconds": float(b["stats"]["min"])}
            for b in stored["benchmarks"]
        ]  # fmt: skip
        if not rows:
            raise ValueError("no benchmarks")
        for row in rows:
            _check(row)
        machine = stored["machine_info"]
        heading(machine)
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no result of pytest-benchmark: {error!r}") from None
    _share_limits(rows)
    return machine, rows


def _check(row: Row) -> None:
    for key in (*NEEDED.get(row["task"], ()), *(("dtype", "threads") if "flops" in row else ())):
        if key not in row:
            raise ValueError(f"{row['group']} has no {key}")
    for key in NUMBERS:
        if key in row and not (isinstance(row[key], (int, float)) and row[key] >= 0):
            raise ValueError(f"{row['group']}: {key} is {row[key]!r}")
    if not row["seconds"] > 0:
        raise ValueError(f"{row['group']} took {row['seconds']!r} seconds")


def _share_limits(rows: list[Row]) -> None:
    """Stores take what they take whatever law they stand beside: "limit" is the best time of a dtype and size."""
    best: dict[Any, float] = {}
    fill = [(r, (r["dtype"], r["size"], r["threads"])) for r in rows if r["task"] in FILLS]
    for r, key in fill:
        if r["library"] == LIMIT:
            best[key] = min(best.get(key, r["seconds"]), r["seconds"])
    for r, key in fill:
        r["limit"] = best.get(key)
        if r["library"] == LIMIT:
            r["seconds"] = best[key]


def fill_name(law: str, dtype: str, size: int) -> str:
    return f"{law} {dtype} 2^{size.bit_length() - 1}"


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


def largest(rows: Sequence[Row]) -> list[Row]:
    """The rows of each law and dtype at its largest size: the largest at which peers stand, where any do."""
    sizes: dict[Any, int] = {}
    for only in (rows, [r for r in rows if r["library"] not in ("fastinit", LIMIT)]):
        found: dict[Any, int] = {}
        for r in only:
            key = r["law"], r["dtype"]
            found[key] = max(found.get(key, 0), r["size"])
        sizes |= found
    return [r for r in rows if r["size"] == sizes[r["law"], r["dtype"]]]


def by_fill(rows: Sequence[Row]) -> dict[tuple[str, str, int], list[Row]]:
    """Rows of the same law, dtype and size."""
    found: dict[tuple[str, str, int], list[Row]] = {}
    for r in rows:
        found.setdefault((r["law"], r["dtype"], r["size"]), []).append(r)
    return found


def share(row: Row) -> float | None:
    """Of the speed of the stores alone."""
    return None if row.get("limit") is None else row["limit"] / row["seconds"]


def _percent(value: float | None) -> Cell:
    return None if value is None else f"{value:.0%}"


def _ratio(own: float | None, other: float | None) -> Cell:
    return None if own is None or other is None else other / own


def _libraries(rows: Sequence[Row]) -> list[str]:
    return [n for n in dict.fromkeys(r["library"] for r in rows) if n not in ("fastinit", LIMIT)]


def fills(rows: Sequence[Row]) -> Iterator[str]:
    """Largest size of each law and dtype: speed, ratio to each peer, share of the limit."""
    for task, title in FILLS.items():
        of_task = [r for r in rows if r["task"] == task]
        for threads in _counts(of_task):
            at = [r for r in of_task if r["threads"] == threads]
            peers = _libraries(at)
            body: list[list[Cell]] = []
            for (law, dtype, size), same in by_fill(largest(at)).items():
                found = {r["library"]: r for r in same}
                if "fastinit" not in found:
                    continue
                own = found["fastinit"]["seconds"]
                body.append([fill_name(law, dtype, size), size / own / 1e9,
                             *(found[p]["seconds"] / own if p in found else None for p in peers),
                             _percent(share(found["fastinit"]))])  # fmt: skip
            if body:
                yield f"### {title}, {on_threads(threads)}: 10⁹ elements a second, and times as fast as"
                yield markdown(["fill", "G/s", *(f"× {p}" for p in peers), "of the stores' speed"], body)


def _counts(rows: Sequence[Row]) -> list[int]:
    """One thread, and the most that any row has."""
    return sorted({1, max((r["threads"] for r in rows), default=1)})


def every_size(rows: Sequence[Row]) -> Iterator[str]:
    """What fastinit fills a second: a line a law and dtype, a column a size."""
    rows = [r for r in rows if r["task"] in FILLS and r["library"] == "fastinit"]
    sizes = sorted({r["size"] for r in rows})
    for threads in _counts(rows):
        speeds: dict[str, dict[int, float]] = {}
        for r in rows:
            if r["threads"] == threads:
                speeds.setdefault(f"{r['law']} {r['dtype']}", {})[r["size"]] = r["size"] / r["seconds"] / 1e9
        if speeds:
            yield f"### Every fill by size, {on_threads(threads)}: 10⁹ elements a second"
            yield markdown(["fill", *(f"2^{n.bit_length() - 1}" for n in sizes)],
                           [[name, *map(found.get, sizes)] for name, found in speeds.items()])  # fmt: skip


def ways(rows: Sequence[Row]) -> Iterator[str]:
    """What the peers that have several ways filled by: generator, method."""
    rows = [r for r in rows if r.get("way")]
    peers = _libraries(rows)
    body: list[list[Cell]] = []
    for key, same in by_fill(rows).items():
        found = {r["library"]: r["way"] for r in same}
        body.append([fill_name(*key), *map(found.get, peers)])
    if body:
        yield "### The fastest way of each peer that has several"
        yield markdown(["fill", *peers], body)


TITLES = {
    "model": "Whole models through `initialize`",
    "fresh": "Into fresh memory",
    "orthogonal": "Orthogonal",
    "product": "Matrix products",
    "simulation": "Simulation",
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
            body += [[group, name, str(r.get("threads", "–")), seconds(r["seconds"]), _amount(r), _ratio(own, r["seconds"])]
                     for name, r in found.items()]  # fmt: skip
        if body:
            yield f"### {title}"
            yield markdown(["task", "library", "threads", "best time", "rate", "time / fastinit's"], body)


def heading(machine: dict[str, Any]) -> str:
    cpu, own = machine.get("cpu", {}), machine.get("fastinit", {})
    return (
        f"{cpu.get('brand_raw', machine.get('machine', 'unknown CPU'))}, {own.get('threads', '?')} threads, "
        f"{own.get('isa', '?')}, {own.get('compiler', '?')}, Python {machine.get('python_version', '?')}, "
        f"{machine.get('system', '?')}; fastinit {own.get('version', '?')}, {own.get('date', '?')}, "
        f"by `{own.get('command', 'pytest bench/')}`. Best of the rounds, side by side in one run."
    )


def report(machine: dict[str, Any], rows: Sequence[Row]) -> str:
    return "\n\n".join(["## Measured", heading(machine), *fills(rows), *every_size(rows), *ways(rows), *tasks(rows)]) + "\n"


README_PEERS = ("numpy", "torch", "mkl", "jax")


def brief(machine: dict[str, Any], rows: Sequence[Row]) -> str:
    """The README's part: fills, models and orthogonal matrices in one small table each."""
    beside = (("model", "model through `initialize`"), ("orthogonal", "matrix"))
    parts = [heading(machine), _brief_fills([r for r in rows if r["task"] == "fill"]),
             *(_brief_task([r for r in rows if r["task"] == task], title) for task, title in beside)]  # fmt: skip
    return "\n\n".join(filter(None, parts))


def _brief_fills(rows: Sequence[Row]) -> str:
    counts = _counts(rows)
    most = counts[-1]
    beside = {p: 1 if any((r["library"], r["threads"]) == (p, 1) for r in rows) else most for p in README_PEERS}
    body: list[list[Cell]] = []
    for key, same in by_fill(largest(rows)).items():
        times = {(r["library"], r["threads"]): r["seconds"] for r in same}
        own = {r["threads"]: r for r in same if r["library"] == "fastinit"}
        if all(n in own for n in counts):
            body.append([fill_name(*key), *(key[2] / own[n]["seconds"] / 1e9 for n in counts),
                         *(_ratio(own[n]["seconds"], times.get((p, n))) for p, n in beside.items()),
                         _percent(share(own[most]))])  # fmt: skip
    header = ["fill", *(f"G/s, {on_threads(n)}" for n in counts), *(f"× {p}, {on_threads(n)}" for p, n in beside.items()),
              f"of the stores' speed, {on_threads(most)}"]  # fmt: skip
    return markdown(header, body) if body else ""


def _brief_task(rows: Sequence[Row], title: str) -> str:
    peers = _libraries(rows)
    threads = {r["library"]: r["threads"] for r in rows if "threads" in r}
    body: list[list[Cell]] = []
    for group, found in _by_group(rows).items():
        times = {name: r["seconds"] for name, r in found.items()}
        own = times.get("fastinit")
        if own is not None:
            body.append([group, seconds(own), *(_ratio(own, times.get(p)) for p in peers)])
    header = [title, "time", *(f"× {p}, {on_threads(threads[p])}" if p in threads else f"× {p}" for p in peers)]
    return markdown(header, body) if body else ""


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


def show(text: str) -> None:
    """Prints; what the terminal's encoding lacks becomes a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


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
    made = [path for name, draw in FIGURES.items() if (path := draw(rows, args.output / f"{name}.png"))]
    if args.readme is not None:
        insert(args.readme, "speed", brief(machine, rows))
    show(text)
    print(*(f"wrote {p}" for p in [args.output / "report.md", *made]), sep="\n", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
