"""From checked arguments to orthogonal matrices in the core: selections, stacks, dtypes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from . import _core
from ._keys import Key, fold_all
from ._target import Target, span
from ._types import Array, Progress

_TEMPORARY = 1 << 26  # bytes of finished matrices that wait for their rounding
_AT_ONCE = 1 << 16  # matrices whose keys are held at once


class Axes(NamedTuple):
    """What the dimensions of a tensor of orthogonal matrices mean."""

    rows: tuple[int, ...]  # axes
    column: int
    batch: tuple[int, ...]
    sizes: tuple[int, ...] | None  # of blocks along the column axis


class Selection(NamedTuple):
    """Indices first, first + step, ... of one side of a matrix; then `take` of those, if not all."""

    first: int
    step: int
    length: int
    take: Any

    def is_all_of(self, n: int) -> bool:
        return self.take is None and (self.first, self.step, self.length) == (0, 1, n)


def _progression(indices: range) -> Selection:
    """The same indices rising, and whether they are to be taken backwards."""
    n = len(indices)
    if n < 2:
        return Selection(indices[0] if n else 0, 1, n, None)
    if indices.step > 0:
        return Selection(indices[0], indices.step, n, None)
    return Selection(indices[-1], -indices.step, n, slice(None, None, -1))


def _selection(ranges: Sequence[range], shape: Sequence[int]) -> Selection:
    """Flattened C-order indices of a block of some axes."""
    if len(ranges) == 1:
        return _progression(ranges[0])
    if all(r == range(n) for r, n in zip(ranges, shape, strict=True)):
        return _progression(range(math.prod(shape)))  # without a list of them: tall matrices have many
    indices = _flat([*zip(ranges, shape, strict=True)], 0, math.prod(map(len, ranges)))
    if len(indices) == 1:
        return _progression(range(int(indices[0]), int(indices[0]) + 1))
    steps = np.unique(np.diff(indices))
    if len(steps) == 1:
        step = int(steps[0])
        return _progression(range(int(indices[0]), int(indices[-1]) + (1 if step > 0 else -1), step))
    low = int(indices.min())
    return Selection(low, 1, int(indices.max()) - low + 1, indices - low)


def _flat(axes: Sequence[tuple[range, int]], first: int, count: int) -> Array:
    """Flattened C-order indices of elements first, ... of a block of axes, each with its whole length."""
    at = np.unravel_index(np.arange(first, first + count), [len(taken) for taken, _ in axes])
    found = np.zeros(count, np.int64)
    for (taken, n), i in zip(axes, at, strict=True):
        found = found * n + taken.start + taken.step * i
    return found


def fill(target: Target, axes: Axes, key: Key, scale: float, method: str, progress: Progress | None) -> None:
    """All matrices of the target."""
    if target.out.size == 0:
        return
    shape, ranges = target.shape, target.ranges()
    out = target.out.transpose(*axes.batch, *axes.rows, axes.column)
    lead = len(axes.batch)
    batch = math.prod(out.shape[:lead])
    stacked = [(ranges[a], shape[a]) for a in axes.batch]
    rows = _selection([ranges[a] for a in axes.rows], [shape[a] for a in axes.rows])
    n_rows = math.prod(shape[a] for a in axes.rows)
    columns = ranges[axes.column]
    sizes = axes.sizes or (shape[axes.column],)
    begins = list(accumulate(sizes, initial=0))
    done = 0
    # The largest first: if memory does not suffice for it, nothing has been written.
    for j in sorted(range(len(sizes)), key=lambda j: -sizes[j]):
        begin, size = begins[j], sizes[j]
        first, last = span(columns, begin, begin + size)
        part = columns[first:last]
        if len(part):
            view = out[..., first:last]
            stack = view.reshape(batch, math.prod(out.shape[lead:-1]), len(part))
            inside = np.may_share_memory(stack, view)
            made = _progression(range(part.start - begin, part.stop - begin, part.step))
            for at in range(0, batch, _AT_ONCE):
                some = stack[at : at + _AT_ONCE]
                keys = fold_all(key.bits, _flat(stacked, at, len(some)).tolist()) if stacked else [key.bits]
                if axes.sizes is not None:
                    keys = [fold_all(k, [j])[0] for k in keys]
                share = _Share(progress, done / target.out.size, some.size / target.out.size)
                _Stack(some, (n_rows, size), rows, made, keys, scale, method, target.threads).fill(share)
                done += some.size
            if not inside:
                view[...] = stack.reshape(view.shape)


class _Share:
    """The part of the progress that one stack makes."""

    def __init__(self, progress: Progress | None, start: float, length: float) -> None:
        self.progress, self.start, self.length = progress, start, length

    def within(self, start: float, length: float) -> Progress | None:
        """What the core calls with 0 to 1."""
        tell = self.progress
        if tell is None:
            return None
        return lambda done: tell(min(1.0, self.start + self.length * (start + length * done)))


class _Stack:
    """Blocks of equal-shaped matrices: a (batch, rows, columns) array."""

    def __init__(self, out: Array, shape: tuple[int, int], rows: Selection, columns: Selection,
                 keys: list[int], scale: float, method: str, threads: int) -> None:  # fmt: skip
        if shape[0] < shape[1]:  # the transpose of the tall one
            out, shape, rows, columns = out.transpose(0, 2, 1), (shape[1], shape[0]), columns, rows
        self.out, self.shape, self.rows, self.columns = out, shape, rows, columns
        self.keys, self.scale, self.method, self.threads = keys, scale, method, threads

    def fill(self, share: _Share) -> None:
        columns, rows = self.columns, self.rows
        whole = self.method == "qr" or self.out.dtype.kind == "c"  # these make all columns
        if columns.take is not None and isinstance(columns.take, slice) and not whole:
            self.out, columns = self.out[:, :, columns.take], columns._replace(take=None)
        direct = (
            self.out.dtype in (np.float32, np.float64, np.complex64, np.complex128)
            and rows.is_all_of(self.shape[0])
            and (columns.is_all_of(self.shape[1]) if whole else columns.take is None)
            and all(s % self.out.itemsize == 0 for s in self.out.strides)
            and self.out.itemsize in self.out.strides[2 if self.out.dtype.kind == "c" else 1 :]
            and self.out.flags.aligned
        )
        if direct:
            self._make(self.out, columns, self.keys, share.within(0.0, 1.0))
            return
        kind = self.out.dtype if self.out.itemsize >= 4 else np.dtype(np.float32)
        made = Selection(0, 1, self.shape[1], None) if whole else columns._replace(take=None)
        batch = len(self.keys)
        each = max(1, min(batch, _TEMPORARY // max(1, self.shape[0] * made.length * kind.itemsize)))
        matrices = np.empty((each, self.shape[0], made.length), kind)
        for j in range(0, batch, each):
            part = matrices[: min(each, batch - j)]
            self._make(part, made, self.keys[j : j + each], share.within(j / batch, len(part) / batch))
            if whole:
                part = part[:, :, columns.first :: columns.step][:, :, : columns.length]
            part = part if columns.take is None else part[:, :, columns.take]
            part = part[:, rows.first :: rows.step][:, : rows.length]
            with np.errstate(all="ignore"):  # of numbers too small for a narrow dtype
                self.out[j : j + each] = part if rows.take is None else part[:, rows.take]

    def _make(self, out: Array, columns: Selection, keys: list[int], progress: Progress | None) -> None:
        if out.dtype.kind == "c":
            return _core.unitary(out, self.scale, keys, self.threads, progress)
        _core.orthogonal(
            out, self.shape[1], columns.first, columns.step, self.scale, keys, self.method == "qr",
            self.threads, progress,
        )  # fmt: skip

