"""Keeps what surrounds an image on its canvas out of what is computed of it.

A convolution near the border of an image sees zeros beyond it, and must see zeros too where the image lies on a larger
canvas: there biases and normalisations would fill the surroundings. So they are set to zero again after each layer, and
what a network says of an image does not depend on the canvas. torchvision lets the surroundings in, and differs near
the border where an image is padded.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from zoo.nn import BatchNorm
from zoo.nn.conv import Conv


def inside(
    sizes: Float[Array, "batch 2"], places: tuple[int, int], canvas: tuple[int, int]
) -> Bool[Array, "batch rows columns"]:
    """Which places of a map belong to the images: those that it would have without a canvas.

    Args:
      sizes: true heights and widths in pixels.
      places: rows and columns of the map.
      canvas: height and width in pixels.

    >>> inside(jnp.array([[5.0, 16.0]]), places=(4, 2), canvas=(16, 16))[0].astype(int).tolist()
    [[1, 1], [1, 1], [0, 0], [0, 0]]
    """
    rows, columns = (
        jnp.arange(count) < jnp.ceil(sizes[:, axis, None] * (count / side))
        for axis, (count, side) in enumerate(zip(places, canvas, strict=True))
    )
    return rows[:, :, None] & columns[:, None, :]


def kept_inside(sizes: Float[Array, "batch 2"], canvas: tuple[int, int]) -> AbstractContextManager:
    """While it is open, what convolutions and batch normalisations give is zero outside the images.

    Around the calls of what sees whole canvases: a backbone, a pyramid, a head over its maps. It is exact for networks
    that pool after a ReLU, below which nothing is less than zero.

    Args:
      sizes: true heights and widths in pixels.
      canvas: height and width in pixels.
    """

    def keep(call: Callable, arguments: tuple, options: Mapping[str, Any], context: Any) -> Any:
        found = call(*arguments, **options)
        if not isinstance(context.module, Conv | BatchNorm) or context.method_name != "__call__" or found.ndim != 4:
            return found
        return jnp.where(inside(sizes, found.shape[1:3], canvas)[..., None], found, 0)

    return nn.intercept_methods(keep)
