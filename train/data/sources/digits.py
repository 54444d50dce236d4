"""Digits that need no download: scikit-learn's 1797 handwritten digits of 8x8 pixels, upright or rotated.

E. Alpaydin and C. Kaynak, 1998, Optical Recognition of Handwritten Digits (UCI).
The rotated digits serve regression on images (lecture rows L88-L92).
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from train.config import RecipeError
from train.data.fields import Facts
from train.data.select import stratified_split
from train.data.source import ArraySource, generator

TEST_SIZE = 360
ROTATED_SIZE = 16
"""Pixels a side of `rotated_digits`."""
SIDES = (8, 512)
"""Fewest and most pixels a side of enlarged digits."""
_SPLIT_SEED, _ANGLE_SEED = 0, 1
NAMES = tuple("0123456789")


def load_digits() -> tuple[UInt8[np.ndarray, "n 8 8"], np.ndarray]:
    from sklearn import datasets  # scikit-learn takes a second to import

    data = datasets.load_digits()
    grey = np.rint(data.images * (255 / 16)).astype(np.uint8)  # the original counts 0..16
    return grey, data.target.astype(np.int32)


def rows_of(labels: np.ndarray, split: Literal["train", "test"]) -> np.ndarray:
    train, test = stratified_split(labels, TEST_SIZE, _SPLIT_SEED)
    return train if split == "train" else test


def digits(split: Literal["train", "test"], side: int | None = None) -> ArraySource:
    """1437 training and 360 test digits with their labels; the split is fixed and stratified.

    Args:
      split: which.
      side: None gives the images as they are, (8, 8, 1); a number such images, (side, side, 1), on whose black canvas
        a digit can turn without losing a corner.
    """
    images, labels = load_digits()
    rows = rows_of(labels, split)
    images, name = images[rows], "digits"
    if side is not None:
        images, name = np.stack([enlarge_and_rotate(image, 0.0, side) for image in images]), f"digits:{side}"
    return ArraySource(name, {"image": images[..., None], "label": labels[rows]}, facts=Facts(NAMES))


def side_of(text: str) -> int:
    """What a recipe says after the colon of `digits:16`, in pixels.

    Raises:
      RecipeError: that is not a number within `SIDES`.

    >>> side_of("16")
    16
    """
    if text.isascii() and text.isdigit() and SIDES[0] <= int(text) <= SIDES[1]:
        return int(text)
    raise RecipeError(f"data.source: expected pixels a side, {SIDES[0]} to {SIDES[1]}, after the colon, got {text!r}")


def rotated_digits(split: Literal["train", "test"]) -> ArraySource:
    """The same split, each digit turned by a fixed random angle: (16, 16, 1), "target" and "label".

    "target" is the angle in degrees, uniform in [-90, 90], positive counter-clockwise.
    """
    images, labels = load_digits()
    degrees = generator(_ANGLE_SEED).uniform(-90, 90, len(images)).astype(np.float32)
    rows = rows_of(labels, split)
    turned = np.stack([enlarge_and_rotate(images[row], float(degrees[row])) for row in rows])
    arrays = {"image": turned[..., None], "target": degrees[rows], "label": labels[rows]}
    return ArraySource("rotated_digits", arrays, facts=Facts(NAMES, "degrees"))


def enlarge_and_rotate(
    image: UInt8[np.ndarray, "side side"] | Float[np.ndarray, "side side"], degrees: float, size: int = ROTATED_SIZE
) -> UInt8[np.ndarray, "size size"]:
    """Turns a square image counter-clockwise on a larger black canvas, with one cubic interpolation.

    The image is scaled so that its diagonal is the canvas's side: no corner is cut off at any angle.
    """
    from scipy.ndimage import affine_transform

    radians = np.deg2rad(degrees)
    rotation = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])
    matrix = rotation * np.sqrt(2) * image.shape[0] / size  # canvas pixel -> image pixel
    framed = np.pad(image.astype(np.float32), 2)  # strokes at the border fade out instead of breaking off
    offset = (framed.shape[0] - 1) / 2 - matrix @ np.full(2, (size - 1) / 2)
    turned = affine_transform(framed, matrix, offset, output_shape=(size, size), order=3)
    return np.clip(np.rint(turned), 0, 255).astype(np.uint8)
