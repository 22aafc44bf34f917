"""``fastinit fill``: any initializer, streamed into a .npy file of any size."""

from __future__ import annotations

import argparse
import errno
import itertools
import math
import mmap
import os
import secrets
import shutil
import signal
import stat
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tqdm import tqdm

from ._args import COMPLEX, check_dtype, check_int, check_shape, unknown_name
from ._keys import Key
from ._target import slice_of
from ._types import Array
from .spec import INITIALIZERS, parameters_of

_SLAB = 1 << 26  # bytes between two steps of the progress bar
_PAGE = 4096  # bytes of a row that a slab of columns takes at least: whole pages of the file


def integers(text: str) -> int | tuple[int, ...]:
    """``3`` as an int, ``1024,512`` as a tuple."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an int, or several such as 1024,512; got {text!r}") from None
    return numbers if len(numbers) > 1 else numbers[0]


def number_or_name(text: str) -> float | str:
    """A gain as it is typed: a number where it is one, else the name of an activation, for the initializer to judge."""
    try:
        return float(text)
    except ValueError:
        return text


# Option, type, help; each is passed on only if it is given.
OPTIONS: tuple[tuple[str, Callable[[str], Any], str], ...] = (
    ("mean", float, "mean of the normal law"),
    ("std", float, "standard deviation"),
    ("low", float, "lower bound of uniform"),
    ("high", float, "upper bound of uniform"),
    ("lower", float, "lower truncation bound"),
    ("upper", float, "upper truncation bound"),
    ("bounds", str, "unit of --lower and --upper: sigma or absolute"),
    ("scale", float, "scale of variance_scaling"),
    ("distribution", str, "normal, uniform or truncated_normal"),
    ("mode", str, "fan_in, fan_out, fan_avg or fan_geo_avg"),
    ("nonlinearity", str, "activation that follows (he_*)"),
    ("negative-slope", float, "slope of leaky_relu"),
    ("gain", number_or_name, "number, or name of an activation"),
    ("layout", str, "meaning of the dimensions, such as oihw"),
    ("groups", int, "groups of a convolution"),
    ("in-axis", integers, "input axis or axes, such as 1 or 1,2"),
    ("out-axis", integers, "output axis or axes"),
    ("batch-axis", integers, "axis or axes over independent matrices"),
    ("blocks", integers, "fused blocks along the output axis: their number, or sizes such as 1024,512"),
    ("fan-in", float, "fan-in, given outright"),
    ("fan-out", float, "fan-out, given outright"),
    ("sparsity", float, "fraction of zeros"),
    ("value", float, "value of constant"),
    ("method", str, "direct or qr (orthogonal)"),
)


FLAGS: dict[str, str] = {
    "correct-std": "std after the truncation",
    "scaled": "keep the mean square of a channel (delta_orthogonal)",
}


def parse_shape(text: str) -> tuple[int, ...]:
    """``4096x4096`` or ``4096,4096`` as a tuple; ``()`` is a scalar."""
    if text == "()":
        return ()
    try:
        return check_shape(tuple(int(part) for part in text.lower().replace("x", ",").split(",")))
    except ValueError as error:
        raise ValueError(f"SHAPE must look like 4096x4096, got {text!r} ({error})") from None


def parse_shard(text: str) -> tuple[slice, ...]:
    """``0:1024,:`` as a tuple of slices."""
    try:
        parts = [[int(n) if n else None for n in part.split(":")] for part in text.split(",")]
        if any(len(p) < 2 or len(p) > 3 or 0 in p[2:] for p in parts):
            raise ValueError
    except ValueError:
        raise ValueError(
            f"--shard must look like 0:1024,: with one slice per axis and no step of 0, got {text!r}"
        ) from None
    return tuple(slice(*p) for p in parts)


def arguments_of(options: argparse.Namespace) -> dict[str, Any]:
    """The initializer's arguments among the options; one that it does not take is an error."""
    name = options.initializer
    if name not in INITIALIZERS:
        raise unknown_name(name, "INIT", INITIALIZERS)
    taken = parameters_of(name)
    kwargs: dict[str, Any] = {}
    every = (*(option for option, _, _ in OPTIONS), *FLAGS)
    for option in every:
        key = option.replace("-", "_")
        value = getattr(options, key)
        if value is None:
            continue
        if key not in taken:
            raise no_option(option, name, every)
        kwargs[key] = value
    return kwargs


