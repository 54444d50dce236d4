"""The lecture's forward-backward example, every number of it, in double precision."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo.perceptrons as chapter
from zoo.perceptrons import collapse, example

exactly = partial(pytest.approx, rel=1e-12)


def test_forward_pass():
    assert example.WEIGHTS == (0.11, 0.21, 0.12, 0.08, 0.14, 0.15)
    result = example.forward()
    assert result == exactly((0.85, 0.48, 0.191, -0.809, 0.3272405))


def test_gradients():  # E4
    gradients = example.backward(example.WEIGHTS, example.forward())
    assert gradients == exactly((-0.22652, -0.33978, -0.2427, -0.36405, -0.68765, -0.38832))


def test_gradients_equal_jax_grad():
    with jax.enable_x64(True):
        weights = jax.tree.map(jnp.asarray, example.WEIGHTS)
        by_hand, autodiff = jax.jit(
            lambda w: (
                example.backward(w, example.forward(w)),
                jax.grad(lambda w: example.forward(w).error)(w),
            )
        )(weights)
        np.testing.assert_allclose(by_hand, autodiff, rtol=1e-14)


def test_steps_that_the_slide_subtracts_to_three_decimals():
    gradients = example.backward(example.WEIGHTS, example.forward())
    steps = example.Weights(*(round(example.LEARNING_RATE * gradient, 3) for gradient in gradients))
    assert steps == example.Weights(w1=-0.011, w2=-0.017, w3=-0.012, w4=-0.018, w5=-0.034, w6=-0.019)


def test_updated_weights_and_next_pass():
    weights, (_, after) = example.train(num_steps=1)
    assert weights == exactly((0.121326, 0.226989, 0.132135, 0.0982025, 0.1743825, 0.169416))
    assert after[:3] == exactly((0.923619, 0.5588775, 0.2557457808075))
    assert after.error == pytest.approx(0.2769571713929, abs=5e-14)


def test_two_decimals_of_the_slide_give_another_next_prediction():  # E6
    rounded = example.rounded(example.train(num_steps=1)[0])
    assert rounded == (0.12, 0.23, 0.13, 0.10, 0.17, 0.17)
    assert example.forward(rounded).prediction == exactly(0.2533)


def test_first_layer_is_updated_with_the_old_second_layer():  # E6
    gradients = example.backward(example.WEIGHTS, example.forward())
    updated = example.update(example.WEIGHTS, gradients)
    spoilt = example.backward(example.WEIGHTS._replace(w5=updated.w5, w6=updated.w6), example.forward())
    assert updated.w1 == exactly(0.11 - 0.05 * -0.809 * 0.14 * 2)
    assert abs(spoilt.w1 - gradients.w1) > 0.05


def test_twenty_steps_bring_the_delta_below_a_thousandth():
    _, passes = example.train(num_steps=25)
    assert next(step for step, result in enumerate(passes) if abs(result.delta) < 1e-3) == 20
    errors = [result.error for result in passes]
    assert errors == sorted(errors, reverse=True)


def test_matrix_of_the_slide_and_the_general_backward_pass_agree():  # E6
    with jax.enable_x64(True):
        layers = example.as_layers(example.WEIGHTS)
        np.testing.assert_array_equal(layers[0][0], [[0.11, 0.12], [0.21, 0.08]])
        outputs, trace = chapter.forward(layers, jnp.array(example.INPUTS), "identity")
        (hidden, output), _ = chapter.backward(layers, trace, outputs - example.TARGET, "identity")
        np.testing.assert_allclose(hidden[0], [[-0.22652, -0.2427], [-0.33978, -0.36405]], rtol=1e-12)
        np.testing.assert_allclose(output[0], [[-0.68765], [-0.38832]], rtol=1e-12)


def test_network_is_linear_and_equals_a_single_layer():  # E8
    with jax.enable_x64(True):
        weights, bias = collapse(example.as_layers(example.WEIGHTS))
        np.testing.assert_allclose(weights[:, 0], [0.0334, 0.0414], rtol=1e-12)
        assert bias == 0
        assert float((jnp.array(example.INPUTS) @ weights)[0]) == exactly(0.191)


def test_gradient_of_zero_is_not_yet_minimal_loss():  # E23
    zeros = example.Weights(*[0.0] * 6)
    assert example.backward(zeros, example.forward(zeros)) == zeros
    assert example.forward(zeros).error == 0.5
    assert example.forward(zeros._replace(w1=0.1, w5=0.1)).error < 0.5  # downhill: a saddle, not a minimum
