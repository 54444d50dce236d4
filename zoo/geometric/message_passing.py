"""Message passing: what travels along the edges of a graph, and how each node takes in what arrives.

Gilmer et al., 2017, Neural Message Passing for Quantum Chemistry. Every layer of graphs is one call of `propagate`.
Lecture row L78.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from zoo.geometric.graphs import Graph

Reduce = Callable[[Array, Array, int], Array]
"""From values of edges, the node of each and the number of nodes to values of nodes, such as `segment_sum`."""


def segment_sum(
    values: Float[Array, "edges *features"], segments: Int[Array, " edges"], count: int
) -> Float[Array, "nodes *features"]:
    """The sum of the values of each segment; of one without values 0. Values of no segment are left out.

    Sums of half precision are taken in float32: in bfloat16 a sum of ones ends at 256.

    Args:
      values: one an edge.
      segments: which segment each belongs to, from 0 on; `count` and more is none.
      count: of the segments.

    >>> segment_sum(jnp.array([1.0, 2.0, 4.0, 8.0]), jnp.array([0, 2, 0, 3]), 3).tolist()
    [5.0, 0.0, 2.0]
    """
    of = values.dtype
    wide = jnp.promote_types(of, jnp.float32) if jnp.issubdtype(of, jnp.floating) else of
    return jnp.zeros((count, *values.shape[1:]), wide).at[segments].add(values.astype(wide), mode="drop").astype(of)


def segment_max(
    values: Float[Array, "edges *features"], segments: Int[Array, " edges"], count: int
) -> Float[Array, "nodes *features"]:
    """The largest of the values of each segment; of one without values -inf. See `segment_sum`.

    >>> segment_max(jnp.array([1.0, 2.0, 4.0]), jnp.array([0, 2, 0]), 3).tolist()
    [4.0, -inf, 2.0]
    """
    empty = jnp.full((count, *values.shape[1:]), -jnp.inf, values.dtype)
    return empty.at[segments].max(values, mode="drop")


def segment_mean(
    values: Float[Array, "edges *features"], segments: Int[Array, " edges"], count: int
) -> Float[Array, "nodes *features"]:
    """The mean of the values of each segment; of one without values 0. See `segment_sum`.

    >>> segment_mean(jnp.array([1.0, 2.0, 4.0]), jnp.array([0, 2, 0]), 3).tolist()
    [2.5, 0.0, 2.0]
    """
    sizes = jnp.maximum(
        segment_sum(jnp.ones(values.shape[0], jnp.float32), segments, count), 1
    )  # bfloat16 counts to 256
    return segment_sum(values, segments, count) / sizes.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))


def segment_softmax(
    logits: Float[Array, "edges *heads"], segments: Int[Array, " edges"], count: int
) -> Float[Array, "edges *heads"]:
    """The softmax within each segment: positive values that sum to one there; 0 of what is in no segment.

    >>> segment_softmax(jnp.array([0.0, 0.0, 7.0, 9.0]), jnp.array([1, 1, 0, 2]), 2).tolist()
    [0.5, 0.5, 1.0, 0.0]
    """
    inside = (segments < count).reshape(-1, *[1] * (logits.ndim - 1))
    largest = jax.lax.stop_gradient(segment_max(logits, segments, count))
    shares = jnp.exp(jnp.where(inside, logits - largest.at[segments].get(mode="fill", fill_value=0), -jnp.inf))
    totals = segment_sum(shares, segments, count)
    return shares / totals.at[segments].get(mode="fill", fill_value=1)


def propagate(
    graph: Graph, message: Callable[[Array, Array], Array], reduce: Reduce = segment_sum
) -> Float[Array, "nodes *features"]:
    """What each node receives along its incoming edges.

    Padding edges carry nothing. Nodes that nothing arrives at have what `reduce` gives of nothing: 0 of sums and means.

    Args:
      graph: whose nodes send and receive.
      message: of the values of the senders and of the receivers, (edges, features) each, what each edge carries.
      reduce: how a node takes in what arrives: `segment_sum`, `segment_mean`, `segment_max`.

    >>> graph = Graph.of(jnp.array([[1.0], [2.0], [4.0]]), jnp.array([[0, 2], [1, 2], [2, 0]]))
    >>> propagate(graph, lambda sender, receiver: sender).tolist()
    [[4.0], [0.0], [3.0]]
    """
    sender, receiver = graph.at_senders(graph.nodes), graph.at_receivers(graph.nodes)
    return reduce(message(sender, receiver), graph.receivers, graph.nodes.shape[0])
