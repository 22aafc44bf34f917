"""What the maps lead to with depth: fixed points, criticality, depth scales, Jacobian spectra."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._activations import ActivationLike, resolve
from .._args import check_choice, check_int, check_number


class FixedPoint(NamedTuple):
    """A second moment that a layer leaves unchanged.

    Attributes
    ----------
    q : float
        The second moment, >= 0.
    slope : float
        dq'/dq of the variance map there.
    chi1 : float
        Factor on the variance of gradients per layer.
    stable : bool
        Whether it attracts what starts near it.
    """

    q: float
    slope: float
    chi1: float
    stable: bool


class CriticalPoint(NamedTuple):
    """Where chi_1 = 1.

    Attributes
    ----------
    sigma_w2, sigma_b2 : float
        fan_in times the variance of a weight, and the variance of a bias.
    q : float
        The second moment that stays fixed.
    """

    sigma_w2: float
    sigma_b2: float
    q: float


class DepthScales(NamedTuple):
    """Where an infinitely deep network goes, and over how many layers.

    Attributes
    ----------
    q, c : float
        Second moment, and correlation of two inputs, in the limit.
    chi1 : float
        Factor on the variance of gradients per layer there.
    xi_q, xi_c, xi_grad : float
        Layers over which what is left of the way to q and to c, and the gradient, change e-fold; may be inf.
    phase : {"ordered", "critical", "chaotic"}
    """

    q: float
    c: float
    chi1: float
    xi_q: float
    xi_c: float
    xi_grad: float
    phase: str


class JacobianSpectrum(NamedTuple):
    """The eigenvalues of J J^T, J the input-output Jacobian.

    Attributes
    ----------
    mean, variance : float
        Over the outputs.
    largest : float
        The upper edge of the spectrum of wide layers.
    """

    mean: float
    variance: float
    largest: float


def fixed_points(
    activation: ActivationLike, sigma_w2: float, sigma_b2: float = 0.0, **params: Any
) -> list[FixedPoint]:
    """All second moments that a layer leaves unchanged, stable or not.

    Found by a scan over log q in [1e-12, 1e12]; q = 0 is listed when it is one. Where every q is
    fixed (ReLU with ``sigma_w2 = 2``) one entry with q = 1, slope 1 and ``stable=False`` stands
    for all of them.

    Parameters
    ----------
    activation : str or callable
        Name, or a vectorised function of a float64 array.
    sigma_w2, sigma_b2 : float
        fan_in times the variance of a weight, and the variance of a bias; >= 0.
    **params : Any
        As in `moments`.

    Returns
    -------
    list of FixedPoint
        ``(q, slope, chi1, stable)`` in ascending order of q: slope = dq'/dq, chi1 = sigma_w2
        E f'^2 (the factor of gradient variance per layer), stable where abs(slope) < 1.

    Raises
    ------
    TypeError
        A wrong type, or a parameter that the activation does not have.
    ValueError
        An unknown activation; a negative variance.

    References
    ----------
    B. Poole et al., NeurIPS 2016; S. Schoenholz et al., "Deep information propagation", ICLR 2017.

    Examples
    --------
    >>> from fastinit.propagation import fixed_points
    >>> p = fixed_points("selu", 1.0)[-1]
    >>> round(p.q, 6), round(p.chi1, 6), p.stable
    (1.0, 1.071575, True)
    """
    f = resolve(activation, params)
    sigma_w2 = check_number(sigma_w2, "sigma_w2", low=0.0)
    sigma_b2 = check_number(sigma_b2, "sigma_b2", low=0.0)
    return [FixedPoint(*p) for p in f.fixed_points(sigma_w2, sigma_b2)]


def critical_line(activation: ActivationLike, q: float, **params: Any) -> CriticalPoint:
    """The weight and bias variance for which q is fixed and chi_1 = 1.

    ``sigma_w2 = 1 / E f'^2``, ``sigma_b2 = q - sigma_w2 E f^2``. A negative sigma_b2 means that
    no network has its critical point at this q.

    Parameters
    ----------
    activation : str or callable
        Name, or a vectorised function of a float64 array.
    q : float
        Second moment of the pre-activation, >= 0; 0 gives the limit.
    **params : Any
        As in `moments`.

    Returns
    -------
    CriticalPoint
        ``(sigma_w2, sigma_b2, q)``.

    Raises
    ------
    TypeError
        A wrong type, or a parameter that the activation does not have.
    ValueError
        An unknown activation; q < 0.

    References
    ----------
    S. Schoenholz et al., "Deep information propagation", ICLR 2017.

    Examples
    --------
    >>> from fastinit.propagation import critical_line
    >>> point = critical_line("tanh", 1.0)
    >>> round(point.sigma_w2, 6), round(point.sigma_b2, 6)
    (2.153303, 0.150965)
    """
    f = resolve(activation, params)
    q = check_number(q, "q", low=0.0)
    return CriticalPoint(*f.critical_line(q))


def critical_point(activation: ActivationLike, sigma_b2: float = 0.0, **params: Any) -> CriticalPoint:
    """The weight variance at the edge of chaos for a given bias variance.

    Of several, the one with the smallest q that attracts; q = 0 where the line starts there
    (tanh without bias), q = 1 where every q is critical (ReLU without bias). Where none attracts
    (GELU, SiLU, squared ReLU), the smallest that is fixed: a network that starts elsewhere leaves
    it, and `depth_scales` describes where it goes. `fixed_points` says whether it is stable.

    Parameters
    ----------
    activation : str or callable
        Name, or a vectorised function of a float64 array.
    sigma_b2 : float
        Variance of a bias, >= 0.
    **params : Any
        As in `moments`.

    Returns
    -------
    CriticalPoint
        ``(sigma_w2, sigma_b2, q)``.

    Raises
    ------
    TypeError
        A wrong type, or a parameter that the activation does not have.
    ValueError
        An unknown activation; sigma_b2 < 0, or one for which there is no critical point.

    References
    ----------
    S. Schoenholz et al., "Deep information propagation", ICLR 2017.

    Examples
    --------
    >>> from fastinit.propagation import critical_point
    >>> round(critical_point("tanh").sigma_w2, 9)
    1.0
    >>> round(critical_point("tanh", 0.05).sigma_w2, 4)
    1.761
    """
    f = resolve(activation, params)
    sigma_b2 = check_number(sigma_b2, "sigma_b2", low=0.0)
    found = f.critical_point(sigma_b2)
    if found is None:
        raise ValueError(f"sigma_b2 = {sigma_b2!r} has no critical point with this activation")
    return CriticalPoint(*found)


def depth_scales(activation: ActivationLike, sigma_w2: float, sigma_b2: float = 0.0, **params: Any) -> DepthScales:
    """Fixed points of variance and correlation, and the depths over which they are reached.

    Parameters
    ----------
    activation : str or callable
        Name, or a vectorised function of a float64 array.
    sigma_w2, sigma_b2 : float
        fan_in times the variance of a weight, and the variance of a bias; >= 0.
    **params : Any
        As in `moments`.

    Returns
    -------
    DepthScales
        q : where the second moment goes from 1 (0 or inf if it vanishes or explodes);
        c : where correlations go (1 below criticality); chi1 : gradient-variance factor there;
        xi_q, xi_c : layers over which q and c approach their limits by a factor e;
        xi_grad : layers over which the gradient variance changes by a factor e (inf = not at
        all); phase : "ordered" (gradients vanish), "critical" or "chaotic" (they explode).
        About 6 xi_c layers can be trained.

    Raises
    ------
    TypeError
        A wrong type, or a parameter that the activation does not have.
    ValueError
        An unknown activation; a negative variance.

    References
    ----------
    S. Schoenholz et al., "Deep information propagation", ICLR 2017.

    Examples
    --------
    >>> from fastinit.propagation import depth_scales
    >>> d = depth_scales("tanh", 1.0, 0.05)
    >>> d.phase, round(d.chi1, 4), round(d.xi_c, 2)
    ('ordered', 0.759, 3.63)
    >>> depth_scales("relu", 2.0).phase
    'critical'
    """
    f = resolve(activation, params)
    sigma_w2 = check_number(sigma_w2, "sigma_w2", low=0.0)
    sigma_b2 = check_number(sigma_b2, "sigma_b2", low=0.0)
    return DepthScales(*f.depth_scales(sigma_w2, sigma_b2))


def jacobian_spectrum(
    activation: ActivationLike,
    depth: int,
    sigma_w2: float,
    q: float,
    weights: str = "gaussian",
    **params: Any,
) -> JacobianSpectrum:
    """Eigenvalues of J J^T for the input-output Jacobian of a wide square network at fixed q.

    Parameters
    ----------
    activation : str or callable
        Name, or a vectorised function of a float64 array.
    depth : int
        Number of layers, >= 1.
    sigma_w2 : float
        Width times the variance of a weight (the squared gain of orthogonal weights), >= 0.
    q : float
        Second moment of every pre-activation, >= 0; 0 gives the limit.
    weights : {"gaussian", "orthogonal"}
        Law of the weight matrices.
    **params : Any
        As in `moments`.

    Returns
    -------
    JacobianSpectrum
        ``(mean, variance, largest)``; largest is the upper edge of the limiting spectrum.

    Raises
    ------
    TypeError
        A wrong type, or a parameter that the activation does not have.
    ValueError
        An unknown activation or kind of weights; depth < 1; a negative variance.

    References
    ----------
    J. Pennington, S. Schoenholz, S. Ganguli, "Resurrecting the sigmoid in deep learning through
    dynamical isometry", NeurIPS 2017.

    Examples
    --------
    >>> from fastinit.propagation import jacobian_spectrum
    >>> jacobian_spectrum("relu", 8, 2.0, 1.0).variance
    16.0
    >>> jacobian_spectrum("relu", 8, 2.0, 1.0, weights="orthogonal").variance
    8.0
    """
    f = resolve(activation, params)
    depth = check_int(depth, "depth", low=1)
    if depth > 2**31 - 1:
        raise ValueError(f"depth must be below 2**31, got {depth!r}")
    sigma_w2 = check_number(sigma_w2, "sigma_w2", low=0.0)
    q = check_number(q, "q", low=0.0)
    check_choice(weights, "weights", ("gaussian", "orthogonal"))
    return JacobianSpectrum(*f.jacobian_spectrum(depth, sigma_w2, q, weights == "orthogonal"))
