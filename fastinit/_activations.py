"""From a name or a Python function to the core's activation, with the checks of its parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _core
from ._args import check_number, items_of, named_errors, unknown_name
from ._run import at_once

Function = _core.Activation  # with its integrals
#: A name, or a vectorised function of a float64 array.
ActivationLike = str | Callable[[Any], Any] | Function

_TABLE: dict[str, tuple[tuple[str, str, float], ...]] = {}
_CANONICAL: dict[str, str] = {}
for _name, _aliases, _parameters in _core.activations():
    _TABLE[_name] = _parameters
    _CANONICAL[_name] = _name
    for _alias in _aliases:
        _CANONICAL[_alias] = _name
_WANTED = "activation must take a float64 array, as numpy.vectorize makes a function of numbers do"


def canonical_name(activation: str) -> str:
    """The table's name for a name or alias; ValueError lists the known ones."""
    name = _CANONICAL.get(activation)
    if name is None:
        name = _CANONICAL.get(activation.lower().replace("-", "_"))
    if name is None:
        raise unknown_name(activation, "activation", _TABLE)
    return name


@functools.lru_cache(maxsize=256)
def _named(name: str, values: tuple[float, ...]) -> _core.Activation:
    return _core.Activation(name, list(values))


def _named_values(name: str, params: dict[str, Any]) -> tuple[float, ...]:
    rows = _TABLE[name]
    values = [value for _, _, value in rows]
    given: dict[int, str] = {}
    for key, value in params.items():
        for i, (parameter, alias, _) in enumerate(rows):
            if key in (parameter, alias) and key:
                if i in given:
                    raise TypeError(f"{given[i]} and {key} name the same parameter of {name}")
                given[i] = key
                values[i] = check_number(value, key)
                break
        else:
            allowed = ", ".join(parameter for parameter, _, _ in rows) or "none"
            raise TypeError(f"{key} is not a parameter of {name}; its parameters: {allowed}")
    if name == "celu" and not values[0] > 0.0:
        raise ValueError(f"alpha must be positive for celu, got {values[0]!r}")
    return tuple(values)


def _check_kinks(kinks: Any) -> list[float]:
    items = items_of(kinks)
    if items is None:
        raise TypeError(f"kinks must be a sequence of real numbers, got {kinks!r}")
    return sorted(check_number(k, "kinks") for k in items)


def resolve(activation: Any, params: dict[str, Any]) -> _core.Activation:
    """The core's object for an activation.

    A Python function may come with `derivative` (a function too) and `kinks` (where it or a
    derivative jumps); what else is in `params` is passed on to the function.
    """
    if isinstance(activation, _core.Activation):
        return activation
    if isinstance(activation, str):
        name = canonical_name(activation)
        return _named(name, _named_values(name, params))
    if not callable(activation):
        raise TypeError(f"activation must be a name or a function of an array, got {activation!r}")
    rest = dict(params)
    derivative = rest.pop("derivative", None)
    kinks = _check_kinks(rest.pop("kinks", ()))
    if derivative is not None and not callable(derivative):
        raise TypeError(f"derivative must be a function of an array or None, got {derivative!r}")
    return _core.Activation.from_callable(
        _quiet(activation, rest), None if derivative is None else _quiet(derivative, rest), kinks
    )


def _quiet(function: Callable[..., Any], params: dict[str, Any]) -> Callable[[Any], Any]:
    """Without NumPy's warnings: the points lie far outside the range that a network sees.

    What the function fills, it fills at once, within `initialize` too.
    """

    def call(x: Any) -> Any:
        with at_once(), np.errstate(all="ignore"), named_errors(_WANTED):
            return function(x, **params)

    return call
