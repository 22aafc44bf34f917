"""``fastinit propagate``: will a network train, as it is initialized?"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from tqdm import tqdm

from ._activations import canonical_name
from ._args import check_int, check_number
from .propagation import (
    Activation,
    BatchNorm,
    Dense,
    Layer,
    LayerNorm,
    Report,
    Residual,
    RMSNorm,
    propagate,
    simulate,
)
from .propagation._layer_report import power
from .propagation._plot import check_drawable, picture_path
from .propagation._report import counted
from .propagation._table import from_log10, number, percent
from .propagation._verdict import grade_of

NORMS = {"none": None, "layer": LayerNorm, "rms": RMSNorm, "batch": BatchNorm}
#: What --compare sets side by side: a label, an initializer, its arguments.
SCHEMES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("zeros", "zeros", {}),
    ("small random, std 0.01", "normal", {"std": 0.01}),
    ("uniform [-1, 1]", "uniform", {"low": -1.0, "high": 1.0}),
    ("Xavier", "xavier_normal", {}),
    ("He", "he_normal", {}),
    ("LeCun", "lecun_normal", {}),
    ("orthogonal", "orthogonal", {}),
)
#: Options that a comparison has no use for, and what the others are without them.
DEFAULTS: dict[str, Any] = {
    "init": "he_normal", "gain": None, "std": None, "scale": None, "simulate": False, "repeats": 4, "seed": 0,
    "plot": None, "rows": 16,
}  # fmt: skip
_GAIN_OF = {"relu": 2.0**0.5, "leaky_relu": 2.0**0.5}


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
    p.add_argument("--gain", type=float, default=absent, help="gain of the initializer")
    p.add_argument("--std", type=float, default=absent, help="std of the initializer")
    p.add_argument("--scale", type=float, default=absent, help="scale of variance_scaling")
    p.add_argument("--bias-std", type=float, default=0.0, help="std of Gaussian biases, default 0")
    p.add_argument("--residual", type=float, nargs="?", const=1.0, metavar="SCALE",
                   help="residual blocks of one layer, branches times SCALE (default 1)")  # fmt: skip
    p.add_argument("--norm", choices=tuple(NORMS), default="none", help="normalization before every activation")
    p.add_argument("--compare", action="store_true", help="the usual initializers side by side")
    w = commands.add_parser(
        "weights", help="will a saved model's matrices train?", formatter_class=raw, allow_abbrev=False,
        description="Reads the matrices of a .npz or .safetensors file in the file's order, an alphabetical one by the "
                    "numbers in the names (w2 before w10), and reports.",
        epilog="example:\n  fastinit weights model.safetensors --activation gelu --layout oi",
    )
    w.add_argument("file", metavar="FILE", help="a .npz or .safetensors file")
    w.add_argument("--activation", default="relu", help="between the matrices, default relu")
    w.add_argument("--layout", choices=("io", "oi"), default="oi",
                   help="of the matrices: (in, out) or (out, in), as PyTorch keeps them; default oi")  # fmt: skip
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


def network(options: argparse.Namespace, init: str, kwargs: dict[str, Any]) -> list[Layer]:
    """The layers that the options ask for."""
    depth, width = check_int(options.depth, "--depth", low=1), check_int(options.width, "--width", low=1)
    norm = NORMS[options.norm]
    dense = Dense(width, init, bias_std=options.bias_std, **kwargs)
    middle = [] if norm is None else [norm()]
    active = [*middle, Activation(options.activation)]
    if options.residual is not None:
        scale = check_number(options.residual, "--residual")
        return [dense, *[Residual([*active, dense], scale=scale)] * (depth - 1)]
    return [dense, *active] * depth


def run_propagate(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The result as plain data, and as text."""
    check_common(options)
    if options.compare:
        return _compare(options)
    options = settled(options)
    kwargs = {k: getattr(options, k) for k in ("gain", "std", "scale") if getattr(options, k) is not None}
    return report_of(network(options, options.init, kwargs), options)


def check_common(options: argparse.Namespace) -> None:
    """What `propagate`, its comparison and `weights` have in common."""
    check_int(options.batch, "--batch", low=1)
    if options.json and options.markdown:
        raise ValueError("--markdown must not be given with --json")


def settled(options: argparse.Namespace) -> argparse.Namespace:
    for name in ("repeats", "seed"):
        if name in vars(options) and "simulate" not in vars(options):
            raise ValueError(f"--{name} must be given with --simulate, as an option of the simulation alone")
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


