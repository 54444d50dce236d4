"""Graphs as examples: what their fields are called, and edges in the order that is kept.

Of one large graph whose nodes are classified there is one example, which training and test share: each node says what
it is for.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int, Num

from train.data.fields import Facts, Field, Kind, Spec
from train.data.source import ArraySource, stacked

NODES, EDGES, LABELS, PARTS = "nodes", "edges", "labels", "parts"
"""Features (nodes, features), edges (edges, 2), and of each node its class and what it is for."""
UNUSED, TRAINING, VALIDATION, TEST = range(4)
"""What a node is for: numbers in `PARTS`."""


def graph_spec(nodes: int, edges: int, features: int) -> Spec:
    """The fields of graphs with at most so many nodes and edges.

    >>> graph_spec(34, 156, 34)["edges"].padded
    (156, 2)
    """
    return {
        NODES: Field(Kind.VALUE, (None, features), "float32", (nodes,)),
        EDGES: Field(Kind.EDGES, (None, 2), "int32", (edges,)),
    }


def of_nodes(
    name: str,
    nodes: Num[np.ndarray, "nodes features"],
    edges: Int[np.ndarray, "edges 2"],
    labels: Int[np.ndarray, " nodes"],
    parts: Mapping[int, Int[np.ndarray, "_"]],
    classes: tuple[str, ...],
) -> ArraySource:
    """A source of one graph, whose nodes are to be classified.

    Args:
      name: for messages.
      nodes: features.
      edges: sender and receiver of each.
      labels: the class of each node; -1 where nobody knows.
      parts: the nodes that are for training, validation and test.
      classes: their names.
    """
    of = np.full(len(nodes), UNUSED, np.int32)
    for part, members in parts.items():
        of[members] = part
    each = Field(Kind.LABEL, (None,), "int32", (len(nodes),))
    spec = {**graph_spec(len(nodes), len(edges), nodes.shape[1]), LABELS: each, PARTS: each._replace(kind=Kind.PLAIN)}
    example = {NODES: nodes, EDGES: edges, LABELS: labels, PARTS: of}
    return ArraySource(name, stacked([example], spec), spec, Facts(classes))


def both_ways(pairs: Int[np.ndarray, "pairs 2"]) -> Int[np.ndarray, "edges 2"]:
    """Undirected edges as directed ones, each once in both directions, without loops, by receiver.

    >>> both_ways(np.array([[0, 1], [1, 0], [2, 2], [2, 0]])).tolist()
    [[1, 0], [2, 0], [0, 1], [0, 2]]
    """
    pairs = np.asarray(pairs, np.int32).reshape(-1, 2)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)[:, ::-1].copy()
