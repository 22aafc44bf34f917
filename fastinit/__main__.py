"""The command line: ``python -m fastinit``, also installed as ``fastinit``."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

import fastinit

from . import _fill_command, _propagate_command, _tour, _weights_command
from .propagation._plain import plain_json
from .spec import INITIALIZERS

# What follows an option and is its value although it starts with "-": -1e-3, -inf, -8:,: .
_NEGATIVE = re.compile(r"(?i)-(?:[\d.]|inf(?:inity)?\b)")


def _joined(argv: Sequence[str]) -> list[str]:
    """``--mean -1e-3`` as ``--mean=-1e-3``, which argparse would take for two options."""
    joined: list[str] = []
    for word in argv:
        if _NEGATIVE.match(word) and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="fastinit", description="Neural-network weights, filled in parallel. Without a command: the tour.",
        epilog="example:\n  fastinit fill he_normal 4096x4096 --seed 0 -o w.npy", formatter_class=raw,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fastinit {fastinit.__version__}")
    parser.add_argument("--json", action="store_true", help="print JSON")
    commands = parser.add_subparsers(dest="command", metavar="{fill,propagate,weights,info}")
    fill = commands.add_parser(
        "fill", help="fill a .npy file", formatter_class=raw, allow_abbrev=False,
        description="Fill a .npy file, which may be larger than memory.",
        epilog="example:\n  fastinit fill xavier_uniform 512x256x3x3 --layout oihw --dtype float16 -o conv.npy",
    )
    fill.add_argument("initializer", metavar="INIT", help="one of " + ", ".join(INITIALIZERS))
    fill.add_argument("shape", metavar="SHAPE", help="such as 4096x4096")
    fill.add_argument("-o", "--output", required=True, metavar="FILE", help="the .npy file to write, or to write over")
    fill.add_argument("--dtype", default="float32", help="default float32")
    fill.add_argument("--seed", type=int, default=0, help="default 0")
    fill.add_argument("--shard", help="block of the tensor, such as 0:1024,:")
    fill.add_argument("--num-threads", type=int, help="default: as info shows")
    for name, kind, text in _fill_command.OPTIONS:
        fill.add_argument(f"--{name}", type=kind, help=text)
    for name, text in _fill_command.FLAGS.items():
        fill.add_argument(f"--{name}", action="store_true", default=None, help=text)
    info = commands.add_parser(
        "info", help="what this installation runs on", formatter_class=raw, allow_abbrev=False,
        description="Version, instruction sets, threads and build.",
        epilog="example:\n  fastinit info --json",
    )
    theory = _propagate_command.add_parsers(commands, raw)
    for command in (fill, info, *theory):
        command.add_argument("--json", action="store_true", help="print JSON", default=argparse.SUPPRESS)
    for each in (parser, fill, info, *theory):
        each.set_defaults(parser=each)
    return parser


def _options(argv: Sequence[str]) -> argparse.Namespace:
    """As parsed; what is left over is refused by the command itself, whose usage helps."""
    options, strange = _parser().parse_known_args(_joined(argv))
    if strange:
        options.parser.error(f"unrecognized arguments: {' '.join(strange)}")
    return options


def _info() -> dict[str, Any]:
    return {
        "version": fastinit.__version__,
        "contract_version": fastinit.CONTRACT_VERSION,
        "isa": fastinit.isa(),
        "available_isas": fastinit.available_isas(),
        "threads": fastinit.get_num_threads(),
        "numpy": np.__version__,
        **{f"build_{k}": v for k, v in fastinit.build_info().items() if k != "version"},
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _options(sys.argv[1:] if argv is None else argv)
    program = f"fastinit {options.command}" if options.command else "fastinit"
    try:
        fastinit.get_num_threads()  # what is wrong with its variables is no layer's fault
        if options.command == "fill":
            result = _fill_command.run(options)
            text = _fill_command.describe(result)
        elif options.command in ("propagate", "weights"):
            command = options.command
            run = _propagate_command.run_propagate if command == "propagate" else _weights_command.run_weights
            result, text = run(options)
        elif options.command == "info":
            result = _info()
            width = max(map(len, result))
            text = "\n".join(
                f"{k:<{width}}  {', '.join(v) if isinstance(v, list) else v}" for k, v in result.items()
            )
        else:
            result = _tour.measure()
            text = _tour.table(result)
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    except (TypeError, ValueError, OverflowError, MemoryError, OSError, ImportError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"{program}: error: {message}", file=sys.stderr)
        return 2
    if isinstance(sys.stdout, io.TextIOWrapper):  # names may have characters that the terminal lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(json.dumps(plain_json(result), indent=2, allow_nan=False) if options.json else text, flush=True)
    except OSError as error:
        # What is left in the buffer would fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # else the reader has seen enough
            print(f"{program}: error: cannot print: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
