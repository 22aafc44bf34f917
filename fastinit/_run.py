"""From checked arguments to one call of the core, or to a list of jobs that one call takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import _core
from ._args import Array, Target

# Codes of Asked in src/ops/fill.h.
UNIFORM, NORMAL, TRUNCATED, WORDS, TRUNCATED_ABSOLUTE = range(5)

Job = tuple[Any, ...]


class _Local(threading.local):
    jobs: list[Job] | None = None


_local = _Local()


@contextmanager
def collecting() -> Iterator[list[Job]]:
    """Within it, fills of this thread are listed instead of run: for `initialize`."""
    before, _local.jobs = _local.jobs, []
    try:
        yield _local.jobs
    finally:
        _local.jobs = before


def run(
    target: Target,
    law: int,
    p0: float,
    p1: float,
    key: int,
    threads: int,
    lo: float = 0.0,
    hi: float = 0.0,
) -> Array:
    """Fill the target's array by one law; returns the array."""
    out = target.out
    job = (out, target.code, law, p0, p1, lo, hi, key, target.base, target.steps)
    if _local.jobs is not None:
        _local.jobs.append(job)
    else:
        _core.fill([job], threads)
    return out


def run_now(jobs: list[Job], threads: int) -> None:
    """Run collected jobs by one team of threads."""
    if jobs:
        _core.fill(jobs, threads)
