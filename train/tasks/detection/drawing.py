"""Images with their objects: what is there in thin white lines, what is predicted in the colours of the classes."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from train.report.figures import image_scale, viewable
from train.report.theme import LIGHT, Theme, new_figure, rgb
from train.report.words import shorten
from train.tasks.colours import class_colour
from zoo.detection.canvas import pasted

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, GAP, LINE = 2.1, 0.12, 0.16
"""Of an image, between images, of a line of text; in inches."""
COVER = 0.5
"""How much of a pixel under a mask is its class's colour."""
LARGEST = 320
"""Pixels a side of an image that is kept; a larger one is reduced to it."""
HALO = "#101418"
"""Around what has to be seen on any image, and of words on light colours."""
EDGED = 128
"""Pixels of an image's longer side from which on masks have a dark edge; of a smaller one it would be most of them."""


class Objects(NamedTuple):
    """Some objects, in pixels of the image."""

    boxes: Float[np.ndarray, "n 4"]
    """left, top, right, bottom."""
    classes: Int[np.ndarray, "n"]
    scores: Float[np.ndarray, "n"] | None = None
    """Of predictions."""
    masks: Shaped[np.ndarray, "n rows columns"] | None = None
    """Probabilities inside the boxes, or as bools the pixels of the image."""
    keypoints: Float[np.ndarray, "n points 3"] | None = None
    """x, y, and a number above 0 where there is one."""

    def some(self, which: Shaped[np.ndarray, "chosen"]) -> Self:
        """Those of a mask, or with these numbers."""
        return type(self)(*(None if value is None else value[which] for value in self))

    def scaled(self, scale: float) -> Self:
        """The same in an image whose sides are so many times as long; masks of pixels do not follow."""
        points = None if self.keypoints is None else self.keypoints * np.array([scale, scale, 1], np.float32)
        return self._replace(boxes=scale * self.boxes, keypoints=points)

    def pixels(self, height: int, width: int) -> Bool[np.ndarray, "n height width"] | None:
        """The masks in the pixels of the image."""
        if self.masks is None or self.masks.dtype == bool:
            return self.masks
        return pasted(self.masks, self.boxes, height, width)


def objects_of(some: Mapping[str, np.ndarray], least: float = 0.0) -> Objects:
    """The objects of one example that are real and at least as sure."""
    valid = some["valid"] & (some["scores"] >= least) if "scores" in some else some["valid"]
    return Objects(**{name: some[name][valid] for name in Objects._fields if name in some})


def reduced(images: UInt8[np.ndarray, "n height width channels"]) -> tuple[np.ndarray, float]:
    """Images of at most `LARGEST` pixels a side, and how long their sides are of what they were."""
    longer = max(images.shape[1:3])
    if longer <= LARGEST or not len(images):
        return images, 1.0
    from PIL import Image

    scale = LARGEST / longer
    height, width = (max(1, round(scale * side)) for side in images.shape[1:3])
    return np.stack([np.asarray(Image.fromarray(viewable(image)).resize((width, height))) for image in images]), scale


class Shown(NamedTuple):
    """One image to show."""

    image: UInt8[np.ndarray, "height width channels"]
    true: Objects | None
    predicted: Objects
    caption: str


def grid(
    shown: Sequence[Shown],
    names: Sequence[str],
    columns: int = 4,
    side: float = SIDE,
    theme: Theme = LIGHT,
    legend_lines: int | None = None,
) -> Figure:
    """Images with their objects in rows of `columns`, each over its caption; under all, the colours of the classes.

    Args:
      shown: at least one.
      names: of the classes.
      columns: images in a row.
      side: inches of an image's longer side.
      theme: colours.
      legend_lines: how many there are, whatever is shown; by default as many as are needed.
    """
    columns = min(columns, len(shown))
    lines = max(example.caption.count("\n") + 1 if example.caption else 0 for example in shown)
    tall = side * max(example.image.shape[0] / max(example.image.shape[:2]) for example in shown)
    step = side + GAP, tall + GAP + (lines + 0.5) * LINE
    width = columns * step[0] + GAP
    bottom = math.ceil(len(shown) / columns) * step[1] + GAP
    entries = list(_entries(shown, names, width))
    if legend_lines is None:
        legend_lines = 1 + entries[-1][2] if entries else 0
    height = bottom + 1.5 * LINE * legend_lines
    figure = new_figure(width, height, theme)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))  # in inches from the upper left corner
    axes.set_axis_off()
    for index, example in enumerate(shown):
        row, column = divmod(index, columns)
        corner = np.array([GAP + column * step[0], GAP + row * step[1]])
        _draw(axes, example, names, corner, side)
        below = corner[1] + tall + 0.04
        axes.text(corner[0], below, example.caption, color=theme.ink, fontsize=8, va="top", parse_math=False)
    for label, x, line in entries[: sum(line < legend_lines for *_, line in entries)]:
        _legend_entry(axes, label, names[label], (x, bottom + 1.5 * LINE * line), theme)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    return figure


