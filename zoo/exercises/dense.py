"""Checks of the exercises on a value for every pixel: transposed convolution, overlap, normals. Rows L61, L64, L66."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float, Int

from zoo.dense.confusion import class_accuracies, intersection_over_union
from zoo.dense.normals import pinhole_normals
from zoo.exercises.mistakes import compare
from zoo.exercises.verdict import Verdict, judged

_FOCAL = 12.0


def check_transposed(function: Callable) -> Verdict:
    """Checks `transposed(row, kernel, stride)`: each value adds the kernel, `stride` places from the last one's.

    >>> check_transposed(lambda row, kernel, stride: np.repeat(row, stride))
    Not yet: transposed([1, 2], [1, 1, 1], 2): expected shape (5,), got (4,). The last value adds a whole kernel too
    """
    return judged(lambda: _transposed(function))


def _transposed(function: Callable) -> str:
    draw = np.random.default_rng(0)
    cases: list[tuple[list[float], list[float], int]] = [
        ([1, 2], [1, 1, 1], 2),
        ([1, 2, 3], [1, 0.5, 0.25, 0], 2),
        ([2, 1], [3, 1], 3),
        (draw.normal(size=5).round(2).tolist(), draw.normal(size=4).round(2).tolist(), 1),
    ]
    for row, kernel, stride in cases:
        right = _spread(row, kernel, stride)
        mistakes = [
            ("Values that meet at a place add up", _spread(row, kernel, stride, adds=False)),
            ("The kernel is laid down as it is, not flipped", _spread(row, kernel[::-1], stride)),
            ("A place is `stride` places from the last", _spread(row, kernel, 1)),
        ]
        what = f"transposed({_some(row)}, {_some(kernel)}, {stride})"
        got = function(np.array(row), np.array(kernel), stride)
        short = np.shape(got) == (len(row) * stride,) != right.shape
        compare(what, got, right, *mistakes, *([("The last value adds a whole kernel too", got)] if short else []))
    return f"{len(cases)} rows, with strides from 1 to 3"


def _spread(row: list[float], kernel: list[float], stride: int, adds: bool = True) -> Float[np.ndarray, "places"]:
    """The transposed convolution of a row; or with the mistake that what comes later replaces what is there."""
    result = np.zeros(stride * (len(row) - 1) + len(kernel))
    for number, value in enumerate(row):
        place = slice(stride * number, stride * number + len(kernel))
        result[place] = value * np.array(kernel) + (result[place] if adds else 0)
    return result


def _some(values: list[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def check_class_iou(function: Callable) -> Verdict:
    """Checks `class_iou(true, predicted, classes)`: of each class; nan of one that is in neither map.

    >>> check_class_iou(lambda true, predicted, classes: np.ones(classes))
    Not yet: a map of 1 x 4 pixels at (0,): expected 0.5, got 1
    """
    return judged(lambda: _class_iou(function))


def _class_iou(function: Callable) -> str:
    draw = np.random.default_rng(1)
    cases = [
        (np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 1]]), 2),
        (np.array([[0, 0], [1, 1]]), np.array([[1, 1], [0, 0]]), 2),
        (np.array([[0, 2, 2], [0, 0, 2]]), np.array([[0, 2, 0], [0, 0, 2]]), 4),
        (draw.integers(0, 5, (8, 8)), draw.integers(0, 5, (8, 8)), 5),
    ]
    for true, predicted, classes in cases:
        counts = _confusion(true, predicted, classes)
        right, both = intersection_over_union(counts), np.diagonal(counts)
        with np.errstate(invalid="ignore"):
            mistakes = [
                ("That is the share of its pixels that were found: what is wrongly taken for it counts as well",
                 class_accuracies(counts)),
                ("That is the share of those taken for it: what was missed counts as well",
                 class_accuracies(counts.T)),
                ("What both have counts once in the union: subtract it", both / (counts.sum(0) + counts.sum(1))),
                ("That is Dice's coefficient: do not count the intersection twice",
                 2 * both / (counts.sum(0) + counts.sum(1))),
                ("That is the intersection: divide it by the union", both),
                ("Of a class that is in neither map nothing is known: nan, not 0", np.nan_to_num(right)),
                ("Of a class that is in neither map nothing is known: nan, not 1", np.nan_to_num(right, nan=1)),
                ("One number a class, not their mean", np.nanmean(right)),
            ]  # fmt: skip
        what = f"a map of {true.shape[0]} x {true.shape[1]} pixels"
        compare(what, function(true.copy(), predicted.copy(), classes), right, *mistakes, tolerance=1e-6)
    return f"{len(cases)} pairs of label maps, one with a class that is in neither"


def _confusion(
    true: Int[np.ndarray, "height width"], predicted: Int[np.ndarray, "height width"], classes: int
) -> Int[np.ndarray, "classes classes"]:
    """How many pixels of each true class are predicted as each class."""
    return np.bincount(classes * true.ravel() + predicted.ravel(), minlength=classes**2).reshape(classes, classes)


def check_normals(function: Callable) -> Verdict:
    """Checks `normals(points)` of (height, width, 3): of each inner pixel, length one, across its neighbours, to us.

    >>> check_normals(lambda points: points[1:-1, 1:-1])
    Not yet: the normals of a wall at (0, 0, 0): expected 0, got -0.75
    """
    return judged(lambda: _normals(function))


def _normals(function: Callable) -> str:
    height, width = 8, 9
    x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    surfaces = {
        "a wall": np.full((height, width), 3.0),
        "a floor": 4.0 / (1 + 0.3 * y / _FOCAL),
        "waves": 3 + 0.4 * np.sin(0.6 * x + 0.8) * np.cos(0.5 * y),
    }
    for name, depth in surfaces.items():
        points = np.stack([depth * x / _FOCAL, depth * y / _FOCAL, depth], axis=-1)
        right = np.asarray(_normals_of_depth(depth.astype(np.float32), _FOCAL))[1:-1, 1:-1]
        across, down = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
        near = points[1:-1, 2:] - points[1:-1, 1:-1], points[2:, 1:-1] - points[1:-1, 1:-1]
        mistakes = [
            ("That points into the surface: exchange the two factors of the cross product", -right),
            ("Divide by its length, so that it is one", np.cross(down, across)),
            ("Take the neighbours on both sides of the pixel", _unit(np.cross(near[1], near[0]))),
        ]
        compare(f"the normals of {name}", function(points.copy()), right, *mistakes)
    return f"{len(surfaces)} surfaces, of which {' and '.join(list(surfaces)[:2])} are exact"


_normals_of_depth = jax.jit(pinhole_normals, static_argnums=1)


def _unit(vectors: Float[np.ndarray, "*pixels 3"]) -> Float[np.ndarray, "*pixels 3"]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
