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


def quartets(elements: np.ndarray, key: tuple[int, int], tag: int = 0) -> np.ndarray:
    """The four words of each element's counter."""
    e = elements.astype(np.uint64)
    index = e // np.uint64(64) * np.uint64(16) + e % np.uint64(16)
    counter = np.zeros((len(e), 4), np.uint64)
    counter[:, 0], counter[:, 1], counter[:, 2] = index & MASK, index >> np.uint64(32), tag
    return philox(counter, key)


def own(quartet: np.ndarray, elements: np.ndarray) -> np.ndarray:
    """The word of each element among those of its counter."""
    return quartet[np.arange(len(elements)), elements % 64 // 16]


def words(elements: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    return own(quartets(elements, key), elements)


def refined(elements: np.ndarray, key: tuple[int, int], dtype: str) -> tuple[np.ndarray, int]:
    """`quartets`, and the bits of a word: float64 takes a lower half from a second stream."""
    high = quartets(elements, key).astype(np.uint64)
    if dtype == "float32":
        return high, 32
    return high << np.uint64(32) | quartets(elements, key, 1), 64


def uniforms(elements: np.ndarray, key: tuple[int, int], dtype: str) -> np.ndarray:
    quartet, bits = refined(elements, key, dtype)
    digits = np.finfo(dtype).nmant + 1
    return ((own(quartet, elements) >> np.uint64(bits - digits)) * 2.0**-digits).astype(dtype)


def middles(word: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """u = (word + 1/2) / 2^bits, and 1 - u with all its digits."""
    complement = np.uint64(2**bits - 1) - word
    return (word + 0.5) * 2.0**-bits, (complement + 0.5) * 2.0**-bits


def normals(elements: np.ndarray, key: tuple[int, int], dtype: str) -> np.ndarray:
    """In float64 arithmetic by libm: to compare within a tolerance."""
    quartet, bits = refined(elements, key, dtype)
    which = elements % 64 // 16
    rows, pair = np.arange(len(which)), which % 2
    u, v = middles(quartet[rows, pair], bits)
    radius = np.sqrt(-2.0 * np.where(u < 0.5, np.log(u), np.log1p(-v)))
    # Whole quarters of a turn are taken off in integers, so that nothing cancels near the zeros.
    turn, to_quarter = quartet[rows, pair + 2], np.uint64(bits - 2)
    quarter = (turn + np.uint64(2 ** (bits - 3))) >> to_quarter
    angle = (turn - (quarter << to_quarter)).view(np.int64) * (2.0 * np.pi * 2.0**-bits)
    sin, cos = np.sin(angle), np.cos(angle)
    sine_of = (quarter.astype(int) + (which < 2)) % 4  # a cosine is the sine of a quarter more
    return radius * np.choose(sine_of, [sin, cos, -sin, -cos])


def fractions(elements: np.ndarray, key: tuple[int, int], dtype: str) -> tuple[np.ndarray, np.ndarray]:
    quartet, bits = refined(elements, key, dtype)
    return middles(own(quartet, elements), bits)


def truncated(elements: np.ndarray, key: tuple[int, int], a: float, b: float, dtype: str) -> np.ndarray:
    """By the smaller of the probabilities below and above."""
    u, v = fractions(elements, key, dtype)
    below, above = special.ndtr(a), special.ndtr(-b)
    mass = special.ndtr(-a) - above if a > 0 else special.ndtr(b) - below if b < 0 else 1.0 - below - above
    p, q = below + u * mass, above + v * mass
    return np.where(p < q, special.ndtri(p), -special.ndtri(q))
