"""The tour: every initializer filling a matrix, beside NumPy in the same run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from . import __version__, get_num_threads, isa
from ._args import Array
from .spec import INITIALIZERS

_HE = math.sqrt(2.0)
# Name, arguments, asked-for std as a function of n, NumPy's corresponding fill.
_ROWS: tuple[tuple[str, dict[str, Any], Callable[[int], float], str | None], ...] = (
    ("normal", {"std": 0.02}, lambda n: 0.02, "normal"),
    ("uniform", {"low": -1.0, "high": 1.0}, lambda n: 1 / math.sqrt(3.0), "uniform"),
    ("truncated_normal", {"std": 0.02, "correct_std": True}, lambda n: 0.02, "normal"),
    ("xavier_normal", {}, lambda n: 1 / math.sqrt(n), "normal"),
    ("xavier_uniform", {}, lambda n: 1 / math.sqrt(n), "uniform"),
    ("he_normal", {}, lambda n: _HE / math.sqrt(n), "normal"),
    ("he_uniform", {}, lambda n: _HE / math.sqrt(n), "uniform"),
    ("lecun_normal", {}, lambda n: 1 / math.sqrt(n), "normal"),
    ("lecun_uniform", {}, lambda n: 1 / math.sqrt(n), "uniform"),
    ("sparse", {"sparsity": 0.9}, lambda n: 0.01 * math.sqrt(1 - math.ceil(0.9 * n) / n), None),
    ("identity", {}, lambda n: math.sqrt(1 / n - 1 / n**2), None),
    ("constant", {"value": 0.5}, lambda n: 0.0, None),
)


def _best(f: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times)


def _std(x: Array) -> float:
    """Row by row in float64, so that no second matrix is needed."""
    total = squares = 0.0
    for rows in np.array_split(x, max(1, x.shape[0] // 256)):
        wide = rows.astype(np.float64)
        total += float(wide.sum())
        squares += float((wide * wide).sum())
    mean = total / x.size
    return math.sqrt(max(0.0, squares / x.size - mean * mean))


def measure(n: int = 4096) -> dict[str, Any]:
    """Times and standard deviations of every initializer at n x n, float32."""
    out = np.empty((n, n), np.float32)
    rng = np.random.default_rng(0)
    peers = {
        "normal": lambda: rng.standard_normal(out=out, dtype=np.float32),
        "uniform": lambda: rng.random(out=out, dtype=np.float32),
    }
    out.fill(0)
    numpy_seconds = {name: _best(fill, 2) for name, fill in peers.items()}
    rows = []
    for name, kwargs, asked, peer in _ROWS:
        seconds = _best(lambda f=INITIALIZERS[name], k=kwargs: f(out=out, seed=0, **k), 3)  # type: ignore[misc]
        rows.append({
            "initializer": name,
            "seconds": seconds,
            "gb_per_s": out.nbytes / seconds / 1e9,
            "times_numpy": None if peer is None else numpy_seconds[peer] / seconds,
            "std_asked": asked(n),
            "std_measured": _std(out),
        })
    return {"version": __version__, "isa": isa(), "threads": get_num_threads(), "n": n, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The measurements as aligned text."""
    n = result["n"]
    lines = [
        f"fastinit {result['version']}: {n} x {n} float32 in place, {result['isa']}, "
        f"{result['threads']} threads; NumPy's Generator in the same run",
        "",
        f"{'initializer':<18}{'ms':>9}{'GB/s':>9}{'x NumPy':>9}{'std asked':>12}{'measured':>12}",
    ]
    for r in result["rows"]:
        ratio = "-" if r["times_numpy"] is None else f"{r['times_numpy']:.1f}"
        lines.append(
            f"{r['initializer']:<18}{r['seconds'] * 1e3:>9.2f}{r['gb_per_s']:>9.2f}{ratio:>9}"
            f"{r['std_asked']:>12.6f}{r['std_measured']:>12.6f}"
        )
    return "\n".join(lines)
