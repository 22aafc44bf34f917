"""Laws and variances of the initializers; structure of the others; fans and gains."""

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


def test_blocks_of_different_size() -> None:
    shape, sizes = (50, 40), (10, 30)
    x = fi.xavier_normal(shape, blocks=sizes, seed=3)
    for part, size, begin in ((x[:, :10], 10, 0), (x[:, 10:], 30, 10)):
        std = math.sqrt(2 / (50 + size))
        want = fi.normal(shape, 0.0, std, seed=3, shard=(slice(None), slice(begin, begin + size)))
        assert (part == want).all()
    shard = (slice(5, 45, 3), slice(4, 39, 2))
    assert (fi.xavier_normal(shape, blocks=sizes, seed=3, shard=shard) == x[shard]).all()


FANS = [
    ((784, 256), {}, (784, 256)),
    ((3, 3, 16, 32), {}, (144, 288)),
    ((32, 16, 3, 3), {"layout": "oihw"}, (144, 288)),
    ((256, 784), {"layout": "oi"}, (784, 256)),
    ((8, 784, 256), {"layout": "bio"}, (784, 256)),
    ((8, 784, 256), {"batch_axis": 0}, (784, 256)),
    ((64, 1, 3, 3), {"layout": "oihw", "groups": 64}, (9, 9)),
    ((768, 2304), {"blocks": 3}, (768, 768)),
    ((4, 6), {"blocks": [2, 4]}, (4, (2, 4))),
    ((12, 4, 64, 3), {"in_axis": (1, 2), "out_axis": 0}, (768, 36)),
    ((5,), {"fan_in": 3, "fan_out": 2.5}, (3, 2.5)),
    ((0, 3), {}, (0, 3)),
]


@pytest.mark.parametrize(("shape", "kwargs", "want"), FANS, ids=str)
def test_fans(shape: tuple[int, ...], kwargs: dict, want: tuple) -> None:
    assert fi.compute_fans(shape, **kwargs) == want


def test_empty_fans_make_no_warning() -> None:
    for shape in [(0, 3), (3, 0), (0, 0)]:
        assert fi.he_normal(shape).shape == shape
        assert fi.xavier_uniform(shape).shape == shape


def test_sparse_zeroes_exactly() -> None:
    x = fi.sparse((100, 31), 0.333, std=2.0, seed=1)
    assert ((x == 0).sum(axis=0) == 34).all()
    y = fi.sparse((31, 100), 0.333, std=2.0, seed=1, layout="oi")
    assert ((y == 0).sum(axis=1) == 34).all()
    assert abs(x[x != 0].std() - 2) < 0.15
    assert (fi.sparse((5, 5), 1.0) == 0).all()
    assert (fi.sparse((5, 5), 0.0) != 0).all()
    # Which rows: all alike over many columns.
    counts = (fi.sparse((20, 20_000), 0.5, seed=2) == 0).sum(axis=1)
    assert abs(counts - 10_000).max() < 5 * math.sqrt(20_000 * 0.25)


@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_passes_its_input_through(groups: int) -> None:
    w = fi.dirac((3, 4, 8), groups=groups)
    want = np.zeros((3, 4, 8))
    for g in range(groups):
        for c in range(min(8 // groups, 4)):
            want[1, c, g * 8 // groups + c] = 1
    assert (w == want).all()
    shard = (slice(None), slice(1, 3), slice(None, None, -1))
    assert (fi.dirac((3, 4, 8), groups=groups, shard=shard) == want[shard]).all()
    torch_layout = fi.dirac((8, 4, 3), groups=groups, layout="oih")
    assert (torch_layout == want.transpose(2, 1, 0)).all()


def test_identity() -> None:
    assert (fi.identity(4) == np.eye(4)).all()
    assert (fi.eye((3, 5), gain=2.0) == 2 * np.eye(3, 5)).all()
    assert (fi.identity((6, 5), shard=(slice(4, 1, -1), slice(2, 5))) == np.eye(6, 5)[4:1:-1, 2:5]).all()


GAINS = {
    "linear": 1, "relu": 1.4142135623731, "elu": 1.24519830070071, "selu": 1, "gelu": 1.53353044119554,
    "gelu_tanh": 1.53358052166615, "silu": 1.67653247033109, "mish": 1.48684758127321,
    "softplus": 1.0418668355353, "tanh": 1.59253741972283, "sigmoid": 1.84622854533861,
    "hardtanh": 1.39203614044831, "sin": 1.52086662317881,
}  # fmt: skip


@pytest.mark.parametrize("name", GAINS)
def test_gain(name: str) -> None:
    assert abs(fi.gain(name) / GAINS[name] - 1) < 1e-12


def test_gain_conventions() -> None:
    assert abs(fi.gain("relu", convention="variance") - 1.71285855044966) < 1e-12
    assert fi.gain("tanh", convention="torch") == 5 / 3
    assert abs(fi.gain("leaky_relu", negative_slope=0.1) - 1.40719508946058) < 1e-12
    assert abs(fi.gain(np.tanh) - fi.gain("tanh")) < 1e-12
    x = fi.he_normal((300, 300), nonlinearity="gelu", seed=0)
    assert abs(x.std() * 300**0.5 / fi.gain("gelu") - 1) < 0.01
