"""The tour: every initializer filling a matrix, beside NumPy in the same run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from . import __version__, get_num_threads, isa
from ._types import Array
from .propagation._compare import Chain, compare_rows, compare_table, scheme_reports
from .spec import INITIALIZERS

_STANDARD_NORMAL, _RANDOM, _FILL = "standard_normal", "random", "fill"
# Name, arguments, asked-for std as a function of n, what NumPy has beside it: a Generator's method, or ndarray.fill.
_ROWS: tuple[tuple[str, dict[str, Any], Callable[[int], float], str | None], ...] = (
    ("normal", {"std": 0.02}, lambda n: 0.02, _STANDARD_NORMAL),
    ("uniform", {"low": -1.0, "high": 1.0}, lambda n: math.sqrt(1 / 3), _RANDOM),
    ("truncated_normal", {"std": 0.02, "correct_std": True}, lambda n: 0.02, _STANDARD_NORMAL),
    ("variance_scaling", {"scale": 0.5, "mode": "fan_avg"}, lambda n: math.sqrt(0.5 / n), _STANDARD_NORMAL),
    ("xavier_normal", {}, lambda n: math.sqrt(1 / n), _STANDARD_NORMAL),
    ("xavier_uniform", {}, lambda n: math.sqrt(1 / n), _RANDOM),
    ("he_normal", {}, lambda n: math.sqrt(2 / n), _STANDARD_NORMAL),
    ("he_uniform", {}, lambda n: math.sqrt(2 / n), _RANDOM),
    ("lecun_normal", {}, lambda n: math.sqrt(1 / n), _STANDARD_NORMAL),
    ("lecun_uniform", {}, lambda n: math.sqrt(1 / n), _RANDOM),
    ("orthogonal", {}, lambda n: math.sqrt(1 / n), None),
    ("delta_orthogonal", {}, lambda n: math.sqrt(1 / n), None),
    ("sparse", {"sparsity": 0.9}, lambda n: 0.01 * math.sqrt(1 - math.ceil(0.9 * n) / n), _STANDARD_NORMAL),
    ("identity", {}, lambda n: math.sqrt(1 / n - 1 / n**2), _FILL),
    ("dirac", {}, lambda n: math.sqrt(1 / n - 1 / n**2), _FILL),
    ("zeros", {}, lambda n: 0.0, _FILL),
    ("ones", {}, lambda n: 0.0, _FILL),
    ("constant", {"value": 0.5}, lambda n: 0.0, _FILL),
)


def _best(f: Callable[[], Any]) -> float:
    """Seconds of the fastest of three calls, or of as many as a second holds, after one that does not count."""
    f()
    times: list[float] = []
    while len(times) < 3 and sum(times) < 1.0:
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
    numpy_seconds = {
        _STANDARD_NORMAL: _best(lambda: rng.standard_normal(out=out, dtype=np.float32)),
        _RANDOM: _best(lambda: rng.random(out=out, dtype=np.float32)),
        _FILL: _best(lambda: out.fill(0.5)),
    }
    rows = []
    for name, kwargs, asked, peer in tqdm(_ROWS, unit="initializer", delay=1.0, leave=False):
        # A convolution kernel of one point is the same memory with one more axis.
        target = out[np.newaxis] if name in ("dirac", "delta_orthogonal") else out
        seconds = _best(partial(INITIALIZERS[name], out=target, seed=0, **kwargs))
        rows.append({
            "initializer": name,
            "arguments": kwargs,
            "seconds": seconds,
            "gb_per_s": out.nbytes / seconds / 1e9,
            "numpy_peer": peer,
            "numpy_seconds": None if peer is None else numpy_seconds[peer],
            "times_numpy": None if peer is None else numpy_seconds[peer] / seconds,
            "std_asked": asked(n),
            "std_measured": _std(out),
        })
    return {
        "version": __version__, "isa": isa(), "threads": get_num_threads(), "numpy": np.__version__,
        "n": n, "dtype": out.dtype.name, "rows": rows, "depth": {name: compare_depth(name) for name in ("relu", "tanh")},
    }


def compare_depth(activation: str) -> list[dict[str, Any]]:
    """The usual initializers through 50 layers of 512 units."""
    return compare_rows(scheme_reports(Chain(50, 512, activation)))


def table(result: dict[str, Any]) -> str:
    """The measurements as aligned text."""
    n = result["n"]
    lines = [
        f"fastinit {result['version']}: {n} x {n} {result['dtype']} in place, {result['isa']}, "
        f"{result['threads']} threads, best of 3",
        f"beside NumPy {result['numpy']} in the same run, one thread: the method named, of Generator (fill: of ndarray)",
        "",
        f"{'initializer':<18}{'ms':>9}{'GB/s':>9}{'x NumPy':>9}  {'method':<16}{'std asked':>10}{'measured':>11}",
    ]
    for r in result["rows"]:
        ratio = "-" if r["times_numpy"] is None else f"{r['times_numpy']:.1f}"
        lines.append(
            f"{r['initializer']:<18}{r['seconds'] * 1e3:>9.2f}{r['gb_per_s']:>9.2f}{ratio:>9}"
            f"  {r['numpy_peer'] or '-':<16}{r['std_asked']:>10.6f}{r['std_measured']:>11.6f}"
        )
    for activation, rows in result["depth"].items():
        lines += ["", f"Will it train? 50 layers of 512 units, {activation}, by theory: no weight is drawn", ""]
        lines.append(compare_table(rows))
    return "\n".join(lines)
