"""What the golden files of FCN on VGG-16, SegNet and U-Net were computed from."""

from typing import Any

import numpy as np

from tests.convnets.goldens import numbers

CLASSES = 5
VGG: dict[str, Any] = {"depth": 11, "widths": (4, 4, 6, 6, 6)}
COUNTS = (1, 1, 2, 2, 2)
"""Convolutions of its stages."""

NETWORKS: dict[str, dict[str, Any]] = {
    "fcn32s": {**VGG, "hidden": 8, "stride": 32, "size": (45, 70)},
    "fcn16s": {**VGG, "hidden": 8, "stride": 16, "size": (45, 70)},
    "fcn8s": {**VGG, "hidden": 8, "stride": 8, "size": (45, 70)},
    "fcn8s_at_once": {**VGG, "hidden": 8, "stride": 8, "at_once": True, "learned": True, "size": (33, 64)},
    "segnet": {**VGG, "size": (45, 70)},
    "unet": {"widths": (4, 6, 8), "padding": "valid", "size": (44, 60)},
    "unet_same": {"widths": (4, 6, 8), "padding": "same", "batch_norm": True, "size": (36, 44)},
    "unet_bilinear": {"widths": (4, 6, 8), "padding": "same", "up": "bilinear", "size": (36, 44)},
}
"""Options by name, and the images' height and width."""


def images(name: str) -> np.ndarray:
    """(batch, height, width, channels)."""
    height, width = NETWORKS[name]["size"]
    return numbers.images(2, 80)[:, :, :height, :width].transpose(0, 2, 3, 1).copy()


def slopes(shape: tuple[int, ...]) -> np.ndarray:
    """What the logits' gradient is, (batch, height, width, classes)."""
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)
