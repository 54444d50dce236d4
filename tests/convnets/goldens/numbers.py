"""Weights and images that the golden files were made with: drawn by name, so that any library can draw them."""

import zlib

import numpy as np


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array of this name in a torch state dict: uniform, of the size that He initialisation has."""
    uniform = np.random.default_rng(zlib.crc32(name.encode())).random(shape)
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        values = 0.5 + uniform
    elif len(shape) == 1:
        values = uniform - 0.5
    else:
        values = (2 * uniform - 1) * np.sqrt(6 / np.prod(shape[1:]))
    return values.astype(np.float32)


def images(count: int) -> np.ndarray:
    """Channels first, as torch takes them."""
    return (2 * np.random.default_rng(0).random((count, 3, 32, 32)) - 1).astype(np.float32)


def pixels(features: np.ndarray) -> np.ndarray:
    """Every third column of every third row from the second on: keeps the golden files small.

    Takes (batch, channels, height, width).
    """
    return features[:, :, 1::3, ::3]
