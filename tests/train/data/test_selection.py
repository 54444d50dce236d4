"""Parts of a source: classes, unequal numbers of examples, and turned images against scipy's."""

import numpy as np
import pytest
from scipy.ndimage import rotate

from train.data import ArraySource, DataError, Part, load
from train.data.rotated import Rotated, turned
from train.data.selection import OfClasses, imbalanced_subset
from zoo.names import UnknownNameError

LABELS = np.repeat(np.arange(4, dtype=np.int32), 25)
IMAGES = np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
SOURCE = ArraySource("hundred", {"image": IMAGES, "label": LABELS}, ("ant", "bee", "cat", "dog"))


def test_classes_are_kept_by_name_and_numbered_in_that_order():
    part = OfClasses(SOURCE, ("dog", "bee"))
    assert (len(part), part.class_names) == (50, ("dog", "bee"))
    kept = part.arrays()
    np.testing.assert_array_equal(kept["image"][:, 0, 0, 0], np.r_[25:50, 75:100])
    np.testing.assert_array_equal(kept["label"], np.repeat([1, 0], 25))
    assert kept["label"].dtype == np.int32
    assert (part.label(0), int(part[30]["label"]), int(part[30]["image"][0, 0, 0])) == (1, 0, 80)
    with pytest.raises(UnknownNameError, match="cow"):
        OfClasses(SOURCE, ("cow",))
    with pytest.raises(DataError, match="each class once, got bee, bee"):
        OfClasses(SOURCE, ("bee", "bee"))
    with pytest.raises(DataError, match="nameless has no classes"):
        OfClasses(ArraySource("nameless", {"image": IMAGES}), ("bee",))


def test_later_classes_have_evenly_more_examples():
    part = imbalanced_subset(SOURCE, 2, 20)
    np.testing.assert_array_equal(np.bincount(part.arrays()["label"]), [2, 8, 14, 20])
    again = imbalanced_subset(SOURCE, 2, 20)
    np.testing.assert_array_equal(part.arrays()["image"], again.arrays()["image"])
    of_hundred = np.linspace(2, 200, 100).round()  # CIFAR-100's, as in the paper
    np.testing.assert_array_equal(of_hundred, np.arange(2, 201, 2))
    with pytest.raises(DataError, match="expected 30 examples of dog, hundred has 25"):
        imbalanced_subset(SOURCE, 2, 30)


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
    assert (source.target_unit, source.label(99), len(source)) == ("degrees", 3, 100)
    with pytest.raises(DataError, match="rotated_digits have a target already"):
        Rotated(load("rotated_digits", "train"), 0.0, 1.0, seed=0)


def test_a_recipe_names_the_part_of_any_source():
    part = Part(classes=("3", "7"), rotate=(0.0, 90.0))
    train, test = (load("digits", split, part=part) for split in ("train", "test"))
    assert train.class_names == test.class_names == ("3", "7")
    assert set(train.arrays()["label"].tolist()) == {0, 1}
    assert (train.arrays()["target"][:36] != test.arrays()["target"][:36]).any()
    few = load("digits", "train", part=Part(per_class=(2, 20)))
    np.testing.assert_array_equal(np.bincount(few.arrays()["label"]), range(2, 21, 2))
    assert len(load("digits", "test", part=Part(per_class=(2, 20)))) == 360
