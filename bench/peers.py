"""The peers: how each library fills an array, its fastest way. Absent libraries are not listed."""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Any, TypeVar

import numpy as np

Fill = Callable[[], Any]  # fills, and returns the array
Best = Callable[[str, str, int], tuple[str, ...]]  # of a law, a dtype and a size
K = TypeVar("K")

# Parameters that every library is given: (mean, standard deviation) of the result.
LAWS = {"normal": (0.0, 1.0), "uniform": (0.5, 12**-0.5), "truncated_normal": (0.0, 0.8796256610342398)}
DTYPES = ("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
WIDE = frozenset({"float32", "float64"})
NARROW = frozenset({"float16", "bfloat16"})
CHOSEN_AT = 2**25  # a library's ways are compared at the size of the fill, up to here
# MKL's basic generators by their numbers in mkl_vsl.h, and methods by law. Quasi-random and physical generators are left
# out, and Wichmann-Hill, whose accurate uniforms crash MKL 2026.2 on AMD and which is eight times slower than the best.
GENERATORS = {"MCG31": 1, "R250": 2, "MRG32K3A": 3, "MCG59": 4, "MT19937": 8, "MT2203": 9, "SFMT19937": 13,
              "ARS5": 15, "PHILOX4X32X10": 16}  # fmt: skip
METHODS = {"normal": {"BoxMuller": 0, "BoxMuller2": 1, "ICDF": 2}, "uniform": {"standard": 0, "accurate": 1 << 30}}


def seconds(call: Callable[[], Any], repeats: int = 5) -> float:
    """Of the fastest of some calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def fastest(ways: Mapping[K, Callable[[], Any]]) -> K:
    """The key of the fastest way: two calls of each, and five more of the best three."""
    first = {key: seconds(way, 2) for key, way in ways.items()}
    best = sorted(first, key=first.__getitem__)[:3]
    return min(best, key=lambda key: seconds(ways[key]))


@dataclass(frozen=True)
class Peer:
    """One library: the import that must exist, what it can draw, and how."""

    package: str
    make: Callable[[str, np.ndarray, int], Fill]  # of a law, an array of the dtype and size, and threads
    dtypes: frozenset[str]
    laws: frozenset[str] = frozenset({"normal", "uniform"})
    threads: frozenset[str] = frozenset({"one"})  # which of one and all cores it can be held to
    best: Best | None = None  # the fastest of its ways, where it has several


def _best(best: Best, law: str, out: np.ndarray) -> tuple[str, ...]:
    return best(law, out.dtype.name, min(out.size, CHOSEN_AT))


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


def _mkl_random_draw(law: str, generator: str, method: str) -> Callable[[int], np.ndarray]:
    import mkl_random

    rng = mkl_random.MKLRandomState(0, brng=generator)
    return rng.random_sample if law == "uniform" else lambda size: rng.standard_normal(size, method=method)


@cache
def best_mkl_random(law: str, dtype: str, size: int) -> tuple[str, str]:
    """(generator, method) that is fastest here; uniforms have one method."""
    if dtype != "float64":  # which is what it draws, whatever is asked for
        return best_mkl_random(law, "float64", size)
    methods = METHODS[law] if law == "normal" else ("standard",)
    return fastest({way: partial(_mkl_random_draw(law, *way), size) for way in product(GENERATORS, methods)})


def mkl_random(law: str, out: np.ndarray, threads: int) -> Fill:
    draw = _mkl_random_draw(law, *_best(best_mkl_random, law, out))
    return lambda: draw(out.size).astype(out.dtype, copy=False)


def _randomgen(name: str) -> np.random.Generator:
    import randomgen

    return np.random.Generator(getattr(randomgen, name)(0))


@cache
def best_randomgen(law: str, dtype: str, size: int) -> tuple[str]:
    """The name of randomgen's fastest generator here."""
    import randomgen

    names = ("AESCounter", "DSFMT", "EFIIX64", "JSF", "LXM", "MWC128X", "MWC192X", "PCG64", "PCG64DXSM", "Romu", "SFC64",
             "SFMT", "Xoroshiro128", "Xoshiro256", "Xoshiro512")  # fmt: skip
    sample = np.zeros(size, dtype)
    return fastest({(n,): _drawn(_randomgen(n), law, sample) for n in names if hasattr(randomgen, n)})


def randomgen(law: str, out: np.ndarray, threads: int) -> Fill:
    return _drawn(_randomgen(*_best(best_randomgen, law, out)), law, out)


def scipy(law: str, out: np.ndarray, threads: int) -> Fill:
    from scipy.stats import truncnorm

    rng = np.random.default_rng(0)
    return lambda: truncnorm.rvs(-2.0, 2.0, size=out.size, random_state=rng).astype(out.dtype)


def as_torch(out: np.ndarray, threads: int) -> Any:
    """The same memory as a tensor; all that torch does from now on takes so many threads."""
    import torch

    torch.set_num_threads(threads)
    if out.dtype.name == "bfloat16":
        return torch.from_numpy(out.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(out)


def torch(law: str, out: np.ndarray, threads: int) -> Fill:
    import torch

    t = as_torch(out, threads)
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


def _mkl_fill(law: str, generator: str, method: str, out: np.ndarray) -> Fill | None:
    """None where MKL has no such combination."""
    library, stream = _mkl(), ctypes.c_void_p()
    if library.vslNewStream(ctypes.byref(stream), GENERATORS[generator] << 20, 7):
        return None
    number = ctypes.c_double if out.dtype == np.float64 else ctypes.c_float
    kind = "d" if out.dtype == np.float64 else "s"
    draw = getattr(library, f"v{kind}Rng" + {"normal": "Gaussian", "uniform": "Uniform"}[law])
    arguments = (METHODS[law][method], stream, out.size, out.ctypes.data_as(ctypes.c_void_p), number(0), number(1))

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
def best_mkl(law: str, dtype: str, size: int) -> tuple[str, str]:
    """(generator, method) of MKL's vector statistics that is fastest here: in cache it need not be that of memory."""
    sample = np.zeros(size, dtype)
    ways = {(g, m): _mkl_fill(law, g, m, sample) for g in GENERATORS for m in METHODS[law]}
    return fastest({way: fill for way, fill in ways.items() if fill})


def mkl(law: str, out: np.ndarray, threads: int) -> Fill:
    fill = _mkl_fill(law, *_best(best_mkl, law, out), out)
    assert fill is not None
    return fill


ALL_LAWS = frozenset(LAWS)
_PEERS = {
    "numpy": Peer("numpy", numpy, WIDE | NARROW),
    "numpy legacy": Peer("numpy", numpy_legacy, WIDE),
    "randomgen": Peer("randomgen", randomgen, WIDE, best=best_randomgen),
    "mkl": Peer("mkl", mkl, WIDE, best=best_mkl),
    "mkl_random": Peer("mkl_random", mkl_random, WIDE, best=best_mkl_random),
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


def way(library: str, law: str, out: np.ndarray) -> str:
    """What a peer that has several ways fills this array by; nothing for the others."""
    best = PEERS[library].best if library in PEERS else None
    return ", ".join(_best(best, law, out)) if best else ""
