"""Where a fill goes: the global shape, the block of it, and the array for the block."""

from __future__ import annotations

from bisect import bisect_left
from copy import copy
from typing import Any

import numpy as np

from ._args import FLOAT32, check_array, check_dtype, check_num_threads, check_out, check_shape, code_of
from ._keys import check_seed
from ._types import Array, Shape


def global_shape(shape: Any, out: Any, shard: Any, name: str = "shape") -> Shape:
    """The shape of the whole tensor: as it is given, else that of `out`."""
    if shape is not None:
        return check_shape(shape, name)
    if out is None:
        raise TypeError(f"{name} must be given when out is not")
    if shard is not None:
        raise TypeError(f"{name}, the global one, must be given with shard")
    return tuple(check_array(out).shape)


class Target:
    """The arguments common to all initializers, resolved.

    `result` is what the caller gets: the very `out` that was given, of which the array `out` is a
    plain view (a masked array would hide elements from what is written by index, a matrix keeps
    two dimensions).
    """

    __slots__ = ("base", "block", "code", "dtype", "out", "result", "shape", "steps", "threads")

    def __init__(
        self, shape: Shape, dtype: Any, seed: Any, out: Any, shard: Any, num_threads: Any,
        also: tuple[str, ...] = (), name: str = "shape",
    ) -> None:  # fmt: skip
        """What `global_shape` gave, and the arguments common to all initializers, checked in their order."""
        kind = None if dtype is None else check_dtype(dtype, also=also)
        if type(seed) is not int or seed < 0:
            check_seed(seed)
        if out is not None:
            out = check_out(out, kind, also)
            kind = out.dtype
        elif kind is None:
            kind = FLOAT32
        self.shape = local = shape
        self.dtype: np.dtype[Any] = kind
        code = code_of(kind)
        self.code = -1 if code is None else code  # of complex numbers
        self.base = 0
        self.steps: tuple[int, ...] | None = None
        self.block: list[range] | None = None
        if shard is not None:
            local = self._set_shard(shard)
        if out is not None and out.shape != local:
            raise ValueError(
                f"size must match out.shape: {'shard' if shard is not None else name} gives {local}, "
                f"out has {out.shape}"
            )
        self.threads = check_num_threads(num_threads)
        if out is None:
            out = np.empty(local, kind)
        self.result: Array = out
        self.out: Array = out if type(out) is np.ndarray else out.view(np.ndarray)

    def _set_shard(self, shard: Any) -> Shape:
        slices = (shard,) if isinstance(shard, slice) else shard
        if not isinstance(slices, (tuple, list)) or not all(isinstance(s, slice) for s in slices):
            raise TypeError(f"shard must be a tuple of slices, got {shard!r}")
        if len(slices) > len(self.shape):
            raise ValueError(f"shard has {len(slices)} slices for a shape of {len(self.shape)} dimensions")
        every = tuple(slices) + (slice(None),) * (len(self.shape) - len(slices))
        strides = dense_steps(self.shape)
        self.block = []
        local: list[int] = []
        steps: list[int] = []
        for s, n, stride in zip(every, self.shape, strides, strict=True):
            try:
                start, stop, step = s.indices(n)
            except TypeError:
                raise TypeError(f"shard must hold slices of ints, got {s!r}") from None
            except ValueError:
                raise ValueError(f"shard must hold slices with steps other than 0, got {s!r}") from None
            count = len(range(start, stop, step))
            if count <= 1:  # a lone element has no step, and one given can be of any size
                stop, step = start + count, 1
            self.block.append(range(start, stop, step))
            local.append(count)
            steps.append(step * stride)
            self.base += start * stride if count else 0
        if 0 in local:
            self.base = 0
        self.steps = tuple(steps)
        return tuple(local)

    def ranges(self) -> list[range]:
        """Global indices along each axis of the block."""
        return [range(n) for n in self.shape] if self.block is None else list(self.block)

    def matrix(self, index: tuple[Any, ...], row: int, column: int) -> Target:
        """The matrix of two axes at an index of the others (slices stand for those two)."""
        part = copy(self)
        part.shape = (self.shape[row], self.shape[column])
        part.block = None if self.block is None else [self.block[row], self.block[column]]
        part.base, part.steps = 0, None
        part.out = part.result = self.out[index] if row < column else self.out[index].T
        return part

    def split(self, axis: int, sizes: tuple[int, ...]) -> list[Target]:
        """The parts that fall into consecutive blocks of the global axis."""
        local = self.ranges()[axis]
        steps = self.steps if self.steps is not None else dense_steps(self.shape)
        parts = []
        begin = 0
        for size in sizes:
            first, last = span(local, begin, begin + size)
            part = copy(self)
            part.block, part.steps = None, steps
            part.out = part.result = self.out[(slice(None),) * axis + (slice(first, last),)]
            part.base = self.base + first * steps[axis] if part.out.size else 0
            parts.append(part)
            begin += size
        return parts


def span(indices: range, begin: int, end: int) -> tuple[int, int]:
    """Positions first, last of the part of `indices` that lies in [begin, end)."""
    if indices.step > 0:
        return bisect_left(indices, begin), bisect_left(indices, end)
    upward, n = indices[::-1], len(indices)
    return n - bisect_left(upward, end), n - bisect_left(upward, begin)


def slice_of(indices: range) -> slice:
    """The slice that takes them."""
    return slice(indices.start, indices.stop if indices.stop >= 0 else None, indices.step)


def dense_steps(shape: Shape) -> tuple[int, ...]:
    """Steps in elements of a C-ordered tensor."""
    steps = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        steps[i] = steps[i + 1] * max(shape[i + 1], 1)
    return tuple(steps)
