"""Forward and backward in plain NumPy, float64, layer by layer: what `simulate` must agree with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastinit import _core
from fastinit._activations import resolve

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Op:
    """A layer: its map, and from (x, gradient of y) the gradient of x and the mean square of that of the weight."""

    name: str
    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array], tuple[Array, float | None]]
    activation: _core.Activation | None = None
    channels: int | None = None
    body: tuple[Op, ...] = ()
    scale: float = 1.0
    skip: float = 1.0


def wide(*arrays: Any) -> tuple[Array, ...]:
    return tuple(np.asarray(a, np.float64) for a in arrays)


def dense(name: str, weight: Any, bias: Any = 0.0) -> Op:
    w, b = wide(weight, bias)

    def backward(x: Array, g: Array) -> tuple[Array, float]:
        return g @ w.T, float(((x * x).mean(1) * (g * g).mean(1)).mean())

    return Op(name, lambda x: x @ w + b, backward)


def activation(name: str, kind: str, channels: int | None = None, **params: Any) -> Op:
    """Of images, with so many channels last."""
    f = resolve(kind, params)

    def forward(x: Array) -> Array:
        return np.asarray(f.eval(x.ravel())[0]).reshape(x.shape)

    def backward(x: Array, g: Array) -> tuple[Array, None]:
        return g * np.asarray(f.eval(x.ravel())[1]).reshape(x.shape), None

    return Op(name, forward, backward, f, channels)


def norm(name: str, group: int, centre: bool, eps: float) -> Op:
    def parts(x: Array) -> tuple[Array, Array]:
        t = x.reshape(x.shape[0], -1, group)
        t = t - t.mean(2, keepdims=True) if centre else t
        s = np.sqrt((t * t).mean(2, keepdims=True) + eps)
        return t / s, s

    def backward(x: Array, g: Array) -> tuple[Array, None]:
        y, s = parts(x)
        t = g.reshape(y.shape)
        t = t - y * (t * y).mean(2, keepdims=True) - (t.mean(2, keepdims=True) if centre else 0.0)
        return (t / s).reshape(x.shape), None

    return Op(name, lambda x: parts(x)[0].reshape(x.shape), backward)


def batch_norm(name: str, channels: int, eps: float) -> Op:
    def parts(x: Array) -> tuple[Array, Array]:
        t = x.reshape(-1, channels)
        s = np.sqrt(t.var(0) + eps)
        return (t - t.mean(0)) / s, s

    def backward(x: Array, g: Array) -> tuple[Array, None]:
        y, s = parts(x)
        t = g.reshape(y.shape)
        return ((t - t.mean(0) - y * (t * y).mean(0)) / s).reshape(x.shape), None

    return Op(name, lambda x: parts(x)[0].reshape(x.shape), backward)


def dropout(name: str, mask: Array, keep: float) -> Op:
    return Op(name, lambda x: x * mask / keep, lambda x, g: (g * mask / keep, None))


def conv(name: str, weight: Any, image: tuple[int, int], channels: int, stride: tuple[int, int], pad: tuple[int, int],
         groups: int, out: tuple[int, int]) -> Op:  # fmt: skip
    (w,) = wide(weight)
    kh, kw, per, columns = w.shape

    def patches(x: Array) -> Array:
        """(batch, places, taps, channels)"""
        t = x.reshape(-1, *image, channels)
        t = np.pad(t, ((0, 0), (pad[0], kh), (pad[1], kw), (0, 0)))
        rows = [t[:, i : i + out[0] * stride[0] : stride[0], j : j + out[1] * stride[1] : stride[1]]
                for i in range(kh) for j in range(kw)]  # fmt: skip
        return np.stack([r[:, : out[0], : out[1]].reshape(len(t), -1, channels) for r in rows], 2)

    def split(group: int) -> tuple[slice, slice]:
        n = columns // groups
        return slice(group * per, (group + 1) * per), slice(group * n, (group + 1) * n)

    def forward(x: Array) -> Array:
        p = patches(x)
        y = np.empty((*p.shape[:2], columns))
        for i in range(groups):
            a, b = split(i)
            y[..., b] = np.einsum("nptc,tco->npo", p[..., a], w.reshape(kh * kw, per, columns)[..., b])
        return y.reshape(len(x), -1)

    def backward(x: Array, g: Array) -> tuple[Array, float]:
        p, t = patches(x), g.reshape(len(x), -1, columns)
        padded = np.zeros((len(x), image[0] + pad[0] + kh, image[1] + pad[1] + kw, channels))
        squares = 0.0
        for i in range(groups):
            a, b = split(i)
            own = np.einsum("nptc,npo->tco", p[..., a], t[..., b])
            squares += float((own * own).sum())
            back = np.einsum("npo,tco->nptc", t[..., b], w.reshape(kh * kw, per, columns)[..., b])
            for k in range(kh * kw):
                rows = back[:, :, k].reshape(len(x), *out, per)
                padded[:, k // kw : k // kw + out[0] * stride[0] : stride[0],
                       k % kw : k % kw + out[1] * stride[1] : stride[1], a] += rows  # fmt: skip
        gx = padded[:, pad[0] : pad[0] + image[0], pad[1] : pad[1] + image[1]]
        return gx.reshape(x.shape), squares / w.size / len(x)

    return Op(name, forward, backward)


def pool(name: str, image: tuple[int, int], channels: int, size: tuple[int, int], kind: str) -> Op:
    out = tuple(n // s for n, s in zip(image, size, strict=True))

    def windows(x: Array) -> Array:
        """(batch, rows, columns, channels, window)"""
        t = x.reshape(-1, *image, channels)[:, : out[0] * size[0], : out[1] * size[1]]
        t = t.reshape(-1, out[0], size[0], out[1], size[1], channels).transpose(0, 1, 3, 5, 2, 4)
        return t.reshape(*t.shape[:4], -1)

    def forward(x: Array) -> Array:
        t = windows(x)
        return (t.mean(-1) if kind == "mean" else t.max(-1)).reshape(len(x), -1)

    def backward(x: Array, g: Array) -> tuple[Array, None]:
        t = windows(x)
        share = np.full(t.shape, 1.0 / t.shape[-1])
        if kind == "max":
            share = np.arange(t.shape[-1]) == t.argmax(-1)[..., None]
        t = g.reshape(*t.shape[:4], 1) * share
        t = t.reshape(len(x), *out, channels, *size).transpose(0, 1, 4, 2, 5, 3)
        gx = np.zeros((len(x), *image, channels))
        gx[:, : out[0] * size[0], : out[1] * size[1]] = t.reshape(len(x), out[0] * size[0], out[1] * size[1], channels)
        return gx.reshape(x.shape), None

    return Op(name, forward, backward)


def gated(name: str, gate: Any, up: Any, down: Any, kind: str) -> Op:
    f = resolve(kind, {})
    a, b, c = wide(gate, up, down)

    def parts(x: Array) -> tuple[Array, Array, Array]:
        h = x @ a
        phi, slope = (np.asarray(v).reshape(h.shape) for v in f.eval(h.ravel()))
        return phi, slope, x @ b

    def forward(x: Array) -> Array:
        phi, _, v = parts(x)
        return (phi * v) @ c

    def backward(x: Array, g: Array) -> tuple[Array, float]:
        phi, slope, v = parts(x)
        inner = g @ c.T
        hidden = phi * v
        last = float(((hidden * hidden).mean(1) * (g * g).mean(1)).mean())
        return (inner * v * slope) @ a.T + (inner * phi) @ b.T, last

    return Op(name, forward, backward)


def residual(name: str, body: tuple[Op, ...], skip: float, scale: float) -> Op:
    def forward(x: Array) -> Array:
        y = x
        for op in body:
            y = op.forward(y)
        return skip * x + scale * y

    def backward(x: Array, g: Array) -> tuple[Array, None]:
        raise NotImplementedError  # run() goes into the body

    return Op(name, forward, backward, body=body, scale=scale, skip=skip)


Rows = dict[str, dict[str, float]]


def run(ops: tuple[Op, ...] | list[Op], x: Array, g: Array) -> tuple[Rows, Array]:
    """Every op's measured fields by name, and the gradient of the input."""
    rows: Rows = {}
    (values,) = wide(x)
    return rows, _run(ops, values, np.asarray(g, np.float64), rows)


