"""Pooling against scikit-image and scipy, its hand-written gradient against automatic differentiation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from jax.test_util import check_grads
from skimage.measure import block_reduce

from zoo.convolution import max_pool, max_pool_gradient, mean_pool

SLIDE = [[1, 4, 3, 6], [2, 1, 0, 9], [2, 2, 7, 7], [5, 3, 3, 6]]
LAYERS = [  # window, stride, padding
    (2, None, 0),
    (3, 2, 1),
    ((2, 3), (1, 2), (1, 0)),
    ((3, 2), (2, 3), (1, 1)),
]


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def scipys(image, filter_, outside, window, stride, padding):
    """What scipy's filter answers at the places where pooling has a region."""
    image = np.pad(image, [(size, size) for size in pair(padding)], constant_values=outside)
    filtered = filter_(image, pair(window), mode="constant", cval=np.nan)
    steps = pair(window if stride is None else stride)
    places = (
        slice(side // 2, side // 2 + size - side + 1, step)
        for size, side, step in zip(image.shape, pair(window), steps, strict=True)
    )
    return filtered[tuple(places)]


def correlate_with_mean(image, window, **border):
    return scipy.ndimage.correlate(image, np.full(window, 1 / np.prod(window)), **border)


def test_slides_example():
    assert max_pool(SLIDE).tolist() == [[4, 9], [5, 7]]
    assert mean_pool(SLIDE).tolist() == [[2, 4.5], [3, 5.75]]


def test_gradient_of_the_slides_example_goes_to_the_first_seven_e21():
    expected = [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]]
    assert max_pool_gradient(SLIDE, jnp.ones((2, 2))).tolist() == expected
    assert jax.grad(lambda grid: max_pool(grid).sum())(jnp.array(SLIDE, float)).tolist() == expected


@pytest.mark.parametrize("window", [2, (2, 3)])
def test_pooling_side_by_side_equals_scikit_image(window):
    image = draw(4, 6, 3)
    blocks = (*pair(window), 1)
    np.testing.assert_array_equal(max_pool(image, window), block_reduce(image, blocks, np.max))
    np.testing.assert_allclose(mean_pool(image, window), block_reduce(image, blocks, np.mean), rtol=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_pooling_in_steps_equals_every_nth_value_of_scipys_filters(layer):
    image = draw(7, 8)
    largest = scipys(image, scipy.ndimage.maximum_filter, -np.inf, *layer)
    np.testing.assert_array_equal(max_pool(image, *layer), largest)
    mean = scipys(image, correlate_with_mean, 0, *layer)
    np.testing.assert_allclose(mean_pool(image, *layer), mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_gradient_by_hand_equals_autodiff_with_and_without_ties(layer):
    pool = functools.partial(max_pool, window=layer[0], stride=layer[1], padding=layer[2])

    @jax.jit
    def both(image):
        pooled, backward = jax.vjp(pool, image)
        cotangent = jnp.arange(1.0, 1 + pooled.size).reshape(pooled.shape)
        return max_pool_gradient(image, cotangent, *layer), *backward(cotangent)

    tied = np.random.default_rng(0).integers(0, 3, (7, 8, 2)).astype(np.float32)
    for image in (draw(7, 8, 2), tied, np.zeros((7, 8, 2), np.float32)):
        np.testing.assert_allclose(*both(image), rtol=1e-6)


def test_padding_takes_no_gradient_from_the_smallest_of_whole_numbers():
    nothing = np.zeros((4, 4), np.uint8)  # padding would tie with it if it counted as the smallest number
    gradient = max_pool_gradient(nothing, jnp.ones((3, 3)), window=2, padding=1)
    assert gradient.sum() == 9


def test_derivatives_equal_finite_differences():
    image = np.random.default_rng(0).permutation(30).reshape(5, 6) / 10  # no ties, and none within a step
    for pool in (max_pool, mean_pool):
        check_grads(lambda image, pool=pool: pool(image, 3, 2, 1), (image,), order=1, rtol=1e-2, atol=1e-2)


def test_small_deformation_within_a_region_leaves_the_maximum():
    image = np.zeros((4, 4))
    image[0, 0] = 1
    np.testing.assert_array_equal(max_pool(np.roll(image, 1, axis=1)), max_pool(image))
    assert max_pool(image).size == image.size // 4  # and the next layer has a quarter of the work


def test_vmap_over_images_equals_a_loop():
    images = draw(3, 4, 6)
    np.testing.assert_array_equal(jax.vmap(max_pool)(images), block_reduce(images, (1, 2, 2), np.max))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "bfloat16", "float32"])
def test_maximum_keeps_the_type_and_mean_is_a_float(dtype):
    image = jnp.array([[0, 1], [0, 0]], dtype)
    assert max_pool(image, 2, 1, 1).dtype == dtype
    assert max_pool(image, 2, 1, 1).tolist() == [[0, 1, 1], [0, 1, 1], [0, 0, 0]]
    assert mean_pool(image).dtype == (dtype if "float" in dtype else "float32")
    assert mean_pool(image).item() == 0.25


@pytest.mark.parametrize(
    ("shape", "layer", "message"),
    [
        ((4,), (2,), r"image: expected \(H, W\) or \(H, W, C\), got shape \(4,\)"),
        ((4, 2), (3,), "expected at least 3 values for a window of 3"),
        ((4, 4), (2, 2, 2), r"padding: expected less than the window \(2, 2\), got \(2, 2\)"),
        ((4, 4), (2, 0), "stride: expected a positive number, got 0"),
        ((4, 4), ((2, 2, 1),), r"window: expected one number, or one down and one across, got \(2, 2, 1\)"),
    ],
)
def test_regions_that_do_not_fit_say_what_was_expected(shape, layer, message):
    for pool in (max_pool, mean_pool):
        with pytest.raises(ValueError, match=message):
            pool(np.zeros(shape), *layer)


def test_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected the result's shape \(2, 2\), got \(4, 4\)"):
        max_pool_gradient(SLIDE, np.ones((4, 4)))
