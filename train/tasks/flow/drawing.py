"""Flow in colours beside its images: what is true, what is predicted, how far that is off, and the wheel of colours."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from train.report.strips import GAP, LINE, WORDS, Strip, board
from train.report.theme import LIGHT, Theme
from zoo.dense.flow_colour import UNKNOWN, flow_to_colour, length_of, wheel_picture

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 1.3
"""Of a panel, in inches."""
WHEEL = 0.7
"""Of the wheel, in inches."""


class Shown(NamedTuple):
    """One pair to show."""

    image: UInt8[np.ndarray, "height width channels"]
    true: Float[np.ndarray, "height width 2"] | None
    predicted: Float[np.ndarray, "height width 2"]
    caption: str


def panels(
    shown: Sequence[Shown], columns: int = 2, side: float = SIDE, theme: Theme = LIGHT, longest: float | None = None
) -> Figure:
    """Each pair as first image, flow and error over its caption; under all, what the colours mean.

    All flows have one scale: the full colour is the longest vector, true ones if they are known.

    Args:
      shown: at least one.
      columns: pairs in a row.
      side: inches of a panel.
      theme: colours.
      longest: the length that has the full colour, in pixels; by default the largest that is shown.
    """
    has_true = shown[0].true is not None
    kinds = ["first image", *(["true flow"] if has_true else []), "predicted", *(["error"] if has_true else [])]
    longest = longest_of(shown) if longest is None else longest
    strips = [Strip(_pictures(pair, longest), pair.caption) for pair in shown]
    figure, axes, top = board(strips, kinds, min(columns, len(shown)), side, WHEEL + LINE, theme)
    top += LINE / 2
    wheel = np.asarray(wheel_picture(), float) / 255
    corners = wheel.min(axis=-1) == 1  # white beyond the disc, on a dark page too: nothing
    corners &= length_of(np.stack(np.meshgrid(*[np.linspace(-1, 1, len(wheel))] * 2), axis=-1)) > 1
    wheel = np.concatenate([wheel, ~corners[..., None]], axis=-1)
    axes.imshow(wheel, extent=(2 * GAP, 2 * GAP + WHEEL, top + WHEEL, top))
    meaning = f"towards the colour; at the rim {longest:.1f} pixels" + (
        ". Errors: black none, white as long" if has_true else ""
    )
    axes.text(4 * GAP + WHEEL, top + WHEEL / 2, meaning, color=theme.ink, va="center", **WORDS)
    return figure


def longest_of(shown: Sequence[Shown]) -> float:
    """The longest vector: of true flows where they are known, else of predicted ones; at least a tenth of a pixel."""
    flows = [pair.predicted if pair.true is None else pair.true for pair in shown]
    lengths = [length_of(np.nan_to_num(flow, nan=0.0, posinf=0.0, neginf=0.0)).max(initial=0.0) for flow in flows]
    return max(0.1, float(max(lengths)))


def _pictures(pair: Shown, longest: float) -> list[np.ndarray]:
    predicted = flow_to_colour(pair.predicted, longest)
    if pair.true is None:
        return [pair.image, predicted]
    return [pair.image, flow_to_colour(pair.true, longest), predicted, error_map(pair.predicted, pair.true, longest)]


def error_map(
    predicted: Float[np.ndarray, "height width 2"], true: Float[np.ndarray, "height width 2"], longest: float
) -> UInt8[np.ndarray, "height width 3"]:
    """The end-point error from black, none, to white, as long as the longest vector; where nothing is known grey-blue.

    >>> error_map(np.zeros((1, 2, 2)), np.array([[[3.0, 4.0], [np.nan, 0.0]]]), 10.0)[0].tolist()
    [[127, 127, 127], [64, 96, 128]]
    """
    error = length_of(predicted - true)
    known = np.isfinite(error)
    grey = (255 * np.clip(np.where(known, error, 0) / longest, 0, 1)).astype(np.uint8)[..., None]
    return np.where(known[..., None], grey, np.array([UNKNOWN // 2, 3 * UNKNOWN // 4, UNKNOWN], np.uint8))
