"""Activations and their derivatives beside scipy, finite differences and jax.grad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from zoo.perceptrons import ACTIVATIONS, find_activation, relu, relu_derivative, sigmoid, sigmoid_derivative

Z = np.linspace(-6, 6, 25)  # 0 is among them


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_derivative_equals_jax_grad_and_finite_differences(name):
    activation = ACTIVATIONS[name]
    with jax.enable_x64(True):
        derivative = np.asarray(activation.derivative(jnp.asarray(Z)))
        autodiff = jax.vmap(jax.grad(activation))(jnp.asarray(Z))
        difference = (activation(jnp.asarray(Z + 1e-6)) - activation(jnp.asarray(Z - 1e-6))) / 2e-6
    np.testing.assert_allclose(derivative, autodiff, rtol=1e-12, atol=1e-15)
    smooth = Z != 0 if name == "relu" else slice(None)
    np.testing.assert_allclose(derivative[smooth], difference[smooth], atol=1e-8)


def test_sigmoid_equals_scipy_and_its_derivative_is_sigma_times_one_minus_sigma():
    with jax.enable_x64(True):
        np.testing.assert_allclose(sigmoid(jnp.asarray(Z)), scipy.special.expit(Z), rtol=1e-14)
        s = scipy.special.expit(Z)
        np.testing.assert_allclose(sigmoid_derivative(jnp.asarray(Z)), s * (1 - s), rtol=1e-12)


def test_sigmoid_derivative_does_not_vanish_where_sigmoid_rounds_to_one():
    assert sigmoid(30.0) == 1.0
    np.testing.assert_allclose(sigmoid_derivative(30.0), np.exp(-30.0), rtol=1e-5)


def test_relu_derivative_at_zero_is_zero_as_in_jax_unlike_the_slide():  # E7
    assert relu_derivative(0.0) == 0.0 == jax.grad(relu)(0.0) == jax.grad(jax.nn.relu)(0.0)


def test_relu_keeps_nan_visible():
    assert np.isnan(relu(jnp.nan))
    assert np.isnan(relu_derivative(jnp.nan))


def test_ranges_of_the_slides():
    assert 0 < sigmoid(-80.0) < sigmoid(80.0) <= 1
    assert relu(jnp.asarray(Z)).min() == 0.0
    assert relu(1e30) == np.float32(1e30)


def test_unknown_name_offers_the_nearest():
    with pytest.raises(KeyError, match="no activation 'sigmoidal'; nearest: sigmoid"):
        find_activation("sigmoidal")
