"""Exercises on dense prediction: right answers written here pass, and usual mistakes are told what they are."""

import numpy as np
import pytest
from scipy.signal import upfirdn
from sklearn.metrics import jaccard_score

from zoo.exercises.dense import check_class_iou, check_normals, check_transposed


def transposed(row, kernel, stride):
    return upfirdn(kernel, row, stride)  # zeros between the values, then a convolution


def laid_down(row, kernel, stride):
    result = np.zeros(stride * (len(row) - 1) + len(kernel))
    for number, value in enumerate(row):
        result[stride * number : stride * number + len(kernel)] = value * kernel
    return result


def class_iou(true, predicted, classes):
    labels = np.arange(classes)
    scores = jaccard_score(true.ravel(), predicted.ravel(), labels=labels, average=None, zero_division=0)
    return np.where(np.isin(labels, [true, predicted]), scores, np.nan)


def shares(true, predicted, classes, divide):
    one, other = (each.ravel()[:, None] == np.arange(classes) for each in (true, predicted))
    with np.errstate(invalid="ignore"):
        return (one & other).sum(0) / divide(one.sum(0), other.sum(0), (one & other).sum(0))


def normals(points, both_sides=True, unit=True, inwards=False):
    behind = slice(None, -2) if both_sides else slice(1, -1)
    right, down = points[1:-1, 2:] - points[1:-1, behind], points[2:, 1:-1] - points[behind, 1:-1]
    normal = np.cross(right, down) if inwards else np.cross(down, right)
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True) if unit else normal


def test_right_answers_are_right():
    for check, answer in ((check_transposed, transposed), (check_class_iou, class_iou), (check_normals, normals)):
        assert check(answer), check(answer)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (laid_down, "add up"),
        (lambda row, kernel, stride: transposed(row, kernel[::-1], stride), "not flipped"),
        (lambda row, kernel, stride: transposed(row, kernel, 1), "`stride` places from the last"),
        (lambda row, kernel, stride: transposed(row, kernel, stride)[: stride * len(row)], "a whole kernel"),
    ],
)
def test_usual_mistakes_in_transposed_convolutions_are_named(wrong, said):
    verdict = check_transposed(wrong)
    assert not verdict
    assert said in verdict.said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda *maps: shares(*maps, lambda one, other, both: one), "wrongly taken for it"),
        (lambda *maps: shares(*maps, lambda one, other, both: other), "what was missed"),
        (lambda *maps: shares(*maps, lambda one, other, both: one + other), "subtract it"),
        (lambda *maps: shares(*maps, lambda one, other, both: (one + other) / 2), "Dice"),
        (lambda *maps: shares(*maps, lambda one, other, both: 1), "divide it by the union"),
        (lambda *maps: np.nan_to_num(class_iou(*maps)), "nan, not 0"),
        (lambda *maps: np.nan_to_num(class_iou(*maps), nan=1), "nan, not 1"),
        (lambda *maps: np.nanmean(class_iou(*maps)), "not their mean"),
    ],
)
def test_usual_mistakes_in_overlaps_of_classes_are_named(wrong, said):
    verdict = check_class_iou(wrong)
    assert not verdict
    assert said in verdict.said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda points: normals(points, inwards=True), "exchange the two factors"),
        (lambda points: normals(points, unit=False), "Divide by its length"),
        (lambda points: normals(points, both_sides=False), "on both sides"),
    ],
)
def test_usual_mistakes_in_normals_are_named(wrong, said):
    verdict = check_normals(wrong)
    assert not verdict
    assert said in verdict.said
