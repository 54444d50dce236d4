"""Pools, flattening and biases as torch has them: numbers worked out by hand, sizes from torch's documentation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.convnets.torch_layers import adaptive_avg_pool, bias_uniform, ceil_max_pool, flatten_channels_first


def row(*values):
    return jnp.array(values, jnp.float32)[None, None, :, None]


@pytest.mark.parametrize(
    ("size", "window", "strides", "expected"),
    [(111, 3, 2, 55), (112, 3, 2, 56), (13, 3, 2, 6), (12, 3, 2, 6), (7, 2, 2, 4), (2, 3, 2, 1), (14, 2, 2, 7)],
)
def test_ceil_pooling_has_torchs_sizes(size, window, strides, expected):
    assert jax.eval_shape(lambda: ceil_max_pool(jnp.zeros((1, size, size, 1)), window, strides)).shape[1:3] == (
        expected,
        expected,
    )


def test_ceil_pooling_sees_the_last_pixel_and_no_zeros():
    image = -jnp.arange(1.0, 7)[None, :, None, None] - jnp.arange(6.0)[None, None, :, None]
    pooled = jax.jit(lambda x: ceil_max_pool(x, 3, 2))(image)
    np.testing.assert_array_equal(pooled[0, :, :, 0], [[-1, -3, -5], [-3, -5, -7], [-5, -7, -9]])


def test_adaptive_pooling_overlaps_cells_that_do_not_divide_and_repeats_pixels_of_small_images():
    pool = jax.jit(adaptive_avg_pool, static_argnums=1)
    wide = jnp.broadcast_to(row(0, 6, 12, 18, 24), (1, 5, 5, 1))
    np.testing.assert_allclose(pool(wide, 3)[0, 1, :, 0], [3, 12, 21])  # pixels 0-1, 1-3, 3-4
    np.testing.assert_allclose(pool(wide, 1)[0, 0, :, 0], [12])
    small = jnp.broadcast_to(row(1, 2), (1, 3, 2, 1))
    np.testing.assert_allclose(pool(small, 7)[0, 0, :, 0], [1, 1, 1, 1.5, 2, 2, 2])
    assert adaptive_avg_pool(wide, 5) is wide


def test_flattening_keeps_a_channel_together():
    x = jnp.arange(8.0).reshape(1, 2, 2, 2)
    np.testing.assert_array_equal(flatten_channels_first(x), [[0, 2, 4, 6, 1, 3, 5, 7]])


def test_biases_are_uniform_within_one_over_the_root_of_the_inputs():
    bias = bias_uniform(16)(jax.random.key(0), (4000,))
    assert 0.249 < jnp.abs(bias).max() <= 0.25
    assert abs(float(bias.mean())) < 0.01
