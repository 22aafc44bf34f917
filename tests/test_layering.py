"""Includes and imports point one way; the README's example runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

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
    for path in [*ROOT.glob("src/*/*.*"), *ROOT.glob("fastinit/**/*.py")]:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 450, path
        if path.suffix in (".h", ".cpp"):
            assert text.startswith("// SPDX-License-Identifier: BSD-3-Clause"), path


FRONT = ("__init__", "__main__", "_tour", "_fill_command", "_propagate_command", "_weights_command")  # may import anything
GATES = ("_activations", "_args", "_keys", "_orthogonal", "_run")  # the private modules that reach the core
FRAMEWORKS = ("torch", "jax", "keras", "dask")


def relative_imports(path: Path) -> set[str]:
    """Modules of the package that a file of its top level imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module.split(".")[0]} if node.module else {a.name for a in node.names}
    return found


MODULES = {p.stem: relative_imports(p) for p in ROOT.glob("fastinit/*.py") if p.stem not in FRONT}


def test_private_modules_do_not_import_public_ones() -> None:
    for name, imports in MODULES.items():
        if name.startswith("_"):
            assert all(i.startswith("_") for i in imports), (name, imports)
            assert "_core" not in imports or name in GATES, name


def test_imports_have_no_cycle_and_frameworks_are_on_top() -> None:
    done: set[str] = {"_core"}
    left = dict(MODULES)
    while left:
        ready = [name for name, imports in left.items() if imports <= done]
        assert ready, f"a cycle among {sorted(left)}"
        done.update(ready)
        for name in ready:
            del left[name]
    for name, imports in MODULES.items():
        assert not imports & {*FRAMEWORKS, *FRONT}, name
    assert not relative_imports(ROOT / "fastinit" / "__init__.py") & set(FRAMEWORKS)


def test_readme_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    scope: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(compile(code, "README.md", "exec"), scope)
    assert capsys.readouterr().out in text  # the verdict that it shows
    assert scope["part"].shape == (16, 65_536)  # type: ignore[attr-defined]
    first = re.findall(r"```sh\n(.*?)```", text, re.S)[0].strip().splitlines()
    assert first == ["pip install . && python -m fastinit", "pip install '.[test]' && pytest"]
