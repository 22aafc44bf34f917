"""An independent NumPy network: forward and backward through real draws, to hold the theory against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastinit.propagation import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Gated,
    LayerNorm,
    Pool,
    Residual,
    RMSNorm,
)
from fastinit.spec import INITIALIZERS

Array = Any
Back = Callable[[Array], Array]


def _orthogonal(n: int, m: int, gain: float, rng: np.random.Generator) -> Array:
    q, r = np.linalg.qr(rng.standard_normal((max(n, m), min(n, m))))
    q = q * np.sign(np.diag(r)) * gain
    return q if n >= m else q.T


def draw(layer: Any, shape: tuple[int, ...], rng: np.random.Generator, array: Array = None) -> Array:
    if array is not None:
        return np.asarray(array, np.float64)
    if layer.init == "orthogonal":
        return _orthogonal(*shape, layer.kwargs.get("gain", 1.0), rng)  # type: ignore[arg-type]
    seed = int(rng.integers(2**31))
    return INITIALIZERS[layer.init](shape, seed=seed, dtype="float64", **layer.kwargs)


def _bias(layer: Any, m: int, rng: np.random.Generator) -> Array:
    given = getattr(layer, "bias", None)
    return rng.standard_normal(m) * layer.bias_std if given is None else given


def apply(layer: Any, x: Array, rng: np.random.Generator, rows: list[Any], position: str) -> tuple[Array, Back]:
    """The output, and the map of gradients; rows collects (position, output, holder of the gradient)."""
    n = x.shape[1]
    back: Back
    if isinstance(layer, Dense):
        w = draw(layer, (n, layer.width), rng, layer.weight)
        y = x @ w + _bias(layer, layer.width, rng)
        back = lambda g: g @ w.T  # noqa: E731
    elif isinstance(layer, Conv):
        y, back = _conv(layer, x, rng)
    elif isinstance(layer, Activation):
        y, slope = (a.reshape(x.shape) for a in layer.function.eval(x.ravel()))
        back = lambda g: g * slope  # noqa: E731
    elif isinstance(layer, RMSNorm):
        r = 1.0 / np.sqrt((x * x).mean(1, keepdims=True) + layer.eps)
        y = x * r
        back = lambda g: r * (g - y * (g * y).mean(1, keepdims=True))  # noqa: E731
    elif isinstance(layer, BatchNorm):
        r = 1.0 / np.sqrt(x.var(0) + layer.eps)
        y = (x - x.mean(0)) * r
        back = lambda g: r * (g - g.mean(0) - y * (g * y).mean(0))  # noqa: E731
    elif isinstance(layer, LayerNorm):
        r = 1.0 / np.sqrt(x.var(1, keepdims=True) + layer.eps)
        y = (x - x.mean(1, keepdims=True)) * r
        back = lambda g: r * (g - g.mean(1, keepdims=True) - y * (g * y).mean(1, keepdims=True))  # noqa: E731
    elif isinstance(layer, Dropout):
        mask = (rng.random(x.shape) >= layer.p) / (1.0 - layer.p)
        y = x * mask
        back = lambda g: g * mask  # noqa: E731
    elif isinstance(layer, Pool):
        groups = x.reshape(len(x), -1, layer.size)
        if layer.kind == "mean":
            y = groups.mean(2)
            back = lambda g: np.repeat(g / layer.size, layer.size, 1)  # noqa: E731
        else:
            y = groups.max(2)
            best = (np.arange(layer.size) == groups.argmax(2)[..., None]).reshape(x.shape)
            back = lambda g: np.repeat(g, layer.size, 1) * best  # noqa: E731
    elif isinstance(layer, Gated):
        m, out = layer.hidden, layer.width or n
        shapes = ((n, m), layer.gate), ((n, m), layer.up), ((m, out), layer.down)
        gate, up, down = (draw(layer, s, rng, a) for s, a in shapes)
        g1, u1 = x @ gate + _bias(layer, m, rng), x @ up + _bias(layer, m, rng)
        phi, slope = (a.reshape(g1.shape) for a in layer.function.eval(g1.ravel()))
        y = (phi * u1) @ down + _bias(layer, out, rng)
        back = lambda g: (g @ down.T * u1 * slope) @ gate.T + (g @ down.T * phi) @ up.T  # noqa: E731
    else:
        assert isinstance(layer, Residual)
        f, branch = chain(layer.layers, x, rng, rows, f"{position}.")
        y = layer.skip * x + layer.scale * f
        back = lambda g: layer.skip * g + branch(layer.scale * g)  # noqa: E731
    row = [position, y, None]
    rows.append(row)

    def kept(g: Array) -> Array:
        row[2] = g
        return back(g)

    return y, kept


def _conv(layer: Any, x: Array, rng: np.random.Generator) -> tuple[Array, Back]:
    """x: (inputs, channels, pixels...) flattened by the caller is not needed: one axis of pixels only."""
    (k,), (s,) = layer.kernel, layer.stride
    batch, pixels, channels = x.shape[0], layer.image[0], x.shape[1] // layer.image[0]
    w = draw(layer, (k, channels // layer.groups, layer.width), rng, layer.weight)
    before = (k - 1) // 2 if layer.padding == "same" else 0
    after = k // 2 if layer.padding == "same" else 0
    padded = np.pad(x.reshape(batch, pixels, channels), ((0, 0), (before, after), (0, 0)))
    out = (padded.shape[1] - k) // s + 1
    matrix = np.zeros((padded.shape[1], channels, out, layer.width))
    block, wide = channels // layer.groups, layer.width // layer.groups
    for o in range(out):
        for t in range(k):
            for g in range(layer.groups):
                a, b = slice(g * block, (g + 1) * block), slice(g * wide, (g + 1) * wide)
                matrix[o * s + t, a, o, b] += w[t][:, b]
    flat = matrix[before : before + pixels].reshape(pixels * channels, out * layer.width)
    return x @ flat, lambda g: g @ flat.T


def chain(layers: Any, x: Array, rng: np.random.Generator, rows: list[Any], prefix: str = "") -> tuple[Array, Back]:
    backs = []
    for i, layer in enumerate(layers):
        x, back = apply(layer, x, rng, rows, f"{prefix}{i}")
        backs.append(back)

    def through(g: Array) -> Array:
        for back in reversed(backs):
            g = back(g)
        return g

    return x, through


def measure(
    layers: Any, units: int, batch: int = 64, repeats: int = 40, seed: int = 0, inputs: Any = None
) -> dict[str, dict[str, Array]]:
    """Per position: second moment, mean, cosine and gradient variance of every repeat."""
    found: dict[str, dict[str, list[float]]] = {}
    for r in range(repeats):
        rng = np.random.default_rng([seed, r])
        x = rng.standard_normal((batch, units)) if inputs is None else inputs(rng, batch, units)
        rows: list[Any] = []
        y, back = chain(layers, x, rng, rows)
        source = back(rng.standard_normal(y.shape))
        rows.append(["input", x, source])
        for position, value, gradient in rows:
            row = found.setdefault(position, {k: [] for k in ("second", "mean", "kurtosis", "cosine", "gradient")})
            row["second"].append((value**2).mean())
            row["mean"].append(value.mean())
            row["kurtosis"].append((value**4).mean() / max((value**2).mean() ** 2, 1e-300))
            row["gradient"].append((gradient**2).mean())
            lengths = np.sqrt((value**2).sum(1))
            unit = value / np.maximum(lengths, 1e-300)[:, None]
            total = unit.sum(0)
            row["cosine"].append(((total @ total) - (unit**2).sum()) / (batch * (batch - 1)))
    return {k: {name: np.array(v) for name, v in row.items()} for k, row in found.items()}
