"""Exercises on groups and sets: right answers written here pass, and usual mistakes are told what they are."""

import numpy as np
import pytest

from zoo.exercises.groups import check_four_forms, check_set_features, check_turned_maps
from zoo.geometric import P4, Element, move_maps, move_plane


def four_forms(kernel):
    return [move_plane(kernel, element, (0, 1)) for element in P4.elements]


def turned_maps(maps):
    moved = move_maps(np.moveaxis(maps, 0, 2)[None, ..., None], Element(1), P4)
    return np.moveaxis(np.asarray(moved)[0, ..., 0], 2, 0)


def set_features(points, weights):
    return [max(0.0, *(float(point @ column) for point in points)) for column in weights.T]


CHECKS = {check_four_forms: four_forms, check_turned_maps: turned_maps, check_set_features: set_features}


def test_right_answers_are_right():
    for check, answer in CHECKS.items():
        assert check(answer), check(answer)


@pytest.mark.parametrize(
    ("check", "wrong", "said"),
    [
        (check_four_forms, lambda k: [np.rot90(k, -i) for i in range(4)], "clockwise"),
        (check_four_forms, lambda k: [k, k.T, k[::-1], k[:, ::-1]], "a mirrored one"),
        (check_four_forms, lambda k: [k, k], "four arrays, got 2"),
        (check_turned_maps, lambda m: np.rot90(m, axes=(1, 2)), "which form sees"),
        (check_turned_maps, lambda m: np.roll(m, 1, axis=0), "their maps are turned too"),
        (check_turned_maps, lambda m: np.roll(np.rot90(m, axes=(1, 2)), -1, axis=0), "not form 3"),
        (check_set_features, lambda p, w: np.maximum(p @ w, 0).sum(axis=0), "That is the sum"),
        (check_set_features, lambda p, w: np.maximum(p @ w, 0).max(axis=1), "not over the features"),
        (check_set_features, lambda p, w: np.maximum(p[:1] @ w, 0).max(axis=0), "the features at"),
    ],
)
def test_mistakes_are_told_what_they_are(check, wrong, said):
    verdict = check(wrong)
    assert not verdict
    assert said in verdict.said
