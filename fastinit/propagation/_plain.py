"""Results as plain numbers, strings, lists and dicts."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """What a field holds, as `to_dict` gives it."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return fields_of(value)
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return np.asarray(value, np.float64).tolist() if isinstance(value, np.ndarray) else value


def fields_of(value: Any) -> dict[str, Any]:
    """Those of a dataclass."""
    return {f.name: plain(getattr(value, f.name)) for f in fields(value)}


def plain_json(value: Any) -> Any:
    """With numbers that JSON lacks as strings."""
    if isinstance(value, dict):
        return {k: plain_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
