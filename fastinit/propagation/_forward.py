"""Forward rules: how each layer moves the statistics of the signal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .. import _core
from ._layers import Activation, BatchNorm, Dropout, LayerNorm, Pool, Residual, RMSNorm
from ._linear_layers import Conv, Gated
from ._network import Step
from ._signal import Signal, _grid, exp, log, log_add, mapped_below, scaled_moments
from ._weights import Weights


@dataclass(frozen=True, eq=False)
class Node:
    """A step with the signal before and after it, and what the way back needs."""

    step: Step
    before: Signal
    after: Signal
    factor: float = 0.0  # ln of the factor on the gradient variance, backwards
    slope_kurtosis: float = 1.0  # E d^2 / (E d)^2 of the squared slopes d
    slope_elastic: float = 0.0  # d ln factor / d ln q
    slope_share: float = 1.0  # correlation of the slopes of two inputs
    linear: float = 1.0  # (E f')^2 / E f'^2
    body: tuple[Node, ...] = ()
    inner: tuple[float, ...] = field(default=())  # of Gated: (ln g_z / g_y, ln E z^2, kurtosis of the rows)


def walk(steps: tuple[Step, ...], signal: Signal) -> tuple[Node, ...]:
    """The nodes of a list of steps."""
    nodes: list[Node] = []
    for step in steps:
        node = _RULES[next(kind for kind in _RULES if isinstance(step.layer, kind))](step, signal)
        if isinstance(step.layer, Pool) and step.layer.kind == "max" and nodes and signal.origin is not None:
            # gradients pass the largest alone, whose slope is not that of the others
            nodes[-1] = replace(nodes[-1], factor=_largest_slope(signal, _windows(step)))
        nodes.append(node)
        signal = node.after
    return tuple(nodes)


def _through(weights: Weights, x: Signal, taps: float = 1.0) -> Signal:
    """``h = x W + b``: Gaussian given x, with E h^2 = fan_in E W^2 E x^2 + E b^2 (Poole et al. 2016).

    Weights with a mean add up what the inputs have in common. Orthogonal weights keep the length
    of x, so that the second moment over the units does not fluctuate anew.
    """
    n, m = weights.fan_in * taps, weights.shape[-1]
    shared = weights.mean * weights.mean * n * max(n - 1.0, 0.0)
    factor = n * weights.second + shared * x.common
    log_q = log_add(x.log_q + log(factor), log(weights.bias_second))
    if log_q == -math.inf:
        return Signal(m, log_q, 0.0, 0.0, 3.0, math.nan)
    part = math.exp(x.log_q + log(factor) - log_q)  # of the weights in E h^2
    bias = math.exp(-0.5 * log_q) * weights.bias_mean if weights.bias_mean else 0.0
    scale = math.exp(0.5 * (x.log_q - log_q)) if part else 0.0
    mean = n * weights.mean * x.mean * scale + bias
    common = weights.mean**2 * (n + n * max(n - 1.0, 0.0) * x.common) * scale * scale + bias * bias
    gap = 0.0 if math.isnan(x.below) else x.below
    apart = n * weights.second * gap + shared * (x.common - x.mean * x.mean) * gap
    inputs = x.width if x.width > 1 else weights.fan_in
    log_var = part * part * (x.log_var + x.sample)
    log_cov = part * part * (x.log_cov + x.sample_cov)
    cosine = 1.0 - min(apart * scale * scale, 2.0)
    sample, sample_cov = 2.0 / m, 2.0 / m * cosine * cosine
    if weights.orthogonal:  # lengths are kept, but for what a narrower output leaves out, and biases
        kept = part * part * min(1.0, m / inputs)
        sample, sample_cov = sample * (1.0 - kept), sample_cov - 2.0 / m * kept * (1.0 - gap) ** 2
    common = min(1.0, max(common, mean * mean))
    return Signal(
        m, log_q, max(-1.0, min(1.0, mean)), common, 3.0, min(2.0, apart * scale * scale),
        log_var, log_cov, sample + 2.0 * common * common, max(0.0, sample_cov), elastic=x.elastic * part,
    )  # fmt: skip


def _dense(step: Step, x: Signal) -> Node:
    (w,) = step.weights
    taps, back = 1.0, log(step.fan_out * w.second)
    if isinstance(step.layer, Conv):
        taps = _tap_fraction(step)
        back = log(w.fan_out * w.second * taps / math.prod(step.layer.stride))
    elif step.image_in is not None and not step.spatial and step.fan_in == x.width:
        pixels = math.prod(step.image_in)  # channels of an image: the mean over its pixels
        x = _mean_of(x, pixels, x.width, _pixels_alike(x))
        back -= 2.0 * math.log(pixels)
    after = _through(w, x, taps)
    return Node(step, x, after, back)


def _tap_fraction(step: Step) -> float:
    """Part of the taps of a zero-padded convolution that fall inside the image, on average."""
    layer = step.layer
    assert isinstance(layer, Conv)
    if step.image_in is None or step.image_out is None or layer.padding == "valid":
        return 1.0
    part = 1.0
    for n, out, k, s in zip(step.image_in, step.image_out, layer.kernel, layer.stride, strict=True):
        at = np.arange(out)[:, None] * s - (k - 1) // 2 + np.arange(k)
        part *= float(((at >= 0) & (at < n)).mean())
    if step.weights[0].init in ("delta_orthogonal", "dirac"):
        return 1.0  # one tap, in the middle
    return part


def _activation(step: Step, x: Signal) -> Node:
    """E f(h)^2 over h ~ N(mean, var), and the correlation map (Poole et al. 2016)."""
    assert isinstance(step.layer, Activation)
    f = step.layer.function
    m = scaled_moments(f, x.log_q, x.mean)
    if m.log_phi2 == -math.inf or x.log_q == -math.inf:
        alive = m.log_phi2 > -math.inf
        after = Signal(x.width, m.log_phi2, m.mean, float(alive), m.kurtosis, 0.0 if alive else math.nan,
                       elastic=0.0, gaussian=False)  # fmt: skip
        return Node(step, x, after, m.log_dphi2)
    below, share = mapped_below(f, x.log_q, x.mean, x.below) if not math.isnan(x.below) else (math.nan, 1.0)
    common = m.mean * m.mean
    if x.common > x.mean * x.mean + 1e-12:
        common = 1.0 - mapped_below(f, x.log_q, x.mean, 1.0 - x.common)[0]
    # Hermite parts of f^2: what a mean or a length that is held does not let fluctuate falls away
    n, first, second = x.width, m.tilt, 2.0 * m.elastic**2
    alike = max(0.0, x.common - x.mean * x.mean)  # of the units of one input
    rest = max(0.0, m.kurtosis - 1.0 - first - second)
    first = 0.0 if x.centred else first
    second *= min(1.0, 0.5 * n * x.sample)
    cosine = 0.0 if math.isnan(x.below) else 1.0 - x.below
    variance = exp(x.log_q) * max(0.0, 1.0 - x.mean * x.mean)
    parts = first * (1.0 / n + alike), second * (1.0 / n + alike**2), rest * (1.0 / n + alike**4)
    # E q^e of a fluctuating q is not (E q)^e; behind orthogonal weights the law of h makes up for it
    bend = 0.5 * m.elastic * (m.elastic - 1.0) * min(x.log_var, 1.0) * min(1.0, 0.5 * n * x.sample)
    after = Signal(
        x.width, m.log_phi2 + bend, m.mean, common, m.kurtosis, below,
        m.elastic**2 * x.log_var, m.elastic**2 * x.log_cov, sum(parts),
        parts[0] * cosine + parts[1] * cosine**2 + parts[2] * cosine**4,
        elastic=x.elastic * m.elastic, gaussian=False,
        origin=(f, x.mean * math.sqrt(exp(x.log_q)), variance) if x.gaussian else None,
    )  # fmt: skip
    new = (share - m.linear) / (1.0 - m.linear) if m.linear < 1.0 - 1e-9 else 1.0
    return Node(step, x, after, m.log_dphi2, m.slope_kurtosis, m.slope_elastic, min(1.0, max(0.0, new)), m.linear)


def _norm(step: Step, x: Signal) -> Node:
    """Divides by the root of the (centred) second moment plus eps; the gradient is divided by it too."""
    layer = step.layer
    assert isinstance(layer, LayerNorm)
    gap = 1.0 if math.isnan(x.below) else x.below
    if isinstance(layer, RMSNorm):
        kept = 1.0
    elif isinstance(layer, BatchNorm):
        kept = min(1.0, gap)  # variance of a unit over inputs with correlation c: q (1 - c)
    else:
        kept = max(0.0, 1.0 - x.common)
    log_part = x.log_q + log(kept)
    log_divisor = log_add(log_part, log(layer.eps))
    if log_divisor == -math.inf or log_part == -math.inf:
        return Node(step, x, Signal(x.width, -math.inf, 0.0, 0.0, 3.0, math.nan), -log_divisor)
    log_q = log_part - log_divisor
    if isinstance(layer, RMSNorm):
        mean, common, below = x.mean, x.common, x.below
    elif isinstance(layer, BatchNorm):
        mean, common, below = 0.0, 0.0, 1.0
    else:
        mean, common, below = 0.0, 0.0, min(2.0, gap / kept)
    rest = math.exp(log(layer.eps) - log_divisor) if layer.eps else 0.0
    loose = rest * rest
    kurtosis = x.kurtosis if x.gaussian or isinstance(layer, RMSNorm) else 3.0
    after = Signal(
        x.width, log_q, mean, common, kurtosis, below, loose * x.log_var, loose * x.log_cov,
        loose * x.sample, loose * x.sample_cov, elastic=x.elastic * rest, gaussian=x.gaussian,
        centred=x.centred or not isinstance(layer, RMSNorm),
    )  # fmt: skip
    if isinstance(layer, BatchNorm):
        # E 1/var above 1 / E var: the variance of w x over inputs fluctuates from unit to unit
        return Node(step, x, after, 2.0 / max(x.width, 4) - log_divisor, 1.0, 0.0)
    # E 1/q is above 1 / E q, and the directions of x (and of the mean) are projected out
    fixed = (1.0 if isinstance(layer, RMSNorm) else 2.0) / x.width
    bent = (1.0 - rest) * (x.log_var + x.sample) - (1.0 - rest) * min(fixed, 0.9)
    return Node(step, x, after, bent - log_divisor, 1.0, -(1.0 - rest))


def _dropout(step: Step, x: Signal) -> Node:
    """Inverted dropout: E x^2 / keep, and independent masks keep cross moments (Schoenholz et al. 2017)."""
    assert isinstance(step.layer, Dropout)
    keep = 1.0 - step.layer.p
    root = math.sqrt(keep)
    kurtosis = x.kurtosis / keep
    after = replace(
        x, log_q=x.log_q - math.log(keep), mean=x.mean * root, common=x.common * keep, kurtosis=kurtosis,
        below=1.0 - keep + keep * x.below, sample=x.sample + (kurtosis - x.kurtosis) / x.width,
        gaussian=x.gaussian and keep == 1.0, origin=None,
    )  # fmt: skip
    return Node(step, x, after, -math.log(keep), 1.0 / keep, 0.0, keep)


def _pool(step: Step, x: Signal) -> Node:
    """Means and maxima of independent units (of pixels, which a convolution correlates, approximately)."""
    layer = step.layer
    assert isinstance(layer, Pool)
    k = _windows(step)
    cosine = 0.0 if math.isnan(x.below) else 1.0 - x.below
    width = step.fan_out
    if layer.kind == "mean":
        alike = _pixels_alike(x) if step.spatial else x.common
        return Node(step, x, _mean_of(x, k, width, alike), -2.0 * math.log(k))
    first, second, fourth = _maximum(x, k)
    if second == 0.0:
        return Node(step, x, replace(x, width=width), -math.log(k))
    log_q = x.log_q + math.log(second)
    mean = first / math.sqrt(second)
    sample = (fourth / second**2 - 1.0) / width
    after = replace(
        x, width=width, log_q=log_q, mean=mean, common=mean * mean, kurtosis=fourth / second**2,
        below=_maximum_below(x, k), gaussian=False, origin=None, sample=sample, sample_cov=sample * cosine**2,
    )  # fmt: skip
    return Node(step, x, after, -math.log(k), float(k))


def _pixels_alike(x: Signal) -> float:
    """E of products of two pixels of a channel over E x^2: they share weights as two inputs do."""
    return x.common if math.isnan(x.below) else max(x.common, min(1.0, 1.0 - x.below))


def _mean_of(x: Signal, k: int, width: int, alike: float) -> Signal:
    """Means over k units or pixels each, of which two have the product `alike` on average."""
    part = (1.0 - alike) / k + alike
    if part == 0.0 or math.isnan(x.below):
        return replace(x, width=width, origin=None)
    excess = max(0.0, x.kurtosis - 3.0) / k
    sample = (2.0 + excess) / width
    return replace(
        x, width=width, log_q=x.log_q + math.log(part), mean=x.mean / math.sqrt(part), common=min(1.0, x.common / part),
        kurtosis=3.0 + excess, below=min(2.0, x.below / k / part), origin=None, sample=sample,
        sample_cov=sample * (1.0 - x.below) ** 2,
    )  # fmt: skip


def _windows(step: Step) -> int:
    """Units that a window takes together."""
    assert isinstance(step.layer, Pool)
    return int(step.layer.size ** (len(step.image_in) if step.image_in is not None else 2 if step.spatial else 1))


def _before_maximum(x: Signal) -> tuple[Any, float, float]:
    """The activation that was applied (or None), and mean and standard deviation before it."""
    if x.origin is not None:
        return x.origin[0], x.origin[1], math.sqrt(x.origin[2])
    return None, x.mean, math.sqrt(max(0.0, 1.0 - x.mean * x.mean))


def _largest_slope(x: Signal, k: int) -> float:
    """ln E f'^2 at the largest of k pre-activations."""
    function, mean, std = _before_maximum(x)
    z, w = _grid()
    weight = w * k * _core.special("normal_cdf", z) ** (k - 1)
    slope = function.eval(mean + std * z)[1]
    return log(float((weight * slope**2).sum())) if slope is not None else 0.0


