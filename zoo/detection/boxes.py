"""Boxes as (left, top, right, bottom) in pixels, of numpy or of jax: areas and overlaps.

Everingham et al., 2010, The Pascal Visual Object Classes Challenge, section 4.2; lecture rows L55-L60.
"""

import numpy as np
from jaxtyping import Array, Float


def area(boxes: Float[Array, "*n 4"]) -> Float[Array, "*n"]:
    """Square pixels; of a box that ends before it begins, zero.

    >>> import numpy as np
    >>> area(np.array([[0.0, 0.0, 3.0, 2.0], [3.0, 0.0, 0.0, 2.0]])).tolist()
    [6.0, 0.0]
    """
    sides = (boxes[..., 2:] - boxes[..., :2]).clip(min=0)
    return sides[..., 0] * sides[..., 1]


def iou(boxes: Float[Array, "*batch n 4"], others: Float[Array, "*batch m 4"]) -> Float[Array, "*batch n m"]:
    """Intersection over union of each box with each other one; zero where both are empty.

    >>> import numpy as np
    >>> iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]])).round(3).tolist()
    [[0.333, 0.0]]
    """
    one, other = boxes[..., :, None, :], others[..., None, :, :]
    left_top = one[..., :2].clip(min=other[..., :2])
    right_bottom = one[..., 2:].clip(max=other[..., 2:])
    sides = (right_bottom - left_top).clip(min=0)
    both = sides[..., 0] * sides[..., 1]
    either = area(one) + area(other) - both
    return both / (either + (either == 0))


def clipped(boxes: Float[Array, "*n 4"], height: float, width: float) -> Float[Array, "*n 4"]:
    """What of the boxes is in an image of this size.

    >>> import numpy as np
    >>> clipped(np.array([-1.0, 2.0, 9.0, 5.0]), height=4, width=8).tolist()
    [0.0, 2.0, 8.0, 4.0]
    """
    return boxes.clip(min=0, max=np.array((width, height, width, height), np.float32))
