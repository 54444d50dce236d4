"""How far predicted maps are off, image by image, in numpy: for pages. The task's own sums are those of `zoo.dense`."""

import numpy as np
from jaxtyping import Float

from zoo.dense.intrinsic import WINDOW

Maps = Float[np.ndarray, "batch height width channels"]
Sums = tuple[Float[np.ndarray, "batch"], Float[np.ndarray, "batch"]]


def error_of(name: str, predicted: Maps, true: Maps) -> Sums:
    """The error of each image of a batch as a sum and its weight, zero where nothing is known.

    Args:
      name: "depth", whose relative error it is, "normals", the angle in degrees, or a map with a local error (LMSE).
      predicted: the maps.
      true: where it is unknown a pixel counts nowhere.
    """
    predicted, true = predicted.astype(np.float64), true.astype(np.float64)
    known = np.isfinite(true).all(axis=-1)
    match name:
        case "depth":
            known &= true[..., 0] > 0
            off = np.abs(predicted - true)[..., 0] / np.where(known, true[..., 0], 1)
        case "normals":
            off = degrees_between(predicted, true)
        case _:
            return local_error(np.where(known[..., None], predicted, 0), np.where(known[..., None], true, 0))
    return np.sum(np.where(known, off, 0), axis=(1, 2)), known.sum(axis=(1, 2)).astype(np.float64)


def degrees_between(one: Maps, other: Maps) -> Float[np.ndarray, "batch height width"]:
    """The angle between directions."""
    across = np.linalg.norm(np.cross(one, other), axis=-1)
    return np.degrees(np.arctan2(across, np.sum(one * other, axis=-1)))


def local_error(predicted: Maps, true: Maps, window: int = WINDOW) -> Sums:
    """The local error of each image, and whether it has one, which a black image has not: Grosse et al., 2009."""
    shape = tuple(min(window, side) for side in true.shape[1:3])

    def summed(values: Maps) -> Float[np.ndarray, "batch rows columns"]:
        windows = np.lib.stride_tricks.sliding_window_view(values.sum(axis=-1), shape, axis=(1, 2))
        down, right = (max(side // 2, 1) for side in shape)
        return windows[:, ::down, ::right].sum(axis=(-1, -2))

    xx, xy, yy = summed(predicted**2), summed(predicted * true), summed(true**2)
    errors = np.maximum(yy - xy**2 / np.where(xx > 0, xx, 1), 0).sum(axis=(1, 2))
    squares = yy.sum(axis=(1, 2))
    return errors / np.where(squares > 0, squares, 1), (squares > 0).astype(np.float64)
