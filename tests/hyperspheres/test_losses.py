"""Losses on the sphere: the slides' gradient is autodiff's, scale does not count, and no output gives a nan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from zoo.hyperspheres import (
    classification_gradient,
    classification_loss,
    cosine,
    cosines,
    from_cosine,
    regression_loss,
    separate,
    to_cosine,
)

RANDOM = np.random.default_rng(0)
OUTPUTS = RANDOM.standard_normal((6, 3)).astype(np.float32)
PROTOTYPES = separate(jax.random.key(0), 4, 3)
LABELS = np.array([0, 1, 2, 3, 0, 2])


def total(outputs):
    return classification_loss(outputs, PROTOTYPES, LABELS).sum()


def test_the_loss_is_the_slides_without_the_absolute_value():
    targets = np.asarray(PROTOTYPES)[LABELS]
    expected = (1 - (OUTPUTS * targets).sum(1) / np.linalg.norm(OUTPUTS, axis=1)) ** 2
    np.testing.assert_allclose(classification_loss(OUTPUTS, PROTOTYPES, LABELS), expected, rtol=1e-5)
    opposite = classification_loss(-5 * PROTOTYPES, PROTOTYPES, jnp.arange(4))
    np.testing.assert_allclose(opposite, 4, rtol=1e-6)  # with |z . p| it would be 0
    np.testing.assert_allclose(classification_loss(5 * PROTOTYPES, PROTOTYPES, jnp.arange(4)), 0, atol=1e-12)


def test_the_slides_gradient_is_that_of_autodiff_and_tangent_to_the_sphere():
    by_hand = classification_gradient(OUTPUTS, PROTOTYPES, LABELS)
    np.testing.assert_allclose(by_hand, jax.grad(total)(OUTPUTS), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose((OUTPUTS * by_hand).sum(1), 0, atol=1e-6)
    with jax.enable_x64(True):
        check_grads(total, (OUTPUTS.astype(np.float64),), order=1, modes=["rev"])


def test_the_length_of_an_output_does_not_count():
    np.testing.assert_allclose(total(OUTPUTS * 1e3), total(OUTPUTS), rtol=1e-5)
    np.testing.assert_allclose(jax.grad(total)(OUTPUTS * 10), jax.grad(total)(OUTPUTS) / 10, rtol=1e-4, atol=1e-7)


def test_an_output_without_a_direction_has_no_gradient_and_no_nan():
    zeros = jnp.zeros_like(OUTPUTS)
    np.testing.assert_array_equal(classification_loss(zeros, PROTOTYPES, LABELS), 1)
    np.testing.assert_array_equal(jax.grad(total)(zeros), 0)
    np.testing.assert_array_equal(classification_gradient(zeros, PROTOTYPES, LABELS), 0)


def test_the_predicted_class_has_the_largest_cosine():
    found = cosines(3 * PROTOTYPES[jnp.array([2, 0])], PROTOTYPES)
    assert found.shape == (2, 4)
    assert found.argmax(1).tolist() == [2, 0]
    np.testing.assert_allclose(found.max(1), 1, rtol=1e-6)


def test_values_become_cosines_and_come_back():
    years = np.array([1000.0, 1466.0, 1932.0], np.float32)
    np.testing.assert_allclose(to_cosine(years, 1000, 1932), [-1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(from_cosine(to_cosine(years, 1000, 1932), 1000, 1932), years)
    pole = jnp.array([1.0, 0.0, 0.0])
    at_bounds = jnp.stack([-2 * pole, jnp.array([0.0, 3.0, 0.0]), 7 * pole])
    np.testing.assert_allclose(regression_loss(at_bounds, pole, years, 1000, 1932), 0, atol=1e-10)
    np.testing.assert_allclose(regression_loss(-at_bounds, pole, years, 1000, 1932), [4, 0, 4], atol=1e-5)
    for call in (to_cosine, from_cosine):
        with pytest.raises(ValueError, match="expected a lower bound below the upper, got 5 and 5"):
            call(years, 5, 5)


def test_any_axes_come_before_the_dimensions():
    assert cosine(jnp.ones((2, 5, 3)), jnp.ones(3) / 3**0.5).shape == (2, 5)


@pytest.mark.parametrize("scale", [1e-9, 1e19, 1e30])
def test_an_output_may_be_of_any_length_that_a_number_has(scale):
    scaled = (OUTPUTS * np.float32(scale)).astype(np.float32)
    np.testing.assert_allclose(total(scaled), total(OUTPUTS), rtol=1e-5)
    expected = jax.grad(total)(OUTPUTS) / scale
    np.testing.assert_allclose(jax.grad(total)(scaled), expected, rtol=1e-3, atol=1e-6 / scale)
    np.testing.assert_allclose(
        classification_gradient(scaled, PROTOTYPES, LABELS), expected, rtol=1e-3, atol=1e-6 / scale
    )


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_an_output_that_is_no_number_has_no_loss(odd):
    outputs = OUTPUTS.copy()
    outputs[2, 1] = odd
    losses = np.asarray(classification_loss(outputs, PROTOTYPES, LABELS))
    assert np.isnan(losses[2])
    assert np.isfinite(np.delete(losses, 2)).all()
    assert np.isnan(cosines(outputs, PROTOTYPES)[2]).all()
    assert np.isnan(classification_gradient(outputs, PROTOTYPES, LABELS)[2]).any()


def test_there_is_one_value_an_output():
    with pytest.raises(ValueError, match=r"expected one value an output, \(6,\), got \(6, 1\)"):
        regression_loss(OUTPUTS, jnp.eye(1, 3)[0], np.zeros((6, 1), np.float32), 0.0, 1.0)
