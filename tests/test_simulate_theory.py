"""Theory and simulation agree within their own error bars, for every activation, law and fan."""

from __future__ import annotations

from typing import Any

import pytest
from records import ACTIVATIONS

import fastinit as fi
from fastinit import propagation as P

LAWS: dict[str, dict[str, Any]] = {
    "normal": {"init": "variance_scaling", "distribution": "normal"},
    "uniform": {"init": "variance_scaling", "distribution": "uniform"},
    "truncated_normal": {"init": "variance_scaling", "distribution": "truncated_normal"},
    "orthogonal": {"init": "orthogonal"},
}
# E x^2 grows or falls as its square (its cube) from layer to layer, so that logarithms double (treble)
# and with them every deviation of finite width: no wide-network theory holds for twelve layers of them.
HEAVY = ("squared_relu", "tanhshrink")


def network(activation: str, law: str, mode: str, widths: tuple[int, ...]) -> list[P.Layer]:
    kwargs = dict(LAWS[law])
    if law == "orthogonal":  # the fan decides its gain
        kwargs["gain"] = 1.2 if mode == "fan_in" else 1.0
    else:
        kwargs |= {"mode": mode, "scale": 1.5}
    layers: list[P.Layer] = []
    for width in widths:
        layers += [P.Dense(width, bias_std=0.1, **kwargs), P.Activation(activation)]
    return layers


def compare(layers: list[P.Layer], batch: int, repeats: int) -> None:
    measured = P.simulate(layers, batch, repeats=repeats, jacobian=False)
    report = P.propagate(layers, batch=batch).with_measured(measured)
    outside = [(row.name, row.outside()) for row in report.layers if row.outside()]
    assert not outside, report.table()
    for row in report.layers:
        m = row.measured
        assert m is not None
        # No bands of their own: four standard errors and what finite width adds.
        for field, slack in (("correlation", 0.03), ("saturated", 0.02), ("zero", 0.02), ("dead", 0.02)):
            theory, value = getattr(row, field), getattr(m, field)
            if theory is not None and value is not None and m.mean is not None:
                assert value.value == pytest.approx(theory, abs=4 * value.error + slack), (row.name, field)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_theory(activation: str, law: str, mode: str) -> None:
    compare(network(activation, law, mode, (96, 128, 160)), batch=48, repeats=12)


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_theory_of_wide_and_deep_networks(activation: str, law: str) -> None:
    compare(network(activation, law, "fan_in", (512,) * (3 if activation in HEAVY else 12)), batch=128, repeats=8)


def test_relu_jacobian() -> None:
    """Variance of the eigenvalues of J J^T: L for orthogonal weights, 2 L for Gaussian ones (Pennington et al. 2017)."""
    for init, kwargs, want in (("orthogonal", {"gain": 2**0.5}, 4.0), ("he_normal", {}, 8.0)):
        m = P.simulate([P.Dense(100, init, **kwargs), P.Activation("relu")] * 4, 2, repeats=16)
        assert m.jacobian_mean.value == pytest.approx(1.0, abs=5 * m.jacobian_mean.error + 0.03)
        assert m.jacobian_variance.value == pytest.approx(want, abs=5 * m.jacobian_variance.error + 0.08 * want)


def test_he_correlation_map() -> None:
    """c_1, c_2, c_3 of He-ReLU from independent inputs (Cho & Saul 2009)."""
    m = P.simulate([P.Dense(1000), P.Activation("relu")] * 3, 100, repeats=4, jacobian=False)
    for row, want in zip(m.layers[1::2], (0.31831, 0.49373, 0.60483), strict=True):
        assert row.correlation.value == pytest.approx(want, abs=0.01)


def test_selu_fixed_point() -> None:
    """Mean 0 and variance 1 are kept (Klambauer et al. 2017)."""
    m = P.simulate([P.Dense(1000, "lecun_normal"), P.Activation("selu")] * 8, 100, repeats=4, jacobian=False)
    last = m.layers[-1]
    assert last.mean.value == pytest.approx(0.0, abs=0.01)
    assert last.variance.value == pytest.approx(1.0, abs=4 * last.variance.error + 0.01)


def _he_of_groups(shape: tuple[int, ...], seed: Any, groups: int = 1) -> Any:
    return fi.he_normal(shape, seed=seed, groups=groups)


@pytest.mark.parametrize("layer", [
    P.Dense(64, "orthogonal", gain="relu", fan_in=64),
    P.Dense(64, "orthogonal", gain=2.0, method="qr", fan_in=96),
    P.Conv(48, 3, "delta_orthogonal", scaled=True, image=8, fan_in=24),
    P.Conv(48, 3, "he_normal", image=8, fan_in=24, groups=4),
    P.Conv(48, 3, _he_of_groups, image=8, fan_in=24, groups=4),
    P.Conv(48, 3, "dirac", image=8, fan_in=48, groups=4),
    P.Conv(64, 2, "delta_orthogonal", image=6, fan_in=64),  # the tap of an even kernel leaves the image at an edge
    P.Conv(16, (4,), "dirac", image=(5,), fan_in=16),
], ids=lambda layer: repr(layer).split(" at 0x")[0])  # fmt: skip
def test_arguments_of_an_initializer_mean_the_same_in_both(layer: Any) -> None:
    theory, measured = P.propagate([layer]).layers[0], P.simulate([layer], 64, repeats=8, jacobian=False).layers[0]
    assert measured.second is not None
    assert measured.second.value == pytest.approx(theory.second, abs=5.0 * measured.second.error)
