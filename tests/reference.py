"""The number contract once more in plain NumPy: words, uniforms, normals."""

from __future__ import annotations

import numpy as np
from scipy import special

M0, M1, W0, W1 = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85
MASK = np.uint64(0xFFFFFFFF)


def philox(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Four words for each row (c0, c1, c2, c3) of `counter` (Salmon et al. 2011)."""
    c0, c1, c2, c3 = (counter[:, i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * np.uint64(M0), c2 * np.uint64(M1)
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), p1 & MASK,
            (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1), p0 & MASK,
        )
        k0, k1 = (k0 + W0) % 2**32, (k1 + W1) % 2**32
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def key_of(seed: object) -> tuple[int, int]:
    k0, k1 = np.random.SeedSequence(seed).generate_state(2, np.uint32).tolist()
    return k0, k1


def quartets(elements: np.ndarray, key: tuple[int, int], tag: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The four words of each element's counter, and which of them is the element's."""
    e = elements.astype(np.uint64)
    index = e // np.uint64(64) * np.uint64(16) + e % np.uint64(16)
    counter = np.zeros((len(e), 4), np.uint64)
    counter[:, 0], counter[:, 1], counter[:, 2] = index & MASK, index >> np.uint64(32), tag
    return philox(counter, key), (e % np.uint64(64) // np.uint64(16)).astype(int)


def words(elements: np.ndarray, key: tuple[int, int], tag: int = 0) -> np.ndarray:
    quartet, which = quartets(elements, key, tag)
    return quartet[np.arange(len(which)), which]


def uniforms(elements: np.ndarray, key: tuple[int, int], dtype: str) -> np.ndarray:
    high = words(elements, key)
    if dtype == "float32":
        return ((high >> np.uint32(8)).astype(np.float64) * 2.0**-24).astype(np.float32)
    low = words(elements, key, 1)
    both = high.astype(np.uint64) << np.uint64(32) | low
    return (both >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normals(elements: np.ndarray, key: tuple[int, int], dtype: str) -> np.ndarray:
    """In float64 arithmetic by libm: to compare within a tolerance."""
    quartet, which = quartets(elements, key)
    real = quartet.astype(np.float64)
    fraction = 0.5
    if dtype == "float64":
        low = quartets(elements, key, 1)[0].astype(np.float64)
        real, fraction = real + low * 2.0**-32, 2.0**-33
    rows, pair = np.arange(len(which)), which % 2
    radius = np.sqrt(-2.0 * np.log((real[rows, pair] + fraction) * 2.0**-32))
    angle = 2.0 * np.pi * real[rows, pair + 2] * 2.0**-32
    return radius * np.where(which < 2, np.cos(angle), np.sin(angle))


def truncated(elements: np.ndarray, key: tuple[int, int], a: float, b: float) -> np.ndarray:
    u = (words(elements, key).astype(np.float64) + 0.5) * 2.0**-32
    if a > 0:
        return -truncated_lower(1.0 - u, -b, -a)
    return truncated_lower(u, a, b)


def truncated_lower(u: np.ndarray, a: float, b: float) -> np.ndarray:
    return special.ndtri(special.ndtr(a) + u * (special.ndtr(b) - special.ndtr(a)))
