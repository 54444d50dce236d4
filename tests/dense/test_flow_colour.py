"""Flow as colours: those of torchvision, and what it leaves open."""

from pathlib import Path

import numpy as np
import pytest

from zoo.dense import colour_wheel, flow_to_colour, wheel_picture


def test_colours_are_those_of_torchvision():
    kept = np.load(Path(__file__).with_name("goldens") / "classic_flow.npz")
    for flow, expected in zip(kept["flows"], kept["colours"], strict=True):
        found = flow_to_colour(flow).astype(int)
        assert np.abs(found - expected).max() <= 1  # both cut off fractions, of numbers rounded differently
        assert np.mean(found == expected) > 0.98


def test_wheel_has_the_55_colours_of_the_paper_without_a_jump():
    wheel = colour_wheel()
    assert wheel.shape == (55, 3)
    assert np.abs(np.diff(wheel, axis=0, append=wheel[:1])).max() <= 64  # four steps from green to cyan
    assert np.all(wheel.max(axis=1) == 255)


def test_picture_of_the_wheel_has_each_direction_in_its_colour():
    picture = wheel_picture(20)
    assert picture.shape == (41, 41, 3)
    np.testing.assert_array_equal(picture[20, 20], [255] * 3)
    np.testing.assert_array_equal(picture[0, 0], [255] * 3)  # beyond the disc
    for flow, place in (((1, 0), (20, 40)), ((-1, 0), (20, 0)), ((0, 1), (40, 20)), ((0, -1), (0, 20))):
        np.testing.assert_array_equal(picture[place], flow_to_colour(np.array([[flow]], float), 1.0)[0, 0])


def test_unknown_is_grey_and_changes_no_other_colour():
    flow = np.random.default_rng(0).normal(size=(4, 5, 2))
    colours = flow_to_colour(flow, 2.0)
    flow[1, 2, 0] = np.nan
    some = flow_to_colour(flow, 2.0)
    np.testing.assert_array_equal(some[1, 2], [128] * 3)
    some[1, 2] = colours[1, 2]
    np.testing.assert_array_equal(some, colours)
    assert np.all(flow_to_colour(np.full((2, 2, 2), np.nan)) == 128)


def test_longer_than_the_longest_is_darker():
    bright, dark = flow_to_colour(np.array([[[1.0, 0.0], [3.0, 0.0]]]), longest=1.0)[0].astype(int)
    assert (bright.tolist(), dark.tolist()) == ([255, 0, 0], [191, 0, 0])


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected a flow \(height, width, 2\), got \(4, 2\)"):
        flow_to_colour(np.zeros((4, 2)))


def test_a_flow_as_long_as_floats_go_has_its_colours():
    flow = np.array([[[1.0, 0.0], [0.0, -0.5]]], np.float32)
    np.testing.assert_array_equal(flow_to_colour(flow * np.float32(3e38)), flow_to_colour(flow))


def test_a_wheel_without_a_radius_is_refused():
    with pytest.raises(ValueError, match="expected a radius of a pixel or more, got 0"):
        wheel_picture(0)
