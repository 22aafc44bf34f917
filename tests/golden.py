"""Golden hashes: the promised bytes, one line per initializer and dtype."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from records import DTYPES, RECORDS

GOLDEN = Path(__file__).parent / "data" / "golden_hashes.txt"


def golden_lines() -> list[str]:
    """One line per initializer x dtype: hash over all its shapes."""
    lines = []
    for record in RECORDS:
        for dtype in DTYPES:
            with np.errstate(all="ignore"):
                data = b"".join(record(s, seed=11, dtype=dtype).tobytes() for s in record.shapes)
            lines.append(f"{record.id} {dtype} {hashlib.sha256(data).hexdigest()[:32]}")
    return lines


if __name__ == "__main__":  # writes the hashes: a new contract version
    GOLDEN.write_text("\n".join(golden_lines()) + "\n")
