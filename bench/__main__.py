"""Everything measured, into `bench/plots` and the README: ``python -m bench`` (some ten minutes)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from . import convergence, report

ROOT = Path(__file__).parent.parent


def main() -> int:
    readme, plots = str(ROOT / "README.md"), str(ROOT / "bench" / "plots")
    with tempfile.TemporaryDirectory() as folder:
        results = str(Path(folder) / "results.json")
        failed = pytest.main(["-q", f"--benchmark-json={results}", *sys.argv[1:], str(ROOT / "bench")])
        if failed:
            return int(failed)
        return report.main([results, "--output", plots, "--readme", readme]) or convergence.main(
            ["--output", plots, "--readme", readme]
        )


if __name__ == "__main__":
    sys.exit(main())
