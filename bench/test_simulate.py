"""A batch through a deep network and its gradients back, beside torch and JAX; and what theory takes to foretell it.

All draw their weights anew, multiply forward, and go back: torch and JAX down to the gradients
of the weights. fastinit measures every layer on the way, and never holds a weight. The ratios of
its table are those of whole runs; `python bench/test_simulate.py` takes fastinit and torch in turn, one
pair after the other in one process, with the peak memory of each in a process of its own.
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

import fastinit as fi
from fastinit import propagation as P

FULL = (100, 4096, 256)  # depth, width, batch
PART = (8, 4096, 256)
SMALL = (4, 128, 16)
THREADS = fi.get_num_threads()
LIBRARIES = ["fastinit", *(n for n in ("torch", "jax") if importlib.util.find_spec(n))]


def by_fastinit(depth: int, width: int, batch: int, activation: str) -> Callable[[], float]:
    layers = [P.Dense(width), P.Activation(activation)] * depth
    return lambda: P.simulate(layers, batch, repeats=1, jacobian=False).layers[-1].second.value  # type: ignore[union-attr]


def by_torch(depth: int, width: int, batch: int, activation: str) -> Callable[[], float]:
    import torch

    torch.set_num_threads(THREADS)
    f = {"relu": torch.relu, "tanh": torch.tanh, "gelu": torch.nn.functional.gelu}[activation]

    def run() -> float:
        weights = [torch.empty(width, width).normal_(0, math.sqrt(2 / width)).requires_grad_() for _ in range(depth)]
        h = torch.randn(batch, width)
        for w in weights:
            h = f(h @ w)
        h.backward(torch.randn_like(h))
        return float(h.detach().square().mean())

    return run


def by_jax(depth: int, width: int, batch: int, activation: str) -> Callable[[], float]:
    import jax

    f = {"relu": jax.nn.relu, "tanh": jax.numpy.tanh, "gelu": lambda x: jax.nn.gelu(x, approximate=False)}[activation]

    def forward(weights: list[Any], x: Any) -> Any:
        for w in weights:
            x = f(x @ w)
        return x

    @jax.jit
    def compiled(key: Any) -> Any:
        first, last, *keys = jax.random.split(key, depth + 2)
        weights = [jax.random.normal(k, (width, width)) * math.sqrt(2 / width) for k in keys]
        out, back = jax.vjp(forward, weights, jax.random.normal(first, (batch, width)))
        return (out * out).mean(), back(jax.random.normal(last, out.shape))

    key = jax.random.key(0)
    return lambda: float(jax.block_until_ready(compiled(key))[0])


MAKE = {"fastinit": by_fastinit, "torch": by_torch, "jax": by_jax}


@pytest.mark.benchmark(min_rounds=3, max_time=1.0)
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_deep_network(row: Callable[..., Any], library: str, activation: str, timed: bool) -> None:
    depth, width, batch = PART if timed else SMALL
    run = MAKE[library](depth, width, batch, activation)
    value = run()
    layers = [P.Dense(width), P.Activation(activation)] * depth
    assert math.log10(value) == pytest.approx(P.propagate(layers, batch=batch).layers[-1].log10_second, abs=0.5)
    row(f"simulate {depth} x {width} x {batch} {activation}", library, task="simulation",
        threads=THREADS)(run)  # fmt: skip


NETWORKS: dict[str, list[P.Layer]] = {
    "50 layers, relu": [P.Dense(512), P.Activation("relu")] * 50,
    "50 layers, tanh": [P.Dense(512, "xavier_normal"), P.Activation("tanh")] * 50,
    "24 residual blocks, gelu": [
        P.Dense(512), *[P.Residual([P.LayerNorm(), P.Dense(2048), P.Activation("gelu"), P.Dense(512)])] * 24,
    ],
}


@pytest.mark.benchmark(min_rounds=3, max_time=0.3)
@pytest.mark.parametrize("network", NETWORKS)
def test_propagate(row: Callable[..., Any], network: str) -> None:
    """The theory of a whole network; no weight is drawn."""
    layers = NETWORKS[network]
    low, high = P.propagate(layers, batch=64).layers[-1].log10_second_band
    measured = P.simulate(layers, 64, repeats=1, jacobian=False).layers[-1].second.value  # type: ignore[union-attr]
    assert 2 * low - high < math.log10(measured) < 2 * high - low
    row(f"propagate, width 512: {network}", "fastinit", task="simulation", threads=1)(P.propagate, layers, batch=64)


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


PAIR = ("fastinit", "torch")


def main() -> None:
    if "torch" not in LIBRARIES:
        sys.exit("torch is not installed")
    for activation in ("relu", "tanh", "gelu"):
        ratios = []
        for _ in range(3):
            pair = [once(library, PART, activation)["seconds"] for library in PAIR]
            ratios.append(pair[-1] / pair[0])
        print(f"{PART} {activation:5}: torch / fastinit {min(ratios):.2f} to {max(ratios):.2f}", flush=True)
    for library in PAIR:
        code = f"from bench.test_simulate import *; print(json.dumps(once({library!r}, FULL, 'relu')))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        print(f"{FULL} relu, {library}:", json.loads(done.stdout), flush=True)


if __name__ == "__main__":
    main()
