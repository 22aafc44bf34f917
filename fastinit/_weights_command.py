"""``fastinit weights``: will a saved model's matrices train?"""

from __future__ import annotations

import argparse
import functools
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ._args import is_real, named_errors
from ._propagate_command import check_common, report_of, settled
from ._types import Array
from .propagation import Activation, Dense, Layer
from .propagation._report import counted

#: The layouts of a file, the more usual one first, in words.
LAYOUTS = {"oi": "(out, in)", "io": "(in, out)"}
#: Dtypes of .safetensors that its reader, which knows NumPy's alone, does not give.
_FLOAT8 = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
#: Endings of a matrix's name, and of its bias's.
_BIASES = ((r"(weight|kernel)$", "bias"), (r"(weights|kernels)$", "biases"), (r"(?<![A-Za-z])[wW](\d*)$", r"b\1"))
#: Parts of names of attention, recurrent, gated and normalized layers, which dense layers in series are not.
_NO_CHAIN = re.compile(
    r"(?<![a-z])(attn|attention|qkv|[qkvo]_proj|in_proj|up_proj|w[qkvo]|lstm|gru|rnn|gate|gates|recurrent|norm|ln|bn)(?![a-z])"
    r"|layer_?norm|batch_?norm|rmsnorm|self_?attn|(weight|kernel)_[ih]h|LSTM|GRU|RNN|Attention"
)  # fmt: skip
#: What readers of files raise for broken ones.
_DAMAGES = (zipfile.BadZipFile, zlib.error, ValueError, TypeError, AttributeError, LookupError, EOFError, RuntimeError,
            OSError)  # fmt: skip


