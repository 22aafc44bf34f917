"""Known answers: the words, and what is made of them, re-derived in plain NumPy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import reference

import fastinit as fi
from fastinit import _core

KAT = json.loads((Path(__file__).parent / "data" / "philox4x32_10_kat.json").read_text())
ELEMENTS = np.arange(20_000)


@pytest.mark.parametrize("answer", KAT, ids=["zeros", "ones", "pi"])
def test_known_answers(answer: dict[str, list[str]]) -> None:
    counter, key, result = ([int(x, 16) for x in answer[k]] for k in ("counter", "key", "result"))
    assert list(_core.philox(key[0] | key[1] << 32, *counter)) == result
    assert reference.philox(np.array([counter]), (key[0], key[1]))[0].tolist() == result


@pytest.mark.parametrize("first", [0, 1, 63, 64, 2**32 * 4 - 100, 2**40 + 17])
def test_words_of_elements(isa: str, first: int) -> None:
    out = np.empty(300, np.uint32)
    key = reference.key_of(5)
    _core.fill([(out, 6, 3, 0.0, 0.0, 0.0, 0.0, key[0] | key[1] << 32, first, None)], 1)
    assert out.tolist() == reference.words(first + np.arange(300), key).tolist()


@pytest.mark.parametrize("seed", [0, 7, 2**80, [1, 2, 3]])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniforms(isa: str, seed: object, dtype: str) -> None:
    got = fi.uniform(len(ELEMENTS), seed=seed, dtype=dtype)
    assert got.tobytes() == reference.uniforms(ELEMENTS, reference.key_of(seed), dtype).tobytes()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-7), ("float64", 8e-16)])
def test_normals(isa: str, dtype: str, tolerance: float) -> None:
    """To their own last digits: near zero, where the cosine vanishes or the radius, too."""
    elements = np.arange(2**18)
    got = fi.normal(len(elements), seed=3, dtype=dtype).astype(np.float64)
    np.testing.assert_allclose(got, reference.normals(elements, reference.key_of(3), dtype), rtol=tolerance)


@pytest.mark.parametrize(("a", "b"), [
    (-2, 2), (-3.5, 3.5), (-0.5, 3), (0.25, 1), (-1, np.inf), (5, 6), (3, 3.25), (-9, -8), (0, 8),
])  # fmt: skip
@pytest.mark.parametrize(("dtype", "relative", "absolute"), [("float32", 4e-7, 1e-7), ("float64", 1e-14, 1e-15)])
def test_truncated(isa: str, a: float, b: float, dtype: str, relative: float, absolute: float) -> None:
    got = fi.truncated_normal(len(ELEMENTS), lower=a, upper=b, seed=3, dtype=dtype).astype(np.float64)
    want = reference.truncated(ELEMENTS, reference.key_of(3), a, b, dtype)
    # Absolute: around 0, probabilities are known to the last digit of 1/2.
    np.testing.assert_allclose(got, want, rtol=relative, atol=absolute)
    assert got.min() >= a
    assert got.max() <= b


def test_precisions_agree() -> None:
    for name in ("normal", "uniform", "truncated_normal"):
        wide, narrow = (getattr(fi, name)(100_000, seed=1, dtype=d) for d in ("float64", "float32"))
        assert np.abs(wide - narrow).max() < 4e-6
        assert np.median(np.abs(wide - narrow)) < 1e-7


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("std", [1e-9, 1e-4, 1e-2, 1.0, 100.0, 1e4, 1e30])
def test_narrow_types_are_float32_rounded_once(isa: str, dtype: str, std: float) -> None:
    narrow = fi.normal(50_000, std=std, seed=2, dtype=dtype)
    wide = fi.normal(50_000, std=std, seed=2)
    with np.errstate(over="ignore", invalid="ignore"):
        want = wide.astype(narrow.dtype)
    bits = f"u{narrow.itemsize}"
    assert (narrow.view(bits) == want.view(bits)).all()


def test_excluded_bound_is_never_returned(isa: str) -> None:
    for low, high in [(1.0, np.nextafter(np.float32(1), np.float32(2))), (1e8, 1e8 + 16), (-1.0, 1.0)]:
        x = fi.uniform(100_000, float(low), float(high), seed=0)
        assert x.min() >= np.float32(low)
        assert x.max() < np.float32(high)
    assert (fi.uniform(10, 2.5, 2.5) == 2.5).all()


@pytest.mark.parametrize(("dtype", "widths"), [
    ("float32", (1e-30, 1e-36, 3e-38, 1e-38)), ("float64", (1e-290, 1e-300, 1e-306, 1e-310)),
])  # fmt: skip
def test_short_intervals_keep_their_steps(isa: str, dtype: str, widths: tuple[float, ...]) -> None:
    u = fi.uniform(10_000, seed=2, dtype=dtype)
    kind = u.dtype.type
    for width in widths:
        x = fi.uniform(10_000, 0.0, width, seed=2, dtype=dtype)
        assert x.tobytes() == (u * kind(width)).tobytes()
        assert x.max() < kind(width)


HALF_ULP = 6e-8  # of float32, which is rounded once where float64 computes


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", HALF_ULP), ("float64", 5e-13)])
@pytest.mark.parametrize("std", [1e6, 1e12, 1e16, 1e24, 1e36])
def test_flat_windows_are_uniform(isa: str, std: float, dtype: str, tolerance: float) -> None:
    u, _ = reference.fractions(ELEMENTS, reference.key_of(3), dtype)
    x = fi.truncated_normal(len(ELEMENTS), 0.5, std, 1.0, 3.0, bounds="absolute", seed=3, dtype=dtype)
    np.testing.assert_allclose(x, 1.0 + 2.0 * u, rtol=tolerance)


Quantile = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Windows far from the mean, whose law is all but an exponential or a uniform one: the quantile of u, v = 1 - u.
DISTANT: dict[tuple[float, ...], Quantile] = {
    (1e8, 1.0, -np.inf, 0.0): lambda u, v: np.log(u) / 1e8,
    (-1e8, 1.0, 0.0, np.inf): lambda u, v: -np.log(v) / 1e8,
    (1e16, 1e8, 0.0, 1.0): lambda u, v: np.log1p(u * np.expm1(1.0)),
    (1e16, 1e13, -1.0, 1.0): lambda u, v: u - v,
    (1.0, 1.0, 0.0, 1e-10): lambda u, v: u * 1e-10,
    (1e3, 1e6, 0.0, 1e-6): lambda u, v: u * 1e-6,
}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", HALF_ULP), ("float64", 2e-12)])
@pytest.mark.parametrize(("window", "quantile"), DISTANT.items(), ids=map(str, DISTANT))
def test_windows_keep_their_digits_beside_a_distant_mean(
    isa: str, window: tuple[float, ...], quantile: Quantile, dtype: str, tolerance: float
) -> None:
    want = quantile(*reference.fractions(ELEMENTS, reference.key_of(3), dtype))
    x = fi.truncated_normal(len(ELEMENTS), *window, bounds="absolute", seed=3, dtype=dtype)
    np.testing.assert_allclose(x, want, rtol=tolerance, atol=1e-14 * np.ptp(want))


@pytest.mark.parametrize("std", [1e-3, 1e-100, 1e-300, 1e-310, 5e-324])
def test_windows_beyond_all_sigmas_pile_up_at_the_bound(isa: str, std: float) -> None:
    for lower, upper, bound in ((1.0, 2.0, 1.0), (1.0, np.inf, 1.0), (-2.0, -1.0, -1.0), (-np.inf, -1.0, -1.0)):
        x = fi.truncated_normal(100, 0.0, std, lower, upper, bounds="absolute", seed=3, dtype="float64")
        np.testing.assert_allclose(x, bound, rtol=1e-4)
