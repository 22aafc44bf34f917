"""Laws and variances of the initializers; gains."""

from __future__ import annotations

import math

import numpy as np
import pytest
from records import DTYPES, RECORDS, SCALED, Record
from scipy import stats

import fastinit as fi


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.id)
@pytest.mark.parametrize("dtype", DTYPES)
def test_shape_and_dtype(record: Record, dtype: str) -> None:
    for shape in record.shapes:
        x = record(shape, dtype=dtype, seed=0)
        assert x.shape == shape
        assert x.dtype.name == dtype
        assert x.flags.c_contiguous


def test_default_is_float32() -> None:
    assert fi.normal(3).dtype == np.float32
    assert fi.normal(out=np.empty(3, np.float16)).dtype == np.float16


@pytest.mark.parametrize("record", SCALED, ids=lambda r: r.id)
@pytest.mark.parametrize("shape", [(400, 250), (3, 3, 64, 128)], ids=str)
def test_variance_and_law(isa: str, record: Record, shape: tuple[int, ...]) -> None:
    fan_in, fan_out = fi.compute_fans(shape)
    want = record.variance(fan_in, fan_out)
    x = record(shape, seed=8, dtype="float64").ravel()
    centered = x - (record.kwargs.get("mean", 0) or (record.name == "uniform") * 1.0)
    kurtosis = {"normal": 3.0, "uniform": 1.8, "truncated_normal": 2.37}[record.law]
    error = want * math.sqrt((kurtosis - 1) / x.size)
    assert abs((centered**2).mean() - want) < 5 * error
    assert abs(centered.mean()) < 5 * math.sqrt(want / x.size)
    s = math.sqrt(want)
    law = {
        "normal": stats.norm(0, s),
        "uniform": stats.uniform(-s * 3**0.5, 2 * s * 3**0.5),
        "truncated_normal": stats.truncnorm(-2, 2, scale=s / stats.truncnorm(-2, 2).std()),
    }[record.law]
    assert stats.kstest(centered, law.cdf).pvalue > 1e-4 / len(SCALED)


@pytest.mark.parametrize("window", [(-2, 2), (-0.5, 3), (1, np.inf), (3, 3.5), (7, 9), (-np.inf, -20)], ids=str)
def test_correct_std(window: tuple[float, float]) -> None:
    x = fi.truncated_normal(200_000, 0.0, 0.3, *window, correct_std=True, seed=1, dtype="float64")
    assert abs(x.std() / 0.3 - 1) < 0.03


def test_absolute_bounds_and_std() -> None:
    x = fi.truncated_normal(200_000, 0.1, 0.5, -1, 1, bounds="absolute", correct_std=True, seed=1)
    assert x.min() >= -1
    assert x.max() <= 1
    assert abs(x.std() - 0.5) < 0.005
    with pytest.raises(ValueError, match=r"std 0\.6 cannot be reached within"):
        fi.truncated_normal(3, 0.0, 0.6, -1, 1, bounds="absolute", correct_std=True)


def test_no_atoms_at_the_bounds() -> None:
    x = fi.truncated_normal(2_000_000, seed=0)
    assert (np.abs(x) == 2).sum() <= 2


def test_narrow_windows_in_float64() -> None:
    """Narrower than the last digits of a probability: level, so without atoms at the bounds either."""
    for lower, width in ((0.002, 1e-14), (0.3, 1e-14), (-3.0, 2e-9), (6.0, 1e-12)):
        x = fi.truncated_normal(100_000, lower=lower, upper=lower + width, dtype="float64", seed=11)
        width = lower + width - lower
        assert x.min() >= lower and x.max() <= lower + width
        for bound in (lower, lower + width):
            assert (x == bound).mean() < 5e-4 + np.spacing(lower) / width
        assert abs(((x - lower) / width).mean() - 0.5) < 0.01 and abs((x - lower).std() / width - 12**-0.5) < 0.01


@pytest.mark.parametrize("gain", [1e-170, 1e-162, 1e200])
def test_gains_whose_squares_leave_the_range(gain: float) -> None:
    for make in (fi.xavier_normal, fi.xavier_uniform, fi.he_normal, fi.he_uniform):
        got = make((4, 4), gain=gain, dtype="float64", seed=0) / gain
        assert np.allclose(got, make((4, 4), gain=1.0, dtype="float64", seed=0), rtol=1e-14)


@pytest.mark.parametrize("slope", [1e100, -1e200, 1.7e308])
def test_slopes_whose_squares_leave_the_range(slope: float) -> None:
    x = fi.he_normal((4, 4), nonlinearity="leaky_relu", negative_slope=slope, dtype="float64", seed=0)
    want = fi.normal((4, 4), 0.0, 0.5**0.5, dtype="float64", seed=0)
    np.testing.assert_allclose(x * abs(slope), want, rtol=1e-14)
    assert fi.gain("leaky_relu", convention="torch", negative_slope=slope) * abs(slope) == pytest.approx(2**0.5)


def test_fans_whose_sum_leaves_the_range() -> None:
    x = fi.xavier_normal((30, 40), fan_in=1.7e308, fan_out=1.7e308, dtype="float64", seed=0)
    assert np.allclose(x * 1.7e308**0.5, fi.normal((30, 40), dtype="float64", seed=0), rtol=1e-14)


def test_blocks_of_different_size() -> None:
    shape, sizes = (50, 40), (10, 30)
    x = fi.xavier_normal(shape, blocks=sizes, seed=3)
    for part, size, begin in ((x[:, :10], 10, 0), (x[:, 10:], 30, 10)):
        std = math.sqrt(2 / (50 + size))
        want = fi.normal(shape, 0.0, std, seed=3, shard=(slice(None), slice(begin, begin + size)))
        assert (part == want).all()
    shard = (slice(5, 45, 3), slice(4, 39, 2))
    assert (fi.xavier_normal(shape, blocks=sizes, seed=3, shard=shard) == x[shard]).all()


def test_gain_of_the_activation_that_follows() -> None:
    x = fi.he_normal((300, 300), nonlinearity="gelu", seed=0)
    assert abs(x.std() * 300**0.5 / fi.gain("gelu") - 1) < 0.01
