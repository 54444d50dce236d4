"""The MLP module: parameters, features, XOR, and its equality with the functions written out by hand."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from zoo.perceptrons import (
    MLP,
    XOR_INPUTS,
    XOR_LABELS,
    adam_init,
    adam_step,
    backward,
    collapse,
    cross_entropy,
    forward,
    layers_of,
)

IMAGES = np.random.default_rng(0).normal(size=(4, 6, 5, 3)).astype(np.float32)


@cache
def variables_of(hidden):
    return jax.jit(MLP(hidden=hidden, num_classes=3).init)(jax.random.key(0), IMAGES)


def small(hidden=(7, 5), **fields):
    """A small model and its variables, which depend on its widths alone."""
    return MLP(hidden=hidden, num_classes=3, **fields), variables_of(hidden)


def train_on_xor(model, key):
    """Adam on the four rows of the table: the final logits."""
    inputs, targets = jnp.asarray(XOR_INPUTS), jax.nn.one_hot(XOR_LABELS, 2)
    variables = model.init(key, inputs)

    def step(carry, _):
        variables, state = carry
        gradient = jax.grad(lambda v: cross_entropy(model.apply(v, inputs), targets).mean())(variables)
        return adam_step(variables, gradient, state, 0.05), None

    (variables, _), _ = jax.lax.scan(step, (variables, adam_init(variables)), length=300)
    return model.apply(variables, inputs)


def test_parameters_read_like_the_layers_and_number_535818_on_mnist():
    variables = jax.eval_shape(MLP().init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    shapes = jax.tree.map(lambda leaf: leaf.shape, variables["params"])
    assert shapes == {
        "hidden1": {"kernel": (784, 512), "bias": (512,)},
        "hidden2": {"kernel": (512, 256), "bias": (256,)},
        "head": {"kernel": (256, 10), "bias": (10,)},
    }
    linear = jax.eval_shape(MLP(hidden=(), num_classes=3).init, jax.random.key(0), IMAGES)
    assert jax.tree.map(lambda leaf: leaf.shape, linear["params"]) == {"head": {"kernel": (90, 3), "bias": (3,)}}
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == 785 * 512 + 513 * 256 + 257 * 10 == 535818


def test_features_are_named_in_order_and_end_in_the_logits():
    model, variables = small()
    features = model.apply(variables, IMAGES, features=True)
    assert {name: value.shape for name, value in features.items()} == {
        "hidden1": (4, 7),
        "hidden2": (4, 5),
        "pre_logits": (4, 5),
        "logits": (4, 3),
    }
    assert list(features) == ["hidden1", "hidden2", "pre_logits", "logits"]
    np.testing.assert_array_equal(features["logits"], model.apply(variables, IMAGES))
    headless = MLP(hidden=(7, 5), num_classes=0).apply(variables, IMAGES)
    np.testing.assert_array_equal(headless, features["pre_logits"])


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_module_equals_forward_and_backward_by_hand(activation):
    model, variables = small(activation=activation)
    layers, x = layers_of(variables["params"]), IMAGES.reshape(4, -1)
    outputs, trace = forward(layers, x, activation)
    np.testing.assert_allclose(outputs, model.apply(variables, IMAGES), rtol=1e-5, atol=1e-5)
    again = small(activation=activation, remat=True)[0]  # computed twice, the same
    autodiff = jax.jit(jax.grad(lambda v: (again.apply(v, IMAGES) ** 2).sum()))(variables)["params"]
    by_hand, _ = backward(layers, trace, 2 * outputs, activation)
    np.testing.assert_allclose(ravel_pytree(by_hand)[0], ravel_pytree(layers_of(autodiff))[0], rtol=1e-3, atol=1e-4)


def test_without_activation_the_module_collapses_to_one_layer():
    model, variables = small(activation="identity")
    weights, bias = collapse(layers_of(variables["params"]))
    np.testing.assert_allclose(
        IMAGES.reshape(4, -1) @ weights + bias, model.apply(variables, IMAGES), rtol=1e-4, atol=1e-5
    )


def test_a_hidden_layer_solves_xor_from_any_of_five_starts():
    keys = jax.random.split(jax.random.key(0), 5)
    model = MLP(hidden=(8,), num_classes=2, activation="tanh")
    logits = jax.jit(jax.vmap(lambda key: train_on_xor(model, key)))(keys)
    np.testing.assert_array_equal(logits.argmax(-1), np.broadcast_to(XOR_LABELS, (5, 4)))
    probabilities = jax.nn.softmax(logits)[:, np.arange(4), XOR_LABELS]
    assert probabilities.min() > 0.95


def test_dropout_acts_in_training_alone_and_keeps_the_mean():
    model, variables = small(dropout=0.5)
    images = np.tile(IMAGES, (50, 1, 1, 1))

    @partial(jax.jit, static_argnames="train")
    def apply(train):
        return model.apply(variables, images, train=train, features=True, rngs={"dropout": jax.random.key(1)})

    evaluated, trained = apply(train=False), apply(train=True)
    np.testing.assert_array_equal(evaluated["pre_logits"], evaluated["hidden2"])
    before, after = trained["hidden2"], trained["pre_logits"]
    assert 0.4 < np.mean(after[before > 0] == 0) < 0.6
    np.testing.assert_allclose(after[after != 0], 2 * before[after != 0], rtol=1e-6)
    assert np.abs(trained["hidden2"] - evaluated["hidden2"]).max() > 0  # the first layer is dropped from too


def test_compute_type_and_storage_type_are_separate():
    model, variables = small(dtype=jnp.bfloat16)
    features = model.apply(variables, IMAGES, features=True)
    assert [value.dtype.name for value in features.values()] == ["bfloat16", "bfloat16", "float32", "float32"]
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    reference = small()[0].apply(variables, IMAGES)
    np.testing.assert_allclose(features["logits"], reference, rtol=0.1, atol=0.1)


def test_a_function_serves_as_activation_as_its_name_does():
    model, variables = small(activation="tanh")
    np.testing.assert_array_equal(
        small(activation=jnp.tanh)[0].apply(variables, IMAGES), model.apply(variables, IMAGES)
    )


def test_wrong_fields_and_inputs_name_what_was_expected():
    with pytest.raises(KeyError, match="no activation 'rely'; nearest: relu"):
        MLP(activation="rely").init(jax.random.key(0), IMAGES)
    with pytest.raises(ValueError, match=r"MLP expected images or vectors \(batch, .*got shape \(28,\)"):
        MLP().init(jax.random.key(0), jnp.zeros(28))
    with pytest.raises(ValueError, match=r"0 <= dropout < 1, got hidden=\(4,\) and dropout=1"):
        MLP(hidden=(4,), dropout=1).init(jax.random.key(0), IMAGES)
    with pytest.raises(ValueError, match=r"positive widths .*got hidden=\(4, 0\)"):
        MLP(hidden=(4, 0)).init(jax.random.key(0), IMAGES)
    with pytest.raises(TypeError, match="floating-point images, got uint8"):
        MLP().init(jax.random.key(0), jnp.zeros((1, 28), jnp.uint8))
