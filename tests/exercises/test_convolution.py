"""The exercises on convolution: right answers pass, and usual mistakes are named."""

import numpy as np
import pytest
from scipy.signal import convolve2d, correlate2d

from zoo.exercises.convolution import check_convolution_gradient, check_cross_correlate, check_output_size


@pytest.mark.parametrize("check", [check_convolution_gradient, check_cross_correlate, check_output_size])
def test_no_answer_and_one_that_fails_are_verdicts(check):
    assert "nothing came back yet" in check(lambda *_: None).said
    verdict = check(lambda *_: [][0])
    assert not verdict
    assert "IndexError" in verdict.said


def output_size(size, kernel, stride, padding, dilation):
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def test_formula_of_the_output_size_passes():
    assert check_output_size(output_size)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda n, k, s, p, d: output_size(n, k, s, 0, d), "both sides"),
        (lambda n, k, s, p, d: (n + p - d * (k - 1) - 1) // s + 1, "both sides"),
        (lambda n, k, s, p, d: output_size(n, k, s, p, d) - 1, "first place"),
        (lambda n, k, s, p, d: -((n + 2 * p - d * (k - 1) - 1) // -s) + 1, "round down"),
        (lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) / s + 1, "round down"),
        (lambda n, k, s, p, d: output_size(n, k, s, p, 1), "dilation d"),
        (lambda n, k, s, p, d: (n + 2 * p - d * k) // s + 1, "not d K"),
    ],
)
def test_mistakes_of_the_output_size_are_named(wrong, hint):
    verdict = check_output_size(wrong)
    assert not verdict
    assert hint in verdict.said


def test_scipys_correlation_passes():
    assert check_cross_correlate(lambda image, kernel: correlate2d(image, kernel, mode="valid"))


def of_the_slide(image, kernel):
    """E1: the slide's sum, whose places are x + i and y + i."""
    rows, columns = kernel.shape
    result = np.zeros((image.shape[0] - rows + 1, image.shape[1] - columns + 1))
    for x, y in np.ndindex(*result.shape):
        result[x, y] = sum(kernel[i, i] * image[x + i, y + i] for i in range(min(rows, columns)))
    return result


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda image, kernel: convolve2d(image, kernel, mode="valid"), "E2"),
        (of_the_slide, "E1"),
        (lambda image, kernel: correlate2d(image, kernel, mode="same"), "expected shape (5, 5), got (7, 7)"),
        (lambda image, kernel: correlate2d(image, kernel.T, mode="valid"), "not transposed"),
    ],
)
def test_mistakes_of_cross_correlation_are_named(wrong, hint):
    verdict = check_cross_correlate(wrong)
    assert not verdict
    assert hint in verdict.said


def gradient(image, kernel, output_gradient):
    return convolve2d(output_gradient, kernel), correlate2d(image, output_gradient, mode="valid")


def test_gradient_by_scipy_passes():
    assert check_convolution_gradient(gradient)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda f, h, g: (correlate2d(g, h), gradient(f, h, g)[1]), "Flip the kernel"),
        (lambda f, h, g: (gradient(f, h, g)[0], convolve2d(f, g, mode="valid")), "gradient by kernel"),
        (lambda f, h, g: (gradient(f, h, g)[0], gradient(f, h, g)[1][::-1, ::-1]), "comes out flipped"),
        (lambda f, h, g: (convolve2d(g, h, mode="valid"), gradient(f, h, g)[1]), "expected shape (5, 5), got (1, 1)"),
        (lambda f, h, g: gradient(f, h, g)[0], "expected (by image, by kernel), got a ndarray"),
    ],
)
def test_mistakes_of_the_gradient_are_named(wrong, hint):
    verdict = check_convolution_gradient(wrong)
    assert not verdict
    assert hint in verdict.said
