"""Retrieval and zero-shot classification: what is nearest on the sphere, and how good the order is. Lecture row L83.

Manning, Raghavan and Schütze, 2008, Introduction to Information Retrieval, section 8.4, for the measures.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from zoo.hyperspheres.losses import cosines
from zoo.names import unknown

METRICS = ("cosine", "euclidean")


def rank(
    queries: Float[Array, "queries dims"],
    gallery: Float[Array, "gallery dims"],
    k: int | None = None,
    metric: str = "cosine",
) -> tuple[Int[Array, "queries k"], Float[Array, "queries k"]]:
    """The gallery's indices for each query, best first, and their scores; of equal scores the lower index is first.

    Args:
      queries: embeddings of any length.
      gallery: embeddings of any length.
      k: how many to give; the whole gallery where None.
      metric: "cosine", or "euclidean" where the score is minus the distance. A vector of zeros has cosine 0.

    Raises:
      UnknownNameError: there is no such metric.
      ValueError: k is not between 1 and the size of the gallery.
    """
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    k = len(gallery) if k is None else k
    if not 1 <= k <= len(gallery):
        raise ValueError(f"k: expected 1 to {len(gallery)}, the size of the gallery, got {k}")
    queries, gallery = jnp.asarray(queries), jnp.asarray(gallery)
    if metric == "cosine":
        scores = cosines(queries, _unit(gallery))
    else:
        # One query at a time: the differences of all at once would not fit, and squares cancel.
        scores = jax.lax.map(lambda query: -jnp.linalg.norm(query - gallery, axis=-1), queries)
    scores, indices = jax.lax.top_k(scores, k)
    return indices, scores


def average_precision(relevant_in_order: Bool[Array, "*queries gallery"]) -> Float[Array, "*queries"]:
    """The mean, over what is relevant, of the precision at its place in the order; 0 where nothing is relevant."""
    relevant = jnp.asarray(relevant_in_order, jnp.float32)
    places = jnp.arange(1, relevant.shape[-1] + 1)
    precision = relevant.cumsum(-1) / places
    return (precision * relevant).sum(-1) / jnp.maximum(relevant.sum(-1), 1)


def mean_average_precision(
    queries: Float[Array, "queries dims"],
    gallery: Float[Array, "gallery dims"],
    query_labels: Int[Array, "queries"],
    gallery_labels: Int[Array, "gallery"],
    metric: str = "cosine",
) -> float:
    """The mean average precision where the gallery's examples with the query's label are relevant.

    Queries with no relevant example in the gallery do not count. A query that is in the gallery finds itself.

    Raises:
      UnknownNameError: there is no such metric.
      ValueError: no query has a relevant example.
    """
    indices, _ = rank(queries, gallery, metric=metric)
    relevant = np.asarray(gallery_labels)[np.asarray(indices)] == np.asarray(query_labels)[:, None]
    counted = relevant.any(axis=1)
    if not counted.any():
        raise ValueError(f"none of the {len(relevant)} queries has its label in the gallery")
    return float(np.asarray(average_precision(relevant))[counted].mean())


def precision_at(relevant_in_order: Bool[Array, "*queries gallery"], k: int) -> Float[Array, "*queries"]:
    """The share of the first k that is relevant.

    Raises:
      ValueError: k is not between 1 and the size of the gallery.
    """
    return _found(relevant_in_order, k) / k


def recall_at(relevant_in_order: Bool[Array, "*queries gallery"], k: int) -> Float[Array, "*queries"]:
    """The share of what is relevant that is among the first k; 0 where nothing is relevant.

    Metric learning calls Recall@k whether anything relevant is among them: that is `recall_at(...) > 0`.

    Raises:
      ValueError: k is not between 1 and the size of the gallery.
    """
    return _found(relevant_in_order, k) / jnp.maximum(jnp.asarray(relevant_in_order).sum(-1), 1)


def nearest_prototype(
    outputs: Float[Array, "batch dims"],
    prototypes: Float[Array, "classes dims"],
    allowed: Sequence[int] | None = None,
    k: int = 1,
) -> Int[Array, "batch k"]:
    """The k classes whose prototypes have the largest cosine with each output, best first.

    Args:
      outputs: of a network.
      prototypes: of all classes, seen and unseen.
      allowed: the classes that may be answered: for zero-shot recognition, those never trained on. All where None.
      k: how many classes.

    Raises:
      ValueError: a class that is not there or is given twice, or k is not between 1 and the number of allowed classes.
    """
    allowed = np.arange(len(prototypes)) if allowed is None else np.asarray(allowed, int)
    if len(np.unique(allowed)) != len(allowed) or not np.isin(allowed, np.arange(len(prototypes))).all():
        raise ValueError(f"allowed: expected different classes of 0 to {len(prototypes) - 1}, got {allowed.tolist()}")
    if not 1 <= k <= len(allowed):
        raise ValueError(f"k: expected 1 to {len(allowed)}, the number of allowed classes, got {k}")
    indices, _ = rank(outputs, jnp.asarray(prototypes)[allowed], k)
    return jnp.asarray(allowed)[indices]


def _found(relevant_in_order: Array, k: int) -> Array:
    relevant = jnp.asarray(relevant_in_order)
    if not 1 <= k <= relevant.shape[-1]:
        raise ValueError(f"k: expected 1 to {relevant.shape[-1]}, the size of the gallery, got {k}")
    return relevant[..., :k].sum(-1)


def _unit(vectors: Array) -> Array:
    lengths = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / jnp.where(lengths > 0, lengths, 1.0)
