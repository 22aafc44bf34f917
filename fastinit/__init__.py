"""fastinit: neural-network weights, filled in parallel and the same to the bit everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    from ._core import __version__
except ModuleNotFoundError:
    # In a checkout, whose folder hides the installed package: the compiled module is there.
    from pkgutil import extend_path

    __path__ = extend_path(__path__, __name__)
    from ._core import __version__
from . import linalg
from ._fans import compute_fans
from ._gains import gain
from ._keys import Key
from .bit_generator import Philox4x32
from .isometric import delta_orthogonal, orthogonal
from .laws import normal, truncated_normal, uniform
from .named import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    kaiming_normal,
    kaiming_uniform,
    xavier_normal,
    xavier_uniform,
)
from .random import Generator, default_rng
from .runtime import available_isas, build_info, get_num_threads, isa, set_num_threads
from .scaling import lecun_normal, lecun_uniform, variance_scaling
from .spec import Spec, initialize
from .structured import constant, dirac, eye, identity, ones, sparse, zeros

#: Version of the number contract: the same version and arguments give the same bytes.
CONTRACT_VERSION = 1

__all__ = [
    "CONTRACT_VERSION",
    "Generator",
    "Key",
    "Philox4x32",
    "Spec",
    "__version__",
    "available_isas",
    "build_info",
    "compute_fans",
    "constant",
    "default_rng",
    "delta_orthogonal",
    "dirac",
    "eye",
    "gain",
    "get_num_threads",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "initialize",
    "isa",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "linalg",
    "normal",
    "ones",
    "orthogonal",
    "set_num_threads",
    "sparse",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


if TYPE_CHECKING:
    from . import propagation as propagation
else:

    def __getattr__(name):
        """``fastinit.propagation``, which is imported only when asked for."""
        if name == "propagation":
            from importlib import import_module

            return import_module(f".{name}", __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, "propagation", *(name for name in globals() if name.startswith("__"))})
