"""R-CNN's crops: beside scipy's interpolation, with the context of the paper, and black outside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from zoo.detection.warp import warped, with_context

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((2, 12, 16, 3)).astype(np.float32)


def by_scipy(image, box, side):
    x, y = (box[axis] + (np.arange(side) + 0.5) / side * (box[axis + 2] - box[axis]) for axis in (0, 1))
    rows, columns = np.meshgrid(y - 0.5, x - 0.5, indexing="ij")
    planes = [map_coordinates(image[..., channel], (rows, columns), order=1, mode="nearest") for channel in range(3)]
    height, width = image.shape[:2]
    inside = ((y >= 0) & (y <= height))[:, None] & ((x >= 0) & (x <= width))
    return np.where(inside[..., None], np.stack(planes, -1), 0)


@pytest.mark.parametrize("side", [4, 7, 20])
def test_crops_are_those_of_scipy(side):
    boxes = np.array([[[1.0, 2, 9, 10], [-3, -4, 8, 5], [10, 6, 19.5, 15], [0, 0, 16, 12]]], np.float32).repeat(2, 0)
    crops = jax.jit(warped, static_argnums=2)(IMAGES, boxes, side)
    expected = [[by_scipy(image, box, side) for box in each] for image, each in zip(IMAGES, boxes, strict=True)]
    np.testing.assert_allclose(crops, expected, atol=1e-5)


def test_the_whole_image_at_its_own_size_is_itself_and_an_empty_box_is_zero():
    square = IMAGES[:, :, :12]
    boxes = jnp.array([[[0.0, 0, 12, 12], [3, 3, 3, 9], [9, 9, 3, 3]]]).repeat(2, 0)
    crops = warped(square, boxes, 12)
    np.testing.assert_allclose(crops[:, 0], square, atol=1e-6)
    assert not np.any(crops[:, 1:])


def test_the_context_is_16_pixels_of_227_as_in_the_paper():
    box = np.array([100.0, 100, 295, 295], np.float32)  # 195 = 227 - 2 * 16
    np.testing.assert_allclose(with_context(box, 227, 16), [84, 84, 311, 311], rtol=1e-6)
    with pytest.raises(ValueError, match="expected less context than half of 32 pixels, got 16"):
        with_context(box, 32, 16)
