"""Options, sizes and names of the benchmarks.

pytest bench/                          minutes; each group of the table stands for one task
pytest bench/ --large                  every fill and initializer in every dtype at every size to 2**28, whole models:
                                       an hour
pytest bench/ --benchmark-disable      each answer is asserted once at small sizes, nothing is timed
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import fastinit as fi

# `from bench import peers`; last, so that an installed fastinit stays ahead of the checkout's.
sys.path.append(str(Path(__file__).parent.parent))

UNTIMED = (2**10, 2**18)
EVERY = tuple(2**k for k in (10, 14, 18, 22, 25, 28))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--large", action="store_true", help="benchmarks: every fill at every size to 2**28, whole models")


def pytest_configure(config: pytest.Config) -> None:
    # Best of a few rounds: the smallest time is the one that others on the machine disturb least.
    if not hasattr(config.option, "benchmark_sort"):
        raise pytest.UsageError("the benchmarks need pytest-benchmark")
    config.option.benchmark_columns = ["min", "median", "rounds"]
    config.option.benchmark_sort = "min"
    config.addinivalue_line("markers", "sizes(*sizes): numbers of elements that a benchmark of fills is timed at")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("sizes")
    if marker is not None:
        option = metafunc.config.getoption
        sizes = UNTIMED if option("benchmark_disable") else EVERY if option("--large") else marker.args
        metafunc.parametrize("size", sizes, ids=lambda n: f"2^{n.bit_length() - 1}")


@pytest.fixture(scope="session")
def timed(request: pytest.FixtureRequest) -> bool:
    """False under --benchmark-disable: only the answers count, so small sizes do."""
    return not request.config.getoption("benchmark_disable")


@pytest.fixture
def row(benchmark: Any) -> Callable[..., Any]:
    """The benchmark as the row of a library within the group of a task; `facts` go to the report."""

    def label(group: str, library: str, **facts: Any) -> Any:
        benchmark.group = group
        benchmark.name = library
        benchmark.extra_info.update(library=library, **facts)
        return benchmark

    return label


def _command(config: pytest.Config) -> str:
    part = config.option.keyword
    files = [Path(a.split("::")[0]).name for a in config.args]
    if files == ["bench"] and not part:
        return "python -m bench" + " --large" * config.getoption("--large")
    where = " ".join("bench/" if name == "bench" else f"bench/{name}" for name in files)
    return f"pytest {where}" + f" -k '{part}'" * bool(part) + " --large" * config.getoption("--large")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["fastinit"] = {
        "version": fi.__version__,
        "isa": fi.isa(),
        "threads": fi.get_num_threads(),
        "compiler": fi.build_info()["compiler"],
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "command": _command(config),
    }


def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """The statistics are kept, not the time of every round: those of short calls are hundreds of megabytes."""
    for stored in output_json["benchmarks"]:
        stored["stats"].pop("data", None)
