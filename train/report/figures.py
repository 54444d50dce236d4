"""Figures of a run: confusion matrix, contact sheet, first-layer filters, residuals; `curves.py` has its curves.

Lecture row L32 (visualise the filters). Every function is pure, from arrays to a `matplotlib.figure.Figure`:
no pyplot, no global state, and matplotlib itself is imported on first use.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.report.theme import LIGHT, Theme, heading, labels, new_figure, rgb, style
from train.report.words import shorten

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure


NUMBERED_CLASSES = 20  # up to here a cell of the matrix is large enough for its count
LARGEST_FILTERS = 64
SMALL_IMAGE = 64  # pixels; below this, enlarged pixels should stay squares


def confusion_matrix(
    matrix: Int[np.ndarray, "classes classes"], class_names: Sequence[str], theme: Theme = LIGHT
) -> Figure:
    """Confusion matrix: rows are true classes, columns predicted ones.

    The depth of a colour is the square root of the share of its row, so that a single error is seen; blue is
    right and orange wrong. Counts are written in up to 20 classes. A class without examples has a dash.
    """
    count = len(class_names)
    if matrix.shape != (count, count):
        raise ValueError(f"expected a matrix of ({count}, {count}) for {count} classes, got {matrix.shape}")
    numbered = count <= NUMBERED_CLASSES
    side = min(max(3.4, 0.42 * count + 1.4), 9.0)
    figure = new_figure(side, side, theme)
    axes = figure.add_subplot()
    style(axes, theme, grid=False)
    axes.imshow(_confusion_colours(matrix, theme), interpolation="nearest")
    support = matrix.sum(axis=1)
    if numbered:
        strength = np.sqrt(matrix / np.maximum(support, 1)[:, None])
        for (row, column), number in np.ndenumerate(matrix):
            if number:
                ink = theme.paper if strength[row, column] > 0.6 else theme.ink
                axes.text(column, row, f"{number:,}", ha="center", va="center", color=ink, fontsize=8)
        for row in np.flatnonzero(support == 0):
            axes.text(row, row, "–", ha="center", va="center", color=theme.muted, fontsize=8)
    every = math.ceil(count / 34)  # labels stay apart down to this many a side
    ticks = np.arange(0, count, every)
    names = [shorten(class_names[tick]) for tick in ticks]
    upright = max(map(len, names)) <= 2
    size = 8 if numbered else 6.5
    axes.set_xticks(ticks, names, rotation=0 if upright else 90, fontsize=size, parse_math=False)
    axes.set_yticks(ticks, names, fontsize=size, parse_math=False)
    labels(axes, theme, "predicted class", "true class")
    axes.spines[:].set_visible(False)
    return figure


def contact_sheet(
    images: Sequence[UInt8[np.ndarray, "height width channels"]],
    titles: Sequence[str],
    columns: int,
    theme: Theme = LIGHT,
    colours: Sequence[str] | None = None,
) -> Figure:
    """Images in rows of `columns`, each over its title; grey, RGB or RGBA.

    Args:
        images: grey for one channel; for two, or more than four, the mean over channels is shown as grey.
        titles: one an image, drawn as plain text; may have several lines.
        columns: images a row, at least 1.
        theme: colours.
        colours: one an image, for its title; by default the ink of the theme.

    Raises:
        ValueError: for another shape or number of titles, or no column.
    """
    shapes = {np.shape(image) for image in images}
    if any(len(shape) != 3 for shape in shapes) or len(titles) != len(images) or columns < 1:
        raise ValueError(
            f"expected n images (height, width, channels), n titles and columns >= 1; "
            f"got {len(images)} images of {sorted(shapes)}, {len(titles)} titles and columns={columns}"
        )
    side, gap = 1.0, 0.15  # inches; a line of text is as high as a gap
    lines = max((title.count("\n") + 1 for title in titles), default=1)
    width, pitch = columns * (side + gap) + gap, side + (lines + 1.5) * gap
    height = max(math.ceil(len(images) / columns), 1) * pitch + gap
    figure = new_figure(width, height, theme)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))  # in inches from the upper left corner
    axes.set_axis_off()
    for index, (image, title) in enumerate(zip(images, titles, strict=True)):
        row, column = divmod(index, columns)
        left, top = gap + column * (side + gap), gap + row * pitch
        down, across = side * np.array(image.shape[:2]) / max(image.shape[:2])
        axes.imshow(viewable(image), extent=(left, left + across, top + down, top), **image_scale(image))
        colour = colours[index] if colours is not None else theme.ink
        axes.text(left, top + side + gap / 3, title, color=colour, fontsize=8, va="top", parse_math=False)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    return figure


def filter_grid(kernel: Float[np.ndarray, "height width cin cout"], theme: Theme = LIGHT) -> Figure:
    """The filters of a first convolution as a grid, all on one scale that is symmetric about zero.

    Three input channels are shown as red, green and blue, where mid-grey is zero. Otherwise each tile is one
    input channel of one filter, where blue is negative and red positive. At most 64 tiles are drawn.

    Raises:
        ValueError: for a kernel that is not (height, width, cin, cout).
    """
    if kernel.ndim != 4 or kernel.size == 0:
        raise ValueError(f"expected a convolution kernel (height, width, cin, cout), got shape {kernel.shape}")
    kernel = np.nan_to_num(np.asarray(kernel, dtype=np.float64), posinf=0.0, neginf=0.0)
    limit = float(np.abs(kernel).max()) or 1.0
    height, width, cin, filters = kernel.shape
    coloured = cin == 3
    channels_last = kernel.transpose(3, 0, 1, 2) if coloured else kernel.transpose(3, 2, 0, 1)[..., None]
    tiles = channels_last.reshape(-1, height, width, 3 if coloured else 1)[:LARGEST_FILTERS]
    total = filters if coloured else filters * cin
    columns = min(len(tiles), 8)
    mosaic = _mosaic(tiles, columns)
    rows = mosaic.shape[0] / mosaic.shape[1] * columns
    figure = new_figure(0.6 * max(columns, 5), 0.6 * rows + (0.4 if coloured else 0.75), theme)
    axes = figure.add_subplot()
    axes.set_axis_off()
    what = "filters" if coloured or cin == 1 else "input channels of filters"
    more = f", the first {len(tiles)} of {total}" if len(tiles) < total else ""
    title = f"{len(tiles) if not more else ''} {what} of {height}×{width}{more}".strip()
    axes.set_title(title, loc="left", fontsize=9, color=theme.muted)
    if coloured:
        paper = np.broadcast_to(rgb(theme.paper), mosaic.shape)
        axes.imshow(np.where(np.isnan(mosaic), paper, 0.5 + mosaic / (2 * limit)), interpolation="nearest")
        return figure
    drawn = axes.imshow(mosaic[..., 0], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.5, aspect=30, pad=0.03)
    bar.set_ticks([-limit, 0, limit], labels=[f"{-limit:.2g}", "0", f"{limit:.2g}"])
    bar.ax.tick_params(colors=theme.muted, labelsize=8, length=0)
    bar.outline.set_visible(False)
    return figure


def residuals(
    targets: Float[np.ndarray, " n"], predicted: Float[np.ndarray, " n"], unit: str = "", theme: Theme = LIGHT
) -> Figure:
    """Predicted against true values, and a histogram of predicted minus true.

    Examples with a value that is not finite are left out.
    """
    finite = np.isfinite(targets) & np.isfinite(predicted)
    targets, predicted = targets[finite].astype(np.float64), predicted[finite].astype(np.float64)
    suffix = f" ({unit})" if unit else ""
    figure = new_figure(8.6, 3.8, theme)
    scatter, histogram = figure.subplots(1, 2)
    style(scatter, theme)
    style(histogram, theme)
    heading(scatter, "Predicted against true", theme)
    heading(histogram, "Residuals", theme)
    labels(scatter, theme, "true" + suffix, "predicted" + suffix)
    labels(histogram, theme, "predicted − true" + suffix, "examples")
    if not len(targets):
        return figure
    low, high = min(targets.min(), predicted.min()), max(targets.max(), predicted.max())
    margin = 0.04 * (high - low) or 1.0
    scatter.plot([low - margin, high + margin], [low - margin, high + margin], color=theme.muted, lw=1, ls=(0, (4, 3)))
    alpha = float(np.clip(20 / math.sqrt(len(targets)), 0.15, 0.9))
    scatter.scatter(targets, predicted, s=14, color=theme.blue, alpha=alpha, linewidths=0)
    scatter.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), aspect="equal")
    errors = predicted - targets
    bins = int(np.clip(2 * len(errors) ** (1 / 3), 1, 60))  # Rice's rule
    histogram.hist(errors, bins=bins, color=theme.blue, edgecolor=theme.paper, linewidth=0.6)
    histogram.axvline(0, color=theme.muted, lw=1, ls=(0, (4, 3)))
    histogram.grid(axis="x", visible=False)
    return figure


def viewable(image: UInt8[np.ndarray, "height width channels"]) -> UInt8[np.ndarray, "height width *rgb"]:
    """The image as a screen shows it: (height, width) for grey, else (height, width, 3 or 4).

    >>> viewable(np.zeros((8, 8, 1), np.uint8)).shape, viewable(np.zeros((8, 8, 3), np.uint8)).shape
    ((8, 8), (8, 8, 3))
    """
    channels = image.shape[-1]
    if channels == 1:
        return image[..., 0]
    if channels in (3, 4):
        return image
    return image.mean(axis=-1).round().astype(np.uint8)


def image_scale(image: np.ndarray) -> dict[str, Any]:
    """How `imshow` shows it: 0 is black and 255 white whatever the image holds, small ones as crisp squares."""
    small = max(image.shape[:2]) < SMALL_IMAGE
    return {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest" if small else "antialiased"}


def _mosaic(
    tiles: Float[np.ndarray, "n height width channels"], columns: int
) -> Float[np.ndarray, "rows width channels"]:
    """Tiles in rows of `columns`, NaN between them and where the last row is short.

    Each weight is enlarged to 8x8 pixels, so that the gap can be thinner than a weight.
    """
    scale, gap = 8, 4
    count, height, width, channels = tiles.shape
    rows = math.ceil(count / columns)
    mosaic = np.full((rows, height * scale + gap, columns, width * scale + gap, channels), np.nan)
    large = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    for index, tile in enumerate(large):
        row, column = divmod(index, columns)
        mosaic[row, :-gap, column, :-gap] = tile
    return mosaic.reshape(rows * (height * scale + gap), -1, channels)[:-gap, :-gap]


def _confusion_colours(matrix: np.ndarray, theme: Theme) -> np.ndarray:
    """RGB of each cell: paper blended with blue (diagonal) or orange by the root of its share of the row."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    strength = np.sqrt(share)[..., None]
    right = np.eye(len(matrix), dtype=bool)[..., None]
    hue = np.where(right, rgb(theme.blue), rgb(theme.orange))
    empty = 0.25 * rgb(theme.line) + 0.75 * rgb(theme.paper)
    return (1 - strength) * empty + strength * hue
