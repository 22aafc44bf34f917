"""Whole models in bfloat16: every tensor of GPT-2-XL, ViT-L and Llama-7B, or their first blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastinit as fi
from bench import limits, models, peers
from bench.report import LIMIT

pytestmark = pytest.mark.benchmark(min_rounds=2, max_time=0.5)

LIBRARIES = ["fastinit", *(n for n in ("numpy", "torch") if n in peers.PEERS), LIMIT]
BLOCKS = 2  # of 24 to 48


def one_by_one(library: str, specs: dict[str, fi.Spec], arrays: dict[str, np.ndarray]) -> Callable[[], Any]:
    """How the peers do it: a loop over the tensors."""
    if library == "torch":
        import torch

        tensors = {n: torch.from_numpy(a.view(np.uint16)).view(torch.bfloat16) for n, a in arrays.items()}
    rng = np.random.default_rng(0)

    def draw(name: str, spec: fi.Spec) -> None:
        std = spec.kwargs.get("std")
        if library == "torch":
            tensors[name].normal_(std=std) if std else tensors[name].fill_(spec.initializer == "ones")
        elif std:
            arrays[name][...] = rng.standard_normal(spec.shape, np.float32) * np.float32(std)
        else:
            arrays[name].fill(spec.initializer == "ones")

    return lambda: [draw(name, spec) for name, spec in specs.items()]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("model", models.MODELS)
def test_model(row: Callable[..., Any], model: str, library: str, timed: bool, request: pytest.FixtureRequest) -> None:
    large = request.config.getoption("--large")
    blocks = None if large and timed else BLOCKS
    specs = models.specs(model, blocks, shrink=1 if timed else 32)
    total = sum(int(np.prod(spec.shape)) for spec in specs.values())
    # One array for all, cut into tensors: the limit is a single pass of stores over it.
    whole = np.zeros(total, fi.zeros(0, dtype=models.DTYPE).dtype)
    cuts = np.cumsum([0, *(int(np.prod(spec.shape)) for spec in specs.values())])
    arrays = {n: whole[a:b].reshape(s.shape) for (n, s), a, b in zip(specs.items(), cuts, cuts[1:], strict=False)}
    threads = fi.get_num_threads()
    fill: Callable[[], Any]
    if library == "fastinit":
        fill = lambda: fi.initialize(specs, seed=0, out=arrays)  # noqa: E731
    elif library == LIMIT:
        fill = limits.store(whole, threads)
    else:
        fill = one_by_one(library, specs, arrays)
    fill()
    if library != LIMIT:
        for name, spec in specs.items():
            few = arrays[name].ravel()[: 2**16].astype(np.float32)
            want = spec.kwargs.get("std", 0.0)
            assert abs(few.std() - want) <= (6 / few.size**0.5 + 0.01) * want, name
    part = "whole" if blocks is None else f"{blocks} blocks"
    row(f"{model} {models.DTYPE}, {part}, {total / 1e6:.0f} M parameters", library,
        task="model", model=model, dtype=models.DTYPE, size=total, threads=threads)(fill)  # fmt: skip
