"""How the variance of activations and gradients moves through depth, before any training."""

from __future__ import annotations

from ._layer_report import LayerReport
from ._layers import Activation, BatchNorm, Dropout, Layer, LayerNorm, Pool, Residual, RMSNorm
from ._linear_layers import Conv, Dense, Gated
from ._maps import Moments, PairMoments, c_map, moments, pair_moments, q_map
from ._measured import Measured, MeasuredLayer, Measurement
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
from ._propagate import propagate
from ._report import Remedy, Report
from ._simulate import simulate

__all__ = [
    "Activation",
    "BatchNorm",
    "Conv",
    "CriticalPoint",
    "Dense",
    "DepthScales",
    "Dropout",
    "FixedPoint",
    "Gated",
    "JacobianSpectrum",
    "Layer",
    "LayerNorm",
    "LayerReport",
    "Measured",
    "MeasuredLayer",
    "Measurement",
    "Moments",
    "PairMoments",
    "Pool",
    "RMSNorm",
    "Remedy",
    "Report",
    "Residual",
    "c_map",
    "critical_line",
    "critical_point",
    "depth_scales",
    "fixed_points",
    "jacobian_spectrum",
    "moments",
    "pair_moments",
    "propagate",
    "q_map",
    "simulate",
]
