"""A few positive and negative boxes of very many, drawn with a key.

Girshick, 2015, Fast R-CNN, section 2.3; as `BalancedPositiveNegativeSampler` of torchvision/models/detection/_utils.py.
Lecture rows L57, L59.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key


def sample(
    key: Key[Array, ""],
    positive: Bool[Array, "boxes"],
    negative: Bool[Array, "boxes"],
    count: int,
    positive_share: float,
) -> tuple[Int[Array, "count"], Bool[Array, "count"]]:
    """Draws at most `positive_share` of `count` positive boxes, and fills up with negative ones.

    Args:
      key: of the draw.
      positive: boxes that may be drawn as such.
      negative: the others that may be drawn.
      count: boxes in all, where there are so many.
      positive_share: of them, at most.

    Returns:
      The numbers of the boxes, positive ones first, and which of them are real: there may be fewer. What is not real
      has the number 0.

    >>> positive = jnp.array([True, True, True, False, False])
    >>> drawn, real = sample(jax.random.key(0), positive, ~positive, count=4, positive_share=0.25)
    >>> positive[drawn[real]].tolist(), real.tolist()
    ([True, False, False], [True, True, True, False])
    """
    positives = jnp.minimum(positive.sum(), int(count * positive_share))
    negatives = jnp.minimum(negative.sum(), count - positives)
    order = jax.random.uniform(key, positive.shape)
    first = _first(jnp.where(positive, order, jnp.inf), count)
    second = _first(jnp.where(negative, order, jnp.inf), count)
    places = jnp.arange(count)
    real = places < positives + negatives
    drawn = jnp.where(places < positives, first, second[jnp.maximum(places - positives, 0)])
    return jnp.where(real, drawn, 0), real


def _first(order: Array, count: int) -> Int[Array, "count"]:
    """The numbers of the smallest, of fewer values filled up."""
    found = jax.lax.top_k(-order, min(count, len(order)))[1]
    return jnp.pad(found, (0, count - len(found)))
