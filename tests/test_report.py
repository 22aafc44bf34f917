"""propagate against an independent NumPy network and published facts; verdicts, tables, JSON, pictures."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from monte_carlo import measure
from networks import fifty

from fastinit.propagation import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Gated,
    LayerNorm,
    Measured,
    MeasuredLayer,
    Measurement,
    Pool,
    Report,
    Residual,
    RMSNorm,
    propagate,
    simulate,
)

N = 64
A, D = Activation, Dense
NETS: dict[str, tuple[Any, int]] = {
    "relu": ([D(N), A("relu")] * 5, N),
    "tanh orthogonal": ([D(N, "orthogonal", gain=1.5, bias_std=0.2), A("tanh")] * 5, N),
    "widths and laws": ([D(2 * N, "he_uniform", mode="fan_out", fan_in=N), A("gelu"), D(3 * N, "truncated_normal", std=0.1),
                         A("silu"), D(N // 2, "xavier_uniform"), A("elu"), D(10, "lecun_normal")], N),
    "widening orthogonal": ([D(N // 2, "orthogonal", fan_in=N), A("erf"), D(2 * N, "orthogonal", gain=2.0),
                             A("hardtanh")], N),
    "sparse and sigmoid": ([D(N, "sparse", sparsity=0.5, std=0.2), A("sigmoid"), D(N, "sparse", std=0.3)], N),
    "weights with a mean": ([D(N, "uniform", low=-0.1, high=0.15), A("tanh"), D(N, "normal", mean=0.02, std=0.1)], N),
    "LayerNorm before": ([D(N), LayerNorm(), A("relu")] * 3, N),
    "LayerNorm behind": ([D(N), A("relu"), LayerNorm()] * 3, N),
    "RMSNorm": ([D(N), A("relu"), RMSNorm()] * 3, N),
    "BatchNorm": ([D(N), BatchNorm(), A("relu")] * 3, N),
    "dropout": ([D(N, "variance_scaling", scale=1.4), A("relu"), Dropout(0.3)] * 3, N),
    "residual": ([D(N), *[Residual([A("relu"), D(N)], scale=0.5)] * 4], N),
    "residual with a mean": ([D(N), *[Residual([D(N), A("relu")], scale=0.7, skip=0.9)] * 3], N),
    "pre-norm": ([Residual([LayerNorm(), D(2 * N, "lecun_normal"), A("gelu"), D(N, "lecun_normal")])] * 4, N),
    "post-norm": ([x for _ in range(3) for x in (Residual([D(2 * N), A("relu"), D(N)]), LayerNorm())], N),
    "gated": ([D(N), *[Residual([RMSNorm(), Gated(2 * N)])] * 3], N),
    "gated with biases": ([Gated(3 * N, 2 * N, "gelu", bias_std=0.3, fan_in=N), D(N)], N),
    "mean pool": ([D(N), A("relu"), Pool(4), D(N), A("tanh")], N),
    "max pool": ([D(N), A("relu"), Pool(4, "max"), D(N), Pool(2, "max"), D(N)], N),
    "convolution": ([Conv(12, (5,), image=(16,), fan_in=8), A("relu"), Conv(12, (3,), stride=(2,), image=(16,))], 128),
    "grouped": ([Conv(8, (3,), "he_uniform", image=(16,), groups=4, padding="valid", fan_in=8)], 128),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_theory_holds_in_a_real_network(name: str) -> None:
    layers, units = NETS[name]
    batch, repeats = (256, 25) if name == "BatchNorm" else (32, 40)
    report = propagate(layers, batch=batch)
    seen = measure(layers, units, batch, repeats)
    for row in report.layers:
        got = seen[row.name.split(":")[0]]

        def close(field: str, want: float, share: float, got: Any = got, row: Any = row) -> None:
            error = got[field].std() / math.sqrt(repeats)
            assert abs(got[field].mean() - want) < 4 * error + share * abs(want), (row.name, field)

        image = "Conv" in row.name or name in ("convolution", "grouped")
        close("second", row.second, 0.02)
        close("gradient", row.gradient, 0.2 if image else 0.08)
        assert got["mean"].mean() == pytest.approx(row.mean, abs=0.05 * math.sqrt(row.second))
        assert row.correlation is not None
        assert got["cosine"].mean() == pytest.approx(row.correlation, abs=0.05)
        if image:
            continue
        # the error bar: of one network's batch mean, log-normal
        bars = (("second", row.log10_second_band), ("gradient", row.log10_gradient_band))
        for field, (low, high) in bars:
            inside = np.mean((np.log10(got[field]) > low - 1e-9) & (np.log10(got[field]) < high + 1e-9))
            if got[field].std() > 0.02 * got[field].mean():
                assert inside > 0.6, (row.name, field, inside)
                assert (high - low) * math.log(10.0) / 4 < 2.5 * np.log(got[field]).std(), (row.name, field)


def test_inputs_with_a_mean_and_given_ones() -> None:
    layers = [D(N), A("relu"), D(N)]
    report = propagate(layers, input_var=0.5, input_mean=-2.0)
    assert report.layers[0].second == pytest.approx(2 * 4.5)  # the mean counts
    assert report.layers[0].correlation == pytest.approx(4 / 4.5)
    seen = measure(layers, N, 32, 60, inputs=lambda rng, b, n: rng.normal(-2.0, math.sqrt(0.5), (b, n)))
    assert seen["2"]["second"].mean() == pytest.approx(report.layers[2].second, rel=0.08)
    x = np.random.default_rng(0).gamma(2.0, 1.0, (300, 40)).astype(np.float32)
    given = propagate([D(16), A("tanh")], batch=x)
    assert given.input_second == pytest.approx(float((x.astype(float) ** 2).mean()))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine = float(((unit @ unit.T).sum() - 300) / (300 * 299))
    assert given.input_correlation == pytest.approx(cosine, rel=1e-5)
    assert (given.batch, given.fan_in) == (300, 40)


def test_real_digits() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    x = datasets.load_digits().data[:400] / 16.0
    layers = [D(N), A("relu"), D(N), A("relu"), D(10)]
    report = propagate(layers, batch=x)
    seen = measure(layers, 64, 400, 12, inputs=lambda rng, b, n: x)
    for row in report.layers:
        got = seen[row.name.split(":")[0]]
        assert got["second"].mean() == pytest.approx(row.second, rel=0.15)
        error = got["cosine"].std() / math.sqrt(12)
        assert got["cosine"].mean() == pytest.approx(row.correlation, abs=0.03 + 4 * error)


# ---- published facts -------------------------------------------------------------------------


def test_he_relu_correlations() -> None:
    rows = [r for r in propagate([D(64), A("relu")] * 101).layers if r.sigma_w2]
    for depth, c in ((1, 0.31831), (2, 0.49373), (3, 0.60483), (5, 0.73595), (10, 0.87154), (50, 0.98786), (100, 0.99642)):
        assert rows[depth].correlation == pytest.approx(c, abs=6e-6)


@pytest.mark.parametrize(("name", "chi"), [("relu", 1.0), ("gelu", 1.0720), ("silu", 1.0666), ("tanh", 1.1778)])
def test_layer_norm_before_the_activation(name: str, chi: float) -> None:
    r = propagate([D(10**7, "lecun_normal"), LayerNorm(eps=0.0), A(name)] * 20)
    gains = [a.log10_gradient - b.log10_gradient for a, b in zip(r.layers, r.layers[3:], strict=False)]
    assert 10 ** gains[30] == pytest.approx(chi, abs=1e-4)


@pytest.mark.parametrize(("image", "depth"), [(4, 20), (8, 10), (8, 20), (32, 6)])
def test_zero_padding_over_many_layers(image: int, depth: int) -> None:
    """E x^2 and E g^2 follow the path counts of the taps, (tridiag(1, 1, 1) / 3)^depth along each axis."""
    taps = (np.eye(image) + np.eye(image, k=1) + np.eye(image, k=-1)) / 3.0
    inside = np.linalg.matrix_power(taps, depth) @ np.ones(image)
    layers = [Conv(64, 3, image=image, fan_in=64), *[A("relu"), Conv(64, 3)] * (depth - 1)]
    report = propagate(layers, batch=8)
    assert report.layers[-1].second == pytest.approx(2.0 * inside.mean() ** 2, rel=1e-9)
    back = np.linalg.matrix_power(taps, depth - 1) @ np.ones(image)
    assert report.layers[0].gradient == pytest.approx(back.mean() ** 2, rel=1e-9)


@pytest.mark.parametrize("first", [D(64, "identity"), D(weight=np.eye(64))])
def test_what_is_not_gaussian_is_marked(first: Any) -> None:
    report = propagate([first, A("relu"), first, A("relu")])
    assert report.approximate == ("3: Activation(relu)",)
    assert report.layers[2].second == pytest.approx(0.5)  # what comes in, and no common sum of a diagonal's mean
    few = propagate([D(128, "sparse", sparsity=0.985, std=1.0), A("relu")] * 2)  # one or two inputs
    assert few.approximate == ("3: Activation(relu)",)
    marked = propagate([D(64), A("relu"), Dropout(0.3), Pool(2, "max"), D(8)]).approximate
    assert marked == ("3: Pool",)
    assert propagate([D(64), A("relu"), Pool(2, "max"), Dropout(0.3), D(8)]).approximate == ()


def test_given_images_tell_their_size() -> None:
    images = np.random.default_rng(0).standard_normal((8, 6, 6, 3)).cumsum(1).astype(np.float32)
    layers = [Conv(16, 3), A("relu"), D(4)]
    told = [Conv(16, 3, image=6), *layers[1:]]
    assert propagate(layers, batch=images).to_dict() == propagate(told, batch=images).to_dict()
    assert simulate(layers, images, repeats=2) == simulate(told, images, repeats=2)


@pytest.mark.parametrize(("width", "depth", "level"), [(2, 20, "bad"), (4, 30, "bad"), (8, 100, "bad"), (64, 100, "warn")])
def test_narrow_layers(width: int, depth: int, level: str) -> None:
    """A layer of n ReLUs is off with probability 2^-n; the median gradient lies below the mean."""
    report = propagate([D(width, "he_normal"), A("relu")] * depth)
    assert report.passing == pytest.approx((1.0 - 2.0**-width) ** depth, rel=1e-9)
    assert report.level == level
    assert report.reasons[0].startswith("Narrow layers scatter it: of one input, half of all draws have a log10 ratio bel")
    assert any(r.startswith("With probability") for r in report.reasons) == (report.passing < 0.95)


@pytest.mark.parametrize("norm", [LayerNorm, BatchNorm])
def test_norm_behind_relu_multiplies_gradients(norm: Any) -> None:
    r = propagate([D(10**7, "lecun_normal"), A("relu"), norm(eps=0.0)] * 12, batch=10**7)
    gains = [a.log10_gradient - b.log10_gradient for a, b in zip(r.layers, r.layers[3:], strict=False)]
    assert 10 ** gains[20] == pytest.approx(math.pi / (math.pi - 1), rel=1e-5)


def test_pre_norm_grows_polynomially() -> None:
    block = Residual([LayerNorm(eps=0.0), D(10**7, "lecun_normal"), A("gelu"), D(10**7, "lecun_normal")])
    r = propagate([block] * 24)
    m2, slope = 1 / 3 + 0.5 / (math.pi * 3**0.5), 1 / 3 + 2 / (3 * math.pi * 3**0.5)  # E f^2 and E f'^2 of gelu at q = 1
    q = 1 + m2 * np.arange(25)
    assert r.layers[-1].second == pytest.approx(q[-1], rel=1e-6)
    assert r.layers[-1].second == pytest.approx(11.2, abs=0.05)
    assert 10**r.log10_input_gradient == pytest.approx(np.prod(1 + slope / q[:-1]), rel=1e-5)
    assert 10**r.log10_input_gradient == pytest.approx(13.2, rel=0.05)


def test_post_norm_and_skip_factors() -> None:
    r = propagate([Residual([D(10**7), A("relu"), D(10**7, "lecun_normal")]), LayerNorm(eps=0.0)])
    assert 10**r.log10_input_gradient == pytest.approx((1 + 1) / (1 + 1), rel=1e-6)  # (1 + A) / (1 + B)
    r = propagate([D(64), *[Residual([A("relu"), D(64)])] * 10])
    assert r.layers[-1].second == pytest.approx(2 * 2**10)
    r = propagate([D(64), *[Residual([A("relu"), D(64)], scale=10**-0.5)] * 10])
    assert r.layers[-1].second == pytest.approx(2 * 1.1**10)


def test_dropout_and_gates() -> None:
    r = propagate([D(64, "variance_scaling", scale=2 * 0.7), A("relu"), Dropout(0.3)] * 30)
    assert r.log10_signal_ratio == pytest.approx(0.0, abs=1e-9)  # sigma_w^2 = 2 p is critical
    silu2 = 0.3557754  # E silu(z)^2
    assert propagate([Gated(10**7)]).layers[0].second == pytest.approx(silu2, rel=1e-5)


def test_given_units_of_different_scales_are_marked() -> None:
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(256, 256)) / 16
    loud, bias = plain.copy(), np.full(256, 0.01)
    loud[:, :3] *= 100.0
    bias[:2] = 20.0
    for layer, marked in ((D(weight=plain), False), (D(weight=loud), True), (D(weight=plain, bias=bias), True),
                          (D(weight=plain, bias=rng.normal(size=256)), False)):  # fmt: skip
        report = propagate([layer, A("tanh")] * 3)
        assert bool(report.approximate) == marked, layer


def test_worked_depths_of_overflow_and_underflow() -> None:
    rows = [r for r in propagate([D(512, "normal", std=1.0), A("relu")] * 40).layers if r.sigma_w2]
    first = {name: next(i + 1 for i, r in enumerate(rows) if r.overflow[name] > 0.01) for name in ("float16", "float32")}
    assert first["float16"] in (4, 5)
    assert first["float32"] in (31, 32, 33)
    rows = [r for r in propagate([D(512, "variance_scaling", scale=1 / 3), A("relu")] * 120).layers if r.sigma_w2]
    below = next(i for i, r in enumerate(rows) if r.log10_second < 2 * math.log10(2.0**-24))
    assert below in (18, 19)
    tiny = next(i for i, r in enumerate(rows) if r.log10_second < 2 * math.log10(2.0**-126))
    assert tiny in (96, 97, 98)


@pytest.mark.slow
def test_any_depth_stays_finite() -> None:
    for init, kwargs in (("normal", {"std": 5.0}), ("normal", {"std": 1e-4}), ("zeros", {}), ("ones", {})):
        for name in ("relu", "tanh", "squared_relu", "sigmoid"):
            r = propagate([D(32, init, **kwargs), A(name)] * 100)
            numbers = [(x.log10_second, x.log10_gradient, x.mean, x.kurtosis) for x in r.layers]
            assert not np.isnan(np.array(numbers)).any(), (init, name)
            json.loads(r.to_json())
    rows = [r for r in propagate([D(32, "normal", std=5.0), A("relu")] * 300).layers if r.sigma_w2]
    assert rows[-1].log10_second == pytest.approx(math.log10(800) + 299 * math.log10(400), rel=1e-9)


# ---- verdicts and reports --------------------------------------------------------------------


def measured(report: Report, factor: float) -> Measured:
    rows = tuple(
        MeasuredLayer(r.name, second=Measurement(r.second * factor, 0.001 * r.second), correlation=Measurement(0.5, 0.1),
                      gradient=Measurement(r.gradient, 0.0)) for r in report.layers)  # fmt: skip
    spectrum = np.linspace(2.0, 0.01, 64)
    return Measured(rows, 256, 4, 0, "float32", spectrum, Measurement(1.0, 0.1), None, Measurement(4.0, 0.1),
                    Measurement(200.0, 1.0))  # fmt: skip


def test_measured_values_beside_the_theory(tmp_path: Any) -> None:
    report = propagate([D(64), A("relu")] * 6)
    fine = report.with_measured(measured(report, 1.0))
    assert not any(r.outside() for r in fine.layers)
    off = report.with_measured(measured(report, 1.8))
    assert off.layers[0].outside() == ("second",)
    assert " !" in off.table() and " !" not in fine.table()
    assert "measured" in fine.table() and "measured" not in report.table()
    back = json.loads(off.to_json())
    assert back["layers"][0]["measured"]["second"]["value"] == pytest.approx(3.6)
    assert back["layers"][0]["outside"] == ["second"]
    assert back["measured"]["singular_values"][0] == 2.0
    with pytest.raises(ValueError, match="layers that this network lacks"):
        propagate([D(3)]).with_measured(measured(report, 1.0))
    with pytest.raises(TypeError, match="measured must be what simulate returns"):
        report.with_measured({})  # type: ignore[arg-type]


def test_json_holds_everything_and_is_valid() -> None:
    for report, name in ((fifty("relu", "zeros"), "0: Dense(512)"), (propagate([D(32), A("gelu"), D(3)]), "0: Dense(32)")):
        back = json.loads(report.to_json())
        assert back["level"] == report.level and back["verdict"] == report.verdict
        assert len(back["layers"]) == len(report.layers)
        assert back["layers"][0]["name"] == name
        assert set(back["overflow"]) == {"float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32", "float64"}
    assert back["log10_gradient_ratio"] == report.log10_gradient_ratio


def test_tables() -> None:
    report = fifty("relu", "xavier_normal")
    text = report.table()
    body = text.split("\n(")[0].splitlines()
    assert len({len(line) for line in body}) == 1 and len(body) == 17
    assert "34 layers between are not shown" in text and text.endswith(report.verdict)
    assert len(report.table(rows=None).splitlines()) > 60
    for rows in (1, 2, 5):
        assert report.table(rows=rows).count("Dense(") == rows
    marked = report.table(markdown=True)
    cells = [line.count("|") for line in marked.splitlines() if line.startswith("| ") and "network" not in line]
    assert cells.count(cells[0]) == 17
    page = report._repr_html_()
    assert page.count("<tr>") == page.count("</tr>") > 20 and "<table>" in page
    assert str(report) == text


DEAD = [D(weight=-np.ones((8, 8), np.float32), bias=np.full(8, -100.0)), A("relu"),
        D(weight=np.random.default_rng(0).standard_normal((8, 8)))]  # fmt: skip
BEYOND = {
    "twenty squares": [D(512), A("squared_relu")] * 20,
    "dead": DEAD,
    "cubes": [D(64, "lecun_normal"), A(lambda x: x**3)] * 5,
    "logarithms beyond float64": [D(512), A("squared_relu")] * 1100,
}


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[pytest.mark.slow] * name.startswith("logarithms")) for name in BEYOND
])  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_numbers_beyond_float64_stay_short(name: str) -> None:
    for dtype in ("float32", "float16"):
        report = propagate(BEYOND[name], dtype=dtype)
        text = report.table()
        assert "nan" not in text and "nan" not in report.table(markdown=True) and "nan" not in report._repr_html_()
        table = text.split("\n\n")[0].split("\n(")[0].splitlines()
        assert len({len(line) for line in table}) == 1 and len(table[0]) < 160
        assert report.level == "bad"
        json.loads(report.to_json())


def test_blocks_that_pass_nothing_and_single_units() -> None:
    for block in (Residual([A("relu")], scale=0, skip=0), Residual([D(32, "zeros")], skip=0)):
        report = propagate([D(32), block])
        assert report.jacobian.mean == 0.0 and report.condition == math.inf and "nan" not in report.table()
    for norm in (LayerNorm, RMSNorm, BatchNorm):
        for width in (1, 2):
            for init in ("he_normal", "ones"):
                d = D(width, init)
                for layers in ([d, norm(), A("squared_relu")] * 3, [Residual([d, A("tanh")]), norm()] * 3,
                               [d, *[Residual([norm(), A("relu"), d])] * 3]):  # fmt: skip
                    assert "nan" not in propagate(layers).table()


def test_one_layer_is_no_layers() -> None:
    text = propagate([D(8, "normal", std=1e-3), A("relu"), D(8)], batch=1, dtype="float16").table(rows=None)
    assert "1 layers" not in text and "1 inputs" not in text
    assert "first of 1 layer is" in propagate([D(8)]).verdict


def test_pictures(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    report = fifty("relu", "he_normal")
    for name, r in (("theory", report), ("measured", report.with_measured(measured(report, 1.0))),
                    ("zeros", fifty("relu", "zeros")), ("one", propagate([D(8)])),
                    ("beyond", propagate(BEYOND["logarithms beyond float64"][-800:]))):  # fmt: skip
        path = tmp_path / f"{name}.png"
        r.plot(path)
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 10_000


def test_arguments_of_the_reports_methods(tmp_path: Any) -> None:
    report = propagate([D(8)])
    for call, kind, message in (
        (lambda: report.table(rows="x"), TypeError, "rows must be an int, got 'x'"),
        (lambda: report.table(rows=0), ValueError, "rows must be at least 1"),
        (lambda: report.table("yes"), TypeError, "markdown must be a bool, got 'yes'"),
        (lambda: report.plot(3), TypeError, "path must be the name of a file, such as out.png, got 3"),
        (lambda: report.plot(""), ValueError, "path must be the name of a file.*got an empty name"),
        (lambda: report.plot(tmp_path), ValueError, "path must be the name of a file.*got a folder"),
        (lambda: report.plot(tmp_path / "x.foo"), ValueError, "path must end in one of .*.png.*got .*x.foo"),
    ):  # fmt: skip
        with pytest.raises(kind, match=message):
            call()


def test_short_representations() -> None:
    report = propagate([D(64), A("relu")] * 3)
    assert repr(report).startswith("<Report of 6 layers: good, log10 gradient ratio ")
    assert repr(simulate([D(64)], 16, repeats=2)) == "<Measured layers=1, batch=16, repeats=2, dtype='float32'>"


def test_what_is_approximate_is_said() -> None:
    report = propagate([D(64), BatchNorm(), A("relu")], batch=4)
    assert report.approximate == ("1: BatchNorm",)
    assert "approximate           1 layer, the first 1: BatchNorm\n" in report.table()
