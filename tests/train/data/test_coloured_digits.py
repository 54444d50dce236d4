"""Coloured digits: which colours go with which classes, and that nothing else differs between grounds."""

import numpy as np
import pytest

from train.config import Data
from train.data import load
from train.data.sources.coloured_digits import FACTOR, GROUNDS, SHARE, coloured_digits, colours
from train.data.sources.digits import digits
from zoo.names import UnknownNameError


def nearest(images):
    """The class whose colour the corner of each image has; a corner is never part of a digit here."""
    corner = images[:, 0, 0].astype(float) / 255
    return np.linalg.norm(corner[:, None] - colours(), axis=-1).argmin(axis=1)


@pytest.fixture(scope="module")
def grounds():
    return {ground: coloured_digits(ground, "train").arrays() for ground in GROUNDS}


def dark():
    """Which images have no ink in the corner."""
    return digits("train").arrays()["image"][:, 0, 0, 0] == 0


def test_a_ground_of_its_own_is_right_nineteen_times_in_twenty_and_another_never(grounds):
    labels, clear = grounds["own"]["label"], dark()
    for ground in ("own", "empty"):
        right = (nearest(grounds[ground]["image"]) == labels)[clear]
        assert right.mean() == pytest.approx(SHARE, abs=0.02)
    assert not np.any((nearest(grounds["other"]["image"]) == labels)[clear])
    by_chance = (nearest(grounds["any"]["image"]) == labels)[clear]
    assert by_chance.mean() == pytest.approx(0.1, abs=0.03)
    grey = grounds["grey"]["image"][clear, 0, 0].astype(float)
    assert np.abs(grey.mean(axis=0) - 0.4 * 255).max() < 3


def test_digits_are_the_same_on_every_ground_and_scikit_learns(grounds):
    ink = digits("train").arrays()["image"]
    full = ink[:, :, :, 0].repeat(FACTOR, axis=1).repeat(FACTOR, axis=2) == 255
    for ground, arrays in grounds.items():
        np.testing.assert_array_equal(arrays["label"], digits("train").arrays()["label"])
        white = (arrays["image"] == 255).all(axis=-1)
        assert np.all(white[full]) == (ground != "empty")
    flat = grounds["empty"]["image"]
    np.testing.assert_array_equal(flat, np.broadcast_to(flat[:, :1, :1], flat.shape))


def test_examples_are_the_same_each_time_and_splits_are_apart():
    first, again = (load(Data("coloured_digits:any"), "test") for _ in range(2))
    np.testing.assert_array_equal(first.arrays()["image"], again.arrays()["image"])
    assert (len(first), first.spec["image"].shape) == (360, (16, 16, 3))
    with pytest.raises(UnknownNameError, match="ground of coloured digits"):
        coloured_digits("blue", "train")
