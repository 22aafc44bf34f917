"""The report of the benchmarks, what they stand beside, and what they assert. Needs the packages of the `bench` extra."""

from __future__ import annotations

import io
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("sklearn", "scipy", "matplotlib", "threadpoolctl", "pytest_benchmark"):
    pytest.importorskip(needed)

import bench.__main__ as everything  # noqa: E402
from bench import answers, convergence, initializers, peers, report  # noqa: E402
from fastinit.spec import INITIALIZERS  # noqa: E402


def stored_run(rows: list[dict[str, Any]]) -> dict[str, Any]:
    benchmarks = [
        {"group": r.pop("group"), "name": r["library"], "stats": {"min": r.pop("seconds")}, "extra_info": r} for r in rows
    ]
    return {"machine_info": {"cpu": {"brand_raw": "A CPU"}, "fastinit": {"threads": 2, "isa": "avx2"}},
            "benchmarks": benchmarks}  # fmt: skip


def test_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = []
    for size in (2**10, 2**20):
        for threads in (1, 2):
            for library, ns in (("fastinit", 0.5), ("numpy", 5.0), ("stores alone", 0.1)):
                seconds = ns * size / threads * 1e-9
                rows.append({"group": f"{size} {threads}", "library": library, "task": "fill", "law": "normal",
                             "dtype": "float32", "size": size, "threads": threads, "seconds": seconds})  # fmt: skip
    for n in (256, 512):
        rows.append({"group": f"orthogonal {n}", "library": "fastinit", "task": "orthogonal", "shape": "square", "n": n,
                     "dtype": "float32", "threads": 2, "seconds": n**3 * 1e-11})  # fmt: skip
    rows.append({"group": "product", "library": "BLAS", "task": "limit", "kind": "matrix product", "dtype": "float32",
                 "threads": 2, "flops": 2 * 512**3, "seconds": 0.002})  # fmt: skip
    path = tmp_path / "results.json"
    path.write_text(json.dumps(stored_run(rows)))
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- speed -->\nold\n<!-- /speed -->\nafter\n")
    assert report.main([str(path), "--output", str(tmp_path / "out"), "--readme", str(readme)]) == 0
    written = readme.read_text(encoding="utf-8")
    assert written.startswith("before\n<!-- speed -->\nA CPU") and written.endswith("<!-- /speed -->\nafter\n")
    assert "old" not in written and re.search(r"normal float32 2\^20 \| +2 \| +4 \| +10 \|", written)
    assert "| G/s, 1 thread | G/s, 2 threads | × numpy, 1 thread |" in written
    shown = capsys.readouterr().out
    line = next(line for line in shown.splitlines() if line.startswith("| normal float32 2^20"))
    assert [c.strip() for c in line.split("|")[1:-1]] == ["normal float32 2^20", "2", "10", "20%"]
    assert "A CPU, 2 threads, avx2" in shown
    assert "134 GFLOP/s" in shown
    assert re.search(r"\| product +\| BLAS +\| +2 \| +2 ms \| 134 GFLOP/s \| +– \|", shown)  # nothing of fastinit beside it
    made = {p.name for p in (tmp_path / "out").iterdir()}
    assert made == {"report.md", "speed.png", "threads.png", "share.png", "orthogonal.png"}


def fill_row(library: str, size: int, seconds: float, **rest: Any) -> dict[str, Any]:
    return {"group": f"{rest.get('law', 'normal')} {size}", "library": library, "task": "fill", "law": "normal",
            "dtype": "float32", "size": size, "threads": 1, "seconds": seconds, **rest}  # fmt: skip


def cells(text: str, start: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [c.strip() for c in line.split("|")[1:-1]]


def test_report_of_initializers(tmp_path: Path) -> None:
    """Beside peers at the largest size that they have, by the limit of other laws, and every size in a table."""
    rows = [fill_row(report.LIMIT, 2**k, 2**k * 1e-10) for k in (20, 28)]
    rows += [fill_row("fastinit", 2**k, 2**k * 1e-9, task="initializer", law="ones") for k in (20, 28)]
    rows += [fill_row("torch", 2**20, 2**20 * 4e-9, task="initializer", law="ones")]
    rows += [fill_row("mkl", 2**20, 2**20 * 2e-9, way="ARS5, ICDF"), fill_row("mkl", 2**28, 0.5, way="SFMT19937, ICDF")]
    rows += [{"group": "models", "library": "numpy", "task": "model", "threads": 1, "seconds": 1.0}]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(stored_run(rows)))
    text = report.report(*report.load(path))
    before, after = text.split("### Every fill by size")
    assert cells(before, "ones") == ["ones float32 2^20", "1", "4", "10%"]
    assert cells(after, "ones") == ["ones float32", "1", "1"]
    assert cells(after, "normal float32 2^28") == ["normal float32 2^28", "SFMT19937, ICDF"]
    assert cells(after, "models") == ["models", "numpy", "1", "1 s", "–", "–"]


