"""``fastinit fill``: any initializer, streamed into a .npy file of any size."""

from __future__ import annotations

import argparse
import inspect
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm import tqdm

from ._args import Array, check_dtype, check_shape
from ._keys import Key
from .spec import INITIALIZERS

_SLAB = 1 << 26  # bytes between two steps of the progress bar

# Option, type, help; each is passed on only if it is given.
OPTIONS: tuple[tuple[str, Callable[[str], Any], str], ...] = (
    ("mean", float, "mean of the normal law"),
    ("std", float, "standard deviation"),
    ("low", float, "lower bound of uniform"),
    ("high", float, "upper bound of uniform"),
    ("lower", float, "lower truncation bound"),
    ("upper", float, "upper truncation bound"),
    ("bounds", str, "sigma or absolute"),
    ("scale", float, "scale of variance_scaling"),
    ("distribution", str, "normal, uniform or truncated_normal"),
    ("mode", str, "fan_in, fan_out, fan_avg or fan_geo_avg"),
    ("nonlinearity", str, "activation that follows (he_*)"),
    ("negative-slope", float, "slope of leaky_relu"),
    ("gain", str, "number, or name of an activation"),
    ("layout", str, "meaning of the dimensions, such as oihw"),
    ("groups", int, "groups of a convolution"),
    ("blocks", int, "fused blocks along the output axis"),
    ("fan-in", float, "fan-in, given outright"),
    ("fan-out", float, "fan-out, given outright"),
    ("sparsity", float, "fraction of zeros"),
    ("value", float, "value of constant"),
)


def parse_shape(text: str) -> tuple[int, ...]:
    """``4096x4096`` or ``4096,4096`` as a tuple."""
    try:
        return check_shape(tuple(int(part) for part in text.replace("x", ",").split(",")))
    except ValueError as error:
        raise ValueError(f"SHAPE must look like 4096x4096, got {text!r} ({error})") from None


def parse_shard(text: str) -> tuple[slice, ...]:
    """``0:1024,:`` as a tuple of slices."""
    try:
        parts = [[int(n) if n else None for n in part.split(":")] for part in text.split(",")]
        if any(len(p) < 2 or len(p) > 3 for p in parts):
            raise ValueError
    except ValueError:
        raise ValueError(f"--shard must look like 0:1024,: with one slice per axis, got {text!r}") from None
    return tuple(slice(*p) for p in parts)


def arguments_of(options: argparse.Namespace) -> dict[str, Any]:
    """The initializer's arguments among the options; one that it does not take is an error."""
    name = options.initializer
    if name not in INITIALIZERS:
        raise ValueError(f"INIT must be one of {', '.join(INITIALIZERS)}; got {name!r}")
    taken = inspect.signature(INITIALIZERS[name]).parameters
    kwargs: dict[str, Any] = {}
    for option, _, _ in OPTIONS:
        key = option.replace("-", "_")
        value = getattr(options, key)
        if value is None:
            continue
        if key not in taken:
            raise ValueError(f"--{option} is not an option of {name}")
        kwargs[key] = value
    if "gain" in kwargs:
        try:
            kwargs["gain"] = float(kwargs["gain"])
        except ValueError:
            if name.startswith("he_") or name.startswith("kaiming_"):
                raise ValueError(f"--gain of {name} must be a number, got {kwargs['gain']!r}") from None
    return kwargs


def fill_slabs(array: Array, make: Callable[[tuple[slice, ...], Array], Any], slices: tuple[slice, ...],
               shape: tuple[int, ...]) -> None:
    """Fill a block of the global tensor, a slab of its first axis at a time."""
    if array.ndim == 0 or array.size == 0:
        make(slices, array)
        return
    rows = range(*slices[0].indices(shape[0]))
    step = max(1, _SLAB // max(1, array.nbytes // len(rows)))
    with tqdm(total=array.nbytes, unit="B", unit_scale=True, delay=2.0) as bar:
        for i in range(0, len(rows), step):
            part = rows[i : i + step]
            stop: int | None = part[-1] + part.step
            if stop is not None and stop < 0:
                stop = None
            slab = array[i : i + len(part)]
            make((slice(part[0], stop, part.step), *slices[1:]), slab)
            bar.update(slab.nbytes)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fill the file and return what was done. Under its final name only when complete."""
    kwargs = arguments_of(options)
    shape = parse_shape(options.shape)
    dtype = check_dtype(options.dtype)
    slices = parse_shard(options.shard) if options.shard is not None else ()
    function = INITIALIZERS[options.initializer]
    # Wrong arguments show on an empty block, before a file exists.
    empty = tuple(slice(0, 0) for _ in shape)
    if shape:
        function(shape, dtype=dtype, seed=0, shard=empty, num_threads=options.num_threads, **kwargs)
    if len(slices) > len(shape):
        raise ValueError(f"--shard has {len(slices)} slices for a shape of {len(shape)} dimensions")
    slices = slices + (slice(None),) * (len(shape) - len(slices))
    local = tuple(len(range(*s.indices(n))) for s, n in zip(slices, shape, strict=True))
    key = Key(options.seed)
    stored = np.dtype(f"V{dtype.itemsize}") if dtype.kind == "V" else dtype
    folder = os.path.dirname(os.path.abspath(options.output))
    handle, temporary = tempfile.mkstemp(prefix=".fastinit-", suffix=".npy", dir=folder)
    os.close(handle)
    start = time.perf_counter()
    try:
        def make(part: tuple[slice, ...], out: Array) -> None:
            function(shape, seed=key, shard=part, out=out, num_threads=options.num_threads, **kwargs)

        if 0 in local or not shape:
            np.save(temporary, function(shape, dtype=dtype, seed=key, shard=slices or None, **kwargs).view(stored))
        else:
            array = np.lib.format.open_memmap(temporary, mode="w+", dtype=stored, shape=local)
            fill_slabs(np.asarray(array).view(dtype), make, slices, shape)
            array.flush()
            del array
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, options.output)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    seconds = time.perf_counter() - start
    nbytes = int(np.prod(local, dtype=object)) * dtype.itemsize
    return {"path": options.output, "shape": list(local), "dtype": dtype.name, "seconds": seconds,
            "gb_per_s": nbytes / seconds / 1e9}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def describe(result: dict[str, Any]) -> str:
    """The result as a line or two."""
    shape = "x".join(map(str, result["shape"])) or "()"
    text = f"{result['path']}: {shape} {result['dtype']}, {result['seconds']:.2f} s, {result['gb_per_s']:.2f} GB/s"
    if result["dtype"] == "bfloat16" or result["dtype"].startswith("float8"):
        text += f"\nread it with: np.load({result['path']!r}).view(ml_dtypes.{result['dtype']})"
    return text
