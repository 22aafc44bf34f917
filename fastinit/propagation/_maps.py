"""Gaussian moments of activations, and the maps of variance and correlation through a layer."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .._activations import ActivationLike, resolve
from .._args import check_bool, check_number, check_positive, check_within


class Moments(NamedTuple):
    """Expectations of an activation f over h ~ N(mean, q).

    Attributes
    ----------
    phi, phi2, phi4 : float
        E f, E f^2, E f^4.
    dphi, dphi2, dphi4 : float
        E f', E f'^2, E f'^4.
    h_phi_dphi : float
        E h f f'.
    """

    phi: float
    phi2: float
    phi4: float
    dphi: float
    dphi2: float
    dphi4: float
    h_phi_dphi: float


class PairMoments(NamedTuple):
    """Expectations over two inputs u, v of variance q and correlation c.

    Attributes
    ----------
    phi_phi, dphi_dphi : float
        E f(u) f(v) and E f'(u) f'(v).
    """

    phi_phi: float
    dphi_dphi: float


def moments(activation: ActivationLike, q: float = 1.0, mean: float = 0.0, **params: Any) -> Moments:
    """Moments of an activation f and its derivative over h ~ N(mean, q).

    Closed forms where they exist, else Gauss-Legendre panels that break at the kinks and follow
    the curvature near zero: 1e-12 relative for q from 1e-6 to 1e6.

    Parameters
    ----------
    activation : str or callable
        Name, or a vectorised function of a float64 array.
    q : float
        Variance of h, >= 0.
    mean : float
        Mean of h.
    **params : Any
        `negative_slope` of leaky_relu and prelu, `alpha` of elu and celu, `w` of sin. For a
        function: `derivative` (a function; without it the interpolant is differentiated, which
        needs a continuous function of float32 or float64) and
        `kinks` (found if not given); anything else is passed on to both functions.

    Returns
    -------
    Moments
        ``(phi, phi2, phi4, dphi, dphi2, dphi4, h_phi_dphi)`` = E f, E f^2, E f^4, E f', E f'^2,
        E f'^4, E h f f'.

    Raises
    ------
    TypeError
        A wrong type, or a parameter that the activation does not have.
    ValueError
        An unknown activation; q < 0; a number or a function value that is not finite; a function
        without `derivative` that jumps (the place is named).

    References
    ----------
    B. Poole et al., "Exponential expressivity in deep neural networks through transient chaos",
    NeurIPS 2016.

    Examples
    --------
    >>> from fastinit.propagation import moments
    >>> m = moments("relu", q=4.0)
    >>> m.phi2, m.dphi2
    (2.0, 0.5)
    >>> round(moments("tanh").phi2, 12)
    0.394294490398
    """
    f = resolve(activation, params)
    q = check_number(q, "q", low=0.0)
    mean = check_number(mean, "mean")
    return Moments(*f.moments(q, mean))


def pair_moments(activation: ActivationLike, c: float, q: float = 1.0, **params: Any) -> PairMoments:
    """E f(u) f(v) and E f'(u) f'(v) for u, v ~ N(0, q) with correlation c.

    Parameters
    ----------
    activation : str or callable
        Name, or a vectorised function of a float64 array.
    c : float
        Correlation, in [-1, 1].
    q : float
        Variance of u and v, > 0.
    **params : Any
        As in `moments`.

    Returns
    -------
    PairMoments
        ``(phi_phi, dphi_dphi)``.

    Raises
    ------
    TypeError
        A wrong type, or a parameter that the activation does not have.
    ValueError
        An unknown activation; c outside [-1, 1]; q <= 0.

    References
    ----------
    Y. Cho, L. Saul, "Kernel methods for deep learning", NeurIPS 2009 (ReLU);
    C. Williams, "Computing with infinite networks", NeurIPS 1996 (erf).

    Examples
    --------
    >>> from fastinit.propagation import pair_moments
    >>> round(pair_moments("relu", 0.0).phi_phi, 12)  # 1 / (2 pi)
    0.159154943092
    """
    f = resolve(activation, params)
    c = check_within(c, "c", -1.0, 1.0)
    q = check_positive(q, "q")
    phi_phi, dphi_dphi, _, _ = f.pair_moments(q, c, False)
    return PairMoments(phi_phi, dphi_dphi)


def q_map(activation: ActivationLike, q: float, sigma_w2: float, sigma_b2: float = 0.0, **params: Any) -> float:
    """Second moment of the next pre-activation: ``sigma_w2 E f(h)^2 + sigma_b2``, h ~ N(0, q).

    Parameters
    ----------
    activation : str or callable
        Name, or a vectorised function of a float64 array.
    q : float
        Second moment of the pre-activation, >= 0.
    sigma_w2 : float
        fan_in times the variance of a weight, >= 0.
    sigma_b2 : float
        Variance of a bias, >= 0.
    **params : Any
        As in `moments`.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        A wrong type, or a parameter that the activation does not have.
    ValueError
        An unknown activation; a negative variance.

    References
    ----------
    B. Poole et al., NeurIPS 2016, eq. 3.

    Examples
    --------
    >>> from fastinit.propagation import q_map
    >>> q_map("relu", 1.5, sigma_w2=2.0)
    1.5
    """
    f = resolve(activation, params)
    q = check_number(q, "q", low=0.0)
    sigma_w2 = check_number(sigma_w2, "sigma_w2", low=0.0)
    sigma_b2 = check_number(sigma_b2, "sigma_b2", low=0.0)
    return sigma_w2 * f.second_moment(q) + sigma_b2


def c_map(
    activation: ActivationLike,
    c: float,
    q: float,
    sigma_w2: float,
    sigma_b2: float = 0.0,
    *,
    complement: bool = False,
    **params: Any,
) -> float:
    """Correlation after one layer of two inputs with second moment q and correlation c.

    ``(sigma_w2 E f(u) f(v) + sigma_b2) / q_map(q)``. Near 1 a correlation loses its digits;
    with `complement` both c and the result are ``1 - correlation``, with full relative accuracy
    however small.

    Parameters
    ----------
    activation : str or callable
        Name, or a vectorised function of a float64 array.
    c : float
        Correlation in [-1, 1]; with `complement`, 1 - correlation in [0, 2].
    q : float
        Second moment of both pre-activations, > 0.
    sigma_w2, sigma_b2 : float
        fan_in times the variance of a weight, and the variance of a bias; >= 0, not both 0.
    complement : bool
        Take and return 1 - correlation.
    **params : Any
        As in `moments`.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        A wrong type, or a parameter that the activation does not have.
    ValueError
        An unknown activation; c out of range; a variance that is negative, or makes the next
        layer zero.

    References
    ----------
    B. Poole et al., NeurIPS 2016, eq. 5.

    Examples
    --------
    >>> from fastinit.propagation import c_map
    >>> round(c_map("relu", 0.0, 1.0, 2.0), 5)
    0.31831
    >>> round(c_map("tanh", 1e-20, 1.0, 1.0, complement=True) * 1e20, 6)
    1.177807
    """
    f = resolve(activation, params)
    complement = check_bool(complement, "complement")
    c = check_within(c, "c", 0.0, 2.0) if complement else check_within(c, "c", -1.0, 1.0)
    q = check_positive(q, "q")
    sigma_w2 = check_number(sigma_w2, "sigma_w2", low=0.0)
    sigma_b2 = check_number(sigma_b2, "sigma_b2", low=0.0)
    new, below, _, next_q, _ = f.c_map(c, q, sigma_w2, sigma_b2, complement)
    if not next_q > 0.0:
        raise ValueError(f"sigma_w2 and sigma_b2 make the next layer zero, got {sigma_w2!r} and {sigma_b2!r}")
    if next_q == math.inf:
        raise ValueError(f"q makes the next layer's second moment larger than float64 holds, got {q!r}")
    return below if complement else new
