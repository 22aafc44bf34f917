"""Largest errors of the kernels' functions, in units in the last place of the result."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import special

from fastinit import _core

NEG_LOG, SIN, COS, QUANTILE = range(4)


def ulps(got: np.ndarray, want: np.ndarray) -> float:
    """Of float32 results against float64 references."""
    spacing = np.spacing(np.maximum(np.abs(want).astype(np.float32), np.float32(1e-30)))
    return float(np.max(np.abs(got.astype(np.float64) - want) / spacing))


def test_neg_log_float32(isa: str) -> None:
    mantissas = np.arange(2**23, 2**24, 1 if isa != "baseline" else 7, dtype=np.int32)
    for exponent in (-40, -25, -24, -23):  # every mantissa; 2^-23 holds numbers of [1, 2)
        x = np.ldexp(mantissas.astype(np.float32), exponent)
        assert ulps(_core.probe_f32(NEG_LOG, x), -np.log(x.astype(np.float64))) < 1.5


def test_sincos_float32(isa: str) -> None:
    # Words as float32 integers: every octant, dense around the quarter turns.
    steps = np.concatenate([np.arange(-(2**22), 2**22, 3), np.arange(2**7) * 2.0**24])
    turns = np.concatenate([steps + q * 2.0**30 for q in (-2, -1, 0, 1)]).astype(np.float32)
    turns = turns[(turns >= -(2.0**31)) & (turns < 2.0**31)]
    angle = turns.astype(np.float64) * 2.0**-32
    for function, quarter in ((SIN, 0.0), (COS, 0.25)):
        # Reduced exactly before pi comes in, so that the reference is right near the zeros.
        a = angle + quarter
        reduced = a - np.round(a * 2) / 2
        want = np.sin(2 * np.pi * reduced) * np.where(np.round(a * 2) % 2 == 0, 1.0, -1.0)
        assert ulps(_core.probe_f32(function, turns), want) < 2.0


def test_quantile_float32(isa: str) -> None:
    p = np.linspace(2.4e-4, 1 - 2.4e-4, 3_000_001 if isa != "baseline" else 300_001).astype(np.float32)
    want = special.ndtri(p.astype(np.float64))
    # Above 1/2 the distance to 1 is what counts, and p has it exactly.
    assert ulps(_core.probe_f32(QUANTILE, p), want) < 6.0


@pytest.mark.parametrize(("function", "low", "high", "bound"), [
    (NEG_LOG, 1e-300, 2.0, 2e-16), (QUANTILE, 1e-300, 0.5, 1.5e-15)])  # fmt: skip
def test_float64_against_30_digits(isa: str, function: int, low: float, high: float, bound: float) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(low, high, 300), 10 ** rng.uniform(np.log10(low), np.log10(high), 300)])
    got = _core.probe_f64(function, x)
    with mpmath.workdps(30):
        for xi, yi in zip(x.tolist(), got.tolist(), strict=True):
            if function == NEG_LOG:
                error = (mpmath.mpf(yi) + mpmath.log(xi)) / mpmath.log(xi)
            else:  # one Newton step of 30 digits measures the distance to the root
                residue = mpmath.erfc(-mpmath.mpf(yi) / mpmath.sqrt(2)) / 2 - xi
                error = residue / mpmath.npdf(yi) / yi
            assert abs(error) < bound + (1e-14 if abs(xi - 0.5) < 1e-3 else 0), (xi, yi)


@pytest.mark.parametrize("window", [(-2, 2), (5, 6), (50, 51), (-1, np.inf), (0, 1e-3), (-40, -38)], ids=str)
def test_truncated_moments(window: tuple[float, float]) -> None:
    a, b = window
    mean, variance = _core.truncated_moments(a, b)
    with mpmath.workdps(40):
        end = mpmath.mpf(b if np.isfinite(b) else 20)
        top = min(abs(a), abs(b)) ** 2 if a * b > 0 else 0  # the integrand is 1 at its largest
        mass, first, second = (
            mpmath.quad(lambda z, k=k: z**k * mpmath.exp((top - z * z) / 2), mpmath.linspace(a, end, 33))
            for k in range(3)
        )
        m = first / mass
        v = second / mass - m * m
        assert abs(mean - m) < 1e-13 * max(1, abs(m))
        assert abs(variance - v) < 1e-11 * v
