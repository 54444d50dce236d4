"""Digits on the sphere that need no download: scikit-learn's, projected around the north pole, or anywhere.

Cohen et al., 2018, Spherical CNNs, section 5.2, do so with MNIST. All is a function of a seed and the split.
Lecture row L79.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from train.config import RecipeError
from train.data.fields import Facts
from train.data.source import ArraySource, generator
from train.data.sources.digits import NAMES, load_digits, rows_of
from zoo.geometric.spherical_harmonics import directions

BANDWIDTH = 12
"""Images have twice as many pixels a side."""
HALF_SIDE = np.sqrt(0.5)
"""Of a digit in the plane of projection, where the equator has radius one: its corners lie there."""
ROTATED = "rotated"
_SEED = {"train": (19, 0), "test": (19, 1)}


def spherical_digits(split: Literal["train", "test"], how: str = "") -> ArraySource:
    """1437 training and 360 test digits as functions on the sphere, (24, 24, 1), with their labels.

    Pixels are samples as in `zoo.geometric.spherical_harmonics`: rows from the north pole down, columns by longitude.

    Args:
      split: which.
      how: empty, around the north pole; or "rotated", each turned once by a random rotation in three dimensions.

    Raises:
      RecipeError: it is neither.
    """
    if how not in ("", ROTATED):
        raise RecipeError(f"data.source: expected spherical_digits or spherical_digits:{ROTATED}, got {how!r} after it")
    images, labels = load_digits()
    rows, places = rows_of(labels, split), directions(BANDWIDTH)
    turns = np.broadcast_to(np.eye(3), (len(rows), 3, 3))
    if how:
        from scipy.spatial.transform import Rotation

        turns = Rotation.random(len(rows), generator(*_SEED[split])).as_matrix()
    found = [projected(images[row], places @ turn) for row, turn in zip(rows, turns, strict=True)]
    pixels = np.clip(np.rint(np.stack(found)), 0, 255).astype(np.uint8)
    arrays = {"image": pixels[..., None], "label": labels[rows]}
    return ArraySource("spherical_digits" + f":{how}" * bool(how), arrays, facts=Facts(NAMES))


def projected(
    image: UInt8[np.ndarray, "side side"], places: Float[np.ndarray, "*shape 3"]
) -> Float[np.ndarray, "*shape"]:
    """The value of an image at places on the sphere, by stereographic projection from the south pole.

    The image lies over the north pole, x to its right and y to its top; between pixels it is interpolated, by cubic
    splines, and beside it there is black.

    Args:
      image: square.
      places: x, y and z, of length one.
    """
    from scipy.ndimage import map_coordinates

    side, x, y, z = image.shape[0], *np.moveaxis(places, -1, 0)
    right, up = (part / np.maximum(1 + z, 1e-6) / HALF_SIDE for part in (x, y))
    framed = np.pad(image.astype(np.float64), 2)  # strokes at the border fade out instead of breaking off
    at = np.stack([(1 - up) * side / 2 + 1.5, (1 + right) * side / 2 + 1.5])
    found = map_coordinates(framed, np.clip(at, -10, side + 14), order=3)
    return np.where(z > -0.5, found, 0.0)  # all that is framed is north of there
