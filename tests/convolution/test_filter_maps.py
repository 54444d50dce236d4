"""The picture of a layer's filter maps, against scikit-image's montage."""

import numpy as np
import pytest
from skimage.util import montage

from zoo.convolution import cross_correlate, mosaic


@pytest.mark.parametrize(("columns", "grid"), [(None, (2, 3)), (4, (2, 4))])
def test_mosaic_equals_scikit_images_montage(columns, grid):
    maps = np.random.default_rng(0).uniform(size=(4, 5, 6)).astype(np.float32)
    if columns is None:
        maps = maps[..., :5]
    expected = montage(np.moveaxis(maps, -1, 0), fill=1, rescale_intensity=True, grid_shape=grid, padding_width=1)
    np.testing.assert_allclose(mosaic(maps, columns), expected, atol=1e-6)


def test_mosaic_shows_each_map_of_a_layer_in_its_own_range():
    image = np.random.default_rng(0).normal(size=(8, 8, 3))
    bank = np.random.default_rng(1).normal(size=(3, 3, 3, 4)) * [1, 1000, 1, 0]
    picture = np.asarray(mosaic(cross_correlate(image, bank), gap=0))
    assert picture.shape == (16, 16)
    for tile in (picture[:8, :8], picture[:8, 8:], picture[8:, :8]):
        assert tile.min() == 0
        assert tile.max() == 1
    assert not picture[8:, 8:].any()  # a map without contrast is black


def test_shapes_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"maps: expected \(H, W, D\), got shape \(4, 4\)"):
        mosaic(np.ones((4, 4)))
    with pytest.raises(ValueError, match="expected at least one column and a gap from 0, got 0 and 1"):
        mosaic(np.ones((4, 4, 1)), columns=0)
