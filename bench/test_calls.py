"""What a call costs beyond its stores: latency, shards, import, memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastinit as fi
from bench import peers

pytestmark = pytest.mark.benchmark(min_rounds=5, max_time=0.15)


def _torch_he() -> Any:
    import torch

    return torch.nn.init.kaiming_normal_(torch.empty(64, 64)).numpy()


def _jax_he() -> Any:
    import jax

    return jax.nn.initializers.he_normal()(jax.random.key(0), (64, 64)).block_until_ready()


_rng = np.random.default_rng(0)
SMALL_CALLS = {
    "fastinit": lambda: fi.he_normal((64, 64), seed=0),
    "numpy": lambda: _rng.standard_normal((64, 64), np.float32) * np.float32((2 / 64) ** 0.5),
    "torch": _torch_he,
    "jax": _jax_he,
}


@pytest.mark.parametrize("library", [n for n in SMALL_CALLS if n == "fastinit" or n in peers.PEERS])
def test_small_call(row: Callable[..., Any], library: str) -> None:
    call = SMALL_CALLS[library]
    assert np.asarray(call()).std() == pytest.approx((2 / 64) ** 0.5, rel=0.1)
    row("he_normal (64, 64)", library, task="latency")(call)


def _named(key: fi.Key) -> np.ndarray:
    return fi.initialize({"layer0.weight": fi.Spec("normal", 16)}, seed=0)["layer0.weight"] == fi.normal(16, seed=key)


# Name: the call, and whether an answer is right.
TINY: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "normal(16)": (lambda: fi.normal(16, seed=0), lambda x: x == fi.normal((32, 32), seed=0).ravel()[:16]),
    "zeros(16)": (lambda: fi.zeros(16), lambda x: x == np.zeros(16)),
    "Key(0).fold_in": (lambda: fi.Key(0).fold_in("layer0.weight"), _named),
    "compute_fans": (lambda: fi.compute_fans((64, 32, 3, 3), layout="oihw"), lambda x: x == (32 * 9, 64 * 9)),
    'gain("gelu")': (lambda: fi.gain("gelu"), lambda x: x == pytest.approx(1.53353044, rel=1e-8)),
    "default_rng(0).random(16)": (lambda: fi.default_rng(0).random(16), lambda x: x == fi.default_rng(0).random(1024)[:16]),
}


@pytest.mark.parametrize("name", TINY)
def test_tiny_calls(row: Callable[..., Any], name: str) -> None:
    call, right = TINY[name]
    assert np.all(right(call()))
    row("tiny calls of fastinit", name, task="latency")(call)


def test_many_small_tensors(row: Callable[..., Any]) -> None:
    specs = {f"layer{i}.weight": fi.Spec("he_normal", (64, 64)) for i in range(100)}
    for name, w in fi.initialize(specs).items():
        assert (w == fi.he_normal((64, 64), seed=fi.Key(0).fold_in(name))).all()
    row("initialize: 100 of (64, 64)", "fastinit", task="latency")(lambda: fi.initialize(specs))


WHOLE = (8192, 4096)
SHARDS = {
    "whole": (slice(None), slice(None)),
    "1/64 by rows": (slice(128, 256), slice(None)),
    "1/64 by columns": (slice(None), slice(64, 128)),
    "every 8th row and column": (slice(None, None, 8), slice(None, None, 8)),
}


@pytest.mark.parametrize("name", SHARDS)
def test_shards(row: Callable[..., Any], name: str, timed: bool) -> None:
    """The cost of a block must follow the block, not the tensor."""
    shape = WHOLE if timed else (256, 128)
    assert (fi.normal(shape, seed=0, shard=SHARDS[name]) == fi.normal(shape, seed=0)[SHARDS[name]]).all()
    out = np.zeros(np.empty(shape, bool)[SHARDS[name]].shape, np.float32)
    fill = lambda: fi.normal(shape, seed=0, shard=SHARDS[name], out=out, num_threads=1)  # noqa: E731
    row(f"normal float32 {shape[0]} x {shape[1]}: shards", name, task="shard", size=out.size, threads=1)(fill)


IMPORTS = ["python alone", "numpy", "fastinit", *(n for n in ("torch", "jax") if n in peers.PEERS)]


@pytest.mark.parametrize("library", IMPORTS)
@pytest.mark.benchmark(min_rounds=3, max_time=0.1)
def test_import(row: Callable[..., Any], library: str) -> None:
    """A process that imports the library and ends; fastinit brings NumPy."""
    code = "pass" if library == "python alone" else f"import {library}"
    start = lambda: subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: E731
    row("import, whole process", library, task="import")(start)


# Filling 2**n weights of bfloat16 that exist already.
_MEMORY = {
    "fastinit": "import fastinit\ndef go(o): fastinit.normal(out=o, seed=0)",
    "numpy": "rng = numpy.random.default_rng(0)\ndef go(o): o[...] = rng.standard_normal(o.size, numpy.float32)",
    "torch": "import torch\ndef go(o): torch.from_numpy(o.view('u2')).view(torch.bfloat16).normal_()",
    "torch trunc_normal_": "import torch\n"
    "def go(o): torch.nn.init.trunc_normal_(torch.from_numpy(o.view('u2')).view(torch.bfloat16))",
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("library", [n for n in _MEMORY if n.split()[0] in {"fastinit", *peers.PEERS}])
def test_memory(row: Callable[..., Any], library: str, timed: bool) -> None:
    """Peak memory beyond the output, in `extra_info`; the time is that of the process."""
    size = 2**26 if timed else 2**20
    code = (
        f"import numpy, ml_dtypes\n{_MEMORY[library]}\n"
        # Not ru_maxrss: a child inherits its parent's.
        "peak = lambda: next(int(s.split()[1]) for s in open('/proc/self/status') if s.startswith('VmHWM'))\n"
        f"out = numpy.zeros({size}, ml_dtypes.bfloat16); out.fill(1); go(out[:4096])\n"
        "before = peak(); go(out); print((peak() - before) * 1024)"
    )
    beyond = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert library != "fastinit" or beyond < 2**20
    bench = row(f"memory: normal bfloat16 2^{size.bit_length() - 1}", library, task="memory", beyond=beyond, size=size)
    bench.pedantic(lambda: subprocess.run([sys.executable, "-c", code], capture_output=True, check=True), rounds=1)
