"""Many small images as one picture: in rows and columns, with words beside the rows."""

from __future__ import annotations

import typing
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from train.report.figures import viewable
from train.report.theme import LIGHT, Theme, new_figure

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE, GAP, LETTER = 0.6, 0.06, 0.07
"""Of an image, between images, and of a letter of what is said of a row; in inches."""


def mosaic(
    images: Sequence[Sequence[UInt8[np.ndarray, "height width channels"]]],
    said: Sequence[str] = (),
    theme: Theme = LIGHT,
    side: float = SIDE,
) -> Figure:
    """Images of one size in rows, their pixels as squares.

    Args:
      images: row by row; at least one.
      said: plain text at the left of each row; by default nothing.
      theme: colours.
      side: inches of an image's width.
    """
    left = GAP + LETTER * max(map(len, said), default=0) + (GAP if any(said) else 0)
    rows, columns = len(images), max(map(len, images))
    high, wide = images[0][0].shape[:2]
    tall = side * high / wide
    width, height = left + columns * (side + GAP), GAP + rows * (tall + GAP)
    figure = new_figure(width, height, theme)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))  # in inches from the upper left corner
    axes.set_axis_off()
    for row, line in enumerate(images):
        top = GAP + row * (tall + GAP)
        if any(said):
            axes.text(GAP, top + tall / 2, said[row], fontsize=8, color=theme.ink, va="center", parse_math=False)
        for column, image in enumerate(line):
            x = left + column * (side + GAP)
            shades = {"cmap": "gray", "vmin": 0, "vmax": 255} if viewable(image).ndim == 2 else {}
            axes.imshow(viewable(image), extent=(x, x + side, top + tall, top), interpolation="nearest", **shades)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    return figure


def as_bytes(pixels: Float[np.ndarray, "*image"]) -> UInt8[np.ndarray, "*image"]:
    """Pixels from 0 to 1 as bytes.

    >>> as_bytes(np.array([0.0, 0.5, 1.2])).tolist()
    [0, 128, 255]
    """
    return np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
