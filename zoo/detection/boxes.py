"""Boxes as (left, top, right, bottom) in pixels, of numpy or of jax: areas, overlaps, and what happens to an image.

Everingham et al., 2010, The PASCAL Visual Object Classes Challenge, section 4.2 (overlap); Rezatofighi et al., 2019,
Generalized Intersection over Union. Rows L55, L60.

A box that ends before it begins, and one with a side that is not a number, is empty: its area is zero and it overlaps
with nothing.
"""

from types import ModuleType

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def area(boxes: Float[Array, "*n 4"]) -> Float[Array, "*n"]:
    """Square pixels; of a box that ends before it begins, zero.

    >>> import numpy as np
    >>> area(np.array([[0.0, 0.0, 3.0, 2.0], [3.0, 0.0, 0.0, 2.0]])).tolist()
    [6.0, 0.0]
    """
    return _product(boxes[..., 2:] - boxes[..., :2])


def iou(boxes: Float[Array, "*batch n 4"], others: Float[Array, "*batch m 4"]) -> Float[Array, "*batch n m"]:
    """Intersection over union of each box with each other one; zero where both are empty.

    Rounded as by torchvision's kernels, on every platform.

    >>> import numpy as np
    >>> iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]])).round(3).tolist()
    [[0.333, 0.0]]
    """
    return _quotient(*_both_and_either(boxes[..., :, None, :], others[..., None, :, :]))


def generalized_iou(
    boxes: Float[Array, "*batch n 4"], others: Float[Array, "*batch m 4"]
) -> Float[Array, "*batch n m"]:
    """Intersection over union, less the share of the smallest box around both that neither covers: from -1 to 1.

    Rezatofighi et al., 2019, Algorithm 1.

    >>> import numpy as np
    >>> boxes = np.array([[0.0, 0.0, 1.0, 1.0], [3.0, 0.0, 4.0, 1.0]])
    >>> generalized_iou(boxes[:1], boxes).tolist()
    [[1.0, -0.5]]
    """
    return generalized_iou_of_pairs(boxes[..., :, None, :], others[..., None, :, :])


def generalized_iou_of_pairs(boxes: Float[Array, "*n 4"], others: Float[Array, "*n 4"]) -> Float[Array, "*n"]:
    """`generalized_iou` of each box with the one at its own place, as a loss wants it; leading axes broadcast.

    >>> import numpy as np
    >>> box = np.array([0.0, 0.0, 1.0, 1.0])
    >>> float(generalized_iou_of_pairs(box, box + 1))
    -0.5
    """
    xp = _library(boxes, others)
    both, either = _both_and_either(boxes, others)
    left_top = xp.minimum(boxes[..., :2], others[..., :2])
    right_bottom = xp.maximum(boxes[..., 2:], others[..., 2:])
    around = _product(right_bottom - left_top)
    return _quotient(both, either) - _quotient(around - either, around)


def clipped(boxes: Float[Array, "*n 4"], height: float, width: float) -> Float[Array, "*n 4"]:
    """What of the boxes is in an image of this size.

    >>> import numpy as np
    >>> clipped(np.array([-1.0, 2.0, 9.0, 5.0]), height=4, width=8).tolist()
    [0.0, 2.0, 8.0, 4.0]
    """
    xp = _library(boxes, height, width)
    most = xp.stack([xp.asarray(side, boxes.dtype) for side in (width, height, width, height)], axis=-1)
    return boxes.clip(0, most)


def flipped(boxes: Float[Array, "*n 4"], width: float) -> Float[Array, "*n 4"]:
    """The boxes in the image's mirror image, left and right exchanged.

    >>> import numpy as np
    >>> flipped(np.array([1.0, 2.0, 3.0, 5.0]), width=10).tolist()
    [7.0, 2.0, 9.0, 5.0]
    """
    left, top, right, bottom = (boxes[..., i] for i in range(4))
    return _library(boxes, width).stack([width - right, top, width - left, bottom], axis=-1)


def rescaled(boxes: Float[Array, "*n 4"], by_height: float, by_width: float) -> Float[Array, "*n 4"]:
    """The boxes in an image that is resized by these factors.

    >>> import numpy as np
    >>> rescaled(np.array([1.0, 2.0, 3.0, 5.0]), by_height=2, by_width=0.5).tolist()
    [0.5, 4.0, 1.5, 10.0]
    """
    xp = _library(boxes, by_height, by_width)
    factors = xp.stack([xp.asarray(by, boxes.dtype) for by in (by_width, by_height, by_width, by_height)], axis=-1)
    return boxes * factors


def at_least(boxes: Float[Array, "*n 4"], side: float) -> Bool[Array, "*n"]:
    """Which boxes have both sides no shorter than this, in pixels; torchvision's `remove_small_boxes` as a mask.

    >>> import numpy as np
    >>> at_least(np.array([[0.0, 0.0, 3.0, 2.0], [0.0, 0.0, 3.0, 0.5]]), 1).tolist()
    [True, False]
    """
    return (boxes[..., 2:] - boxes[..., :2] >= side).all(axis=-1)


def _library(*arrays: object) -> ModuleType:
    """numpy where nothing is of jax."""
    return np if all(isinstance(array, np.ndarray | np.generic | float | int) for array in arrays) else jnp


def _both_and_either(one: Array, other: Array) -> tuple[Array, Array]:
    """The areas of intersection and union of pairs of boxes."""
    xp = _library(one, other)
    left_top = xp.maximum(one[..., :2], other[..., :2])
    right_bottom = xp.minimum(one[..., 2:], other[..., 2:])
    both = _product(right_bottom - left_top)
    return both, area(one) + area(other) - both


def _product(sides: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
    """The area of what has these sides.

    The choice comes after the product: a compiler could merge the product and a sum that follows into one operation,
    which rounds once and not twice, and overlaps at a threshold would fall on either side of it.
    """
    xp = _library(sides)
    sides = xp.where(sides > 0, sides, 0)
    return xp.where((sides > 0).all(axis=-1), sides[..., 0] * sides[..., 1], 0)


def _quotient(part: Array, whole: Array) -> Array:
    """Zero where there is no whole, without slopes that are not numbers; sides may be infinite."""
    xp = _library(part, whole)
    is_real = (whole > 0) & (whole < np.inf)
    return xp.where(is_real, part, 0) / xp.where(is_real, whole, 1)
