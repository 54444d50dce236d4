"""Weights and images that the golden files were made with: drawn by name, so that any library can draw them."""

import re
import zlib

import numpy as np

SAMPLES = 48
"""Values that are kept of one activation."""

BRANCHES = (
    (r"layer\d\.\d+\.bn2", 65, 0.35),  # residual networks
    (r"layer\d\.\d+\.bn3", 257, 0.35),
    (r"stages\.\d\.blocks\.\d+\.norm3", 1, 0.125),  # pre-activation
    (r"trunk_output\.\S+\.f\.c\.1", 1, 0.125),  # RegNet
    (r"features\.\d+\.conv\.3", 1, 0.5),  # MobileNet V2
    (r"layers\.\d+\.\d+\.layers\.7", 1, 0.5),  # MNASNet
    (r"features\.\d+\.block\.[23]\.1", 1, 0.7),  # MobileNet V3
    (r"features\.[4-9]\.[1-9]\d*\.block\.3\.1", 1, 0.25),  # EfficientNet, but for the blocks that open a stage
    (r"features\.[1-3]\.[1-9]\.block\.[01]\.1", 1, 0.25),  # the shorter blocks of EfficientNet V2's first stages
    (r"stage\d\.\d+\.branch2\.4", 1, 0.7),  # ShuffleNet V2, whose depthwise convolutions end in no activation
)
"""Norms in residual branches, from how many channels on, and how much smaller than others their scales are drawn.

At evaluation nothing else holds back a sum of fifty branches, and in training rounding errors grow with it.
The first golden files have narrower norms of the first two names, drawn like all others.
"""


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array of this name in a torch state dict: uniform, of the size that He initialisation has."""
    uniform = np.random.default_rng(zlib.crc32(name.encode())).random(shape)
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        values = 0.5 + uniform
        norm = name.removesuffix(".weight")
        fits = (gain for branch, least, gain in BRANCHES if shape[0] >= least and re.fullmatch(branch, norm))
        values *= next(fits, 1)
    elif len(shape) == 1:
        values = uniform - 0.5
    elif name.endswith(("class_token", "pos_embedding", "relative_position_bias_table")):
        values = 2 * uniform - 1
    else:
        values = uniform  # in place: the largest have a hundred million values
        values *= 2
        values -= 1
        values *= np.sqrt(6 / np.prod(shape[1:]))
    return values.astype(np.float32)


def images(count: int, size: int = 32) -> np.ndarray:
    """Channels first, as torch takes them."""
    return (2 * np.random.default_rng(0).random((count, 3, size, size)) - 1).astype(np.float32)


def pixels(features: np.ndarray) -> np.ndarray:
    """Every third column of every third row from the second on: keeps the golden files small.

    Takes (batch, channels, height, width).
    """
    return features[:, :, 1::3, ::3]


def shapes(names: np.ndarray) -> dict[str, tuple[int, ...]]:
    """Shapes by name, in order, from a golden file's `names` or `resized`: bytes of lines "name 64x3x7x7"."""
    lines = (line.partition(" ") for line in names.tobytes().decode().split("\n"))
    return {name: tuple(map(int, shape.split("x"))) if shape else () for name, _, shape in lines}


def samples(name: str, array: np.ndarray) -> np.ndarray:
    """What a golden file keeps of the activation of this name ("eval/stage1"): float32, computed in float64.

    Takes torch's layout, (batch, channels, height, width) or (batch, channels). Gives 48 values at positions
    drawn by name and size, a projection that every value is part of, the root mean square and the largest
    magnitude. All of one size, so that one tolerance, relative to the last, serves all.
    """
    values = np.asarray(array, np.float64).ravel()
    positions = np.random.default_rng([zlib.crc32(name.encode()), values.size]).integers(values.size, size=SAMPLES)
    return np.array([*values[positions], *statistic(name, values), np.abs(values).max()], np.float32)


def statistic(name: str, array: np.ndarray) -> np.ndarray:
    """Two numbers that stand for an array: a projection that every value is part of, and the root mean square.

    The projection is the product with normal numbers drawn by the name, over the root of the size.
    """
    values = np.asarray(array, np.float64).ravel()
    normal = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(values.size)
    return np.array([normal @ values / np.sqrt(values.size), np.sqrt(np.mean(values**2))], np.float32)
