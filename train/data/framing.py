"""Images of any size to squares of one size: a random window in training, the resized image's centre at evaluation.

Szegedy et al., 2015, Going Deeper with Convolutions, section 6 (windows of 8 to 100 % of the area, sides 3:4 to
4:3), drawn as torchvision's RandomResizedCrop does; the resizing is Pillow's, bilinear and antialiased.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from train.data.source import Arrays, Source, generator, stacked
from zoo.preprocessing import central_square

ASPECT = 4 / 3
"""The longest a random window is: width to height from 3/4 to 4/3."""
_TRIES = 10
_WINDOWS = 1  # what random numbers are drawn for, beside the order of the examples


class Box(NamedTuple):
    """A part of an image, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


@dataclasses.dataclass(frozen=True)
class Framing:
    """How an image becomes a square."""

    side: int
    """Pixels a side of the square."""
    resize: int
    """Pixels of the image's shorter side before the central square is cut; at least `side`."""
    smallest_area: float = 0.08
    """Smallest share of the image's area in a random window."""

    def central(self, image: Image.Image) -> UInt8[np.ndarray, "side side 3"]:
        """The centre of the resized image."""
        return np.asarray(central_square(image, self.resize, self.side))

    def vary(self, image: Image.Image, random: np.random.Generator) -> UInt8[np.ndarray, "side side 3"]:
        """A random window, resized."""
        window = image.crop(random_window(*image.size, self.smallest_area, random))
        return np.asarray(window.resize((self.side, self.side), Image.Resampling.BILINEAR))


def random_window(width: int, height: int, smallest_area: float, random: np.random.Generator) -> Box:
    """A window whose share of the area is uniform, the logarithm of its aspect too, that lies in the image.

    Ten are tried; then it is the largest central one with an aspect that is allowed.

    Args:
      width: of the image, in pixels.
      height: of the image.
      smallest_area: smallest share of the image's area.
      random: where the numbers come from.
    """
    limit = math.log(ASPECT)
    for _ in range(_TRIES):
        area = width * height * random.uniform(smallest_area, 1)
        aspect = math.exp(random.uniform(-limit, limit))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(random.integers(width - w + 1)), int(random.integers(height - h + 1))
            return Box(left, top, left + w, top + h)
    w, h = min(width, round(height * ASPECT)), min(height, round(width * ASPECT))
    left, top = (width - w) // 2, (height - h) // 2
    return Box(left, top, left + w, top + h)


class Framed(Source):
    """The images of another source as RGB squares of one size."""

    def __init__(self, source: Source, framing: Framing) -> None:
        self.name = source.name
        self.class_names = source.class_names
        self.target_unit = source.target_unit
        self.image_shape = (framing.side, framing.side, 3)
        self._source = source
        self._framing = framing

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, row: int) -> Arrays:
        image, others = self._source.pictured(row)
        return {"image": self._framing.central(image), **others}

    def label(self, row: int) -> int:
        """The label of one example."""
        return self._source.label(row)

    def varied(self, rows: Sequence[int] | Int[np.ndarray, "batch"], seed: int, epoch: int) -> Arrays:
        """The examples of some rows, stacked, each a random window that seed, epoch and row decide."""
        return stacked([self._varied(int(row), generator(seed, epoch, row, _WINDOWS)) for row in rows])

    def _varied(self, row: int, random: np.random.Generator) -> Arrays:
        image, others = self._source.pictured(row)
        return {"image": self._framing.vary(image, random), **others}
