"""Units whose slope is 0 for all inputs, and at all places of an image."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastinit.propagation import Activation, Conv, Dense, propagate
from fastinit.propagation._signal import fraction_always

A, D = Activation, Dense


def test_dead_units() -> None:
    z = np.random.default_rng(0).standard_normal((200_000, 1))
    c, k = 0.9, 16
    h = math.sqrt(c) * z + math.sqrt(1 - c) * np.random.default_rng(1).standard_normal((200_000, k))
    want = (h <= 0).all(1).mean()
    r = propagate([D(64), A("relu")], input_var=0.1, input_mean=math.sqrt(0.9), batch=k)
    assert r.layers[1].dead == pytest.approx(want, abs=0.004)
    assert (r.layers[1].zero, r.layers[1].saturated) == (0.5, 0.5)
    assert propagate([D(64, "normal", std=2.0, fan_in=64), A("hardtanh")]).layers[1].saturated == pytest.approx(
        math.erfc(1 / math.sqrt(2 * 256)))  # fmt: skip


def test_dead_channels() -> None:
    """Of images alike by 0.5, and their places by 0.9 within one: a channel is dead where it is so at all places."""
    rng = np.random.default_rng(0)
    shared, image, place = (rng.standard_normal((40_000, *shape)) for shape in ((1, 1), (4, 1), (4, 9)))
    h = math.sqrt(0.5) * shared + math.sqrt(0.4) * image + math.sqrt(0.1) * place
    want = (h <= 0).all((1, 2)).mean()
    assert fraction_always(((-math.inf, 0.0),), 0.0, 1.0, 0.5, 4, 0.1, 9) == pytest.approx(want, abs=0.004)
    stack = [Conv(32, 3, image=16, fan_in=3), A("relu"), *[Conv(32, 3), A("relu")] * 11]
    assert propagate(stack, batch=16).dead < 0.01  # padding keeps places from becoming alike
    alike = np.broadcast_to(np.random.default_rng(1).standard_normal((2, 1, 1, 64)), (2, 8, 8, 64))
    kernels = [Conv(512, 3, fan_in=64, image=8, padding="valid"), A("relu"), Conv(512, 3, padding="valid"), A("relu")]
    constant = propagate(kernels, batch=alike)  # two images, each the same at all places
    assert [constant.layers[k].dead for k in (1, 3)] == [pytest.approx(0.25, abs=0.01), pytest.approx(0.29, abs=0.02)]
    unknown = propagate([Conv(32, 3, fan_in=3), A("relu")]).layers[1]
    assert unknown.dead is None and unknown.zero == 0.5
    assert "dead units            -\n" in propagate([Conv(32, 3, fan_in=3), A("relu")]).table()
