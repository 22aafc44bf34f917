"""The command line, in process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import fastinit as fi
from fastinit import _fill_command, _tour
from fastinit.__main__ import main

FILLS = [
    ("he_normal 64x32", lambda: fi.he_normal((64, 32), seed=0)),
    ("normal 7,5 --std 0.5 --dtype float64 --seed 3", lambda: fi.normal((7, 5), 0.0, 0.5, seed=3, dtype="float64")),
    ("xavier_uniform 8x4x3x3 --layout oihw --gain relu --dtype float16",
     lambda: fi.xavier_uniform((8, 4, 3, 3), "relu", layout="oihw", dtype="float16", seed=0)),
    ("sparse 30x20 --sparsity 0.5", lambda: fi.sparse((30, 20), 0.5, seed=0)),
    ("normal 100x7 --shard 90:10:-3,1:6", lambda: fi.normal((100, 7), seed=0)[90:10:-3, 1:6]),
    ("normal 100x7 --shard ::-1,:", lambda: fi.normal((100, 7), seed=0)[::-1]),
    ("uniform 0x3", lambda: fi.uniform((0, 3), seed=0)),
    ("dirac 3x4x4", lambda: fi.dirac((3, 4, 4))),
]


@pytest.mark.parametrize(("line", "make"), FILLS, ids=[line for line, _ in FILLS])
def test_fill_equals_the_function(
    line: str, make: object, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_fill_command, "_SLAB", 300)  # many slabs
    path = tmp_path / "w.npy"
    assert main(["fill", *line.split(), "-o", str(path), "--json"]) == 0
    want = np.ascontiguousarray(make())  # type: ignore[operator]
    got = np.load(path)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert got.tobytes() == want.tobytes()
    assert json.loads(capsys.readouterr().out)["shape"] == list(want.shape)
    assert [p.name for p in tmp_path.iterdir()] == ["w.npy"]


def test_fill_bfloat16_says_how_to_read_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "w.npy"
    assert main(["fill", "he_normal", "16x8", "--dtype", "bfloat16", "-o", str(path)]) == 0
    assert "view(ml_dtypes.bfloat16)" in capsys.readouterr().out
    got = np.load(path).view(ml_dtypes.bfloat16)
    assert (got == fi.he_normal((16, 8), dtype="bfloat16", seed=0)).all()


@pytest.mark.parametrize(("line", "message"), [
    ("nope 3x3", "INIT must be one of normal"),
    ("normal 3xx", "SHAPE must look like 4096x4096"),
    ("normal 3.5", "SHAPE must look like 4096x4096"),
    ("normal 3x3 --mode fan_in", "--mode is not an option of normal"),
    ("normal 3x3 --std -1", "std < 0"),
    ("normal 3x3 --shard 1", "--shard must look like"),
    ("normal 3 --shard :,:", "--shard has 2 slices"),
    ("normal 3x3 --dtype int8", "dtype must be one of"),
    ("he_normal 9", "at least 2 dimensions"),
    ("he_normal 3x3 --gain relu", "--gain of he_normal must be a number"),
    ("normal 3x3 --seed -1", "seed must be"),
])  # fmt: skip
def test_fill_errors(line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fill", *line.split(), "-o", str(tmp_path / "w.npy")]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (OSError, 2)])
def test_interrupted_fill_leaves_the_old_file(
    error: type[BaseException], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.npy"
    path.write_bytes(b"old")

    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr(_fill_command, "fill_slabs", fail)
    assert main(["fill", "normal", "8x8", "-o", str(path)]) == code
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_tour() -> None:
    result = _tour.measure(256)
    for row in result["rows"]:
        assert abs(row["std_measured"] - row["std_asked"]) < 0.02 * row["std_asked"] + 1e-9
    text = _tour.table(result)
    assert len({len(line) for line in text.splitlines()[3:]}) == 1


def test_info_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["isa"] in info["available_isas"]
    assert info["contract_version"] == fi.CONTRACT_VERSION
    assert main(["info"]) == 0
    for command in ([], ["fill"], ["info"]):
        with pytest.raises(SystemExit) as stop:
            main([*command, "--help"])
        assert stop.value.code == 0
        assert "example:" in capsys.readouterr().out


def test_module_runs() -> None:
    done = subprocess.run([sys.executable, "-m", "fastinit", "info", "--json"], capture_output=True, text=True,
                          check=True)
    assert json.loads(done.stdout)["version"] == fi.__version__
