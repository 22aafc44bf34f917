"""Fixtures over the orthogonal switches: instruction sets and thread counts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes  # noqa: F401  (gives NumPy the names bfloat16 and float8_...)
import pytest

import fastinit as fi
from fastinit import _core

# For tests of `bench`; last, so that an installed fastinit stays ahead of the checkout's.
sys.path.append(str(Path(__file__).parent.parent))


@pytest.fixture(autouse=True)
def _isa_of_the_run() -> Iterator[None]:
    """What a test chooses ends with it: the others run on the best, or on what FASTINIT_ISA names."""
    before = _core.isa()
    yield
    _core.set_isa(before)


@pytest.fixture(params=fi.available_isas())
def isa(request: pytest.FixtureRequest) -> str:
    """Each instruction set of this machine in turn."""
    name: str = request.param
    _core.set_isa(name)
    return name


def pytest_report_header() -> str:
    return f"fastinit: ISA {fi.isa()} of {', '.join(fi.available_isas())}; {fi.get_num_threads()} threads"
