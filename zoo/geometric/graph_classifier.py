"""A class for a whole graph: any network of nodes, the mean of what it computes, and a linear layer.

Dwivedi et al., 2020, Benchmarking Graph Neural Networks, section 3, for the mean over the nodes. Lecture row L78.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from zoo.geometric.node_networks import GCN
from zoo.nn.checks import check_classes
from zoo.nn.network import Network


class GraphClassifier(Network):
    """Logits of a graph from the mean of its nodes. Submodules `network` and `head`.

    >>> import jax
    >>> model = GraphClassifier(num_classes=10)
    >>> nodes, edges = jax.ShapeDtypeStruct((2, 5, 4), "float32"), jax.ShapeDtypeStruct((2, 6, 2), "int32")
    >>> jax.eval_shape(lambda *graph: model.init_with_output(jax.random.key(0), *graph)[0], nodes, edges).shape
    (2, 10)
    """

    network: nn.Module = GCN(num_classes=0)
    """Computes features of each node, (batch, nodes, features): a network of nodes with num_classes=0."""
    num_classes: int = 10
    """Outputs; 0 gives the mean of the nodes instead of logits."""

    @nn.compact
    def __call__(
        self,
        nodes: Float[Array, "batch nodes features"],
        edges: Int[Array, "batch edges 2"],
        nodes_valid: Bool[Array, "batch nodes"] | None = None,
        edges_valid: Bool[Array, "batch edges"] | None = None,
        train: bool = False,
        features: bool = False,
    ) -> Float[Array, "batch outputs"] | Mapping[str, Array]:
        """Logits (batch, classes), float32; with `features` all named features: those of the network's layers, of shape
        (batch, nodes, features), pre_logits and logits.

        Nodes that are padding do not count; a graph without a node has a mean of 0.

        Raises:
          ValueError: no batch of graphs, with another number of features than before, or an option is out of range.
          TypeError: nodes are no floating-point numbers, edges no integers, or a mask is not of truth values.
          EdgeError: an edge begins or ends at a node that is not there.
        """
        check_classes(self.num_classes)
        named = dict(self.network(nodes, edges, nodes_valid, edges_valid, train=train, features=True))
        if "logits" in named:
            raise ValueError("GraphClassifier expected a network with num_classes=0, got one with classes of its own")
        last = named.pop("pre_logits")
        valid = jnp.ones(nodes.shape[:2], bool) if nodes_valid is None else nodes_valid
        counts = jnp.maximum(jnp.sum(valid, axis=1, dtype=self.wide), 1)
        named["pre_logits"] = outputs = jnp.sum(last.astype(self.wide), axis=1) / counts[:, None]
        if self.num_classes:
            head = nn.Dense(self.num_classes, dtype=self.wide, param_dtype=self.param_dtype, name="head")
            named["logits"] = outputs = head(outputs)
        return named if features else outputs
