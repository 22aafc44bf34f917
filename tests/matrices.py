"""What tests of orthogonal matrices share."""

from __future__ import annotations

import numpy as np


def deviation(q: np.ndarray) -> float:
    """Largest element of Q'Q - I along the shorter side, in units of eps sqrt(n)."""
    x = q.astype(np.float64) if q.dtype == np.float32 else q.astype(np.longdouble)
    tall = x if x.shape[0] >= x.shape[1] else x.T
    n = tall.shape[1]
    return float(abs(tall.T @ tall - np.eye(n)).max() / (np.finfo(q.dtype).eps * n**0.5)) if n else 0.0


def sign_fixed_qr(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q, r = np.linalg.qr(a)
    signs = np.where(np.diag(r) < 0, -1.0, 1.0)
    return q * signs, r * signs[:, None]
