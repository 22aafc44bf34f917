"""Every kind of layer, forward and backward, against plain NumPy with the same numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import simulate_reference as ref

import fastinit as fi
from fastinit import propagation as P
from fastinit.propagation import _simulate

KEY = fi.Key(7)


def weight(name: str, shape: tuple[int, ...], init: str = "he_normal", **kwargs: Any) -> np.ndarray:
    return getattr(fi, init)(shape, seed=KEY.fold_in(name), **kwargs)


def bias(name: str, n: int, std: float) -> np.ndarray:
    return fi.normal(n, std=std, seed=KEY.fold_in(f"{name} bias"))


def agrees(layers: Sequence[P.Layer], ops: Sequence[ref.Op], size: int, out: int, batch: int = 33) -> P.Measured:
    """Field by field, float32 against float64."""
    measured = P.simulate(layers, batch, seed=KEY, repeats=1, jacobian=min(size, out) < 500)
    x = fi.normal((batch, size), seed=KEY.fold_in("inputs"))
    g = fi.normal((batch, out), seed=KEY.fold_in("gradients"))
    rows, _ = ref.run(list(ops), x, g)
    assert {layer.name for layer in measured.layers} == set(rows)
    for layer in measured.layers:
        for field, want in rows[layer.name].items():
            got = getattr(layer, field)
            assert got is not None, (layer.name, field)
            size_of = math.sqrt(rows[layer.name]["second"]) if field in ("mean", "correlation") else 0.0
            assert got.value == pytest.approx(want, rel=2e-4, abs=2e-5 * max(1.0, size_of)), (layer.name, field)
    return measured


def jacobian(ops: Sequence[ref.Op], x: np.ndarray) -> np.ndarray:
    """By central differences in float64, rows are outputs."""

    def forward(y: np.ndarray) -> np.ndarray:
        for op in ops:
            y = op.forward(y)
        return y

    step = 1e-6 * np.eye(x.size)
    return ((forward(x + step) - forward(x - step)) / 2e-6).T


@pytest.mark.parametrize("kind", ["relu", "tanh", "gelu", "leaky_relu", "selu", "sin", "hardtanh"])
def test_dense_network(kind: str) -> None:
    layers = [P.Dense(70, "xavier_normal", bias_std=0.2), P.Activation(kind), P.Dense(50), P.Activation(kind)] * 2
    widths = [(70, 70), (70, 50), (50, 70), (70, 50)]
    ops: list[ref.Op] = []
    for i, (n, m) in enumerate(widths):
        name = f"{2 * i}: Dense({m})"
        init = "xavier_normal" if m == 70 else "he_normal"
        ops.append(ref.dense(name, weight(name, (n, m), init), bias(name, m, 0.2) if m == 70 else 0.0))
        ops.append(ref.activation(f"{2 * i + 1}: Activation({kind})", kind))
    measured = agrees(layers, ops, 70, 50)
    first = fi.normal((33, 70), seed=KEY.fold_in("inputs"))[:1].astype(np.float64)
    want = np.linalg.svd(jacobian(ops, first), compute_uv=False)
    assert measured.singular_values == pytest.approx(want, rel=1e-4, abs=1e-5)
    eigen = np.r_[want**2]
    assert measured.jacobian_mean.value == pytest.approx(eigen.mean(), rel=1e-4)
    assert measured.jacobian_variance.value == pytest.approx(eigen.var(), rel=1e-3)
    assert measured.jacobian_largest.value == pytest.approx(eigen[0], rel=1e-4)


@pytest.mark.parametrize(
    ("stride", "padding", "groups", "kernel"),
    [(1, "same", 1, (3, 3)), (2, "same", 2, (3, 3)), (1, "valid", 4, (2, 3)), ((2, 3), "same", 1, (4, 2)),
     (1, "same", 8, (5, 1))],
)  # fmt: skip
def test_convolutions(stride: Any, padding: str, groups: int, kernel: tuple[int, int]) -> None:
    image, channels = (9, 7), 8
    layers = [
        P.Conv(16, kernel, stride=stride, padding=padding, groups=groups, image=image, fan_in=channels, bias_std=0.1),
        P.Activation("tanh"),
        P.Conv(4, 3),
        P.Dense(5, fan_in=None),
    ]
    steps = stride if isinstance(stride, tuple) else (stride, stride)
    pad = tuple((k - 1) // 2 if padding == "same" else 0 for k in kernel)
    both = [k - 1 if padding == "same" else 0 for k in kernel]
    out = tuple((n + b - k) // s + 1 for n, b, k, s in zip(image, both, kernel, steps, strict=True))
    names = ["0: Conv(16)", "2: Conv(4)", "3: Dense(5)"]
    first = weight(names[0], (*kernel, channels // groups, 16), groups=groups)
    ops = [
        ref.conv(names[0], first, image, channels, steps, pad, groups, out),
        ref.activation("1: Activation(tanh)", "tanh"),
        ref.conv(names[1], weight(names[1], (3, 3, 16, 4)), out, 16, (1, 1), (1, 1), 1, out),
        ref.pool("mean", out, 4, out, "mean"),
        ref.dense(names[2], weight(names[2], (4, 5))),
    ]
    plain, shift = ops[0].forward, np.tile(bias(names[0], 16, 0.1), math.prod(out))
    ops[0].forward = lambda x: plain(x) + shift
    batch, size = 6, channels * math.prod(image)
    measured = P.simulate(layers, batch, seed=KEY, repeats=1)
    x = fi.normal((batch, size), seed=KEY.fold_in("inputs"))
    rows, _ = ref.run(ops, x, fi.normal((batch, 5), seed=KEY.fold_in("gradients")))
    for layer in measured.layers:
        for field, want in rows[layer.name].items():
            assert getattr(layer, field).value == pytest.approx(want, rel=2e-4, abs=2e-5), (layer.name, field)
    want = np.linalg.svd(jacobian(ops, x[:1].astype(np.float64)), compute_uv=False)
    assert measured.singular_values == pytest.approx(want, rel=1e-3, abs=1e-6)


def test_a_line_of_pixels() -> None:
    layers = [P.Conv(6, (3,), image=20, fan_in=4), P.Pool(2, "max"), P.Dense(3, fan_in=60)]
    names = [f"{i}: {n}" for i, n in enumerate(("Conv(6)", "Pool", "Dense(3)"))]
    ops = [
        ref.conv(names[0], weight(names[0], (3, 4, 6)).reshape(1, 3, 4, 6), (1, 20), 4, (1, 1), (0, 1), 1, (1, 20)),
        ref.pool(names[1], (1, 20), 6, (1, 2), "max"),
        ref.dense(names[2], weight(names[2], (60, 3))),
    ]
    agrees(layers, ops, 80, 3)


def unrolled(w: np.ndarray, image: tuple[int, ...], stride: tuple[int, ...], out: tuple[int, ...]) -> np.ndarray:
    """A convolution with "same" padding as a matrix, tap by tap."""
    *kernel, n, m = w.shape
    matrix = np.zeros((*image, n, *out, m))
    for place in np.ndindex(out):
        for tap in np.ndindex(tuple(kernel)):
            at = tuple(p * s + t - (k - 1) // 2 for p, s, t, k in zip(place, stride, tap, kernel, strict=True))
            if all(0 <= a < size for a, size in zip(at, image, strict=True)):
                matrix[(*at, slice(None), *place, slice(None))] += w[tap]
    return matrix.reshape(n * math.prod(image), m * math.prod(out))


def test_volumes() -> None:
    image, stride, out = (5, 4, 6), (1, 2, 1), (5, 2, 6)
    layers = [P.Conv(4, (3, 2, 3), image=image, stride=stride, fan_in=2), P.Activation("tanh"), P.Conv(3, (1, 3, 2)),
              P.Pool(2, "max"), P.Dense(5, fan_in=18)]  # fmt: skip
    names = ["0: Conv(4)", "1: Activation(tanh)", "2: Conv(3)", "3: Pool", "4: Dense(5)"]
    one, two = weight(names[0], (3, 2, 3, 2, 4)), weight(names[2], (1, 3, 2, 4, 3))
    plain = [
        ref.dense(names[0], unrolled(one, image, stride, out)), ref.activation(names[1], "tanh"),
        ref.dense(names[2], unrolled(two, out, (1, 1, 1), out)),
    ]  # fmt: skip
    batch = 7
    measured = P.simulate(layers, batch, seed=KEY, repeats=1)
    x = fi.normal((batch, 2 * math.prod(image)), seed=KEY.fold_in("inputs"))
    h = x.astype(np.float64)
    for op, layer in zip(plain, measured.layers, strict=False):
        h = op.forward(h)
        assert layer.second.value == pytest.approx((h * h).mean(), rel=1e-4)

    def pool(y: np.ndarray) -> np.ndarray:
        y = y.reshape(len(y), *out, 3)[:, :4]
        return y.reshape(len(y), 2, 2, 1, 2, 3, 2, 3).max((2, 4, 6)).reshape(len(y), -1)

    pooled = pool(h)
    last = weight(names[4], (18, 5)).astype(np.float64)
    assert measured.layers[3].second.value == pytest.approx((pooled**2).mean(), rel=1e-4)
    assert measured.layers[4].second.value == pytest.approx(((pooled @ last) ** 2).mean(), rel=1e-4)
    # backward: as forward, by the Jacobian of the first input
    first = x[:1].astype(np.float64)

    def forward(y: np.ndarray) -> np.ndarray:
        for op in plain:
            y = op.forward(y)
        return pool(y) @ last

    step = 1e-6 * np.eye(first.size)
    want = np.linalg.svd((forward(first + step) - forward(first - step)) / 2e-6, compute_uv=False)
    assert measured.singular_values == pytest.approx(want, rel=1e-3, abs=1e-5)


def test_norms_pools_and_blocks() -> None:
    d = "Dense(64)"
    layers = [
        P.Dense(64), P.LayerNorm(), P.Activation("gelu"), P.Dense(64), P.BatchNorm(), P.Activation("relu"),
        P.Residual([P.Dense(64), P.RMSNorm(), P.Residual([P.Activation("tanh"), P.Dense(64)], scale=0.3)],
                   scale=0.5, skip=0.9),
        P.Dropout(0.3), P.Gated(40, 48), P.Pool(4, "max"), P.Pool(3),
    ]  # fmt: skip
    batch = 33
    mask = fi.uniform((batch, 64), seed=KEY.fold_in("7: Dropout")) < np.float32(0.7)
    g = "8: Gated(48)"
    gates = [weight(f"{g} {part}", shape, "lecun_normal")
             for part, shape in (("gate", (64, 40)), ("up", (64, 40)), ("down", (40, 48)))]  # fmt: skip
    inner = ref.residual("6.2: Residual", (
        ref.activation("6.2.0: Activation(tanh)", "tanh"), ref.dense(f"6.2.1: {d}", weight(f"6.2.1: {d}", (64, 64)))),
        1.0, 0.3)  # fmt: skip
    ops = [
        ref.dense(f"0: {d}", weight(f"0: {d}", (64, 64))),
        ref.norm("1: LayerNorm", 64, True, 1e-5),
        ref.activation("2: Activation(gelu)", "gelu"),
        ref.dense(f"3: {d}", weight(f"3: {d}", (64, 64))),
        ref.batch_norm("4: BatchNorm", 64, 1e-5),
        ref.activation("5: Activation(relu)", "relu"),
        ref.residual("6: Residual", (
            ref.dense(f"6.0: {d}", weight(f"6.0: {d}", (64, 64))), ref.norm("6.1: RMSNorm", 64, False, 1e-5), inner),
            0.9, 0.5),
        ref.dropout("7: Dropout", mask, 0.7),
        ref.gated(g, *gates, "silu"),
        ref.pool("9: Pool", (1, 48), 1, (1, 4), "max"),
        ref.pool("10: Pool", (1, 12), 1, (1, 3), "mean"),
    ]  # fmt: skip
    measured = agrees(layers, ops, 64, 4)
    # At one input: the batch's statistics and the first row's mask stay as they are.
    x = fi.normal((batch, 64), seed=KEY.fold_in("inputs")).astype(np.float64)
    pre = ops[0].forward(x)
    for op in ops[1:4]:
        pre = op.forward(pre)
    mean, std = pre.mean(0), np.sqrt(pre.var(0) + 1e-5)
    ops[4].forward = lambda y: (y - mean) / std
    ops[7] = ref.dropout("7: Dropout", mask[:1], 0.7)
    want = np.linalg.svd(jacobian(ops, x[:1]), compute_uv=False)
    assert measured.singular_values == pytest.approx(want, rel=1e-3, abs=1e-5)


def test_a_deep_network_from_checkpoints() -> None:
    # 80 x 64 x 2500 numbers: more than a trace keeps
    layers = [P.Dense(64, "orthogonal", gain=1.2), P.Activation("tanh")] * 40
    ops: list[ref.Op] = []
    for i in range(40):
        name = f"{2 * i}: Dense(64)"
        ops.append(ref.dense(name, weight(name, (64, 64), "orthogonal", gain=1.2)))
        ops.append(ref.activation(f"{2 * i + 1}: Activation(tanh)", "tanh"))
    agrees(layers, ops, 64, 64, batch=2500)


def test_narrow_to_wide_and_one_input() -> None:
    layers = [P.Dense(3, fan_in=200), P.Activation("relu"), P.Dense(300), P.Activation("relu")]
    ops = [ref.dense("0: Dense(3)", weight("0: Dense(3)", (200, 3))), ref.activation("1: Activation(relu)", "relu"),
           ref.dense("2: Dense(300)", weight("2: Dense(300)", (3, 300))),
           ref.activation("3: Activation(relu)", "relu")]  # fmt: skip
    agrees(layers, ops, 200, 300)
    lone = P.simulate(layers, 1, repeats=2, jacobian=False)
    assert all(row.correlation is None for row in lone.layers)


def test_functions_of_the_user() -> None:
    named = P.simulate([P.Dense(80), P.Activation("tanh")] * 2, 40, repeats=1)
    own = P.simulate([P.Dense(80), P.Activation(np.tanh)] * 2, 40, repeats=1)
    for a, b in zip(named.layers, own.layers, strict=True):
        assert a.second.value == pytest.approx(b.second.value, rel=1e-6)
        assert a.gradient.value == pytest.approx(b.gradient.value, rel=1e-6)

    def init(shape: tuple[int, ...], seed: fi.Key) -> np.ndarray:
        return fi.he_normal(shape, seed=seed, dtype="float64")

    made = P.simulate([P.Dense(80, init)], 40, repeats=2)
    assert made.layers[0].second.value == pytest.approx(
        P.simulate([P.Dense(80, "he_normal")], 40, repeats=2).layers[0].second.value, rel=1e-6
    )


def test_errors_of_a_users_function_come_through() -> None:
    def refuses(shape: tuple[int, ...], seed: Any, calls: list[int] = []) -> np.ndarray:  # noqa: B006
        calls.append(1)
        if len(calls) > 1:  # the first call is for the moments
            raise ValueError("no weights today")
        return np.ones(shape)

    with pytest.raises(ValueError, match="no weights today"):
        P.simulate([P.Dense(8, refuses)], 4)


def test_standard_errors() -> None:
    layers = [P.Dense(60), P.Activation("relu")] * 3
    single = [P.simulate(layers, 20, seed=k, repeats=1, jacobian=False)
              for k in (fi.Key(0), *(fi.Key(0).fold_in(i) for i in (1, 2)))]  # fmt: skip
    together = P.simulate(layers, 20, seed=0, repeats=3, jacobian=False)
    for i, row in enumerate(together.layers):
        values = np.array([s.layers[i].second.value for s in single])
        assert row.second == (values.mean(), values.std(ddof=1) / math.sqrt(3))
        assert math.isnan(single[0].layers[i].second.error)


def test_jacobian_without_a_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [P.Dense(300), P.Activation("relu")] * 6
    exact = P.simulate(layers, 8, repeats=1)
    monkeypatch.setattr(_simulate, "EXACT_WIDTH", 100)
    rough = P.simulate(layers, 8, repeats=1)
    assert rough.singular_values is None and rough.condition is None
    assert rough.jacobian_mean.value == pytest.approx(exact.jacobian_mean.value, rel=0.1)
    assert rough.jacobian_variance.value == pytest.approx(exact.jacobian_variance.value, rel=0.4)
    assert rough.jacobian_largest.value == pytest.approx(exact.jacobian_largest.value, rel=1e-3)


def test_digits() -> None:
    images = pytest.importorskip("sklearn.datasets").load_digits().images / 16.0
    flat = images.reshape(len(images), -1)
    layers = [P.Dense(128), P.Activation("relu")] * 4
    measured = P.simulate(layers, flat, repeats=8, jacobian=False)
    report = P.propagate(layers, batch=flat).with_measured(measured)
    assert measured.batch == 1797
    assert not [row.name for row in report.layers if row.outside()]
    want = flat @ fi.he_normal((64, 128), seed=fi.Key(0).fold_in("0: Dense(128)"))
    one = P.simulate(layers, flat, repeats=1, jacobian=False).layers[0]
    assert one.second.value == pytest.approx(float((want**2).mean()), rel=1e-5)
    assert one.mean.value == pytest.approx(float(want.mean()), abs=1e-6)
    convs = [P.Conv(8, 3, image=8), P.Activation("relu"), P.Pool(2), P.Dense(10, fan_in=128)]
    assert P.simulate(convs, images[..., None], repeats=1).layers[-1].nonfinite.value == 0.0


def test_dead_channels_are_dead_at_every_place() -> None:
    """A channel learns as soon as one place of one image has a slope."""
    kernel = np.zeros((1, 1, 1, 4), np.float32)
    kernel[..., 1:] = 1.0
    layers = [P.Conv(4, 1, image=(2, 3), weight=kernel, bias=np.array([-1.0, -9.0, -4.5, 0.0])), P.Activation("relu")]
    images = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)
    measured = P.simulate(layers, images, repeats=1, jacobian=False).layers[1]
    assert measured.dead.value == 0.5
    assert measured.saturated.value == pytest.approx((6 + 6 + 5 + 1) / 24)


def test_what_overflows_has_no_correlation() -> None:
    layers = [P.Dense(64, "he_normal"), P.Dense(64, "normal", std=3e3), P.Dense(64, "normal", std=3e4)]
    rows = P.simulate(layers, 16, dtype="float16", jacobian=False).layers
    assert [row.nonfinite.value for row in rows] == [0.0, pytest.approx(0.05, abs=0.04), 1.0]
    assert [np.isnan(row.correlation.value) for row in rows] == [False, True, True]


ERRORS = [
    (TypeError, "layers must be a sequence", lambda: P.simulate(P.Dense(3))),
    (ValueError, "layers must not be empty", lambda: P.simulate([])),
    (TypeError, "batch must be", lambda: P.simulate([P.Dense(3)], "many")),
    (ValueError, "batch must be at least 1, got 0", lambda: P.simulate([P.Dense(3)], 0)),
    (ValueError, r"2: Dense\(4\) takes 5 inputs, but 1: Activation\(relu\) gives 3",
     lambda: P.simulate([P.Dense(3), P.Activation("relu"), P.Dense(4, fan_in=5)])),
    (ValueError, r"takes 3 inputs, but the input gives 4", lambda: P.simulate([P.Dense(2, fan_in=3)], np.ones((5, 4)))),
    (ValueError, "batch has 1 non-finite of 4 values", lambda: P.simulate([P.Dense(2)], np.array([[1.0, 2], [np.nan, 3]]))),
    (ValueError, "batch must be finite in float32", lambda: P.simulate([P.Dense(2)], np.full((2, 2), 1e100))),
    (ValueError, "at least 1, got 0", lambda: P.simulate([P.Dense(3)], repeats=0)),
    (TypeError, "seed must be", lambda: P.simulate([P.Dense(3)], seed="x")),
    (ValueError, "dtype must be one of float32, float16, bfloat16; got 'float64'",
     lambda: P.simulate([P.Dense(3)], dtype="float64")),
    (TypeError, "dtype must be one of float32, float16, bfloat16; got 'float99'",
     lambda: P.simulate([P.Dense(3)], dtype="float99")),
    (ValueError, r"batch has images of \(9, 9\), but 0: Conv\(4\) takes \(8, 8\)",
     lambda: P.simulate([P.Conv(4, 3, image=8, fan_in=1)], np.ones((2, 9, 9, 1)))),
    (ValueError, r"0: Dense\(4\): init must return an array of shape",
     lambda: P.simulate([P.Dense(4, lambda shape, seed: np.ones(3))])),
    (ValueError, r"0: Dense\(1000000000000\) has 10{24} weights; at most 2\*\*60 can be simulated",
     lambda: P.simulate([P.Dense(10**12)], 1)),
    (ValueError, "input_var < 0", lambda: P.simulate([P.Dense(3)], input_var=-1.0)),
    (ValueError, "input_mean must be finite", lambda: P.simulate([P.Dense(3)], input_mean=math.inf)),
    (TypeError, "jacobian must be a bool", lambda: P.simulate([P.Dense(3)], jacobian=1)),
    (ValueError, "num_threads must be at least 1", lambda: P.simulate([P.Dense(3)], num_threads=0)),
    (TypeError, "progress must be a function", lambda: P.simulate([P.Dense(3)], progress=3)),
    (ValueError, r"0: Conv\(3\) needs the size of its image", lambda: P.simulate([P.Conv(3)])),
    (ValueError, "image of 4 dimensions", lambda: P.simulate([P.Conv(3, (3, 3, 3, 3), image=5)])),
    (ValueError, "weight has 2 non-finite of 6 values",
     lambda: P.simulate([P.Dense(weight=np.array([[1, np.inf, 2], [3, np.nan, 4]]))])),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "message", "call"), ERRORS, ids=[m for _, m, _ in ERRORS])
def test_errors(kind: type[Exception], message: str, call: Any) -> None:
    with pytest.raises(kind, match=message):
        call()