def scheme_reports(options: argparse.Namespace) -> list[tuple[str, Report]]:
    """A report per usual initializer; orthogonal weights have the gain of the activation's kind."""
    found = []
    for label, init, kwargs in SCHEMES:
        if init == "orthogonal":
            kwargs = {"gain": _GAIN_OF.get(canonical_name(options.activation), 1.0)}
        found.append((label, propagate(network(options, init, kwargs), dtype=options.dtype, batch=options.batch)))
    return found


def compare_rows(reports: list[tuple[str, Report]]) -> list[dict[str, Any]]:
    """What the comparison shows of each."""
    rows = []
    for label, r in reports:
        last = [x for x in r.layers if x.sigma_w2 is not None][-1]
        shift = r.log10_signal_ratio / max(1, r.depth - 1)
        saturated = [x.saturated for x in r.layers if x.saturated is not None]
        rows.append({
            "init": label, "sigma_w2": last.sigma_w2, "signal_log10": r.log10_signal_ratio,
            "signal_per_layer": power(shift), "gradient_log10": r.log10_gradient_ratio, "correlation": last.correlation,
            "dead": r.dead, "saturated": sum(saturated) / len(saturated) if saturated else None, "phase": r.phase,
            "jacobian_mean": r.jacobian.mean, "jacobian_spread": _spread(r), "overflow": r.overflow[r.dtype],
            "symmetric": r.symmetric, "level": r.level, "words": _words(r),
        })  # fmt: skip
    return rows


def _spread(r: Report) -> float | None:
    """Largest over mean eigenvalue of J J^T."""
    return r.jacobian.largest / r.jacobian.mean if 0.0 < r.jacobian.mean < 1e300 else None


def _words(r: Report) -> str:
    """The verdict in a few words."""
    total = r.log10_gradient_ratio
    if r.symmetric:
        return "dead and symmetric" if total == -np.inf else "symmetric"
    saturated = [x.saturated for x in r.layers if x.saturated is not None and not x.zero]
    grade = grade_of(abs(total), "gradient")
    if grade == 2:
        words = "vanishes" if total < 0 else "explodes"
        if saturated and sum(saturated) / len(saturated) > 0.5:
            words += ", saturated"
        return words + (f", overflows {r.dtype}" if grade_of(r.overflow[r.dtype], "overflow") else "")
    if r.level == "bad":
        return r.reasons[0].rstrip(".")
    words = "keeps signal and gradient"
    if r.level == "good":
        return words
    if grade == 1:
        way = "slowly vanishes" if total < 0 else "slowly explodes"
        words = f"{'stays critical' if r.phase == 'critical' else way}: gradient x10^{total:.1f}"
    spread = _spread(r)
    even = ", even spectrum" if spread is not None and spread < 10.0 else ""
    return words + even + (f", {r.dead:.0%} dead" if grade_of(r.dead, "dead") else "")


_COLUMNS = (
    ("init", "init", str),
    ("sigma_w2", "sigma_w2", number),
    ("signal_per_layer", "E x^2 per layer", lambda v: f"x{v:.3g}"),
    ("signal_log10", "E x^2 in all", from_log10),
    ("gradient_log10", "E g^2 in all", from_log10),
    ("correlation", "corr", lambda v: "-" if v is None else f"{abs(v):.2f}"),
    ("dead", "dead", percent),
    ("saturated", "flat", percent),
    ("jacobian_spread", "max/mean s^2", lambda v: number(v, 3)),
    ("phase", "phase", str),
    ("words", "verdict", str),
)


def compare_table(rows: list[dict[str, Any]], markdown: bool = False) -> str:
    """Aligned text or Markdown."""
    head = [title for _, title, _ in _COLUMNS]
    cells = [[show(row[key]) for key, _, show in _COLUMNS] for row in rows]
    if markdown:
        lines = [f"| {' | '.join(line)} |" for line in (head, *cells)]
        return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    left = (0, len(head) - 2, len(head) - 1)

    def line(row: list[str]) -> str:
        padded = (c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        return "  ".join(padded).rstrip()

    return "\n".join(map(line, (head, *cells)))


def _compare(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    given = next((name for name in DEFAULTS if name in vars(options)), None)
    if given is not None:
        raise ValueError(f"--{given} must not be given with --compare, which sets the usual initializers side by side")
    rows = compare_rows(scheme_reports(options))
    norm = "" if options.norm == "none" else f", {options.norm} norm"
    residual = "" if options.residual is None else f", residual branches x {options.residual:g}"
    title = f"{counted(options.depth, 'layer')} of {counted(options.width, 'unit')}, {options.activation}{norm}{residual}"
    result = {"depth": options.depth, "width": options.width, "activation": options.activation, "rows": rows}
    return result, f"{title}\n\n{compare_table(rows, options.markdown)}"
