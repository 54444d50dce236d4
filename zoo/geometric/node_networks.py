"""Networks that give each node of a graph a class: GCN, GraphSAGE, GAT and GATv2.

Kipf and Welling, 2017; Hamilton, Ying and Leskovec, 2017; Veličković et al., 2018; Brody, Alon and Yahav, 2022: see the
layers. They take batches of graphs, padded to one size; a single large graph is a batch of one. Lecture row L78.
"""

from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from zoo.geometric.dropout import Dropout
from zoo.geometric.gat import GATLayer, GATv2Layer
from zoo.geometric.gcn import GCNLayer
from zoo.geometric.graphs import Graph
from zoo.geometric.sage import SAGELayer, normalised
from zoo.geometric.sparse import SparseFeatures
from zoo.nn.checks import check_classes
from zoo.nn.network import Network


class NodeNetwork(Network):
    """What the networks share: layers with dropout before each. Submodules `layer1`, `layer2`, ... and `head`.

    The head is a layer of graphs too.
    """

    num_classes: int = 7
    """Outputs a node; 0 gives what the last hidden layer computes instead of logits."""
    hidden_sizes: Sequence[int] = (16,)
    """Features of each hidden layer; of attention those of each head."""
    dropout: float = 0.5
    """The share of each layer's inputs that training sets to zero; of attention also of its weights."""

    @nn.compact
    def __call__(
        self,
        nodes: Float[Array, "batch nodes features"] | SparseFeatures,
        edges: Int[Array, "batch edges 2"],
        nodes_valid: Bool[Array, "batch nodes"] | None = None,
        edges_valid: Bool[Array, "batch edges"] | None = None,
        train: bool = False,
        features: bool = False,
    ) -> Float[Array, "batch nodes outputs"] | Mapping[str, Array]:
        """Logits of each node, float32; with `features` all named features: layer1, layer2, ..., pre_logits and logits.

        All are (batch, nodes, outputs), and 0 at nodes that are padding. Training with dropout needs the random key
        "dropout". For the arguments see `Graph.of`.

        Raises:
          ValueError: no batch of graphs, with another number of features than before, or an option is out of range.
          TypeError: nodes are no floating-point numbers, edges no integers, or a mask is not of truth values.
          EdgeError: an edge begins or ends at a node that is not there.
        """
        self._check(nodes)
        graph = Graph.of(nodes.astype(self.dtype), edges, nodes_valid, edges_valid)
        named: dict[str, Array] = {}

        def by_graph(values: Float[Array, "all outputs"]) -> Float[Array, "batch nodes outputs"]:
            return jnp.where(graph.node_mask[:, None], values, 0).reshape(*nodes.shape[:2], values.shape[-1])

        for number, size in enumerate(self.hidden_sizes, 1):
            graph = self._dropped(graph, train)
            computed = self.activation(self.layer(graph, size, f"layer{number}", train))
            named[f"layer{number}"] = by_graph(computed)
            graph = graph._replace(nodes=computed)
        named["pre_logits"] = outputs = by_graph(graph.nodes.astype(self.wide))
        if self.num_classes:
            outputs = self.head(self._dropped(graph, train), train).astype(self.wide)
            named["logits"] = outputs = by_graph(outputs)
        return named if features else outputs

    def layer(self, graph: Graph, size: int, name: str, train: bool) -> Float[Array, "nodes outputs"]:
        """A hidden layer of this size: (nodes, features)."""
        raise NotImplementedError

    def head(self, graph: Graph, train: bool) -> Float[Array, "nodes classes"]:
        """The last layer: (nodes, classes)."""
        return self.layer(graph, self.num_classes, "head", train)

    @nn.nowrap
    def activation(self, values: Float[Array, "nodes outputs"]) -> Float[Array, "nodes outputs"]:
        """What hidden layers end in: values of any shape, and one shape again."""
        return nn.relu(values)

    def _dropped(self, graph: Graph, train: bool) -> Graph:
        drop, nodes = Dropout(self.dropout), graph.nodes
        if isinstance(nodes, SparseFeatures):
            return graph._replace(nodes=nodes.replace(values=drop(nodes.values, not train)))
        return graph._replace(nodes=drop(nodes, not train))

    def _check(self, nodes: Array | SparseFeatures) -> None:
        who = type(self).__name__
        check_classes(self.num_classes)
        if not self.hidden_sizes or min(self.hidden_sizes) < 1 or not 0 <= self.dropout < 1:
            raise ValueError(
                f"{who} expected positive hidden_sizes and 0 <= dropout < 1, got {self.hidden_sizes} and {self.dropout}"
            )
        if nodes.ndim != 3:
            raise ValueError(f"{who} expected nodes (batch, nodes, features), got shape {nodes.shape}")
        if not jnp.issubdtype(nodes.dtype, jnp.floating):
            raise TypeError(f"{who} expected nodes with floating-point features, got {nodes.dtype}")
        kernels = jax.tree_util.tree_leaves_with_path(dict(self.variables.get("params", {}).get("layer1", {})))
        expected = {leaf.shape[0] for path, leaf in kernels if "kernel" in jax.tree_util.keystr(path)}
        if expected - {nodes.shape[-1]}:
            raise ValueError(f"{who} expected nodes with {expected.pop()} features, got shape {nodes.shape}")


