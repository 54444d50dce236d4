"""Label maps drawn over their images, and images beside what is true and what is predicted of them."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from train.report.figures import viewable
from train.report.strips import GAP, LINE, WORDS, Strip, board, width_of
from train.report.theme import LIGHT, Theme, rgb
from train.report.words import shorten
from train.tasks.colours import class_colour

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 1.05
"""Of a panel, in inches."""
COLOUR, IMAGE = 0.75, 0.25
"""How much of a pixel is its class's colour, and how much the image."""


class Palette(NamedTuple):
    """What the labels of a map are called, and which of them have no colour."""

    names: tuple[str, ...]
    background: int | None
    ignore: int

    def over(
        self, image: UInt8[np.ndarray, "height width channels"], labels: Int[np.ndarray, "height width"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        """The image in grey, under the colours of its classes; background has none, ignored pixels are flat grey."""
        grey = np.atleast_3d(viewable(image))[..., :3].mean(axis=-1, keepdims=True) / 255
        base = np.repeat(grey, 3, axis=-1)
        drawn = base.copy()
        for label in np.unique(labels):
            if label != self.background:
                colour = np.full(3, 0.5) if label == self.ignore else rgb(class_colour(int(label)))
                where = labels == label
                drawn[where] = COLOUR * colour + IMAGE * base[where]
        return np.rint(255 * drawn).astype(np.uint8)


class Shown(NamedTuple):
    """One example to show."""

    image: UInt8[np.ndarray, "height width channels"]
    true: Int[np.ndarray, "height width"] | None
    predicted: Int[np.ndarray, "height width"]
    caption: str


class Entry(NamedTuple):
    """A class in the legend, or a word without a colour."""

    x: float
    """Inches from the left of the legend."""
    name: str
    colour: str | None

    @property
    def end(self) -> float:
        """Where the next one begins."""
        return self.x + 0.45 + 0.075 * len(self.name)


def panels(
    shown: Sequence[Shown],
    palette: Palette,
    columns: int = 3,
    side: float = SIDE,
    theme: Theme = LIGHT,
    legend_lines: int | None = None,
) -> Figure:
    """Each example as image, truth (if known) and prediction side by side, over its caption; under all, the colours.

    Args:
      shown: at least one.
      palette: what the labels mean.
      columns: examples in a row.
      side: inches of a panel.
      theme: colours.
      legend_lines: how many have room, at least one, whatever is shown; by default as many as are needed.
    """
    kinds = ["image", *(["true"] if shown[0].true is not None else []), "predicted"]
    columns = min(columns, len(shown))
    room = width_of(len(kinds), columns, side) - 2 * GAP
    legend = _legend(_present(shown, palette), palette, room, legend_lines)
    legend_lines = len(legend) if legend_lines is None else legend_lines
    strips = [Strip(_pictures(example, palette), example.caption) for example in shown]
    figure, axes, top = board(strips, kinds, columns, side, LINE * (legend_lines + 0.5), theme)
    for line, entries in enumerate(legend):
        for entry in entries:
            _draw_entry(axes, entry, (2 * GAP, top + LINE * (line + 0.4)), theme)
    return figure


def _pictures(example: Shown, palette: Palette) -> list[np.ndarray]:
    maps = [labels for labels in (example.true, example.predicted) if labels is not None]
    return [example.image, *(palette.over(example.image, labels) for labels in maps)]


def _present(shown: Sequence[Shown], palette: Palette) -> list[int]:
    """The classes that have a colour somewhere."""
    maps = [labels for example in shown for labels in example[1:3] if labels is not None]
    found = sorted({int(label) for labels in maps for label in np.unique(labels)})
    return [label for label in found if label not in (palette.background, palette.ignore)]


def _legend(labels: Sequence[int], palette: Palette, width: float, most: int | None) -> list[list[Entry]]:
    """Lines of entries of a legend of a width in inches; where there are too many, the last one says how many more."""
    lines: list[list[Entry]] = []
    x = 0.0
    for count, label in enumerate(labels):
        entry = Entry(x, shorten(palette.names[label]), class_colour(label))
        if not lines or entry.end > width:
            if lines and len(lines) == most:
                return _cut(lines, len(labels) - count, width)
            lines.append([])
            entry = entry._replace(x=0.0)
        lines[-1].append(entry)
        x = entry.end
    return lines


def _cut(lines: list[list[Entry]], missing: int, width: float) -> list[list[Entry]]:
    """The lines with "and N more" at their end, in place of as many entries as that takes."""
    *before, last = lines
    while True:
        more = Entry(last[-1].end if last else 0.0, f"and {missing} more", None)
        if not last or more.end <= width:
            return [*before, [*last, more]]
        last, missing = last[:-1], missing + 1


def _draw_entry(axes: Axes, entry: Entry, corner: tuple[float, float], theme: Theme) -> None:
    from matplotlib.patches import Rectangle

    left, y = corner[0] + entry.x, corner[1]
    if entry.colour is not None:
        axes.add_patch(Rectangle((left, y), 0.14, 0.14, facecolor=entry.colour, linewidth=0))
        left += 0.2
    axes.text(left, y + 0.07, entry.name, color=theme.ink, va="center", **WORDS)
