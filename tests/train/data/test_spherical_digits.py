"""Digits on the sphere: where a pixel comes to lie, and what a rotation does to it."""

import numpy as np
import pytest

from train.config import Data, RecipeError
from train.data import load
from train.data.sources.digits import digits
from train.data.sources.spherical_digits import HALF_SIDE, projected
from zoo.geometric import rotated, to_coefficients, to_samples
from zoo.geometric.spherical_harmonics import directions


def place_of(row, column):
    """The direction of a pixel's centre: its place in the plane, seen from the south pole."""
    x, y = HALF_SIDE * np.array([(column - 3.5) / 4, (3.5 - row) / 4])
    square = x**2 + y**2
    return np.array([2 * x, 2 * y, 1 - square]) / (1 + square)


def test_each_pixel_is_where_the_projection_has_it_and_the_south_is_black():
    image = digits("test")[5]["image"][..., 0]
    found = [[projected(image, place_of(row, column)[None])[0] for column in range(8)] for row in range(8)]
    np.testing.assert_allclose(found, image, atol=1e-6)
    assert place_of(-0.5, -0.5)[2] == pytest.approx(0, abs=1e-9)  # the corner is on the equator
    south = directions(12)[14:]
    assert np.abs(projected(image, south)).max() < 20  # but for what the spline rings
    assert not projected(image, np.array([[0.0, 0.0, -1.0]])).any()


def test_digits_are_those_of_the_plane_and_rotated_ones_are_the_same_functions_turned():
    upright, turned = (load(Data(name), "test") for name in ("spherical_digits", "spherical_digits:rotated"))
    assert (len(turned), turned.spec["image"].shape, turned.facts.classes[3]) == (360, (24, 24, 1), "3")
    np.testing.assert_array_equal(turned.arrays()["label"], digits("test").arrays()["label"])
    power = []
    for source in (upright, turned):
        coefficients = np.asarray(to_coefficients(source.arrays()["image"][:40].astype(np.float32), 8))
        power.append(np.square(coefficients).sum(axis=2)[..., 0])
    assert np.abs(power[0] - power[1]).mean() < 0.02 * power[0].mean()  # they have more degrees than the grid knows
    assert np.abs(upright.arrays()["image"].astype(int) - turned.arrays()["image"]).mean() > 10


def test_a_rotation_of_places_is_that_of_the_function():
    image, turn = digits("test")[8]["image"][..., 0], np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])  # z to x to y
    places = directions(12)
    plain, moved = (projected(image, each)[None, ..., None].astype(np.float32) for each in (places, places @ turn))
    expected = to_samples(rotated(to_coefficients(plain, 8), turn))
    found = to_samples(to_coefficients(moved, 8))
    assert np.abs(found - expected).mean() < 0.02 * np.abs(expected).max()


def test_another_word_is_refused():
    with pytest.raises(RecipeError, match="spherical_digits:rotated, got 'turned'"):
        load(Data("spherical_digits:turned"), "test")
