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
        for include in re.findall(r'#include "([a-z_]+/[a-z_.]+)"', path.read_text()):
            assert include in ALLOWED[layer] or include.split("/")[0] in ALLOWED[layer], (path.name, include)
        if layer != "bind":
            assert "Python.h" not in path.read_text()
            assert "pybind11" not in path.read_text()


def test_sources_are_short_and_licensed() -> None:
    for path in [*ROOT.glob("src/*/*.*"), *ROOT.glob("fastinit/*.py")]:
        text = path.read_text()
        assert len(text.splitlines()) <= 450, path
        if path.suffix in (".h", ".cpp"):
            assert text.startswith("// SPDX-License-Identifier: BSD-3-Clause"), path


def test_private_modules_do_not_import_public_ones() -> None:
    for path in ROOT.glob("fastinit/_*.py"):
        if path.name in ("__init__.py", "__main__.py", "_tour.py", "_fill_command.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                names = [node.module] if node.module else [a.name for a in node.names]
                assert all(n.startswith("_") or n == "runtime" for n in names), (path.name, names)


def test_readme_example_runs() -> None:
    text = (ROOT / "README.md").read_text()
    scope: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(compile(code, "README.md", "exec"), scope)
    assert scope["part"].shape == (16, 65_536)  # type: ignore[attr-defined]
    first = re.findall(r"```sh\n(.*?)```", text, re.S)[0].strip().splitlines()
    assert first == ["pip install . && python -m fastinit", "pip install '.[test]' && pytest"]
