"""Prototypical networks: a class is the mean of its examples, so that prototypes move as the network learns. L89.

Snell, Swersky and Zemel, 2017, Prototypical Networks for Few-shot Learning. A baseline of hyperspherical prototypes,
which stay where they were put.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from zoo.hyperspheres.losses import cosine
from zoo.names import unknown

MASKED = -1e9
"""The logit of a class that has no mean: as good as no chance, yet finite."""


def class_means(
    embeddings: Float[Array, "batch dims"], labels: Int[Array, "batch"], classes: int
) -> tuple[Float[Array, "classes dims"], Bool[Array, "classes"]]:
    """The mean embedding of each class (Snell et al., equation 1), 0 where it has no example, and where it has one."""
    sums, counts = _sums(embeddings, labels, classes)
    return sums / jnp.maximum(counts, 1)[:, None], counts > 0


def prototypical_logits(
    queries: Float[Array, "batch dims"],
    means: Float[Array, "classes dims"],
    metric: str = "euclidean",
    present: Bool[Array, "classes"] | None = None,
) -> Float[Array, "batch classes"]:
    """Minus the squared distance of each query to each class mean (Snell et al., equation 2), or their cosine.

    Args:
      queries: embeddings of examples to be classified.
      means: of the classes.
      metric: "euclidean" or "cosine".
      present: the classes that have a mean, as `class_means` tells; the logit of others is MASKED.

    Raises:
      UnknownNameError: there is no such metric.
    """
    logits = _metric(metric)(queries[:, None], means)
    return logits if present is None else jnp.where(present, logits, MASKED)


def leave_one_out_logits(
    embeddings: Float[Array, "batch dims"], labels: Int[Array, "batch"], classes: int, metric: str = "euclidean"
) -> tuple[Float[Array, "batch classes"], Bool[Array, "batch"]]:
    """Logits of each example for the class means of the other examples, so that any batch serves as an episode.

    The logit of a class without any other example is MASKED. The second result says which examples have another one of
    their own class in the batch; the rest cannot be classified, and are to be left out of the loss.

    Raises:
      UnknownNameError: there is no such metric.
    """
    distance = _metric(metric)
    labels = jnp.asarray(labels)
    sums, counts = _sums(embeddings, labels, classes)
    own = jax.nn.one_hot(labels, classes, dtype=bool)
    means = sums / jnp.maximum(counts, 1)[:, None]
    others = counts[labels] - 1
    own_mean = (sums[labels] - embeddings) / jnp.maximum(others, 1)[:, None]
    logits = jnp.where(own, distance(embeddings, own_mean)[:, None], distance(embeddings[:, None], means))
    has_mean = jnp.where(own, others[:, None] > 0, counts > 0)
    return jnp.where(has_mean, logits, MASKED), others > 0


def moving_means(
    old: Float[Array, "classes dims"],
    embeddings: Float[Array, "batch dims"],
    labels: Int[Array, "batch"],
    decay: float = 0.9,
) -> Float[Array, "classes dims"]:
    """decay old + (1 - decay) mean for the classes of the batch; the others stay.

    Raises:
      ValueError: the decay is not in [0, 1].
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"decay: expected 0 to 1, got {decay}")
    means, present = class_means(embeddings, labels, old.shape[0])
    return jnp.where(present[:, None], decay * old + (1 - decay) * means, old)


def _sums(embeddings: Array, labels: Array, classes: int) -> tuple[Array, Array]:
    ones = jnp.ones(len(labels), embeddings.dtype)
    return jax.ops.segment_sum(embeddings, labels, classes), jax.ops.segment_sum(ones, labels, classes)


def _minus_squared_distance(queries: Array, means: Array) -> Array:
    return -((queries - means) ** 2).sum(-1)


def _cosine(queries: Array, means: Array) -> Array:
    # A mean has any length, and that of no examples none.
    squared = (means**2).sum(-1, keepdims=True)
    return cosine(queries, means / jnp.sqrt(jnp.where(squared > 0, squared, 1.0)))


def _metric(name: str):
    metrics = {"euclidean": _minus_squared_distance, "cosine": _cosine}
    if name not in metrics:
        raise unknown("metric", name, metrics)
    return metrics[name]
