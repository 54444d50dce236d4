"""Sizes against XLA's own shape rules, receptive fields against gradients of real stacks and published tables."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.convolution import ReceptiveField, Window, output_size, receptive_field, same_padding


def run(image, layers):
    """A stack of convolutions by `jax.lax` with random weights and an activation: (N,) or (H, W) in and out."""
    axes = image.ndim
    for kernel, stride, padding, dilation in layers:
        weights = np.random.default_rng(kernel).uniform(1, 2, (1, 1, *(kernel,) * axes))
        image = jax.lax.conv_general_dilated(
            image[None, None],
            jnp.asarray(weights, image.dtype),
            window_strides=(stride,) * axes,
            padding=[padding] * axes,
            rhs_dilation=(dilation,) * axes,
        )[0, 0]
        image = jnp.tanh(image)
    return image


def test_7x7_image_with_a_3x3_filter_gives_5x5():
    assert output_size(7, 3) == 5


def test_output_of_32x32_does_not_depend_on_the_filter_size_when_padded_e22():
    for kernel in (1, 3, 5, 7, 31):
        assert same_padding(kernel) == ((kernel - 1) // 2,) * 2
        assert output_size(32, kernel, padding=same_padding(kernel)) == 32
        assert output_size(32, kernel) == 32 - (kernel - 1)


def test_same_padding_keeps_the_size_for_even_and_dilated_kernels():
    for kernel, dilation in itertools.product((1, 2, 3, 4, 7), (1, 2, 3)):
        padding = same_padding(kernel, dilation)
        assert output_size(11, kernel, padding=padding, dilation=dilation) == 11


def test_output_size_is_that_of_xla():
    settings = itertools.product((9, 10), (1, 2, 3, 4), (1, 2, 3), ((0, 0), (1, 1), (2, 0)), (1, 2))
    for size, *layer in settings:
        expected = jax.eval_shape(lambda signal, layer=layer: run(signal, [layer]), jnp.zeros(size)).shape[0]
        assert output_size(size, *layer) == expected


@pytest.mark.parametrize(
    "layers",
    [
        [(3, 1, (0, 0), 1), (3, 1, (0, 0), 1)],
        [(5, 2, (2, 2), 1), (3, 2, (1, 1), 1), (2, 2, (0, 0), 1)],
        [(3, 1, (2, 2), 2), (4, 3, (2, 1), 1), (3, 1, (0, 2), 1)],
    ],
    ids=["two 3x3", "strided", "dilated, even, one-sided padding"],
)
def test_receptive_field_is_where_the_gradient_is_not_zero(layers):
    size = 40
    field = receptive_field(layers)
    gradients = np.asarray(jax.jit(jax.jacobian(lambda signal: run(signal, layers)))(jnp.zeros(size)))
    whole = 0
    for output, gradient in enumerate(gradients):
        seen, expected = np.flatnonzero(gradient), field.seen_by(output)
        assert set(seen) <= set(expected)
        if expected.start >= 0 and expected.stop <= size:  # sees no padding
            assert range(seen.min(), seen.max() + 1) == expected
            whole += 1
    assert whole > 2


def test_receptive_field_of_an_image_network_is_a_square():
    layers = [(5, 1, (2, 2), 1), (2, 2, (0, 0), 1), (3, 2, (1, 1), 1), (3, 1, (2, 2), 2)]
    gradient = jax.jit(jax.grad(lambda image: run(image, layers)[5, 4]))(jnp.zeros((40, 40)))
    rows, columns = np.nonzero(np.asarray(gradient))
    field = receptive_field(layers)
    assert range(rows.min(), rows.max() + 1) == field.seen_by(5)
    assert range(columns.min(), columns.max() + 1) == field.seen_by(4)


def test_receptive_fields_published_for_vgg_16_and_alexnet():
    # Araujo et al.: receptive field 212, stride 32, padding 90 and 195, 32, 64, before the first dense layer
    convolution, pooling = Window(3, padding=1), Window(2, stride=2)
    vgg = [*[convolution] * 2, pooling] * 2 + [*[convolution] * 3, pooling] * 3
    assert receptive_field(vgg) == ReceptiveField(212, 32, -90)
    overlapping = Window(3, stride=2)
    alexnet = [(11, 4), overlapping, (5, 1, 2), overlapping, *[(3, 1, 1)] * 3, overlapping]
    assert receptive_field(alexnet) == ReceptiveField(195, 32, -64)
    assert receptive_field([]) == ReceptiveField(1, 1, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 3), r"input: expected at least 3 values for a window of 3 with padding \(0, 0\), got 2"),
        ((2, 3, 1, 0, 2), "expected at least 5 values for a window of 5"),
        ((0, 1, 1, 2), "input: expected at least 1 values"),
        ((7, 0), "kernel: expected a positive number, got 0"),
        ((7, 3, 0), "stride: expected a positive number, got 0"),
        ((7, 3, 1, -1), "padding: expected a size from 0, or one before and one after, got -1"),
        ((7, 3, 1, (1, 1, 1)), "padding: expected a size from 0, or one before and one after"),
        ((7, 3, 1, 0, 0), "dilation: expected a positive number, got 0"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        output_size(*arguments)


def test_layers_and_kernels_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="stride: expected a positive number, got 0"):
        receptive_field([(3,), (3, 0)])
    with pytest.raises(ValueError, match="kernel: expected a positive number, got 0"):
        same_padding(0)
