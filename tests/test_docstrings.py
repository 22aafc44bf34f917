"""Public docstrings have the sections of NumPy's style that their signatures ask for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import fastinit
from fastinit import linalg, propagation


def public() -> Iterator[tuple[str, Any]]:
    for module in (fastinit, linalg, propagation):
        for name in module.__all__:
            value = getattr(module, name)
            if not callable(value) or value is propagation.Layer:  # a base without arguments
                continue
            yield f"{module.__name__}.{name}", value
            if inspect.isclass(value):
                methods = (m for m, f in vars(value).items() if not m.startswith("_") and inspect.isfunction(f))
                yield from ((f"{module.__name__}.{name}.{m}", getattr(value, m)) for m in methods)


PUBLIC = dict(public())


def described(text: str, section: str) -> set[str]:
    """Names that a section begins its entries with."""
    found = re.search(rf"^{section}\n-+\n(.*?)(?=^[A-Z]\w+\n-+\n|\Z)", text, re.M | re.S)
    heads = [line for line in found[1].splitlines() if line and line[0] != " "] if found else []
    return {name.strip(" *") for head in heads for name in head.split(" : ")[0].split(",")}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_parameter_and_field_is_described(name: str) -> None:
    value, text = PUBLIC[name], inspect.getdoc(PUBLIC[name]) or ""
    if described(text, "Attributes"):
        fields = getattr(value, "__dataclass_fields__", None) or getattr(value, "_fields", ())
        assert described(text, "Attributes") >= set(fields)
    else:
        taken = set(inspect.signature(value).parameters) - {"self"}
        assert described(text, "Parameters") >= taken


@pytest.mark.parametrize("name", PUBLIC)
def test_sections(name: str) -> None:
    value = PUBLIC[name]
    text = inspect.getdoc(value) or ""
    has = {section for section in ("Parameters", "Attributes", "Returns", "Raises", "Examples")
           if f"\n{section}\n{'-' * len(section)}\n" in text}  # fmt: skip
    signature = inspect.signature(value)
    if inspect.isclass(value):
        made_by_users = "Parameters" in has
        assert has >= ({"Raises", "Examples"} if made_by_users else {"Attributes"})
        return
    if set(signature.parameters) - {"self"}:
        assert has >= {"Parameters", "Raises"}
    if signature.return_annotation not in ("None", None):
        assert "Returns" in has
    assert "Examples" in has
