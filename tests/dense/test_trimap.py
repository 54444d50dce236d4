"""The band about the edges of label maps, against scipy's distances; what is counted in it, against scikit-learn."""

import jax
import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics

from zoo.dense import confusion, trimap

random = np.random.default_rng(0)
COARSE = random.integers(-1, 3, (3, 6, 5))
LABELS = COARSE.repeat(4, axis=1).repeat(6, axis=2).astype(np.int32)
banded = jax.jit(trimap, static_argnums=1)
confused = jax.jit(confusion, static_argnums=3)


def distances(labels):
    """Of each pixel to the nearest one of another label, in steps of a king."""
    found = np.zeros(labels.shape)
    for label in np.unique(labels):
        inside = labels == label
        found[inside] = ndimage.distance_transform_cdt(inside, "chessboard")[inside]
    return found


@pytest.mark.parametrize("width", [1, 3])
def test_band_is_what_scipy_finds_near_another_label(width):
    expected = np.stack([distances(each) <= width for each in LABELS])
    assert 0.1 < expected.mean() < 0.95
    np.testing.assert_array_equal(banded(LABELS, width), expected)


def test_band_of_two_classes_is_the_dilation_of_both_sides():
    labels = ndimage.gaussian_filter(random.normal(size=LABELS.shape), (0, 3, 3)) > 0
    window = np.ones((1, 7, 7), bool)
    expected = ndimage.binary_dilation(labels, window) & ndimage.binary_dilation(~labels, window)
    np.testing.assert_array_equal(banded(labels.astype(np.int32), 3), expected)


def test_one_label_alone_has_no_edges():
    assert not banded(np.full_like(LABELS, -1), 3).any()


def test_confusion_in_the_band_is_scikit_learns():
    guess = np.roll(LABELS, 1, axis=2).clip(0)
    counted = LABELS >= 0
    near = np.stack([distances(each) <= 3 for each in LABELS]) & counted
    expected = metrics.confusion_matrix(LABELS[near], guess[near], labels=range(3))
    np.testing.assert_array_equal(confused(LABELS, guess, np.asarray(banded(LABELS, 3)) & counted, 3), expected)


def test_width_of_no_pixel_is_refused():
    with pytest.raises(ValueError, match="trimap expected a width of at least 1 pixel, got 0"):
        trimap(LABELS, 0)
