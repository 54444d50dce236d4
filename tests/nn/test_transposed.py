"""Transposed convolution: torch's numbers, and the exact adjoint of the convolution."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from tests.nn.goldens import maps
from zoo.nn.transposed import ConvTranspose, bilinear, transposed_convolution

RANDOM = np.random.default_rng(0)
QUICK = ("uneven", "dilated farther", "common divisor", "in groups")


@functools.cache
def golden():
    with np.load(Path(__file__).parent / "goldens" / "maps.npz") as file:
        return {name: value for name, value in file.items() if name.startswith("transposed/")}


def options_of(name):
    return {key: value for key, value in maps.TRANSPOSED[name].items() if key != "kernel"}


@functools.cache
def computed(names):
    """Results and gradients of several settings, in one program."""

    def one(name, images, kernel, slopes):
        out, back = jax.vjp(lambda x, k: transposed_convolution(x, k, **options_of(name)), images, kernel)
        return dict(zip(("out", "images", "kernel"), (out, *back(slopes)), strict=True))

    given = {
        name: (
            *maps.images_and_kernel(name),
            maps.drawn(f"slopes of {name}", *golden()[f"transposed/{name}/out"].shape),
        )
        for name in names
    }
    return jax.jit(lambda given: {name: one(name, *arrays) for name, arrays in given.items()})(given)


def assert_torchs(names):
    for name, found in computed(names).items():
        for what, value in found.items():
            expected = golden()[f"transposed/{name}/{what}"]
            assert value.shape == expected.shape, (name, what)
            np.testing.assert_allclose(value, expected, atol=2e-5, err_msg=f"{name}: {what}")


def test_values_and_gradients_are_torchs():
    assert_torchs(QUICK)


@pytest.mark.slow  # three programs for each setting
def test_values_and_gradients_are_torchs_with_every_setting():
    assert_torchs(tuple(name for name in maps.TRANSPOSED if name not in QUICK))


def convolved(x, kernel, stride, padding, dilation, groups):
    """XLA's convolution, from the features back to the channels."""
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        [(padding, padding)] * 2,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWOI", "NHWC"),
        feature_group_count=groups,
    )


ADJOINTS = [
    (2, 2, 0, 0, 1, 1),  # window, stride, padding, output padding, dilation, groups
    (4, 2, 1, 0, 1, 1),
    (3, 2, 1, 1, 1, 1),
    (5, 3, 2, 2, 1, 1),
    (3, 4, 0, 3, 1, 1),
    (4, 2, 3, 0, 1, 1),
    (3, 1, 2, 0, 2, 1),
    (3, 2, 1, 0, 3, 2),
    (2, 4, 0, 3, 2, 4),
]


def test_it_is_the_adjoint_of_the_convolution():
    """The product of its result with anything is that of the images with the anything convolved."""
    given = []
    for window, stride, padding, output_padding, dilation, groups in ADJOINTS:
        sizes = [(side - 1) * stride - 2 * padding + (window - 1) * dilation + 1 + output_padding for side in (5, 6)]
        shapes = (2, 5, 6, 4), (window, window, 4, 3), (2, *sizes, 3 * groups)
        given.append([RANDOM.standard_normal(shape).astype(np.float32) for shape in shapes])

    @jax.jit
    def both(given):
        found = []
        for (_, *steps), (images, kernel, other) in zip(ADJOINTS, given, strict=True):
            stride, padding, output_padding, dilation, groups = steps
            larger = transposed_convolution(images, kernel, stride, padding, output_padding, dilation, groups)
            smaller = convolved(other, kernel, stride, padding, dilation, groups)
            found.append((larger, smaller))
        return found

    for settings, (images, _, other), (larger, smaller) in zip(ADJOINTS, given, both(given), strict=True):
        assert (larger.shape, smaller.shape) == (other.shape, images.shape), settings
        scale = np.linalg.norm(larger) * np.linalg.norm(other)
        assert abs(np.vdot(larger, other) - np.vdot(images, smaller)) < 1e-5 * scale, settings


