"""Windows of an image: what a network says of the whole where it sees no seam, and a blend where windows overlap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.dense import tiled
from zoo.dense.tiles import windows_of

random = np.random.default_rng(0)
KERNELS = [random.standard_normal(shape).astype(np.float32) / 3 for shape in ((3, 3, 2, 4), (3, 3, 4, 4), (3, 3, 4, 3))]
SIGHT = 3
"""Pixels that three 3x3 convolutions see to each side."""


def convolution(images, kernel, strides=1, padding=1):
    """XLA's own, which is compiled sooner than ours."""
    around, numbers = 2 * ((padding, padding),), ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(images, kernel, (strides, strides), around, dimension_numbers=numbers)


def images_of(height, width, batch=2):
    return np.random.default_rng(1).standard_normal((batch, height, width, 2)).astype(np.float32)


def network(images):
    """Three convolutions with biases, so that what is beyond a border is not what would have been there."""
    x = images
    for kernel in KERNELS:
        x = jnp.tanh(convolution(x, kernel) + 0.5)
    return x


def strided(images):
    """A convolution with stride 4 and window 8, whose places are repeated: a pixel sees at most 7 others to a side."""
    kernel = np.random.default_rng(2).standard_normal((8, 8, 2, 3)).astype(np.float32)
    return jnp.repeat(jnp.repeat(convolution(images, kernel, 4, 2) + 1, 4, axis=1), 4, axis=2)


def sees_no_seam(extent, window, overlap, sight):
    """Pixels along an axis that are farther than so many from each border of a window that has them, in the image."""
    clear = np.ones(extent, bool)
    for start in windows_of(extent, window, overlap).starts:
        end = start + window
        clear[start : start + sight if start else 0] = False
        clear[end - sight if end < extent else end : end] = False
    return clear


@pytest.mark.parametrize(
    ("predict", "sight", "size", "window", "overlap"),
    [(network, SIGHT, (37, 50), 20, 9), (strided, 7, (40, 56), 24, 8)],
)
def test_away_from_seams_it_is_what_the_network_says_of_the_whole_image(predict, sight, size, window, overlap):
    images = images_of(*size)
    whole, found = jax.jit(lambda x: (predict(x), tiled(predict, x, window, overlap)))(images)
    rows, columns = (sees_no_seam(extent, window, overlap, sight) for extent in size)
    clear = rows[:, None] & columns
    assert 0.2 < clear.mean() < 0.9
    off = np.abs(whole - found).max(axis=(0, 3))
    assert off[clear].max() < 1e-5
    assert off[~clear].max() > 0.1  # a seam is seen


def test_overlapping_windows_are_blended_by_the_distance_of_their_borders():
    size, window, overlap = (13, 29), 11, 4
    images = images_of(*size)
    program = jax.jit(network)
    total, weights = np.zeros((2, *size, 3)), np.zeros((*size, 1))
    for top in (0, 2):
        for left in (0, 7, 14, 18):
            near = [[min(i, window - 1 - i, overlap) + 1 for i in range(window)]] * 2
            ramp = np.outer(*near)[..., None]
            part = np.s_[top : top + window, left : left + window]
            total[:, *part] += ramp * program(images[:, *part])
            weights[part] += ramp
    found = jax.jit(lambda images: tiled(network, images, window, overlap))(images)
    np.testing.assert_allclose(found, total / weights, atol=1e-5)


def test_every_pixel_of_any_size_is_seen_and_weights_add_up_to_one():
    images = [images_of(*size, batch=1) for size in ((1, 1), (1, 40), (17, 3), (16, 16), (16, 17))]
    for found, given in zip(
        jax.jit(lambda many: [tiled(lambda x: 3 * x, x, 16, 6) for x in many])(images), images, strict=True
    ):
        np.testing.assert_allclose(found, 3 * given, rtol=1e-5, atol=1e-6)
    for extent in range(1, 60):
        windows = windows_of(extent, 16, 6)
        ends = windows.starts + windows.weights.shape[1]
        assert (windows.starts[0], ends[-1]) == (0, extent)
        assert all(ends[:-1] - windows.starts[1:] >= 6)


def test_network_is_traced_for_one_size_whatever_the_number_of_windows():
    seen = []

    def noting(images):
        seen.append(images.shape)
        return images

    jax.eval_shape(lambda x: tiled(noting, x, 10, 2), images_of(100, 7))
    assert set(seen) == {(2, 10, 7, 2)}
    assert len(seen) <= 2  # once for its shape alone
    seen.clear()
    jax.eval_shape(lambda x: tiled(noting, x, 10, 2), images_of(9, 10))
    assert set(seen) == {(2, 9, 10, 2)}


def test_memory_is_that_of_a_window():
    def needed(predict):
        program = jax.jit(predict).lower(jax.ShapeDtypeStruct((2, 256, 256, 2), jnp.float32)).compile()
        return program.memory_analysis().temp_size_in_bytes

    assert needed(lambda images: tiled(network, images, 32, 8)) < needed(network) / 16


def test_maps_of_half_precision_are_added_in_float32():
    found = jax.eval_shape(lambda x: tiled(lambda x: x.astype(jnp.bfloat16), x, 8, 4), images_of(20, 20))
    assert found.dtype == jnp.float32


def test_what_cannot_be_cut_is_refused():
    images = images_of(20, 20)
    for window, overlap in ((0, 0), (4, 4), (4, -1)):
        with pytest.raises(ValueError, match="expected a window of at least one pixel and an overlap below it"):
            tiled(abs, images, window, overlap)
    with pytest.raises(
        ValueError, match=r"expected images \(batch, height, width, channels\), got shape \(20, 20, 2\)"
    ):
        tiled(abs, images[0], 8, 2)
    with pytest.raises(
        ValueError, match=r"expected maps of the size of the images \(2, 8, 8, 2\), got .*\(2, 4, 4, 2\)"
    ):
        tiled(lambda x: x[:, ::2, ::2], images, 8, 2)
