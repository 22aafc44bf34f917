"""A row of a report: theory of one layer, beside what a simulation measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ._measured import MeasuredLayer, Measurement
from ._plain import fields_of

#: Fields that a simulation measures, as the theory stores them (log10 of them where so named).
COMPARED = {
    "second": "log10_second",
    "gradient": "log10_gradient",
    "weight_gradient": "log10_weight_gradient",
}


@dataclass(frozen=True)
class LayerReport:
    """Theory of one layer's output, and what a simulation measured.

    Attributes
    ----------
    name, width : str, int
        Position and kind ("2.1: Dense(512)" in a branch), units or channels.
    mean, log10_second, kurtosis : float
        E x, log10 E x^2, E x^4 / (E x^2)^2.
    log10_second_band, log10_gradient_band, log10_weight_gradient_band : (float, float)
        Two standard deviations of finite width about them, for the mean over the batch.
    correlation, one_minus_correlation : float or None
        Cosine of two inputs, and the rest to 1 with all its digits; None where all is zero.
    log10_gradient : float
        log10 E (dL/dx)^2 for a standard normal gradient at the network's output.
    log10_weight_gradient : float or None
        log10 E (dL/dW)^2 of one input, where there are weights.
    sigma_w2, sigma_b2 : float or None
        fan_in E W^2 and E b^2.
    chi_par, chi_perp : float or None
        Slopes of the variance and the correlation map, of weights behind an activation.
    saturated, zero, dead : float or None
        Of an activation: part with abs(f') below 1e-3 of its largest, part of outputs that are 0, part of units
        (channels of an image) with f' = 0 for every input of the batch, and at every place; None where the
        image's size is not known.
    overflow, underflow, gradient_underflow : dict of str to float
        Per dtype, the probability that an element is infinite, is rounded to 0, and that its
        gradient is.
    approximate : bool
        Something was left out: an activation, or a maximum of a window, sees what is not Gaussian (given units
        of very different scales, or of few weights and inputs that are alike, as behind depthwise convolutions); inputs
        of a few features, or of one much larger than the others, are alike and opposite by turns, which their mean
        cosine does not tell; a residual branch depends on its own input; given weights are far from independent of
        those before, as trained ones are; the pixels of given images are alike where they are near; a BatchNorm stands
        behind a padded convolution whose places differ, or has too few inputs for the tails of its signal, or lets
        single inputs outgrow its batch; a function is so steep that its fluctuations are not small; E x^2 leaves an
        unstable fixed point, by which draws part ways.
    measured : MeasuredLayer or None
    """

    name: str
    width: int
    mean: float
    log10_second: float
    log10_second_band: tuple[float, float]
    kurtosis: float
    correlation: float | None
    one_minus_correlation: float | None
    log10_gradient: float
    log10_gradient_band: tuple[float, float]
    log10_weight_gradient: float | None
    log10_weight_gradient_band: tuple[float, float] | None
    sigma_w2: float | None
    sigma_b2: float | None
    chi_par: float | None
    chi_perp: float | None
    saturated: float | None
    zero: float | None
    dead: float | None
    overflow: dict[str, float]
    underflow: dict[str, float]
    gradient_underflow: dict[str, float]
    approximate: bool
    measured: MeasuredLayer | None = None

    @property
    def second(self) -> float:
        """E x^2; 0 or inf beyond the range of float64."""
        return power(self.log10_second)

    @property
    def gradient(self) -> float:
        """E (dL/dx)^2; 0 or inf beyond the range of float64."""
        return power(self.log10_gradient)

    def outside(self) -> tuple[str, ...]:
        """Measured fields that lie more than two standard errors outside the theory's band.

        Returns
        -------
        tuple of str
            Names of fields; empty where nothing was measured.

        Examples
        --------
        >>> from fastinit.propagation import Dense, propagate
        >>> propagate([Dense(64)]).layers[0].outside()
        ()
        """
        found = []
        for name, stored in COMPARED.items():
            value: Measurement | None = getattr(self.measured, name, None)
            band = getattr(self, f"{stored}_band")
            if value is None or band is None or not math.isfinite(value.value):
                continue
            slack = 2.0 * value.error if math.isfinite(value.error) else 0.0
            low, high = power(band[0]), power(band[1])
            if value.value + slack < low * (1.0 - 1e-6) or value.value - slack > high * (1.0 + 1e-6):
                found.append(name)
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts.

        Returns
        -------
        dict of str to Any
            The fields, and `outside`.

        Examples
        --------
        >>> from fastinit.propagation import Dense, propagate
        >>> propagate([Dense(64)]).layers[0].to_dict()["name"]
        '0: Dense(64)'
        """
        measured = None if self.measured is None else self.measured.measurements()
        return {**fields_of(self), "measured": measured, "outside": list(self.outside())}


def power(log10: float) -> float:
    """10^x, 0 or inf beyond the range."""
    return 10.0**log10 if log10 < 308.0 else math.inf
