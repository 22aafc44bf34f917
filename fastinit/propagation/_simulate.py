"""Networks simulated: forward and backward through the real layers, and the Jacobian."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from .. import _core, laws
from .._args import (
    FORMATS,
    check_bool,
    check_choice,
    check_dtype,
    check_fits,
    check_int,
    check_num_threads,
    check_number,
    check_progress,
)
from .._keys import Key, SeedLike, check_seed
from .._types import Array, ArrayLike, DTypeLike, Progress
from ._inputs import resolve_batch
from ._layers import Layer, check_layers
from ._lowering import Lowering
from ._measured import Measured, MeasuredLayer, Measurement
from ._network import Network, columns

DTYPES = ("float32", "float16", "bfloat16")
EXACT_WIDTH = 1024  # up to it all singular values of the Jacobian are found
_PROBES, _BLOCKS = 32, 5  # beyond: vectors at once, and products with J J^T; 1 % for the largest

# What the core measures of a step, in its order; None is not reported.
_ROW = (
    "mean", "second", "kurtosis", "zero", "nonfinite",
    None, "gradient", None, "gradient_zero", "gradient_nonfinite",
    "correlation", "saturated", "dead", "weight_gradient",
)  # fmt: skip
_JACOBIAN = ("jacobian_mean", "jacobian_variance", "jacobian_largest", "condition")


def simulate(
    layers: Sequence[Layer],
    batch: int | ArrayLike = 256,
    seed: SeedLike = 0,
    repeats: int = 4,
    dtype: DTypeLike = "float32",
    *,
    input_var: float = 1.0,
    input_mean: float = 0.0,
    jacobian: bool = True,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Send a batch forward and random gradients backward through a network, and measure.

    Weights are drawn while they are used and never stored, so that a network takes memory for a
    few of its activations only. Bits do not depend on the number of threads or the processor.

    Parameters
    ----------
    layers : sequence of Layer
        The network: `Dense`, `Activation`, `Residual`, ..., as for `propagate`.
    batch : int or array, default 256
        Number of random inputs, or real inputs of shape ``(inputs, ...)``, the same in all repeats;
        images have their channels last.
    seed : None, int, sequence of int, SeedSequence, Generator or Key, default 0
        With ``key = Key(seed)``, the weight of a layer is what its initializer gives for
        ``seed=key.fold_in(name)``, `name` being its name in the result. Further repeats take
        ``key.fold_in(1)``, ``key.fold_in(2)``, ... in place of `key`.
    repeats : int, default 4
        Networks, each with weights, inputs and gradients of its own, for the standard errors.
    dtype : dtype-like, default "float32"
        float32, float16 or bfloat16.
        Weights, activations and gradients are rounded to it after every layer, so that they
        overflow and underflow as they would; sums within a layer are float32.
    input_var, input_mean : float
        Variance and mean of the random inputs, which are normal and independent.
    jacobian : bool, default True
        Whether to measure the singular values of the input-output Jacobian at the first input:
        all of them where the input or the output has at most 1024 units, else, in the first
        repeat alone, moments and the largest from products with 32 vectors.
    num_threads : int, optional
        Default `get_num_threads()`.
    progress : callable, optional
        Called now and then with the share of the work that is done, from 0 to 1.

    Returns
    -------
    Measured
        A `MeasuredLayer` per layer, the branch of a `Residual` before itself; each field with its
        standard error over the repeats.

    Raises
    ------
    TypeError, ValueError
        An argument of a wrong type or value; what `propagate` raises for `layers`; an image
        whose size is not known.

    Notes
    -----
    The gradient at the output is standard normal, independent for units and inputs. Backward,
    activations are computed again from about every sqrt(depth)-th one. Averages are over finite values.

    References
    ----------
    Chen et al., "Training deep nets with sublinear memory cost", 2016.

    Examples
    --------
    >>> from fastinit.propagation import Activation, Dense, simulate
    >>> m = simulate([Dense(256), Activation("relu")] * 10, batch=64, repeats=8)
    >>> m.layers[0].name
    '0: Dense(256)'
    >>> last = m.layers[-1].second  # He's initialization keeps E x^2 = 1 after ReLU
    >>> abs(last.value - 1.0) < 4 * last.error
    True
    """
    network, count, given = resolve_batch(check_layers(layers), batch)
    size = columns(network.fan_in, network.image)
    x0 = None if given is None else _as_rows(given, size)
    check_seed(seed)
    repeats = check_int(repeats, "repeats", low=1)
    kind = _check_dtype(dtype)
    std = math.sqrt(check_fits(check_number(input_var, "input_var", low=0.0), "input_var", np.dtype(np.float32)))
    mean = check_fits(check_number(input_mean, "input_mean"), "input_mean", np.dtype(np.float32))
    check_bool(jacobian, "jacobian")
    threads = check_num_threads(num_threads)
    check_progress(progress)
    root = Key(seed)

    out = _output_size(network)
    rows, spectra = [], []
    names: list[str | None] = []
    for repeat in range(repeats):
        key = root if repeat == 0 else root.fold_in(repeat)
        lowered = Lowering(network, key)
        names = lowered.names
        core = _core.Simulation(lowered.steps, FORMATS[kind].code)
        x = _draw((count, size), mean, std, key.fold_in("inputs"), num_threads) if x0 is None else x0.copy()
        g = _draw((count, out), 0.0, 1.0, key.fold_in("gradients"), num_threads)
        rows.append(core.run(x, g, threads, _told(progress, repeat, repeats, 2 * len(names))))
        if jacobian and (repeat == 0 or min(size, out) <= EXACT_WIDTH):
            spectra.append(_spectrum(core, size, out, key.fold_in("probes"), threads))
    if progress is not None:
        progress(1.0)
    return Measured(
        _layers(names, np.array(rows, np.float64), count), count, repeats, seed, kind,
        spectra[0].values if spectra else None, **_spectral(spectra),
    )  # fmt: skip


