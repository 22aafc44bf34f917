"""The command line, in process but for what needs a process of its own."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastinit as fi
from fastinit import _fill_command, _tour
from fastinit.__main__ import main
from fastinit.spec import INITIALIZERS

FILLS = [
    ("he_normal 64x32", lambda: fi.he_normal((64, 32), seed=0)),
    ("normal 7,5 --std 0.5 --dtype float64 --seed 3", lambda: fi.normal((7, 5), 0.0, 0.5, seed=3, dtype="float64")),
    ("normal 9x9 --mean -1e-3 --std .5", lambda: fi.normal((9, 9), -1e-3, 0.5, seed=0)),
    ("uniform 40 --low -1 --high 1 --dtype float16", lambda: fi.uniform(40, -1, 1, dtype="float16", seed=0)),
    ("truncated_normal 50 --lower -inf --upper 1 --correct-std",
     lambda: fi.truncated_normal(50, lower=-np.inf, upper=1.0, correct_std=True, seed=0)),
    ("xavier_uniform 8x4x3x3 --layout oihw --gain relu --dtype float16",
     lambda: fi.xavier_uniform((8, 4, 3, 3), "relu", layout="oihw", dtype="float16", seed=0)),
    ("he_normal 3x3x8x16 --mode fan_out --nonlinearity gelu --groups 2",
     lambda: fi.he_normal((3, 3, 8, 16), mode="fan_out", nonlinearity="gelu", groups=2, seed=0)),
    ("lecun_normal 16x48 --blocks 16,32 --num-threads 1",
     lambda: fi.lecun_normal((16, 48), blocks=(16, 32), seed=0)),
    ("lecun_uniform 5x6x7 --batch-axis 0 --in-axis 2 --out-axis 1",
     lambda: fi.lecun_uniform((5, 6, 7), batch_axis=0, in_axis=2, out_axis=1, seed=0)),
    ("variance_scaling 99 --fan-in 7 --scale 2 --distribution uniform",
     lambda: fi.variance_scaling(99, 2.0, distribution="uniform", fan_in=7, seed=0)),
    ("orthogonal 50x20 --gain relu", lambda: fi.orthogonal((50, 20), "relu", seed=0)),
    ("orthogonal 50x20 --method qr --shard 3:29:2,::-3",
     lambda: fi.orthogonal((50, 20), method="qr", seed=0)[3:29:2, ::-3]),
    ("orthogonal 4x12x30 --batch-axis 0 --blocks 3",
     lambda: fi.orthogonal((4, 12, 30), batch_axis=0, blocks=3, seed=0)),
    ("delta_orthogonal 3x3x4x8 --scaled", lambda: fi.delta_orthogonal((3, 3, 4, 8), scaled=True, seed=0)),
    ("sparse 30x20 --sparsity 0.5", lambda: fi.sparse((30, 20), 0.5, seed=0)),
    ("sparse 30x20 --layout oi --std 0.1", lambda: fi.sparse((30, 20), std=0.1, layout="oi", seed=0)),
    ("sparse 30x20 --shard 3:29:2,::-3", lambda: fi.sparse((30, 20), seed=0)[3:29:2, ::-3]),
    ("normal 100x7 --shard 90:10:-3,1:6", lambda: fi.normal((100, 7), seed=0)[90:10:-3, 1:6]),
    ("normal 100x7 --shard ::-1,:", lambda: fi.normal((100, 7), seed=0)[::-1]),
    ("normal 100x7 --shard -8:", lambda: fi.normal((100, 7), seed=0)[-8:]),
    ("normal 3x2x500 --shard 1:,:,::-1", lambda: fi.normal((3, 2, 500), seed=0)[1:, :, ::-1]),
    ("normal ()", lambda: fi.normal((), seed=0)),
    ("uniform 0x3", lambda: fi.uniform((0, 3), seed=0)),
    ("uniform 5x3 --shard 2:2", lambda: fi.uniform((0, 3), seed=0)),
    ("identity 5", lambda: fi.identity(5)),
    ("orthogonal 9x5 --dtype complex64", lambda: fi.orthogonal((9, 5), dtype="complex64", seed=0)),
    ("truncated_normal 50 --lower -infinity --upper 1", lambda: fi.truncated_normal(50, lower=-np.inf, upper=1.0, seed=0)),
    ("identity 9x5 --gain 2", lambda: fi.identity((9, 5), gain=2.0)),
    ("dirac 3x4x4", lambda: fi.dirac((3, 4, 4))),
    ("constant 11 --value -0.5", lambda: fi.constant(11, -0.5)),
    ("ones 1x1000 --dtype float64", lambda: fi.ones((1, 1000), dtype="float64")),
]  # fmt: skip


@pytest.mark.parametrize("slab", [300, 1 << 26])
@pytest.mark.parametrize(("line", "make"), FILLS, ids=[line for line, _ in FILLS])
def test_fill_equals_the_function(
    line: str, make: Callable[[], Any], slab: int, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(_fill_command, "_SLAB", slab)
    monkeypatch.setattr(_fill_command, "_PAGE", 16)
    path = tmp_path / "w.npy"
    assert main(["fill", *line.split(), "-o", str(path), "--json"]) == 0
    want = np.asarray(make())
    got = np.load(path)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert got.tobytes() == want.tobytes()
    printed = capsys.readouterr()
    assert printed.err == ""
    result = json.loads(printed.out)
    assert set(result) == {"path", "shape", "dtype", "seconds", "gb_per_s"}
    assert result["shape"] == list(want.shape)
    assert result["path"] == str(path)
    assert [p.name for p in tmp_path.iterdir()] == ["w.npy"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_fill_says_how_to_read_what_npy_cannot_name(
    dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in (["16x8"], ["16x8", "--shard", "3:9,2:"], ["0x8"]):
        path = tmp_path / "w.npy"
        assert main(["fill", "he_normal", *line, "--dtype", dtype, "-o", str(path)]) == 0
        assert f"np.load({str(path)!r}).view(ml_dtypes.{dtype})" in capsys.readouterr().out
        stored = np.load(path)
        want = fi.he_normal((16, 8), dtype=dtype, seed=0)
        want = {"16x8": want, "0x8": want[:0]}[line[0]] if len(line) == 1 else want[3:9, 2:]
        assert stored.dtype.str == f"|V{want.itemsize}"
        assert stored.view(getattr(ml_dtypes, dtype)).tobytes() == want.tobytes()


@pytest.mark.parametrize(
    ("shape", "itemsize", "columns"),
    [((7, 5), 4, False), ((7, 5), 4, True), ((3, 4, 50), 4, False), ((1, 1000), 2, False), ((9,), 8, False)],
)
def test_pieces_cover_each_element_once(
    shape: tuple[int, ...], itemsize: int, columns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_fill_command, "_SLAB", 64)
    monkeypatch.setattr(_fill_command, "_PAGE", 8)
    count = np.zeros(shape, int)
    for piece in _fill_command.pieces(shape, itemsize, columns):
        count[piece] += 1
        assert count[piece].size * itemsize <= 64
    assert (count == 1).all()


@pytest.mark.parametrize(("line", "message"), [
    ("nope 3x3", "INIT must be one of normal"),
    ("normal 3xx", "SHAPE must look like 4096x4096"),
    ("normal 3.5", "SHAPE must look like 4096x4096"),
    ("normal 3x-3", "negative dimensions are not allowed"),
    ("normal 9999999999x9999999999", "too large"),
    ("normal 3x3 --mode fan_in", "--mode is not an option of normal; it takes --mean, --std"),
    ("truncated_normal 3x3 --gain 2", "takes --mean, --std, --lower, --upper, --bounds, --correct-std"),
    ("zeros 3x3 --gain 2", "--gain is not an option of zeros; it takes none"),
    ("uniform 3x3 --correct-std", "--correct-std is not an option of uniform"),
    ("normal 3x3 --std -1", "std < 0"),
    ("normal 3x3 --mean nan", "mean must be finite"),
    ("normal 3x3 --mean -inf", "mean must be finite"),
    ("normal 3x3 --shard 1", "--shard must look like"),
    ("normal 3 --shard :,:", "--shard has 2 slices"),
    ("normal 3 --shard ::0", "--shard must look like"),
    ("xavier_normal 3x3 --gain nope", "gain: activation must be one of linear"),
    ("normal 3x3 --dtype int8", "dtype must be one of"),
    ("he_normal 9", "at least 2 dimensions"),
    ("he_normal 3x3 --gain loud", "gain: activation must be one of linear"),
    ("he_normal 3x4 --blocks 3", "blocks"),
    ("normal 3x3 --seed -1", "--seed must be at least 0, got -1"),
    ("normal 3x3 --num-threads 0", "num_threads must be at least 1"),
])  # fmt: skip
def test_fill_errors(line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fill", *line.split(), "-o", str(tmp_path / "w.npy")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("fastinit fill: error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("line", ["", "normal", "normal 3x3", "normal 3 --unknown 1 -o w", "normal 3 --std x -o w",
                                  "he_normal 4x4 --blocks a -o w"])  # fmt: skip
def test_usage_errors(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fill", *line.split()])
    assert stop.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_places_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (tmp_path, tmp_path / "missing" / "w.npy", Path(os.devnull), tmp_path / "w.safetensors"):
        assert main(["fill", "normal", "3x3", "-o", str(place)]) == 2
        assert "--output must " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_that_may_not_be_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rename would put another in its place all the same."""
    path = tmp_path / "w.npy"
    path.write_bytes(b"kept")
    path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda name, mode: mode != os.W_OK)  # as for others than root
    assert main(["fill", "normal", "3", "-o", str(path)]) == 2
    assert "--output must be a file that may be written over" in capsys.readouterr().err
    assert path.read_bytes() == b"kept" and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("line", ["fill normal 3 -o w.npy", "propagate --depth 2", "info", ""])
