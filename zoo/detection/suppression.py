"""Non-maximum suppression with static shapes: of boxes that overlap, the best one stays.

Felzenszwalb et al., 2010, Object Detection with Discriminatively Trained Part-Based Models, section 6.2. Row L60.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from zoo.detection.boxes import iou


def suppress(
    boxes: Float[Array, "n 4"], scores: Float[Array, "n"], threshold: float, most: int, least: float = -jnp.inf
) -> tuple[Int[Array, "most"], Bool[Array, "most"]]:
    """Takes the best box, drops those that overlap with it, takes the best of the rest, and so on.

    Args:
      boxes: left, top, right, bottom, in pixels.
      scores: higher is better; of equal ones the first is taken.
      threshold: boxes are dropped whose intersection over union with a taken one is above it.
      most: how many boxes are taken.
      least: boxes of no higher score are never taken.

    Returns:
      The numbers of the boxes that stay, the best first, and which of them are real: there may be fewer.

    >>> boxes = jnp.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 5.0], [8.0, 8.0, 9.0, 9.0]])
    >>> kept, real = suppress(boxes, jnp.array([0.8, 0.9, 0.7]), threshold=0.5, most=3)
    >>> kept[real].tolist()
    [1, 2]
    """
    overlapping = iou(boxes, boxes) > threshold
    places = jnp.arange(len(scores))

    def take(remaining: Float[Array, "n"], _: None) -> tuple[Float[Array, "n"], tuple[Int[Array, ""], Bool[Array, ""]]]:
        best = jnp.argmax(remaining)
        is_real = remaining[best] > least
        return jnp.where(overlapping[best] | (places == best), -jnp.inf, remaining), (best, is_real)

    return jax.lax.scan(take, scores, None, length=most)[1]
