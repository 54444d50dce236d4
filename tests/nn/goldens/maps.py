"""What the golden files of transposed convolution, resizing and unpooling were computed from: settings and arrays."""

import zlib
from typing import Any

import numpy as np

TRANSPOSED: dict[str, dict[str, Any]] = {
    "plain": {"kernel": (3, 3), "stride": 1},
    "doubled": {"kernel": (4, 4), "stride": 2, "padding": 1},
    "uneven": {"kernel": (3, 2), "stride": (2, 3), "padding": (1, 0), "output_padding": (0, 2)},
    "one tap": {"kernel": (1, 1), "stride": 3, "output_padding": 2},
    "dilated": {"kernel": (3, 3), "stride": 1, "padding": 2, "dilation": 2},
    "dilated as far as strided": {"kernel": (3, 2), "stride": 2, "padding": 1, "output_padding": 1, "dilation": 2},
    "dilated farther": {"kernel": (3, 3), "stride": 2, "padding": 1, "output_padding": 2, "dilation": 3},
    "strided farther": {"kernel": (5, 3), "stride": 3, "padding": (2, 0), "output_padding": 1, "dilation": 2},
    "common divisor": {"kernel": (2, 3), "stride": 4, "output_padding": 5, "dilation": 6},
    "in groups": {"kernel": (4, 3), "stride": 2, "padding": 1, "groups": 2},
    "each channel alone": {"kernel": (3, 3), "stride": (3, 1), "dilation": (2, 2), "groups": 4},
    "more cut off than reached": {"kernel": (2, 2), "stride": 3, "padding": 2, "output_padding": 2},
}
"""Settings by name, with kernels (rows, columns) of 4 channels and 2 filters a group."""

RESIZED = [
    (size, other, method, aligned)
    for size, other in (((4, 5), (9, 7)), ((7, 6), (3, 4)), ((1, 3), (4, 1)), ((5, 4), (10, 4)))
    for method, aligned in (
        ("nearest", False),
        ("bilinear", False),
        ("bilinear", True),
        ("bicubic", False),
        ("bicubic", True),
    )
]
"""Sizes before and after, method, and whether corners are aligned."""

POOLED: dict[str, dict[str, Any]] = {
    "whole": {"size": (6, 8), "window": 2, "strides": 2, "padding": 0},
    "odd": {"size": (7, 5), "window": (2, 2), "strides": (2, 2), "padding": (0, 0)},
    "padded": {"size": (7, 8), "window": (3, 2), "strides": (3, 2), "padding": (1, 1)},
    "gaps": {"size": (9, 8), "window": (2, 1), "strides": (3, 2), "padding": (0, 0)},
    "overlapping": {"size": (7, 8), "window": (3, 3), "strides": (2, 2), "padding": (1, 1)},
}
"""Maps' rows and columns, and the windows of the pooling."""


def drawn(name: str, *shape: int) -> np.ndarray:
    """Normal numbers, by the name."""
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)


def images_and_kernel(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(batch, height, width, channels), and (rows, columns, channels, filters of a group)."""
    return drawn(f"images of {name}", 1, 3, 4, 4), drawn(f"kernel of {name}", *TRANSPOSED[name]["kernel"], 4, 2)


def tied(name: str) -> np.ndarray:
    """(batch, height, width, channels) of few values, so that most windows have ties; with some -inf and a NaN."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    x = random.integers(-2, 3, (2, *POOLED[name]["size"], 2)).astype(np.float32)
    x[0, :3, :3, 1] = -np.inf
    x[1, 1, 1, 0] = np.nan
    return x
