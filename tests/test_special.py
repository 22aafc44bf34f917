"""Elementary and error functions against mpmath, in units in the last place."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest

from fastinit import _core

Real = Callable[[mp.mpf], mp.mpf]


def spread(*ranges: tuple[float, float], powers: tuple[float, float] | None = None) -> np.ndarray:
    rng = np.random.default_rng(7)
    parts = [rng.uniform(a, b, 500) for a, b in ranges]
    if powers:
        x = 10.0 ** rng.uniform(*powers, 400)
        parts += [x, -x]
    return np.concatenate(parts)


CASES: dict[str, tuple[Real, np.ndarray, float]] = {
    "exp": (mp.exp, spread((-1, 1), (-708, 709.7), (-745, -707), powers=(-20, 0)), 1.0),
    "expm1": (mp.expm1, spread((-1.2, 1.2), (-45, 50), powers=(-20, 2.8)), 2.0),
    "log": (mp.log, np.abs(spread((0.5, 2), powers=(-308, 308))), 1.0),
    "log1p": (mp.log1p, np.concatenate([spread((-0.9, 3), powers=(-20, -0.01)), 10 ** spread((0, 300))]), 1.0),
    "sin": (mp.sin, spread((-1, 1), (-100, 100), (-5e5, 5e5), powers=(-8, 308)), 1.0),
    "cos": (mp.cos, spread((-1, 1), (-100, 100), (-5e5, 5e5), powers=(-8, 308)), 1.0),
    "minus_sin": (lambda x: x - mp.sin(x), spread((-0.6, 0.6), (-9, 9), powers=(-8, 0)), 32.0),
    "tanh": (mp.tanh, spread((-0.6, 0.6), (-3, 3), (-25, 25), powers=(-20, 0)), 2.0),
    "atan": (mp.atan, spread((-1, 1), (-4, 4), powers=(-10, 20)), 1.0),
    "erf": (mp.erf, spread((-1, 1), (-6, 6), powers=(-10, 0)), 2.0),
    "erfc": (mp.erfc, spread((-6, 6), (0, 3), (3, 26.5), (26.4, 27.2)), 2.0),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), spread((-2, 2), (0, 9), (-26, 26)), 2.0),
    "erfcx_rest": (
        lambda x: 1 - mp.sqrt(mp.pi) * x * mp.exp(x * x) * mp.erfc(x),
        np.abs(spread((0, 2), (0, 9), (0, 26), (0, 1e3))),
        4.0,
    ),
    "normal_pdf": (mp.npdf, spread((-3, 3), (-37, 37)), 2.0),
    "normal_cdf": (mp.ncdf, spread((-3, 3), (-37, 0)), 4.0),
}


@pytest.mark.parametrize("name", CASES)
def test_ulp(name: str) -> None:
    exact, x, limit = CASES[name]
    got = _core.special(name, x)
    with mp.workprec(170):
        for a, b in zip(x.tolist(), got.tolist(), strict=True):
            t = exact(mp.mpf(a))
            if not math.isfinite(b):
                assert abs(t) > mp.mpf("1.79e308"), (a, b)
                continue
            unit = mp.mpf(math.ulp(float(t))) if abs(t) < mp.mpf("1.79e308") else mp.mpf(2) ** 971
            assert abs(b - t) <= limit * unit, (a, b, float((b - t) / unit))


def test_sine_near_multiples_of_pi() -> None:
    x = np.arange(1, 500) * math.pi / 2
    x = np.concatenate([x, [6381956970095103 * 2.0**797, 2.0**1000, 1e22, 823549.6645]])
    with mp.workprec(1300):
        for name, f in (("sin", mp.sin), ("cos", mp.cos)):
            for a, b in zip(x.tolist(), _core.special(name, x).tolist(), strict=True):
                t = f(mp.mpf(a))
                assert abs(b - t) <= math.ulp(float(t)), (name, a)


@pytest.mark.parametrize(
    ("name", "x", "value"),
    [
        ("exp", math.inf, math.inf),
        ("exp", -math.inf, 0.0),
        ("exp", 0.0, 1.0),
        ("exp", 5e-324, 1.0),
        ("expm1", -math.inf, -1.0),
        ("log", 1.0, 0.0),
        ("log", 0.0, -math.inf),
        ("log", 5e-324, math.log(5e-324)),
        ("log1p", -1.0, -math.inf),
        ("sin", 0.0, 0.0),
        ("cos", 0.0, 1.0),
        ("tanh", math.inf, 1.0),
        ("tanh", -math.inf, -1.0),
        ("atan", math.inf, math.pi / 2),
        ("atan", 1.0, math.pi / 4),
        ("erf", math.inf, 1.0),
        ("erfc", -math.inf, 2.0),
        ("erfc", math.inf, 0.0),
        ("erfcx", math.inf, 0.0),
        ("erfcx", -math.inf, math.inf),
        ("normal_cdf", 0.0, 0.5),
        ("normal_pdf", math.inf, 0.0),
    ],
)
def test_limits(name: str, x: float, value: float) -> None:
    assert _core.special(name, np.array([x]))[0] == value


def test_not_a_number() -> None:
    for name in CASES:
        assert math.isnan(_core.special(name, np.array([math.nan]))[0]), name
    for name, x in (("log", -1.0), ("log1p", -2.0), ("sin", math.inf), ("cos", -math.inf)):
        assert math.isnan(_core.special(name, np.array([x]))[0]), name


def test_signed_zero_and_odd_functions() -> None:
    x = spread((0, 3), (0, 30))
    for name in ("sin", "tanh", "atan", "erf"):
        assert math.copysign(1.0, _core.special(name, np.array([-0.0]))[0]) == -1.0, name
        a, b = _core.special(name, x), _core.special(name, -x)
        np.testing.assert_array_equal(a, -b)
