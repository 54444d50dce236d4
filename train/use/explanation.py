"""The picture of what a model sees in an image: every panel says in words what it shows.

Lecture row L38. Pure, from arrays to a `matplotlib.figure.Figure`.
"""

from __future__ import annotations

import dataclasses
import math
import textwrap
import typing
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from train.report.figures import SMALL_IMAGE
from train.report.theme import LIGHT, Theme, new_figure
from train.report.words import shorten

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Picture = Float[np.ndarray, "height width channels"]
Map = Float[np.ndarray, "height width"]

SIDE, GAP, MARGIN = 2.0, 0.25, 0.3  # inches
SMALL = 1.12  # of a feature map's side
CLASSES_SHOWN = 5
MAPS_SHOWN = 7
STAGES_SHOWN = 6
FILTERS_SHOWN = 64
HEAT = "magma"


@dataclasses.dataclass(frozen=True)
class Stage:
    """One named feature."""

    name: str
    channels: int
    stride: int
    """Pixels of the image from one place of the maps to the next."""
    shown: Sequence[int]
    """The channels of `maps`, the strongest first."""
    maps: Float[np.ndarray, "shown height width"]
    projection: Picture
    """The strongest channel's activation sent back to the pixels."""


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What is drawn; pictures are in [0, 1], gradients signed."""

    title: str
    image: Picture
    scores: Sequence[tuple[str, float]]
    """Every class with its probability, in the model's order."""
    label: int
    """The class that is explained."""
    layer: str
    """Where Grad-CAM looked."""
    evidence: Map
    """Grad-CAM, of the image's size."""
    gradient: Picture
    """Of the class's logit."""
    guided: Picture
    """The same by guided backpropagation."""
    has_relus: bool
    """Whether guided gradients are more than the plain ones; other activations hold nothing back."""
    dream: Picture
    """The image made to excite the class."""
    dream_score: float
    """The probability of the class in it."""
    filters: Float[np.ndarray, "filters height width channels"]
    stages: Sequence[Stage]


def explanation(found: Explanation, theme: Theme = LIGHT) -> Figure:
    """One page: prediction and evidence above, then filters, then a row for each stage."""
    width = 2 * MARGIN + 6 * SIDE + 5 * GAP
    filters = _mosaic(found.filters[:FILTERS_SHOWN], columns=32)
    strip = (width - 2 * MARGIN) * min(1.0, len(found.filters) / 32) * filters.shape[0] / filters.shape[1]
    strip = min(strip, SMALL)
    stage_pitch = SMALL + 0.34
    height = 0.75 + 3.55 + 0.5 + strip + 0.75 + len(found.stages) * stage_pitch
    page = _Page(new_figure(width, height, theme), width, height, theme)
    page.text(MARGIN, 0.2, found.title, size=14, weight="bold")
    _evidence(page, found, top=0.75)

    top = 4.3
    page.heading(MARGIN, top, "First layer: its filters", "red, green, blue as they are; mid-grey is zero")
    page.picture(filters, MARGIN, top + 0.42, strip * filters.shape[1] / filters.shape[0], strip, crisp=True)
    top += 0.5 + strip + 0.3
    page.heading(MARGIN, top, "What each stage computes of this image", _of_stages(found))
    for i, stage in enumerate(found.stages):
        _stage(page, stage, found.image, top + 0.55 + i * stage_pitch)
    return page.figure


