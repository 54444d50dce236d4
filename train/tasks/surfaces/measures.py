"""How far predicted maps are off, image by image, for pages: the errors of `zoo.dense`, of one image at a time."""

import functools

import jax
import numpy as np
from jaxtyping import Array, Float

from zoo.dense.depth import depth_sums
from zoo.dense.intrinsic import local_error
from zoo.dense.normals import angle_sums, angles

Maps = Float[np.ndarray, "batch height width channels"]
Sums = tuple[Float[np.ndarray, "batch"], Float[np.ndarray, "batch"]]


def error_of(name: str, predicted: Maps, true: Maps) -> Sums:
    """The error of each image of a batch as a sum and its weight, zero where nothing is known.

    Args:
      name: "depth", whose relative error it is, "normals", the angle in degrees, or a map with a local error (LMSE).
      predicted: the maps.
      true: where it is unknown a pixel counts nowhere.
    """
    found = [_sums(name, *pair) for pair in _one_by_one(predicted, true)]
    totals, weights = np.array(jax.device_get(found), np.float64).reshape(-1, 2).T
    return totals, weights


def degrees_between(predicted: Maps, true: Maps) -> Float[np.ndarray, "batch height width"]:
    """The angle between directions, nan where one is unknown."""
    return np.concatenate([_angles(*pair) for pair in _one_by_one(predicted, true)])


def _one_by_one(predicted: Maps, true: Maps) -> list[tuple[Maps, Maps]]:
    """Batches of one: a program then serves batches of any size."""
    return [(predicted[row : row + 1], true[row : row + 1]) for row in range(len(true))]


@functools.partial(jax.jit, static_argnames="name")
def _sums(
    name: str, predicted: Float[Array, "1 height width _"], true: Float[Array, "1 height width _"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    match name:
        case "depth":
            sums = depth_sums(predicted[..., 0], true[..., 0])
            return sums["absolute"], sums["count"]
        case "normals":
            sums = angle_sums(predicted, true)
            return sums["angle"], sums["count"]
    return local_error(predicted, true)


_angles = jax.jit(angles)
