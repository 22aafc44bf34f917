"""Everything measured, into `bench/plots` and the README: ``python -m bench`` (a quarter of an hour)."""

from __future__ import annotations

import argparse
import sys
import tempfile
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
    parser.add_argument("--large", action="store_true", help="fills to 2**28, whole models: half an hour")
    options = ["--large"] if parser.parse_args().large else []
    readme, plots = str(ROOT / "README.md"), str(ROOT / "bench" / "plots")
    with tempfile.TemporaryDirectory() as folder:
        results = str(Path(folder) / "results.json")
        failed = pytest.main(["-q", f"--benchmark-json={results}", *options, str(ROOT / "bench")])
        if failed:
            return int(failed)
        return (
            report.main([results, "--output", plots, "--readme", readme])
            or convergence.main(["--output", plots, "--readme", readme])
            or command_line([*VERDICT, "--plot", str(ROOT / "bench" / "plots" / "verdict.png")])
        )


if __name__ == "__main__":
    sys.exit(main())
