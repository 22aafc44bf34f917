"""THE table of initializers: generic tests iterate it. One row per initializer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fastinit as fi
from fastinit._activations import _TABLE

ACTIVATIONS = tuple(_TABLE)  # canonical names
DTYPES = ("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
SHAPES_2D = ((1, 1), (3, 5), (64, 64), (129, 257))
SHAPES_ANY = ((), (0,), (1,), (63,), (64,), (65,), (1000,), (3, 0, 2), (7, 11, 13), (1025, 65))
SHAPES_CONV = ((3, 8, 4), (3, 3, 16, 8), (2, 3, 2, 4, 6))


@dataclass(frozen=True)
class Record:
    name: str
    shapes: tuple[tuple[int, ...], ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    # Variance from (fan_in, fan_out), None where the law has no fan.
    variance: Callable[[float, float], float] | None = None
    law: str = "structured"  # normal, uniform, truncated_normal, or structured
    seeded: bool = True
    costly: bool = False  # in float64, or by an iteration for every element
    large: tuple[int, ...] = (129, 257)  # one that shards cut in many ways

    @property
    def id(self) -> str:
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.kwargs.items())])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(fi, self.name)(*args, **{**self.kwargs, **kwargs})


def _fan_record(name: str, law: str, variance: Callable[[float, float], float], **kwargs: Any) -> Record:
    return Record(name, SHAPES_2D + SHAPES_CONV, kwargs, variance, law)


RECORDS = (
    Record("normal", SHAPES_ANY, {"mean": 0.5, "std": 2.0}, lambda i, o: 4.0, "normal"),
    Record("uniform", SHAPES_ANY, {"low": -1.0, "high": 3.0}, lambda i, o: 16 / 12, "uniform"),
    Record("truncated_normal", SHAPES_ANY, {"correct_std": True}, lambda i, o: 1.0, "truncated_normal"),
    Record("truncated_normal", SHAPES_ANY, {"lower": 5.0, "upper": 6.0}, costly=True),
    Record("truncated_normal", SHAPES_ANY, {"lower": -1.0, "upper": float("inf")}, costly=True),
    _fan_record("variance_scaling", "normal", lambda i, o: 1 / i),
    _fan_record("variance_scaling", "uniform", lambda i, o: 4 / (i + o), scale=2.0, mode="fan_avg",
                distribution="uniform"),
    _fan_record("variance_scaling", "truncated_normal", lambda i, o: (i * o) ** -0.5, mode="fan_geo_avg",
                distribution="truncated_normal"),
    _fan_record("xavier_normal", "normal", lambda i, o: 2 / (i + o)),
    _fan_record("xavier_uniform", "uniform", lambda i, o: 8 / (i + o), gain=2.0),
    _fan_record("glorot_normal", "normal", lambda i, o: 2 / (i + o)),
    _fan_record("glorot_uniform", "uniform", lambda i, o: 2 / (i + o)),
    _fan_record("he_normal", "normal", lambda i, o: 2 / i),
    _fan_record("he_uniform", "uniform", lambda i, o: 2 / 1.04 / o, mode="fan_out", negative_slope=0.2),
    _fan_record("kaiming_normal", "normal", lambda i, o: 2 / i),
    _fan_record("kaiming_uniform", "uniform", lambda i, o: 2 / i),
    _fan_record("lecun_normal", "normal", lambda i, o: 1 / i),
    _fan_record("lecun_uniform", "uniform", lambda i, o: 1 / i),
    Record("sparse", SHAPES_2D, {"sparsity": 0.4}),
    Record("identity", SHAPES_2D, {"gain": 0.5}, seeded=False),
    Record("dirac", SHAPES_CONV, seeded=False, large=(3, 12, 8)),
    Record("zeros", SHAPES_ANY, seeded=False),
    Record("ones", SHAPES_ANY, seeded=False),
    Record("constant", SHAPES_ANY, {"value": 0.25}, seeded=False),
    Record("orthogonal", (*SHAPES_2D, (5, 0), (3, 4, 7), (2, 3, 130, 33)), {"gain": 0.7}),
    Record("orthogonal", SHAPES_2D, {"method": "qr"}),
    Record("delta_orthogonal", ((3, 4, 8), (3, 3, 8, 16), (2, 3, 2, 4, 6)), large=(3, 129, 257)),
)
PLAIN = tuple(r for r in RECORDS if r.name not in ("dirac", "orthogonal", "delta_orthogonal"))  # take any matrix
KERNELS = tuple(r for r in PLAIN if r.variance is None or r.name == r.law)  # the others are these, scaled by fans
SEEDED = tuple(r for r in RECORDS if r.seeded)
SCALED = tuple(r for r in RECORDS if r.variance is not None)
