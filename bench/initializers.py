"""How fastinit, NumPy, torch and JAX make each initializer that is no plain law (those are `peers`'), and what is right."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

import fastinit as fi
from fastinit.spec import INITIALIZERS

from . import answers, peers

Shape = tuple[int, ...]
SPARSITY, STD, VALUE = 0.9, 0.01, 0.5


class Law(NamedTuple):
    """The arguments of `variance_scaling`."""

    scale: float
    mode: str
    distribution: str

    def std(self, fan_in: int, fan_out: int) -> float:
        return (self.scale / (fan_in if self.mode == "fan_in" else (fan_in + fan_out) / 2)) ** 0.5


FORMULAS = {"xavier": (1.0, "fan_avg"), "he": (2.0, "fan_in"), "lecun": (1.0, "fan_in")}
SCALED = {f"{n}_{d}": Law(*FORMULAS[n], d) for n, d in product(FORMULAS, ("normal", "uniform"))}
SCALED["variance_scaling"] = Law(0.5, "fan_avg", "truncated_normal")
ARGUMENTS: dict[str, dict[str, Any]] = {
    "variance_scaling": SCALED["variance_scaling"]._asdict(), "sparse": {"sparsity": SPARSITY, "std": STD},
    "constant": {"value": VALUE},
}  # fmt: skip
CHECKS: dict[str, Callable[[np.ndarray], None]] = {
    **{n: lambda a, law=law: answers.assert_moments(a, 0.0, law.std(*a.shape)) for n, law in SCALED.items()},
    "orthogonal": answers.assert_orthonormal,
    "delta_orthogonal": answers.assert_delta,
    "sparse": partial(answers.assert_sparse, sparsity=SPARSITY, std=STD),
    "identity": answers.assert_diagonal,
    "dirac": answers.assert_diagonal,
    "zeros": partial(answers.assert_constant, value=0.0),
    "ones": partial(answers.assert_constant, value=1.0),
    "constant": partial(answers.assert_constant, value=VALUE),
}
# One name of each function; the laws stand beside more peers elsewhere.
NAMES = [n for n in {f: n for n, f in reversed(INITIALIZERS.items())}.values() if n not in peers.LAWS][::-1]
CONSTANT = {"zeros": 0.0, "ones": 1.0, "constant": VALUE}
KERNELS = ("dirac", "delta_orthogonal")


def shape_of(name: str, size: int) -> Shape:
    """A matrix, or a kernel of four points, of so many elements (a power of two); no more in than out."""
    points = 4 if name in KERNELS else 1
    rows = 1 << ((size // points).bit_length() - 1) // 2
    return (points, rows, size // points // rows) if name in KERNELS else (rows, size // rows)


def by_fastinit(name: str, shape: Shape, dtype: str, threads: int) -> Callable[[], Any]:
    out = np.zeros(shape, fi.zeros(0, dtype=dtype).dtype)
    return partial(INITIALIZERS[name], out=out, seed=0, num_threads=threads, **ARGUMENTS.get(name, {}))


def by_numpy(name: str, shape: Shape, dtype: str, threads: int) -> Callable[[], Any]:
    """As one writes it: in place but for `np.eye`; 16 bits by way of float32."""
    out = np.zeros(shape, fi.zeros(0, dtype=dtype).dtype)
    if name in CONSTANT:
        return lambda: (out.fill(CONSTANT[name]), out)[1]
    if name == "identity":
        return partial(np.eye, *shape, dtype=out.dtype)
    rng, law = np.random.default_rng(0), SCALED[name]
    work = out if dtype in peers.WIDE else np.zeros(shape, np.float32)
    std = work.dtype.type(law.std(*shape))

    def run() -> np.ndarray:
        if law.distribution == "normal":
            rng.standard_normal(out=work, dtype=work.dtype)
            np.multiply(work, std, out=work)
        else:
            rng.random(out=work, dtype=work.dtype)
            np.subtract(work, work.dtype.type(0.5), out=work)
            np.multiply(work, std * work.dtype.type(12**0.5), out=work)
        if work is not out:
            out[...] = work
        return out

    return run


def by_torch(name: str, shape: Shape, dtype: str, threads: int) -> Callable[[], Any]:
    """Of `torch.nn.init`, whose kernels are (out, in, points), and whose fans are those of the transpose."""
    import torch
    from torch.nn import init

    torch.set_num_threads(threads)
    w = torch.empty(shape[::-1] if name in KERNELS else shape, dtype=getattr(torch, dtype))
    std = SCALED[name].std(*shape) if name in SCALED else 0.0
    whole = std / peers.LAWS["truncated_normal"][1]  # before truncation
    fills: dict[str, Callable[[], Any]] = {
        "xavier_normal": lambda: init.xavier_normal_(w),
        "xavier_uniform": lambda: init.xavier_uniform_(w),
        "he_normal": lambda: init.kaiming_normal_(w, mode="fan_out"),
        "he_uniform": lambda: init.kaiming_uniform_(w, mode="fan_out"),
        "variance_scaling": lambda: init.trunc_normal_(w, 0.0, whole, -2 * whole, 2 * whole),
        "lecun_normal": lambda: w.normal_(0.0, std),
        "lecun_uniform": lambda: w.uniform_(-std * 3**0.5, std * 3**0.5),
        "orthogonal": lambda: init.orthogonal_(w),
        "sparse": lambda: init.sparse_(w, SPARSITY, STD),
        "identity": lambda: init.eye_(w),
        "dirac": lambda: init.dirac_(w),
        "zeros": lambda: init.zeros_(w),
        "ones": lambda: init.ones_(w),
        "constant": lambda: init.constant_(w, VALUE),
    }  # fmt: skip
    return fills[name]


def by_jax(name: str, shape: Shape, dtype: str, threads: int) -> Callable[[], Any]:
    import jax
    from jax.nn import initializers

    inits = {n: initializers.variance_scaling(*law) for n, law in SCALED.items()} | {
        "zeros": initializers.zeros, "ones": initializers.ones, "constant": initializers.constant(VALUE),
        "identity": lambda key, shape, dtype: jax.numpy.eye(*shape, dtype=dtype),
        "orthogonal": initializers.orthogonal(), "delta_orthogonal": initializers.delta_orthogonal(),
    }  # fmt: skip
    compiled, key = jax.jit(lambda key: inits[name](key, shape, dtype)), jax.random.key(0)
    return lambda: compiled(key).block_until_ready()


MAKE = {"fastinit": by_fastinit, "numpy": by_numpy, "torch": by_torch, "jax": by_jax}


def array(name: str, library: str, answer: Any) -> np.ndarray:
    """The answer of any library, kernels as (points, in, out)."""
    if library != "torch":
        return np.asarray(answer)
    import torch

    values = (answer.float() if answer.dtype == torch.bfloat16 else answer).numpy()
    return values.transpose() if name in KERNELS else values


MATRICES = {"orthogonal", "delta_orthogonal"}
HAS = {
    "numpy": SCALED.keys() - {"variance_scaling"} | CONSTANT.keys() | {"identity"},
    "torch": set(NAMES) - {"delta_orthogonal"},
    "jax": SCALED.keys() | CONSTANT.keys() | MATRICES | {"identity"},
}


def libraries(name: str, dtype: str, threads: int) -> list[str]:
    """Those that have the initializer, in this dtype, on one thread or on all; LAPACK has no 16 bits."""
    able = [n for n in peers.able("normal", dtype, threads) if name in HAS.get(n, ())]
    return ["fastinit", *(n for n in able if name not in MATRICES or dtype in peers.WIDE)]
