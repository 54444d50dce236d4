"""Keeps what surrounds an image on its canvas out of what is computed of it.

A convolution near the border of an image sees zeros beyond it, and must see zeros too where the image lies on a larger
canvas: there biases and normalisations would fill the surroundings. So they are set to zero again after each layer, and
what a network says of an image does not depend on the canvas. torchvision lets the surroundings in, and differs near
the border where an image is padded.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from zoo.convnets.squeeze_excite import SqueezeExcite
from zoo.nn import BatchNorm
from zoo.nn.conv import Conv

KNOWN = (Conv, BatchNorm, nn.GroupNorm, SqueezeExcite)
"""Layers that see more than one place of a map, or make something of zero."""


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


def to_whole_strides(
    images: Float[Array, "batch height width channels"], stride: int = 32
) -> Float[Array, "batch _ _ channels"]:
    """The images with zeros on the right and at the bottom, so that a network of this stride divides both sides.

    Else its maps would have places of no whole stride, and anchors would not stand where the places are.

    >>> to_whole_strides(jnp.ones((1, 40, 64, 3))).shape
    (1, 64, 64, 3)
    """
    rows, columns = (-side % stride for side in images.shape[1:3])
    return jnp.pad(images, ((0, 0), (0, rows), (0, columns), (0, 0))) if rows or columns else images


def within(
    images: Float[Array, "batch height width channels"], sizes: Float[Array, "batch 2"] | None
) -> Float[Array, "batch height width channels"]:
    """The images with zeros outside their true heights and widths, whatever was there; without sizes as they are."""
    if sizes is None:
        return images
    return jnp.where(inside(sizes, images.shape[1:3], images.shape[1:3])[..., None], images, 0)


def kept_inside(sizes: Float[Array, "batch 2"] | None, canvas: tuple[int, int]) -> AbstractContextManager:
    """While it is open, what convolutions and normalisations give is zero outside the images.

    Around the calls of what sees whole canvases: a backbone, a pyramid, a head over its maps. It is exact for networks
    that pool after a ReLU, below which nothing is less than zero. Statistics are of what is inside.

    Args:
      sizes: true heights and widths in pixels; without them nothing changes.
      canvas: height and width in pixels.
    """
    if sizes is None:
        return nullcontext()

    def keep(call: Callable, arguments: tuple, options: Mapping[str, Any], context: Any) -> Any:
        known = isinstance(context.module, KNOWN) and context.method_name == "__call__"
        if not known or arguments[0].ndim != 4:
            return call(*arguments, **options)
        x, *rest = arguments
        mask = inside(sizes, x.shape[1:3], canvas)
        if isinstance(context.module, Conv):
            x = jnp.where(mask[..., None], x, 0)  # a pooling lets the last row of an image into the first one outside
        else:
            group = isinstance(context.module, nn.GroupNorm)
            options = {**options, "mask": jnp.broadcast_to(mask[..., None], x.shape) if group else mask}
        found = call(x, *rest, **options)
        return jnp.where(inside(sizes, found.shape[1:3], canvas)[..., None], found, 0)

    return nn.intercept_methods(keep)


def places_inside(
    sizes: Float[Array, "batch 2"] | None,
    maps: Sequence[Float[Array, "batch _ _ channels"]],
    canvas: tuple[int, int],
    each: int = 1,
) -> list[Bool[Array, "batch n"]]:
    """Of each map which anchors belong to the images, place by place; without sizes all.

    Args:
      sizes: true heights and widths in pixels.
      maps: of a pyramid.
      canvas: height and width in pixels.
      each: anchors of a place.
    """
    found = []
    for x in maps:
        places = jnp.ones(x.shape[:3], bool) if sizes is None else inside(sizes, x.shape[1:3], canvas)
        found.append(jnp.repeat(places.reshape(len(x), -1), each, axis=1))
    return found
