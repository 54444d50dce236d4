"""Transposed convolution: the exact adjoint of the convolution, as torch counts its places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from zoo.nn.transposed import ConvTranspose, transposed_convolution

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("window", "stride", "padding", "output_padding"),
    [(2, 2, 0, 0), (4, 2, 1, 0), (3, 2, 1, 1), (3, 1, 1, 0), (5, 3, 2, 2), (1, 2, 0, 1), (3, 4, 0, 3), (4, 2, 3, 0)],
)
def test_it_is_the_adjoint_of_the_convolution(window, stride, padding, output_padding):
    places, channels, features = (5, 6), 3, 4
    images = RANDOM.standard_normal((2, *places, channels)).astype(np.float32)
    kernel = RANDOM.standard_normal((window, window, channels, features)).astype(np.float32)
    found = transposed_convolution(images, kernel, stride, padding, output_padding)
    sizes = [(side - 1) * stride - 2 * padding + window + output_padding for side in places]
    assert found.shape == (2, *sizes, features)

    def convolution(x):  # from the features back to the channels
        pads = [(padding, padding)] * 2
        numbers = ("NHWC", "HWOI", "NHWC")
        return lax.conv_general_dilated(x, kernel, (stride, stride), pads, dimension_numbers=numbers)

    other = RANDOM.standard_normal(found.shape).astype(np.float32)
    assert convolution(other).shape == images.shape
    (expected,) = jax.linear_transpose(convolution, other)(images)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(np.vdot(found, other), np.vdot(images, convolution(other)), rtol=1e-3)


def test_gradients_are_those_of_finite_differences():
    with jax.enable_x64(True):
        images, kernel = RANDOM.standard_normal((1, 3, 4, 2)), RANDOM.standard_normal((4, 4, 2, 3))
        check_grads(lambda x, k: transposed_convolution(x, k, 2, 1), (images, kernel), order=1)


def test_the_layer_adds_a_bias_and_says_what_does_not_fit():
    layer = ConvTranspose(5, 2, 2)
    images = jnp.ones((1, 3, 3, 2))
    variables = layer.init(jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, variables["params"]) == {"bias": (5,), "kernel": (2, 2, 2, 5)}
    shifted = {"params": {**variables["params"], "bias": jnp.arange(5.0)}}
    difference = layer.apply(shifted, images) - layer.apply(variables, images)
    np.testing.assert_allclose(difference, np.broadcast_to(np.arange(5.0), (1, 6, 6, 5)), atol=1e-6)
    with pytest.raises(ValueError, match=r"expected images \(batch, height, width, channels\) and a kernel"):
        transposed_convolution(images, jnp.ones((2, 2, 3, 5)), 2)
    with pytest.raises(ValueError, match="below the stride or the dilation, got 2, 0, 2 and a dilation of 1"):
        transposed_convolution(images, jnp.ones((2, 2, 2, 5)), 2, 0, 2)
    with pytest.raises(ValueError, match="at least one place, got -1 x -1"):
        transposed_convolution(images[:, :1, :1], jnp.ones((1, 1, 2, 5)), 1, 1)
