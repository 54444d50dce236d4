"""One example with what is predicted of it, drawn: the image, and beside or under it classes and numbers."""

from __future__ import annotations

import typing
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from train.report.figures import image_scale, viewable
from train.report.theme import LIGHT, Theme, new_figure, pixels
from train.report.words import shorten

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE, GAP, LINE = 3.2, 0.3, 0.5  # inches

Bar = tuple[str, float, str]
"""A name, a share in [0, 1], and the share in words."""


def example_picture(
    image: UInt8[np.ndarray, "height width channels"],
    bars: Sequence[Bar] = (),
    caption: str = "",
    theme: Theme = LIGHT,
) -> UInt8[np.ndarray, "rows columns 3"]:
    """An image, enlarged if it is small, with bars at its right and a caption under it.

    Args:
      image: of any size; grey, RGB or RGBA, of other numbers of channels their mean.
      bars: the best first.
      caption: in large letters; plain text.
      theme: colours.
    """
    height, width = SIDE * np.array(image.shape[:2]) / max(image.shape[:2])
    below = LINE if caption else 0.0
    total = (width + 2 * GAP + (SIDE + GAP if bars else 0), height + 2 * GAP + below)
    total = (max(total[0], 2.4), max(total[1], 2 * GAP + LINE * len(bars)))
    figure = new_figure(*total, theme)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))  # in inches from the upper left corner
    axes.set(xlim=(0, total[0]), ylim=(total[1], 0))
    axes.set_axis_off()
    left = GAP if bars else (total[0] - width) / 2
    top = (total[1] - below - height) / 2
    axes.imshow(viewable(image), extent=(left, left + width, top + height, top), **image_scale(image))
    axes.set_aspect("auto")
    if caption:
        centre = left + width / 2
        axes.text(centre, top + height + 0.18, caption, fontsize=13, fontweight="bold", color=theme.ink,
                  ha="center", va="top", parse_math=False)  # fmt: skip
    if bars:
        _draw_bars(axes, bars, left + width + GAP, (total[1] - below - LINE * len(bars)) / 2, theme)
    return pixels(figure, dpi=150)


def _draw_bars(axes: Axes, bars: Sequence[Bar], left: float, top: float, theme: Theme) -> None:
    from matplotlib.patches import Rectangle

    for place, (name, share, text) in enumerate(bars):
        first, y = place == 0, top + place * LINE
        colour, weight = (theme.blue, "bold") if first else (theme.muted, "normal")
        words = {"fontsize": 11, "fontweight": weight, "color": theme.ink, "va": "bottom", "parse_math": False}
        axes.text(left, y + 0.27, shorten(name, 22), ha="left", **words)
        axes.text(left + SIDE, y + 0.27, text, ha="right", **words)
        for width, fill in ((SIDE, theme.line), (SIDE * min(max(share, 0.0), 1.0), colour)):
            axes.add_patch(Rectangle((left, y + 0.31), width, 0.09, facecolor=fill, linewidth=0))
