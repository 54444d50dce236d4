"""Parts that pages are made of: figures for light and dark readers, and examples with what is said of them."""

import typing
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from train.report import blocks
from train.report.figures import contact_sheet
from train.report.theme import DARK, LIGHT, Theme, png
from train.report.words import shorten

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure


class Example(NamedTuple):
    """An example that is shown."""

    row: int
    """Where in the data it is."""
    image: UInt8[np.ndarray, "height width channels"]
    caption: tuple[str, ...]
    """Lines of plain text: what is predicted, then more about it."""


def themed(draw: Callable[[Theme], "Figure"], description: str) -> tuple[str, bytes]:
    """A figure for light and for dark pages as one block, and the light one as a PNG."""
    figure = draw(LIGHT)
    width = round(96 * figure.get_figwidth())  # CSS pixels an inch: text keeps the size it was drawn for
    light, dark = png(figure), png(draw(DARK))
    return blocks.picture(light, dark, description, width), light


def examples(title: str, shown: Sequence[Example], order: str, wrong: bool = False) -> str:
    """A section with a grid of examples; `order` says which come first."""
    if not shown:
        return blocks.section(title, text="None.")
    words = [f"Example {example.row}: predicted {', '.join(example.caption)}" for example in shown]
    images, captions = [example.image for example in shown], [example.caption for example in shown]
    return blocks.section(title, blocks.tiles(images, captions, words, wrong), text=f"{len(shown)} shown, {order}.")


def sheet(wrong: Sequence[Example], right: Sequence[Example]) -> bytes:
    """Wrong predictions and then right ones, as one PNG."""
    shown = [*wrong, *right]
    titles = ["\n".join(shorten(line, 16) for line in example.caption) for example in shown]
    colours = [LIGHT.orange] * len(wrong) + [LIGHT.ink] * len(right)
    return png(contact_sheet([example.image for example in shown], titles, columns=6, colours=colours))


def drawn_examples(
    title: str, shown: Sequence[Any], draw: Callable[[Theme], "Figure"], order: str, text: str
) -> tuple[str, dict[str, bytes]]:
    """A section with one drawing of several examples, and that drawing as a file beside the page.

    Args:
      title: of the section.
      shown: what is drawn; where there is none, the section says so, and there is no file.
      draw: makes the drawing in a theme's colours.
      order: what the examples were chosen by, in words.
      text: what else there is to say of the drawing.
    """
    if not shown:
        return blocks.section(title, text="None."), {}
    block, light = themed(draw, f"{title}: {order}.")
    return blocks.section(title, block, text=f"{len(shown)} shown, {order}{text}"), {"predictions.png": light}
