"""Includes and imports point one way; the README's example runs."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

import fastinit

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "core": {"core"},
    "kernels": {"kernels", "core/kernels.h", "core/dtype.h"},
    "ops": {"ops", "core"},
    "bind": {"bind", "ops", "core"},
}


@pytest.mark.parametrize("layer", ALLOWED)
def test_includes_point_down(layer: str) -> None:
    for path in (ROOT / "src" / layer).iterdir():
        for include in re.findall(r'#include "([a-z_]+/[a-z_.]+)"', path.read_text(encoding="utf-8")):
            assert include in ALLOWED[layer] or include.split("/")[0] in ALLOWED[layer], (path.name, include)
        if layer != "bind":
            assert "Python.h" not in path.read_text(encoding="utf-8")
            assert "pybind11" not in path.read_text(encoding="utf-8")


def test_sources_are_short_and_licensed() -> None:
    python = (path for folder in ("fastinit", "tests", "bench") for path in ROOT.glob(f"{folder}/**/*.py"))
    for path in [*ROOT.glob("src/*/*.*"), *python]:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 400, path
        if path.suffix in (".h", ".cpp"):
            assert text.startswith("// SPDX-License-Identifier: BSD-3-Clause"), path


PACKAGE = ROOT / "fastinit"
FRAMEWORKS = ("torch", "jax", "keras", "dask")
# The private modules that reach the core.
GATES = {
    "_activations", "_args", "_keys", "_orthogonal", "_run",
    *(f"propagation._{name}" for name in "node pointwise pooling range signal simulate units weights".split()),
}  # fmt: skip
# What the package of propagation takes from the modules beside it.
BESIDE = {"_activations", "_args", "_fans", "_keys", "_run", "_types", "laws", "spec"}
# Imports inside functions, of views that most reports are never shown in, and of the verdict on measured ones.
LATE = {("propagation._report", f"propagation._{name}") for name in ("table", "plot", "verdict", "heeded")}


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports, anywhere in it but for the type checker alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    typing = {inner for node in checks for inner in ast.walk(node)}
    parents = path.relative_to(PACKAGE).parent.parts
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and node not in typing:
            base = parents[: len(parents) - node.level + 1]
            found |= {".".join((*base, name)) for name in ([node.module] if node.module else [a.name for a in node.names])}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            assert "fastinit" not in ast.unparse(node), (path, ast.unparse(node))
    return found


def is_front(name: str) -> bool:
    """May import anything, and nothing imports it."""
    return name in ("__init__", "__main__", "_tour") or name.endswith("_command")


MODULES = {
    name: imports(path)
    for path in PACKAGE.glob("**/*.py")
    if not is_front(name := ".".join(path.relative_to(PACKAGE).with_suffix("").parts)) and path.stem not in FRAMEWORKS
}


def is_private(name: str) -> bool:
    return name.split(".")[-1].startswith("_")


def test_private_modules_do_not_import_public_ones() -> None:
    beside: set[str] = set()
    for name, found in MODULES.items():
        if "." in name:
            beside |= {i for i in found if not i.startswith("propagation.")}
        else:
            assert not is_private(name) or all(is_private(i) for i in found), (name, found)
            assert not any(i.startswith("propagation") for i in found), (name, found)
    assert beside == BESIDE | {"_core"}


def test_only_public_modules_and_gates_import_the_core() -> None:
    assert {name for name, found in MODULES.items() if is_private(name) and "_core" in found} == GATES


def test_imports_have_no_cycle_and_frameworks_are_on_top() -> None:
    assert all(late in MODULES[name] for name, late in LATE)
    done: set[str] = {"_core"}
    left = {name: {i for i in found if (name, i) not in LATE} for name, found in MODULES.items()}
    while left:
        ready = [name for name, found in left.items() if found <= done]
        assert ready, f"a cycle among {left}"
        done.update(ready)
        for name in ready:
            del left[name]
    assert not imports(PACKAGE / "__init__.py") & {*FRAMEWORKS, "propagation"}


def test_readme_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    scope: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(compile(code, "README.md", "exec"), scope)
    shown = capsys.readouterr().out
    assert "Does not train as it is." in shown and shown in text  # the verdict that it shows
    assert scope["part"].shape == (16, 65_536)  # type: ignore[attr-defined]
    (code,) = re.findall(r"```py\n(.*?)```", text, re.S)  # of PyTorch, for which NumPy arrays stand in
    shapes = {"Linear": (64, 128), "Conv1d": (64, 50, 3), "Conv2d": (64, 16, 3, 3), "Conv3d": (64, 8, 3, 3, 3)}
    shapes["LSTM"] = (9, 9)
    nn, weights = Mock(), {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    modules = {}
    for name, w in weights.items():
        kind = type(name, (), {"weight": Mock(**{"detach.return_value.numpy.return_value": w})})
        setattr(nn, name, kind)
        modules[name] = kind()
    model = Mock(**{"named_modules.return_value": modules.items()})
    exec(compile(code, "README.md", "exec"), {"fi": fastinit, "model": model, "nn": nn})
    assert (weights.pop("LSTM") == 1.0).all()
    for name, w in weights.items():
        assert np.std(w) == pytest.approx(math.sqrt(2 / math.prod(shapes[name][1:])), rel=0.05), name
    first = re.findall(r"```sh\n(.*?)```", text, re.S)[0].strip().splitlines()
    assert first == ["pip install . && python -m fastinit", "pip install '.[test]' && pytest"]
