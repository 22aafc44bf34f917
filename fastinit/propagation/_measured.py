"""What a simulation measures: the fields of a report's layers, with standard errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .._keys import SeedLike
from .._types import Array
from ._plain import fields_of


class Measurement(NamedTuple):
    """A mean over repeats.

    Attributes
    ----------
    value : float
    error : float
        Its standard error; NaN for one repeat.
    """

    value: float
    error: float


@dataclass(frozen=True)
class MeasuredLayer:
    """Measured fields of one layer's output; None where a field does not apply.

    Attributes
    ----------
    name : str
        The step's name.
    mean, second, kurtosis : Measurement
        E x, E x^2 and E x^4 / (E x^2)^2 over units and inputs; 3 for a centred Gaussian.
    correlation : Measurement
        Mean over pairs of different inputs of <x, y> / sqrt(<x, x> <y, y>).
    gradient : Measurement
        E g^2 of the gradient with respect to the layer's output, for a standard normal gradient
        at the network's output.
    weight_gradient : Measurement
        E (dL/dW)^2 of one input, over weights and inputs; of the last matrix of Gated. Of a convolution from
        the gradient of all inputs together, of which it is the mean over draws.
    saturated, zero, dead : Measurement
        Of an activation: fraction with abs(f') < 1e-3 max abs(f'), fraction of outputs 0, fraction of units
        (channels of an image) with output slope 0 for all inputs of the batch, at all places.
    nonfinite : Measurement
        Fraction of outputs that are infinite or NaN.
    variance : Measurement
        E x^2 - (E x)^2 over units and inputs.
    gradient_zero, gradient_nonfinite : Measurement
        Fractions of the gradients with respect to the layer's output.
    """

    name: str
    mean: Measurement | None = None
    second: Measurement | None = None
    kurtosis: Measurement | None = None
    correlation: Measurement | None = None
    gradient: Measurement | None = None
    weight_gradient: Measurement | None = None
    saturated: Measurement | None = None
    zero: Measurement | None = None
    dead: Measurement | None = None
    nonfinite: Measurement | None = None
    variance: Measurement | None = None
    gradient_zero: Measurement | None = None
    gradient_nonfinite: Measurement | None = None

    def measurements(self) -> dict[str, dict[str, float]]:
        """Value and error of each field that applies, by its name.

        Returns
        -------
        dict of str to dict

        Examples
        --------
        >>> from fastinit.propagation import Dense, simulate
        >>> sorted(simulate([Dense(64)], 16).layers[0].measurements()["second"])
        ['error', 'value']
        """
        return {name: m._asdict() for name, m in vars(self).items() if isinstance(m, Measurement)}


@dataclass(frozen=True, repr=False)
class Measured:
    """A simulated network: its layers in the order of the report's, and its Jacobian.

    Attributes
    ----------
    layers : tuple of MeasuredLayer
        In execution order; the branch of a Residual comes before it.
    batch, repeats, seed, dtype
        How it was measured.
    singular_values : ndarray or None
        Of the input-output Jacobian, descending, of the first repeat.
    jacobian_mean, jacobian_variance, jacobian_largest : Measurement or None
        Moments and maximum of the eigenvalues of J J^T.
    condition : Measurement or None
        Largest over smallest singular value.
    """

    layers: tuple[MeasuredLayer, ...]
    batch: int
    repeats: int
    seed: SeedLike
    dtype: str
    singular_values: Array | None = field(default=None, compare=False)
    jacobian_mean: Measurement | None = None
    jacobian_variance: Measurement | None = None
    jacobian_largest: Measurement | None = None
    condition: Measurement | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings.

        Returns
        -------
        dict of str to Any
            The fields; a `Measurement` as ``{"value": ..., "error": ...}``.

        Examples
        --------
        >>> from fastinit.propagation import Dense, simulate
        >>> simulate([Dense(64)], 16, repeats=2).to_dict()["repeats"]
        2
        """
        layers = [{"name": layer.name, **layer.measurements()} for layer in self.layers]
        return {**fields_of(self), "layers": layers}

    def __repr__(self) -> str:
        layers = len(self.layers)
        return f"<Measured layers={layers}, batch={self.batch}, repeats={self.repeats}, dtype={self.dtype!r}>"
