"""How a recipe varies its training examples, and how it normalises all images."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from train.config.base import Config


@dataclasses.dataclass(frozen=True)
class Augment(Config):
    """How training examples are varied, and how all images are normalised. Zero switches a variation off."""

    section: ClassVar[str] = "augment"
    most: ClassVar[Mapping[str, int]] = MappingProxyType({"pad_crop": 2**10})

    pad_crop: int = 0
    """Black pixels to pad on each side before a random crop of the original size."""
    flip: bool = False
    """Mirror left and right, half of the time; captions then say right for left."""
    rotate: float = 0.0
    """Largest angle of a random rotation, in degrees."""
    cutout: int = 0
    """Side in pixels of a black square at a random place."""
    erase: float = 0.0
    """Probability of filling a random rectangle with noise (random erasing)."""
    mixup: float = 0.0
    """Alpha of the Beta distribution of mixup's weights."""
    cutmix: float = 0.0
    """Alpha of the Beta distribution of cutmix's areas; with mixup too, each example takes one at random."""
    trivial: bool = False
    """One random operation an image, of random strength (TrivialAugment)."""
    mean: tuple[float, ...] = ()
    """Mean to subtract from images in [0, 1], one value or one a channel."""
    std: tuple[float, ...] = ()
    """Standard deviation to divide by, one value or one a channel."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {
            "pad_crop": self.pad_crop >= 0,
            "rotate": self.rotate >= 0,
            "cutout": self.cutout >= 0,
            "erase": 0 <= self.erase <= 1,
            "mixup": self.mixup >= 0,
            "cutmix": self.cutmix >= 0,
            "std": all(value > 0 for value in self.std),
        }
