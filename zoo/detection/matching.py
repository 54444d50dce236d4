"""Which object each anchor or proposal is to find: the one that it overlaps most, if by enough.

Girshick, 2015, Fast R-CNN, section 2.3; Ren et al., 2015, Faster R-CNN, section 3.1.2; as in
torchvision/models/detection/_utils.py (`Matcher`). Lecture rows L57, L59.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from zoo.detection.boxes import iou


class Matches(NamedTuple):
    """What boxes have to find."""

    objects: Int[Array, "boxes"]
    """The number of the object that each overlaps most; 0 where there is none."""
    overlaps: Float[Array, "boxes"]
    """By how much: intersection over union."""
    positive: Bool[Array, "boxes"]
    """Those that are to find it."""
    negative: Bool[Array, "boxes"]
    """Those that are to find nothing. What is neither does not count."""


def match(
    boxes: Float[Array, "boxes 4"],
    objects: Float[Array, "objects 4"],
    valid: Bool[Array, "objects"],
    above: float,
    below: float,
    low_quality: bool = False,
) -> Matches:
    """Compares the boxes of one image with its objects.

    Args:
      boxes: anchors or proposals: left, top, right, bottom in pixels.
      objects: the objects' boxes.
      valid: which objects are real.
      above: positive are overlaps of at least this.
      below: negative are overlaps of less than this.
      low_quality: whether of each object the boxes that overlap it most (all, of equal ones) are positive too, however
        little that is.

    >>> boxes = jnp.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 8.0], [9.0, 9.0, 10.0, 10.0]])
    >>> found = match(boxes, boxes[:1], jnp.array([True]), above=0.7, below=0.3)
    >>> found.positive.tolist(), found.negative.tolist()
    ([True, False, False], [False, False, True])
    """
    if not objects.shape[0]:  # no image of the batch has room for one
        none = jnp.zeros(len(boxes), bool)
        return Matches(jnp.zeros(len(boxes), jnp.int32), jnp.zeros(len(boxes)), none, ~none)
    overlaps = jnp.where(valid, jax.lax.stop_gradient(iou(boxes, objects)), -1.0)
    best, most = overlaps.argmax(axis=1).astype(jnp.int32), overlaps.max(axis=1)
    positive, negative = most >= above, most < below
    if low_quality:
        # Not of an object that no box overlaps: torchvision then takes all boxes for its best.
        is_best = ((overlaps == overlaps.max(axis=0)) & (overlaps > 0)).any(axis=1)
        positive, negative = positive | is_best, negative & ~is_best
    return Matches(best, jnp.maximum(most, 0.0), positive, negative)
