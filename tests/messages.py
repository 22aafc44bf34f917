"""Whole messages of errors, which name the argument, what it got and what is allowed."""

from __future__ import annotations

import re


def whole(message: str) -> str:
    """The pattern of a message for `pytest.raises`; `...` stands for the middle of a list, or for NumPy's words."""
    return "^" + re.escape(message).replace(r"\.\.\.", ".*") + "$"
