"""Draws of whole networks, and the error bars that should hold them."""

from __future__ import annotations

import math

import numpy as np

from fastinit import Key, _core, laws
from fastinit import propagation as P
from fastinit._args import FORMATS
from fastinit.propagation._lowering import Lowering
from fastinit.propagation._network import columns, resolve_network

SECOND, GRADIENT = 1, 6  # places in a row of the core
BATCH, DRAWS = 16, 200


def draws(layers: list[P.Layer], batch: int = BATCH, repeats: int = DRAWS) -> tuple[list[str], np.ndarray]:
    """Names, and of every draw and step: E x^2 and E g^2 over the batch."""
    network = resolve_network(tuple(layers))
    size = columns(network.fan_in, network.image)
    last = network.steps[-1]
    out = columns(last.fan_out, last.image_out if last.spatial else None)
    rows = []
    for repeat in range(repeats):
        key = Key(11).fold_in(repeat)
        lowered = Lowering(network, key)
        x = laws.normal((batch, size), seed=key.fold_in("inputs"))
        g = laws.normal((batch, out), seed=key.fold_in("gradients"))
        rows.append(_core.Simulation(lowered.steps, FORMATS["float32"].code).run(x, g, 1, None))
    kept = [i for i, name in enumerate(lowered.names) if name is not None]
    return [str(lowered.names[i]) for i in kept], np.array(rows)[:, kept][:, :, [SECOND, GRADIENT]]


def spread(band: tuple[float, float]) -> float:
    """Standard deviation of the logarithm, from a band of v / 2 + 4 sqrt(v)."""
    width = (band[1] - band[0]) * math.log(10.0)
    return math.sqrt(16.0 + 2.0 * width) - 4.0


def held(layers: list[P.Layer], batch: int = BATCH, inside: float = 0.8, wide: float = 1.5) -> None:
    """Four of five draws at the least lie within two standard deviations, which are as large as measured."""
    names, values = draws(layers, batch)
    report = P.propagate(layers, batch=batch)
    assert [row.name for row in report.layers] == names
    for i, k, field in ((-1, 0, "second"), (0, 1, "gradient")):
        row, logs = report.layers[i], np.log10(values[:, i, k])
        low, high = getattr(row, f"log10_{field}_band")
        part = ((logs > low) & (logs < high)).mean()
        assert part >= inside, (row.name, field, part)
        ratio = logs.std() * math.log(10.0) / spread((low, high))
        assert 1.0 / wide < ratio < wide, (row.name, field, ratio)
