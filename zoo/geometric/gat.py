"""Graph attention: how much each neighbour counts is learned, by GAT and by GATv2.

Veličković et al., 2018, Graph Attention Networks; Brody, Alon and Yahav, 2022, How Attentive are Graph Attention
Networks? Equal to torch_geometric's GATConv and GATv2Conv. Lecture row L78.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.geometric.dropout import Dropout
from zoo.geometric.graphs import Graph
from zoo.geometric.message_passing import segment_softmax, segment_sum

SLOPE = 0.2
"""Of LeakyReLU below zero, in both papers."""

Weighted = Callable[[Array], Array]


def attend(
    graph: Graph,
    logits: Float[Array, "edges heads"],
    values: Float[Array, "nodes heads features"],
    dropped: Weighted = lambda weights: weights,
) -> Float[Array, "nodes heads features"]:
    """The mean of the senders' values, weighted by the softmax of the logits over the edges that arrive at a node.

    Args:
      graph: with an edge for each logit.
      logits: how much each edge counts, for each head.
      values: what each node sends.
      dropped: what becomes of the weights, such as dropout.
    """
    weights = segment_softmax(
        logits.astype(jnp.promote_types(logits.dtype, jnp.float32)), graph.receivers, values.shape[0]
    )
    weights = dropped(weights.astype(values.dtype))
    return segment_sum(weights[..., None] * graph.at_senders(values), graph.receivers, values.shape[0])


def gat_logits(
    graph: Graph,
    values: Float[Array, "nodes heads features"],
    source_attention: Float[Array, "heads features"],
    target_attention: Float[Array, "heads features"],
) -> Float[Array, "edges heads"]:
    """LeakyReLU(a . [W h_sender, W h_receiver]), equation 3 of GAT: a part of the sender plus one of the receiver.

    Args:
      graph: with the edges.
      values: W h, by head.
      source_attention: the part of a for senders.
      target_attention: the part of a for receivers.
    """
    of_sender = graph.at_senders(jnp.sum(values * source_attention, axis=-1))
    of_receiver = graph.at_receivers(jnp.sum(values * target_attention, axis=-1))
    return nn.leaky_relu(of_sender + of_receiver, SLOPE)


def gatv2_logits(
    graph: Graph,
    of_senders: Float[Array, "nodes heads features"],
    of_receivers: Float[Array, "nodes heads features"],
    attention: Float[Array, "heads features"],
) -> Float[Array, "edges heads"]:
    """a . LeakyReLU(W [h_sender, h_receiver]), equation 7 of GATv2: which neighbour counts most may differ from node
    to node.

    Args:
      graph: with the edges.
      of_senders: W's part for senders times h, by head.
      of_receivers: its part for receivers times h.
      attention: a.
    """
    joined = graph.at_senders(of_senders) + graph.at_receivers(of_receivers)
    return jnp.sum(nn.leaky_relu(joined, SLOPE) * attention, axis=-1)


class Attentive(nn.Module):
    """What both layers have in common. Each node attends to itself too, once, whatever self loops the graph has."""

    features: int
    """Of each head."""
    heads: int = 1
    concatenate: bool = True
    """Whether the heads' outputs are joined, (nodes, heads x features), or averaged, (nodes, features)."""
    dropout: float = 0.0
    """The share of the attention weights that training sets to zero."""
    use_bias: bool = True
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, graph: Graph, train: bool = False) -> Float[Array, "nodes outputs"]:
        """New features of every node, of the compute type. With dropout, training needs the random key "dropout"."""
        graph = graph.with_self_loops()
        graph = graph._replace(nodes=graph.nodes.astype(self.dtype))
        logits, values = self.scored(graph)
        drop = Dropout(self.dropout)
        outputs = attend(graph, logits, values, lambda weights: drop(weights, not train))
        joined = (outputs.shape[0], self.heads * self.features)
        outputs = outputs.reshape(joined) if self.concatenate else jnp.mean(outputs, axis=1)
        return outputs + self.weight("bias", (outputs.shape[-1],), nn.initializers.zeros) if self.use_bias else outputs

    def scored(self, graph: Graph) -> tuple[Float[Array, "edges heads"], Float[Array, "nodes heads features"]]:
        """The logit of each edge, (edges, heads), and what each node sends, (nodes, heads, features)."""
        raise NotImplementedError

    def weight(self, name: str, shape: tuple[int, ...], draw: Any = None) -> Array:
        """A parameter of this shape, in the compute type; by default drawn as Glorot and Bengio, 2010, do."""
        draw = nn.initializers.glorot_uniform() if draw is None else draw
        return self.param(name, draw, shape, self.param_dtype).astype(self.dtype)

    def by_head(self, values: Float[Array, "nodes outputs"]) -> Float[Array, "nodes heads features"]:
        """Values of all heads in a row as (nodes, heads, features)."""
        return values.reshape(values.shape[0], self.heads, self.features)


class GATLayer(Attentive):
    """GAT. Parameters `kernel`, `source_attention`, `target_attention` and `bias`.

    >>> import jax
    >>> graph = Graph.of(jnp.ones((3, 5)), jnp.array([[0, 1], [1, 2]]))
    >>> jax.eval_shape(lambda: GATLayer(8, heads=2).init_with_output(jax.random.key(0), graph)[0]).shape
    (3, 16)
    """

    def scored(self, graph: Graph) -> tuple[Float[Array, "edges heads"], Float[Array, "nodes heads features"]]:
        """See `Attentive`: logits (edges, heads) and what is sent (nodes, heads, features)."""
        size = (self.heads, self.features)
        kernel = self.weight("kernel", (graph.nodes.shape[-1], self.heads * self.features))
        values = self.by_head(graph.nodes @ kernel)
        parts = (self.weight("source_attention", size), self.weight("target_attention", size))
        return gat_logits(graph, values, *parts), values


class GATv2Layer(Attentive):
    """GATv2. Parameters `source_kernel`, `source_bias`, `target_kernel`, `target_bias`, `attention` and `bias`.

    >>> import jax
    >>> graph = Graph.of(jnp.ones((3, 5)), jnp.array([[0, 1], [1, 2]]))
    >>> jax.eval_shape(lambda: GATv2Layer(8, heads=2).init_with_output(jax.random.key(0), graph)[0]).shape
    (3, 16)
    """

    def scored(self, graph: Graph) -> tuple[Float[Array, "edges heads"], Float[Array, "nodes heads features"]]:
        """See `Attentive`: logits (edges, heads) and what is sent (nodes, heads, features)."""
        of_senders, of_receivers = (self._projected(graph, name) for name in ("source", "target"))
        attention = self.weight("attention", (self.heads, self.features))
        return gatv2_logits(graph, of_senders, of_receivers, attention), of_senders

    def _projected(self, graph: Graph, name: str) -> Array:
        outputs = self.heads * self.features
        projected = graph.nodes @ self.weight(f"{name}_kernel", (graph.nodes.shape[-1], outputs))
        if self.use_bias:
            projected = projected + self.weight(f"{name}_bias", (outputs,), nn.initializers.zeros)
        return self.by_head(projected)
