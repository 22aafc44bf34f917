"""Everything measured, into `bench/plots` and the README: ``python -m bench`` (some twenty minutes)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from fastinit.__main__ import main as command_line

from . import convergence, report

ROOT = Path(__file__).parent.parent
VERDICT = "propagate --depth 50 --width 512 --activation relu --init he_normal --simulate".split()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="a part alone, the README left as it is:\n"
               "  pytest bench/ -k normal --benchmark-json=part.json && python -m bench.report part.json --output part",
        allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--large", action="store_true", help="every fill at every size to 2**28, whole models: an hour")
    options = ["--large"] if parser.parse_args().large else []
    readme, plots = str(ROOT / "README.md"), ROOT / "bench" / "plots"
    results = plots / "results.json"  # kept, so that the report can be made again
    plots.mkdir(exist_ok=True)
    failed = pytest.main(["-q", f"--benchmark-json={results}", *options, str(ROOT / "bench")])
    return (
        int(failed)
        or report.main([str(results), "--output", str(plots), "--readme", readme])
        or convergence.main(["--output", str(plots), "--readme", readme])
        or command_line([*VERDICT, "--plot", str(plots / "verdict.png")])
    )


if __name__ == "__main__":
    sys.exit(main())
