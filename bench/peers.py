"""The peers: how each library fills an array, its fastest way. Absent libraries are not listed."""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

Fill = Callable[[], Any]  # fills, and returns the array

# Parameters that every library is given: (mean, standard deviation) of the result.
LAWS = {"normal": (0.0, 1.0), "uniform": (0.5, 12**-0.5), "truncated_normal": (0.0, 0.8796256610342398)}
WIDE = frozenset({"float32", "float64"})
NARROW = frozenset({"float16", "bfloat16"})


@dataclass(frozen=True)
class Peer:
    """One library: the import that must exist, what it can draw, and how."""

    package: str
    make: Callable[[str, np.ndarray, int], Fill]  # of a law, an array of the dtype and size, and threads
    dtypes: frozenset[str]
    laws: frozenset[str] = frozenset({"normal", "uniform"})
    threads: frozenset[str] = frozenset({"one"})  # which of one and all cores it can be held to


def _drawn(rng: np.random.Generator, law: str, out: np.ndarray) -> Fill:
    """A NumPy Generator: in place where it can, else float32 and a cast."""
    draw = {"normal": rng.standard_normal, "uniform": rng.random}[law]
    if out.dtype.name in WIDE:
        return lambda: draw(out=out, dtype=out.dtype)

    def cast() -> np.ndarray:
        out[...] = draw(out.size, dtype=np.float32)
        return out

    return cast


def numpy(law: str, out: np.ndarray, threads: int) -> Fill:
    return _drawn(np.random.default_rng(0), law, out)


def numpy_legacy(law: str, out: np.ndarray, threads: int) -> Fill:
    """float64 only, so a cast for float32."""
    rng = np.random.RandomState(0)
    draw = {"normal": rng.standard_normal, "uniform": rng.random_sample}[law]
    return lambda: draw(out.size).astype(out.dtype, copy=False)


def _mkl_random_normal(generator: str, method: str) -> Callable[[int], np.ndarray]:
    import mkl_random

    rng = mkl_random.MKLRandomState(0, brng=generator)
    return lambda size: rng.standard_normal(size, method=method)


@cache
def _fastest_mkl_random() -> tuple[str, str]:
    ways = [(g, m) for g in ("MCG31", "MCG59", "SFMT19937", "MT19937", "PHILOX4X32X10") for m in ("ICDF", "BoxMuller")]
    return min(ways, key=lambda way: seconds(lambda: _mkl_random_normal(*way)(2**17)))


def mkl_random(law: str, out: np.ndarray, threads: int) -> Fill:
    import mkl_random

    generator, method = _fastest_mkl_random()
    uniform = mkl_random.MKLRandomState(0, brng=generator).random_sample
    draw = _mkl_random_normal(generator, method) if law == "normal" else uniform
    return lambda: draw(out.size).astype(out.dtype, copy=False)


@cache
def _fastest_randomgen() -> Any:
    import randomgen

    names = ("EFIIX64", "JSF", "Romu", "SFC64", "SFMT", "Xoshiro256", "PCG64")
    sample = np.empty(2**16, np.float32)
    return min((getattr(randomgen, n) for n in names if hasattr(randomgen, n)),
               key=lambda kind: seconds(_drawn(np.random.Generator(kind(0)), "uniform", sample)))  # fmt: skip


def randomgen(law: str, out: np.ndarray, threads: int) -> Fill:
    return _drawn(np.random.Generator(_fastest_randomgen()(0)), law, out)


def scipy(law: str, out: np.ndarray, threads: int) -> Fill:
    from scipy.stats import truncnorm

    rng = np.random.default_rng(0)
    return lambda: truncnorm.rvs(-2.0, 2.0, size=out.size, random_state=rng).astype(out.dtype)


def torch(law: str, out: np.ndarray, threads: int) -> Fill:
    import torch

    torch.set_num_threads(threads)
    bfloat16 = out.dtype.name == "bfloat16"
    t = torch.from_numpy(out.view(np.uint16)).view(torch.bfloat16) if bfloat16 else torch.from_numpy(out)
    fill = {"normal": t.normal_, "uniform": t.uniform_, "truncated_normal": lambda: torch.nn.init.trunc_normal_(t)}[law]

    def run() -> np.ndarray:
        fill()
        return out

    return run


