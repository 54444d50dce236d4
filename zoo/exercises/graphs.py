"""Checks of the exercises on graphs: a graph convolution with matrices, and attention over a node's neighbours. L78."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from zoo.exercises.mistakes import compare
from zoo.exercises.verdict import Verdict, judged

_Matrix = Float[np.ndarray, "nodes nodes"]


def check_graph_convolution(function: Callable) -> Verdict:
    """Checks `graph_convolution(A, X, W)`: D^-1/2 (A + I) D^-1/2 X W, D of the degrees with self loops.

    >>> check_graph_convolution(lambda A, X, W: A @ X @ W)
    Not yet: the output at (0, 0): expected 0.0502888, got -0.08. Each node has an edge to itself too: A + I
    """
    return judged(lambda: _graph_convolution(function))


def _graph_convolution(function: Callable) -> str:
    draw = np.random.default_rng(0)
    sizes = (4, 6, 5)
    for nodes in sizes:
        upper = np.triu(draw.random((nodes, nodes)) < 0.5, 1)
        A = (upper | upper.T).astype(float)
        if nodes == sizes[-1]:
            A[0], A[:, 0] = 0, 0  # a node without neighbours
        X, W = draw.normal(size=(nodes, 3)).round(1), draw.normal(size=(3, 2)).round(1)
        loops = A + np.eye(nodes)
        degrees = loops.sum(axis=1)
        right = _both_sides(loops, degrees) @ X @ W
        compare(
            "the output",
            function(A.copy(), X.copy(), W.copy()),
            right,
            ("Each node has an edge to itself too: A + I", A @ X @ W),
            ("Divide by the degrees: D^-1/2 stands on both sides", loops @ X @ W),
            ("D^-1/2 stands on both sides: that is D^-1 (A + I), the mean", loops / degrees[:, None] @ X @ W),
            ("The degrees count the edge to itself too", _both_sides(loops, np.maximum(A.sum(axis=1), 1)) @ X @ W),
            ("The square root is missing: D^-1/2", _both_sides(loops, degrees**2) @ X @ W),
        )
    return f"{len(sizes)} graphs, one with a node that is alone"


def _both_sides(matrix: _Matrix, degrees: Float[np.ndarray, " nodes"]) -> _Matrix:
    return matrix / np.sqrt(degrees[:, None] * degrees)


def check_attention(function: Callable) -> Verdict:
    """Checks `attention(logits, receivers, nodes)`: the softmax of edges' logits over those that arrive at one node.

    >>> check_attention(lambda logits, receivers, nodes: np.exp(logits) / np.exp(logits).sum())
    Not yet: the weights at (0,): expected 0.322043, got 0.103282. The softmax is over the edges of each receiver alone
    """
    return judged(lambda: _attention(function))


def _attention(function: Callable) -> str:
    draw = np.random.default_rng(1)
    cases = [draw.normal(size=9).round(1), draw.normal(size=9).round(1) + 1000]
    for logits in cases:
        receivers = np.array([0, 2, 0, 1, 2, 2, 4, 4, 0])  # none arrives at 3
        near = np.exp(logits - logits.max())
        right, means = np.zeros(9), np.zeros(9)
        for node in range(5):
            of = receivers == node
            right[of] = near[of] / near[of].sum()
            means[of] = 1 / of.sum() if of.any() else 0
        compare(
            "the weights",
            function(logits.copy(), receivers.copy(), 5),
            right,
            ("The softmax is over the edges of each receiver alone", near / near.sum()),
            ("That is the mean: every neighbour counts alike", means),
            ("Large logits: subtract the largest before exp", np.full(9, np.nan)),
        )
    return f"{len(cases)} graphs, one with large logits"
