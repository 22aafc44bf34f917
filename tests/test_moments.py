"""Gaussian moments of activations against 30 digits; theory against what can be derived."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from fastinit import propagation as prop

DATA = json.loads((Path(__file__).parent / "data" / "moments.json").read_text())


@pytest.mark.parametrize("row", DATA["rows"], ids=lambda r: f"{r[0]}-{r[2]:g}-{r[3]:g}")
def test_moments_against_mpmath(row: list) -> None:
    name, params, q, mean, want = row
    got = prop.moments(name, q, mean, **params)
    assert got._fields == tuple(DATA["fields"])
    scale = max(abs(float(w)) for w in want[:2])
    for field, g, w in zip(got._fields, got, map(float, want), strict=True):
        tiny = 1e-13 * (math.sqrt(float(want[1])) if field == "phi" else scale)
        assert abs(g - w) <= 1e-12 * abs(w) + (tiny if field in ("phi", "h_phi_dphi") else 1e-300), field


def test_he_relu_correlation_map() -> None:
    c = 0.0
    for want in (0.31831, 0.49373, 0.60483):
        c = prop.c_map("relu", c, 1.0, 2.0, 0.0)
        c = getattr(c, "c", c)
        assert abs(c - want) < 5e-6


@pytest.mark.parametrize("name", ["relu", "gelu", "tanh", "erf"])
def test_pair_moments_at_full_correlation(name: str) -> None:
    m, pair = prop.moments(name, 1.7), prop.pair_moments(name, 1.0, 1.7)
    assert abs(pair.phi_phi - m.phi2) < 1e-12
    assert abs(pair.dphi_dphi - m.dphi2) < 1e-12


def test_callable_is_the_named_one() -> None:
    got, want = prop.moments(np.tanh, 1.5), prop.moments("tanh", 1.5)
    assert abs(got.phi2 - want.phi2) < 1e-10
    assert abs(got.dphi2 - want.dphi2) < 1e-6
