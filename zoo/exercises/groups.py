"""Checks of the exercises on groups and sets: the forms of a filter, the maps of a turned image, points. L79."""

from collections.abc import Callable

import numpy as np

from zoo.exercises.mistakes import compare
from zoo.exercises.verdict import Verdict, Wrong, judged


def check_four_forms(function: Callable) -> Verdict:
    """Checks `four_forms(kernel)`: a filter (side, side) turned by 0, 90, 180 and 270 degrees, counter-clockwise.

    >>> check_four_forms(lambda kernel: [kernel, kernel.T, kernel, kernel.T])
    Not yet: the form turned by 90 degrees at (0, 0): expected 2, got 0. A transposed filter is a mirrored one
    """
    return judged(lambda: _four_forms(function))


def _four_forms(function: Callable) -> str:
    kernel = np.arange(9.0).reshape(3, 3)
    forms = _four("four_forms(kernel)", function(kernel))
    for turns, form in enumerate(forms):
        right = np.rot90(kernel, turns)
        compare(
            f"the form turned by {90 * turns} degrees",
            form,
            right,
            ("That is clockwise", np.rot90(kernel, -turns)),
            ("A transposed filter is a mirrored one", kernel.T),
            ("A flipped filter is a mirrored one", kernel[::-1]),
            ("A flipped filter is a mirrored one", kernel[:, ::-1]),
        )
    return "four forms"


def check_turned_maps(function: Callable) -> Verdict:
    """Checks `turned_maps(maps)`: the maps of an image turned by 90 degrees, from those of the image.

    Maps are (4, height, width), one for each of the filter's forms, turned by 0, 90, 180 and 270 degrees.

    >>> check_turned_maps(lambda maps: np.rot90(maps, axes=(1, 2)))  # doctest: +ELLIPSIS
    Not yet: the maps at (0, 0, 0): ... Each map is turned; but which form sees in the turned image what this one saw?
    """
    return judged(lambda: _turned_maps(function))


def _turned_maps(function: Callable) -> str:
    maps = np.random.default_rng(0).normal(size=(4, 5, 5)).round(2)
    turned = np.rot90(maps, axes=(1, 2))
    compare(
        "the maps",
        _four("turned_maps(maps)", function(maps)),
        np.roll(turned, 1, axis=0),
        ("Each map is turned; but which form sees in the turned image what this one saw?", turned),
        ("The forms change places, and their maps are turned too", np.roll(maps, 1, axis=0)),
        ("What form 0 saw in the image form 1 sees in the turned one, not form 3", np.roll(turned, -1, axis=0)),
        ("That is clockwise", np.roll(np.rot90(maps, -1, axes=(1, 2)), 1, axis=0)),
    )
    return "four maps"


def check_set_features(function: Callable) -> Verdict:
    """Checks `set_features(points, weights)`: the largest of ReLU(points @ weights) over the points, (features,).

    >>> check_set_features(lambda points, weights: np.maximum(points @ weights, 0).mean(axis=0))  # doctest: +ELLIPSIS
    Not yet: the features at (0,): ... That is the mean: PointNet takes the largest value
    """
    return judged(lambda: _set_features(function))


def _set_features(function: Callable) -> str:
    draw = np.random.default_rng(0)
    points, weights = draw.normal(size=(7, 3)).round(2), draw.normal(size=(3, 4)).round(2)
    seen = np.maximum(points @ weights, 0)
    found = function(points, weights)
    compare(
        "the features",
        _given("set_features(points, weights)", found),
        seen.max(axis=0),
        ("That is the mean: PointNet takes the largest value", seen.mean(axis=0)),
        ("That is the sum: PointNet takes the largest value", seen.sum(axis=0)),
        ("Take the largest over the points, not over the features", seen.max(axis=1)),
        ("ReLU comes before the largest value, and is zero below zero", np.abs(points @ weights).max(axis=0)),
    )
    compare("the features of shuffled points", function(points[::-1], weights), seen.max(axis=0))
    return "seven points, in two orders"


def _four(what: str, got: object) -> np.ndarray:
    got = _given(what, got)
    if len(got) != 4:
        raise Wrong(f"{what}: expected four arrays, got {len(got)}")
    return got


def _given(what: str, got: object) -> np.ndarray:
    if got is None or got is Ellipsis:
        raise Wrong(f"{what}: nothing came back yet")
    return np.asarray(got, np.float64)
