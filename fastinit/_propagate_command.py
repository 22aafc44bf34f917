"""``fastinit propagate``: will a network train, as it is initialized?"""

from __future__ import annotations

import argparse
from typing import Any

from tqdm import tqdm

from ._args import check_int, check_number
from ._fill_command import no_option, number_or_name
from .propagation import Layer, propagate, simulate
from .propagation._compare import NORMS, Chain, compare_rows, compare_table, scheme_reports
from .propagation._plot import check_drawable, picture_path
from .propagation._report import counted
from .spec import INITIALIZERS, parameters_of

_OF_INIT = ("gain", "nonlinearity", "std", "scale")  # options that are arguments of the initializer
#: Options that a comparison has no use for, and what the others are without them.
DEFAULTS: dict[str, Any] = {
    "init": "he_normal", "gain": None, "nonlinearity": None, "std": None, "scale": None, "simulate": False,
    "repeats": 4, "seed": 0, "plot": None, "rows": 16,
}  # fmt: skip


def add_parsers(commands: Any, raw: Any) -> list[argparse.ArgumentParser]:
    """The two commands' options."""
    absent = argparse.SUPPRESS  # what is not given shows in --compare; see DEFAULTS
    p = commands.add_parser(
        "propagate", help="will a network train, as it is initialized?", formatter_class=raw, allow_abbrev=False,
        description="Variance of signals and gradients through depth, before any training, and a verdict.",
        epilog="example:\n  fastinit propagate --depth 50 --width 512 --activation relu --init he_normal",
    )
    p.add_argument("--depth", type=int, default=50, help="layers with weights, default 50")
    p.add_argument("--width", type=int, default=512, help="units of every layer, default 512")
    p.add_argument("--activation", default="relu", help="default relu")
    p.add_argument("--init", default=absent, help="initializer, default he_normal")
    p.add_argument("--gain", type=number_or_name, default=absent, help="gain of the initializer: a number or an activation")
    p.add_argument("--nonlinearity", default=absent, help="of he_*: the activation whose gain they take, default relu")
    p.add_argument("--std", type=float, default=absent, help="std of the initializer")
    p.add_argument("--scale", type=float, default=absent, help="scale of variance_scaling")
    p.add_argument("--bias-std", type=float, default=0.0, help="std of Gaussian biases, default 0")
    p.add_argument("--residual", type=float, nargs="?", const=1.0, metavar="SCALE",
                   help="residual blocks of one layer, branches times SCALE (default 1)")  # fmt: skip
    p.add_argument("--norm", choices=tuple(NORMS), default="none", help="normalization before every activation")
    p.add_argument("--compare", action="store_true", help="the usual initializers side by side")
    w = commands.add_parser(
        "weights", help="will a saved model's matrices train?", formatter_class=raw, allow_abbrev=False,
        description="Reads the matrices of a .npz or .safetensors file in the file's order, an alphabetical one\n"
                    "by the numbers in the names (w2 before w10), and reports on the longest chain of them,\n"
                    "with the activation between: a multilayer perceptron. Attention and gates are no such chain.",
        epilog="example:\n  fastinit weights model.safetensors --activation gelu --layout oi",
    )
    w.add_argument("file", metavar="FILE", help="a .npz or .safetensors file")
    w.add_argument("--activation", default="relu", help="between the matrices, default relu")
    w.add_argument("--layout", choices=("io", "oi"),
                   help="of the matrices: (in, out) or (out, in), as PyTorch keeps them; default: that which "
                        "biases tell, or in which more of them fit one behind the other")  # fmt: skip
    for command in (p, w):
        command.add_argument("--dtype", default="float32", help="of the activations, default float32")
        command.add_argument("--batch", type=int, default=256, help="number of inputs, default 256")
        command.add_argument("--simulate", action="store_true", default=absent, help="measure too, with real draws")
        command.add_argument("--repeats", type=int, default=absent, help="of the simulation, default 4")
        command.add_argument("--seed", type=int, default=absent, help="of the simulation, default 0")
        command.add_argument("--plot", metavar="FILE", default=absent, help="write a picture, such as out.png")
        command.add_argument("--markdown", action="store_true", help="print Markdown")
        command.add_argument("--rows", type=int, default=absent, help="layers to show, 0 for all; default 16")
    return [p, w]


def asked_chain(options: argparse.Namespace) -> Chain:
    """The network that the options ask for, but for its initializer."""
    depth, width = check_int(options.depth, "--depth", low=1), check_int(options.width, "--width", low=1)
    residual = None if options.residual is None else check_number(options.residual, "--residual")
    return Chain(depth, width, options.activation, options.bias_std, residual, options.norm)


def run_propagate(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The result as plain data, and as text."""
    check_common(options)
    if options.compare:
        return _compare(options)
    options = settled(options)
    kwargs = {k: v for k in _OF_INIT if (v := getattr(options, k)) is not None}
    strange = next((k for k in kwargs if options.init in INITIALIZERS and k not in parameters_of(options.init)), None)
    if strange is not None:
        raise no_option(strange, options.init, _OF_INIT)
    return report_of(asked_chain(options).layers(options.init, **kwargs), options)


def check_common(options: argparse.Namespace) -> None:
    """What `propagate`, its comparison and `weights` have in common."""
    check_int(options.batch, "--batch", low=1)
    if options.json and options.markdown:
        raise ValueError("--markdown must not be given with --json")


def settled(options: argparse.Namespace) -> argparse.Namespace:
    for name, low in (("repeats", 1), ("seed", 0)):
        if name in vars(options):
            if "simulate" not in vars(options):
                raise ValueError(f"--{name} must be given with --simulate, as an option of the simulation alone")
            check_int(getattr(options, name), f"--{name}", low=low)
    return argparse.Namespace(**{**DEFAULTS, **vars(options)})


def report_of(layers: list[Layer], options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    rows = check_int(options.rows, "--rows", low=0) or None
    picture = None if options.plot is None else picture_path(options.plot, "--plot")
    if picture is not None:
        check_drawable(picture, "--plot")  # what is missing shows before the work
    report = propagate(layers, dtype=options.dtype, batch=options.batch)
    if options.simulate:
        report = report.with_measured(_simulated(layers, options))
    text = report.table(markdown=options.markdown, rows=rows)
    if picture is not None:
        report.plot(picture)
        text += f"\n\npicture: {picture}"
    return report.to_dict(), text


def _simulated(layers: list[Layer], options: argparse.Namespace) -> Any:
    with tqdm(total=100, unit="%", desc="simulate", delay=1.0, leave=False) as bar:
        return simulate(
            layers, options.batch, seed=options.seed, repeats=options.repeats, dtype=options.dtype,
            progress=lambda done: bar.update(int(100 * done) - bar.n),
        )  # fmt: skip


def _compare(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    given = next((name for name in DEFAULTS if name in vars(options)), None)
    if given is not None:
        raise ValueError(f"--{given} must not be given with --compare, which sets the usual initializers side by side")
    chain = asked_chain(options)
    rows = compare_rows(scheme_reports(chain, dtype=options.dtype, batch=options.batch))
    norm = "" if options.norm == "none" else f", {options.norm} norm"
    residual = "" if options.residual is None else f", residual branches x {options.residual:g}"
    title = f"{counted(options.depth, 'layer')} of {counted(options.width, 'unit')}, {options.activation}{norm}{residual}"
    result = {"depth": options.depth, "width": options.width, "activation": options.activation, "rows": rows}
    return result, f"{title}\n\n{compare_table(rows, options.markdown)}"
