"""A dense layer beside a convolution: against scipy's matrices and flax's parameter counts."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from zoo.convolution import cross_correlate, dense_matrix, linear, parameter_counts


def test_linear_operation_is_one_value_with_a_weight_per_feature():
    rng = np.random.default_rng(0)
    features, weights = rng.normal(size=(2, 4, 3))
    assert linear(features, weights).shape == ()
    np.testing.assert_allclose(linear(features, weights), features.ravel() @ weights.ravel(), rtol=1e-5)
    assert linear(np.full(3, 200, np.uint8), np.full(3, 2, np.uint8)).item() == 1200  # 8 bits would overflow


@pytest.mark.parametrize("taps", [3, 4])
def test_convolution_is_a_dense_layer_with_few_weights_shared_by_all_rows(taps):
    kernel = np.random.default_rng(0).normal(size=taps).astype(np.float32)
    length = 6
    valid = scipy.linalg.convolution_matrix(kernel[::-1], length, mode="valid")
    np.testing.assert_allclose(dense_matrix(kernel, length, "valid"), valid)
    wrap = scipy.linalg.circulant(np.roll(np.pad(kernel, (0, length - taps)), -(taps // 2))).T
    np.testing.assert_allclose(dense_matrix(kernel, length, "wrap"), wrap)

    signal = np.random.default_rng(1).normal(size=length).astype(np.float32)
    for border in ("zero", "mirror"):
        rows = dense_matrix(kernel, length, border)
        products = [linear(signal, row) for row in rows]
        np.testing.assert_allclose(products, cross_correlate(signal, kernel, border), rtol=1e-4, atol=1e-6)


def test_parameters_are_those_that_flax_makes():
    def count(layer, shape):
        variables = jax.eval_shape(lambda: layer.init(jax.random.key(0), jnp.zeros(shape)))
        return sum(leaf.size for leaf in jax.tree.leaves(variables))

    height, width, channels, filters, kernel = 8, 6, 3, 5, 3
    counts = parameter_counts((height, width, channels), filters, kernel)
    assert counts.dense == count(nn.Dense(height * width * filters), (1, height * width * channels))
    assert counts.convolution == count(nn.Conv(filters, (kernel, kernel)), (1, height, width, channels))


def test_linear_operation_does_not_know_where_pixels_are_and_convolution_does():
    rng = np.random.default_rng(0)
    pixels, weights = rng.integers(0, 9, (2, 16))
    order = rng.permutation(16)
    assert linear(pixels[order], weights[order]) == linear(pixels, weights)
    filtered = cross_correlate(pixels, [1, -1], "wrap")
    for taps in ([1, -1], [-1, 1]):
        refiltered = cross_correlate(pixels[order], taps, "wrap")
        assert sorted(refiltered.tolist()) != sorted(filtered.tolist())  # not the same values in any order


def test_shapes_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"a weight per feature, \(3,\), got \(4,\)"):
        linear(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match=r"kernel: expected a filter of a signal, \(K,\), got shape \(3, 3\)"):
        dense_matrix(np.ones((3, 3)), 5)
    with pytest.raises(ValueError, match="expected positive sizes"):
        parameter_counts((0, 32, 3), 10, 5)