def _run(ops: Any, x: Array, g: Array, rows: Rows) -> Array:
    inputs = [x]
    for op in ops:
        inputs.append(op.forward(inputs[-1]))
        if not op.body:
            rows[op.name] = _value_fields(inputs[-1])
    for op, at, y in zip(ops[::-1], inputs[-2::-1], inputs[:0:-1], strict=True):
        if op.body:
            inner = _run(op.body, at, op.scale * g, rows)
            rows[op.name] = _value_fields(y)
        row = rows[op.name]
        row |= {"gradient": float((g * g).mean()), "gradient_zero": float((g == 0).mean())}
        if op.body:
            g = op.skip * g + inner
            continue
        if op.activation is not None:
            slope = np.asarray(op.activation.eval(at.ravel())[1]).reshape(at.shape)
            row["dead"] = float((slope == 0).reshape(-1, op.channels or at.shape[1]).all(0).mean())
        g, weight = op.backward(at, g)
        if weight is not None:
            row["weight_gradient"] = weight
    return g


def _value_fields(y: Array) -> dict[str, float]:
    second = float((y * y).mean())
    norms = np.sqrt((y * y).sum(1))
    unit = y / np.where(norms > 0, norms, 1.0)[:, None]
    n = len(y)
    cosine = (float((unit.sum(0) ** 2).sum()) - float((norms > 0).sum())) / (n * (n - 1)) if n > 1 else math.nan
    return {
        "mean": float(y.mean()), "second": second, "variance": float(y.var()),
        "kurtosis": float((y**4).mean()) / second**2 if second else math.nan,
        "correlation": cosine, "zero": float((y == 0).mean()), "nonfinite": 0.0,
    }  # fmt: skip