def run_weights(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The report of a file's matrices, chained in the order of `_in_order`."""
    check_common(options)
    options = settled(options)
    tensors = read_tensors(options.file)
    layout, used, tie = _likely_layout(tensors, options.layout)
    layers, left = chain_of(tensors, used, options.activation, layout)
    result, text = report_of(layers, options)
    result["tensors"], result["left_out"], result["layout"] = used, left, layout
    many = counted(len(used), "matrix", "matrices")
    read_as = LAYOUTS[layout] + (", which its shapes do not tell (--layout does)" if tie else "")
    lines = [f"{many} of {options.file} as {read_as}: {', '.join(used[:6])}{', ...' if len(used) > 6 else ''}"]
    caveats = []
    if left:
        shapes = [f"{name} ({'x'.join(map(str, tensors[name].shape))})" for name in left[:6]]
        lines.append(f"left out, not in the chain: {', '.join(shapes)}{', ...' if len(left) > 6 else ''}")
        matrices = sum(_is_matrix(t) for t in tensors.values())
        if len(used) < matrices:
            caveats.append(f"The verdict is that of {len(used)} of {matrices} matrices, as if the others were not there.")
        if any(tensors[name].ndim > 2 for name in left):
            caveats.append("Convolutions are not followed: the verdict is that of the matrices alone.")
    other = [name for name in tensors if _NO_CHAIN.search(name)]
    if other:
        caveats.append(
            f"{other[0]}{', ...' if other[1:] else ''} by name: of attention, recurrent, gated or normalized layers the "
            "verdict of a chain of dense layers is not this model's; propagate takes their arrays layer by layer (weight=)."
        )
    result["caveats"] = caveats
    return result, "\n".join([*lines, *caveats, "", text])


def read_tensors(file: str) -> dict[str, Array]:
    """All arrays of a .npz or .safetensors file by name, in the file's order."""
    path = Path(file)
    kind = path.suffix.lower()
    if kind not in (".npz", ".safetensors"):
        raise ValueError(
            f"FILE's suffix must be one of .npz, .safetensors, got {kind!r}; "
            "safetensors.torch.save_file(model.state_dict(), 'model.safetensors') writes PyTorch's weights"
        )
    if not path.is_file():
        raise FileNotFoundError(f"FILE {file!r} does not exist or is no file")
    try:
        return _read_npz(path) if kind == ".npz" else _read_safetensors(path)
    except _DAMAGES as error:
        raise ValueError(f"FILE {file!r} cannot be read as {kind}: {error}") from error


def _read_npz(path: Path) -> dict[str, Array]:
    with path.open("rb") as stream:
        if stream.read(6) != b"\x93NUMPY" and not zipfile.is_zipfile(stream):
            raise ValueError("it is no archive as numpy.savez writes")
        stream.seek(0)
        archive = np.load(stream, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("it holds one array, as .npy; numpy.savez writes .npz")
        if any(name.endswith("/data.pkl") for name in archive.files):
            raise ValueError("it is one of torch.save's; safetensors.torch.save_file writes what is read here")
        members = ((name, _member(archive, name)) for name in archive.files)
        return {name: array for name, array in members if isinstance(array, np.ndarray)}  # others are bytes


def _member(archive: Any, name: str) -> Any:
    """NumPy's files keep no type of ml_dtypes: bfloat16 comes back as two bytes without a meaning."""
    try:
        array = archive[name]
    except ValueError as error:
        if "descr" not in str(error):
            raise
        raise ValueError(f"{name} has a type that NumPy's files do not keep; .safetensors keeps it") from error
    if getattr(array, "dtype", None) != np.dtype("V2"):
        return array
    import ml_dtypes

    return array.view(ml_dtypes.bfloat16)


def _read_safetensors(path: Path) -> dict[str, Array]:
    try:
        from safetensors import SafetensorError, deserialize, safe_open
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("FILE needs the safetensors package: pip install safetensors") from error
    import ml_dtypes

    @functools.cache  # a copy of the whole file, which only float8 needs
    def raw() -> dict[str, Any]:
        return dict(deserialize(path.read_bytes()))

    def tensor(name: str) -> Array:
        kind = archive.get_slice(name).get_dtype()
        if kind not in _FLOAT8:
            plain: Array = archive.get_tensor(name)
            return plain
        entry = raw()[name]
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
    floating = is_real(tensor.dtype) and tensor.dtype.kind not in "iu"
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


def _bias_of(name: str, tensors: dict[str, Array], units: int) -> str | None:
    """The name of a matrix's bias: of a vector that is called as those of its kind are."""
    for pattern, replacement in _BIASES:
        found, count = re.subn(pattern, replacement, name)
        if count and found in tensors and tensors[found].shape == (units,):
            return found
    return None


def _likely_layout(tensors: dict[str, Array], layout: str | None) -> tuple[str, list[str], bool]:
    """Where none is asked for, that in which biases are as long as their matrices' outputs, then that in which more
    matrices fit one behind the other; their names; and whether another is as likely."""
    shapes = {name: tensor.shape for name, tensor in tensors.items() if _is_matrix(tensor)}
    chains = {
        name: _longest_chain(shapes if name == "io" else {n: s[::-1] for n, s in shapes.items()})
        for name in ((*LAYOUTS,) if layout is None else (layout,))
    }
    votes = {
        name: (sum(_bias_of(n, tensors, s[name.index("o")]) is not None for n, s in shapes.items()), len(chain))
        for name, chain in chains.items()
    }
    best = max(votes, key=lambda name: votes[name])
    return best, chains[best], list(votes.values()).count(votes[best]) > 1


def chain_of(
    tensors: dict[str, Array], used: list[str], activation: str, layout: str
) -> tuple[list[Layer], list[str]]:
    """These matrices one behind the other, with their biases; the names of all else."""
    layers: list[Layer] = []
    between = Activation(activation)
    taken: set[str | None] = set()
    for name in used:
        matrix = tensors[name] if layout == "io" else tensors[name].T
        bias = _bias_of(name, tensors, matrix.shape[1])
        if layers:
            layers.append(between)
        with named_errors(name):
            layers.append(Dense(weight=matrix, bias=None if bias is None else tensors[bias]))
        taken |= {name, bias}
    if not used:
        raise ValueError(
            f"FILE must have matrices of floating-point numbers; it has {', '.join(sorted(tensors)[:6]) or 'no arrays'}"
        )
    return layers, sorted((n for n in tensors if n not in taken), key=lambda n: -tensors[n].ndim)
