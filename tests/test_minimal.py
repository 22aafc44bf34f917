"""What an installed wheel must do: needs NumPy and pytest alone, and no compiler."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from golden import GOLDEN, golden_lines

import fastinit as fi
from fastinit.propagation import moments
from fastinit.spec import INITIALIZERS

PACKAGE = Path(fi.__file__).parent


def test_the_bytes_are_those_promised(isa: str) -> None:
    assert golden_lines() == GOLDEN.read_text().splitlines()


@pytest.mark.skipif("site-packages" not in PACKAGE.parts, reason="not installed: a development build")
def test_one_version() -> None:
    assert fi.__version__ == fi.build_info()["version"] == importlib.metadata.version("fastinit")


def test_the_package_is_whole() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "_core.pyi").exists()
    assert {getattr(fi, name) for name in INITIALIZERS} == set(INITIALIZERS.values())
    assert all(hasattr(fi, name) for name in fi.__all__)


@pytest.mark.parametrize("num_threads", [2, 3])
def test_threads_do_not_change_values(num_threads: int) -> None:
    want = fi.he_normal((1000, 1000), seed=0, num_threads=1)
    assert fi.he_normal((1000, 1000), seed=0, num_threads=num_threads).tobytes() == want.tobytes()
    assert abs(float(want.std()) - 0.002**0.5) < 1e-4


def test_shards_equal_slices() -> None:
    part = fi.xavier_uniform((4096, 64), seed=0, shard=(slice(100, 200), slice(None, None, 2)))
    assert part.tobytes() == fi.xavier_uniform((4096, 64), seed=0)[100:200, ::2].tobytes()


def test_a_model_and_a_generator() -> None:
    model = fi.initialize({"w": fi.Spec("lecun_normal", (64, 32), dtype="bfloat16"), "b": fi.Spec("zeros", 32)})
    assert model["w"].dtype.name == "bfloat16" and not model["b"].any()
    assert fi.default_rng(0).normal(size=3).shape == (3,)
    assert np.random.Generator(fi.Philox4x32(0)).permutation(5).sum() == 10


def test_theory() -> None:
    assert fi.gain("relu") == pytest.approx(2**0.5, rel=1e-15)
    assert moments("tanh").phi2 == pytest.approx(0.394294, abs=1e-6)


def test_command_line() -> None:
    shown = subprocess.run([sys.executable, "-m", "fastinit", "info", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["version"] == fi.__version__