def _entries(shown: Sequence[Shown], names: Sequence[str], width: float) -> Iterator[tuple[int, float, int]]:
    """The legend: each class that is predicted somewhere, where it begins in inches, and its line."""
    x, line = GAP, 0
    for label in sorted({int(label) for example in shown for label in example.predicted.classes}):
        advance = 0.42 + 0.075 * len(shorten(names[label]))
        if x + advance > width and x > GAP:
            x, line = GAP, line + 1
        yield label, x, line
        x += advance


def _legend_entry(axes: Axes, label: int, name: str, corner: tuple[float, float], theme: Theme) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(corner, 0.14, 0.14, facecolor=class_colour(label), linewidth=0))
    x, y = corner[0] + 0.2, corner[1] + 0.07
    axes.text(x, y, shorten(name), fontsize=8, color=theme.ink, va="center", parse_math=False)


def _draw(axes: Axes, example: Shown, names: Sequence[str], corner: np.ndarray, side: float) -> None:
    found, (rows, columns) = example.predicted, example.image.shape[:2]
    scale = side / max(rows, columns)
    (left, top), (right, bottom) = corner, corner + scale * np.array([columns, rows])
    image = viewable(example.image)
    masks = found.pixels(rows, columns)
    if masks is not None and len(masks):
        axes.imshow(covered(image, masks, found.classes), extent=(left, right, bottom, top), **image_scale(image))
    else:
        axes.imshow(image, extent=(left, right, bottom, top), **image_scale(image))
    if example.true is not None:
        for box in example.true.boxes:
            _outline(axes, corner + scale * box.reshape(2, 2), "white", 0.7)
        _points(axes, example.true, corner, scale, "x")
    for place in range(len(found.boxes))[::-1]:  # the best last, over the others
        corners = corner + scale * found.boxes[place].reshape(2, 2)
        _outline(axes, corners, class_colour(int(found.classes[place])), 1.2 if side < 3 else 2.0)
    _points(axes, found, corner, scale, "o")
    for place in range(len(found.boxes))[::-1]:
        _label(axes, found, place, names, (corner + scale * found.boxes[place, :2], top, side))


def covered(
    image: UInt8[np.ndarray, "height width *channels"],
    masks: Bool[np.ndarray, "n height width"],
    classes: Int[np.ndarray, "n"],
) -> UInt8[np.ndarray, "height width 3"]:
    """The image under the masks in the colours of their classes, the first over the others, each with a dark edge."""
    pixels = np.atleast_3d(image)[..., :3].astype(np.float64)
    drawn = np.repeat(pixels, 3 // pixels.shape[-1], axis=-1)
    free = np.ones(masks.shape[1:], bool)
    for mask, label in zip(masks, classes, strict=True):
        own = mask & free
        free &= ~mask
        drawn[own] = (1 - COVER) * drawn[own] + COVER * 255 * rgb(class_colour(int(label)))
        if max(own.shape) >= EDGED:
            around = np.pad(own, 1)
            inside = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
            drawn[own & ~inside] *= 0.55
    return np.rint(drawn).astype(np.uint8)


def _points(axes: Axes, objects: Objects, corner: np.ndarray, scale: float, marker: str) -> None:
    """Dots in the colour of the class for what is predicted, white crosses for what is there."""
    if objects.keypoints is None:
        return
    for points, label in zip(objects.keypoints, objects.classes, strict=True):
        at = corner + scale * points[points[:, 2] > 0, :2]
        if marker == "x":
            style = {"color": "white", "linewidths": 0.8, "s": 14}
        else:
            style = {"color": class_colour(int(label)), "edgecolors": "white", "linewidths": 0.5, "s": 12}
        axes.scatter(*at.T, marker=marker, zorder=3, **style)


def _outline(axes: Axes, corners: Float[np.ndarray, "2 2"], colour: str, width: float) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import Stroke

    across, down = corners[1] - corners[0]
    dark = [Stroke(linewidth=width + 0.8, foreground=HALO, alpha=0.55), Stroke(linewidth=width, foreground=colour)]
    axes.add_patch(
        Rectangle(tuple(corners[0]), across, down, fill=False, edgecolor=colour, linewidth=width, path_effects=dark)
    )


def _label(
    axes: Axes, found: Objects, place: int, names: Sequence[str], where: tuple[np.ndarray, float, float]
) -> None:
    """Class and score over a box, or in it where it begins at the image's upper border."""
    (x, y), top, side = where
    label = int(found.classes[place])
    score = "" if found.scores is None else f" {100 * found.scores[place]:.0f}"
    size = 5 if side < 1.5 else 6.5 if side < 3 else 9
    axes.text(
        x, y, f"{shorten(names[label], 12)}{score}", fontsize=size, color=_ink(class_colour(label)), zorder=4,
        va="bottom" if y > top + 0.1 * side else "top", parse_math=False,
        bbox={"facecolor": class_colour(label), "linewidth": 0, "pad": 0.8},
    )  # fmt: skip


def _ink(colour: str) -> str:
    """Of words that stand on a colour: its luminance is that of Rec. 709."""
    return HALO if rgb(colour) @ (0.2126, 0.7152, 0.0722) > 0.45 else "white"
