"""`fastinit propagate`, `fastinit weights`, and the end of the tour."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastinit as fi
from fastinit import _tour
from fastinit.__main__ import main
from fastinit.propagation import Activation, Dense, propagate


def run(line: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    assert main(line.split()) == code
    printed = capsys.readouterr()
    return printed.out if code == 0 else printed.err


def test_propagate_is_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    line = "propagate --depth 7 --width 64 --activation tanh --init normal --std 0.2 --bias-std 0.1 --dtype float16"
    report = propagate([Dense(64, "normal", std=0.2, bias_std=0.1), Activation("tanh")] * 7, dtype="float16")
    assert json.loads(run(f"{line} --json", capsys)) == json.loads(report.to_json())
    assert run(line, capsys).rstrip("\n") == report.table()
    assert run(f"{line} --markdown --rows 0", capsys).rstrip("\n") == report.table(markdown=True, rows=None)


@pytest.mark.parametrize(("line", "init", "kwargs"), [
    ("--init he_normal --nonlinearity gelu", "he_normal", {"nonlinearity": "gelu"}),
    ("--init xavier_normal --gain tanh", "xavier_normal", {"gain": "tanh"}),
    ("--init orthogonal --gain 1.5", "orthogonal", {"gain": 1.5}),
])  # fmt: skip
def test_gains_by_name(line: str, init: str, kwargs: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    report = propagate([Dense(32, init, **kwargs), Activation("gelu")] * 3)
    assert json.loads(run(f"propagate --depth 3 --width 32 --activation gelu {line} --json", capsys)) == json.loads(
        report.to_json())  # fmt: skip


def test_rows_and_whole_names_of_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert "(7 layers between are not shown)" in run("propagate --depth 9 --width 8 --rows 2", capsys)
    with pytest.raises(SystemExit):
        main("propagate --dep 3 --width 8".split())
    message = capsys.readouterr().err  # with the usage of the command itself
    assert message.startswith("usage: fastinit propagate ") and "unrecognized arguments: --dep 3" in message


def test_residual_norm_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "out.png"
    out = run(f"propagate --depth 5 --width 32 --residual 0.5 --norm layer --plot {picture}", capsys)
    assert "4: Residual" in out and "LayerNorm" in out and str(picture) in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    full = json.loads(run("propagate --depth 3 --width 32 --residual --json", capsys))
    assert full["layers"][-1]["log10_second"] == pytest.approx(np.log10(8.0))


def test_a_comparison_knows_activations_by_any_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name, plain in (("ReLU", "relu"), ("leaky-relu", "leaky_relu")):
        got, want = (json.loads(run(f"propagate --compare --depth 3 --width 8 --json --activation {a}", capsys))["rows"]
                     for a in (name, plain))  # fmt: skip
        assert got == want


def test_no_matplotlib_shows_before_the_work(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr("fastinit._propagate_command.propagate", lambda *a, **k: pytest.fail("worked first"))
    err = run("propagate --depth 3 --width 8 --plot out.png", capsys, code=2)
    assert "plot needs matplotlib: pip install matplotlib" in err


def test_a_picture_without_suffix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    for name, written in (("plain", "plain.png"), ("dot.", "dot.png"), (".hidden", ".hidden.png"), ("a.svg", "a.svg")):
        out = run(f"propagate --depth 1 --width 8 --plot {tmp_path / name}", capsys)
        assert out.endswith(f"picture: {tmp_path / written}\n") and (tmp_path / written).is_file()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("depth", [30, pytest.param(1100, marks=pytest.mark.slow)])
def test_a_comparison_beyond_float64(depth: int, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"propagate --compare --activation squared_relu --width 16 --depth {depth}"
    text = run(line, capsys)
    assert "nan" not in text and max(map(len, text.splitlines())) < 200
    json.loads(run(f"{line} --json", capsys), parse_constant=pytest.fail)


def test_simulate_puts_measured_values_beside(capsys: pytest.CaptureFixture[str]) -> None:
    result = json.loads(run("propagate --depth 4 --width 64 --simulate --batch 32 --repeats 3 --seed 5 --json", capsys))
    assert (result["measured"]["batch"], result["measured"]["repeats"]) == (32, 3)
    for row in result["layers"]:
        assert row["measured"]["second"]["value"] == pytest.approx(10 ** row["log10_second"], rel=0.6)
        assert row["outside"] == []


def test_a_comparison_agrees_with_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run("propagate --compare --depth 10 --width 2 --json", capsys))["rows"]
    he = next(r for r in rows if r["init"] == "He")
    report = json.loads(run("propagate --depth 10 --width 2 --json", capsys))
    assert he["level"] == report["level"] == "bad" and he["words"] + "." == report["reasons"][0]


def test_compare(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {r["init"]: r for r in json.loads(run("propagate --compare --depth 20 --json", capsys))["rows"]}
    assert len(rows) == 7
    assert rows["Xavier"]["signal_per_layer"] == pytest.approx(0.5)
    assert rows["He"]["signal_per_layer"] == pytest.approx(1.0)
    text = run("propagate --compare --depth 20 --activation tanh", capsys)
    assert "dead and symmetric" in text and "explodes, saturated" in text
    assert len(text.splitlines()) == 10
    assert run("propagate --compare --depth 5 --markdown", capsys).count("---|") == 11


@pytest.mark.slow
def test_the_tour_ends_with_the_comparison() -> None:
    depth = {name: {r["init"]: r for r in _tour.compare_depth(name)} for name in ("relu", "tanh")}
    for rows in depth.values():
        assert rows["zeros"]["words"] == "dead and symmetric"
        assert rows["small random, std 0.01"]["words"] == "vanishes"
        assert "explodes" in rows["uniform [-1, 1]"]["words"]
    relu, tanh = depth["relu"], depth["tanh"]
    assert relu["Xavier"]["words"] == "vanishes" and relu["Xavier"]["signal_per_layer"] == pytest.approx(0.5)
    assert "keeps signal and gradient" in relu["He"]["words"] and "keeps" in relu["orthogonal"]["words"]
    assert tanh["Xavier"]["phase"] == "critical" and tanh["He"]["phase"] == "chaotic"
    assert "saturated" in tanh["uniform [-1, 1]"]["words"]
    # of drawn networks 4.76 +- 0.1: q falls from layer to layer
    assert "even spectrum" in tanh["orthogonal"]["words"]
    assert tanh["orthogonal"]["jacobian_spread"] == pytest.approx(4.8, abs=0.1)
    assert relu["orthogonal"]["jacobian_spread"] < relu["He"]["jacobian_spread"] / 1.9
    text = _tour.table(_tour.measure(64))
    assert text.index("50 layers of 512 units, relu") < text.index("50 layers of 512 units, tanh")


@pytest.mark.parametrize(("line", "message"), [
    ("--depth 0", "--depth must be at least 1"),
    ("--width -3", "--width must be at least 1"),
    ("--activation nope", "activation must be one of linear, relu"),
    ("--init nope", "init must be one of normal"),
    ("--init he_normal --std 2", "std"),
    ("--bias-std -1", "bias_std < 0"),
    ("--dtype int8", "dtype must be one of"),
    ("--residual nan", "--residual must be finite, got nan"),
    ("--markdown --json", "--markdown must not be given with --json"),
    ("--markdown --json --compare", "--markdown must not be given with --json"),
    ("--batch 0", "--batch must be at least 1"),
    ("--rows -1", "--rows must be at least 0"),
    *((f"--compare {o}", f"{o.split()[0]} must not be given with --compare") for o in (
        "--init normal", "--gain 1", "--std 1", "--scale 1", "--simulate", "--repeats 4", "--seed 0", "--plot o.png",
        "--rows 16")),
    ("--seed 3", "--seed must be given with --simulate"),
    ("--seed -1 --simulate", "--seed must be at least 0, got -1"),
    ("--std 3", "--std is not an option of he_normal; it takes --gain, --nonlinearity"),
    ("--init zeros --gain 3", "--gain is not an option of zeros; it takes none"),
    ("--repeats 4", "--repeats must be given with --simulate"),
    ("--plot .", "--plot must be the name of a file, such as out.png, got a folder: '.'"),
    ("--plot=", "--plot must be the name of a file, such as out.png, got an empty name: ''"),
    ("--plot /tmp", "got a folder: '/tmp'"),
    ("--plot out.nope", "--plot must end in one of ."),
    ("--plot nowhere/out.png", "--plot must be in a folder that exists, got 'nowhere/out.png'"),
])  # fmt: skip
def test_propagate_errors(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    err = run(f"propagate {line}", capsys, 2)
    assert err.startswith("fastinit propagate: error: ") and message in err and err.count("\n") == 1


def saved(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    tensors = {}
    for i, (n, m) in enumerate([(32, 64), (64, 64), (64, 10)]):
        tensors[f"layer{i}.weight"] = fi.he_normal((m, n), layout="oi", seed=i)
        tensors[f"layer{i}.bias"] = np.full(m, 0.25, np.float32)
    tensors["embed.table"] = np.ones((7, 3), np.float32)
    return {**tensors, **changes}


def test_weights_of_npz(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.npz"
    np.savez(path, **{k: v for k, v in saved(tmp_path).items() if k != "embed.table"})
    result = json.loads(run(f"weights {path} --activation gelu --json", capsys))
    assert result["tensors"] == [f"layer{i}.weight" for i in range(3)]
    assert [r["width"] for r in result["layers"]] == [64, 64, 64, 64, 10]
    assert result["layers"][0]["sigma_w2"] == pytest.approx(2.0, rel=0.1)
    assert result["layers"][0]["sigma_b2"] == pytest.approx(1 / 16)
    assert "3 matrices of" in run(f"weights {path} --simulate --batch 16 --repeats 2", capsys)


def test_weights_of_safetensors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "model.safetensors"
    tensors = {k: v for k, v in saved(tmp_path).items() if k != "embed.table"}
    safetensors.save_file({k: v.astype(ml_dtypes.bfloat16) for k, v in tensors.items()}, path)
    result = json.loads(run(f"weights {path} --json", capsys))
    assert result["fan_in"] == 32 and result["depth"] == 3
    path.write_bytes(path.read_bytes()[:100])
    assert "cannot be read as .safetensors" in run(f"weights {path}", capsys, 2)


@pytest.mark.parametrize("name", [
    "h.0.attn.weight", "q_proj", "rnn.weight_hh_l0", "mlp.gate_proj.weight", "ln_1.scale", "LSTMCell.w",
    "layers.0.wq.weight", "lstm/recurrent_kernel", "final_layernorm.scale", "SelfAttention.w",
])  # fmt: skip
def test_names_that_are_no_chain(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    matrix = np.eye(8, dtype=np.float32)
    np.savez(tmp_path / "m.npz", **{"dense.kernel": matrix, name: matrix})
    shown = run(f"weights {tmp_path / 'm.npz'}", capsys).split("\n\n")[0].splitlines()[-1]  # in front of the report
    assert shown.startswith(f"{name} by name: of attention, recurrent, gated or normalized layers")
    plain = ("main_proj", "video_proj", "group_proj", "normalizer", "abnormal_head", "aggregated.weight", "fc1.weight")
    np.savez(tmp_path / "m.npz", **dict.fromkeys(plain, matrix))
    assert json.loads(run(f"weights {tmp_path / 'm.npz'} --json", capsys))["caveats"] == []


def test_weights_left_out_and_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.npz"
    tensors = saved(tmp_path)
    tensors["z.extra"] = tensors.pop("embed.table")
    np.savez(path, **tensors)
    assert "left out, not in the chain: z.extra" in run(f"weights {path}", capsys)
    assert json.loads(run(f"weights {path} --json", capsys))["caveats"] == [
        "The verdict is that of 3 of 4 matrices, as if the others were not there."]  # fmt: skip
    whole = json.loads(run(f"weights {path} --json", capsys))
    np.savez(path, **tensors, **{"zz.indices": np.ones((whole["fan_out"], 9), np.int32)})
    assert json.loads(run(f"weights {path} --json", capsys))["fan_out"] == whole["fan_out"]
    tensors["layer1.weight"] = tensors["layer1.weight"].copy()
    tensors["layer1.weight"][3, 4] = np.nan
    np.savez(path, **tensors)
    assert "layer1.weight: weight has 1 non-finite of 4096 values" in run(f"weights {path}", capsys, 2)
    np.savez(path, a=np.arange(6), b=np.ones(3))
    assert "FILE must have matrices of floating-point numbers; it has a, b" in run(f"weights {path}", capsys, 2)
    path.write_bytes(b"PK\x03\x04 not an archive")
    assert "cannot be read as .npz" in run(f"weights {path}", capsys, 2)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"")
    assert "it is one of torch.save's; safetensors.torch.save_file" in run(f"weights {path}", capsys, 2)
    np.savez(path, w=fi.he_normal((8, 8), dtype="float8_e5m2", seed=0))
    assert "w has a type that NumPy's files do not keep; .safetensors keeps it" in run(f"weights {path}", capsys, 2)
    weights = fi.he_normal((8, 8), dtype="bfloat16", seed=0)  # comes back as two bytes without a meaning
    np.savez(path, w=weights)
    of_bfloat16 = run(f"weights {path}", capsys)
    np.savez(path, w=weights.astype(np.float32))
    assert of_bfloat16 == run(f"weights {path}", capsys)
    assert "does not exist" in run(f"weights {tmp_path}/none.npz", capsys, 2)
    (tmp_path / "model.bin").write_bytes(b"x")
    wrong = run(f"weights {tmp_path}/model.pt", capsys, 2)
    assert "suffix must be one of .npz, .safetensors, got '.pt'; safetensors.torch.save_file(model." in wrong


def test_the_files_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = {"stem": (64, 32), "body": (128, 64), "final": (10, 128)}
    tensors = {f"{name}.weight": np.ones(shape, np.float32) / 8 for name, shape in shapes.items()}
    np.savez(tmp_path / "m.npz", **tensors)
    write_safetensors(tmp_path / "m.safetensors", tensors)
    for file in ("m.npz", "m.safetensors"):
        assert json.loads(run(f"weights {tmp_path / file} --json", capsys))["tensors"] == list(tensors)
    numbered = {f"layer{i}.weight": np.ones((8, 8)) for i in sorted(range(12), key=str)}
    write_safetensors(tmp_path / "n.safetensors", numbered)
    used = json.loads(run(f"weights {tmp_path}/n.safetensors --json", capsys))["tensors"]
    assert used == [f"layer{i}.weight" for i in range(12)]
    np.savez(tmp_path / "s.npz", **{"b²": np.ones((8, 8)), "a²3": np.ones((8, 8))})
    assert json.loads(run(f"weights {tmp_path}/s.npz --json", capsys))["tensors"] == ["b²", "a²3"]


def write_safetensors(path: Path, tensors: dict[str, Any]) -> None:
    """In the order given, which the library's own writer does not keep."""
    pytest.importorskip("safetensors")
    names = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64",
             "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}  # fmt: skip
    header, at = {}, 0
    for name, array in tensors.items():
        kind = names[array.dtype.name]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [at, at := at + array.nbytes]}
    text = json.dumps(dict(sorted(header.items()))).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for a in tensors.values()))


