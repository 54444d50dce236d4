"""Fisher information, penalties and measures of forgetting beside closed forms, second derivatives, scipy and loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.special import log_softmax, softmax

from zoo.frontiers import (
    average_accuracy,
    backward_transfer,
    distillation_loss,
    fisher_diagonal,
    forgetting,
    forward_transfer,
    quadratic_penalty,
)

random = np.random.default_rng(0)
EXAMPLES = random.standard_normal((7, 3)).astype(np.float32)
MATRIX = random.uniform(size=(4, 4))


def test_the_fisher_information_of_softmax_regression_is_its_closed_form():
    weights = random.standard_normal((3, 5)).astype(np.float32)
    found = jax.jit(lambda w: fisher_diagonal(lambda w, x: x @ w, w, EXAMPLES))(weights)
    chances = softmax(EXAMPLES @ weights, axis=1)
    expected = np.mean(np.square(EXAMPLES)[:, :, None] * (chances * (1 - chances))[:, None], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_fisher_information_is_the_second_derivative_of_how_far_answers_move():
    params = {"first": random.standard_normal((3, 4)), "second": random.standard_normal((4, 3))}
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), params)
    logits = lambda params, x: jnp.tanh(x @ params["first"]) @ params["second"]  # noqa: E731
    flat, restored = ravel_pytree(params)

    def divergence(moved):  # of Kullback and Leibler, from the answers as they are
        before, after = (jax.nn.log_softmax(logits(each, EXAMPLES)) for each in (params, restored(moved)))
        return jnp.sum(jnp.exp(before) * (before - after), axis=-1).mean()

    expected = jnp.diagonal(jax.jit(jax.hessian(divergence))(flat))
    found = jax.jit(lambda params: fisher_diagonal(logits, params, EXAMPLES))(params)
    np.testing.assert_allclose(ravel_pytree(found)[0], expected, rtol=1e-3, atol=1e-6)


def test_with_true_curvature_the_penalty_makes_two_least_squares_problems_one():
    first, second = random.uniform(1, 2, (2, 6)), random.uniform(1, 2, (2, 6))  # curvatures and targets, by coordinate
    (curve1, target1), (curve2, target2) = first, second
    penalised = jax.grad(
        lambda w: (curve2 * (w - target2) ** 2).sum() / 2 + quadratic_penalty({"w": w}, {"w": target1}, {"w": curve1})
    )
    joint = (curve1 * target1 + curve2 * target2) / (curve1 + curve2)
    np.testing.assert_allclose(penalised(joint), 0, atol=1e-5)


def test_distillation_is_the_cross_entropy_of_softened_answers_and_teaches_only_the_new_network():
    new, old = random.standard_normal((2, 5, 4)).astype(np.float32)
    expected = -(softmax(old / 2, axis=1) * log_softmax(new / 2, axis=1)).sum(axis=1)
    np.testing.assert_allclose(distillation_loss(new, old), expected, rtol=1e-5)
    slopes = jax.grad(lambda new, old: distillation_loss(new, old).sum(), argnums=(0, 1))
    of_new, of_old = slopes(old, old)  # least where the answers are what they were
    np.testing.assert_allclose(of_new, 0, atol=1e-6)
    np.testing.assert_array_equal(of_old, 0)


def test_measures_are_loops_over_the_matrix():
    tasks = len(MATRIX)
    assert average_accuracy(MATRIX) == pytest.approx(sum(MATRIX[-1]) / tasks)
    lost = [max(MATRIX[i][j] for i in range(tasks - 1)) - MATRIX[-1][j] for j in range(tasks - 1)]
    assert forgetting(MATRIX) == pytest.approx(sum(lost) / (tasks - 1))
    known_before = np.array([[0.5, 0.9, 0.5], [0.5, 0.6, 0.5], [0.5, 0.6, 0.5]])  # the second task, without its images
    assert forgetting(known_before) == pytest.approx(0.15)
    assert backward_transfer(MATRIX) == pytest.approx(
        sum(MATRIX[-1][j] - MATRIX[j][j] for j in range(tasks - 1)) / (tasks - 1)
    )
    before = random.uniform(size=tasks)
    gained = [MATRIX[j - 1][j] - before[j] for j in range(1, tasks)]
    assert forward_transfer(MATRIX, before) == pytest.approx(sum(gained) / (tasks - 1))


def test_what_is_no_matrix_of_tasks_is_refused():
    for wrong in (MATRIX[0], MATRIX[:3], MATRIX[:1, :1]):
        with pytest.raises(ValueError, match="square matrix of two or more tasks"):
            average_accuracy(wrong)
    with pytest.raises(ValueError, match="4 accuracies of the untrained network"):
        forward_transfer(MATRIX, MATRIX[0, :3])
