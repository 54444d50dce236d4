"""Losses beside scipy and scikit-learn, at logits where the slides' formulas overflow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from zoo.perceptrons import (
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    cross_entropy,
    cross_entropy_gradient,
    log_softmax,
    softmax,
    squared_error,
)

RANDOM = np.random.default_rng(0)
LOGITS = 3 * RANDOM.normal(size=(8, 5))
CLASSES = np.array([0, 1, 2, 3, 4, 0, 2, 2])
ONE_HOT = np.eye(5)[CLASSES]


def slides_softmax(x):
    """The code on the slide."""
    exps = np.exp(x)
    return exps / np.sum(exps)


def test_binary_cross_entropy_is_the_mean_over_n_examples_as_in_scikit_learn():  # E3
    logits, labels = LOGITS[:, 0], (CLASSES == 2).astype(float)
    with jax.enable_x64(True):
        expected = sklearn.metrics.log_loss(labels, scipy.special.expit(logits))
        np.testing.assert_allclose(binary_cross_entropy(logits, labels), expected, rtol=1e-12)
        np.testing.assert_allclose(binary_cross_entropy(logits[:1], labels[:1]), np.log1p(np.exp(logits[0])))


def test_binary_cross_entropy_and_its_gradient_are_finite_and_exact_at_large_logits():
    logits, labels = jnp.array([1e4, -1e4, 1e4, -1e4]), jnp.array([0.0, 1.0, 1.0, 0.0])
    value, autodiff = jax.jit(jax.value_and_grad(binary_cross_entropy))(logits, labels)
    assert value == (1e4 + 1e4) / 4
    np.testing.assert_array_equal(autodiff, [0.25, -0.25, 0.0, 0.0])
    np.testing.assert_array_equal(binary_cross_entropy_gradient(logits, labels), autodiff)


def test_binary_cross_entropy_keeps_small_losses_of_right_answers():
    logits = jnp.array([50.0, -50.0])
    np.testing.assert_allclose(binary_cross_entropy(logits, jnp.array([1.0, 0.0])), np.exp(-50.0), rtol=1e-5)


def test_binary_gradient_is_prediction_minus_label_over_n():
    logits, labels = LOGITS[:, :2].copy(), RANDOM.uniform(size=(8, 2))
    logits[0] = 0.0
    with jax.enable_x64(True):
        gradient = binary_cross_entropy_gradient(logits, labels)
        np.testing.assert_allclose(gradient, (scipy.special.expit(logits) - labels) / 16, rtol=1e-12)
        np.testing.assert_allclose(gradient, jax.grad(binary_cross_entropy)(logits, labels), atol=1e-15)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_and_its_logarithm_equal_scipy_along_any_axis(axis):  # E5
    with jax.enable_x64(True):
        np.testing.assert_allclose(softmax(LOGITS, axis), scipy.special.softmax(LOGITS, axis), rtol=1e-12)
        np.testing.assert_allclose(log_softmax(LOGITS, axis), scipy.special.log_softmax(LOGITS, axis), rtol=1e-12)


def test_softmax_of_a_batch_normalises_each_example_unlike_the_slide():  # E5
    np.testing.assert_allclose(softmax(jnp.asarray(LOGITS)).sum(-1), 1.0, rtol=1e-6)
    assert slides_softmax(LOGITS).sum() == pytest.approx(1.0)  # the whole batch shares one


def test_softmax_is_finite_at_logits_of_ten_thousand_unlike_the_slide():  # E5
    logits = np.array([1e4, -1e4, 1e4], np.float32)
    np.testing.assert_array_equal(softmax(logits), [0.5, 0.0, 0.5])
    np.testing.assert_allclose(log_softmax(logits), [-np.log(2), -2e4 - np.log(2), -np.log(2)], rtol=1e-6)
    with np.errstate(all="ignore"):
        assert np.isnan(slides_softmax(logits)).any()
        assert np.isnan(slides_softmax(np.array([89.0, 0.0], np.float32))[0])


def test_softmax_does_not_change_when_all_logits_shift():
    np.testing.assert_allclose(softmax(jnp.asarray(LOGITS) + 100), softmax(jnp.asarray(LOGITS)), rtol=1e-4)


def test_cross_entropy_equals_scikit_learn():
    with jax.enable_x64(True):
        losses = cross_entropy(LOGITS, ONE_HOT)
        assert losses.shape == (8,)
        expected = sklearn.metrics.log_loss(CLASSES, scipy.special.softmax(LOGITS, -1))
        np.testing.assert_allclose(losses.mean(), expected, rtol=1e-12)
        np.testing.assert_allclose(jax.vmap(cross_entropy)(LOGITS, ONE_HOT), losses, rtol=1e-14)


def test_cross_entropy_gradient_is_p_minus_y():
    targets = RANDOM.dirichlet(np.ones(5), size=8)
    with jax.enable_x64(True):
        for y in (ONE_HOT, targets):
            gradient = cross_entropy_gradient(LOGITS, y)
            np.testing.assert_allclose(gradient, scipy.special.softmax(LOGITS, -1) - y, atol=1e-15)
            autodiff = jax.grad(lambda z, y: cross_entropy(z, y).sum())(LOGITS, y)
            np.testing.assert_allclose(gradient, autodiff, atol=1e-14)


def test_cross_entropy_and_its_gradient_are_exact_at_large_logits():
    logits, target = jnp.array([1e4, -1e4]), jnp.array([0.0, 1.0])
    value, autodiff = jax.jit(jax.value_and_grad(cross_entropy))(logits, target)
    assert value == 2e4
    np.testing.assert_array_equal(autodiff, [1.0, -1.0])
    np.testing.assert_array_equal(cross_entropy_gradient(logits, target), autodiff)


def test_class_indices_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"\(8, 5\), got shape \(8,\).*jax.nn.one_hot"):
        cross_entropy(LOGITS, CLASSES)


def test_derivative_of_squared_error_is_the_delta():
    assert squared_error(0.191, 1.0) == pytest.approx(0.3272405)
    assert jax.grad(squared_error)(0.191, 1.0) == pytest.approx(-0.809)
