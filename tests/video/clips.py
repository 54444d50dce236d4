"""What the chapter's tests share: clips, variables drawn by numpy, and a few steps of training."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from zoo.catalog.inputs import random_batch


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def drawn(model, *inputs):
    """Variables of He's size, with norms that are not the identity; nothing is compiled."""
    random, found = np.random.default_rng(1), {}
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), *inputs))
    for path, leaf in flatten_dict(shapes, sep="/").items():
        if path.endswith(("scale", "var")):
            values = random.uniform(0.5, 1.5, leaf.shape)
        else:
            size = math.sqrt(2 / math.prod(leaf.shape[:-1])) if path.endswith("kernel") else 0.2
            values = size * random.standard_normal(leaf.shape)
        found[path] = values.astype(leaf.dtype)
    return unflatten_dict(found, sep="/")


def losses(name, steps=30, rate=0.01):
    """Training losses of a model of the catalog on one batch of dark, grey and bright noise, by Adam; one program."""
    model, labels, adam = zoo.create(name), jnp.arange(3), optax.adam(rate)
    inputs = random_batch(zoo.describe(name).inputs, 3, np.random.default_rng(0))
    inputs = [each + jnp.arange(-1.0, 2).reshape(-1, *(1,) * (each.ndim - 1)) for each in inputs]
    off = {field: 0.0 for field in ("dropout", "drop_path") if hasattr(model, field)}
    model = model.copy(**off)
    variables = drawn(model, *inputs)
    params, others = variables["params"], {key: tree for key, tree in variables.items() if key != "params"}

    @jax.jit
    def step(params, others, moments):
        def loss(params):
            logits, state = model.apply({**others, "params": params}, *inputs, train=True, mutable=["batch_stats"])
            return -jax.nn.log_softmax(logits)[jnp.arange(3), labels].mean(), state

        (value, others), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, moments = adam.update(gradients, moments)
        return value, optax.apply_updates(params, updates), others, moments

    values, moments = [], adam.init(params)
    for _ in range(steps):
        value, params, others, moments = step(params, others, moments)
        values.append(float(value))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((params, others)))
    return values