def no_option(option: str, name: str, every: Iterable[str]) -> ValueError:
    """The error of an option that an initializer does not take, with those that it does."""
    taken = parameters_of(name)
    known = [f"--{o}" for o in every if o.replace("-", "_") in taken]
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    return ValueError(f"--{option} is not an option of {name}; {takes}")


def stored_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in the file: void of the same size for one that .npy cannot name."""
    return dtype if dtype.isbuiltin == 1 else np.dtype(f"V{dtype.itemsize}")


def pieces(local: tuple[int, ...], itemsize: int, columns: bool) -> Iterator[tuple[slice, ...]]:
    """Index ranges of about `_SLAB` bytes that cover a block, in the order of the file.

    With `columns` they cover whole columns of a matrix instead.
    """
    if columns:
        step = max(1, _SLAB // (local[0] * itemsize), _PAGE // itemsize)
        for j in range(0, local[1], step):
            yield slice(0, local[0]), slice(j, min(j + step, local[1]))
        return
    if not local:
        yield ()
        return
    axis = 0
    while axis < len(local) - 1 and math.prod(local[axis + 1 :]) * itemsize > _SLAB:
        axis += 1
    step = max(1, _SLAB // (math.prod(local[axis + 1 :]) * itemsize))
    rest = tuple(slice(0, n) for n in local[axis + 1 :])
    for lead in itertools.product(*map(range, local[:axis])):
        for i in range(0, local[axis], step):
            yield (*(slice(k, k + 1) for k in lead), slice(i, min(i + step, local[axis])), *rest)


def fill_slabs(
    array: Array, make: Callable[[tuple[slice, ...], Array], Any], block: tuple[range, ...], columns: bool
) -> None:
    """Fill a block of the global tensor, given by its indices, slab by slab."""
    with tqdm(total=array.nbytes, unit="B", unit_scale=True, delay=2.0) as bar:
        for piece in pieces(array.shape, array.itemsize, columns):
            index: tuple[Any, ...] = (*piece, ...)  # the dots: a view, of no dimensions too
            slab = array[index]
            make(tuple(slice_of(r[s]) for r, s in zip(block, piece, strict=True)), slab)
            bar.update(slab.nbytes)


def fill_whole(array: Array, make: Callable[..., Any], block: tuple[range, ...]) -> None:
    """Fill a block at once, by an initializer that tells its progress: no part of it comes alone."""
    total = array.nbytes
    with tqdm(total=total, unit="B", unit_scale=True, delay=2.0) as bar:
        make(tuple(map(slice_of, block)), array, progress=lambda done: bar.update(int(done * total) - bar.n))


def _final_path(output: str) -> str:
    """Where the file goes, links followed; an error now for what would fail after the fill."""
    path = os.path.realpath(output)
    if not os.path.isdir(os.path.dirname(path)):
        raise ValueError(f"--output must be in a folder that exists, got {output!r}")
    if os.path.basename(output) in ("", "-") or (os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode)):
        raise ValueError(f"--output must name a regular file, got {output!r}")
    if os.path.exists(path) and not os.access(path, os.W_OK):  # a rename would not ask
        raise PermissionError(f"--output must be a file that may be written over, got {output!r}")
    if os.path.splitext(output)[1].lower() not in ("", ".npy"):
        raise ValueError(f"--output must end in .npy, or have no suffix: the file is one of NumPy's; got {output!r}")
    return path


def _reserve(path: str) -> None:
    """Claim the file's space on the disk: a full one would kill the process while it fills."""
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            except OSError as error:  # without glibc, what the file system cannot do fails
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                    raise


