"""A plain network in NumPy with backpropagation and Hessian-vector products by hand.

Softmax of a fully connected network, mean cross-entropy. Every array has a leading axis of
copies: networks of several seeds take their steps in the same calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Slope(NamedTuple):
    """An activation and its first two derivatives, each from the input z and the output a."""

    f: Callable[[np.ndarray], np.ndarray]
    d1: Callable[[np.ndarray, np.ndarray], np.ndarray]
    d2: Callable[[np.ndarray, np.ndarray], np.ndarray]


ACTIVATIONS = {
    # 1 / (1 + e^-z) through tanh, which does not overflow.
    "sigmoid": Slope(
        lambda z: 0.5 * np.tanh(0.5 * z) + 0.5, lambda z, a: a * (1 - a), lambda z, a: a * (1 - a) * (1 - 2 * a)
    ),
    "tanh": Slope(np.tanh, lambda z, a: 1 - a * a, lambda z, a: -2 * a * (1 - a * a)),
    "relu": Slope(lambda z: np.maximum(z, 0), lambda z, a: (z > 0).astype(z.dtype), lambda z, a: np.zeros_like(z)),
}


class Passed(NamedTuple):
    """What one forward pass leaves: inputs of each layer, pre-activations, probabilities."""

    inputs: list[np.ndarray]
    z: list[np.ndarray]
    p: np.ndarray


class Network:
    """Copies of one architecture: `weights[l]` is (copies, in, out), `biases[l]` (copies, 1, out)."""

    def __init__(self, weights: Sequence[np.ndarray], activation: str) -> None:
        self.weights = list(weights)
        self.biases = [np.zeros((w.shape[0], 1, w.shape[2]), w.dtype) for w in weights]
        self.slope = ACTIVATIONS[activation]

    @property
    def parameters(self) -> list[np.ndarray]:
        return self.weights + self.biases

    def forward(self, x: np.ndarray) -> Passed:
        """`x` is (copies or 1, batch, in)."""
        inputs, zs = [x], []
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            zs.append(inputs[-1] @ w + b)
            if i + 1 < len(self.weights):
                inputs.append(self.slope.f(zs[-1]))
        shifted = np.exp(zs[-1] - zs[-1].max(-1, keepdims=True))
        return Passed(inputs, zs, shifted / shifted.sum(-1, keepdims=True))

    def loss(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Mean cross-entropy of each copy."""
        right = np.take_along_axis(self.forward(x).p, y[..., None], -1)
        return -np.log(np.maximum(right, np.finfo(right.dtype).tiny)).mean((1, 2))

    def gradient(self, x: np.ndarray, y: np.ndarray) -> tuple[list[np.ndarray], Passed]:
        """Of the loss by every parameter, in the order of `parameters`."""
        passed = self.forward(x)
        delta = self._output_error(passed.p, y)
        dw: list[np.ndarray] = []
        db: list[np.ndarray] = []
        for i in reversed(range(len(self.weights))):
            dw.append(passed.inputs[i].swapaxes(1, 2) @ delta)
            db.append(delta.sum(1, keepdims=True))
            if i:
                delta = (delta @ self.weights[i].swapaxes(1, 2)) * self.slope.d1(passed.z[i - 1], passed.inputs[i])
                delta[np.abs(delta) < np.finfo(delta.dtype).tiny] = 0  # CPUs take many times as long for subnormal numbers
        return dw[::-1] + db[::-1], passed

    @staticmethod
    def _output_error(p: np.ndarray, y: np.ndarray) -> np.ndarray:
        delta = p.copy()
        np.put_along_axis(delta, y[..., None], np.take_along_axis(delta, y[..., None], -1) - 1, -1)
        return delta / np.array(y.shape[-1], p.dtype)

    def hessian_product(self, x: np.ndarray, y: np.ndarray, v: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The Hessian of the loss times `v`, which has the shapes of `parameters`.

        Derivatives along `v` of the forward and the backward pass (Pearlmutter, "Fast exact
        multiplication by the Hessian", 1994): exact, at twice the cost of a gradient.
        """
        n, passed = len(self.weights), self.forward(x)
        vw, vb = v[:n], v[n:]
        along = [np.zeros_like(x)]  # of inputs
        along_z: list[np.ndarray] = []
        for i in range(n):
            along_z.append(along[i] @ self.weights[i] + passed.inputs[i] @ vw[i] + vb[i])
            if i + 1 < n:
                along.append(self.slope.d1(passed.z[i], passed.inputs[i + 1]) * along_z[i])
        p = passed.p
        delta = self._output_error(p, y)
        along_delta = p * (along_z[-1] - (p * along_z[-1]).sum(-1, keepdims=True)) / y.shape[-1]
        hw: list[np.ndarray] = []
        hb: list[np.ndarray] = []
        for i in reversed(range(n)):
            hw.append(along[i].swapaxes(1, 2) @ delta + passed.inputs[i].swapaxes(1, 2) @ along_delta)
            hb.append(along_delta.sum(1, keepdims=True))
            if i:
                z, a = passed.z[i - 1], passed.inputs[i]
                back = delta @ self.weights[i].swapaxes(1, 2)
                along_back = along_delta @ self.weights[i].swapaxes(1, 2) + delta @ vw[i].swapaxes(1, 2)
                d1 = self.slope.d1(z, a)
                delta = back * d1
                along_delta = along_back * d1 + back * self.slope.d2(z, a) * along_z[i - 1]
        return hw[::-1] + hb[::-1]


def hessian_extremes(network: Network, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """(smallest, largest) eigenvalue of the Hessian of a network of one copy, by Lanczos; NaN if not found."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    shapes = [p.shape for p in network.parameters]
    ends = np.cumsum([int(np.prod(s)) for s in shapes])

    def product(flat: np.ndarray) -> np.ndarray:
        v = [part.reshape(s) for part, s in zip(np.split(flat.ravel(), ends[:-1]), shapes, strict=True)]
        return np.concatenate([h.ravel() for h in network.hessian_product(x, y, v)])

    size = int(ends[-1])
    start = np.random.default_rng(0).standard_normal(size)
    operator = LinearOperator((size, size), product, dtype=np.float64)

    try:
        low, high = eigsh(operator, 2, which="BE", v0=start, tol=1e-3, maxiter=20, ncv=24, return_eigenvectors=False)
    except ArpackNoConvergence:
        return float("nan"), float("nan")
    return float(low), float(high)