def _evidence(page: _Page, found: Explanation, top: float) -> None:
    """The row of six panels."""
    label = shorten(found.scores[found.label][0], 16)
    side = found.image.shape[0]
    guided = "positive gradients alone pass each ReLU: edges and textures that speak for it"
    plain = "no ReLU here that could hold back negative gradients: this is the plain gradient, signed"
    panels = [
        ("The image", f"as the network sees it, {side} × {found.image.shape[1]} pixels", found.image, {}),
        None,
        (f"Where is “{label}”?", f"Grad-CAM: where the maps of {found.layer} raise its logit", _overlay(found), {}),
        (
            "Which pixels matter?",
            f"saliency: how much each pixel moves the logit of “{label}”",
            np.abs(found.gradient).max(axis=-1),
            _HEAT,
        ),
        ("What do they show?", f"guided gradients: {guided}" if found.has_relus else plain, _signed(found.guided), {}),
        (
            f"A perfect “{label}”",
            f"made from noise to raise this logit; the network is {100 * found.dream_score:.0f} % sure of it",
            found.dream,
            {},
        ),
    ]
    for i, panel in enumerate(panels):
        left = MARGIN + i * (SIDE + GAP)
        if panel is None:
            _prediction(page, found, left, top)
            continue
        title, caption, pixels, options = panel
        page.heading(left, top, title)
        page.picture(pixels, left, top + 0.3, SIDE, SIDE, **options)
        page.text(left, top + 0.3 + SIDE + 0.1, textwrap.fill(caption, 33), size=8, colour=page.theme.muted)


def _prediction(page: _Page, found: Explanation, left: float, top: float) -> None:
    """The best classes, and the explained one, as bars."""
    page.heading(left, top, "What it says")
    order = sorted(range(len(found.scores)), key=lambda i: -found.scores[i][1])[:CLASSES_SHOWN]
    if found.label not in order:
        order[-1] = found.label
    for row, i in enumerate(order):
        name, score = found.scores[i]
        y = top + 0.32 + row * 0.4
        colour = page.theme.orange if i == found.label else page.theme.blue
        page.text(left, y, shorten(name, 24), size=8.5, weight="bold" if i == found.label else "normal")
        page.bar(left, y + 0.19, SIDE - 0.55, 0.09, page.theme.line)
        page.bar(left, y + 0.19, (SIDE - 0.55) * score, 0.09, colour)
        page.text(left + SIDE - 0.48, y + 0.15, f"{100 * score:.1f} %", size=8.5)
    rest = len(found.scores) - len(order)
    caption = "probability of each class" if rest <= 0 else f"the most probable of {len(found.scores)} classes"
    text = f"{caption}; orange is the one that the other panels explain"
    page.text(left, top + 0.3 + SIDE + 0.1, textwrap.fill(text, 33), size=8, colour=page.theme.muted)


def _stage(page: _Page, stage: Stage, image: Picture, top: float) -> None:
    """A row: what the stage is, its maps, and what excites the first: the part of the image, and what of it."""
    step = SMALL + 0.16
    left = MARGIN + 1.72
    height, width = stage.maps.shape[1:]
    page.text(MARGIN, top + 0.16, stage.name, size=11, weight="bold")
    pixels = "each pixel" if stage.stride == 1 else f"every {stage.stride} pixels"
    about = f"{stage.channels:,} maps\n{height} × {width} places\none for {pixels}"
    page.text(MARGIN, top + 0.42, about, size=8, colour=page.theme.muted, linespacing=1.45)
    low, high = min(0.0, float(stage.maps.min())), float(stage.maps.max()) or 1.0
    for i, (channel, values) in enumerate(zip(stage.shown, stage.maps, strict=True)):
        page.text(left + i * step, top, f"map {channel}", size=7.5, colour=page.theme.muted)
        page.picture(values, left + i * step, top + 0.15, SMALL, SMALL, cmap=HEAT, vmin=low, vmax=high)
    if len(stage.shown):
        left += MAPS_SHOWN * step + 0.1
        part = _around(stage.projection)
        for i, (title, pixels) in enumerate(
            (
                (f"what map {stage.shown[0]} sees", image[part]),
                ("and what of it counts", _signed(stage.projection[part])),
            )
        ):
            page.text(left + i * step, top, title, size=7.5, colour=page.theme.orange)
            page.picture(pixels, left + i * step, top + 0.15, SMALL, SMALL)


def _of_stages(found: Explanation) -> str:
    how = "sent back through the network by a deconvnet" if found.has_relus else "its gradient"
    return (
        f"the {MAPS_SHOWN} most active maps of each, bright is active, black is zero or the least; "
        f"at the right what the most active place of the first sees, and that, {how}"
    )


_HEAT = {"cmap": HEAT, "vmin": 0.0}


