"""How the variance of activations and gradients moves through depth, before any training."""

from __future__ import annotations

from ._maps import Moments, PairMoments, c_map, moments, pair_moments, q_map
from ._phases import (
    CriticalPoint,
    DepthScales,
    FixedPoint,
    JacobianSpectrum,
    critical_line,
    critical_point,
    depth_scales,
    fixed_points,
    jacobian_spectrum,
)

__all__ = [
    "CriticalPoint",
    "DepthScales",
    "FixedPoint",
    "JacobianSpectrum",
    "Moments",
    "PairMoments",
    "c_map",
    "critical_line",
    "critical_point",
    "depth_scales",
    "fixed_points",
    "jacobian_spectrum",
    "moments",
    "pair_moments",
    "q_map",
]
