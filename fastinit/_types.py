"""Types of arguments, as type checkers see them; what is accepted is checked in `_args` and `_keys`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

Array = np.ndarray[Any, np.dtype[Any]]
ArrayLike = npt.ArrayLike
DTypeLike = npt.DTypeLike
Shape = tuple[int, ...]
ShapeLike = SupportsIndex | Sequence[SupportsIndex]
AxisLike = ShapeLike | None
Shard = slice | Sequence[slice]
Progress = Callable[[float], Any]  # told the share done
