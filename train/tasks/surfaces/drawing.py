"""Maps of surfaces as pictures: depth in colours with their bar, normals as colours, paint and light as they look."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from train.report.strips import GAP, LINE, WORDS, Strip, board
from train.report.theme import LIGHT, Theme

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 1.05
"""Of a panel, in inches."""
BAR = 2.0
"""Length of the colour bar, in inches."""
UNKNOWN = (64, 96, 128)
"""The colour of pixels of which nothing is known."""
COLOURS = "viridis_r"
"""Of depth, from near to far: bright is near."""
GAMMA = 2.2
"""Reflectance and shading are in linear light, screens are not."""
MEANING = "normals: red right, green up, blue towards the viewer"

Map = Float[np.ndarray, "height width channels"]
Picture = UInt8[np.ndarray, "height width 3"]
Metres = tuple[float, float]


class Shown(NamedTuple):
    """One example to show."""

    image: UInt8[np.ndarray, "height width channels"]
    true: Mapping[str, Map]
    """Empty where nobody knows."""
    predicted: Mapping[str, Map]
    caption: str


def coloured(name: str, values: Map, metres: Metres = (0.0, 1.0)) -> Picture:
    """A map as a picture.

    Args:
      name: "depth", "normals", or one of linear light.
      values: of the map; pixels that are not finite get the colour of what is unknown.
      metres: depths that have the first and the last colour.

    >>> coloured("normals", np.array([[[0.0, 0.0, -1.0], [np.nan, 0.0, 0.0]]]))[0].tolist()  # a wall
    [[128, 128, 255], [64, 96, 128]]
    """
    known = np.isfinite(values).all(axis=-1, keepdims=True)
    values = np.where(known, values, 0)
    match name:
        case "depth":
            from matplotlib import colormaps

            nearest, furthest = metres
            share = (values[..., 0] - nearest) / max(furthest - nearest, 1e-6)
            colours = colormaps[COLOURS](np.clip(share, 0, 1))[..., :3]
        case "normals":
            colours = (1 + values * np.array([1, -1, -1])) / 2
        case _:
            colours = np.clip(values, 0, 1) ** (1 / GAMMA)
    pixels = np.rint(255 * np.clip(colours, 0, 1)).astype(np.uint8)
    return np.where(known, pixels, np.array(UNKNOWN, np.uint8))


def panels(shown: Sequence[Shown], columns: int = 1, side: float = SIDE, theme: Theme = LIGHT) -> Figure:
    """Each example as image and maps, true ones (if known) before predicted ones, over its caption.

    All depths have one scale, whose bar is under all.

    Args:
      shown: at least one.
      columns: examples in a row.
      side: inches of a panel.
      theme: colours.
    """
    names = list(shown[0].predicted)
    kinds = ["true ", ""] if shown[0].true else [""]
    titles = ["image", *(f"{kind}{name}" for name in names for kind in kinds)]
    metres = span_of(shown)
    strips = [Strip(_pictures(example, names, metres), example.caption) for example in shown]
    columns, least = min(columns, len(shown)), BAR + 3.2
    figure, axes, top = board(strips, titles, columns, side, 1.6 * LINE, theme, least)
    _legend(axes, names, metres, top + 0.6 * LINE, theme)
    return figure


def span_of(shown: Sequence[Shown]) -> Metres:
    """The nearest and the furthest depth: of what is true where that is known, else of what is predicted."""
    maps = [(example.true or example.predicted).get("depth", np.zeros(0)) for example in shown]
    known = np.concatenate([depth[np.isfinite(depth) & (depth > 0)] for depth in maps])
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)


def _pictures(example: Shown, names: Sequence[str], metres: Metres) -> list[np.ndarray]:
    pictures: list[np.ndarray] = [example.image]
    for name in names:
        if example.true:
            pictures.append(coloured(name, example.true[name], metres))
        pictures.append(coloured(name, example.predicted[name], metres))
    return pictures


def _legend(axes: Axes, names: Sequence[str], metres: Metres, top: float, theme: Theme) -> None:
    """The bar of depth's colours between its nearest and its furthest, and what the colours of normals mean."""
    words = {"color": theme.ink, "va": "center", **WORDS}
    left, middle = 2 * GAP, top + LINE / 4
    if "depth" in names:
        bar = coloured("depth", np.linspace(*metres, 256)[None, :, None], metres)
        axes.text(left, middle, f"{metres[0]:.1f} m", **words)
        axes.imshow(bar, extent=(left + 0.5, left + 0.5 + BAR, top + LINE / 2, top))
        axes.text(left + 0.6 + BAR, middle, f"{metres[1]:.1f} m", **words)
        left += BAR + 1.3
    if "normals" in names:
        axes.text(left, middle, MEANING if "depth" not in names else MEANING.removesuffix(" the viewer"), **words)