def _overlay(found: Explanation) -> Picture:
    """The image in grey, warm where the evidence is."""
    from matplotlib import colormaps

    grey = np.repeat(found.image.mean(axis=-1, keepdims=True), 3, axis=-1)
    evidence = found.evidence / (found.evidence.max() or 1.0)
    return 0.45 * grey + 0.55 * colormaps[HEAT](evidence)[..., :3]


def _signed(gradient: Picture) -> Picture:
    """Mid-grey for zero; the largest half per cent is cut off, or one pixel would hide the rest."""
    limit = float(np.quantile(np.abs(gradient), 0.995)) or float(np.abs(gradient).max()) or 1.0
    return np.clip(0.5 + 0.5 * gradient / limit, 0, 1)


def _around(gradient: Picture) -> tuple[slice, slice]:
    """The smallest part of an image that holds all that is not zero, square where the image has room."""
    extents = [np.flatnonzero(gradient.any(axis=axes)) for axes in ((1, 2), (0, 2))]
    if not len(extents[0]):
        return slice(None), slice(None)
    side = max(int(np.ptp(extent)) for extent in extents) + 1
    firsts = [(extent[0] + extent[-1] + 1 - side) // 2 for extent in extents]
    starts = [int(np.clip(first, 0, max(n - side, 0))) for first, n in zip(firsts, gradient.shape[:2], strict=True)]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def _mosaic(tiles: Float[np.ndarray, "n height width channels"], columns: int) -> Picture:
    """Tiles in rows of `columns`, white between; each weight is enlarged, so that gaps are thinner than a weight."""
    enlarged = max(1, 24 // max(tiles.shape[1:3]))
    count, channels = len(tiles), tiles.shape[-1]
    tiles = tiles.repeat(enlarged, axis=1).repeat(enlarged, axis=2)
    height, width = tiles.shape[1] + 3, tiles.shape[2] + 3
    columns = min(columns, count)
    mosaic = np.ones((math.ceil(count / columns) * height, columns * width, channels))
    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        mosaic[row * height : row * height + height - 3, column * width : column * width + width - 3] = tile
    return mosaic[:-3, :-3]


class _Page:
    """A figure that is drawn on in inches from the upper left corner."""

    def __init__(self, figure: Figure, width: float, height: float, theme: Theme) -> None:
        self.figure, self.theme = figure, theme
        figure.set_layout_engine("none")
        self.axes: Axes = figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()

    def text(self, left: float, top: float, text: str, size: float, colour: str | None = None, **options: Any) -> None:
        """Lines of plain text under `top`."""
        colour = colour or self.theme.ink
        self.axes.text(left, top, text, fontsize=size, color=colour, va="top", parse_math=False, **options)

    def heading(self, left: float, top: float, text: str, more: str = "") -> None:
        """The title of a panel, and under it what it shows."""
        self.text(left, top, text, size=10, weight="bold")
        if more:
            self.text(left, top + 0.2, more, size=8, colour=self.theme.muted)

    def bar(self, left: float, top: float, width: float, height: float, colour: str) -> None:
        """A filled box."""
        self.axes.add_patch(_rectangle((left, top), width, height, facecolor=colour, linewidth=0))

    def picture(self, pixels: np.ndarray, left: float, top: float, width: float, height: float, **options: Any) -> None:
        """A picture or map that fills a box as far as its proportions allow."""
        rows, columns = pixels.shape[:2]
        scale = min(width / columns, height / rows)
        shown = pixels.mean(axis=-1) if pixels.ndim == 3 and pixels.shape[-1] != 3 else pixels
        if shown.ndim == 2 and "cmap" not in options:
            options |= {"cmap": "gray", "vmin": 0, "vmax": 1}
        crisp = options.pop("crisp", False) or max(rows, columns) < SMALL_IMAGE
        extent = (left, left + scale * columns, top + scale * rows, top)
        options["interpolation"] = "nearest" if crisp else "antialiased"
        self.axes.imshow(shown, extent=extent, aspect="auto", **options)


def _rectangle(*arguments: Any, **options: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(*arguments, **options)
