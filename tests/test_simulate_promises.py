"""What the simulation promises beside its numbers: bits, names, narrow types, memory, Ctrl-C."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from processes import added_memory, run
from records import ACTIVATIONS

import fastinit as fi
from fastinit import _core
from fastinit import propagation as P

EVERY = [
    P.Conv(16, 3, image=(7, 5), fan_in=3, bias_std=0.1), P.BatchNorm(), P.Activation("relu"), P.Pool(2, "max"),
    P.Conv(32, 2, groups=4), P.Activation("gelu"), P.Dense(96), P.LayerNorm(),
    P.Residual([P.Dense(96, "orthogonal"), P.Activation("tanh"), P.Dropout(0.2)], scale=0.7),
    P.Gated(80), P.RMSNorm(), P.Dense(72, "truncated_normal", std=0.1), P.Activation("silu"), P.Pool(2),
]  # fmt: skip


def text(measured: P.Measured) -> str:
    """All numbers but the singular values, which NumPy finds."""
    return json.dumps({k: v for k, v in measured.to_dict().items() if k in ("layers", "batch", "dtype")})


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_threads_and_isas(dtype: str) -> None:
    found = set()
    for isa in fi.available_isas():
        _core.set_isa(isa)
        for threads in (1, 2, 5):
            measured = P.simulate(EVERY, 130, repeats=1, dtype=dtype, jacobian=False, num_threads=threads)
            found.add(text(measured))
    assert len(found) == 1
    assert all(row.nonfinite.value == 0.0 for row in measured.layers)


def test_overflow_on_every_isa(isa: str) -> None:
    layers = [P.Dense(64, "normal", std=2.5e4), P.Activation("relu"), P.Dense(64), P.Activation("relu")]
    got = P.simulate(layers, 64, repeats=1, dtype="float16", jacobian=False)
    assert [row.nonfinite.value for row in got.layers] == [0.84716796875, 0.475341796875, 1.0, 1.0]


def test_every_activation_on_every_isa(isa: str) -> None:
    layers: list[P.Layer] = []
    for name in ACTIVATIONS:
        layers += [P.Dense(40), P.LayerNorm(), P.Activation(name)]
    got = text(P.simulate(layers, 30, repeats=1, jacobian=False, num_threads=2))
    _core.set_isa(fi.available_isas()[0])
    assert got == text(P.simulate(layers, 30, repeats=1, jacobian=False, num_threads=1))


@pytest.mark.parametrize(
    ("init", "kwargs"),
    [("he_normal", {}), ("uniform", {"low": -0.1, "high": 0.1}), ("xavier_uniform", {"gain": 2.0}),
     ("truncated_normal", {"std": 0.05, "lower": -1.0}), ("sparse", {"sparsity": 0.5, "std": 0.2}),
     ("orthogonal", {"gain": 1.4}), ("identity", {}), ("zeros", {}), ("constant", {"value": 0.02})],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_by_name_are_those_of_the_initializer(init: str, kwargs: dict[str, Any], dtype: str) -> None:
    shape = (70, 90)
    by_name = P.simulate([P.Dense(90, init, fan_in=70, **kwargs), P.Activation("tanh")], 40, seed=3, repeats=1,
                         dtype=dtype)  # fmt: skip
    key = fi.Key(3).fold_in("0: Dense(90)")
    array = getattr(fi, init)(shape, seed=key, dtype=dtype, **kwargs)
    for given in (array, array.astype(np.float64)):
        by_array = P.simulate([P.Dense(weight=given), P.Activation("tanh")], 40, seed=3, repeats=1, dtype=dtype)
        assert text(by_array) == text(by_name)
    turned = P.simulate([P.Dense(weight=np.ascontiguousarray(array.T), layout="oi"), P.Activation("tanh")], 40, seed=3,
                        repeats=1, dtype=dtype)  # fmt: skip
    assert text(turned) == text(by_name)


def test_convolutions_by_name_are_those_of_the_initializer() -> None:
    for init, groups in (("he_uniform", 2), ("dirac", 1), ("delta_orthogonal", 1)):
        extra = {"groups": groups} if groups > 1 else {}
        array = getattr(fi, init)((3, 3, 8 // groups, 8), seed=fi.Key(0).fold_in("0: Conv(8)"), **extra)
        by_name = P.simulate([P.Conv(8, 3, init, image=6, groups=groups, fan_in=8)], 5, repeats=1, jacobian=False)
        by_array = P.simulate([P.Conv(weight=array, image=6, groups=groups)], 5, repeats=1, jacobian=False)
        assert text(by_name) == text(by_array), init


def test_arguments_stay_as_they_are() -> None:
    batch = fi.normal((20, 30), seed=1)
    weight = fi.normal((30, 30), seed=2)
    before = batch.tobytes(), weight.tobytes()
    P.simulate([P.Dense(weight=weight), P.Activation("relu")], batch, dtype="float16")
    assert (batch.tobytes(), weight.tobytes()) == before


def test_float16_overflows() -> None:
    # 64 inputs of 1 and weights of 2: 128, 16384, then 2097152 is beyond 65504
    layers = [P.Dense(64, "constant", value=2.0)] * 3
    ones = np.ones((4, 64))
    rows = P.simulate(layers, ones, repeats=1, dtype="float16").layers
    assert [r.nonfinite.value for r in rows] == [0.0, 0.0, 1.0]
    assert [r.second.value for r in rows[:2]] == [128.0**2, 16384.0**2]
    for dtype in ("float32", "bfloat16"):
        rows = P.simulate(layers, ones, repeats=1, dtype=dtype).layers
        assert [r.nonfinite.value for r in rows] == [0.0, 0.0, 0.0]
        assert rows[2].second.value == 2097152.0**2
    # and partly: the fraction beyond 65504 of a normal law
    wide = P.simulate([P.Dense(400, "normal", std=2000.0)], 200, repeats=4, dtype="float16", jacobian=False).layers[0]
    want = P.propagate([P.Dense(400, "normal", std=2000.0)], dtype="float16").layers[0].overflow["float16"]
    assert wide.nonfinite.value == pytest.approx(want, abs=4 * wide.nonfinite.error + 0.005)
    assert 0.05 < want < 0.2


def test_float16_underflows() -> None:
    # 1 / 64^k: 64^-4 = 2^-24 is the smallest, the next is rounded to 0
    layers = [P.Dense(64, "constant", value=2.0**-12)] * 5
    rows = P.simulate(layers, np.ones((4, 64)), repeats=1, dtype="float16").layers
    assert [r.zero.value for r in rows] == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert [r.second.value for r in rows[:4]] == [2.0 ** (-12 * k) for k in (1, 2, 3, 4)]
    assert rows[0].gradient_zero.value > 0.5 and rows[4].gradient_zero.value == 0.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rounding_is_that_of_the_dtype(dtype: str) -> None:
    # A diagonal matrix multiplies without a sum: every result is one rounding of an exact product.
    kind = np.dtype(getattr(ml_dtypes, dtype) if dtype == "bfloat16" else dtype)
    words = np.random.default_rng(0).integers(0, 2**32, (64, 4096), dtype=np.uint32)
    x = words.view(np.float32)
    x = np.where(np.isfinite(x), x, np.float32(1.0))
    x[0, :8] = [65519.996, 65520.0, 2.0**-25, 2.0**-25 * 1.0000001, 2.0**-14, 1 + 2.0**-11, 3.3961775e38, -0.0]
    with np.errstate(over="ignore"):
        rounded = x.astype(kind).astype(np.float32)
    row = P.simulate([P.Activation("linear"), P.Dense(1, "zeros", fan_in=4096)], x, repeats=1, dtype=dtype,
                     jacobian=False).layers[0]  # fmt: skip
    finite = np.isfinite(rounded)
    assert row.nonfinite.value == 1.0 - finite.mean()
    assert row.zero.value == (rounded == 0).mean()
    used = rounded[finite].astype(np.float64)
    assert row.second.value == pytest.approx((used**2).mean(), rel=1e-12)
    assert row.mean.value == pytest.approx(used.mean(), rel=1e-9, abs=1e-12 * np.abs(used).max())


def test_what_is_not_finite_goes_on() -> None:
    layers = [P.Dense(32, "normal", std=1e30)] * 3 + [P.Activation("relu"), P.LayerNorm(), P.Dense(16)]
    with np.errstate(all="raise"):
        measured = P.simulate(layers, 10)
    assert measured.layers[1].nonfinite.value > 0.9
    assert measured.layers[-1].nonfinite.value > 0.9
    assert np.isnan(measured.jacobian_mean.value) and measured.singular_values is None


def test_dead_layers() -> None:
    rows = P.simulate([P.Dense(50, "zeros"), P.Activation("relu"), P.Dense(20)], 10).layers
    assert [r.zero.value for r in rows] == [1.0, 1.0, 1.0]
    assert rows[1].dead.value == rows[1].saturated.value == 1.0
    assert rows[0].gradient.value == 0.0 and rows[2].weight_gradient.value == 0.0
    # Biases far below zero switch all units off, for every input.
    rows = P.simulate([P.Dense(weight=np.eye(30), bias=np.full(30, -50.0)), P.Activation("relu")], 10).layers
    assert rows[1].dead.value == 1.0


def test_progress_rises_to_one() -> None:
    seen: list[float] = []
    P.simulate([P.Dense(512), P.Activation("mish")] * 20, 256, repeats=2, jacobian=False, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0 and 0.0 < seen[0] <= 1.0


def test_an_error_in_progress_stops() -> None:
    def stop(done: float) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        P.simulate([P.Dense(512), P.Activation("mish")] * 40, 512, progress=stop)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_ctrl_c() -> None:
    code = """
        import os, signal, sys, threading, time
        from fastinit.propagation import Activation, Dense, simulate
        signal.signal(signal.SIGINT, signal.default_int_handler)
        simulate([Dense(8)], 4)
        def press():
            global pressed
            time.sleep(0.5)
            pressed = time.perf_counter()
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=press, daemon=True).start()
        try:
            simulate([Dense(2048), Activation("gelu")] * 500, repeats=1000, jacobian=False)
        except KeyboardInterrupt:
            late = time.perf_counter() - pressed
            print("late", late)
            sys.exit(0 if late < 0.2 else 3)
        sys.exit(4)
    """
    done = run(code)
    assert done.returncode == 0, (done.stdout, done.stderr)


def peak_megabytes(depth: int, width: int, batch: int) -> float:
    """Of a process that simulates, above what it had before."""
    warm = "import fastinit.propagation as P; P.simulate([P.Dense(64), P.Activation('relu')], 8)"
    layers = f"[P.Dense({width}), P.Activation('relu')] * {depth}"
    return added_memory(warm, f"P.simulate({layers}, {batch}, repeats=1, jacobian=False)") / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory() -> None:
    # The weights alone would take 400 MB, all activations 60 MB.
    assert peak_megabytes(depth=25, width=2048, batch=150) < 100


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_large_network() -> None:
    # The weights alone would take 6.7 GB.
    assert peak_megabytes(depth=100, width=4096, batch=256) < 200


def test_weight_gradients_that_are_not_finite_are_none() -> None:
    layers = [P.Dense(512, "normal", std=1.0), P.Activation("relu")] * 5
    rows = P.simulate(layers, 16, dtype="float16", repeats=2, seed=2).layers
    assert rows[0].gradient_nonfinite.value == 1.0
    assert [row.weight_gradient for row in rows] == [None] * 10
