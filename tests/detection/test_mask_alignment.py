"""What Mask R-CNN learns of a mask: half a pixel aside as torchvision does, or where it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo.detection.contract import Truth
from zoo.detection.mask_rcnn import masks_in_boxes

random = np.random.default_rng(0)


def test_half_a_pixel_back_a_box_of_whole_pixels_has_the_masks_own_pixels():
    mask = random.random((1, 20, 24)) < 0.5
    box = jnp.array([[3.0, 5.0, 15.0, 17.0]])
    number = jnp.zeros(1, int)
    aligned, aside = (masks_in_boxes(jnp.asarray(mask), box - shift, number, 12)[0] for shift in (0.5, 0.0))
    np.testing.assert_allclose(aligned, mask[0, 5:17, 3:15], atol=1e-5)
    assert np.abs(aside - mask[0, 5:17, 3:15]).max() > 0.5


@pytest.mark.slow  # compiles the losses of two detectors
def test_an_aligned_mask_rcnn_learns_other_masks():
    images = random.normal(size=(1, 64, 64, 3)).astype(np.float32)
    masks = np.zeros((1, 1, 64, 64), bool)
    masks[0, 0, 10:31, 8:25:2] = True
    truth = Truth(np.array([[[8.0, 10.0, 25.0, 31.0]]], np.float32), np.ones((1, 1), int), np.ones((1, 1), bool), masks)
    variables = jax.jit(zoo.create("maskrcnn_tiny").init)(jax.random.key(0), images)
    terms = []
    for aligned in (False, True):
        model = zoo.create("maskrcnn_tiny", mask_aligned=aligned)
        losses = jax.jit(lambda *inputs, model=model: model.apply(*inputs, train=False, method="losses"))
        terms.append(losses(variables, images, truth, jax.random.key(1)))
    assert terms[0]["class"].total == terms[1]["class"].total
    assert terms[0]["mask"].weight == terms[1]["mask"].weight > 0
    assert terms[0]["mask"].total != terms[1]["mask"].total