def test_an_impossible_number_of_threads_in_the_environment(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASTINIT_NUM_THREADS", "0")
    assert main(line.split()) == 2
    assert "error: FASTINIT_NUM_THREADS must be an int of at least 1, got '0'" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_fill_over_a_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "w.npy"
    path.touch(mode=0o600)
    assert main(["fill", "normal", "3", "-o", str(path)]) == 0
    assert path.stat().st_mode & 0o777 == 0o600


def test_fill_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    (tmp_path / "link.npy").symlink_to(tmp_path / "w.npy")
    assert main(["fill", "ones", "3", "-o", str(tmp_path / "link.npy")]) == 0
    assert (tmp_path / "link.npy").is_symlink()
    assert (np.load(tmp_path / "w.npy") == 1).all()


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "fastinit fill: interrupted"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "bytes: No space left on device"),
        (MemoryError(), 2, "fastinit fill: error: MemoryError"),
    ],
)
@pytest.mark.parametrize("step", ["_reserve", "fill_slabs", "_sync"])
def test_a_fill_that_stops_leaves_the_old_file(
    step: str, error: BaseException, code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "w.npy"
    path.write_bytes(b"old")

    def fail(*args: object) -> None:
        assert len(list(tmp_path.iterdir())) == 2
        raise error

    monkeypatch.setattr(_fill_command, step, fail)
    assert main(["fill", "normal", "8x8", "-o", str(path)]) == code
    assert message in capsys.readouterr().err
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["w.npy"]


def test_more_than_the_disk_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # 3 EiB: no file system of today.
    assert main(["fill", "normal", "1000000x1000000x860000", "-o", str(tmp_path / "w.npy")]) == 2
    assert "fastinit fill: error: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_does_not_follow_the_file(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from fastinit.__main__ import main\n"
        "def peak():\n"
        "    return [int(x.split()[1]) for x in open('/proc/self/status') if x.startswith('VmHWM')][0]\n"
        "before = peak()\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print(peak() - before)\n"
    )
    line = ["fill", "uniform", "8192x8192", "-o", str(tmp_path / "w.npy")]
    done = subprocess.run([sys.executable, "-c", code, *line], capture_output=True, text=True, check=True)
    # KiB: one slab of 64 MiB at a time, of a file of 256 MiB.
    assert int(done.stdout.splitlines()[-1]) < 100 << 10


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize(("number", "message"), [(signal.SIGINT, "fastinit fill: interrupted"), (signal.SIGTERM, ""),
                                                (getattr(signal, "SIGHUP", signal.SIGTERM), "")])  # fmt: skip
