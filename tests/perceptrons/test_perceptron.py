"""Rosenblatt's rule beside scikit-learn's perceptron, Novikoff's bound, and XOR."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.linear_model

from zoo.perceptrons import (
    XOR_INPUTS,
    XOR_LABELS,
    NotSeparableError,
    mistake_bound,
    require_converged,
    rosenblatt,
    threshold_unit,
)


def separable(seed, count=60, features=3, margin=0.15):
    """Points of a random cube, those near a random plane moved away from it: inputs, labels, the plane."""
    random = np.random.default_rng(seed)
    plane = random.normal(size=features)
    plane /= np.linalg.norm(plane)
    inputs, offset = random.uniform(-1, 1, (count, features)), random.uniform(-0.3, 0.3)
    side = np.where(inputs @ plane + offset > 0, 1.0, -1.0)
    inputs += margin * side[:, None] * plane
    return (
        inputs.astype(np.float32),
        (side > 0).astype(np.int32),
        plane.astype(np.float32),
        np.float32(offset),
    )


def test_mistakes_on_separable_data_are_within_novikoffs_bound():
    inputs, labels, weights, bias = (np.stack(column) for column in zip(*map(separable, range(20)), strict=True))
    fits = jax.jit(jax.vmap(partial(rosenblatt, max_epochs=1000)))(inputs, labels)
    bounds = jax.vmap(mistake_bound)(inputs, labels, weights, bias)
    assert fits.converged.all()
    assert (fits.mistakes > 0).all()
    assert (fits.mistakes <= bounds).all()
    np.testing.assert_array_equal(jax.vmap(threshold_unit)(inputs, fits.weights, fits.bias), labels)
    # jit and vmap change nothing, and an epoch without mistakes is the last
    alone = rosenblatt(inputs[3], labels[3], max_epochs=1000)
    for batched, single in zip(fits, alone, strict=True):
        np.testing.assert_array_equal(batched[3], single)
    again = rosenblatt(inputs[3], labels[3], alone.weights, alone.bias)
    assert (int(again.mistakes), int(again.epochs)) == (0, 1)


def test_bound_in_closed_form():
    # x = ±1 under w = 1, b = 0: augmented radius √2, margin 1
    inputs, labels = np.array([[1.0], [-1.0]]), np.array([1, 0])
    np.testing.assert_allclose(mistake_bound(inputs, labels, np.array([1.0])), 2.0, rtol=1e-6)
    np.testing.assert_allclose(mistake_bound(inputs, labels, np.array([9.0])), 2.0, rtol=1e-6)
    assert np.isinf(mistake_bound(inputs, labels, np.array([-1.0])))


def test_weights_equal_those_of_scikit_learn_from_the_same_random_start():
    inputs, labels, _, _ = separable(7)
    start = np.random.default_rng(1).normal(size=4)
    theirs = sklearn.linear_model.Perceptron(shuffle=False, tol=None, max_iter=200, eta0=0.5)
    theirs.fit(inputs.astype(np.float64), labels, coef_init=start[:3].copy(), intercept_init=start[3])
    with jax.enable_x64(True):
        ours = rosenblatt(inputs.astype(np.float64), labels, start[:3], start[3], 0.5, max_epochs=200)
        assert ours.converged
        assert ours.mistakes > 5
        np.testing.assert_allclose(ours.weights, theirs.coef_[0], rtol=1e-12)
        np.testing.assert_allclose(ours.bias, theirs.intercept_[0], rtol=1e-12)


def test_a_missed_one_increases_and_a_false_one_decreases_weights_and_bias():  # E10
    x = np.array([[1.0, -2.0, 0.0]])
    up = rosenblatt(x, np.array([1]), np.zeros(3), 0.0, 0.25, max_epochs=1)
    np.testing.assert_array_equal(up.weights, [0.25, -0.5, 0.0])
    down = rosenblatt(x, np.array([0]), np.zeros(3), 1.0, 0.25, max_epochs=1)
    np.testing.assert_array_equal(down.weights, [-0.25, 0.5, 0.0])
    assert (float(up.bias), float(down.bias), int(up.mistakes), int(down.mistakes)) == (0.25, 0.75, 1, 1)


def test_bias_is_learnt_where_no_plane_through_the_origin_separates():  # E10
    assert rosenblatt(np.array([[1.0], [2.0]]), np.array([0, 1])).converged
    assert rosenblatt(np.array([[1.0], [2.0]]), np.array([1, 0])).converged


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0]])
def test_separable_functions_of_two_bits_are_learnt(labels):
    fit = require_converged(rosenblatt(XOR_INPUTS, np.array(labels)))
    assert threshold_unit(XOR_INPUTS, fit.weights, fit.bias).tolist() == labels


def test_xor_never_converges_from_any_start_and_says_so():
    starts = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    fit = jax.vmap(lambda start: rosenblatt(XOR_INPUTS, XOR_LABELS, start[:2], start[2]))(starts)
    assert not fit.converged.any()
    assert (fit.epochs == 100).all()
    assert (fit.mistakes >= 100).all()
    with pytest.raises(NotSeparableError, match=r"after 100 epochs and \d+ mistakes: either no hyperplane"):
        require_converged(rosenblatt(XOR_INPUTS, XOR_LABELS))


def test_xor_weights_run_in_a_circle_so_more_epochs_cannot_help():
    fits = [rosenblatt(XOR_INPUTS, XOR_LABELS, max_epochs=epochs) for epochs in range(1, 12)]
    states = [(*fit.weights.tolist(), float(fit.bias)) for fit in fits]
    assert len(set(states)) < len(states)


def test_threshold_is_a_negative_bias_and_a_sum_on_it_does_not_fire():
    inputs = jnp.array([[0.5], [1.0], [1.5]])
    assert threshold_unit(inputs, jnp.ones(1), threshold=1.0).tolist() == [0, 0, 1]
    assert threshold_unit(inputs, jnp.ones(1), bias=-1.0).tolist() == [0, 0, 1]
    assert threshold_unit(inputs[2], jnp.ones(1), bias=-1.0).shape == ()


def test_wrong_inputs_name_what_was_expected():
    with pytest.raises(ValueError, match=r"one label for each example .*got shapes \(4, 2\), \(3,\) and \(2,\)"):
        rosenblatt(XOR_INPUTS, XOR_LABELS[:3])
    with pytest.raises(ValueError, match=r"one weight for each feature, got shapes \(4, 2\), \(4,\) and \(3,\)"):
        rosenblatt(XOR_INPUTS, XOR_LABELS, np.zeros(3))
    with pytest.raises(ValueError, match=r"expected inputs \(examples, features\)"):
        mistake_bound(XOR_INPUTS[0], XOR_LABELS[:2], np.zeros(2))
    with pytest.raises(ValueError, match=r"labels must be 0 or 1, got \[-1, 1\]"):
        rosenblatt(XOR_INPUTS, 2 * XOR_LABELS - 1)
