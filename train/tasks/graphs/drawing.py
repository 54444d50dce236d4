"""A graph as a small picture: lines for its edges, and dots whose colour says which feature is the largest."""

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw

from train.tasks.colours import class_colour
from train.tasks.nodes.drawing import placed

SIDE, BORDER = 128, 10
"""Pixels a side, and of them left free at each."""
_LINE, _GROUND = (150, 150, 150), (255, 255, 255)


def small_drawing(
    nodes: Float[np.ndarray, "nodes features"], edges: Int[np.ndarray, "edges 2"]
) -> UInt8[np.ndarray, "side side 3"]:
    """A graph as `train.tasks.nodes.drawing.placed` puts its nodes."""
    picture = Image.new("RGB", (SIDE, SIDE), _GROUND)
    if not len(nodes):
        return np.asarray(picture)
    places = BORDER + (SIDE - 1 - 2 * BORDER) * placed(edges, nodes)
    pen, radius = ImageDraw.Draw(picture), 4 if len(nodes) <= 60 else 2
    for sender, receiver in edges:
        pen.line((*places[sender], *places[receiver]), _LINE)
    for (x, y), feature in zip(places, nodes.argmax(axis=1), strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), class_colour(int(feature)))
    return np.asarray(picture)
