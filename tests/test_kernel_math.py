"""Largest errors of the kernels' functions, in units in the last place of the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice

import mpmath
import numpy as np
import pytest
from scipy import special

import fastinit as fi
from fastinit import _core

NEG_LOG, SIN, COS, QUANTILE = range(4)

CHUNK = 2**15  # floats: their references stay in the cache
WORKERS = 2
ONE = np.float32(1)


def floats(low: float, high: float) -> Iterator[np.ndarray]:
    """Every float32 of [low, high), 0 < low, in chunks."""
    begin, end = np.array([low, high], np.float32).view(np.int32).tolist()
    for at in range(begin, end, CHUNK):
        yield np.arange(at, min(at + CHUNK, end), dtype=np.int32).view(np.float32)


def integers(end: int) -> Iterator[np.ndarray]:
    for at in range(0, end, CHUNK):
        yield np.arange(at, at + CHUNK, dtype=np.float32)


def radii() -> Iterator[np.ndarray]:
    """4 p q of the quantile, and u = (w + 1/2) / 2^32 of every word of the lower half."""
    yield from floats(2.0**-11, np.nextafter(ONE, 2 * ONE))
    for w in integers(2**23):
        yield (w + np.float32(0.5)) * np.float32(2.0**-32)


def turns() -> Iterator[np.ndarray]:
    """Every word that is a float32, signed: all arguments of the polynomials are among those of the first eighths."""
    for w in chain(integers(2**24), floats(2.0**24, 2.0**31)):
        yield w
        yield -w
    yield np.array([-(2.0**31)], np.float32)


def sine(turns: np.ndarray) -> np.ndarray:
    """Brought to a quarter before pi comes in, so that it is right near the zeros."""
    turns = turns - np.round(turns)
    return np.sin(2.0 * np.pi * np.where(np.abs(turns) > 0.25, np.copysign(0.5, turns) - turns, turns))


@dataclass(frozen=True)
class Case:
    function: int
    inputs: Callable[[], Iterator[np.ndarray]]
    reference: Callable[[np.ndarray], np.ndarray]
    ulps: float  # the largest error among all inputs ...
    at: float  # ... and where


CASES = {
    "neg_log": Case(NEG_LOG, radii, lambda x: -np.log(x), 0.8708, 0.6417275),
    "sin": Case(SIN, turns, lambda w: sine(w * 2.0**-32), 1.6980, 172318432.0),
    "cos": Case(COS, turns, lambda w: sine(w * 2.0**-32 + 0.25), 1.6943, 901892480.0),
    # Above 1/2 the distance to 1 is what counts, and p has it exactly.
    "quantile": Case(QUANTILE, lambda: floats(2.3e-4, 1 - 2.3e-4), special.ndtri, 4.1497, 0.1608123),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_largest_error_among_all_float32(case: Case) -> None:
    """Of the arguments that kernels meet. The references, in float64, are right to 1e-6 of these ulps."""

    def worst(begin: int) -> tuple[float, float]:
        largest, at = 0.0, 0.0
        for x in islice(case.inputs(), begin, None, WORKERS):
            want = case.reference(x.astype(np.float64))
            error = np.abs(_core.probe_f32(case.function, x) - want)
            error /= np.maximum(np.spacing(np.abs(want).astype(np.float32)), np.float32(1e-37))
            worst = int(error.argmax())
            if error[worst] > largest:
                largest, at = float(error[worst]), float(x[worst])
        return largest, at

    with ThreadPoolExecutor(WORKERS) as pool:
        largest, at = max(pool.map(worst, range(WORKERS)))
    assert largest == pytest.approx(case.ulps, abs=1e-4), at
    assert at == pytest.approx(case.at, rel=1e-7)


@pytest.mark.parametrize("other", [
    pytest.param(name, marks=[pytest.mark.slow] * (name == "baseline")) for name in fi.available_isas() if name != fi.isa()
])  # fmt: skip
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_same_bits_of_all_float32(case: Case, other: str) -> None:
    mine = fi.isa()
    for x in case.inputs():
        _core.set_isa(mine)
        want = _core.probe_f32(case.function, x).tobytes()
        _core.set_isa(other)
        assert _core.probe_f32(case.function, x).tobytes() == want


def relative_quantile_error(p: float, z: float) -> mpmath.mpf:
    """One Newton step measures the distance to the root."""
    return (mpmath.erfc(-mpmath.mpf(z) / mpmath.sqrt(2)) / 2 - p) / mpmath.npdf(z) / z


RNG = np.random.default_rng(0)
SPREAD = 10.0 ** RNG.uniform(-300, 0, 300)
WORDS = np.rint(np.concatenate([
    RNG.uniform(-(2.0**63), 2.0**63, 300), *(turn * 2.0**62 + 2.0 ** RNG.uniform(10, 60, 50) for turn in (-2, -1, 0, 1)),
]))  # fmt: skip
WIDE = {
    "neg_log": (NEG_LOG, np.concatenate([SPREAD, RNG.uniform(0, 2, 300)]), 2e-16, lambda x, y: 1 + y / mpmath.log(x)),
    "sin": (SIN, WORDS, 3e-16, lambda w, y: 1 - y / mpmath.sinpi(mpmath.mpf(w) / 2**63)),
    "cos": (COS, WORDS, 3e-16, lambda w, y: 1 - y / mpmath.cospi(mpmath.mpf(w) / 2**63)),
    "quantile": (QUANTILE, np.concatenate([SPREAD / 2, RNG.uniform(0, 1, 300), 0.5 + 10.0 ** RNG.uniform(-15, -1, 99)]),
                 1e-15, relative_quantile_error),
}  # fmt: skip


@pytest.mark.parametrize("case", WIDE)
def test_float64_against_30_digits(isa: str, case: str) -> None:
    function, inputs, bound, error = WIDE[case]
    with mpmath.workdps(30):
        for x, y in zip(inputs.tolist(), _core.probe_f64(function, inputs).tolist(), strict=True):
            assert abs(error(x, y)) < bound, (x, y)


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
