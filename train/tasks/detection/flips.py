"""Detections of an image and of its mirror image together.

As in He, Gkioxari, Dollár and Girshick, 2017, Mask R-CNN, appendix A ("test-time augmentation"), with horizontal flips
alone; what is found twice is told apart by suppression in each class.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from train.data.augment.geometry import Mirror, flip
from zoo.detection import batched_nms
from zoo.detection.boxes import flipped
from zoo.detection.contract import Detections, sizes_of

OVERLAP = 0.5
"""Of two boxes of a class that overlap by more, the less sure one is dropped."""


def both_ways(
    found_in: Callable[..., Detections], inputs: tuple[Any, ...], pairs: Sequence[tuple[int, int]] = ()
) -> Detections:
    """What is found in images and in their mirror images: one program, which runs twice.

    Args:
      found_in: the detector.
      inputs: what it is given: the images, proposals if it takes them, and sizes, which may be None.
      pairs: keypoints that change places, such as left and right eye.
    """
    images, *proposals, sizes = inputs
    widths = sizes_of(images, sizes)[:, 1]
    mirrored = (mirrored_images(images, sizes), *(mirrored_boxes(each, widths) for each in proposals), sizes)
    ways = jax.tree.map(lambda *each: jnp.stack(each), inputs, mirrored)
    found = jax.lax.map(lambda each: found_in(*each), ways)
    as_is, other = (jax.tree.map(lambda value, way=way: value[way], found) for way in (0, 1))
    return together(as_is, mirrored_detections(other, widths, pairs))


def mirrored_images(
    images: Float[Array, "batch height width channels"], sizes: Float[Array, "batch 2"] | None
) -> Float[Array, "batch height width channels"]:
    """Left and right exchanged; what surrounds an image on its canvas stays at the right.

    Args:
      images: of the canvas's size.
      sizes: true heights and widths in pixels; without them the images fill the canvas.
    """
    every = jnp.ones(len(images), bool)
    return flip(images, Mirror(every, None if sizes is None else sizes[:, 1].astype(jnp.int32)))


def mirrored_boxes(boxes: Float[Array, "batch n 4"], widths: Float[Array, "batch"]) -> Float[Array, "batch n 4"]:
    """Boxes in images of these widths in pixels, left and right exchanged."""
    return jax.vmap(flipped)(boxes, widths)


def mirrored_detections(
    found: Detections, widths: Float[Array, "batch"], pairs: Sequence[tuple[int, int]] = ()
) -> Detections:
    """What was found in mirror images, where it is in the images.

    Args:
      found: boxes and keypoints in pixels.
      widths: of the images in pixels.
      pairs: keypoints that change places, such as left and right eye.
    """
    points = found.keypoints
    if points is not None:
        order = np.arange(points.shape[2])
        for left, right in pairs:
            order[[left, right]] = right, left
        points = points.at[..., 0].set(widths[:, None, None] - points[..., 0])[:, :, order]
    return found._replace(
        boxes=mirrored_boxes(found.boxes, widths),
        masks=None if found.masks is None else found.masks[..., ::-1],
        keypoints=points,
    )


def together(found: Detections, other: Detections) -> Detections:
    """The best of both, as many an image as one of them has; of what is found twice the surer one."""
    most = found.boxes.shape[1]
    both = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), found, other)

    def of_image(each: Detections) -> Detections:
        kept, is_real = batched_nms(each.boxes, each.scores, each.labels, OVERLAP, most, each.valid)

        def chosen(value: Any) -> Array:
            return jnp.where(is_real.reshape(-1, *[1] * (value.ndim - 1)), value[kept], jnp.zeros((), value.dtype))

        return jax.tree.map(chosen, each)

    return jax.vmap(of_image)(both)
