"""Self-attention: flax's and jax's own give the same, biases hide keys, and exports run."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.nn.attention import SelfAttention, _products


def tokens(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def variables_of(module, x):
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    random = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: random.standard_normal(leaf.shape).astype(leaf.dtype), shapes)


def test_it_is_the_attention_of_flax():
    x, module = tokens(2, 5, 12), SelfAttention(heads=3)
    variables = variables_of(module, x)
    in_proj, out_proj = variables["params"]["in_proj"], variables["params"]["out_proj"]
    thirds = zip(np.split(in_proj["kernel"], 3, axis=1), np.split(in_proj["bias"], 3), strict=True)
    theirs = {
        name: {"kernel": kernel.reshape(12, 3, 4), "bias": bias.reshape(3, 4)}
        for name, (kernel, bias) in zip(("query", "key", "value"), thirds, strict=True)
    }
    theirs["out"] = {"kernel": out_proj["kernel"].reshape(3, 4, 12), "bias": out_proj["bias"]}
    expected = jax.jit(nn.MultiHeadAttention(num_heads=3).apply)({"params": theirs}, x)
    np.testing.assert_allclose(jax.jit(module.apply)(variables, x), expected, rtol=1e-4, atol=1e-5)


def test_a_bias_is_added_to_every_head_of_every_group_of_tokens():
    # as jax.nn.dot_product_attention has it, and one axis more
    x, bias, module = tokens(2, 4, 6, 8), tokens(4, 2, 6, 6), SelfAttention(heads=2)
    variables = variables_of(module, x)
    in_proj, out_proj = variables["params"]["in_proj"], variables["params"]["out_proj"]

    @jax.jit
    def both(variables):
        found = module.apply(variables, x, bias)
        query, key, value = jnp.split((x @ in_proj["kernel"] + in_proj["bias"]).reshape(2, 4, 6, 6, 4), 3, axis=3)
        expected = [jax.nn.dot_product_attention(query[i], key[i], value[i], bias) for i in range(2)]
        return found, jnp.stack(expected).reshape(x.shape) @ out_proj["kernel"] + out_proj["bias"]

    np.testing.assert_allclose(*both(variables), rtol=1e-4, atol=1e-5)


def test_a_bias_of_minus_infinity_hides_a_token():
    x, module = tokens(1, 4, 6), SelfAttention(heads=1)
    variables = variables_of(module, x)
    hides_the_last = jnp.array([0, 0, 0, -jnp.inf])

    @jax.jit
    def both(variables):
        return module.apply(variables, x, hides_the_last)[:, :3], module.apply(variables, x[:, :3])

    np.testing.assert_allclose(*both(variables), rtol=1e-5, atol=1e-5)


def test_weights_of_the_mean_are_float32_in_a_narrow_network_which_an_export_keeps():
    x, module = tokens(1, 3, 4), SelfAttention(heads=2, dtype=jnp.bfloat16)
    variables = variables_of(module, x)
    jaxpr = str(jax.make_jaxpr(module.apply)(variables, x))
    assert "exp" in jaxpr
    assert [line.split(":")[1].split("[")[0] for line in jaxpr.splitlines() if "= exp" in line] == ["f32"]
    exported = jax.export.export(jax.jit(module.apply), platforms=("cpu", "cuda", "tpu"))(variables, x)
    result = exported.call(variables, x)
    assert result.dtype == jnp.bfloat16
    wide = jax.jit(SelfAttention(heads=2).apply)(variables, x)
    assert np.abs(result.astype(np.float32) - wide).max() < 0.03 * np.abs(wide).max()


def test_heads_that_do_not_share_the_channels_equally_are_refused():
    with pytest.raises(ValueError, match="10 channels cannot be cut in 4 equal heads"):
        jax.eval_shape(SelfAttention(heads=4).init, jax.random.key(0), tokens(1, 2, 10))


def test_gradients_of_a_narrow_network_are_products_of_narrow_numbers_and_near_those_of_float32():
    x, weight = tokens(2, 7, 12), tokens(1, 7, 12)
    narrow, wide = (SelfAttention(3, dtype=dtype) for dtype in (jnp.bfloat16, jnp.float32))
    params = jax.jit(wide.init)(jax.random.key(0), x)

    def loss(params, x, model):
        return (model.apply(params, x).astype(jnp.float32) * weight).sum()

    gradient = jax.grad(loss, argnums=(0, 1))
    ours, expected = (jax.jit(gradient, static_argnums=2)(params, x, model) for model in (narrow, wide))
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=0.03 * np.abs(other).max())
    text = jax.jit(gradient, static_argnums=2).lower(params, x, narrow).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert len(products) == 11  # forwards all but the last, whose result no gradient needs; backwards two of each
    assert not [line for line in products if "f32" in line.rpartition(" : ")[2].partition("->")[0]]


def test_narrow_products_are_mapped_and_differentiated_twice():
    q, k = (jnp.asarray(tokens(2, 4, 6).reshape(2, 4, 2, 3), jnp.bfloat16) for _ in range(2))

    def slope(q, k):
        return jax.grad(lambda q: (_products(q, k) ** 2).sum())(q)

    mapped = jax.vmap(slope)(q[:, None], k[:, None])[:, 0]
    np.testing.assert_array_equal(mapped.astype(np.float32), slope(q, k).astype(np.float32))
    twice = jax.grad(lambda q: slope(q, k).astype(jnp.float32).sum())(q)
    keys = np.asarray(k, np.float64)
    expected = np.broadcast_to(2 * np.einsum("bkhc,bkhd->bhd", keys, keys)[:, None], twice.shape)
    np.testing.assert_allclose(np.asarray(twice, np.float64), expected, rtol=0.05, atol=0.1)
