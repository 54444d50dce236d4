"""Warping by a flow: the same as others' lookups between pixels, and unknown flow stays where it is."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.ndimage import map_coordinates
from skimage.transform import warp as skimage_warp

from zoo.dense import warp

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(2, 7, 9, 3)).astype(np.float32)
FLOW = RANDOM.normal(scale=3, size=(2, 7, 9, 2)).astype(np.float32)
WARP = jax.jit(warp)
GRADIENT = jax.jit(jax.grad(lambda flow: jnp.sum(warp(IMAGES, flow)[0] ** 2)))


def test_warp_is_what_torch_scipy_scikit_image_and_opencv_look_up():
    import cv2

    warped, inside = WARP(IMAGES, FLOW)
    rows, columns = np.mgrid[:7, :9].astype(np.float32)
    y, x = rows + FLOW[..., 1], columns + FLOW[..., 0]
    for one in range(2):
        places = np.stack([y[one], x[one]])
        planes = np.moveaxis(IMAGES[one], -1, 0)
        by_scipy = np.stack([map_coordinates(plane, places, order=1, mode="nearest") for plane in planes], axis=-1)
        by_skimage = np.stack([skimage_warp(plane, places, order=1, mode="edge") for plane in planes], axis=-1)
        by_cv2 = cv2.remap(IMAGES[one], x[one], y[one], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        np.testing.assert_allclose(warped[one], by_scipy, atol=1e-5)
        np.testing.assert_allclose(warped[one], by_skimage, atol=1e-5)
        np.testing.assert_allclose(warped[one], by_cv2, atol=0.15)  # which rounds places to 1/32 pixel
    assert 0.2 < np.mean(inside) < 0.8
    np.testing.assert_array_equal(inside, (x >= 0) & (x <= 8) & (y >= 0) & (y <= 6))


def test_warp_and_its_gradients_are_those_of_torch_grid_sample():
    kept = np.load(Path(__file__).with_name("goldens") / "classic_flow.npz")
    images, flow, weights = kept["images"], kept["flow"], kept["weights"]

    def total(images, flow):
        warped, inside = warp(images, flow)
        return jnp.sum(weights * warped), (warped, inside)

    (_, (warped, inside)), (of_images, of_flow) = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(images, flow)
    np.testing.assert_allclose(warped, kept["warped"], atol=1e-5)
    np.testing.assert_array_equal(inside, kept["inside"])
    np.testing.assert_allclose(of_images, kept["of_images"], atol=1e-4)
    np.testing.assert_allclose(of_flow, kept["of_flow"], atol=1e-4)


def test_gradients_are_those_of_finite_differences():
    with jax.enable_x64(True):
        images, flow = RANDOM.normal(size=(1, 4, 5, 2)), RANDOM.uniform(0.1, 0.9, size=(1, 4, 5, 2))
        check_grads(jax.jit(lambda images, flow: warp(images, flow)[0]), (images, flow), order=1)


def test_no_flow_is_the_image_to_the_bit_and_whole_steps_are_neighbours():
    still, inside = WARP(IMAGES, jnp.zeros_like(FLOW))
    np.testing.assert_array_equal(still, IMAGES)
    assert np.all(inside)
    ramp = jnp.broadcast_to(jnp.arange(4.0)[:, None, None], (1, 4, 4, 1))  # the slope to the next row is one
    slope = jax.grad(lambda flow: jnp.sum(warp(ramp, flow)[0]))(jnp.zeros((1, 4, 4, 2)))
    np.testing.assert_array_equal(slope[0, :, :, 1], np.repeat([[1], [1], [1], [0]], 4, axis=1))
    moved, inside = WARP(IMAGES, jnp.broadcast_to(jnp.array([2.0, -1.0]), FLOW.shape))
    np.testing.assert_array_equal(moved[:, 1:, :-2], IMAGES[:, :-1, 2:])
    np.testing.assert_array_equal(inside[0], np.pad(np.ones((6, 7), bool), ((1, 0), (0, 2))))


@pytest.mark.parametrize("unknown", [np.nan, np.inf, -np.inf])
def test_unknown_flow_stays_where_it_is_forward_and_backward(unknown):
    flow = FLOW.copy()
    flow[0, 2, 3, 1] = unknown
    warped, inside = WARP(IMAGES, flow)
    expected, inside_before = WARP(IMAGES, FLOW)
    there = np.zeros((2, 7, 9), bool)
    there[0, 2, 3] = True
    np.testing.assert_array_equal(warped[there], IMAGES[there])
    np.testing.assert_array_equal(np.asarray(warped)[~there], np.asarray(expected)[~there])
    np.testing.assert_array_equal(inside, inside_before & ~there)
    gradient = GRADIENT(flow)
    assert np.all(np.isfinite(gradient))
    assert not np.any(gradient[there])


def test_far_flow_one_pixel_and_bytes_are_defined():
    far, inside = WARP(IMAGES, jnp.full_like(FLOW, 1e30))
    np.testing.assert_array_equal(far, np.broadcast_to(IMAGES[:, -1:, -1:], IMAGES.shape))
    assert not np.any(inside)
    pixel, inside = warp(np.full((1, 1, 1, 1), 7, np.uint8), np.array([[[[0.0, 0.0]]]], np.float32))
    assert pixel.dtype == jnp.float32
    assert (float(pixel[0, 0, 0, 0]), bool(inside[0, 0, 0])) == (7.0, True)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"of their size, got \(2, 7, 9, 3\) and \(2, 7, 8, 2\)"):
        warp(IMAGES, FLOW[:, :, :-1])
    with pytest.raises(ValueError, match=r"expected images \(batch, height, width, channels\)"):
        warp(IMAGES[0], FLOW[0])
