"""The layer of GraphSAGE: each node's own features beside the mean of its neighbours'.

Hamilton, Ying and Leskovec, 2017, Inductive Representation Learning on Large Graphs, algorithm 1 with the mean
aggregator; of all neighbours, where the paper draws some. Equal to torch_geometric's SAGEConv. Lecture row L78.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.geometric.graphs import Graph
from zoo.geometric.message_passing import propagate, segment_mean
from zoo.geometric.sparse import SparseFeatures


def sage(
    graph: Graph,
    neighbour_kernel: Float[Array, "features outputs"],
    self_kernel: Float[Array, "features outputs"],
    bias: Float[Array, " outputs"] | None = None,
    normalise: bool = False,
) -> Float[Array, "nodes outputs"]:
    """The mean of what the neighbours send times one matrix, and the node's own features times another.

    Args:
      graph: with the features. A node without neighbours has a mean of 0.
      neighbour_kernel: of the mean.
      self_kernel: of the node's own features.
      bias: added to every node.
      normalise: divide each node's result by its length, as SAGEConv does. Line 7 of the algorithm does so after the
        activation, as `GraphSAGE`.

    >>> graph = Graph.of(jnp.array([[2.0], [4.0], [8.0]]), jnp.array([[1, 0], [2, 0]]))
    >>> sage(graph, jnp.ones((1, 1)), jnp.full((1, 1), 10.0)).tolist()
    [[26.0], [40.0], [80.0]]
    """
    inputs, sizes = neighbour_kernel.shape
    if sizes < inputs or isinstance(graph.nodes, SparseFeatures):  # the mean of products: less travels along the edges
        means = _means(graph._replace(nodes=graph.nodes @ neighbour_kernel))
    else:
        means = _means(graph) @ neighbour_kernel
    outputs = means + graph.nodes @ self_kernel
    outputs = outputs if bias is None else outputs + bias
    return normalised(outputs) if normalise else outputs


def normalised(values: Float[Array, "nodes outputs"]) -> Float[Array, "nodes outputs"]:
    """The values of each node over their length: zeros stay zeros.

    >>> (10 * normalised(jnp.array([[3.0, 4.0], [0.0, 0.0]]))).round().tolist()
    [[6.0, 8.0], [0.0, 0.0]]
    """
    squares = jnp.sum(jnp.square(values), axis=-1, keepdims=True)
    return values * jax.lax.rsqrt(jnp.maximum(squares, 1e-24))  # as torch's normalize, without its gradient at 0


def _means(graph: Graph) -> Float[Array, "nodes features"]:
    return propagate(graph, lambda sender, receiver: sender, segment_mean)


class SAGELayer(nn.Module):
    """`sage` with parameters `neighbour_kernel`, `self_kernel` and, where `use_bias`, `bias`."""

    features: int
    normalise: bool = False
    use_bias: bool = True
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, graph: Graph) -> Float[Array, "nodes features"]:
        """New features of every node, of the compute type."""
        shape = (graph.nodes.shape[-1], self.features)
        glorot = nn.initializers.glorot_uniform()
        kernels = [self.param(name, glorot, shape, self.param_dtype) for name in ("neighbour_kernel", "self_kernel")]
        bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype) if self.use_bias else None
        given = [None if each is None else each.astype(self.dtype) for each in (*kernels, bias)]
        return sage(graph._replace(nodes=graph.nodes.astype(self.dtype)), *given, self.normalise)
