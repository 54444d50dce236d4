"""Least squares beside scipy, on the lecture's earthquakes and on random data."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax.test_util import check_grads

from zoo.perceptrons import (
    earthquake_features,
    least_squares_gradient,
    least_squares_objective,
    least_squares_solution,
)

RANDOM = np.random.default_rng(0)
INPUTS, TARGETS, WEIGHTS = RANDOM.normal(size=(20, 4)), RANDOM.normal(size=20), RANDOM.normal(size=4)


def test_objective_is_half_the_sum_of_squares():
    assert least_squares_objective(np.array([2.0]), np.array([[1.0], [2.0]]), np.array([3.0, 3.0])) == 1.0


def test_gradient_equals_jax_grad_and_finite_differences():
    with jax.enable_x64(True):
        gradient = least_squares_gradient(WEIGHTS, INPUTS, TARGETS)
        autodiff = jax.grad(least_squares_objective)(jnp.asarray(WEIGHTS), INPUTS, TARGETS)
        np.testing.assert_allclose(gradient, autodiff, rtol=1e-12)
        # J is quadratic, so a central difference has no truncation error, even at a wide step
        difference = [
            (
                least_squares_objective(WEIGHTS + e, INPUTS, TARGETS)
                - least_squares_objective(WEIGHTS - e, INPUTS, TARGETS)
            )
            / 2
            for e in np.eye(4)
        ]
        np.testing.assert_allclose(gradient, difference, rtol=1e-11)


def test_solution_equals_scipy_on_the_earthquakes_and_the_gradient_vanishes_there():
    inputs, targets = earthquake_features()
    with jax.enable_x64(True):
        weights = jax.jit(least_squares_solution)(inputs, targets)
        np.testing.assert_allclose(weights, scipy.linalg.lstsq(inputs, targets)[0], rtol=1e-9)
        np.testing.assert_allclose(least_squares_gradient(weights, inputs, targets), 0.0, atol=1e-8)


def test_a_vanishing_gradient_is_minimal_here_because_the_objective_is_convex():  # E23
    with jax.enable_x64(True):
        hessian = jax.hessian(least_squares_objective)(jnp.asarray(WEIGHTS), INPUTS, TARGETS)
        np.testing.assert_allclose(hessian, INPUTS.T @ INPUTS, rtol=1e-11, atol=1e-12)
        assert np.linalg.eigvalsh(hessian).min() > 0


def test_with_more_features_than_examples_the_shortest_solution_comes():
    inputs, targets = INPUTS[:3], TARGETS[:3]
    with jax.enable_x64(True):
        weights = least_squares_solution(inputs, targets)
        np.testing.assert_allclose(inputs @ weights, targets, rtol=1e-11)
        np.testing.assert_allclose(weights, scipy.linalg.lstsq(inputs, targets)[0], rtol=1e-9)


def test_solution_is_differentiable_also_where_singular_values_coincide():
    with jax.enable_x64(True):
        check_grads(least_squares_solution, (jnp.eye(3), jnp.array([1.0, 2.0, 3.0])), order=1)
