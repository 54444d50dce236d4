"""Functions with other activations, wherever these are called, and functions continued from one of their outputs."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.convnets.rewiring import continued_from, with_activations

X = np.array([-2.0, -0.5, 0.5, 4.0, 7.0], np.float32)


@jax.custom_vjp
def tenfold(x):
    return nn.relu(x)


tenfold.defvjp(lambda x: (nn.relu(x), None), lambda _, above: (10 * above,))

PLACES = {
    "here": lambda x: nn.relu(x),
    "jit": lambda x: jax.jit(nn.relu)(x),
    "remat": lambda x: jax.checkpoint(lambda x: nn.relu(x))(x),
    "remat in jit": lambda x: jax.jit(jax.checkpoint(lambda x: nn.relu(x)))(x),
    "branch": lambda x: jax.lax.cond(x.sum() < 100, lambda x: nn.relu(x), lambda x: 0 * x, x),
    "platform": lambda x: jax.lax.platform_dependent(x, cpu=lambda x: nn.relu(x), default=lambda x: nn.relu(x)),
    "loop": lambda x: jax.lax.scan(lambda x, _: (nn.relu(x), None), x, None, length=1)[0],
    "vmap": lambda x: jax.vmap(nn.relu)(x),
    "module": lambda x: nn.Sequential([nn.relu]).apply({}, x),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("around", [lambda f: f, jax.jit, lambda f: lambda x: jax.vmap(f)(x[:, None])[:, 0]])
def test_an_activation_is_found_wherever_it_is_called(place, around):
    changed = around(with_activations(PLACES[place], {nn.relu: tenfold}))
    np.testing.assert_array_equal(changed(X), np.maximum(X, 0))
    np.testing.assert_array_equal(jax.grad(lambda x: changed(x).sum())(X), np.full_like(X, 10))
    unchanged = around(with_activations(PLACES[place], {nn.relu6: tenfold}))
    np.testing.assert_array_equal(jax.grad(lambda x: unchanged(x).sum())(X), X > 0)


CALLS = {
    nn.relu: (),
    nn.relu6: (),
    nn.silu: (),
    nn.hard_sigmoid: (nn.relu6,),
    nn.hard_swish: (nn.relu6, nn.hard_sigmoid),
}
"""What each activation of one call calls in turn."""


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
@pytest.mark.parametrize("activation", [*CALLS, nn.gelu, functools.partial(nn.gelu, approximate=False), nn.tanh])
def test_an_activation_is_not_taken_for_another(activation, dtype):
    x = jnp.asarray(X, dtype)
    others = set(CALLS) - {activation, *CALLS.get(activation, ())}
    found = with_activations(activation, dict.fromkeys(others, jnp.zeros_like))(x)
    np.testing.assert_array_equal(found, activation(x))
    if activation in CALLS:
        replaced = with_activations(activation, {activation: jnp.zeros_like})
        np.testing.assert_array_equal(replaced(x), jnp.zeros_like(x))


def test_what_is_replaced_by_itself_is_kept_whole():
    zero = {nn.relu6: jnp.zeros_like}  # a hard sigmoid is relu6(x + 3) / 6
    np.testing.assert_array_equal(with_activations(jax.nn.hard_sigmoid, zero)(X), 0 * X)
    kept = with_activations(jax.nn.hard_sigmoid, {jax.nn.hard_sigmoid: jax.nn.hard_sigmoid, **zero})
    np.testing.assert_array_equal(kept(X), jax.nn.hard_sigmoid(X))


def test_trees_go_in_and_come_out_and_what_is_closed_over_is_differentiated():
    def function(tree, scale):
        return {"b": nn.relu(tree["x"]) * scale, "a": (tree["y"],)}

    changed = with_activations(function, {nn.relu: jnp.abs})
    result = changed({"x": X, "y": 1.0}, 2.0)
    np.testing.assert_array_equal(result["b"], 2 * np.abs(X))
    assert result["a"] == (1.0,)

    def closed(scale):
        return with_activations(lambda x: scale * nn.relu(x), {nn.relu: jnp.abs})(X).sum()

    assert jax.grad(closed)(1.0) == np.abs(X).sum()


def test_an_activation_of_several_operations_is_refused():
    with pytest.raises(ValueError, match="expected an activation of one call"):
        with_activations(nn.relu, {lambda x: 2 * x + 1: nn.relu})(X)


def named(x, y):
    square = x * x
    return {"square": square, "sum": square.sum() + y, "late": jnp.sin(square) + y}


@pytest.mark.parametrize("around", [lambda f: f, jax.jit])
def test_what_reads_an_output_reads_the_value_instead(around):
    continued = around(continued_from(named, "square"))
    value = np.array([1.0, 2.0], np.float32)
    result = continued(value, np.array([5.0, 5.0], np.float32), 3.0)
    np.testing.assert_array_equal(result["square"], value)
    assert result["sum"] == 6.0
    np.testing.assert_allclose(result["late"], np.sin(value) + 3, rtol=1e-6)
    gradient = jax.grad(lambda value: continued(value, jnp.array([5.0, 5.0]), 3.0)["late"].sum())(value)
    np.testing.assert_allclose(gradient, np.cos(value), rtol=1e-6)


def test_an_output_that_nothing_reads_or_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="nothing that is computed reads late"):
        continued_from(named, "late")(1.0, 1.0, 1.0)
    with pytest.raises(KeyError):
        continued_from(named, "lat")(1.0, 1.0, 1.0)