def test_a_signal_leaves_nothing(number: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "w.npy"
    # A shell may have started the tests with SIGINT ignored, which children inherit.
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "hasattr(signal, 'SIGHUP') and signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from fastinit.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    line = ["fill", "sparse", "16384x8192", "--num-threads", "1", "-o", str(path)]
    process = subprocess.Popen([sys.executable, "-c", code, *line], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.1)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number, err
    assert message in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("initializer", ["normal", "orthogonal"])
@pytest.mark.parametrize("fails", [False, True])
def test_the_file_is_not_mapped_when_it_is_renamed_or_removed(
    initializer: str, fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # Windows refuses both
    seen = []

    def checked(act: Callable[..., None]) -> Callable[..., None]:
        def call(path: str, *args: str) -> None:
            seen.append(path)
            assert path not in Path("/proc/self/maps").read_text()
            act(path, *args)
        return call

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", checked(os.replace))
    monkeypatch.setattr(os, "unlink", checked(os.unlink))
    if fails:
        monkeypatch.setattr(_fill_command.tqdm, "update", fail)
    assert main(["fill", initializer, "600x500", "-o", str(tmp_path / "w.npy")]) == (130 if fails else 0)
    assert len(seen) == 1 and len(list(tmp_path.iterdir())) == (0 if fails else 1)


def test_tour() -> None:
    result = _tour.measure(256)
    for row in result["rows"]:
        assert abs(row["std_measured"] - row["std_asked"]) < 0.02 * row["std_asked"] + 1e-9
        assert (row["times_numpy"] is None) == (row["numpy_peer"] is None)
    aliases = {"glorot_normal", "glorot_uniform", "kaiming_normal", "kaiming_uniform", "eye"}
    assert {row["initializer"] for row in result["rows"]} == set(INITIALIZERS) - aliases
    text = _tour.table(result)
    assert len({len(line) for line in text.split("\n\nWill it train?")[0].splitlines()[3:]}) == 1
    assert fi.__version__ in text
    assert fi.isa() in text


@pytest.mark.slow
def test_tour_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    measured = _tour.measure(64)
    monkeypatch.setattr(_tour, "measure", lambda: measured)
    assert main([]) == 0
    assert capsys.readouterr().out.startswith(f"fastinit {fi.__version__}")
    assert main(["--json"]) == 0
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert printed["n"] == 64 and printed["depth"]["relu"][0]["gradient_log10"] == "-inf"


def test_info_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for line in (["info", "--json"], ["--json", "info"]):
        assert main(line) == 0
        info = json.loads(capsys.readouterr().out)
        assert info["isa"] in info["available_isas"]
        assert info["contract_version"] == fi.CONTRACT_VERSION
        assert info["threads"] == fi.get_num_threads()
        assert info["numpy"] == np.__version__
    assert main(["info"]) == 0
    assert fi.isa() in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"fastinit {fi.__version__}\n"
    for command in ([], ["fill"], ["info"]):
        with pytest.raises(SystemExit) as stop:
            main([*command, "--help"])
        assert stop.value.code == 0
        assert "example:" in capsys.readouterr().out.strip().splitlines()[-2]


def test_module_runs() -> None:
    done = subprocess.run([sys.executable, "-m", "fastinit", "info", "--json"], capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert json.loads(done.stdout)["version"] == fi.__version__


def test_module_reports_an_impossible_isa() -> None:
    done = subprocess.run([sys.executable, "-m", "fastinit", "info"], capture_output=True, text=True, check=False,
                          env={**os.environ, "FASTINIT_ISA": "nonesuch"})  # fmt: skip
    assert done.returncode == 2
    assert "nonesuch" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("buffered", ["", "1"])
def test_output_that_nobody_takes(buffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": buffered}
    command = [sys.executable, "-m", "fastinit", "info"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (2, "fastinit info: error: cannot print: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    os.close(writer)
    assert (done.returncode, done.stderr) == (2, "")


def test_names_that_the_terminal_cannot_print(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    np.savez(tmp_path / "w.npz", **{"réseau.weight": np.eye(4)})
    for line in (["fill", "normal", "3", "-o", str(tmp_path / "é.npy")], ["weights", str(tmp_path / "w.npz")]):
        done = subprocess.run([sys.executable, "-m", "fastinit", *line], capture_output=True, text=True, check=False,
                              env=environment)  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert "\\xe9" in done.stdout or "\\udc" in done.stdout
