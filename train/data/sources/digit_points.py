"""Sets of points that need no download: drawn from scikit-learn's digits, more of them where a pixel is brighter.

Qi et al., 2017, PointNet, take the bright pixels of MNIST's digits as sets, in their appendix. All is a function of a
seed and the split. Lecture row L79.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from train.data.fields import Facts, Field, Kind
from train.data.source import ArraySource, generator
from train.data.sources.digits import NAMES, load_digits, rows_of

MOST, FEWEST = 128, 64
"""Points of a digit."""
_SEED = {"train": (17, 0), "test": (17, 1)}
SPEC = {
    "image": Field(Kind.IMAGE, (8, 8, 1), "uint8"),
    "points": Field(Kind.KEYPOINTS, (MOST, 3), "float32"),
    "label": Field(Kind.LABEL, (), "int32"),
}


def points(split: Literal["train", "test"]) -> ArraySource:
    """1437 training and 360 test digits, each as 64 to 128 points, (128, 3), beside its image, (8, 8, 1).

    A point is x and y in pixels, and 1; those that fill the set up to 128 are zero.
    """
    images, labels = load_digits()
    rows, random = rows_of(labels, split), generator(*_SEED[split])
    drawn = np.stack([points_of(random, images[row]) for row in rows])
    arrays = {"image": images[rows, :, :, None], "points": drawn, "label": labels[rows]}
    return ArraySource("points", arrays, SPEC, Facts(NAMES))


def points_of(random: np.random.Generator, image: UInt8[np.ndarray, "height width"]) -> Float[np.ndarray, "128 3"]:
    """Points of an image, spread within each pixel; a pixel's chance is its value.

    Args:
      random: decides all.
      image: bright on black, with a pixel that is not.
    """
    count = random.integers(FEWEST, MOST + 1)
    pixels = random.choice(image.size, count, p=image.ravel() / image.sum(dtype=np.float64))
    row, column = np.divmod(pixels, image.shape[1])
    found = np.zeros((MOST, 3), np.float32)
    found[:count] = np.stack([column + random.random(count), row + random.random(count), np.ones(count)], axis=1)
    return found
