"""Borders against numpy.pad, and the names they go by."""

import numpy as np
import pytest

from zoo.convolution import BORDERS, pad

NUMPY = {"zero": "constant", "wrap": "wrap", "copy": "edge", "reflect": "symmetric", "mirror": "reflect"}


@pytest.mark.parametrize("border", NUMPY)
def test_border_equals_numpy_pad_also_when_wider_than_the_image(border):
    image = np.random.default_rng(0).integers(1, 255, (3, 4, 2), dtype=np.uint8)
    widths = [(1, 9), (5, 2)]
    padded = pad(image, widths, border)
    np.testing.assert_array_equal(padded, np.pad(image, [*widths, (0, 0)], mode=NUMPY[border]))
    assert padded.dtype == np.uint8


def test_slide_shows_four_borders_and_valid_adds_nothing():
    assert {"zero", "wrap", "copy", "reflect"} < set(BORDERS)
    assert pad([1.0, 2.0], [(3, 3)], "valid").tolist() == [1, 2]


def test_unknown_border_names_the_nearest():
    with pytest.raises(KeyError, match="no border 'reflct'; nearest: reflect"):
        pad([1.0], [(1, 1)], "reflct")


@pytest.mark.parametrize("widths", [[(1, 1)] * 2, [(-1, 0)]])
def test_widths_that_make_no_sense_are_refused(widths):
    with pytest.raises(ValueError, match="widths: expected at most 1 pairs of sizes from 0"):
        pad([1.0, 2.0], widths, "zero")