def _check_dtype(dtype: Any) -> str:
    try:
        return check_choice(check_dtype(dtype).name, "dtype", DTYPES)
    except TypeError:
        raise TypeError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}") from None


def _output_size(network: Network) -> int:
    last = network.steps[-1]
    return columns(last.fan_out, last.image_out if last.spatial else None)


def _as_rows(given: Array, size: int) -> Array:
    if math.prod(given.shape[1:]) != size:
        raise ValueError(f"batch must have shape (inputs, {size}), or that of images of so many numbers; got {given.shape}")
    with np.errstate(over="ignore"):
        rows = given.reshape(given.shape[0], size).astype(np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("batch must be finite in float32")
    return rows


def _draw(shape: tuple[int, int], mean: float, std: float, key: Key, num_threads: int | None) -> Array:
    return laws.normal(shape, mean, std, seed=key, num_threads=num_threads)


def _told(
    progress: Progress | None, repeat: int, repeats: int, ticks: int
) -> Callable[[int], Any] | None:
    if progress is None:
        return None
    return lambda done: progress((repeat + done / ticks) / repeats)


# ---- from numbers to fields --------------------------------------------------------------


def _measurement(values: Array) -> Measurement:
    """Mean and standard error over repeats."""
    n = len(values)
    with np.errstate(all="ignore"):
        error = float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
        return Measurement(float(values.mean()), error)


def _layers(names: list[str | None], rows: Array, batch: int) -> tuple[MeasuredLayer, ...]:
    """From (repeats, steps, fields)."""
    at = {name: i for i, name in enumerate(_ROW) if name is not None}
    # A NaN of the core stands for "does not apply" in these, or for one input alone.
    optional = {"saturated", "dead", "weight_gradient"} | ({"correlation"} if batch == 1 else set())
    known = {f.name for f in fields(MeasuredLayer)}
    layers = []
    # of inputs that are cut off at the largest float32 there is no cosine
    rows[rows[:, :, at["nonfinite"]] > 0.0, at["correlation"]] = math.nan
    for i, name in enumerate(names):
        if name is None:
            continue
        found = {
            field: _measurement(rows[:, i, k])
            for field, k in at.items()
            if field in known and not (field in optional and np.isnan(rows[:, i, k]).all())
        }
        variance = _measurement(rows[:, i, at["second"]] - rows[:, i, at["mean"]] ** 2)
        layers.append(MeasuredLayer(name, **found, variance=variance))
    return tuple(layers)


class _Spectrum(NamedTuple):
    jacobian_mean: float
    jacobian_variance: float
    jacobian_largest: float
    condition: float | None
    values: Array | None


def _spectral(spectra: list[_Spectrum]) -> dict[str, Measurement | None]:
    def of(values: list[float | None]) -> Measurement | None:
        known = [v for v in values if v is not None]
        return _measurement(np.array(known)) if known else None

    return {field: of([getattr(s, field) for s in spectra]) for field in _JACOBIAN}


# ---- the Jacobian ------------------------------------------------------------------------


def _spectrum(core: Any, size: int, out: int, key: Key, threads: int) -> _Spectrum:
    """Moments over the `out` eigenvalues of J J^T, and its largest."""
    if min(size, out) > EXACT_WIDTH:
        return _estimated(core, out, key, threads)
    rows = core.pull(np.eye(out, dtype=np.float32), threads) if out <= size else core.push(
        np.eye(size, dtype=np.float32), threads)  # fmt: skip
    if not np.isfinite(rows).all():
        return _Spectrum(math.nan, math.nan, math.nan, math.nan, None)
    values = np.linalg.svd(rows.astype(np.float64), compute_uv=False)
    eigen = values * values
    mean = float(eigen.sum()) / out
    variance = float((eigen * eigen).sum()) / out - mean * mean
    with np.errstate(divide="ignore", invalid="ignore"):
        condition = float(values[0] / values[-1])
    return _Spectrum(mean, variance, float(eigen[0]), condition, values)


def _estimated(core: Any, out: int, key: Key, threads: int) -> _Spectrum:
    """From products alone: traces by random vectors (Hutchinson 1990), the largest by block Krylov."""
    probes = laws.normal((_PROBES, out), seed=key)
    first = core.pull(probes, threads)
    image = core.push(first, threads).astype(np.float64)
    if not np.isfinite(image).all():
        return _Spectrum(math.nan, math.nan, math.nan, math.nan, None)
    mean = float((first.astype(np.float64) ** 2).sum()) / (_PROBES * out)
    variance = float((image * image).sum()) / (_PROBES * out) - mean * mean
    # J J^T times an orthonormal basis of the probes follows from J J^T times the probes.
    q, r = np.linalg.qr(probes.T.astype(np.float64))
    basis, images = q.T, np.linalg.solve(r.T, image)
    for _ in range(_BLOCKS - 1):
        block = images[-_PROBES:]
        block = block - (block @ basis.T) @ basis
        block = np.linalg.qr((block - (block @ basis.T) @ basis).T)[0].T
        image = core.push(core.pull(np.ascontiguousarray(block, np.float32), threads), threads)
        basis, images = np.vstack((basis, block)), np.vstack((images, image.astype(np.float64)))
    projected = basis @ images.T
    largest = float(np.linalg.eigvalsh(0.5 * (projected + projected.T))[-1])
    return _Spectrum(mean, variance, largest, None, None)
