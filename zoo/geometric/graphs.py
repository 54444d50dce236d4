"""A graph as arrays of fixed sizes: nodes with features, directed edges between them, and padding.

A batch of graphs is one graph: nodes of all, and no edge from one to another. Lecture row L78.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from zoo.geometric.sparse import SparseFeatures


class EdgeError(ValueError):
    """An edge begins or ends at a node that is not there."""


class Graph(NamedTuple):
    """Nodes and directed edges. An edge that is padding leads from and to node number `len(nodes)`, which is not there.

    `Graph.of` checks and makes one.
    """

    nodes: Float[Array, "nodes features"] | SparseFeatures
    """Features; 0 of nodes that are padding."""
    senders: Int[Array, " edges"]
    """The node that each edge begins at."""
    receivers: Int[Array, " edges"]
    """The node that it ends at."""
    node_mask: Bool[Array, " nodes"]
    """Which nodes are real."""

    @classmethod
    def of(
        cls,
        nodes: Float[Array, "*batch nodes features"] | SparseFeatures,
        edges: Int[Array, "*batch edges 2"],
        nodes_valid: Bool[Array, "*batch nodes"] | None = None,
        edges_valid: Bool[Array, "*batch edges"] | None = None,
    ) -> Self:
        """One graph, or a batch of graphs as one, with the nodes of the first before those of the second.

        An edge at a node that is padding is padding too. Under `jit` nobody can look at the edges: there one that leads
        to a node which is not there counts as padding.

        Args:
          nodes: features; of a batch (batch, nodes, features). Sparse ones have none at nodes that are padding.
          edges: the node that each begins at and that it ends at, numbered in its own graph. An undirected edge is two.
          nodes_valid: which nodes are real; by default all.
          edges_valid: which edges are real; by default all.

        Raises:
          ValueError: arrays of shapes that do not fit; the message says what was expected.
          TypeError: nodes are no floating-point numbers, edges no integers, or a mask is not of truth values.
          EdgeError: an edge begins or ends at a node that is not there.

        >>> graph = Graph.of(jnp.ones((2, 3, 5)), jnp.array([[[0, 1]], [[2, 0]]]))
        >>> graph.nodes.shape, graph.senders.tolist(), graph.receivers.tolist()
        ((6, 5), [0, 5], [1, 3])
        """
        _check_shapes(nodes, edges, nodes_valid, edges_valid)
        count = nodes.shape[-2]
        _check_numbers(edges, edges_valid, count)
        edges = jnp.asarray(edges)
        inside = ((edges >= 0) & (edges < count)).all(axis=-1)
        inside = inside if edges_valid is None else inside & edges_valid
        nodes_valid = jnp.ones(nodes.shape[:-1], bool) if nodes_valid is None else jnp.asarray(nodes_valid)
        if nodes.ndim == 3:
            edges = edges + count * jnp.arange(nodes.shape[0], dtype=edges.dtype)[:, None, None]
        total = nodes.shape[0] * count if nodes.ndim == 3 else count
        senders, receivers = jnp.where(inside[..., None], edges, total).reshape(-1, 2).T
        if isinstance(nodes, SparseFeatures):
            features = nodes.flat()
        else:  # what padding holds may be no number
            features = jnp.where(nodes_valid[..., None], jnp.asarray(nodes), 0).reshape(-1, nodes.shape[-1])
        graph = cls(features, senders, receivers, nodes_valid.reshape(-1))
        return graph._keeping(graph.at_senders(graph.node_mask) & graph.at_receivers(graph.node_mask))

    @property
    def edge_mask(self) -> Bool[Array, " edges"]:
        """Which edges are real."""
        return self.receivers < self.nodes.shape[0]

    def at_senders(self, values: Float[Array, "nodes *features"]) -> Float[Array, "edges *features"]:
        """The value of the node that each edge begins at, (edges, features); 0 of padding."""
        return values.at[self.senders].get(mode="fill", fill_value=0)

    def at_receivers(self, values: Float[Array, "nodes *features"]) -> Float[Array, "edges *features"]:
        """The value of the node that each edge ends at, (edges, features); 0 of padding."""
        return values.at[self.receivers].get(mode="fill", fill_value=0)

    def with_self_loops(self) -> Self:
        """The graph with exactly one edge from each real node to itself, after its other edges.

        Self loops that were there become padding, as torch_geometric's GATConv and GCNConv have it.

        >>> graph = Graph.of(jnp.ones((2, 1)), jnp.array([[0, 1], [1, 1]])).with_self_loops()
        >>> graph.senders.tolist(), graph.receivers.tolist()
        ([0, 2, 0, 1], [1, 2, 0, 1])
        """
        graph = self._keeping(self.senders != self.receivers)
        count = self.nodes.shape[0]
        own = jnp.where(self.node_mask, jnp.arange(count, dtype=self.senders.dtype), count)
        return graph._replace(
            senders=jnp.concatenate([graph.senders, own]), receivers=jnp.concatenate([graph.receivers, own])
        )

    def _keeping(self, kept: Bool[Array, " edges"]) -> Self:
        """The graph in which other edges are padding."""
        nowhere = self.nodes.shape[0]
        return self._replace(
            senders=jnp.where(kept, self.senders, nowhere), receivers=jnp.where(kept, self.receivers, nowhere)
        )


class Padded(NamedTuple):
    """Graphs of several sizes as arrays of one, as `Graph.of` and the networks take them."""

    nodes: Float[np.ndarray, "batch nodes features"]
    edges: Int[np.ndarray, "batch edges 2"]
    nodes_valid: Bool[np.ndarray, "batch nodes"]
    edges_valid: Bool[np.ndarray, "batch edges"]


def pad_graphs(
    graphs: Sequence[tuple[Float[np.ndarray, "_ features"], Int[np.ndarray, "_ 2"]]],
    most_nodes: int | None = None,
    most_edges: int | None = None,
) -> Padded:
    """A batch of graphs, padded with nodes and edges that count nowhere.

    Args:
      graphs: the nodes (nodes, features) and the edges (edges, 2) of each.
      most_nodes: to how many nodes each is padded; by default to those of the largest.
      most_edges: the same of edges.

    Raises:
      ValueError: no graph, a graph is larger than that, or their features differ in number.
      EdgeError: an edge begins or ends at a node that is not there.

    >>> pad_graphs([(np.ones((2, 3)), np.array([[0, 1]])), (np.ones((4, 3)), np.zeros((0, 2), int))]).nodes.shape
    (2, 4, 3)
    """
    if not graphs:
        raise ValueError("expected at least one graph, got none")
    sizes = [(len(nodes), len(edges)) for nodes, edges in graphs]
    room = [
        max(size) if most is None else most
        for size, most in zip(zip(*sizes, strict=True), (most_nodes, most_edges), strict=True)
    ]
    features = np.shape(graphs[0][0])[-1]
    nodes = np.zeros((len(graphs), room[0], features), np.float32)
    edges = np.zeros((len(graphs), room[1], 2), np.int32)
    for row, (own, between) in enumerate(graphs):
        if len(own) > room[0] or len(between) > room[1]:
            expected = f"expected at most {room[0]} nodes and {room[1]} edges"
            raise ValueError(f"graph {row}: {expected}, got {len(own)} and {len(between)}")
        if np.shape(own)[-1] != features:
            raise ValueError(
                f"graph {row}: expected {features} features a node as in the first, got {np.shape(own)[-1]}"
            )
        _check_numbers(np.asarray(between).reshape(-1, 2), None, len(own), f"graph {row}: ")
        nodes[row, : len(own)], edges[row, : len(between)] = own, np.asarray(between).reshape(-1, 2)
    counts = np.array(sizes)
    valid = [np.arange(most) < counts[:, i, None] for i, most in enumerate(room)]
    return Padded(nodes, edges, *valid)


def adjacency(graph: Graph) -> Float[Array, "nodes nodes"]:
    """The number of edges from each node (column) to each node (row), as a dense matrix: for a look, and for tests.

    >>> adjacency(Graph.of(jnp.ones((2, 1)), jnp.array([[0, 1], [0, 1]]))).tolist()
    [[0.0, 0.0], [2.0, 0.0]]
    """
    count = graph.nodes.shape[0]
    return jnp.zeros((count, count)).at[graph.receivers, graph.senders].add(1.0, mode="drop")


def _check_shapes(nodes: Array, edges: Array, nodes_valid: Array | None, edges_valid: Array | None) -> None:
    """Refuses arrays that are no graph, and no batch of graphs."""
    if nodes.ndim not in (2, 3):
        raise ValueError(f"expected nodes (nodes, features) or (batch, nodes, features), got shape {nodes.shape}")
    if not jnp.issubdtype(nodes.dtype, jnp.floating):
        raise TypeError(f"expected nodes with floating-point features, got {nodes.dtype}")
    axes = "(batch, edges, 2)" if nodes.ndim == 3 else "(edges, 2)"
    if edges.ndim != nodes.ndim or edges.shape[-1] != 2 or edges.shape[:-2] != nodes.shape[:-2]:
        raise ValueError(f"expected edges {axes} for nodes {nodes.shape}, got shape {edges.shape}")
    if not jnp.issubdtype(edges.dtype, jnp.integer):
        raise TypeError(f"expected edges as numbers of nodes, got {edges.dtype}")
    for name, mask, of in (("nodes", nodes_valid, nodes), ("edges", edges_valid, edges)):
        if mask is not None and mask.shape != of.shape[:-1]:
            raise ValueError(f"expected {name}_valid of shape {of.shape[:-1]}, got {mask.shape}")
        if mask is not None and mask.dtype != bool:
            raise TypeError(f"expected {name}_valid of truth values, got {mask.dtype}")


def _check_numbers(edges: Array, edges_valid: Array | None, count: int, where: str = "") -> None:
    """Refuses edges at nodes that are not there, where their numbers are known."""
    if isinstance(edges, jax.core.Tracer) or isinstance(edges_valid, jax.core.Tracer):
        return
    known = np.asarray(edges)
    wrong = ((known < 0) | (known >= count)).any(axis=-1)
    if edges_valid is not None:
        wrong &= np.asarray(edges_valid)
    if wrong.any():
        place = tuple(int(axis[0]) for axis in np.nonzero(wrong))
        sender, receiver = known[place]
        number = place[0] if len(place) == 1 else place
        raise EdgeError(f"{where}expected edges between nodes 0 to {count - 1}, got {sender} -> {receiver} at {number}")
