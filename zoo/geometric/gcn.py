"""The graph convolution of GCN: features mixed by a matrix, averaged over neighbours by the normalised adjacency.

Kipf and Welling, 2017, Semi-Supervised Classification with Graph Convolutional Networks, equation 2. Equal to
torch_geometric's GCNConv. Lecture row L78.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.geometric.graphs import Graph
from zoo.geometric.message_passing import propagate, segment_sum


def normalised_weights(graph: Graph) -> Float[Array, " edges"]:
    """The weight of each edge in D^-1/2 A D^-1/2, of degrees that count incoming edges; 0 of padding.

    Of GCN the graph has self loops: `normalised_weights(graph.with_self_loops())`.

    >>> edges = jnp.array([[0, 1], [1, 0]])
    >>> normalised_weights(Graph.of(jnp.ones((2, 1)), edges).with_self_loops()).round(3).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    ones = graph.edge_mask.astype(jnp.promote_types(graph.nodes.dtype, jnp.float32))
    degrees = segment_sum(ones, graph.receivers, graph.nodes.shape[0])
    scales = jnp.where(degrees > 0, jax.lax.rsqrt(jnp.maximum(degrees, 1)), 0)
    return graph.at_senders(scales) * graph.at_receivers(scales)


def graph_convolution(
    graph: Graph,
    kernel: Float[Array, "features outputs"],
    bias: Float[Array, " outputs"] | None = None,
) -> Float[Array, "nodes outputs"]:
    """D^-1/2 (A + I) D^-1/2 X W, and a bias where there is one.

    Every node has one self loop, whatever the graph says; an edge that is there twice counts twice.

    Args:
      graph: with the features X.
      kernel: W.
      bias: added to every node.

    >>> graph = Graph.of(jnp.array([[2.0], [4.0]]), jnp.array([[0, 1], [1, 0]]))
    >>> (100 * graph_convolution(graph, jnp.ones((1, 1)))).round().tolist()
    [[300.0], [300.0]]
    """
    mixed = graph.with_self_loops()._replace(nodes=graph.nodes @ kernel)
    weights = normalised_weights(mixed).astype(kernel.dtype)
    outputs = propagate(mixed, lambda sender, receiver: weights[:, None] * sender)
    return outputs if bias is None else outputs + bias


class GCNLayer(nn.Module):
    """`graph_convolution` with parameters `kernel` and, where `use_bias`, `bias`."""

    features: int
    use_bias: bool = True
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, graph: Graph) -> Float[Array, "nodes features"]:
        """New features of every node, of the compute type."""
        shape = (graph.nodes.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype) if self.use_bias else None
        graph = graph._replace(nodes=graph.nodes.astype(self.dtype))
        return graph_convolution(graph, kernel.astype(self.dtype), None if bias is None else bias.astype(self.dtype))