def _maximum_below(x: Signal, k: int) -> float:
    """1 - cosine of the maxima of two inputs: over fixed normal numbers, as there is no closed form."""
    if math.isnan(x.below):
        return x.below
    function, mean, std = _before_maximum(x)
    below = x.below
    if x.origin is not None:
        # 1 - cosine before the activation, by bisection of its map
        log_q, ratio = log(mean * mean + std * std), mean / math.hypot(mean, std)
        low, high = 0.0, 1.0
        for _ in range(40):
            below = 0.5 * (low + high)
            low, high = (below, high) if mapped_below(function, log_q, ratio, below)[0] < x.below else (low, below)
    below = min(1.0, below / max(1e-12, 1.0 - (mean / math.hypot(mean, std)) ** 2))
    one, two = np.random.default_rng(0).standard_normal((2, 4096, k))
    a, b = std * math.sqrt(1.0 - 0.5 * below), std * math.sqrt(0.5 * below)
    u, v = (mean + a * one + sign * b * two for sign in (1.0, -1.0))
    u, v = u.max(1), v.max(1)
    if function is not None:
        u, v = function.eval(u)[0], function.eval(v)[0]
    square = float((u * u).mean() + (v * v).mean())
    return float(((u - v) ** 2).mean()) / square if square > 0.0 else math.nan


