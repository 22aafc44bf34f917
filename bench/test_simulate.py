"""A batch through a deep network and its gradients back, beside the same in torch.

Both draw all weights anew, multiply forward, and go back: torch by autograd, down to the gradients
of the weights. fastinit measures every layer on the way, and never holds a weight. The ratios of
its table are those of whole runs; `python bench/test_simulate.py` takes them in turn, one pair
after the other in one process, with the peak memory of each in a process of its own.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastinit import propagation as P

FULL = (100, 4096, 256)  # depth, width, batch
PART = (8, 4096, 256)
SMALL = (4, 128, 16)
LIBRARIES = ["fastinit", *(["torch"] if importlib.util.find_spec("torch") else [])]


def by_fastinit(depth: int, width: int, batch: int, activation: str) -> Callable[[], float]:
    layers = [P.Dense(width), P.Activation(activation)] * depth
    return lambda: P.simulate(layers, batch, repeats=1, jacobian=False).layers[-1].second.value  # type: ignore[union-attr]


def by_torch(depth: int, width: int, batch: int, activation: str) -> Callable[[], float]:
    import torch

    f = {"relu": torch.relu, "tanh": torch.tanh, "gelu": torch.nn.functional.gelu}[activation]

    def run() -> float:
        weights = [torch.empty(width, width).normal_(0, math.sqrt(2 / width)).requires_grad_() for _ in range(depth)]
        h = torch.randn(batch, width)
        for w in weights:
            h = f(h @ w)
        h.backward(torch.randn_like(h))
        return float(h.detach().square().mean())

    return run


MAKE = {"fastinit": by_fastinit, "torch": by_torch}


@pytest.mark.benchmark(min_rounds=3, max_time=1.0)
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_deep_network(row: Callable[..., Any], library: str, activation: str, timed: bool) -> None:
    depth, width, batch = PART if timed else SMALL
    run = MAKE[library](depth, width, batch, activation)
    value = run()
    layers = [P.Dense(width), P.Activation(activation)] * depth
    assert math.log10(value) == pytest.approx(P.propagate(layers, batch=batch).layers[-1].log10_second, abs=0.5)
    row(f"simulate {depth} x {width} x {batch} {activation}", library, task="simulation")(run)


def peak() -> float:
    """Megabytes of this process at most (Linux). Not ru_maxrss: a child inherits its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else math.nan


def once(library: str, shape: tuple[int, int, int], activation: str) -> dict[str, float]:
    """Seconds and megabytes of one run in this process."""
    MAKE[library](*SMALL, activation)()
    before = peak()
    start = time.perf_counter()
    MAKE[library](*shape, activation)()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "megabytes": peak() - before}


def main() -> None:
    for activation in ("relu", "tanh", "gelu"):
        ratios = []
        for _ in range(3):
            pair = [once(library, PART, activation)["seconds"] for library in LIBRARIES]
            ratios.append(pair[-1] / pair[0])
        print(f"{PART} {activation:5}: torch / fastinit {min(ratios):.2f} to {max(ratios):.2f}", flush=True)
    for library in LIBRARIES:
        code = f"from bench.test_simulate import *; print(json.dumps(once({library!r}, FULL, 'relu')))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        print(f"{FULL} relu, {library}:", json.loads(done.stdout), flush=True)


if __name__ == "__main__":
    main()
