"""``fastinit propagate`` and ``fastinit weights``: will a network train, as it is initialized?"""

from __future__ import annotations

import argparse
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ._activations import canonical_name
from ._args import Array, check_choice, check_int, check_number
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
from .propagation._plot import figure_type, picture_path
from .propagation._report import counted, power
from .propagation._table import from_log10, number, percent

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
#: Dtypes of .safetensors that its reader, which knows NumPy's alone, does not give.
_FLOAT8 = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
#: What readers of files raise for broken ones.
_DAMAGES = (zipfile.BadZipFile, zlib.error, ValueError, TypeError, AttributeError, LookupError, EOFError, RuntimeError,
            OSError)  # fmt: skip
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
    _check_output(options)
    if options.compare:
        return _compare(options)
    options = _settled(options)
    kwargs = {k: getattr(options, k) for k in ("gain", "std", "scale") if getattr(options, k) is not None}
    return _report(network(options, options.init, kwargs), options)


def _check_output(options: argparse.Namespace) -> None:
    if options.json and options.markdown:
        raise ValueError("--markdown must not be given with --json")


def _settled(options: argparse.Namespace) -> argparse.Namespace:
    for name in ("repeats", "seed"):
        if name in vars(options) and "simulate" not in vars(options):
            raise ValueError(f"--{name} must be given with --simulate, as an option of the simulation alone")
    return argparse.Namespace(**{**DEFAULTS, **vars(options)})


def _report(layers: list[Layer], options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    rows = check_int(options.rows, "--rows", low=0) or None
    picture = None if options.plot is None else picture_path(options.plot, "--plot")
    if picture is not None:
        figure_type()  # what is missing shows before the work
    report = propagate(layers, dtype=options.dtype, batch=check_int(options.batch, "--batch", low=1))
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
    if abs(total) > 3.0:
        words = "vanishes" if total < 0 else "explodes"
        if saturated and sum(saturated) / len(saturated) > 0.5:
            words += ", saturated"
        return words + (f", overflows {r.dtype}" if r.overflow[r.dtype] > 1e-3 else "")
    words = "keeps signal and gradient"
    if r.level == "good":
        return words
    if abs(total) > 1.0:
        way = "slowly vanishes" if total < 0 else "slowly explodes"
        words = f"{'stays critical' if r.phase == 'critical' else way}: gradient x10^{total:.1f}"
    spread = _spread(r)
    even = ", even spectrum" if spread is not None and spread < 10.0 else ""
    return words + even + (f", {r.dead:.0%} dead" if r.dead > 0.2 else "")


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


# ---- saved models -------------------------------------------------------------------------


def run_weights(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The report of a file's matrices, chained in the order of `_in_order`."""
    _check_output(options)
    options = _settled(options)
    tensors = read_tensors(options.file)
    layers, used, left = chain_of(tensors, options.activation, options.layout)
    result, text = _report(layers, options)
    result["tensors"], result["left_out"] = used, left
    many = counted(len(used), "matrix", "matrices")
    lines = [f"{many} of {options.file}: {', '.join(used[:6])}{', ...' if len(used) > 6 else ''}"]
    if left:
        shapes = [f"{name} ({'x'.join(map(str, tensors[name].shape))})" for name in left[:6]]
        lines.append(f"left out, not in the chain: {', '.join(shapes)}{', ...' if len(left) > 6 else ''}")
        matrices = sum(_is_matrix(t) for t in tensors.values())
        if len(used) < matrices:
            lines.append(f"the verdict is that of {len(used)} of {matrices} matrices")
        if any(tensors[name].ndim > 2 for name in left):
            lines.append("convolutions are not followed: the verdict is that of the matrices alone")
    return result, "\n".join([*lines, "", text])


def read_tensors(file: str) -> dict[str, Array]:
    """All arrays of a .npz or .safetensors file by name, in the file's order."""
    path = Path(file)
    kind = path.suffix.lower()
    check_choice(kind, "FILE's suffix", (".npz", ".safetensors"))
    if not path.is_file():
        raise FileNotFoundError(f"FILE {file!r} does not exist or is no file")
    try:
        return _read_npz(path) if kind == ".npz" else _read_safetensors(path)
    except _DAMAGES as error:
        raise ValueError(f"FILE {file!r} is damaged or no {kind} file: {error}") from error


def _read_npz(path: Path) -> dict[str, Array]:
    with path.open("rb") as stream:
        if stream.read(6) != b"\x93NUMPY" and not zipfile.is_zipfile(stream):
            raise ValueError("it is no archive as numpy.savez writes")
        stream.seek(0)
        archive = np.load(stream, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("it holds one array, as .npy; numpy.savez writes .npz")
        members = ((name, archive[name]) for name in archive.files)
        return {name: array for name, array in members if isinstance(array, np.ndarray)}  # others are bytes


def _read_safetensors(path: Path) -> dict[str, Array]:
    try:
        from safetensors import SafetensorError, deserialize, safe_open
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("FILE needs the safetensors package: pip install safetensors") from error
    import ml_dtypes

    def tensor(name: str) -> Array:
        kind = archive.get_slice(name).get_dtype()
        if kind not in _FLOAT8:
            plain: Array = archive.get_tensor(name)
            return plain
        entry = dict(deserialize(path.read_bytes()))[name]
        return np.frombuffer(entry["data"], getattr(ml_dtypes, _FLOAT8[kind])).reshape(entry["shape"])

    try:
        with safe_open(path, framework="numpy") as archive:
            return {name: tensor(name) for name in archive.offset_keys()}
    except SafetensorError as error:
        raise ValueError(error) from error


def _in_order(names: list[str]) -> list[str]:
    """The file's order; one by the alphabet, as safetensors writes, with the numbers in the names by size."""
    return sorted(names, key=_natural) if names == sorted(names) else names


def _natural(name: str) -> list[Any]:
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))]


def _is_matrix(tensor: Array) -> bool:
    floating = tensor.dtype.kind == "f" or tensor.dtype.name in ("bfloat16", *_FLOAT8.values())
    return floating and tensor.ndim == 2 and min(tensor.shape) > 1


def _longest_chain(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """From any start the next that fits, again and again; the first of the longest: an embedding may come before."""
    names = _in_order(list(shapes))
    best: list[str] = []
    for start in range(len(names)):
        chain = names[start : start + 1]
        for name in names[start + 1 :]:
            if shapes[name][0] == shapes[chain[-1]][1]:
                chain.append(name)
        best = max(best, chain, key=len)
    return best


def chain_of(tensors: dict[str, Array], activation: str, layout: str) -> tuple[list[Layer], list[str], list[str]]:
    """Matrices that fit one behind the other, by `_in_order`, with their biases; what else has dimensions."""
    layers: list[Layer] = []
    between = Activation(activation)
    used = _longest_chain({n: t.shape if layout == "io" else t.shape[::-1] for n, t in tensors.items() if _is_matrix(t)})
    for name in used:
        matrix = tensors[name] if layout == "io" else tensors[name].T
        bias = tensors.get(re.sub(r"(weight|kernel)$", "bias", name)) if re.search(r"(weight|kernel)$", name) else None
        if bias is not None and bias.shape != (matrix.shape[1],):
            bias = None
        try:
            if layers:
                layers.append(between)
            layers.append(Dense(weight=matrix, bias=bias))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    if not used:
        raise ValueError(
            f"FILE has no matrices of floating-point numbers; it has {', '.join(sorted(tensors)[:6]) or 'no arrays'}"
        )
    return layers, used, [n for n, t in tensors.items() if t.ndim >= 2 and n not in used]