def _maximum(x: Signal, k: int) -> tuple[float, float, float]:
    """E m, E m^2, E m^4 of the largest m of k units, in units of sqrt(E x^2).

    Density k pdf cdf^(k-1) of the pre-activation: the largest comes from the largest, as all
    pooled activations rise.
    """
    q = exp(x.log_q) if abs(x.log_q) < 600.0 else 1.0
    function, mean, std = _before_maximum(x)
    z, w = _grid()
    weight = w * k * _core.special("normal_cdf", z) ** (k - 1)
    h = mean + std * z
    values = h if function is None else function.eval(h)[0] / math.sqrt(q)
    return float((weight * values).sum()), float((weight * values**2).sum()), float((weight * values**4).sum())


def _residual(step: Step, x: Signal) -> Node:
    """``a x + b f(x)``: q' = a^2 q + b^2 q_f for a branch with independent weights (Yang & Schoenholz 2017)."""
    layer = step.layer
    assert isinstance(layer, Residual)
    body = walk(step.body, replace(x, elastic=1.0))
    f = body[-1].after
    log_a, log_b = 2.0 * log(abs(layer.skip)), 2.0 * log(abs(layer.scale))
    top = max(log_a + x.log_q, log_b + f.log_q)
    if top == -math.inf:
        return Node(step, x, Signal(x.width, top, 0.0, 0.0, 3.0, math.nan), body=body)
    skip, branch = math.exp(log_a + x.log_q - top), math.exp(log_b + f.log_q - top)
    sign = math.copysign(1.0, layer.skip * layer.scale)
    cross = sign * math.sqrt(skip * branch) * x.mean * f.mean
    total = skip + branch + 2.0 * cross
    if total <= 0.0:
        return Node(step, x, Signal(x.width, -math.inf, 0.0, 0.0, 3.0, math.nan), body=body)
    s, b = skip / total, branch / total
    mean = (math.copysign(math.sqrt(s), layer.skip) * x.mean + math.copysign(math.sqrt(b), layer.scale) * f.mean)
    common = s * x.common + b * f.common + 2.0 * cross / total
    gaps = [part * y.below for part, y in ((s, x), (b, f)) if part > 0.0]
    follow = b * f.elastic  # d ln q' from what the branch takes from x
    own = max(0.0, f.log_var - f.elastic**2 * x.log_var), max(0.0, f.log_cov - f.elastic**2 * x.log_cov)
    mixed = 4.0 * s * b / x.width
    cosines = [1.0 - y.below if not math.isnan(y.below) else 0.0 for y in (x, f)]
    # what all branches see of the units of x moves them together
    kept = x.log_var + x.sample, x.log_cov + x.sample_cov
    joint = [(s + follow) ** 2 * v + b * b * o + 2.0 * s * s * b * math.sqrt(k * o) * (s + follow)
             for v, o, k in zip((x.log_var, x.log_cov), own, kept, strict=True)]  # fmt: skip
    after = Signal(
        x.width, top + math.log(total), mean, min(1.0, max(common, mean * mean)),
        3.0 + s * s * (x.kurtosis - 3.0) + b * b * (f.kurtosis - 3.0), sum(gaps),
        joint[0], joint[1],
        s * s * x.sample + b * b * f.sample + mixed,
        s * s * x.sample_cov + b * b * f.sample_cov + mixed * cosines[0] * cosines[1],
        elastic=x.elastic * (s + follow), gaussian=x.gaussian and f.gaussian,
    )  # fmt: skip
    return Node(step, x, after, body=body)


