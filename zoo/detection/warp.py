"""Regions of an image as images of one size, as R-CNN shows them to a network.

Girshick, Donahue, Darrell and Malik, 2014, Rich Feature Hierarchies for Accurate Object Detection and Semantic
Segmentation, section 2.1 and appendix A; lecture row L55.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.detection.boxes import area


def with_context(boxes: Float[Array, "*n 4"], side: int, context: float) -> Float[Array, "*n 4"]:
    """The boxes dilated so that, warped to `side` pixels, each has `context` pixels around it.

    >>> with_context(jnp.array([10.0, 10.0, 20.0, 30.0]), side=8, context=2).tolist()
    [5.0, 0.0, 25.0, 40.0]
    """
    if 2 * context >= side:
        raise ValueError(f"expected less context than half of {side} pixels, got {context}")
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    halves = (boxes[..., 2:] - boxes[..., :2]) / 2 * (side / (side - 2 * context))
    return jnp.concatenate([centres - halves, centres + halves], axis=-1)


def warped(
    images: Float[Array, "batch height width channels"], boxes: Float[Array, "batch n 4"], side: int
) -> Float[Array, "batch n side side channels"]:
    """What is in the boxes, stretched to squares by bilinear interpolation; zero where they reach out of the image.

    Zero is the mean of normalised images. Empty boxes give zeros.

    Args:
      images: normalised.
      boxes: left, top, right, bottom in pixels.
      side: of the squares, in pixels.
    """
    images, boxes = jnp.asarray(images), jnp.asarray(boxes)
    places = (jnp.arange(side) + 0.5) / side
    at = boxes[..., None, :2] + places[:, None] * (boxes[..., None, 2:] - boxes[..., None, :2])  # (batch, n, side, 2)
    size = jnp.array((images.shape[2], images.shape[1]))
    inside = (at >= 0) & (at <= size) & (area(boxes) > 0)[..., None, None]
    centred = jnp.clip(at - 0.5, 0, size - 1)
    first = jnp.floor(centred).astype(jnp.int32)
    second = jnp.minimum(first + 1, size - 1)
    share = jnp.where(inside, centred - first, 0)
    keep = inside.astype(images.dtype)

    batch = jnp.arange(len(images))[:, None, None, None]

    def corner(rows: Array, columns: Array) -> Array:
        return images[batch, rows[..., 1][..., :, None], columns[..., 0][..., None, :]]

    across = share[..., 0][..., None, :, None].astype(images.dtype)
    down = share[..., 1][..., :, None, None].astype(images.dtype)
    above = corner(first, first) * (1 - across) + corner(first, second) * across
    below = corner(second, first) * (1 - across) + corner(second, second) * across
    mask = keep[..., 1][..., :, None, None] * keep[..., 0][..., None, :, None]
    return (above * (1 - down) + below * down) * mask
