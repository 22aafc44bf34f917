"""Options, sizes and names of the benchmarks.

pytest bench/                          minutes; each group of the table stands for one task
pytest bench/ --large                  fills to 2**28, whole models: some 30 GiB written, half an hour
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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--large", action="store_true", help="benchmarks: fills to 2**28 elements, whole models")


def pytest_configure(config: pytest.Config) -> None:
    # Best of a few rounds: the smallest time is the one that others on the machine disturb least.
    if not hasattr(config.option, "benchmark_sort"):
        raise pytest.UsageError("the benchmarks need pytest-benchmark")
    config.option.benchmark_columns = ["min", "median", "rounds"]
    config.option.benchmark_sort = "min"


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
    command = f"pytest bench/ -k '{part}'" if part else "python -m bench"
    return command + " --large" * config.getoption("--large")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["fastinit"] = {
        "version": fi.__version__,
        "isa": fi.isa(),
        "threads": fi.get_num_threads(),
        "compiler": fi.build_info()["compiler"],
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "command": _command(config),
    }
