"""Turned images against scipy's."""

import numpy as np
import pytest
from scipy.ndimage import rotate

from train.config import Data
from train.data import ArraySource, DataError, Facts, load
from train.data.sources.rotated import Rotated, turned

LABELS = np.repeat(np.arange(4, dtype=np.int32), 25)
IMAGES = np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
SOURCE = ArraySource("hundred", {"image": IMAGES, "label": LABELS}, facts=Facts(("ant", "bee", "cat", "dog")))


def test_images_turn_counter_clockwise_as_scipy_turns_them():
    image = np.zeros((15, 15, 1), np.uint8)
    image[5:10, 3:12] = 200
    image[3:5, 10] = 255
    for degrees in (0.0, 25.0, 90.0, -60.0, 180.0):
        expected = np.clip(rotate(image[..., 0].astype(float), degrees, reshape=False, order=3), 0, 255)
        found = turned(image, degrees)
        assert (found.shape, found.dtype) == (image.shape, np.uint8)
        assert np.abs(found[..., 0] - expected).mean() < 4  # two cubic interpolations
    np.testing.assert_array_equal(turned(image, 90.0)[..., 0], np.rot90(image[..., 0]))
    colours = np.repeat(image, 3, axis=-1)
    np.testing.assert_array_equal(turned(colours, 25.0)[..., 1:2], turned(image, 25.0))


def test_angles_lie_between_the_bounds_and_are_always_the_same():
    source = Rotated(SOURCE, -30.0, 60.0, seed=0)
    arrays = source.arrays()
    assert arrays["target"].dtype == np.float32
    assert -30 <= arrays["target"].min() < -20
    assert 50 < arrays["target"].max() <= 60
    np.testing.assert_array_equal(arrays["target"], Rotated(SOURCE, -30.0, 60.0, seed=0).arrays()["target"])
    np.testing.assert_array_equal(source[7]["image"], turned(IMAGES[7], float(arrays["target"][7])))
    assert (source.facts.unit, source.peek(99, "label"), len(source)) == ("degrees", 3, 100)
    assert source.peek(7, "target") == arrays["target"][7]
    with pytest.raises(DataError, match="rotated_digits have a target already"):
        Rotated(load(Data("rotated_digits"), "train"), 0.0, 1.0, seed=0)


def test_what_would_have_to_turn_with_the_image_is_refused():
    with pytest.raises(DataError, match=r"data\.rotate: no rule for field 'boxes' \(boxes\)"):
        load(Data("scenes", rotate=(0.0, 90.0)), "train")
