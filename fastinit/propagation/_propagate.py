"""`propagate`: mean-field theory of a list of layers, whatever their widths and initializers."""

from __future__ import annotations

from collections.abc import Sequence

from .._args import check_dtype, check_number
from .._types import ArrayLike, DTypeLike
from ._analysis import analyse
from ._inputs import Input, measured_input, random_input, resolve_batch
from ._layers import Layer, check_layers
from ._remedies import judge
from ._report import Report


def propagate(
    layers: Sequence[Layer],
    input_var: float = 1.0,
    input_mean: float = 0.0,
    dtype: DTypeLike = "float32",
    batch: int | ArrayLike = 256,
) -> Report:
    """How variance, correlation and gradients move through a network, by theory alone.

    Wide-network (mean-field) theory, layer by layer, with error bars for finite width; nothing
    is drawn. Every layer has its own width, law and activation.

    Parameters
    ----------
    layers : sequence of layers
        `Dense`, `Conv`, `Activation`, `LayerNorm`, `RMSNorm`, `BatchNorm`, `Dropout`, `Residual`,
        `Gated`, `Pool`.
    input_var, input_mean : float
        Of the elements of independent random inputs; the variance is >= 0.
    dtype : dtype-like, default "float32"
        In which activations are kept: the verdict judges overflow and underflow in it.
    batch : int or array, default 256
        Number of random inputs, or real inputs of shape ``(inputs, ...)`` whose mean, second moment and mean
        pairwise cosine are taken (`input_var` and `input_mean` are then not used). The number of
        inputs decides which units are dead for all of them, the error bars of a batch's mean, and how
        much a BatchNorm over so few adds to gradients.

    Returns
    -------
    Report
        Per layer and for the whole network, with a verdict; see `Report`.

    Raises
    ------
    TypeError
        A wrong type, or something in `layers` that is no layer.
    ValueError
        An empty list, widths that disagree (both layers are named), weights that are not finite
        (named and counted), a negative variance.

    Notes
    -----
    The verdict is that of the worst of its reasons. Above these "good" becomes "warn", and "bad": abs(log10 gradient
    ratio) 1, 3 (where norms follow the weights and it is positive 3, 8); abs(log10 signal ratio), behind the last norm,
    3, 6; depth / xi_c 3, 6, or if they are fewer the factors of e by which cosines come nearer to their limit; 1 -
    cosine of inputs, and of what the network makes of them, below 0.02, 0.0005; dead units 20 %, 50 %; saturated ones
    30 %, 70 %; a layer's numbers rounded to 0 10 %, 50 %; probability that no gradient passes 5 %, 50 %; E h^2 that all
    units share 50 %, 90 %; one over the numbers that a BatchNorm averages over 1/8, 1/4; that an input overflows
    somewhere has a probability of 0.1 %: "bad".

    References
    ----------
    B. Poole et al., NeurIPS 2016; S. Schoenholz et al., "Deep information propagation", ICLR 2017;
    G. Yang, S. Schoenholz, "Mean field residual networks", NeurIPS 2017; J. Pennington et al.,
    NeurIPS 2017; B. Hanin, D. Rolnick, "How to start training", NeurIPS 2018 (finite width).

    Examples
    --------
    >>> from fastinit.propagation import Activation, Dense, propagate
    >>> report = propagate([Dense(512, "xavier_normal"), Activation("relu")] * 50)
    >>> report.level, round(report.log10_gradient_ratio, 2)
    ('bad', -14.75)
    """
    checked = check_layers(layers)
    variance = check_number(input_var, "input_var", low=0.0)
    mean = check_number(input_mean, "input_mean")
    kind = check_dtype(dtype)
    network, count, given = resolve_batch(checked, batch)
    start = Input(random_input(network, variance, mean) if given is None else measured_input(given, network), count)
    return judge(analyse(network, start, kind.name), network, start)
