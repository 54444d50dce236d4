"""Composition, the training goal, and the collapse of linear layers into one."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.perceptrons import (
    XOR_INPUTS,
    XOR_LABELS,
    collapse,
    compose,
    empirical_risk,
    forward,
    least_squares_solution,
    squared_error,
)

RANDOM = np.random.default_rng(0)


def random_layers(*widths):
    return [
        (RANDOM.normal(size=(i, o)).astype(np.float32), RANDOM.normal(size=o).astype(np.float32))
        for i, o in pairwise(widths)
    ]


def test_network_is_the_composition_of_its_layers_and_a_pure_function_of_its_parameters():
    dense = [lambda x, theta: jnp.tanh(x @ theta[0] + theta[1])] * 2
    network = compose(*dense, lambda x, theta: x @ theta[0] + theta[1])
    layers, x = random_layers(3, 4, 4, 2), RANDOM.normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(network(x, layers), forward(layers, x, "tanh")[0], rtol=1e-6)
    with pytest.raises(ValueError, match="expected parameters for 3 functions, got 2"):
        network(x, layers[:2])


def test_training_goal_is_the_sum_over_the_pairs_of_the_training_set():  # E9
    inputs, targets = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 1.0, 4.0])
    risk = empirical_risk(lambda x, w: (w * x)[0], squared_error, 2.0, inputs, targets)
    np.testing.assert_allclose(risk, 0.5 * (1 + 9 + 4), rtol=1e-6)
    gradient = jax.grad(empirical_risk, argnums=2)(lambda x, w: (w * x)[0], squared_error, 2.0, inputs, targets)
    np.testing.assert_allclose(gradient, 1 * 1 + 3 * 2 + 2 * 3, rtol=1e-6)


def test_linear_of_linear_is_the_slides_ac_x_plus_cb_plus_d():
    a, b, c, d = 3.0, -1.0, 0.5, 7.0
    slope, offset = collapse([(np.array([[a]]), np.array([b])), (np.array([[c]]), np.array([d]))])
    assert (slope.item(), offset.item()) == (a * c, c * b + d)


def test_stack_without_activations_equals_one_layer_and_with_them_does_not():
    layers, x = random_layers(3, 8, 8, 5, 2), RANDOM.normal(size=(10, 3)).astype(np.float32)
    weights, bias = collapse(layers)
    assert (weights.shape, bias.shape) == ((3, 2), (2,))
    np.testing.assert_allclose(forward(layers, x, "identity")[0], x @ weights + bias, rtol=1e-4, atol=1e-4)
    assert np.abs(forward(layers, x, "relu")[0] - (x @ weights + bias)).max() > 0.1


def test_best_linear_function_of_xor_says_one_half_everywhere():
    inputs = np.column_stack([np.ones(4), XOR_INPUTS]).astype(np.float32)
    weights = least_squares_solution(inputs, XOR_LABELS.astype(np.float32))
    np.testing.assert_allclose(inputs @ weights, 0.5, rtol=1e-5)


def test_collapse_of_nothing_raises():
    with pytest.raises(ValueError, match="at least one layer"):
        collapse([])
