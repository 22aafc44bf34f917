"""Forward rules of LayerNorm, RMSNorm and BatchNorm."""

from __future__ import annotations

import math

import numpy as np

from ._fluctuation import MEAN, SECOND, Transfer, bounded, cosine_noise, zero
from ._layers import BatchNorm, LayerNorm, RMSNorm
from ._network import Step
from ._node import Node
from ._signal import Signal, grid, log, log_add


def norm(step: Step, x: Signal, channels: tuple[float, float] | None = None) -> Node:
    """Divides by the root of the (centred) second moment plus eps; the gradient is divided by it too."""
    layer = step.layer
    assert isinstance(layer, LayerNorm)
    gap = 1.0 if math.isnan(x.below) else x.below
    if isinstance(layer, RMSNorm):
        kept = 1.0
    elif isinstance(layer, BatchNorm):
        kept = channels[0] if channels else min(1.0, gap)  # variance of a unit over inputs with correlation c: q (1 - c)
    else:
        kept = max(0.0, 1.0 - x.common) * (1.0 - 1.0 / x.width)  # the mean over the units takes one
    log_part = x.log_q + log(kept)
    log_divisor = log_add(log_part, log(layer.eps))
    if log_divisor == -math.inf or log_part == -math.inf:
        alone = x.width == 1 and not isinstance(layer, (RMSNorm, BatchNorm))  # its mean is itself
        back = -math.inf if alone else -log_divisor
        return Node(step, x, Signal(x.width, -math.inf, 0.0, 0.0, 3.0, math.nan), back)
    log_q = log_part - log_divisor
    if isinstance(layer, RMSNorm):
        mean, common, below = x.mean, x.common, x.below
    elif isinstance(layer, BatchNorm):
        mean, common, below = 0.0, 0.0, min(1.0, gap / max(kept, 1e-12))
    else:
        mean, common, below = 0.0, 0.0, min(2.0, gap / max(1.0 - x.common, 1e-12))
    rest = math.exp(log(layer.eps) - log_divisor) if layer.eps else 0.0
    # of the divided square, by the state
    square = np.array([0.0, 1.0, 0.0] if isinstance(layer, RMSNorm) else [-2.0 * x.mean / kept, 1.0 / kept, 0.0])
    matrix = np.diag((0.0, 0.0, 1.0))
    matrix[SECOND] = rest * square
    if isinstance(layer, RMSNorm):
        matrix[MEAN] = np.array([1.0, 0.0, 0.0]) - 0.5 * (1.0 - rest) * mean * square
    by, scatter = Transfer(matrix), x.scatter
    if isinstance(layer, BatchNorm):  # over the inputs mean and second moment are held, but not the shape
        scatter, by = _batch_shape(x, max(kept * kept, 1e-12))
    kurtosis = x.kurtosis if x.gaussian or isinstance(layer, RMSNorm) else 3.0
    if not x.gaussian and not isinstance(layer, (RMSNorm, BatchNorm)):  # of wide layers, an affine map
        kurtosis = _centred_kurtosis(x)
    after = Signal(
        x.width, log_q, mean, common, kurtosis, below, by.after(x.state), elastic=x.elastic * rest, gaussian=x.gaussian,
        scatter=scatter, inputs=x.inputs, apart=1.0 if channels and below < 1.0 else None,
    )  # fmt: skip
    if isinstance(layer, BatchNorm):
        # E 1/var above 1 / E var: the variance of w x over inputs fluctuates from unit to unit
        spread = channels[1] if channels else 2.0 / max(x.inputs or x.width, 4)
        return Node(step, x, after, spread - log_divisor, by, pull_noise=spread / x.width)
    # E 1/q is above 1 / E q, and the directions of x (and of the mean) are projected out
    fixed = min(1.0, (1.0 if isinstance(layer, RMSNorm) else 2.0) / x.width)
    pull = (rest - 1.0) * square
    bent = (1.0 - rest) * bounded(float(square @ x.state.own @ square)) + log(1.0 - (1.0 - rest) * fixed)
    return Node(step, x, after, bent - log_divisor, by, pull=pull)


def _centred_kurtosis(x: Signal) -> float:
    """Of x about its mean, by the activation that made x; else as if x were symmetric about it."""
    rest = 1.0 - x.mean * x.mean
    if x.origin is not None and abs(x.log_q) < 600.0:
        z, w = grid()
        f = x.origin.function.eval(x.origin.mean + math.sqrt(x.origin.variance) * z)[0]
        f = f - float(w @ f)
        second = float(w @ f**2)
        return max(1.0, float(w @ f**4) / second**2) if second > 0.0 else 3.0
    if rest < 1e-9:
        return 3.0
    return max(1.0, (x.kurtosis - 6.0 * x.mean**2 * rest - x.mean**4) / rest**2)


def _batch_shape(x: Signal, variance2: float) -> tuple[float, Transfer]:
    """Behind BatchNorm: the variance of the cosine c of two inputs, and the noise of the units' shapes.

    With mean and variance held, what is left of f^2 begins with odd orders, so that E c^3 counts over two
    inputs, c before the units draw anew. It is bounded by E abs(c)^3 = sqrt(8 / pi) Var(c)^(3/2).
    """
    scatter, latent = (min(1.0, s / variance2) for s in (x.scatter, x.scatter - cosine_noise(x.cosine, x.width)))
    together = min(1.0, math.sqrt(8.0 / math.pi) * max(0.0, latent) ** 1.5)
    return scatter, Transfer(zero(), *(np.diag((0.0, 0.0, c / x.width)) for c in (1.0, together)))
