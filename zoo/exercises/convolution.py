"""Checks of the exercises on convolution. Lecture rows L22, L23 and L36, errata E1, E2 and E22.

Each takes the reader's function, calls it on drawn numbers and compares with the library or with autodiff.
"""

import math
from collections.abc import Callable

import jax
import numpy as np

from zoo.convolution import convolve, cross_correlate, output_size
from zoo.exercises.mistakes import compare, parts
from zoo.exercises.verdict import Verdict, judged


def check_output_size(function: Callable) -> Verdict:
    """Checks `output_size(size, kernel, stride, padding, dilation)`: the places of a window along an axis.

    >>> check_output_size(lambda size, kernel, stride, padding, dilation: size - kernel + 1)
    Not yet: output_size(32, 5, 1, 2, 1): expected 32, got 28. The padding is on both sides
    """
    return judged(lambda: _output_size(function))


def _output_size(function: Callable) -> str:
    cases = ((7, 3, 1, 0, 1), (32, 5, 1, 2, 1), (8, 2, 2, 0, 1), (7, 3, 2, 0, 1), (8, 3, 2, 0, 1), (224, 7, 2, 3, 1))
    dilated = ((9, 3, 1, 0, 2), (9, 3, 1, 2, 2), (33, 4, 3, 1, 3))
    for case in (*cases, *dilated):
        size, kernel, stride, padding, dilation = case
        right, span = output_size(*case), dilation * (kernel - 1) + 1
        compare(
            f"output_size{case}",
            function(*case),
            right,
            ("With dilation d a window spans d (K - 1) + 1 values", (size + 2 * padding - kernel) // stride + 1),
            (
                "A window of dilation d spans d (K - 1) + 1 values, not d K",
                (size + 2 * padding - dilation * kernel) // stride + 1,
            ),
            ("The padding is on both sides", (size + padding - span) // stride + 1),
            ("The padding is on both sides", (size - span) // stride + 1),
            ("The first place counts as well: + 1", (size + 2 * padding - span) // stride),
            ("A place must be whole: round down", math.ceil((size + 2 * padding - span) / stride) + 1),
            ("A place must be whole: round down", (size + 2 * padding - span) / stride + 1),
        )
    return f"{len(cases) + len(dilated)} windows, with stride, padding and dilation"


def check_cross_correlate(function: Callable) -> Verdict:
    """Checks `correlate(image, kernel)` of two matrices, at all places where the kernel fits ("valid")."""
    return judged(lambda: _cross_correlate(function))


def _cross_correlate(function: Callable) -> str:
    draw = np.random.default_rng(0)
    for height, width, rows, columns in ((7, 7, 3, 3), (5, 6, 3, 3), (6, 4, 2, 3)):
        image = draw.normal(size=(height, width)).astype(np.float32)
        kernel = draw.normal(size=(rows, columns)).astype(np.float32)
        right = np.asarray(cross_correlate(image, kernel, border="valid"))
        diagonal = np.zeros_like(right)
        for x, y in np.ndindex(*right.shape):
            diagonal[x, y] = sum(kernel[i, i] * image[x + i, y + i] for i in range(min(rows, columns)))
        flipped = convolve(image, kernel, border="valid")
        whole = cross_correlate(image, kernel)
        mistakes = [
            ("That is the convolution: cross-correlation does not flip the kernel (E2)", flipped),
            ("i goes with x and j with y: the slide's x + i, y + i visits the diagonal alone (E1)", diagonal),
            ('That has the size of the image: keep the places where the kernel fits, "valid" (E22)', whole),
        ]
        if rows == columns:
            turned = cross_correlate(image, kernel.T, border="valid")
            mistakes.append(("The kernel is kept as it is, not transposed", turned))
        compare("correlate", function(image.copy(), kernel.copy()), right, *mistakes)
    return "the sums are those of the library, for images and kernels of three shapes"


def check_convolution_gradient(function: Callable) -> Verdict:
    """Checks `gradient(image, kernel, output_gradient) -> (by image, by kernel)` of a valid cross-correlation.

    All are matrices, and `output_gradient` is the derivative of the loss by the result. Compared with `jax.vjp`.
    """
    return judged(lambda: _convolution_gradient(function))


def _convolution_gradient(function: Callable) -> str:
    draw = np.random.default_rng(1)
    for size, window in (((5, 5), (3, 3)), ((6, 4), (2, 3)), ((4, 4), (1, 1))):
        image, kernel = (draw.normal(size=shape).astype(np.float32) for shape in (size, window))
        result, back = jax.vjp(lambda image, kernel: cross_correlate(image, kernel, border="valid"), image, kernel)
        gradient = draw.normal(size=result.shape).astype(np.float32)
        by_image, by_kernel = map(np.asarray, back(gradient))
        got = parts("gradient", function(image.copy(), kernel.copy(), gradient.copy()), ("by image", "by kernel"))
        wide = np.pad(gradient, [(side - 1, side - 1) for side in window])
        unflipped = cross_correlate(wide, kernel, border="valid")
        turn = "Flip the kernel: the place that a weight read from is on its other side when one looks back"
        compare("gradient by image", got[0], by_image, (turn, unflipped))
        compare("gradient by kernel", got[1], by_kernel, ("It comes out flipped", by_kernel[::-1, ::-1]))
    return "both gradients are those of autodiff, for three shapes"
