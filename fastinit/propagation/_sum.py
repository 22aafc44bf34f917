"""The sum of a signal and the branch of a residual block."""

from __future__ import annotations

import math

import numpy as np

from ._fluctuation import MEAN, SECOND, Transfer, zero
from ._layers import Residual
from ._network import Step
from ._node import Node
from ._profile import mixed
from ._signal import Signal, UnitLaw, log


def sum_with_branch(step: Step, layer: Residual, x: Signal, body: tuple[Node, ...]) -> Node:
    """``skip x + scale f(x)`` where the branch f does not depend on x (Yang & Schoenholz 2017)."""
    f = body[-1].after
    log_a, log_b = 2.0 * log(abs(layer.skip)), 2.0 * log(abs(layer.scale))
    top = max(log_a + x.log_q, log_b + f.log_q)
    nothing, silent = Transfer(zero()), Signal.silent(x.width)
    if top == -math.inf:
        return Node(step, x, silent, transfer=nothing, body=body, branch=nothing)
    skip, branch = math.exp(log_a + x.log_q - top), math.exp(log_b + f.log_q - top)
    sign = math.copysign(1.0, layer.skip * layer.scale)
    cross = sign * math.sqrt(skip * branch) * x.mean * f.mean
    total = skip + branch + 2.0 * cross
    if total <= 0.0:
        return Node(step, x, silent, transfer=nothing, body=body, branch=nothing)
    s, b = skip / total, branch / total
    by_x, by_f = math.copysign(math.sqrt(s), layer.skip), math.copysign(math.sqrt(b), layer.scale)
    mean = by_x * x.mean + by_f * f.mean
    common = s * x.common + b * f.common + 2.0 * cross / total
    below, apart = (sum(part * gap for part, gap in ((s, one), (b, two)) if part > 0.0)
                    for one, two in ((x.below, f.below), (x.below_places, f.below_places)))  # fmt: skip
    past, new = _sum_of(by_x, x, by_f, f)
    both = past.matrix + new.matrix @ f.state.matrix
    state = Transfer(both @ x.state.matrix, *(
        both @ before @ both.T + new.matrix @ (behind - f.state.matrix @ before @ f.state.matrix.T) @ new.matrix.T + noise
        for before, behind, noise in ((x.state.own, f.state.own, past.own), (x.state.pair, f.state.pair, past.pair))
    ))  # fmt: skip
    after = Signal(
        x.width, top + math.log(total), mean, min(1.0, max(common, mean * mean)),
        3.0 - 2.0 * mean**4 + s * s * x.excess + b * b * f.excess, below, state=state,
        elastic=s * x.elastic + b * f.elastic, gaussian=x.gaussian and f.gaussian, scatter=s * x.scatter + b * f.scatter,
        profile=mixed(x.profile, f.profile, s), apart=None if x.apart is None and f.apart is None else apart,
        law=_law_of(by_x, x, by_f, f), fresh=_fresh(s, x, b, f),
    )  # fmt: skip
    return Node(step, x, after, transfer=past, body=body, branch=new)


def _fresh(s: float, x: Signal, b: float, f: Signal) -> float:
    """As in `Signal`, for variances of which x has the part s and f the part b, and a covariance that is fresh."""
    s, b = (part * (1.0 if math.isnan(of.below) else of.below) for part, of in ((s, x), (b, f)))
    return (s * s * x.fresh + b * b * f.fresh + 2.0 * s * b) / (s + b) ** 2 if s + b else 1.0


def _law_of(a: float, x: Signal, b: float, f: Signal) -> UnitLaw | None:
    """Of a x + b f, where that of x is known and f is normal; cells stay those of x."""
    if x.law is None or not f.gaussian:
        return None
    return UnitLaw(a * x.law.values + b * f.mean, math.hypot(a * x.law.blur, b * math.sqrt(max(0.0, 1.0 - f.mean**2))))


def _sum_of(a: float, x: Signal, b: float, f: Signal) -> tuple[Transfer, Transfer]:
    """Of a x + b f, in units of sqrt(E x^2), sqrt(E f^2): by x (with the noise of the sum) and by f."""
    by_x, by_f = np.diag((a, a * a, a**4)), np.diag((b, b * b, b**4))
    # the mean of x f over the units is that of x times that of f, and noise
    by_x[SECOND, MEAN], by_f[SECOND, MEAN] = 2.0 * a * b * f.mean, 2.0 * a * b * x.mean
    mixed = 4.0 * (a * b) ** 2 * (1.0 - x.mean**2) * (1.0 - f.mean**2)
    shape = max(0.0, 1.0 - a**8 - b**8)
    own, pair = (
        np.diag((0.0, mixed * c * d, shape * (c * d) ** 2)) / x.width
        for c, d in ((1.0, 1.0), (_centred_cosine(x), _centred_cosine(f)))
    )
    return Transfer(by_x, own, pair), Transfer(by_f)


def _centred_cosine(x: Signal) -> float:
    rest = 1.0 - x.mean * x.mean
    return max(0.0, x.cosine - x.mean * x.mean) / rest if rest > 1e-12 else 0.0