class GCN(NodeNetwork):
    """Kipf and Welling's network: `GCNLayer`s with ReLU, without biases as in the authors' code.

    >>> import jax
    >>> model = GCN(num_classes=7)
    >>> nodes, edges = jax.ShapeDtypeStruct((1, 2708, 1433), "float32"), jax.ShapeDtypeStruct((1, 10556, 2), "int32")
    >>> params = jax.eval_shape(model.init, jax.random.key(0), nodes, edges)["params"]
    >>> sum(leaf.size for leaf in jax.tree.leaves(params))
    23040
    """

    use_bias: bool = False

    def layer(self, graph: Graph, size: int, name: str, train: bool) -> Float[Array, "nodes outputs"]:
        """See `NodeNetwork`: (nodes, features)."""
        return self.rematerialised(GCNLayer, ())(size, self.use_bias, **self.types, name=name)(graph)


class GraphSAGE(NodeNetwork):
    """Hamilton, Ying and Leskovec's network with the mean aggregator, of all neighbours instead of some that are drawn.

    >>> import jax
    >>> model = GraphSAGE(num_classes=3, hidden_sizes=(8,))
    >>> nodes, edges = jax.ShapeDtypeStruct((2, 5, 4), "float32"), jax.ShapeDtypeStruct((2, 6, 2), "int32")
    >>> jax.eval_shape(lambda *graph: model.init_with_output(jax.random.key(0), *graph)[0], nodes, edges).shape
    (2, 5, 3)
    """

    normalise: bool = False
    """Divide what hidden layers compute for a node, after ReLU, by its length, as the paper's algorithm does."""

    @nn.nowrap
    def activation(self, values: Float[Array, "nodes outputs"]) -> Float[Array, "nodes outputs"]:
        """ReLU, and length one where `normalise`, of values of any shape."""
        return normalised(nn.relu(values)) if self.normalise else nn.relu(values)

    def layer(self, graph: Graph, size: int, name: str, train: bool) -> Float[Array, "nodes outputs"]:
        """See `NodeNetwork`: (nodes, features)."""
        return self.rematerialised(SAGELayer, ())(size, **self.types, name=name)(graph)


class GAT(NodeNetwork):
    """Veličković et al.'s network: heads that are joined, ELU, and a head of classes that averages its own.

    >>> import jax
    >>> nodes, edges = jax.ShapeDtypeStruct((1, 2708, 1433), "float32"), jax.ShapeDtypeStruct((1, 10556, 2), "int32")
    >>> params = jax.eval_shape(GAT(num_classes=7).init, jax.random.key(0), nodes, edges)["params"]
    >>> sum(leaf.size for leaf in jax.tree.leaves(params))
    92373
    """

    hidden_sizes: Sequence[int] = (8,)
    dropout: float = 0.6
    heads: int = 8
    """Of hidden layers."""
    output_heads: int = 1
    """Of the last one; 8 for Pubmed, as the paper has it."""

    @property
    def attentive(self) -> type[nn.Module]:
        """The class of the layers."""
        return GATLayer

    @nn.nowrap
    def activation(self, values: Float[Array, "nodes outputs"]) -> Float[Array, "nodes outputs"]:
        """ELU, of values of any shape."""
        return nn.elu(values)

    def layer(self, graph: Graph, size: int, name: str, train: bool) -> Float[Array, "nodes outputs"]:
        """See `NodeNetwork`: (nodes, heads x features)."""
        return self._attend(graph, size, self.heads, True, name, train)

    def head(self, graph: Graph, train: bool) -> Float[Array, "nodes classes"]:
        """See `NodeNetwork`: (nodes, classes)."""
        return self._attend(graph, self.num_classes, self.output_heads, False, "head", train)

    def _attend(self, graph: Graph, size: int, heads: int, joined: bool, name: str, train: bool) -> Array:
        if min(self.heads, self.output_heads) < 1:
            raise ValueError(f"expected one head or more, got heads={self.heads}, output_heads={self.output_heads}")
        kind = self.rematerialised(self.attentive, (2,))
        return kind(size, heads, joined, self.dropout, **self.types, name=name)(graph, train)


class GATv2(GAT):
    """The same network of `GATv2Layer`s.

    >>> import jax
    >>> model = GATv2(num_classes=3, hidden_sizes=(4,), heads=2)
    >>> nodes, edges = jax.ShapeDtypeStruct((2, 5, 4), "float32"), jax.ShapeDtypeStruct((2, 6, 2), "int32")
    >>> jax.eval_shape(lambda *graph: model.init_with_output(jax.random.key(0), *graph)[0], nodes, edges).shape
    (2, 5, 3)
    """

    @property
    def attentive(self) -> type[nn.Module]:
        """The class of the layers."""
        return GATv2Layer
