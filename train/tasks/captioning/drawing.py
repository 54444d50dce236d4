"""Images with what is said of them: one over its caption, and many beside their captions and references."""

from __future__ import annotations

import math
import textwrap
import typing
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from train.report.figures import image_scale, viewable
from train.report.strips import WORDS
from train.report.theme import LIGHT, Theme, new_figure, pixels

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, TEXT, GAP, LINE = 1.3, 2.3, 0.15, 0.15
"""Of a card: its image's longer side, the room for text beside it, what is around both, and a line; in inches."""
LETTERS, LINES = 38, 8
"""Of the text beside an image: letters of a line, and lines."""
ONE_SIDE, ONE_LINE, ONE_LETTERS, ONE_LINES = 3.2, 0.22, 36, 3
"""The same of an image that is shown by itself, with its caption under it."""


class Shown(NamedTuple):
    """An image and what is said of it."""

    row: int
    """Where in the data it is."""
    image: UInt8[np.ndarray, "height width channels"]
    caption: str
    references: Sequence[str] = ()
    """What people say, or the rule that composed the image."""


def captioned(
    image: UInt8[np.ndarray, "height width channels"], caption: str, theme: Theme = LIGHT
) -> UInt8[np.ndarray, "rows columns 3"]:
    """An image, enlarged if it is small, over its caption; of one size whatever the caption is."""
    height, width = ONE_SIDE * np.array(image.shape[:2]) / max(image.shape[:2])
    across, down = max(width, ONE_SIDE) + 2 * GAP, height + 3 * GAP + ONE_LINES * ONE_LINE
    figure, axes = _inches(across, down, theme)
    left = (across - width) / 2
    axes.imshow(viewable(image), extent=(left, left + width, GAP + height, GAP), **image_scale(image))
    axes.set_aspect("auto")
    for number, line in enumerate(_lines(caption, ONE_LETTERS, ONE_LINES)):
        y = 2 * GAP + height + number * ONE_LINE
        axes.text(across / 2, y, line, fontsize=11, color=theme.ink, ha="center", va="top", parse_math=False)
    return pixels(figure, dpi=150)


def cards(shown: Sequence[Shown], columns: int = 2, theme: Theme = LIGHT) -> Figure:
    """Images, each with its caption beside it, and under that in grey as many references as there is room for.

    Args:
      shown: at least one.
      columns: images in a row.
      theme: colours.
    """
    step = np.array([SIDE + TEXT + 2 * GAP, SIDE + GAP])
    rows, columns = math.ceil(len(shown) / columns), min(columns, len(shown))
    figure, axes = _inches(columns * step[0] + GAP, rows * step[1] + GAP, theme)
    for index, one in enumerate(shown):
        row, column = divmod(index, columns)
        left, top = GAP + np.array([column, row]) * step
        down, across = SIDE * np.array(one.image.shape[:2]) / max(one.image.shape[:2])
        extent = (left, left + across, top + down, top)
        axes.imshow(viewable(one.image), extent=extent, **image_scale(one.image))
        said = [(line, theme.ink, "bold") for line in _lines(one.caption, LETTERS, LINES)]
        for reference in one.references:
            lines = textwrap.wrap(reference, LETTERS)
            if len(said) + len(lines) <= LINES:
                said += [(line, theme.muted, "normal") for line in lines]
        for number, (line, colour, weight) in enumerate(said):
            y = top + number * LINE
            axes.text(left + SIDE + GAP / 2, y, line, color=colour, fontweight=weight, va="top", **WORDS)
    axes.set_aspect("auto")
    return figure


def _inches(across: float, down: float, theme: Theme) -> tuple[Figure, Axes]:
    """A figure and what is drawn on, in inches from the upper left corner."""
    figure = new_figure(across, down, theme)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, across), ylim=(down, 0), autoscale_on=False)
    return figure, axes


def _lines(text: str, letters: int, lines: int) -> list[str]:
    return textwrap.wrap(text, letters, max_lines=lines, placeholder=" …")
