"""Python functions as activations: jumps, formulas that overflow, dtypes; unstable critical points."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from messages import whole

from fastinit import gain
from fastinit.propagation import (
    Activation,
    Dense,
    c_map,
    critical_point,
    depth_scales,
    fixed_points,
    jacobian_spectrum,
    moments,
    pair_moments,
    propagate,
    q_map,
)

NAIVE: dict[str, Callable[[Any], Any]] = {
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
}


JUMP = "activation must be continuous where no derivative is given, got a jump at"


def hard_shrink(x: Any) -> Any:
    return np.where(np.abs(x) > 0.5, x, 0.0)


@pytest.mark.parametrize(("function", "at"), [(np.sign, "0"), (hard_shrink, "-0.5"), (np.round, "-0.5")])
def test_jumps_have_no_slope(function: Any, at: str) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: moments(function),
        lambda: moments(function, 100.0),
        lambda: pair_moments(function, 0.9),
        lambda: critical_point(function, 0.1),
        lambda: depth_scales(function, 1.0, 0.1),
        lambda: jacobian_spectrum(function, 2, 1.0, 1.0),
        lambda: propagate([Dense(64), Activation(function)] * 5),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=whole(f"{JUMP} {at}")):
            call()
    assert gain(function) == pytest.approx(q_map(function, 1.0, 1.0) ** -0.5)


def test_what_jumps_allow() -> None:
    assert c_map(np.sign, 0.5, 1.0, 1.0) == pytest.approx(2 / math.pi * math.asin(0.5), rel=1e-12)
    assert c_map(np.sign, 1.0, 1.0, 1.0) == 1.0
    assert moments(hard_shrink, 1e-4).dphi2 == 0.0  # beyond every weight
    straight = Activation(np.sign, derivative=lambda x: np.where(np.abs(x) < 1, 1.0, 0.0))
    assert math.isfinite(propagate([Dense(64), straight] * 5).log10_gradient_ratio)
    for steep in (np.cbrt, lambda x: np.tanh(1e5 * x)):
        assert math.isfinite(moments(steep).dphi)


@pytest.mark.parametrize("name", NAIVE)
def test_formulas_that_overflow_far_outside(name: str) -> None:
    plain, named = (propagate([Dense(64), Activation(f)] * 5) for f in (NAIVE[name], name))
    assert plain.level == named.level
    assert plain.log10_gradient_ratio == pytest.approx(named.log10_gradient_ratio, abs=1e-6)
    assert plain.log10_signal_ratio == pytest.approx(named.log10_signal_ratio, abs=1e-9)
    ours, theirs = (depth_scales(f, 1.0, 0.1) for f in (NAIVE[name], name))
    assert ours.phase == theirs.phase and ours[:3] == pytest.approx(theirs[:3], rel=1e-9)


@pytest.mark.parametrize("q", [0.25, 4.0, 9.0, 36.0])
def test_functions_that_grow_fast(q: float) -> None:
    """E e^(k h) = e^(k^2 q / 2) lies k sqrt(q) deviations out."""
    for function in (np.exp, lambda x: np.exp(-x)):
        m = moments(function, q)
        for found, k in ((m.phi, 1), (m.phi2, 2), (m.phi4, 4), (m.dphi2, 2)):
            assert found == pytest.approx(math.exp(0.5 * k * k * q), rel=1e-12)
    assert moments(np.sinh, q).phi2 == pytest.approx(0.5 * math.expm1(2.0 * q), rel=1e-12)
    assert pair_moments(np.exp, 0.5, q).phi_phi == pytest.approx(math.exp(1.5 * q), rel=1e-11)


def test_not_finite_where_there_is_weight() -> None:
    for call in (lambda: moments(np.log), lambda: propagate([Dense(64), Activation(np.log)] * 2)):
        with pytest.raises(ValueError, match=r"^activation must be finite, got -?nan at -\d\.\d+$"):
            call()


@pytest.mark.filterwarnings("error")
def test_dtypes() -> None:
    with pytest.raises(TypeError, match=whole("activation must return an array of real numbers, got ... of complex128")):
        moments(lambda x: x + 0j)
    half = "activation must return float32 or float64 where no derivative is given, got float16"
    with pytest.raises(TypeError, match=whole(half)):
        moments(lambda x: np.tanh(x).astype(np.float16))
    given = moments(lambda x: np.tanh(x).astype(np.float16), derivative=lambda x: 1 / np.cosh(x) ** 2)
    assert given.dphi2 == pytest.approx(moments("tanh").dphi2, rel=1e-9)


def test_critical_points_that_repel() -> None:
    for name, bias in (("gelu", 0.1), ("silu", 0.1), ("hardswish", 0.1), ("squared_relu", 0.1), ("gelu", 0.0)):
        p = critical_point(name, bias)
        assert not any(x.stable for x in fixed_points(name, p.sigma_w2, bias) if x.q == pytest.approx(p.q, rel=1e-6))
    p = critical_point("mish", 0.1)
    assert depth_scales("mish", p.sigma_w2, 0.1).phase == "critical"


def test_limits_of_exploding_networks() -> None:
    d = depth_scales("gelu", 4.0)
    assert (d.q, d.c, d.xi_c, d.phase) == (math.inf, 1.0, math.inf, "chaotic")
    assert jacobian_spectrum("squared_relu", 1, 0.5, 1.0, "orthogonal").largest == math.inf
    assert math.isfinite(jacobian_spectrum("sin", 3, 0.5, 1.0).largest)


def test_one_function_from_many_threads() -> None:
    def function(x: Any) -> Any:
        return np.tanh(x)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: pair_moments(function, 0.5), range(64)))
    assert len(set(found)) == 1
