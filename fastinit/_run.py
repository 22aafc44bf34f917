"""From checked arguments to one call of the core, or to a plan that one call takes whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from . import _core
from ._args import named_errors
from ._target import Target
from ._types import Array

# Codes of Asked in src/ops/fill.h.
UNIFORM, NORMAL, TRUNCATED, WORDS, TRUNCATED_ABSOLUTE, CONSTANT = range(6)

Job = tuple[Any, ...]


class Plan:
    """Fills, and what follows them, put off so that one team of threads takes them all."""

    __slots__ = ("jobs", "name", "steps")

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.name = ""  # of the tensor that is planned
        self.steps: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = []

    def execute(self, threads: int) -> None:
        """The fills at once, then the steps in turn."""
        if self.jobs:
            _core.fill(self.jobs, threads)
        for name, function, args in self.steps:
            with named_errors(name):
                function(*args)


class _Local(threading.local):
    plan: Plan | None = None


_local = _Local()


@contextmanager
def _planning(plan: Plan | None) -> Iterator[None]:
    before, _local.plan = _local.plan, plan
    try:
        yield
    finally:
        _local.plan = before


@contextmanager
def collecting() -> Iterator[Plan]:
    """Within it, what initializers of this thread write is planned instead of done."""
    plan = Plan()
    with _planning(plan):
        yield plan


def at_once() -> AbstractContextManager[Any]:
    """Within it, nothing is planned: a user's function may read what it fills."""
    return _planning(None)


def is_planned() -> bool:
    """Whether what is written now is put off."""
    return _local.plan is not None


def run(
    target: Target,
    law: int,
    p0: float,
    p1: float,
    key: int,
    lo: float = 0.0,
    hi: float = 0.0,
) -> Array:
    """Fill the target's array by one law; returns what the caller gets."""
    job = (target.out, target.code, law, p0, p1, lo, hi, key, target.base, target.steps)
    plan = _local.plan
    if plan is None:
        _core.fill([job], target.threads)
    else:
        plan.jobs.append(job)
    return target.result


def clear(target: Target, part: Array) -> None:
    """Zeros into a part of the target's array, now: by its threads, and Ctrl-C stops it."""
    _core.fill([(part, target.code, CONSTANT, 0.0, 0.0, 0.0, 0.0, 0, 0, None)], target.threads)


def then(function: Callable[..., Any], *args: Any) -> None:
    """Call `function` after the fills so far: now, or as a step of the plan.

    Whatever else writes into an output goes through here, so that `initialize` can check
    every tensor before it touches any.
    """
    if _local.plan is None:
        function(*args)
    else:
        _local.plan.steps.append((_local.plan.name, function, args))