@pytest.mark.slow  # a program for each derivative
def test_gradients_are_those_of_finite_differences():
    with jax.enable_x64(True):
        images, kernel = RANDOM.standard_normal((1, 3, 4, 2)), RANDOM.standard_normal((4, 4, 2, 3))
        check_grads(jax.jit(lambda x, k: transposed_convolution(x, k, 2, 1)), (images, kernel), order=1)


def test_the_layer_adds_a_bias_and_says_what_does_not_fit():
    layer = ConvTranspose(5, 2, 2)
    images = jnp.ones((1, 3, 3, 2))
    shapes = jax.eval_shape(layer.init, jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, shapes["params"]) == {"bias": (5,), "kernel": (2, 2, 2, 5)}
    variables = {"params": {"bias": np.arange(5.0, dtype=np.float32), "kernel": np.zeros((2, 2, 2, 5), np.float32)}}
    found = jax.jit(layer.apply)(variables, images)
    np.testing.assert_array_equal(found, np.broadcast_to(np.arange(5.0), (1, 6, 6, 5)))

    def refused(message, *arguments, **options):
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(lambda: transposed_convolution(*arguments, **options))

    refused(r"expected images \(batch, height, width, channels\) and a kernel", images, jnp.ones((2, 2, 3, 5)), 2)
    refused(r"in 3 group\(s\) of equal channels", images, jnp.ones((2, 2, 2, 5)), 2, groups=3)
    refused(r"in 0 group\(s\)", images, jnp.ones((2, 2, 2, 5)), 2, groups=0)
    refused(
        "below the stride or the dilation, got 2, 0, 2 and a dilation of 1", images, jnp.ones((2, 2, 2, 5)), 2, 0, 2
    )
    refused("at least one place, got -1 x -1", images[:, :1, :1], jnp.ones((1, 1, 2, 5)), 1, 1)
    refused("stride: expected one positive integer, or 2 of them", images, jnp.ones((2, 2, 2, 5)), (2, 2, 2))
    refused("one for rows and one for columns, got", images, jnp.ones((2, 2, 2, 5)), 2, (1, 1, 1))
    with pytest.raises(ValueError, match="5 features cannot be cut in 2 equal groups"):
        jax.eval_shape(ConvTranspose(5, 2, 2, groups=2).init, jax.random.key(0), images)


def test_a_layer_with_all_settings_is_the_function():
    settings = {"padding": (1, 0), "output_padding": (0, 1), "dilation": (2, 1), "groups": 2}
    layer = ConvTranspose(6, (3, 2), (1, 2), use_bias=False, **settings)
    images = RANDOM.standard_normal((1, 3, 4, 4)).astype(np.float32)
    (kernel,) = jax.tree.leaves(jax.eval_shape(layer.init, jax.random.key(0), images))
    assert kernel.shape == (3, 2, 4, 3)
    kernel = RANDOM.standard_normal(kernel.shape).astype(np.float32)
    expected = jax.eval_shape(lambda: transposed_convolution(images, kernel, (1, 2), **settings))
    found = jax.eval_shape(lambda: layer.apply({"params": {"kernel": kernel}}, images))
    assert found.shape == expected.shape == (1, 5, 9, 6)


def test_a_kernel_that_begins_bilinear_interpolates_each_channel_alone():
    kernel = bilinear(None, (4, 4, 3, 3))
    side = np.array([0.25, 0.75, 0.75, 0.25])
    for channel in range(3):
        np.testing.assert_array_equal(kernel[:, :, channel, channel], np.outer(side, side))
    assert np.count_nonzero(kernel) == 3 * 16
    np.testing.assert_array_equal(bilinear(None, (3, 3, 2, 1))[:, 1, 1, 0], [0.5, 1, 0.5])
    with pytest.raises(ValueError, match="as many filters as channels, or one a group"):
        bilinear(None, (4, 4, 3, 2))
