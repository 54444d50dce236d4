"""Gradient descent, SGD, momentum and Adam beside their optax twins and what theory says of them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg

from zoo.perceptrons import (
    adam_init,
    adam_step,
    gradient_descent,
    least_squares_objective,
    momentum_step,
    stochastic_gradient_descent,
)

RANDOM = np.random.default_rng(0)
INPUTS, TARGETS = RANDOM.normal(size=(32, 4)).astype(np.float32), RANDOM.normal(size=32).astype(np.float32)
START = {"slope": np.array([1.0, -2.0, 0.5, 3.0], np.float32), "offset": np.float32(0.3)}


def objective(w, inputs=INPUTS, targets=TARGETS):
    return jnp.mean((inputs @ w["slope"] + w["offset"] - targets) ** 2) + 0.01 * jnp.sum(w["slope"] ** 4)


def with_optax(optimizer, batches):
    """The twin: optax in the usual loop, one step for each batch."""

    @jax.jit
    def step(w, state, batch):
        updates, state = optimizer.update(jax.grad(objective)(w, *batch), state, w)
        return optax.apply_updates(w, updates), state

    w, state = jax.tree.map(jnp.asarray, START), optimizer.init(START)
    for batch in batches:
        w, state = step(w, state, batch)
    return w


def assert_equal_trees(ours, theirs, rtol=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6), ours, theirs)


def test_gradient_descent_equals_its_optax_twin():
    ours, values = jax.jit(lambda w: gradient_descent(objective, w, 0.05, 20))(START)
    assert_equal_trees(ours, with_optax(optax.sgd(0.05), [(INPUTS, TARGETS)] * 20))
    assert values.shape == (20,)
    np.testing.assert_allclose(values[0], objective(START), rtol=1e-6)
    assert (np.diff(values) < 0).all()


def test_stochastic_gradient_descent_equals_its_optax_twin_on_the_same_batches():
    key = jax.random.key(3)
    choice = jax.jit(jax.vmap(lambda key: jax.random.choice(key, 32, (8,), replace=False)))
    rows = np.asarray(choice(jax.random.split(key, 15)))
    ours, values = stochastic_gradient_descent(objective, START, (INPUTS, TARGETS), key, 0.05, 8, 15)
    assert_equal_trees(ours, with_optax(optax.sgd(0.05), [(INPUTS[r], TARGETS[r]) for r in rows]))
    np.testing.assert_allclose(values[0], objective(START, INPUTS[rows[0]], TARGETS[rows[0]]), rtol=1e-5)


def test_stochastic_gradient_descent_on_all_examples_is_gradient_descent():
    full, _ = stochastic_gradient_descent(objective, START, (INPUTS, TARGETS), jax.random.key(0), 0.05, 32, 10)
    assert_equal_trees(full, gradient_descent(objective, START, 0.05, 10)[0])


@pytest.mark.parametrize("batch_size", [0, 33])
def test_batch_size_beyond_the_examples_is_refused(batch_size):
    with pytest.raises(ValueError, match=f"between 1 and the 32 examples, got {batch_size}"):
        stochastic_gradient_descent(objective, START, (INPUTS, TARGETS), jax.random.key(0), 0.1, batch_size, 1)


def test_momentum_equals_its_optax_twin():
    def step(carry, _):
        w, velocity = carry
        return momentum_step(w, jax.grad(objective)(w), velocity, 0.02, decay=0.8), None

    start = jax.tree.map(jnp.asarray, START)
    (ours, _), _ = jax.lax.scan(step, (start, jax.tree.map(jnp.zeros_like, start)), length=20)
    assert_equal_trees(ours, with_optax(optax.sgd(0.02, momentum=0.8), [(INPUTS, TARGETS)] * 20))


def test_adam_equals_its_optax_twin():
    def step(carry, _):
        w, state = carry
        return adam_step(w, jax.grad(objective)(w), state, 0.1), None

    start = jax.tree.map(jnp.asarray, START)
    (ours, state), _ = jax.lax.scan(step, (start, adam_init(start)), length=20)
    assert_equal_trees(ours, with_optax(optax.adam(0.1), [(INPUTS, TARGETS)] * 20), rtol=1e-4)
    assert state.step == 20


def test_first_step_of_adam_has_the_size_of_the_learning_rate_whatever_the_gradient():
    gradient = jnp.array([1e-3, -1.0, 1e3])
    w, _ = adam_step(jnp.zeros(3), gradient, adam_init(jnp.zeros(3)), 0.01)
    np.testing.assert_allclose(w, [-0.01, 0.01, -0.01], rtol=1e-4)


def test_descent_shrinks_each_direction_by_one_minus_rate_times_curvature_and_diverges_beyond_two_over_it():
    curvature = jnp.array([1.0, 4.0])
    run = jax.jit(jax.vmap(lambda rate: gradient_descent(lambda w: 0.5 * curvature @ w**2, jnp.ones(2), rate, 50)[0]))
    rates = np.array([0.1, 0.49, 0.51], np.float32)  # 2 / 4 is the limit
    final = run(rates)
    np.testing.assert_allclose(final, (1 - rates[:, None] * curvature) ** 50, rtol=1e-3, atol=1e-12)
    assert np.abs(final[1]).max() < 1 < np.abs(final[2]).max()


def test_stochastic_descent_regularises_implicitly_towards_the_shortest_solution():
    # fewer examples than weights: of all that fit, descent from zero finds the one nearest to zero
    inputs, targets = RANDOM.normal(size=(3, 6)), RANDOM.normal(size=3)
    with jax.enable_x64(True):
        w, _ = stochastic_gradient_descent(
            least_squares_objective, jnp.zeros(6), (inputs, targets), jax.random.key(0), 0.1, 1, 1000
        )
        np.testing.assert_allclose(w, scipy.linalg.lstsq(inputs, targets)[0], atol=1e-6)
