"""Checks of the exercises on detection: overlap, suppression, regions of a feature map. Rows L58, L60."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from zoo.detection.boxes import iou
from zoo.detection.nms import nms
from zoo.detection.roi import roi_pool
from zoo.exercises.mistakes import compare
from zoo.exercises.verdict import Verdict, Wrong, judged, numbers

_MOST = 40
"""Boxes of the largest set."""


def check_iou(function: Callable) -> Verdict:
    """Checks `iou(box, other)` of two boxes (left, top, right, bottom): a number from 0 to 1.

    >>> check_iou(lambda box, other: 1.0)
    Not yet: iou((0, 0, 4, 2), (2, 0, 6, 2)): expected 0.333333, got 1
    """
    return judged(lambda: _iou(function))


def _iou(function: Callable) -> str:
    cases = (
        ((0, 0, 4, 2), (2, 0, 6, 2)),
        ((0, 0, 4, 4), (0, 0, 4, 4)),
        ((0, 0, 2, 3), (5, 6, 9, 9)),
        ((0, 0, 3, 3), (5, 1, 8, 2)),
        ((1, 1, 9, 7), (3, 2, 5, 4)),
        ((0.5, 0, 3, 2.5), (2, 1, 4, 6)),
    )
    for box, other in cases:
        one, two = (np.array(each, np.float64) for each in (box, other))
        sides = np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2])
        areas = [np.prod(each[2:] - each[:2]) for each in (one, two)]
        both, unclipped = np.prod(np.maximum(sides, 0)), np.prod(sides)
        right = float(iou(one[None], two[None])[0, 0])
        mistakes = [
            ("Boxes that lie apart have sides below 0 in common: use max(0, side)", _share(unclipped, areas)),
            ("What is in both counts once in the union: subtract it", both / sum(areas)),
            ("That is the intersection: divide it by the union", both),
            ("Divide by the union, not by the smaller box", both / min(areas)),
            ("Right and bottom are corners, not the last pixel: no + 1", _with_one_more(one, two)),
        ]
        compare(f"iou({box}, {other})", function(box, other), right, *mistakes, tolerance=1e-6)
    return f"{len(cases)} pairs, some of which lie apart or in each other"


def _share(both: float, areas: list[float]) -> float:
    either = sum(areas) - both
    return both / either if either else math.inf


def _with_one_more(one: np.ndarray, two: np.ndarray) -> float:
    sides = np.maximum(np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2]) + 1, 0)
    areas = [np.prod(each[2:] - each[:2] + 1) for each in (one, two)]
    return _share(np.prod(sides), areas)


def check_nms(function: Callable) -> Verdict:
    """Checks `nms(boxes, scores, threshold)`: the numbers of the boxes that stay, the best first.

    >>> check_nms(lambda boxes, scores, threshold: np.argsort(-scores))
    Not yet: boxes that overlap by more than 0.5: expected [3, 1, 5], got [3, 1, 0, 4, 2, 5]. No box was suppressed
    """
    return judged(lambda: _nms(function))


def _nms(function: Callable) -> str:
    random = np.random.default_rng(0)
    rows = np.float32([[0, 0, 8, 8], [1, 0, 9, 8], [20, 0, 28, 9], [20, 1, 28, 9], [0, 1, 8, 9], [40, 5, 50, 9]])
    drawn = random.uniform(0, 30, (_MOST, 2)).astype(np.float32)
    cases = [
        (rows, np.float32([0.7, 0.8, 0.6, 0.9, 0.65, 0.1]), 0.5),
        (np.float32([[0, 0, 2, 1], [1, 0, 3, 1], [2, 0, 4, 1]]), np.float32([0.9, 0.8, 0.7]), 0.2),  # a chain
        (np.float32([[0, 0, 2, 1], [0, 0, 1, 1]]), np.float32([0.9, 0.8]), 0.5),  # at the threshold
        (np.concatenate([drawn, drawn + 12], axis=1), random.uniform(0, 1, _MOST).astype(np.float32), 0.3),
    ]
    for boxes, scores, threshold in cases:
        right = _by_library(boxes, scores, threshold)
        got = function(boxes.copy(), scores.copy(), threshold)
        found = numbers("the boxes that stay", list(got) if isinstance(got, tuple) else got).ravel().tolist()
        if found == right:
            continue
        what = f"boxes that overlap by more than {threshold:g}: expected {_some(right)}, got {_some(found)}"
        hints = [
            ("No box was suppressed", np.argsort(-scores).tolist()),
            ("Begin with the best score, not with the first box", _kept(boxes, -np.arange(len(boxes)), threshold)),
            ("Begin with the best score, not with the worst", _kept(boxes, -scores, threshold)),
            ("They come in the order of their scores", sorted(right)),
            ("A box that was suppressed suppresses no other", _kept_of_all(boxes, scores, threshold)),
            ("At the threshold both stay", _kept(boxes, scores, threshold - 1e-4)),
        ]
        hint = next((hint for hint, value in hints if found == value), "")
        raise Wrong(f"{what}. {hint}" if hint else what)
    return f"{len(cases)} sets of boxes, the largest of {len(drawn)}"


def _by_library(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """What stays; all sets have room for as many boxes, so that one program serves them."""
    room = np.zeros((_MOST, 5), np.float32)
    room[: len(boxes)] = np.column_stack([boxes, scores])
    kept, valid = _nms_of_most(room[:, :4], room[:, 4], np.float32(threshold), np.arange(_MOST) < len(boxes))
    return np.asarray(kept)[np.asarray(valid)].tolist()


@jax.jit
def _nms_of_most(boxes: Array, scores: Array, threshold: Array, valid: Array) -> tuple[Array, Array]:
    return nms(boxes, scores, threshold, _MOST, valid)


def _kept(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """The same box by box, in numpy: mistakes are made of it."""
    left, kept = np.argsort(-np.asarray(scores), kind="stable"), []
    while len(left):
        kept.append(int(left[0]))
        left = left[1:][iou(boxes[left[:1]], boxes[left[1:]])[0] <= threshold]
    return kept


def _kept_of_all(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """A usual mistake: a box goes as soon as any better one overlaps, suppressed or not."""
    order = np.argsort(-scores)
    overlap = iou(boxes[order], boxes[order]) > threshold
    return order[~np.tril(overlap, -1).any(axis=1)].tolist()


def _some(kept: list[Any]) -> str:
    shown = ", ".join(f"{number:g}" for number in kept[:6])
    return f"[{shown}{', ...' if len(kept) > 6 else ''}]"


def check_roi_pool(function: Callable) -> Verdict:
    """Checks `roi_pool(grid, box, bins)`: the greatest value in each of `bins` x `bins` parts of the rounded box.

    >>> check_roi_pool(lambda grid, box, bins: np.full((bins, bins), grid.max()))
    Not yet: box (0, 0, 7, 7) in 2x2 bins at (0, 0): expected 0.96, got 0.98
    """
    return judged(lambda: _roi_pool(function))


def _roi_pool(function: Callable) -> str:
    grid = np.round(np.random.default_rng(1).uniform(0, 1, (8, 8)), 2).astype(np.float32)
    cases = (((0, 0, 7, 7), 2), ((1.3, 0.8, 6.6, 5.9), 2), ((0.6, 2.2, 5.4, 7.1), 3), ((2, 1, 6, 5), 2))
    pool = jax.jit(roi_pool, static_argnums=(2, 3))
    for box, bins in cases:
        right = np.asarray(pool(grid[None, ..., None], np.float32([[box]]), bins, 1.0))[0, 0, ..., 0]
        mistakes = [
            ("x goes along columns and y along rows", right.T),
            ("The box's last row and column belong to it: right and bottom are rounded, and included",
             _pooled(grid, box, bins, last=0)),
            ("Round the corners to the nearest place", _pooled(grid, box, bins, rounding=math.floor)),
            ("Parts share a row or column where the box is not divided evenly: round their ends up",
             _pooled(grid, box, bins, up=math.floor)),
            ("The greatest value, not the mean", _pooled(grid, box, bins, of=np.mean)),
        ]  # fmt: skip
        compare(f"box {box} in {bins}x{bins} bins", function(grid.copy(), box, bins), right, *mistakes)
    return f"{len(cases)} boxes, with corners between the places and parts that overlap"


def _pooled(
    grid: np.ndarray,
    box: tuple[float, ...],
    bins: int,
    last: int = 1,
    rounding: Callable = round,
    up: Callable = math.ceil,
    of: Callable = np.max,
) -> np.ndarray:
    """RoIPool with a choice of mistakes; parts that have no place are 0."""
    left, top, right, bottom = (rounding(each) for each in box)
    pooled = np.zeros((bins, bins))
    for row, column in np.ndindex(bins, bins):
        height, width = (bottom - top + last) / bins, (right - left + last) / bins
        rows = slice(top + math.floor(row * height), top + up((row + 1) * height))
        columns = slice(left + math.floor(column * width), left + up((column + 1) * width))
        part = grid[rows, columns]
        pooled[row, column] = of(part) if part.size else 0
    return pooled
