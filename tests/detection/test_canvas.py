"""Whole images in one batch: torchvision's sizes and pixels, boxes mapped back, masks pasted."""

from pathlib import Path

import jax
import numpy as np
import pytest

from zoo.catalog.pretrained import Preprocessing
from zoo.detection.canvas import in_original, on_canvas, pasted
from zoo.preprocessing import interpolated, transform

GOLDEN = np.load(Path(__file__).parent / "goldens" / "canvas.npz")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FIT = Preprocessing(32, 53, "bilinear_plain", MEAN, STD, "fit")


@pytest.mark.parametrize("size", [name.removeprefix("fit/") for name in GOLDEN if name.startswith("fit/")])
def test_an_image_is_resized_and_padded_as_torchvision_does(size):
    image = transform(FIT, GOLDEN[f"pixels/{size}"])
    assert image.shape == (*GOLDEN[f"size/{size}"], 3)
    batch, sizes = on_canvas([image])
    assert sizes.tolist() == [GOLDEN[f"size/{size}"].tolist()]
    np.testing.assert_allclose(batch[0], GOLDEN[f"fit/{size}"], atol=2e-5)


def test_an_image_is_stretched_as_torchvision_does():
    how = Preprocessing(30, 30, "bilinear_plain", MEAN, STD, "stretch")
    np.testing.assert_allclose(transform(how, GOLDEN["pixels/20x31"]), GOLDEN["stretch/20x31"], atol=2e-5)


def test_interpolation_is_jaxs_without_antialiasing():
    pixels = np.random.default_rng(0).standard_normal((13, 17, 2)).astype(np.float32)
    for size in ((5, 40), (13, 9), (1, 1)):
        expected = jax.image.resize(pixels, (*size, 2), "linear", antialias=False)
        np.testing.assert_allclose(interpolated(pixels, *size), expected, atol=1e-5)


def test_a_batch_is_padded_to_the_smallest_canvas_that_holds_it():
    images = [np.ones((30, 50, 1), np.float32), 2 * np.ones((40, 20, 1), np.float32)]
    batch, sizes = on_canvas(images, canvases=[(96, 48), (64, 96), (48, 96), (100, 100)])
    assert batch.shape == (2, 48, 96, 1)
    assert sizes.tolist() == [[30, 50], [40, 20]]
    assert batch.sum() == 30 * 50 + 2 * 40 * 20
    with pytest.raises(ValueError, match=r"a canvas of 32 x 48, 64 x 40 holds, got 40 x 50 pixels"):
        on_canvas(images, canvases=[(32, 48), (64, 40)])
    with pytest.raises(ValueError, match="at least one image"):
        on_canvas([])


def test_boxes_and_keypoints_go_back_to_the_image_before():
    back = in_original(GOLDEN["boxes"], (32, 49), (20, 31))
    np.testing.assert_allclose(back, GOLDEN["boxes_back"], rtol=1e-6)
    points = np.concatenate([GOLDEN["boxes"][:, :2], np.full((6, 1), 0.5, np.float32)], axis=1)
    assert in_original(points, (32, 49), (20, 31)).dtype == np.float32
    np.testing.assert_allclose(in_original(points, (32, 49), (20, 31))[:, :2], back[:, :2], rtol=1e-6)
    assert np.all(in_original(points, (32, 49), (20, 31))[:, 2] == 0.5)


def test_masks_are_pasted_as_torchvision_does():
    masks = pasted(GOLDEN["masks"], GOLDEN["around"], 44, 61)
    np.testing.assert_array_equal(np.packbits(masks), GOLDEN["pasted"])
    assert masks[:8].any(axis=(1, 2)).sum() > 5
    outside = np.array([[-30, -30, -20, -20], [70, 50, 80, 60], [-30, 10, -20, 90]], np.float32)
    assert not pasted(np.ones((3, 7, 7), np.float32), outside, 44, 61).any()
