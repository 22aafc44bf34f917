"""What `propagate` found: per layer, for the whole network, and in plain words."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .._args import check_bool, check_choice, check_int
from ._layer_report import LayerReport
from ._measured import Measured, Measurement
from ._phases import DepthScales, JacobianSpectrum
from ._plain import fields_of, plain_json

if TYPE_CHECKING:
    import os

LEVELS = ("good", "warn", "bad")


def fixed(x: float) -> str:
    """Two decimals, without a negative zero; three digits of what is too long for them."""
    if abs(x) < 0.005:
        return "0.00"
    return f"{x:.2f}" if abs(x) < 1e6 else f"{x:.3g}"


def counted(n: int, noun: str, many: str | None = None) -> str:
    """``1 layer``, ``2 layers``; `many` where that takes more than an s."""
    return f"{n} {noun if n == 1 else many or noun + 's'}"


@dataclass(frozen=True)
class Remedy:
    """A change that mends the network, and the numbers after it.

    Attributes
    ----------
    change : str
        In words.
    level : {"good", "warn", "bad"}
    log10_gradient_ratio, log10_signal_ratio, dead : float
        As in `Report`.
    overflow : float
        Probability that an input overflows the report's dtype.
    bias_std : float or None
        Of all biases after the change, 0 for zero biases; None where they stay.
    """

    change: str
    level: str
    log10_gradient_ratio: float
    log10_signal_ratio: float
    dead: float
    overflow: float
    bias_std: float | None = None


@dataclass(frozen=True, repr=False)
class Report:
    """Theory of a network, with a verdict, and with measured values where there are any.

    Attributes
    ----------
    layers : tuple of LayerReport
        In execution order; the branch of a Residual comes before it.
    dtype, batch : str, int
        What was propagated: the dtype of the activations, and the number of inputs.
    fan_in, fan_out : int
        Units, or channels, of the input and of the output.
    depth : int
        Layers with weights.
    input_second, input_correlation : float
        Mean square of the input, and the cosine of two inputs.
    level : {"good", "warn", "bad"}
        The verdict: trains, trains with care, does not train.
    reasons : tuple of str
        Why, worst first.
    remedy : Remedy or None
        The change that mends it best, propagated again.
    log10_gradient_ratio, log10_gradient_ratio_sd : float
        log10 of the squared length of the gradient by the first layer's outputs over that by the last
        one's, and of one input its standard deviation over draws at these widths.
    log10_typical_ratio : float
        Below which the ratio of half of all draws lies, of one input: their median where it is far from the mean.
    log10_pooled : float
        log10 of what means over alike pixels, between those two layers, take from that ratio where it is below 0. The
        gradients of weights are sums over pixels and get it back, as far as their inputs are alike too, as in smooth
        images. The verdict adds it.
    log10_head : float
        log10 of the least sigma_w2 of the other layers over that of a last one where that is ten times as small or more,
        else 0. The verdict adds it to both ratios: such a layer is the first to learn, as one of zeros is.
    log10_bare_ratio : float or None
        The gradient ratio from the first layer that no norm follows, less what means over pixels take; None where that is
        the first of all. Weights in front of norms bear larger gradients.
    log10_input_gradient : float
        log10 of the mean square of the gradient by the input, for a standard normal one at the output.
    log10_signal_ratio : float
        log10 of the second moment of the last layer over that of the first.
    passing : float
        Probability that an input's gradient reaches the first layer: that no layer is so narrow that
        all its slopes are 0.
    dead : float
        Mean fraction of units whose slope is 0 for all inputs; of images of unknown size nobody knows it.
    saturated : float or None
        Mean fraction of saturated units of the activations; ReLU and others whose outputs are 0 there are left out.
    overflow, underflow, gradient_underflow : dict of str to float
        Per dtype: the probability that an input overflows somewhere; the largest part of a layer
        that is rounded to 0, forward and backward.
    jacobian : JacobianSpectrum
        Mean, variance and upper edge of the eigenvalues of J J^T for wide layers.
    condition : float or None
        Condition number of J: 1 for isometries, inf where the spectrum of wide layers reaches 0,
        None where it depends on the draw (`simulate` measures it).
    scales : DepthScales or None
        Fixed points, depth scales and phase of a chain with one activation; None where its q goes elsewhere.
    symmetric : bool
        Some weights before the last layer's are all equal, so that their units stay the same for ever.
    silent_head : bool
        The last layer starts at zero: in the first step it alone learns. The ratios are those of the layers before.
    batch_norm : int or None
        The fewest numbers (inputs times places) that a BatchNorm takes the variance of.
    shared : float
        The largest part of E h^2, h an activation's input, that is one random number for all units of a
        layer: what weights with a mean make of a sum of inputs.
    approximate : tuple of str
        Names of the layers whose numbers leave something out; see `LayerReport`.
    loss_scale : float or None
        Power of two that keeps gradients from underflow in float16; None where none is needed, or helps.
    measured : Measured or None
        What a simulation has measured, where `with_measured` has added it.
    measured_gradient_ratio, measured_signal_ratio : Measurement or None
        log10 of the same two ratios as measured; None where they are not, or not finite. The verdict goes by them where
        they are further from the theory's than its deviations, half a decade for gradients and a decade for the signal.
    """

    layers: tuple[LayerReport, ...]
    dtype: str
    batch: int
    fan_in: int
    fan_out: int
    depth: int
    input_second: float
    input_correlation: float
    log10_gradient_ratio: float
    log10_gradient_ratio_sd: float
    log10_typical_ratio: float
    log10_pooled: float
    log10_head: float
    log10_bare_ratio: float | None
    log10_input_gradient: float
    log10_signal_ratio: float
    passing: float
    dead: float
    saturated: float | None
    overflow: dict[str, float]
    underflow: dict[str, float]
    gradient_underflow: dict[str, float]
    jacobian: JacobianSpectrum
    condition: float | None
    scales: DepthScales | None
    symmetric: bool
    silent_head: bool
    batch_norm: int | None
    shared: float
    approximate: tuple[str, ...] = ()
    level: str = "good"
    reasons: tuple[str, ...] = ()
    remedy: Remedy | None = None
    loss_scale: float | None = None
    measured: Measured | None = None
    measured_gradient_ratio: Measurement | None = None
    measured_signal_ratio: Measurement | None = None

    @property
    def phase(self) -> str:
        """"ordered" (gradients vanish), "critical" or "chaotic" (they explode)."""
        if self.scales is not None:
            # what moves by less than a twentieth over the whole depth is critical for it
            return "critical" if self.scales.xi_grad > 20.0 * self.depth else self.scales.phase
        total = self.log10_gradient_ratio + self.log10_pooled
        return "critical" if abs(total) <= 1.0 else "ordered" if total < 0 else "chaotic"

    @property
    def verdict(self) -> str:
        """The verdict, its reasons and the remedy, as sentences."""
        head = {"good": "Trains.", "warn": "Trains with care.", "bad": "Does not train as it is."}[self.level]
        lines = [head, *self.reasons]
        if self.remedy is not None:
            r = self.remedy
            head = "Change" if r.level != "bad" else "No change found mends it; the best"
            lines.append(
                f"{head}: {r.change}. After it: log10 gradient ratio {fixed(r.log10_gradient_ratio)}, "
                f"log10 signal ratio {fixed(r.log10_signal_ratio)}, dead {r.dead:.0%}, "
                f"overflow in {self.dtype} {r.overflow:.2g}: {r.level}."
            )
        return "\n".join(lines)

    def with_measured(self, measured: Measured) -> Report:
        """The report with the values of a simulation beside the theory, and a verdict that heeds its ratios.

        And its infinities. Where theory has missed the gradient's ratio, there is no remedy.

        Parameters
        ----------
        measured : Measured
            What `simulate` returned for the same layers.

        Returns
        -------
        Report

        Raises
        ------
        TypeError
            `measured` is no Measured.
        ValueError
            Its layers are not those of this network.

        Examples
        --------
        >>> from fastinit.propagation import Activation, Dense, propagate, simulate
        >>> layers = [Dense(256), Activation("relu")] * 5
        >>> report = propagate(layers).with_measured(simulate(layers, batch=64))
        >>> all(row.measured is not None for row in report.layers)
        True
        """
        from ._heeded import measured_ratios, missed_gradient
        from ._verdict import graded

        if not isinstance(measured, Measured):
            raise TypeError(f"measured must be what simulate returns, got {type(measured).__name__}")
        by_name = {layer.name: layer for layer in measured.layers}
        strange = [name for name in by_name if name not in {r.name for r in self.layers}]
        if strange:
            raise ValueError(f"measured has layers that this network lacks: {', '.join(strange)}")
        rows = tuple(replace(row, measured=by_name.get(row.name)) for row in self.layers)
        report = replace(self, layers=rows, measured=measured)
        gradient, signal = measured_ratios(report)
        judged = graded(replace(report, measured_gradient_ratio=gradient, measured_signal_ratio=signal))
        # a remedy by numbers that theory has missed is none
        mends = judged.level != "good" and missed_gradient(judged) is None
        return judged if mends else replace(judged, remedy=None)

    def assert_trainable(self, allow: str = "warn") -> None:
        """Raise AssertionError with the verdict where the network is worse than `allow`.

        Parameters
        ----------
        allow : {"good", "warn"}
            The worst level that passes.

        Raises
        ------
        AssertionError
            The network is worse than `allow`; the message is the verdict.
        TypeError, ValueError
            `allow` is not one of the two.

        Examples
        --------
        >>> from fastinit.propagation import Activation, Dense, propagate
        >>> propagate([Dense(256, "he_normal"), Activation("relu")] * 10).assert_trainable()
        """
        check_choice(allow, "allow", LEVELS[:2])
        if LEVELS.index(self.level) > LEVELS.index(allow):
            raise AssertionError(self.verdict)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, strings, lists and dicts.

        Returns
        -------
        dict of str to Any
            The fields, `phase` and `verdict`; numbers may be infinite or NaN.

        Examples
        --------
        >>> from fastinit.propagation import Dense, propagate
        >>> propagate([Dense(64)] * 3).to_dict()["depth"]
        3
        """
        return {**fields_of(self), "phase": self.phase, "verdict": self.verdict}

    def to_json(self, indent: int | str | None = 2) -> str:
        """`to_dict` as JSON; numbers that are not finite become strings such as "inf".

        Parameters
        ----------
        indent : int, str or None, default 2
            As for `json.dumps`.

        Returns
        -------
        str

        Raises
        ------
        TypeError
            `indent` is none of these.

        Examples
        --------
        >>> from fastinit.propagation import Dense, propagate
        >>> propagate([Dense(64)]).to_json(indent=None)[:12]
        '{"layers": ['
        """
        return json.dumps(plain_json(self.to_dict()), indent=indent, allow_nan=False)

    def table(self, markdown: bool = False, rows: int | None = 16) -> str:
        """The layers and the verdict, as aligned text or Markdown.

        One row for each layer with its activation: sigma_w2 = fan_in E W^2; E x^2 of the layer's output and E g^2
        of the gradient there, each with a band of two standard deviations of finite width as factors; the cosine
        of two inputs (corr); by how much the squared gradient grows through the layer (chi); the part of units
        that are dead for all inputs, and of saturated ones (sat).

        Parameters
        ----------
        markdown : bool, default False
            Whether to give Markdown.
        rows : int or None, default 16
            At most so many layers, evenly chosen; None for all.

        Returns
        -------
        str

        Raises
        ------
        TypeError, ValueError
            `markdown` is not a bool; `rows` is neither None nor an int of at least 1.

        Examples
        --------
        >>> from fastinit.propagation import Activation, Dense, propagate
        >>> "log10 gradient ratio" in propagate([Dense(64), Activation("relu")] * 3).table()
        True
        """
        from ._table import render

        check_bool(markdown, "markdown")
        if rows is not None:
            check_int(rows, "rows", low=1)
        return render(self, markdown, rows)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Write a picture: variance, gradients, correlation, spectrum.

        Theory with its band of finite width, measured values as points. Needs matplotlib
        (``pip install matplotlib``).

        Parameters
        ----------
        path : str or path-like
            PNG, SVG or PDF by its suffix; PNG without one.

        Raises
        ------
        TypeError, ValueError
            `path` is not the name of a file, is a folder, or has a suffix that matplotlib does not know.
        PermissionError
            Nothing may be written there.
        ModuleNotFoundError
            matplotlib is not installed.

        Examples
        --------
        >>> import os, tempfile
        >>> from fastinit.propagation import Activation, Dense, propagate
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     propagate([Dense(64), Activation("relu")] * 3).plot(os.path.join(folder, "out.png"))
        """
        from ._plot import draw

        draw(self, path)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        ratio = f"{fixed(self.log10_gradient_ratio)} +- {fixed(self.log10_gradient_ratio_sd)}"
        return f"<Report of {counted(len(self.layers), 'layer')}: {self.level}, log10 gradient ratio {ratio}>"

    def _repr_html_(self) -> str:
        from ._table import render_html

        return render_html(self)
