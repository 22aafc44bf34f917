"""Images of digits: MNIST's IDX files, or the smaller set that comes with scikit-learn."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Data(NamedTuple):
    """Standardised inputs (n, d) and labels (n,), for training and for the test."""

    name: str
    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def read_idx(path: Path) -> np.ndarray:
    """An IDX file of bytes, plain or gzipped.

    Raises
    ------
    ValueError
        It is no IDX file of unsigned bytes, or is shorter or longer than its header says.
    """
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: broken gzip file: {error}") from None
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: no IDX file of unsigned bytes: it starts with {raw[:4].hex() or 'nothing'}")
    rank = raw[3]
    if len(raw) < 4 + 4 * rank:
        raise ValueError(f"{path}: truncated within the header of {4 + 4 * rank} bytes")
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    body = len(raw) - 4 - 4 * rank
    want = int(np.prod(shape, dtype=object)) if rank else 1
    if body != want:
        word = "truncated" if body < want else "too long"
        raise ValueError(f"{path}: {word}: {shape} needs {want} bytes after the header, there are {body}")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _find(folder: Path, stem: str) -> Path:
    for name in (stem, stem.replace("-idx", ".idx")):
        for suffix in ("", ".gz"):
            if (folder / (name + suffix)).is_file():
                return folder / (name + suffix)
    raise FileNotFoundError(f"{folder}: neither {stem} nor {stem}.gz")


def mnist(folder: Path) -> Data:
    """The four files of MNIST in a folder."""
    parts = []
    for part in ("train", "t10k"):
        images = read_idx(_find(folder, f"{part}-images-idx3-ubyte"))
        labels = read_idx(_find(folder, f"{part}-labels-idx1-ubyte"))
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or not images.size:
            raise ValueError(f"{folder}: {part}: images {images.shape} and labels {labels.shape} do not belong together")
        if labels.max() > 9:
            raise ValueError(f"{folder}: {part}: a label of {labels.max()}, the digits end at 9")
        parts += [images.reshape(len(images), -1), labels]
    if parts[0].shape[1] != parts[2].shape[1]:
        raise ValueError(f"{folder}: images of {parts[0].shape[1]} pixels to train, of {parts[2].shape[1]} to test")
    return _standardised("MNIST", *parts)


def digits() -> Data:
    """scikit-learn's 1797 images of 8 x 8, every fifth kept for the test."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y, held = x[order], y[order], np.arange(len(x)) % 5 == 0
    return _standardised("digits", x[~held], y[~held], x[held], y[held])


def _standardised(name: str, x: np.ndarray, y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray) -> Data:
    """One mean and one deviation for all pixels, those of the training set."""
    mean, std = float(x.mean()), float(x.std()) or 1.0
    x, test_x = ((a.astype(np.float32) - np.float32(mean)) / np.float32(std) for a in (x, test_x))
    return Data(name, x, y.astype(np.int64), test_x, test_y.astype(np.int64))
