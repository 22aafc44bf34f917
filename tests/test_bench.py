"""The convergence study of the benchmarks, its network and its data. Needs the packages of the `bench` extra."""

from __future__ import annotations

import gzip
import json
import math
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

for needed in ("sklearn", "scipy", "matplotlib", "threadpoolctl", "pytest_benchmark"):
    pytest.importorskip(needed)

from bench import convergence, models  # noqa: E402
from bench.convergence import INITS, Outcome, draw  # noqa: E402
from bench.data import digits, mnist, read_idx  # noqa: E402
from bench.network import ACTIVATIONS, Network, hessian_extremes  # noqa: E402

WIDTHS = [5, 7, 6, 3]


def network(activation: str, copies: int = 2, dtype: str = "float64") -> tuple[Network, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    pairs = list(pairwise(WIDTHS))
    net = Network([rng.standard_normal((copies, *pair)).astype(dtype) for pair in pairs], activation)
    net.biases = [rng.standard_normal(b.shape) for b in net.biases]
    return net, rng.standard_normal((copies, 11, WIDTHS[0])), rng.integers(0, WIDTHS[-1], (copies, 11))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_against_differences(activation: str) -> None:
    net, x, y = network(activation)
    grads, _ = net.gradient(x, y)
    step = 1e-6
    for parameter, g in zip(net.parameters, grads, strict=True):
        for index in np.ndindex(parameter.shape[1:]):
            at = (slice(None), *index)
            parameter[at] += step
            above = net.loss(x, y)
            parameter[at] -= 2 * step
            below = net.loss(x, y)
            parameter[at] += step
            np.testing.assert_allclose(g[at], (above - below) / (2 * step), rtol=1e-5, atol=1e-8)


def hessian(net: Network, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    shapes = [p.shape for p in net.parameters]
    ends = np.cumsum([math.prod(s) for s in shapes])
    columns = []
    for unit in np.eye(ends[-1]):
        v = [part.reshape(s) for part, s in zip(np.split(unit, ends[:-1]), shapes, strict=True)]
        columns.append(np.concatenate([h.ravel() for h in net.hessian_product(x, y, v)]))
    return np.array(columns)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_hessian_against_differences_of_gradients(activation: str) -> None:
    net, x, y = network(activation, copies=1)
    h = hessian(net, x, y)
    np.testing.assert_allclose(h, h.T, atol=1e-12)
    flat = lambda: np.concatenate([g.ravel() for g in net.gradient(x, y)[0]])  # noqa: E731
    step, row = 1e-6, 0
    for parameter in net.parameters:
        for index in np.ndindex(parameter.shape):
            parameter[index] += step
            above = flat()
            parameter[index] -= 2 * step
            below = flat()
            parameter[index] += step
            np.testing.assert_allclose(h[row], (above - below) / (2 * step), rtol=1e-4, atol=1e-7)
            row += 1
    want = np.linalg.eigvalsh(h)
    low, high = hessian_extremes(net, x, y)
    assert low == pytest.approx(want[0], rel=1e-2)
    assert high == pytest.approx(want[-1], rel=1e-2)


def test_copies_do_not_meet() -> None:
    net, x, y = network("tanh")
    both, _ = net.gradient(x, y)
    for c in range(2):
        alone = Network([w[c : c + 1] for w in net.weights], "tanh")
        alone.biases = [b[c : c + 1] for b in net.biases]
        for one, g in zip(alone.gradient(x[c : c + 1], y[c : c + 1])[0], both, strict=True):
            np.testing.assert_allclose(one[0], g[c], atol=1e-15)


def idx(a: np.ndarray) -> bytes:
    return bytes([0, 0, 8, a.ndim]) + struct.pack(f">{a.ndim}I", *a.shape) + a.astype(np.uint8).tobytes()


def write_mnist(folder: Path, packed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, 4, 3)), rng.integers(0, 10, 20)
    for part in ("train", "t10k"):
        for stem, a in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            (folder / (stem + ".gz" * packed)).write_bytes(gzip.compress(idx(a)) if packed else idx(a))
    return images, labels


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_files(tmp_path: Path, packed: bool) -> None:
    images, labels = write_mnist(tmp_path, packed)
    data = mnist(tmp_path)
    assert data.x.shape == (20, 12) and data.x.dtype == np.float32
    assert (data.y == labels).all()
    assert abs(float(data.x.mean())) < 1e-6 and abs(float(data.x.std()) - 1) < 1e-6
    assert np.corrcoef(data.x.ravel(), images.ravel())[0, 1] > 0.999999


BROKEN = {
    "truncated": (lambda raw: raw[:-1], "truncated: .* needs 240 bytes after the header, there are 239"),
    "truncated header": (lambda raw: raw[:9], "truncated within the header of 16 bytes"),
    "too long": (lambda raw: raw + b"x", "too long"),
    "wrong magic": (lambda raw: b"\x00\x00\x0d" + raw[3:], "no IDX file of unsigned bytes: it starts with 00000d03"),
    "empty": (lambda raw: b"", "it starts with nothing"),
    "broken gzip": (lambda raw: gzip.compress(raw)[:-12], "broken gzip file"),
    "no deflate": (lambda raw: gzip.compress(raw)[:10] + b"\xff" * 40, "broken gzip file"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_refused(tmp_path: Path, kind: str) -> None:
    write_mnist(tmp_path)
    breaks, message = BROKEN[kind]
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(breaks(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        read_idx(path)


def test_mnist_that_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mnist(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(idx(np.zeros(19)))
    with pytest.raises(ValueError, match=r"t10k: images \(20, 4, 3\) and labels \(19,\) do not belong together"):
        mnist(tmp_path)
    images = tmp_path / "t10k-images-idx3-ubyte"
    images.write_bytes(idx(np.zeros((19, 3, 3))))
    with pytest.raises(ValueError, match="images of 12 pixels to train, of 9 to test"):
        mnist(tmp_path)
    images.write_bytes(idx(np.zeros((20, 4, 3))))
    labels.write_bytes(idx(np.full(20, 10)))
    with pytest.raises(ValueError, match="a label of 10"):
        mnist(tmp_path)
    labels.unlink()
    assert convergence.main(["--mnist", str(tmp_path), "--output", str(tmp_path)]) == 2
    assert "neither t10k-labels-idx1-ubyte nor" in capsys.readouterr().err


@pytest.mark.parametrize(("line", "message"), [
    ("--seeds 0", "--seeds must be at least 1, got 0"),
    ("--quick --steps -1", "--steps must be at least 1, got -1"),
    ("--target 2", r"--target must be in (0, 1], got 2.0"),
    ("--target nan", r"--target must be in (0, 1], got nan"),
])  # fmt: skip
def test_options_of_the_study_are_checked(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        convergence.main(line.split())
    assert stopped.value.code == 2 and message in capsys.readouterr().err


def test_digits() -> None:
    data = digits()
    assert data.x.shape == (1437, 64) and data.test_x.shape == (360, 64)
    assert set(data.y) == set(data.test_y) == set(range(10))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.slow
def test_study_tells_inits_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convergence.main(["--quick", "--output", str(tmp_path)]) == 0
    stored = json.loads((tmp_path / "convergence.json").read_text(encoding="utf-8"), parse_constant=refuse)
    found = {(o["activation"], o["init"]): o for o in stored["outcomes"]}
    assert len(found) == len(INITS) * len(ACTIVATIONS)
    for activation in ACTIVATIONS:
        zero, xavier = found[activation, "zero"], found[activation, "Xavier"]
        assert zero["symmetric"] == zero["units"] > 0 and max(zero["accuracy"]) < 0.3
        assert zero["level"] == "bad"
        assert xavier["symmetric"] == xavier["dead"] == 0 or activation == "relu"
        assert all(math.isfinite(g) and g > 0 for g in xavier["gradient_norms"])
        assert len(xavier["hessian"]) == len(xavier["levels"]) == len(xavier["log10_gradient_ratio"]) == 2
        assert all(low < high for low, high in xavier["hessian"])
        assert xavier["hessian"][0] != xavier["hessian"][1]  # of two seeds
    assert min(found["relu", "He"]["accuracy"]) > 0.8 and found["relu", "He"]["verdict"] == "right"
    assert (tmp_path / "convergence.png").stat().st_size > 10_000 < (tmp_path / "gradients.png").stat().st_size
    shown = capsys.readouterr().out
    assert "| relu | 2 | He |" in shown
    assert "| He | 900, 98.6% |" in shown


def test_verdicts() -> None:
    arrived, never = {"steps_to_target": [10, 20, None]}, {"steps_to_target": [None, None, 5]}
    common = {"init": "He", "activation": "relu", "depth": 2}
    assert Outcome(**common, **arrived, levels=["good"]).verdict == "right"
    assert Outcome(**common, **arrived, levels=["bad"]).verdict == "WRONG"
    assert Outcome(**common, **never, levels=["good"]).verdict == "WRONG"
    assert Outcome(**common, **never, levels=["bad"]).verdict == "right"
    assert Outcome(**common, **never, levels=["warn"]).verdict == "warned"
    assert Outcome(**common, **never).median_steps == math.inf
    mixed = Outcome(**common, **never, levels=["good", "bad", "bad"], reasons=["a", "b", "c"])
    assert (mixed.level, mixed.reason) == ("bad", "b")


def test_prediction_is_of_the_weights_themselves() -> None:
    """Seeds of one law that differ: the second is a thousand times too large."""
    x = np.random.default_rng(0).standard_normal((32, 64)).astype(np.float32)
    weights = draw("He", "relu", [64, 64, 64, 10], 2)
    for w in weights:
        w[1] *= 1000
    outcome = Outcome("He", "relu", 2)
    convergence.predict(outcome, Network(weights, "relu"), x)
    usual, large = outcome.log10_gradient_ratio
    assert abs(usual) < 0.5 and large == pytest.approx(usual + 12, abs=0.5)
    assert outcome.levels == ["good", "bad"]


def test_weights_of_the_study() -> None:
    for activation in ACTIVATIONS:
        he = draw("He", activation, [64, 32, 10], 3)
        assert [w.shape for w in he] == [(3, 64, 32), (3, 32, 10)]
        assert (he[0][0] != he[0][1]).all()
        q = draw("orthogonal", activation, [64, 32], 1)[0][0]
        gain = 2.0 if activation == "relu" else 1.0
        np.testing.assert_allclose(q.T @ q, gain * np.eye(32), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "parameters"), [("GPT-2-XL", 1_557_611_200), ("ViT-L", 304_326_632), ("Llama-7B", 6_738_415_616)]
)
def test_models_have_the_published_sizes(model: str, parameters: int) -> None:
    assert sum(math.prod(np.atleast_1d(s.shape).tolist()) for s in models.specs(model).values()) == parameters