def test_layout_of_weights_is_that_of_the_longer_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = {"fc1.weight": (78, 64), "fc2.weight": (64, 64), "fc3.weight": (64, 10)}
    path = tmp_path / "model.npz"
    np.savez(path, **fi.initialize({name: fi.Spec("he_normal", shape) for name, shape in shapes.items()}))
    text = run(f"weights {path}", capsys)
    assert text.startswith(f"3 matrices of {path} as (in, out): fc1.weight, fc2.weight, fc3.weight\n")
    assert json.loads(run(f"weights {path} --json", capsys))["layout"] == "io"
    assert "The verdict is that of 1 of 3" in run(f"weights {path} --layout oi", capsys)


@pytest.mark.parametrize("layout", ["io", "oi"])
def test_biases_tell_the_layout_of_weights(layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of an autoencoder, whose matrices form a chain both ways."""
    path, step = tmp_path / "model.npz", 1 if layout == "io" else -1
    shapes = {"w1": (784, 256)[::step], "w2": (256, 784)[::step]}
    weights = fi.initialize({name: fi.Spec("he_normal", shape, layout=layout) for name, shape in shapes.items()})
    np.savez(path, **weights, b1=np.zeros(256), b2=np.zeros(784))
    result = json.loads(run(f"weights {path} --json", capsys))
    assert (result["layout"], result["left_out"]) == (layout, [])
    assert abs(result["log10_gradient_ratio"]) < 0.1
    np.savez(path, **weights)
    assert "as (out, in), which its shapes do not tell (--layout does): w1, w2" in run(f"weights {path}", capsys)


def test_weights_of_a_model_that_begins_with_an_embedding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    shapes = {"embed": (1000, 16), "q": (16, 16), "up": (64, 16), "down": (16, 64)}
    path = tmp_path / "model.npz"
    np.savez(path, **{n: rng.standard_normal(s) / s[1] ** 0.5 for n, s in shapes.items()})
    text = run(f"weights {path}", capsys)
    assert text.startswith(f"3 matrices of {path} as (out, in), which its shapes do not tell (--layout does): q, up, down\n"
                           "left out, not in the chain: embed (1000x16)\n")  # fmt: skip
    assert "The verdict is that of 3 of 4 matrices" in text


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "bfloat16", "float16", "float64"])
def test_dtypes_of_safetensors(dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = {"a.weight": fi.normal((16, 32), seed=0, dtype=dtype), "b": np.arange(5)}
    write_safetensors(tmp_path / "m.safetensors", tensors)
    result = json.loads(run(f"weights {tmp_path}/m.safetensors --json", capsys))
    want = (np.asarray(tensors["a.weight"], np.float64) ** 2).mean() * 32
    assert result["layers"][0]["sigma_w2"] == pytest.approx(want, rel=1e-6)


def test_what_is_no_matrix_is_left_out_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.npz"
    np.savez(path, conv=np.ones((8, 3, 3, 3)), a=np.ones((8, 8)), head=np.ones((1, 8)), bias=np.ones(8))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "no array")
    text = run(f"weights {path}", capsys)
    assert "left out, not in the chain: conv (8x3x3x3), head (1x8), bias (8)" in text
    assert "Convolutions are not followed" in text
    assert json.loads(run(f"weights {path} --json", capsys))["left_out"] == ["conv", "head", "bias"]
    with path.open("wb") as stream:
        np.save(stream, np.ones((8, 8)))
    assert "it holds one array, as .npy" in run(f"weights {path}", capsys, 2)


@pytest.mark.parametrize(("weight", "bias"), [
    ("l{}.weight", "l{}.bias"), ("l{}/kernel", "l{}/bias"), ("w{}", "b{}"), ("W{}", "b{}"), ("l{}.w", "l{}.b"),
    ("l{}_weights", "l{}_biases"),
])  # fmt: skip
def test_biases_by_their_names(weight: str, bias: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    tensors = {weight.format(i): rng.normal(0.0, 0.2, (8, 8)) for i in range(3)}
    np.savez(tmp_path / "m.npz", **tensors, **{bias.format(i): np.full(8, 5.0) for i in range(3)})
    result = json.loads(run(f"weights {tmp_path / 'm.npz'} --json", capsys))
    assert result["left_out"] == [] and [r["sigma_b2"] for r in result["layers"] if r["sigma_b2"] is not None] == [25.0] * 3


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_damaged_files(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"m.{kind}"
    tensors = {"a": np.ones((8, 8)), "b": np.ones((4, 8))}
    np.savez_compressed(path, **tensors) if kind == "npz" else write_safetensors(path, tensors)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(150):
        bad = bytearray(good[: rng.integers(len(good))] if rng.random() < 0.3 else good)
        for at in rng.integers(0, max(1, min(len(bad), 200)), 3 if bad else 0):
            bad[at] = rng.integers(256)
        path.write_bytes(bad)
        code = main(["weights", str(path)])
        printed = capsys.readouterr()
        assert code in (0, 2) and (code == 0) == (printed.err == "")


@pytest.mark.parametrize("command", ["propagate", "weights"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"fastinit {command} " in capsys.readouterr().out.splitlines()[-1]