def _gated(step: Step, x: Signal) -> Node:
    """``(f(x Wg) * (x Wu)) Wd``: E z^2 = E f(g)^2 E u^2 with independent g and u (Shazeer 2020)."""
    layer = step.layer
    assert isinstance(layer, Gated)
    gate, up, down = step.weights
    g, u = _through(gate, x), _through(up, x)
    m = scaled_moments(layer.function, g.log_q, g.mean)
    if m.log_phi2 == -math.inf or u.log_q == -math.inf:
        after = _through(down, Signal(layer.hidden, -math.inf, 0.0, 0.0, 3.0, math.nan))
        return Node(step, x, after, -math.inf, inner=(log(step.fan_out * down.second), -math.inf, 1.0))
    below, _ = mapped_below(layer.function, g.log_q, g.mean, g.below)
    elastic = g.elastic * m.elastic + u.elastic
    ratio = elastic / x.elastic if x.elastic else 0.0
    sample = (3.0 * m.kurtosis - 1.0) / layer.hidden
    cosine = (1.0 - g.below) * (1.0 - u.below)
    bend = 0.5 * ratio * (ratio - 1.0) * min(u.log_var, 1.0)  # E q^e of a fluctuating q is not (E q)^e
    z = Signal(
        layer.hidden, m.log_phi2 + u.log_q + bend, m.mean * u.mean, m.mean**2 * u.common, 3.0 * m.kurtosis,
        below + u.below - below * u.below, ratio**2 * (x.log_var + x.sample), ratio**2 * (x.log_cov + x.sample_cov),
        sample, sample * cosine * cosine, elastic=elastic, gaussian=False,
    )  # fmt: skip
    after = _through(down, z)
    back = log(step.fan_out * down.second)
    gates = m.log_dphi2 + u.log_q + log(gate.second)
    ups = m.log_phi2 + log(up.second)
    rows = _row_kurtosis(layer.function, g, u, gate.second, up.second)
    factor = back + math.log(layer.hidden) + log_add(gates, ups)
    return Node(step, x, after, factor, rows, 0.0, cosine, inner=(back, z.log_q, rows))


def _row_kurtosis(function: Any, g: Signal, u: Signal, gate: float, up: float) -> float:
    """E r^2 / (E r)^2 of r = f'(g)^2 u^2 Var Wg + f(g)^2 Var Wu, the variance of a row of the inner Jacobian."""
    if abs(g.log_q) > 100.0 or abs(u.log_q) > 100.0:
        return 3.0
    z, w = _grid()
    phi, slope = function.eval(math.sqrt(math.exp(g.log_q)) * z)
    if slope is None:
        return 3.0
    one, two = slope**2 * math.exp(u.log_q) * gate, phi**2 * up
    mean = float((w * (one + two)).sum())
    square = float((w * (3.0 * one * one + 2.0 * one * two + two * two)).sum())
    return square / (mean * mean) if mean > 0.0 else 1.0


_RULES: dict[type, Any] = {
    Activation: _activation,
    LayerNorm: _norm,
    Dropout: _dropout,
    Pool: _pool,
    Residual: _residual,
    Gated: _gated,
    object: _dense,  # Dense and Conv
}
