"""Strips: the pictures of an example side by side over its caption, several examples on a board."""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from train.report.figures import image_scale, viewable
from train.report.theme import LIGHT, Theme, new_figure

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP, LINE = 0.08, 0.24
"""Between pictures, and of a line of text; in inches."""
WORDS = {"fontsize": 8, "parse_math": False}
"""How captions and legends are written."""


class Strip(NamedTuple):
    """One example."""

    pictures: Sequence[UInt8[np.ndarray, "height width channels"]]
    caption: str


class Board(NamedTuple):
    """What a legend is drawn on."""

    figure: Figure
    axes: Axes
    """In inches from the upper left corner."""
    top: float
    """Where the room under the strips begins."""


def width_of(pictures: int, columns: int, side: float) -> float:
    """Inches that strips of so many pictures take, so many in a row.

    >>> round(width_of(3, 2, 1.0), 2)
    6.88
    """
    return columns * (pictures * (side + GAP) + 2 * GAP) + GAP


def board(
    strips: Sequence[Strip],
    titles: Sequence[str],
    columns: int,
    side: float,
    below: float,
    theme: Theme = LIGHT,
    least: float = 0.0,
) -> Board:
    """Strips in rows, the pictures of the first row under their titles, with room under all.

    Args:
      strips: at least one; each has a picture a title.
      titles: of the pictures.
      columns: strips in a row.
      side: inches of a picture's longer side.
      below: inches under the strips.
      theme: colours.
      least: inches that the whole is wide at least.
    """
    tallest = max(side * picture.shape[0] / max(picture.shape[:2]) for strip in strips for picture in strip.pictures)
    step = width_of(len(titles), 1, side) - GAP, tallest + 1.5 * LINE
    width = max(width_of(len(titles), columns, side), least)
    top = LINE + math.ceil(len(strips) / columns) * step[1]
    figure = new_figure(width, top + below, theme)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for index, strip in enumerate(strips):
        row, column = divmod(index, columns)
        left, upper = 2 * GAP + column * step[0], LINE + row * step[1]
        for place, (title, picture) in enumerate(zip(titles, strip.pictures, strict=True)):
            x = left + place * (side + GAP)
            down, across = side * np.array(picture.shape[:2]) / max(picture.shape[:2])
            axes.imshow(viewable(picture), extent=(x, x + across, upper + down, upper), **image_scale(picture))
            if row == 0:
                axes.text(x, upper - 0.05, title, color=theme.muted, va="bottom", **WORDS)
        axes.text(left, upper + tallest + 0.04, strip.caption, color=theme.ink, va="top", **WORDS)
    axes.set(xlim=(0, width), ylim=(top + below, 0), aspect="auto")
    return Board(figure, axes, top)