class Narrow(io.StringIO):
    """A terminal of ASCII, or one that is gone."""

    encoding = "ascii"
    gone = False

    def write(self, text: str) -> int:
        if self.gone:
            raise BrokenPipeError
        return super().write(text.encode("ascii").decode())


def test_any_terminal_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = tmp_path / "results.json", Narrow()
    path.write_text(json.dumps(stored_run([fill_row("fastinit", 2**20, 1e-3), fill_row("numpy", 2**20, 1e-2)])))
    monkeypatch.setattr(sys, "stdout", out)
    assert report.main([str(path), "--output", str(tmp_path / "a")]) == 0
    assert "? numpy" in out.getvalue() and "× numpy" in (tmp_path / "a" / "report.md").read_text(encoding="utf-8")
    out.gone = True
    with pytest.raises(BrokenPipeError):
        report.main([str(path), "--output", str(tmp_path / "b")])
    assert {p.name for p in (tmp_path / "b").iterdir()} == {p.name for p in (tmp_path / "a").iterdir()} >= {"speed.png"}


def test_everything_keeps_its_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bench").mkdir()
    calls: list[list[str]] = []
    monkeypatch.setattr(everything, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench", "--large"])
    monkeypatch.setattr(everything.pytest, "main", lambda line: calls.append(line) or 0)
    for module in (report, convergence):
        monkeypatch.setattr(module, "main", lambda line: calls.append(line) or 0)
    monkeypatch.setattr(everything, "command_line", lambda line: calls.append(line) or 0)
    assert everything.main() == 0
    results = str(tmp_path / "bench" / "plots" / "results.json")
    assert f"--benchmark-json={results}" in calls[0] and "--large" in calls[0] and calls[1][0] == results
    assert len(calls) == 4 and (tmp_path / "bench" / "plots").is_dir()
    monkeypatch.setattr(everything.pytest, "main", lambda line: 3)
    assert everything.main() == 3 and len(calls) == 4  # nothing is made of a run that failed


class Clock:
    """Time that passes only where a way of filling says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def takes(self, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.now += seconds

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(peers.time, "perf_counter", lambda: made.now)
    caches = (peers.best_mkl, peers.best_mkl_random, peers.best_randomgen)
    for best in caches:
        best.cache_clear()
    yield made
    for best in caches:
        best.cache_clear()


def test_fastest(clock: Clock) -> None:
    assert peers.fastest({n: clock.takes(t) for n, t in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("d", 4.0))}) == "b"
    slow_at_first = iter([9.0, 9.0, *[0.5] * 5])
    ways = {"steady": clock.takes(1.0), "warms up": lambda: clock.takes(next(slow_at_first))()}
    assert peers.fastest(ways) == "warms up"


def test_generators_are_chosen_at_the_size_of_the_fill(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def fill(law: str, generator: str, method: str, out: np.ndarray) -> Callable[[], None] | None:
        seen.append((generator, method, out.size))
        if generator == "R250":
            return None  # it does not exist here
        best = "ARS5" if out.size <= 2**12 else "MT2203"
        return clock.takes(1.0 if (generator, method) == (best, "ICDF") else 2.0)

    monkeypatch.setattr(peers, "_mkl_fill", fill)
    assert peers.best_mkl("normal", "float32", 2**12) == ("ARS5", "ICDF")
    assert peers.best_mkl("normal", "float32", 2**16) == ("MT2203", "ICDF")
    ways = {(g, m) for g in peers.GENERATORS for m in peers.METHODS["normal"]}
    assert {(g, m) for g, m, _ in seen} == ways and len(ways) == 27
    monkeypatch.setattr(peers, "CHOSEN_AT", 2**10)
    monkeypatch.setattr(peers, "PEERS", {"mkl": peers._PEERS["mkl"]})
    seen.clear()
    assert peers.way("mkl", "normal", np.zeros(2**11, np.float32)) == "ARS5, ICDF"
    assert {size for _, _, size in seen} == {2**10}
    assert peers.way("fastinit", "normal", np.zeros(4)) == ""


def test_every_initializer_has_a_benchmark() -> None:
    functions = {INITIALIZERS[n] for n in (*initializers.NAMES, *peers.LAWS)}
    assert functions == set(INITIALIZERS.values())
    assert set(initializers.CHECKS) == set(initializers.NAMES)
    for name in initializers.NAMES:
        for k in (10, 13, 28):
            shape = initializers.shape_of(name, 2**k)
            assert math.prod(shape) == 2**k and shape[-2] <= shape[-1] <= 2 * shape[-2]


EYE = np.eye(8, dtype=np.float32)
KERNEL = np.zeros((4, 8, 8), np.float32)
KERNEL[2] = EYE
RIGHT_AND_WRONG: dict[str, tuple[Callable[[Any], None], np.ndarray, list[np.ndarray]]] = {
    "moments": (lambda a: answers.assert_moments(a, 0.0, 1.0), np.random.default_rng(0).standard_normal(2**16),
                [np.zeros(2**16), np.ones(2**16), np.full(2**16, np.nan), np.random.default_rng(0).random(2**16)]),
    "orthonormal": (answers.assert_orthonormal, EYE, [2 * EYE, np.ones_like(EYE), EYE[:, ::-1] * np.float32(1.001)]),
    "delta": (answers.assert_delta, KERNEL, [np.zeros_like(KERNEL), KERNEL * 2, np.stack([EYE] * 4)]),
    "constant": (lambda a: answers.assert_constant(a, 0.5), EYE * 0 + 0.5, [EYE]),
    "diagonal": (answers.assert_diagonal, EYE, [2 * EYE, EYE[::-1], EYE * 0, EYE + 1]),
    "dirac": (answers.assert_diagonal, KERNEL, [KERNEL[::-1], np.stack([EYE] * 4)]),
    "sparse": (lambda a: answers.assert_sparse(a, 0.5, 1.0), np.kron([[1.0], [0.0]], EYE.repeat(8, 0) * 0 + 1),
               [np.ones((16, 8)), np.zeros((16, 8)), np.kron([[9.0], [0.0]], np.ones((8, 8)))]),
}  # fmt: skip


@pytest.mark.parametrize("kind", RIGHT_AND_WRONG)
def test_answers_are_asserted(kind: str) -> None:
    check, right, wrong = RIGHT_AND_WRONG[kind]
    check(right)
    for values in wrong:
        with pytest.raises(AssertionError):
            check(values)


@pytest.mark.parametrize(("module", "name"), [(report, "speed"), (convergence, "convergence")])
def test_paths_are_checked_before_any_work(
    module: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(convergence, "study", pytest.fail)
    results, unmarked = tmp_path / "results.json", tmp_path / "unmarked.md"
    results.write_text(json.dumps(stored_run([{"group": "g", "library": "fastinit", "seconds": 1.0}])))
    unmarked.write_text("nothing")
    line = [str(results)] if module is report else ["--quick"]
    assert module.main([*line, "--output", str(tmp_path / "out"), "--readme", str(unmarked)]) == 2
    assert f"has no marks <!-- {name} -->" in capsys.readouterr().err
    assert module.main([*line, "--output", str(tmp_path / "out"), "--readme", "nowhere.md"]) == 2
    assert "--readme must be a file that exists, got 'nowhere.md'" in capsys.readouterr().err
    assert module.main([*line, "--output", str(unmarked)]) == 2
    assert "exist" in capsys.readouterr().err  # as the system words it
    assert not (tmp_path / "out").exists() and unmarked.read_text() == "nothing"


@pytest.mark.parametrize("text", [
    "", "[]", '{"benchmarks": []}', '{"machine_info": {}, "benchmarks": []}', '{"machine_info": {}, "benchmarks": [{}]}',
    '{"machine_info": {}, "benchmarks": [7]}', '{"machine_info": {}, "benchmarks": 7}', "{", "null", "\0",
])  # fmt: skip
def test_report_of_no_result(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    assert report.main([str(path), "--output", str(tmp_path / "out")]) == 2
    assert "is no result of pytest-benchmark" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


GOOD_ROW = {"group": "g", "library": "fastinit", "task": "fill", "law": "normal", "dtype": "float32", "size": 1024,
            "threads": 1, "seconds": 1.0}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), [
    ({"law": None}, "g has no law"),
    ({"task": "orthogonal"}, "g has no n"),
    ({"size": "many"}, "g: size is 'many'"),
    ({"threads": -1}, "g: threads is -1"),
    ({"task": "limit", "flops": 10, "dtype": None}, "g has no dtype"),
    ({"seconds": 0.0}, "g took 0.0 seconds"),
    ({"seconds": "long"}, "could not convert string to float"),
])  # fmt: skip
def test_report_of_broken_rows(
    tmp_path: Path, change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, row = tmp_path / "results.json", {k: v for k, v in (GOOD_ROW | change).items() if v is not None}
    path.write_text(json.dumps(stored_run([row])))
    assert report.main([str(path), "--output", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"report: error: {path} is no result of pytest-benchmark") and message in shown


def test_report_of_a_machine_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.json"
    for machine in ([], {"cpu": 7}, None):
        path.write_text(json.dumps(stored_run([dict(GOOD_ROW)]) | {"machine_info": machine}))
        assert report.main([str(path), "--output", str(tmp_path / "out")]) == 2
        assert "is no result of pytest-benchmark" in capsys.readouterr().err
