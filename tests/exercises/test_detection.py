"""Exercises on detection: right answers written here pass, and usual mistakes are told what they are."""

import math

import numpy as np
import pytest

from zoo.exercises.detection import check_iou, check_nms, check_roi_pool


def overlap(box, other, least=0.0, more=0.0, once=1):
    width = max(least, min(box[2], other[2]) - max(box[0], other[0]) + more)
    height = max(least, min(box[3], other[3]) - max(box[1], other[1]) + more)
    areas = [(each[2] - each[0] + more) * (each[3] - each[1] + more) for each in (box, other)]
    return width * height, sum(areas) - once * width * height, areas


def iou(box, other, **mistakes):
    both, either, _ = overlap(box, other, **mistakes)
    return both / either


def nms(boxes, scores, threshold):
    left, kept = list(np.argsort(-scores)), []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [other for other in left if iou(boxes[best], boxes[other]) <= threshold]
    return kept


def of_any_better(boxes, scores, threshold):
    order = np.argsort(-scores)
    return [i for n, i in enumerate(order) if all(iou(boxes[j], boxes[i]) <= threshold for j in order[:n])]


def roi_pool(grid, box, bins, rounding=round, last=1, up=math.ceil, of=np.max):
    left, top, right, bottom = map(rounding, box)
    down, across = (bottom - top + last) / bins, (right - left + last) / bins

    def part(row, column):
        rows = slice(top + int(row * down), top + up((row + 1) * down))
        return grid[rows, left + int(column * across) : left + up((column + 1) * across)]

    return [[of(part(row, column)) for column in range(bins)] for row in range(bins)]


def test_right_answers_are_right():
    assert check_iou(iou), check_iou(iou)
    assert check_nms(nms), check_nms(nms)
    assert check_nms(lambda *given: np.array(nms(*given)))
    assert check_roi_pool(roi_pool), check_roi_pool(roi_pool)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda *boxes: iou(*boxes, least=-math.inf), "use max(0, side)"),
        (lambda *boxes: iou(*boxes, once=0), "counts once in the union"),
        (lambda *boxes: overlap(*boxes)[0], "divide it by the union"),
        (lambda *boxes: overlap(*boxes)[0] / min(overlap(*boxes)[2]), "not by the smaller box"),
        (lambda *boxes: iou(*boxes, more=1), "no + 1"),
    ],
)
def test_usual_mistakes_in_overlaps_are_named(wrong, said):
    verdict = check_iou(wrong)
    assert not verdict
    assert said in verdict.said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda boxes, scores, _: np.argsort(-scores), "No box was suppressed"),
        (lambda boxes, scores, t: nms(boxes, -np.arange(len(boxes)), t), "not with the first box"),
        (lambda boxes, scores, t: nms(boxes, -scores, t), "not with the worst"),
        (lambda *given: sorted(nms(*given)), "in the order of their scores"),
        (of_any_better, "suppresses no other"),
        (lambda boxes, scores, t: nms(boxes, scores, t - 1e-4), "At the threshold both stay"),
        (lambda *_: ["a"], "real numbers"),
    ],
)
def test_usual_mistakes_in_suppression_are_named(wrong, said):
    verdict = check_nms(wrong)
    assert not verdict
    assert said in verdict.said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda *given: np.transpose(roi_pool(*given)), "x goes along columns"),
        (lambda *given: roi_pool(*given, last=0), "belong to it"),
        (lambda *given: roi_pool(*given, rounding=math.floor), "nearest place"),
        (lambda *given: roi_pool(*given, up=math.floor), "round their ends up"),
        (lambda *given: roi_pool(*given, of=np.mean), "not the mean"),
    ],
)
def test_usual_mistakes_in_pooling_regions_are_named(wrong, said):
    verdict = check_roi_pool(wrong)
    assert not verdict
    assert said in verdict.said
