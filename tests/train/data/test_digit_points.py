"""Points drawn from digits: where they lie, how many there are, and that moves of an image move them."""

import jax
import numpy as np

from train.config import Augment, Data
from train.data import augment, load
from train.data.sources.digit_points import FEWEST, MOST, points_of


def test_points_lie_in_the_pixels_that_are_bright_and_as_often():
    source = load(Data("points"), "train")
    assert (len(source), source.spec["points"].shape, source.facts.classes[7]) == (1437, (MOST, 3), "7")
    arrays = source.arrays()
    image, points = arrays["image"][..., 0], arrays["points"]
    real = points[..., 2] == 1
    counts = real.sum(axis=1)
    assert (counts.min(), counts.max()) == (FEWEST, MOST)
    assert not points[~real].any()
    assert (np.sort(~real, axis=1) == ~real).all()  # the real ones come first
    column, row = np.moveaxis(np.floor(points[..., :2]).astype(int), -1, 0)
    lit = np.take_along_axis(image.reshape(len(image), -1), row * 8 + column, axis=1)
    assert (lit[real] > 0).all()
    share = np.zeros(256)
    np.add.at(share, lit[real], 1)
    pixels = np.bincount(image.ravel(), weights=image.ravel().astype(float), minlength=256)
    assert np.abs(share / share.sum() - pixels / pixels.sum()).max() < 0.01


def test_a_single_bright_pixel_has_all_points_spread_in_it():
    image = np.zeros((8, 8), np.uint8)
    image[2, 5] = 9
    found = points_of(np.random.default_rng(0), image)
    found = found[found[:, 2] > 0, :2]
    assert (np.floor(found) == (5, 2)).all()
    assert np.ptp(found, axis=0).min() > 0.8


def test_points_move_with_their_image():
    source = load(Data("points"), "test")
    batch = source.read([0, 1])
    moved = jax.jit(augment(Augment(flip=True, rotate=30.0, pad_crop=1), source.spec))(jax.random.key(1), batch)
    for pixels, points in zip(np.asarray(moved["image"])[..., 0], np.asarray(moved["points"]), strict=True):
        points = points[points[:, 2] > 0, :2]
        row, column = np.mgrid[:8, :8] + 0.5
        centre = [(part * pixels).sum() / pixels.sum() for part in (column, row)]
        assert np.abs(points.mean(axis=0) - centre).max() < 0.5
