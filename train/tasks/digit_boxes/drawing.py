"""Images with boxes: what is there in thin white lines, what is predicted in the colour of its class."""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.report.figures import image_scale, viewable
from train.report.theme import LIGHT, Theme, new_figure
from train.report.words import shorten
from train.tasks.colours import class_colour

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, GAP, LINE = 2.1, 0.12, 0.16
"""Of an image, between images, of a line of text; in inches."""


class Boxes(NamedTuple):
    """Some boxes in pixels of the image."""

    boxes: Float[np.ndarray, "n 4"]
    """left, top, right, bottom."""
    classes: Int[np.ndarray, "n"]
    scores: Float[np.ndarray, "n"] | None = None
    """Of predictions."""


class Shown(NamedTuple):
    """One image to show."""

    image: UInt8[np.ndarray, "height width channels"]
    true: Boxes | None
    predicted: Boxes
    caption: str


def grid(
    shown: Sequence[Shown], names: Sequence[str], columns: int = 4, side: float = SIDE, theme: Theme = LIGHT
) -> Figure:
    """Images with their boxes in rows of `columns`, each over its caption.

    Args:
      shown: at least one.
      names: of the classes.
      columns: images in a row.
      side: inches of an image.
      theme: colours.
    """
    columns = min(columns, len(shown))
    lines = max(example.caption.count("\n") + 1 if example.caption else 0 for example in shown)
    step = side + GAP, side + GAP + (lines + 0.5) * LINE
    width, height = columns * step[0] + GAP, math.ceil(len(shown) / columns) * step[1] + GAP
    figure = new_figure(width, height, theme)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))  # in inches from the upper left corner
    axes.set_axis_off()
    for index, example in enumerate(shown):
        row, column = divmod(index, columns)
        corner = GAP + column * step[0], GAP + row * step[1]
        _draw(axes, example, names, corner, side)
        below = corner[1] + side + 0.04
        axes.text(corner[0], below, example.caption, color=theme.ink, fontsize=8, va="top", parse_math=False)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    return figure


def _draw(axes: Axes, example: Shown, names: Sequence[str], corner: tuple[float, float], side: float) -> None:
    image, (left, top) = example.image, corner
    scale = side / max(image.shape[:2])
    height, width = scale * np.array(image.shape[:2])
    axes.imshow(viewable(image), extent=(left, left + width, top + height, top), **image_scale(image))
    if example.true is not None:
        for box in example.true.boxes:
            _outline(axes, corner + scale * box.reshape(2, 2), "white", 0.7)
    found = example.predicted
    for place in range(len(found.boxes))[::-1]:  # the best last, over the others
        label = int(found.classes[place])
        colour = class_colour(label)
        corners = corner + scale * found.boxes[place].reshape(2, 2)
        _outline(axes, corners, colour, 1.2 if side < 3 else 2.0)
        score = "" if found.scores is None else f" {100 * found.scores[place]:.0f}"
        size = 5 if side < 1.5 else 6.5 if side < 3 else 9
        axes.text(
            corners[0, 0], corners[0, 1], f"{shorten(names[label], 12)}{score}", fontsize=size, color="white",
            va="bottom" if corners[0, 1] > top + 0.1 * side else "top", parse_math=False,
            bbox={"facecolor": colour, "linewidth": 0, "pad": 0.8},
        )  # fmt: skip


def _outline(axes: Axes, corners: Float[np.ndarray, "2 2"], colour: str, width: float) -> None:
    from matplotlib.patches import Rectangle

    across, down = corners[1] - corners[0]
    axes.add_patch(Rectangle(tuple(corners[0]), across, down, fill=False, edgecolor=colour, linewidth=width))