def _let_go(mapped: Array) -> None:
    """Take the file's pages out of this process; the system still holds and writes them."""
    if isinstance(mapped.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.base.madvise(mmap.MADV_DONTNEED)


def _sync(path: str) -> None:
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


@contextmanager
def _stopping_cleanly() -> Iterator[None]:
    """While it runs SIGTERM, by which batch systems end a job, and SIGHUP, of a closed terminal, unwind as Ctrl-C does."""
    # Other threads may set no handler, and one that Python does not know could not be set back.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):  # Windows has no SIGHUP
        if signal.getsignal(number) not in (None, signal.SIG_IGN):  # ignored: nohup, which wants it to go on
            before.setdefault(number, signal.signal(number, lambda number, _: sys.exit(128 + number)))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write(path: str, dtype: np.dtype[Any], block: tuple[range, ...], make: Callable[..., Any],
           whole: bool, columns: bool) -> None:
    """Write the file. Its mapping ends with this function, since Windows renames no mapped file."""
    local = tuple(map(len, block))
    if 0 in local:
        with open(path, "xb") as file:
            np.lib.format.write_array(file, np.empty(local, stored_as(dtype)))
        return
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=stored_as(dtype), shape=local)
    _reserve(path)

    def make_and_let_go(part: tuple[slice, ...], out: Array) -> None:
        make(part, out)
        _let_go(mapped)

    array = np.asarray(mapped).view(dtype)
    if whole:
        fill_whole(array, make, block)
    else:
        fill_slabs(array, make_and_let_go, block, columns)
    mapped.flush()


@_stopping_cleanly()
def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fill the file and return what was done. Under its final name only when complete."""
    kwargs = arguments_of(options)
    shape = parse_shape(options.shape)
    if len(shape) == 1 and options.initializer in ("identity", "eye"):
        shape *= 2  # as the function takes it
    dtype = check_dtype(options.dtype, also=COMPLEX if options.initializer == "orthogonal" else ())
    slices = parse_shard(options.shard) if options.shard is not None else ()
    if len(slices) > len(shape):
        raise ValueError(f"--shard has {len(slices)} slices for a shape of {len(shape)} dimensions")
    slices = slices + (slice(None),) * (len(shape) - len(slices))
    block = tuple(range(*s.indices(n)) for s, n in zip(slices, shape, strict=True))
    local = tuple(map(len, block))
    size = math.prod(local) * dtype.itemsize
    key = Key(check_int(options.seed, "--seed", low=0))
    function = INITIALIZERS[options.initializer]

    def make(part: tuple[slice, ...], out: Array, **more: Any) -> None:
        function(shape, seed=key, shard=part, out=out, num_threads=options.num_threads, **kwargs, **more)

    # Wrong arguments show on an empty block, before a file exists.
    make((slice(0, 0),) * len(shape), np.empty((0,) * len(shape), dtype))
    path = _final_path(options.output)
    # A mask ranks a whole column, so that slabs of rows would each repeat the work of all.
    columns = options.initializer == "sparse" and options.layout != "oi"
    temporary = os.path.join(os.path.dirname(path), f".fastinit-{secrets.token_hex(8)}.tmp")
    start = time.perf_counter()
    try:
        _write(temporary, dtype, block, make, "progress" in parameters_of(options.initializer), columns)
        _sync(temporary)
        if os.path.exists(path):  # a file written over keeps who may read it
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # they hold the mapping
        if os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):
            what = f"{options.output!r} of {size} bytes"
            raise OSError(f"cannot write {what}: {error.strerror or error}") from error
        raise
    seconds = time.perf_counter() - start
    return {"path": options.output, "shape": list(local), "dtype": dtype.name, "seconds": seconds,
            "gb_per_s": size / seconds / 1e9}


def describe(result: dict[str, Any]) -> str:
    """The result as a line or two."""
    shape = "x".join(map(str, result["shape"])) or "()"
    text = f"{result['path']}: {shape} {result['dtype']}, {result['seconds']:.2f} s, {result['gb_per_s']:.2f} GB/s"
    if stored_as(check_dtype(result["dtype"], also=COMPLEX)).kind == "V":
        text += f"\nread it with: np.load({result['path']!r}).view(ml_dtypes.{result['dtype']})"
    return text
