"""Fans: against the formulas of other libraries, and under every way to name the axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastinit as fi

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


def torch_fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """torch.nn.init._calculate_fan_in_and_fan_out."""
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def jax_fans(
    shape: tuple[int, ...], in_axis: tuple[int, ...], out_axis: tuple[int, ...], batch_axis: tuple[int, ...]
) -> tuple[int, int]:
    """jax.nn.initializers: the receptive field is what the named axes leave."""
    n_in, n_out, batch = (math.prod(shape[i] for i in axes) for axes in (in_axis, out_axis, batch_axis))
    field = math.prod(shape) // (n_in * n_out * batch)
    return n_in * field, n_out * field


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5).map(tuple))
def test_fans_are_torchs(shape: tuple[int, ...]) -> None:
    layout = "oidhw"[: len(shape)]
    assert fi.compute_fans(shape, layout=layout) == torch_fans(shape)


@given(st.data())
def test_fans_are_jaxs(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=2, max_size=6).map(tuple))
    roles = data.draw(st.lists(st.sampled_from("iobx"), min_size=len(shape), max_size=len(shape)))
    roles[0], roles[-1] = "i", "o"
    axes = [tuple(i for i, r in enumerate(roles) if r == role) for role in "iob"]
    signed = [tuple(a - len(shape) if data.draw(st.booleans()) else a for a in group) for group in axes]
    got = fi.compute_fans(shape, in_axis=signed[0], out_axis=list(signed[1]), batch_axis=signed[2])
    assert got == jax_fans(shape, *axes)


@given(st.data())
def test_layout_letters_go_with_their_axes(data: st.DataObject) -> None:
    letters = data.draw(st.sampled_from(["io", "hio", "hwio", "dhwio", "bio", "bhwio"]))
    sizes = {c: data.draw(st.integers(1, 8)) for c in letters}
    order = "".join(data.draw(st.permutations(letters)))
    want = fi.compute_fans([sizes[c] for c in letters], layout=letters)
    assert fi.compute_fans([sizes[c] for c in order], layout=order) == want


def test_blocks_are_separate_weights() -> None:
    for mode in ("fan_in", "fan_out", "fan_avg", "fan_geo_avg"):
        std = fi.variance_scaling((64, 96), mode=mode, blocks=3, seed=0, dtype="float64")
        one = fi.variance_scaling((64, 32), mode=mode, seed=0, dtype="float64")
        ratio = np.abs(std).max() / np.abs(fi.normal((64, 96), seed=0, dtype="float64")).max()
        single = np.abs(one).max() / np.abs(fi.normal((64, 32), seed=0, dtype="float64")).max()
        assert abs(ratio / single - 1) < 1e-12


def test_fans_come_from_the_global_shape() -> None:
    whole = fi.he_normal((512, 256), seed=0)
    for rank in range(4):
        rows = slice(128 * rank, 128 * (rank + 1))
        assert (fi.he_normal((512, 256), seed=0, shard=rows) == whole[rows]).all()


@pytest.mark.parametrize("fan", [0.25, 0.5, 3, 2.5, np.float32(8)])
def test_explicit_fans_are_taken_as_given(fan: float) -> None:
    x = fi.lecun_normal(100_000, fan_in=fan, seed=0, dtype="float64")
    assert abs(x.var() * float(fan) - 1) < 0.02
    want = fi.normal(100_000, 0.0, math.sqrt(1 / float(fan)), seed=0, dtype="float64")
    assert x.tobytes() == want.tobytes()


def test_sequences_may_be_arrays() -> None:
    assert fi.compute_fans((3, 4, 5), in_axis=np.array([0, 1]), out_axis=np.int64(2)) == (12, 5)
    assert fi.compute_fans((4, 6), blocks=np.array([2, 4])) == (4, (2, 4))


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg", "fan_geo_avg"])
def test_absurd_fans_are_no_accident(mode: str) -> None:
    for fan in (1e200, 1.7e308, 10**300):
        assert (fi.variance_scaling((3, 4), mode=mode, fan_in=fan, fan_out=fan) == 0).all()
    with pytest.raises(ValueError, match=r"the standard deviation must be finite in float32, got 1\.00000.*e[+]160"):
        fi.variance_scaling((3, 4), mode=mode, fan_in=1e-320, fan_out=1e-320)


@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated_normal"])
@pytest.mark.parametrize(("scale", "fan", "std"), [(1e-200, 1e200, 1e-200), (1e300, 1e-300, 1e300), (1.0, 1e-300, 1e150)])
def test_quotients_that_leave_the_range(distribution: str, scale: float, fan: float, std: float) -> None:
    options: dict[str, Any] = {"distribution": distribution, "dtype": "float64", "seed": 0}
    want = fi.variance_scaling((30, 40), fan_in=1, **options)
    np.testing.assert_allclose(fi.variance_scaling((30, 40), scale, fan_in=fan, **options) / std, want, rtol=1e-14)


def test_groups_are_checked_beside_explicit_fans() -> None:
    with pytest.raises(ValueError, match="groups must divide the out axis: 3 does not divide 4"):
        fi.compute_fans((4, 4), fan_in=2, fan_out=2, groups=3)
    with pytest.raises(TypeError, match="groups must be an int, got 'x'"):
        fi.compute_fans((4, 4), fan_in=2, fan_out=2, groups="x")


def test_axes_may_be_named_for_one_dimension_only_with_fans() -> None:
    assert fi.compute_fans((), fan_in=2, fan_out=3) == (2, 3)
    assert fi.he_normal((5,), fan_in=5).shape == (5,)
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        fi.xavier_normal((5,), fan_in=5)


@pytest.mark.parametrize(("axis", "error"), [("x", TypeError), (9, ValueError), (1, ValueError)])
def test_batch_axis_is_checked_beside_explicit_fans(axis: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="batch_axis"):
        fi.variance_scaling((3, 4), fan_in=2, batch_axis=axis)  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["oihw", "OIHW"])
def test_layouts_in_either_case(layout: str) -> None:
    assert fi.compute_fans((64, 32, 3, 3), layout=layout) == (288, 576)
    assert fi.he_normal((4, 3, 2, 2), layout=layout, seed=0).std() > 0.0
