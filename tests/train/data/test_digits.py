"""The digits of scikit-learn, upright and rotated."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from train.config import Data, RecipeError
from train.data import load
from train.data.sources.digits import digits, enlarge_and_rotate, rotated_digits


def test_digits_are_scikit_learns_scaled_to_bytes():
    data = load_digits()
    train, test = digits("train"), digits("test")
    assert (len(train), len(test), train.spec["image"].shape) == (1437, 360, (8, 8, 1))
    assert train.facts.classes == tuple("0123456789")
    images = np.concatenate([train.arrays()["image"], test.arrays()["image"]])
    assert (images.min(), images.max(), images.dtype) == (0, 255, np.uint8)
    counts = images[..., 0].astype(float) * 16 / 255
    assert np.abs(counts - np.rint(counts)).max() < 0.05
    ours = {(*np.rint(c).astype(int).ravel(), label) for c, label in zip(counts, _labels(), strict=True)}
    theirs = {(*x.astype(int).ravel(), label) for x, label in zip(data.images, data.target, strict=True)}
    assert ours == theirs


def _labels() -> np.ndarray:
    return np.concatenate([digits(split).arrays()["label"] for split in ("train", "test")])


def test_digits_held_out_are_a_fifth_of_each_class():
    counts = np.bincount(digits("test").arrays()["label"])
    everyone = np.bincount(load_digits().target)
    assert np.abs(counts - everyone * 360 / 1797).max() < 1


def test_rotated_digits_give_angles_within_a_quarter_turn_and_their_labels():
    train, test = rotated_digits("train").arrays(), rotated_digits("test").arrays()
    angles = np.concatenate([train["target"], test["target"]])
    assert train["image"].shape == (1437, 16, 16, 1)
    assert train["image"].dtype == np.uint8
    assert angles.dtype == np.float32
    assert -90 <= angles.min() < -85
    assert 85 < angles.max() <= 90
    assert abs(angles.mean()) < 3 * 180 / np.sqrt(12 * 1797)
    assert np.array_equal(test["label"], digits("test").arrays()["label"])


@pytest.mark.parametrize("degrees", [90, -90])
def test_a_quarter_turn_is_rot90_of_the_upright_digit(degrees):
    image = digits("train")[3]["image"][..., 0]
    upright = enlarge_and_rotate(image, 0)
    turned = enlarge_and_rotate(image, degrees)
    assert np.abs(turned.astype(int) - np.rot90(upright, degrees // 90)).max() <= 1


def test_an_oblique_turn_moves_a_blob_counter_clockwise_about_the_centre():
    y, x = np.mgrid[:8, :8] - 3.5
    image = 200 * np.exp(-((x - 1.0) ** 2 + y**2) / (2 * 1.3**2))  # right of the centre
    turned = enlarge_and_rotate(image, 30).astype(float)
    y, x = np.mgrid[:16, :16] - 7.5
    scale = 16 / (8 * np.sqrt(2))
    right, up = scale * np.cos(np.pi / 6), scale * np.sin(np.pi / 6)
    expected = 200 * np.exp(-((x - right) ** 2 + (y + up) ** 2) / (2 * (1.3 * scale) ** 2))
    assert np.abs(turned - expected).max() < 8


def test_no_corner_is_cut_off_at_any_angle():
    full = np.full((8, 8), 255, np.uint8)
    mass = [enlarge_and_rotate(full, degrees).sum(dtype=float) for degrees in (0, 20, 45, 70)]
    assert np.ptp(mass) < 0.02 * np.mean(mass)


def test_enlarged_digits_are_the_same_and_keep_their_corners_when_they_turn():
    source, plain = load(Data("digits:20"), "test"), digits("test")
    assert (source.name, len(source), source.spec["image"].shape) == ("digits:20", 360, (20, 20, 1))
    np.testing.assert_array_equal(source.arrays()["label"], plain.arrays()["label"])
    np.testing.assert_array_equal(source[9]["image"][..., 0], enlarge_and_rotate(plain[9]["image"][..., 0], 0, 20))
    row, column = np.mgrid[:20, :20] - 9.5
    outside = np.hypot(row, column) > 10
    assert source.arrays()["image"][:, outside].mean() < 1  # of bytes
    for text in ("7", "513", "+16", "big"):
        with pytest.raises(RecipeError, match="pixels a side, 8 to 512, after the colon"):
            load(Data(f"digits:{text}"), "test")
