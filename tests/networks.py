"""Networks that several tests judge."""

from __future__ import annotations

from typing import Any

from fastinit.propagation import Activation, Dense, Report, propagate


def fifty(name: str, init: str, **kwargs: Any) -> Report:
    return propagate([Dense(512, init, **kwargs), Activation(name)] * 50)
