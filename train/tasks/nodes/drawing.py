"""A graph drawn with its nodes coloured by class, and where its nodes are put.

Fruchterman and Reingold, 1991, Graph Drawing by Force-Directed Placement, for small graphs; of large ones the two
directions in which what the network says varies most.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from train.report.theme import Theme, legend, new_figure
from train.report.words import shorten
from train.tasks.colours import class_colour

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

SPRUNG = 300
"""Nodes up to which edges say where they are put; their forces are between all pairs."""
NAMED = 40
"""Nodes up to which each has its number written on it."""
MOVES = 200


def placed(
    edges: Int[np.ndarray, "edges 2"], logits: Float[np.ndarray, "nodes classes"]
) -> Float[np.ndarray, "nodes 2"]:
    """Where each node is drawn, in [0, 1]: by the edges in small graphs, else by the logits."""
    count = len(logits)
    positions = sprung(edges, count) if count <= SPRUNG else projected(logits)
    low, high = positions.min(axis=0), positions.max(axis=0)
    return (positions - low) / np.where(high > low, high - low, 1)


def sprung(edges: Int[np.ndarray, "edges 2"], count: int, seed: int = 0) -> Float[np.ndarray, "nodes 2"]:
    """Positions of nodes that push each other away, and that edges pull together.

    >>> a, b, c = sprung(np.array([[0, 1], [1, 0]]), 3)
    >>> bool(np.linalg.norm(a - b) < np.linalg.norm(a - c))
    True
    """
    random = np.random.default_rng(seed)
    positions, distance = random.uniform(-0.5, 0.5, (count, 2)), math.sqrt(1 / max(count, 1))
    pulls = np.zeros((count, count))
    pulls[edges[:, 0], edges[:, 1]] = 1
    pulls = np.maximum(pulls, pulls.T)
    for move in range(MOVES):
        apart = positions[:, None] - positions
        lengths = np.maximum(np.linalg.norm(apart, axis=-1), 0.01)
        forces = distance**2 / lengths**2 - pulls * lengths / distance
        steps = np.einsum("ij,ijk->ik", forces, apart) - 0.5 * positions  # the last keeps parts in sight of each other
        heat = 0.1 * (1 - move / MOVES)
        positions += steps * np.minimum(heat / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-9), 1)
    return positions


def projected(logits: Float[np.ndarray, "nodes classes"]) -> Float[np.ndarray, "nodes 2"]:
    """The two principal components of the logits; of what is not finite 0."""
    known = np.nan_to_num(logits.astype(np.float64), posinf=0, neginf=0)
    centred = known - known.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    found = centred @ axes[:2].T
    return np.pad(found, ((0, 0), (0, 2 - found.shape[1])))


def graph_drawing(
    edges: Int[np.ndarray, "edges 2"],
    logits: Float[np.ndarray, "nodes classes"],
    wrong: Bool[np.ndarray, " nodes"],
    given: Bool[np.ndarray, " nodes"],
    names: Sequence[str],
    theme: Theme,
) -> Figure:
    """Nodes in the colour of the class that is predicted, with a ring where that is wrong; squares were learned from.

    Args:
      edges: between nodes.
      logits: of each node.
      wrong: the nodes whose class is known, and another one.
      given: the nodes that were learned from.
      names: of the classes.
      theme: colours.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    positions, guess = placed(edges, logits), np.nan_to_num(logits, nan=-np.inf).argmax(axis=1)
    few = len(positions) <= SPRUNG
    figure = new_figure(6.4, 5.6, theme)
    axes = figure.add_subplot()
    axes.set_axis_off()
    once = np.unique(np.sort(edges.reshape(-1, 2), axis=1), axis=0)
    lines = LineCollection(positions[once], colors=theme.muted, linewidths=0.8 if few else 0.2, alpha=0.6, zorder=1)
    axes.add_collection(lines)
    colours, size = np.array([class_colour(label) for label in range(len(names))]), 130 if few else 9
    for those, marker in ((~given, "o"), (given, "s")):
        edge = np.where(wrong[those], theme.ink, colours[guess[those]])
        axes.scatter(*positions[those].T, s=size, c=colours[guess[those]], marker=marker, edgecolors=edge,
                     linewidths=2.2 if few else 0.8, zorder=2)  # fmt: skip
    if len(positions) <= NAMED:
        for number, (x, y) in enumerate(positions):
            axes.text(x, y, str(number), fontsize=6, color="white", ha="center", va="center", zorder=3)
    dots = [Line2D([], [], marker="o", ls="", color=colour) for colour in colours]
    legend(figure, theme, loc="outside lower center", ncols=4, handles=dots, labels=[shorten(name) for name in names])
    return figure
