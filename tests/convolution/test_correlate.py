"""Cross-correlation and convolution against scipy, the slide's formula and the slide's impulse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from jax.test_util import check_grads

from zoo.convolution import convolve, cross_correlate, impulse

SCIPY = {"zero": "constant", "wrap": "grid-wrap", "copy": "nearest", "reflect": "reflect", "mirror": "mirror"}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@jax.jit
def both_in_all_borders(image, kernel):
    return {border: (cross_correlate(image, kernel, border), convolve(image, kernel, border)) for border in SCIPY}


@pytest.mark.parametrize(
    ("image_shape", "kernel_shape"),
    [((6, 7), (3, 5)), ((6, 7), (4, 2)), ((3, 2), (8, 7)), ((7,), (5,)), ((7,), (4,)), ((1,), (3,))],
    ids=["odd", "even", "larger than the image", "signal odd", "signal even", "single sample"],
)
def test_filter_equals_scipy_ndimage_in_every_border(image_shape, kernel_shape):
    image, kernel = draw(*image_shape), draw(*kernel_shape, seed=1)
    for border, (correlated, convolved) in both_in_all_borders(image, kernel).items():
        mode = SCIPY[border]
        np.testing.assert_allclose(correlated, scipy.ndimage.correlate(image, kernel, mode=mode), **CLOSE)
        np.testing.assert_allclose(convolved, scipy.ndimage.convolve(image, kernel, mode=mode), **CLOSE)


@pytest.mark.parametrize("kernel_shape", [(3, 5), (4, 2), (6, 7)], ids=["odd", "even", "as large as the image"])
def test_filter_equals_scipy_signal(kernel_shape):
    image, kernel = draw(6, 7), draw(*kernel_shape, seed=1)
    valid = scipy.signal.correlate2d(image, kernel, mode="valid")
    np.testing.assert_allclose(cross_correlate(image, kernel, "valid"), valid, **CLOSE)
    valid = scipy.signal.convolve2d(image, kernel, mode="valid")
    np.testing.assert_allclose(convolve(image, kernel, "valid"), valid, **CLOSE)
    full = scipy.signal.convolve2d(image, kernel, mode="full")  # begins where the kernel's first value meets it
    rows, columns = (slice(side // 2, side // 2 + size) for side, size in zip(kernel_shape, (6, 7), strict=True))
    np.testing.assert_allclose(convolve(image, kernel), full[rows, columns], **CLOSE)


@pytest.mark.parametrize("operation", ["correlate", "convolve"])
def test_bank_is_local_in_space_and_full_in_depth(operation):
    ours = {"correlate": cross_correlate, "convolve": convolve}[operation]
    scipys = getattr(scipy.ndimage, operation)
    image, bank = draw(5, 6, 3), draw(3, 2, 3, 4, seed=1)
    channels = range(3)
    expected = [sum(scipys(image[..., c], bank[..., c, d], mode="mirror") for c in channels) for d in range(4)]
    np.testing.assert_allclose(ours(image, bank, "mirror"), np.stack(expected, axis=-1), **CLOSE)
    # ... and of a signal, by the same image seen as one row of it
    expected = [sum(scipys(image[0, :, c], bank[0, :, c, d]) for c in channels) for d in range(4)]
    np.testing.assert_allclose(ours(image[0], bank[0], "reflect"), np.stack(expected, axis=-1), **CLOSE)


def test_single_filter_is_applied_to_each_channel():
    image, kernel = draw(5, 6, 3), draw(3, 2, seed=1)
    expected = [scipy.ndimage.correlate(image[..., c], kernel) for c in range(3)]
    np.testing.assert_allclose(cross_correlate(image, kernel, "reflect"), np.stack(expected, -1), **CLOSE)
    expected = [scipy.ndimage.convolve(image[0, :, c], kernel[0]) for c in range(3)]
    np.testing.assert_allclose(convolve(image[0], kernel[0], "reflect"), np.stack(expected, -1), **CLOSE)


def test_slides_sum_with_its_indices_mended_e1():
    image, kernel = draw(5, 6), draw(3, 3, seed=1)
    expected = np.zeros((5, 6))
    for x, y, i, j in np.ndindex(5, 6, 3, 3):
        if 0 <= x + i - 1 < 5 and 0 <= y + j - 1 < 6:
            expected[x, y] += kernel[i, j] * image[x + i - 1, y + j - 1]
    np.testing.assert_allclose(cross_correlate(image, kernel), expected, **CLOSE)


def test_cross_correlating_an_impulse_turns_the_kernel_around_e2():
    a, b, c, d, e, f, g, h, i = range(1, 10)
    kernel = [[a, b, c], [d, e, f], [g, h, i]]
    assert cross_correlate(impulse(3, 3), kernel).tolist() == [[i, h, g], [f, e, d], [c, b, a]]
    assert convolve(impulse(3, 3), kernel).tolist() == kernel


def test_shifting_the_image_shifts_the_result_exactly_when_it_wraps():
    rng = np.random.default_rng(0)
    image, kernel = rng.integers(-9, 9, (6, 8, 2)), rng.integers(-9, 9, (3, 2, 2, 3))  # sums without rounding
    for operation in (cross_correlate, convolve):
        result = operation(image, kernel, "wrap")
        for shift in [(1, 0), (-2, 3)]:
            moved = operation(np.roll(image, shift, (0, 1)), kernel, "wrap")
            np.testing.assert_array_equal(moved, np.roll(result, shift, (0, 1)))
    moved = cross_correlate(np.roll(image, 1, 0), kernel, "zero")  # while other borders break it at the edge
    assert not np.array_equal(moved, np.roll(cross_correlate(image, kernel, "zero"), 1, 0))


def test_one_output_depends_on_a_local_patch_of_all_channels():
    bank = np.ones((3, 5, 2, 1))
    seen = jax.grad(lambda image: cross_correlate(image, bank)[4, 3, 0])(jnp.zeros((8, 8, 2)))
    expected = np.zeros((8, 8, 2))
    expected[3:6, 1:6] = 1
    np.testing.assert_array_equal(seen, expected)


def test_quiz_of_32x32x3_and_of_the_second_layer():
    def sizes(*shapes, border="zero"):
        image, *banks = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
        for bank in banks:
            image = jax.eval_shape(lambda image, bank: cross_correlate(image, bank, border), image, bank)
        return image.shape

    filters, filters_above = 6, 16
    assert sizes((32, 32, 3), (5, 5, 3, filters)) == (32, 32, filters)
    assert sizes((32, 32, 3), (3, 3, 3, filters)) == (32, 32, filters)  # whatever the filters' size
    assert sizes((32, 32, 3), (5, 5, 3, filters), border="valid") == (28, 28, filters)
    second = (5, 5, filters, filters_above)  # the blank of the quiz: as deep as the first layer has filters
    assert sizes((32, 32, 3), (5, 5, 3, filters), second) == (32, 32, filters_above)


@pytest.mark.parametrize("operation", [cross_correlate, convolve])
def test_derivatives_equal_finite_differences(operation):
    check_grads(
        lambda image, kernel: operation(image, kernel, "reflect"),
        (draw(4, 3, 2), draw(2, 3, 2, 2, seed=1)),
        order=2,
        modes=["fwd", "rev"],
        rtol=1e-2,
        atol=1e-2,
    )


def test_transpose_is_the_full_convolution_and_not_the_inverse_e20():
    image, kernel = draw(5, 6), draw(3, 2, seed=1)
    result, transpose = jax.vjp(lambda image: cross_correlate(image, kernel, "valid"), image)
    (returned,) = transpose(result)
    np.testing.assert_allclose(returned, scipy.signal.convolve2d(result, kernel, mode="full"), **CLOSE)
    assert returned.shape == image.shape  # the "deconvolution" gives back the size,
    assert np.abs(returned - image).max() > 0.1  # not the values


def test_vmap_over_images_and_over_kernels_equals_a_loop():
    images, kernels = draw(3, 4, 5), draw(3, 2, 3, seed=1)
    batched = jax.jit(jax.vmap(lambda image, kernel: convolve(image, kernel, "copy")))(images, kernels)
    expected = [scipy.ndimage.convolve(*pair, mode="nearest") for pair in zip(images, kernels, strict=True)]
    np.testing.assert_allclose(batched, np.stack(expected), **CLOSE)


@pytest.mark.parametrize(
    ("image", "kernel", "result"),
    [("uint8", "int32", "float32"), ("bool", "float32", "float32"), ("bfloat16", "bfloat16", "bfloat16")],
)
def test_whole_numbers_become_floats_and_floats_stay(image, kernel, result):
    image, kernel = jnp.full((2, 2), 200, image), jnp.ones((2, 2), kernel)
    total = cross_correlate(image, kernel, "valid")
    assert total.dtype == result
    assert total.item() == (4 if image.dtype == bool else 800)  # no overflow of 8 bits


def test_products_are_summed_in_full_precision_on_accelerators_too():
    shapes = jax.ShapeDtypeStruct((4, 4), jnp.float32), jax.ShapeDtypeStruct((3, 3), jnp.float32)
    lowered = jax.jit(cross_correlate).trace(*shapes).lower(lowering_platforms=("tpu",)).as_text()
    assert "precision HIGHEST" in lowered


@pytest.mark.parametrize(
    ("image", "kernel", "border", "message"),
    [
        ((4, 4), (), "zero", r"kernel: expected \(K,\), .* got shape \(\)"),
        ((4,), (3, 3), "zero", r"image: expected \(H, W\) or \(H, W, C\) .* got shape \(4,\)"),
        ((4, 4), (3, 3, 1, 2), "zero", r"image: expected \(H, W, C\) .* got shape \(4, 4\)"),
        ((4, 4, 3), (3, 3, 3), "zero", r"bank of one: kernel\[..., None\]"),
        ((4, 4, 3), (3, 3, 2, 8), "zero", "expected filters of depth 3 .* got depth 2"),
        ((4, 4), (5, 3), "valid", r"expected one that fits in the image of shape \(4, 4\) .* got \(5, 3\)"),
        ((0, 4), (3, 3), "zero", "expected no empty axis"),
    ],
)
def test_shapes_that_do_not_fit_say_what_was_expected(image, kernel, border, message):
    for operation in (cross_correlate, convolve):
        with pytest.raises(ValueError, match=message):
            operation(np.zeros(image), np.zeros(kernel), border)


def test_unknown_border_and_complex_numbers_are_refused():
    with pytest.raises(KeyError, match="no border 'vaild'; nearest: valid"):
        cross_correlate([1.0, 2.0], [1.0], "vaild")
    with pytest.raises(TypeError, match="expected real numbers, got an image of complex64"):
        cross_correlate(np.ones(3, np.complex64), [1.0])
