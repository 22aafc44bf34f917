"""Fills beside NumPy, torch and MKL, in one run: ``python bench/fills.py``.

Peers that are not installed are left out. Prints a Markdown table of samples per second
on one thread and the ratios; then two threads against one.
"""

from __future__ import annotations

import ctypes
import glob
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fastinit as fi

N = 2**25


def best(f: Callable[[], Any], repeats: int = 7) -> float:
    """Samples per nanosecond: the best of several runs after one to warm up."""
    f()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return N / min(times) / 1e9


def mkl_rates(out: np.ndarray) -> dict[str, float]:
    """Best method and generator of MKL's vector statistics, through ctypes."""
    found = glob.glob(os.path.join(sys.prefix, "lib", "libmkl_rt.so*"))
    if not found:
        return {}
    mkl = ctypes.CDLL(found[0])
    mkl.MKL_Set_Num_Threads(1)
    data, zero, one = out.ctypes.data_as(ctypes.c_void_p), ctypes.c_float(0), ctypes.c_float(1)
    rates = {"normal": 0.0, "uniform": 0.0}
    for generator in (1 << 20, 4 << 20, 8 << 20, 13 << 20, 16 << 20):  # MCG31, MCG59, MT, SFMT, Philox
        stream = ctypes.c_void_p()
        if mkl.vslNewStream(ctypes.byref(stream), generator, 7):
            continue
        for method in (0, 1, 2):
            rate = best(lambda m=method, s=stream: mkl.vsRngGaussian(m, s, N, data, zero, one), 3)
            rates["normal"] = max(rates["normal"], rate)
        rate = best(lambda s=stream: mkl.vsRngUniform(0, s, N, data, zero, one), 3)
        rates["uniform"] = max(rates["uniform"], rate)
    return rates


def torch_rates() -> dict[str, float]:
    """torch's own fills, on one thread as they are."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(1)
    t = torch.empty(N)
    return {
        "normal": best(lambda: t.normal_(), 3),
        "uniform": best(lambda: t.uniform_(), 3),
        "truncated_normal": best(lambda: torch.nn.init.trunc_normal_(t), 1),
    }


def main() -> None:
    out = np.zeros(N, np.float32)
    rng = np.random.default_rng(0)
    peers = {
        "NumPy": {
            "normal": best(lambda: rng.standard_normal(out=out, dtype=np.float32), 3),
            "uniform": best(lambda: rng.random(out=out, dtype=np.float32), 3),
        },
        "torch": torch_rates(),
        "MKL": mkl_rates(out),
    }
    print(f"| fill ({fi.isa()}) | G/s | 2 threads | " + " | ".join(f"× {p}" for p in peers) + " |")
    print("|---|---|---|" + "---|" * len(peers))
    for name, dtype in [("normal", "float32"), ("uniform", "float32"), ("truncated_normal", "float32"),
                        ("normal", "bfloat16"), ("normal", "float16"), ("normal", "float64")]:  # fmt: skip
        target = np.zeros(N, fi.zeros(0, dtype=dtype).dtype)
        fill = getattr(fi, name)
        one = best(lambda f=fill, t=target: f(out=t, seed=0, num_threads=1))
        two = best(lambda f=fill, t=target: f(out=t, seed=0, num_threads=2))
        ratios = [f"{one / r[name]:.1f}" if r.get(name) and dtype == "float32" else "–" for r in peers.values()]
        print(f"| {name} {dtype} | {one:.2f} | {two / one:.2f} × | " + " | ".join(ratios) + " |")


if __name__ == "__main__":
    main()
