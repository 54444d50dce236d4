"""Batch normalisation against flax: values, gradients, running statistics, mapped axes, odd inputs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.nn import BatchNorm
from zoo.nn.norm import batch_statistics

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def variables(channels):
    return {
        "params": {"scale": normal(channels), "bias": normal(channels)},
        "batch_stats": {"mean": normal(channels), "var": 1 + normal(channels) ** 2},
    }


@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (16, 3), (2, 3, 4, 5, 3)])
def test_values_gradients_and_running_statistics_are_flaxs(shape):
    x, direction, state = 3 + 2 * normal(*shape), normal(*shape), variables(3)

    def ours(params, x, train):
        return BatchNorm().apply({**state, "params": params}, x, not train, mutable=["batch_stats"])

    def theirs(params, x, train):
        layer = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5)
        return layer.apply({**state, "params": params}, x, mutable=["batch_stats"])

    def everything(layer, train):
        out, pullback, statistics = jax.vjp(lambda params, x: layer(params, x, train), state["params"], x, has_aux=True)
        return out, pullback(direction), statistics

    results = jax.jit(lambda: [[everything(layer, train) for train in (True, False)] for layer in (ours, theirs)])()
    for a, b in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


def test_initial_variables_are_flaxs_and_initialisation_leaves_the_statistics_alone():
    x = 5 + normal(4, 3)
    ours = BatchNorm().init(jax.random.key(0), x, False)
    theirs = nn.BatchNorm(use_running_average=False).init(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_statistics_over_a_mapped_axis_are_those_of_the_whole_batch():
    x, state = normal(12, 4, 3), variables(3)
    whole = BatchNorm().apply(state, x, False, mutable=["batch_stats"])
    layer = BatchNorm(axis_name="devices")
    parts = jax.vmap(lambda x: layer.apply(state, x, False, mutable=["batch_stats"]), axis_name="devices")
    out, statistics = parts(x.reshape(3, 4, 4, 3))
    np.testing.assert_allclose(out.reshape(x.shape), whole[0], atol=1e-5)
    for a, b in zip(jax.tree.leaves(statistics), jax.tree.leaves(whole[1]), strict=True):
        np.testing.assert_allclose(a, np.broadcast_to(b, a.shape), rtol=1e-5)
    assert layer.init(jax.random.key(0), x[0], False).keys() == {"params", "batch_stats"}  # outside the mapping


def test_with_a_mask_what_does_not_count_is_as_if_it_were_not_there():
    x, mask, state = 3 + 2 * normal(8, 2, 2, 3), RNG.random(8) < 0.6, variables(3)
    norm = BatchNorm()
    expected, kept = norm.apply(state, x[mask], False, mutable=["batch_stats"])
    for each in (x, np.where(mask[:, None, None, None], x, 1e6)):
        found, after = norm.apply(state, each, False, mask[:, None, None], mutable=["batch_stats"])
        np.testing.assert_allclose(found[mask], expected, atol=2e-4)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), after, kept)

    def part(x, mask):
        return batch_statistics(x, "parts", mask[:, None, None])

    parts = jax.vmap(part, axis_name="parts")(x.reshape(2, 4, 2, 2, 3), mask.reshape(2, 4))
    for value, right in zip(parts, batch_statistics(x[mask]), strict=True):
        np.testing.assert_allclose(value, np.stack([right, right]), rtol=1e-4)
    nothing, after = norm.apply(state, x, False, np.zeros((8, 1, 1), bool), mutable=["batch_stats"])
    np.testing.assert_allclose(nothing, norm.apply(state, x, True), rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), after["batch_stats"], state["batch_stats"])


def test_bfloat16_activations_have_float32_statistics():
    x = jnp.asarray(100 + normal(512, 3), jnp.bfloat16)
    mean, var = batch_statistics(x)
    np.testing.assert_allclose(mean, np.asarray(x, np.float64).mean(0), rtol=1e-5)
    np.testing.assert_allclose(var, np.asarray(x, np.float64).var(0), rtol=2e-2)
    layer = BatchNorm(dtype=jnp.bfloat16)
    out, state = layer.apply(layer.init(jax.random.key(0), x, True), x, False, mutable=["batch_stats"])
    assert out.dtype == jnp.bfloat16
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state)} == {"float32"}


def test_a_large_constant_has_no_negative_variance_and_a_finite_gradient():
    levels = 10 ** np.linspace(1, 4, 64, dtype=np.float32)
    x, state = np.broadcast_to(levels, (1000, 64)), variables(64)

    @jax.jit
    def run(x):
        gradient = jax.grad(lambda x: BatchNorm().apply(state, x, False, mutable=["batch_stats"])[0].sum())(x)
        return jnp.square(x).mean(0) - jnp.square(x.mean(0)), batch_statistics(x)[1], gradient

    rounded, var, gradient = run(x)
    assert (rounded < 0).any()  # what rounding makes of it
    assert (var >= 0).all()
    assert jnp.isfinite(gradient).all()


def test_training_without_mutable_statistics_is_an_error():
    with pytest.raises(Exception, match="batch_stats"):
        BatchNorm().apply(variables(3), normal(4, 3), False)
