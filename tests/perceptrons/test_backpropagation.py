"""The backward pass by hand beside jax.grad and finite differences."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from zoo.perceptrons import (
    ACTIVATIONS,
    Activation,
    backward,
    cross_entropy,
    cross_entropy_gradient,
    forward,
    init_layers,
)

WIDTHS = (3, 6, 5, 4)
TARGETS = np.eye(4)[[0, 2, 3, 1, 2]]


def network(dtype=np.float64):
    """Layers with random weights and biases, and five examples."""
    random = np.random.default_rng(0)
    layers = [
        (random.normal(size=(i, o)).astype(dtype), random.normal(size=o).astype(dtype)) for i, o in pairwise(WIDTHS)
    ]
    return layers, random.normal(size=(5, 3)).astype(dtype)


def loss(layers, x, activation):
    return cross_entropy(forward(layers, x, activation)[0], TARGETS).sum()


def by_hand(layers, x, activation):
    logits, trace = forward(layers, x, activation)
    return backward(layers, trace, cross_entropy_gradient(logits, TARGETS), activation)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_backward_equals_jax_grad_and_finite_differences(activation):
    with jax.enable_x64(True):
        layers, x = network()
        ours, _ = ravel_pytree(jax.jit(by_hand, static_argnums=2)(layers, x, activation))
        autodiff, _ = ravel_pytree(jax.jit(jax.grad(loss, argnums=(0, 1)), static_argnums=2)(layers, x, activation))
        np.testing.assert_allclose(ours, autodiff, rtol=1e-10, atol=1e-12)

        start, unravel = ravel_pytree((layers, x))
        steps = 1e-6 * jnp.eye(start.size)
        losses = jax.jit(jax.vmap(lambda step: loss(*unravel(start + step), activation)))
        np.testing.assert_allclose(ours, (losses(steps) - losses(-steps)) / 2e-6, rtol=1e-6, atol=1e-8)


def test_any_pair_of_function_and_derivative_will_do():
    swish = Activation(jax.nn.silu, lambda z: jax.nn.sigmoid(z) * (1 + z * jax.nn.sigmoid(-z)))
    with jax.enable_x64(True):
        layers, x = network()
        ours = jax.jit(by_hand, static_argnums=2)(layers, x, swish)
        autodiff = jax.jit(jax.grad(loss, argnums=(0, 1)), static_argnums=2)(layers, x, swish)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), ours, autodiff)


def test_batch_gradient_is_the_sum_over_single_examples():
    layers, x = network(np.float32)

    def gradients(x):
        outputs, trace = forward(layers, x, "tanh")
        return backward(layers, trace, 2 * outputs, "tanh")

    batch, batch_inputs = jax.jit(gradients)(x)
    single, single_inputs = jax.jit(jax.vmap(gradients))(x)
    summed = jax.tree.map(lambda each: np.sum(each, axis=0), single)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), batch, summed)
    np.testing.assert_allclose(batch_inputs, single_inputs, rtol=1e-4, atol=1e-5)


def test_forward_is_matrix_products_with_the_activation_between_them():
    (w1, b1), (w2, b2) = layers = network()[0][:2]
    x = np.ones(3)
    outputs, trace = forward(layers, x)
    np.testing.assert_allclose(outputs, np.maximum(x @ w1 + b1, 0) @ w2 + b2, rtol=1e-4)
    assert [(a.shape, z.shape) for a, z in trace] == [((3,), (6,)), ((6,), (5,))]


def test_initial_weights_keep_the_scale_of_the_signal_through_rectifiers():
    layers = jax.jit(init_layers, static_argnums=1)(jax.random.key(0), (400, 300, 200))
    # He et al. (2015), equation 10: half of n Var[w] is 1
    np.testing.assert_allclose([0.5 * len(w) * np.var(w) for w, _ in layers], 1.0, rtol=0.02)
    assert [bias.tolist() for _, bias in layers] == [[0.0] * 300, [0.0] * 200]


def test_wrong_widths_name_the_layer():
    layers, x = network(np.float32)
    with pytest.raises(ValueError, match=r"layer 1 expects 3 inputs, got shape \(5, 2\)"):
        forward(layers, x[:, :2])
    with pytest.raises(ValueError, match="layer 2 expects 5 inputs"):
        forward([layers[0], layers[2]], x)
    with pytest.raises(ValueError, match="at least an input and an output width"):
        init_layers(jax.random.key(0), (3,))