def jax(law: str, out: np.ndarray, threads: int) -> Fill:
    import jax

    shape, dtype = (out.size,), out.dtype.name
    draw = {
        "normal": lambda key: jax.random.normal(key, shape, dtype),
        "uniform": lambda key: jax.random.uniform(key, shape, dtype),
        "truncated_normal": lambda key: jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype),
    }[law]
    compiled, key = jax.jit(draw), jax.random.key(0)
    return lambda: compiled(key).block_until_ready()


@cache
def _mkl() -> Any:
    """MKL's runtime, limited to one thread; None where it is not installed."""
    folders = {sys.prefix, sys.base_prefix, *(os.path.dirname(os.path.dirname(os.path.dirname(p))) for p in sys.path)}
    for folder in sorted(folders):
        found = glob.glob(os.path.join(folder, "lib", "libmkl_rt.so*"))
        if found:
            library = ctypes.CDLL(found[0])
            library.MKL_Set_Num_Threads(1)
            return library
    return None


def _mkl_fill(law: str, generator: int, method: int, out: np.ndarray) -> Fill | None:
    library, stream = _mkl(), ctypes.c_void_p()
    if library.vslNewStream(ctypes.byref(stream), generator, 7):
        return None
    number = ctypes.c_double if out.dtype == np.float64 else ctypes.c_float
    kind = "d" if out.dtype == np.float64 else "s"
    draw = getattr(library, f"v{kind}Rng" + {"normal": "Gaussian", "uniform": "Uniform"}[law])
    arguments = (method, stream, out.size, out.ctypes.data_as(ctypes.c_void_p), number(0), number(1))

    def run() -> np.ndarray:
        if draw(*arguments):
            raise RuntimeError("MKL refuses")
        return out

    try:
        run()
    except RuntimeError:
        return None
    return run


@cache
def mkl_best(law: str, dtype: str) -> tuple[int, int]:
    """(generator, method) of MKL's vector statistics that is fastest here."""
    generators = (1 << 20, 3 << 20, 4 << 20, 8 << 20, 13 << 20, 16 << 20)  # MCG31 MRG32K3A MCG59 MT SFMT Philox
    sample = np.zeros(2**17, dtype)
    ways = {(g, m): _mkl_fill(law, g, m, sample) for g in generators for m in ((0, 1, 2) if law == "normal" else (0,))}
    return min((way for way, fill in ways.items() if fill), key=lambda way: seconds(ways[way]))


def mkl(law: str, out: np.ndarray, threads: int) -> Fill:
    fill = _mkl_fill(law, *mkl_best(law, out.dtype.name), out)
    assert fill is not None
    return fill


def seconds(fill: Fill | None, repeats: int = 5) -> float:
    assert fill is not None
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        fill()
        times.append(time.perf_counter() - start)
    return min(times)


ALL_LAWS = frozenset(LAWS)
_PEERS = {
    "numpy": Peer("numpy", numpy, WIDE | NARROW),
    "numpy legacy": Peer("numpy", numpy_legacy, WIDE),
    "randomgen": Peer("randomgen", randomgen, WIDE),
    "mkl": Peer("mkl", mkl, WIDE),
    "mkl_random": Peer("mkl_random", mkl_random, WIDE),
    "scipy": Peer("scipy", scipy, WIDE, frozenset({"truncated_normal"})),
    "torch": Peer("torch", torch, WIDE | NARROW, ALL_LAWS, frozenset({"one", "all"})),
    "jax": Peer("jax", jax, NARROW | {"float32"}, ALL_LAWS, frozenset({"all"})),
}


def found(package: str) -> bool:
    """Whether a package is installed; nothing is imported."""
    if package == "mkl":
        return _mkl() is not None
    return importlib.util.find_spec(package) is not None


PEERS = {name: peer for name, peer in _PEERS.items() if found(peer.package)}


def able(law: str, dtype: str, threads: int) -> list[str]:
    """Names of the peers that draw this law in this dtype on one thread, or on all."""
    cores = "one" if threads == 1 else "all"
    return [n for n, p in PEERS.items() if law in p.laws and dtype in p.dtypes and cores in p.threads]
