"""Whole models in bfloat16: every tensor of GPT-2-XL, ViT-L and Llama-7B, or their first blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import fastinit as fi
from bench import limits, models, peers
from bench.answers import assert_constant, assert_moments
from bench.report import LIMIT

pytestmark = pytest.mark.benchmark(min_rounds=2, max_time=0.5)

LIBRARIES = ["fastinit", *(n for n in ("numpy", "torch", "jax") if n in peers.PEERS), LIMIT]
BLOCKS = 2  # of 24 to 48
Tensors = dict[str, np.ndarray]
THREADS = fi.get_num_threads()


def by_numpy(specs: dict[str, fi.Spec], arrays: Tensors) -> Callable[[str], np.ndarray]:
    """How the peers do it: a loop over the tensors, of which this draws one."""
    rng = np.random.default_rng(0)

    def draw(name: str) -> np.ndarray:
        spec = specs[name]
        if spec.initializer == "normal":
            arrays[name][...] = rng.standard_normal(spec.shape, np.float32) * np.float32(spec.kwargs["std"])
        else:
            arrays[name].fill(spec.initializer == "ones")
        return arrays[name]

    return draw


def by_torch(specs: dict[str, fi.Spec], arrays: Tensors) -> Callable[[str], np.ndarray]:
    tensors = {name: peers.as_torch(a, THREADS) for name, a in arrays.items()}

    def draw(name: str) -> np.ndarray:
        spec = specs[name]
        if spec.initializer == "normal":
            tensors[name].normal_(std=spec.kwargs["std"])
        else:
            tensors[name].fill_(spec.initializer == "ones")
        return arrays[name]

    return draw


def by_jax(specs: dict[str, fi.Spec], arrays: Tensors) -> Callable[[str], Any]:
    """Compiled once for every shape; its arrays are its own, and let go of one by one."""
    import jax
    from jax.nn import initializers

    keys = dict(zip(specs, jax.random.split(jax.random.key(0), len(specs)), strict=True))

    @partial(jax.jit, static_argnums=(1, 2, 3))
    def compiled(key: Any, kind: str, shape: tuple[int, ...], std: float) -> Any:
        init = initializers.normal(std) if kind == "normal" else getattr(initializers, kind)
        return init(key, shape, models.DTYPE)

    def draw(name: str) -> Any:
        spec = specs[name]
        shape = tuple(np.atleast_1d(spec.shape).tolist())
        return compiled(keys[name], spec.initializer, shape, spec.kwargs.get("std", 0.0)).block_until_ready()

    return draw


ONE_BY_ONE = {"numpy": by_numpy, "torch": by_torch, "jax": by_jax}


def check(name: str, spec: fi.Spec, values: Any) -> None:
    values = np.asarray(values)
    assert values.dtype.name == models.DTYPE and values.size == np.prod(spec.shape), name
    if spec.initializer == "normal":
        assert_moments(values, 0.0, spec.kwargs["std"])
    else:
        assert_constant(values, float(spec.initializer == "ones"))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("model", models.MODELS)
def test_model(row: Callable[..., Any], model: str, library: str, timed: bool, request: pytest.FixtureRequest) -> None:
    large = request.config.getoption("--large")
    blocks = None if large and timed else BLOCKS
    specs = models.specs(model, blocks, shrink=1 if timed else 32)
    total = sum(int(np.prod(spec.shape)) for spec in specs.values())
    # One array for all, cut into tensors, of which none is right before it is filled: the limit is a single pass over it.
    whole = np.full(total, np.nan, fi.zeros(0, dtype=models.DTYPE).dtype)
    cuts = np.cumsum([0, *(int(np.prod(spec.shape)) for spec in specs.values())])
    arrays = {n: whole[a:b].reshape(s.shape) for (n, s), a, b in zip(specs.items(), cuts, cuts[1:], strict=False)}
    if library == "fastinit":
        fill = partial(fi.initialize, specs, seed=0, out=arrays)
        for name, values in fill().items():
            check(name, specs[name], values)
    elif library == LIMIT:
        fill = limits.store(whole, THREADS)
    else:
        draw = ONE_BY_ONE[library](specs, arrays)
        for name, spec in specs.items():
            check(name, spec, draw(name))

        def fill() -> None:
            for name in specs:
                draw(name)

    part = "whole" if blocks is None else f"{blocks} blocks"
    bench = row(f"{model} {models.DTYPE}, {part}, {total / 1e6:.0f} M parameters", library, task="model", model=model,
                dtype=models.DTYPE, size=total, threads=1 if library == "numpy" else THREADS)  # fmt: skip
    if library in ONE_BY_ONE and total > 10**8:  # many seconds a call, and a calibration would take two more
        bench.pedantic(fill, rounds=2)
    else:
        bench(fill)
