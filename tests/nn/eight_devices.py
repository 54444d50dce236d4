"""Prints, as JSON, how the layers' gradients on eight devices differ from those on one. Run by test_devices.py."""

import json
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from zoo.nn import BatchNorm, Conv, avg_pool, by_taps, few_channels, global_avg_pool, max_pool, winograd
from zoo.nn.conv import _form
from zoo.nn.geometry import Geometry

FORMS = {  # each with a layer that it takes, after one another
    few_channels: Conv(8, (5, 5), padding=2, parent=None),
    winograd: Conv(8, (3, 3), padding=1, parent=None),
    by_taps: Conv(5, (3, 3), 2, padding=1, parent=None),
}


class Network(nn.Module):
    """Every layer that has a form of its own on CPU."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x):
        x = Conv(6, (3, 3), padding=1)(x)
        x = Conv(6, (3, 3), padding=1, feature_group_count=6)(x)
        x = Conv(6, (3, 3), padding=1, feature_group_count=2)(x)
        x = nn.relu(BatchNorm(axis_name=self.axis_name)(x, False))
        x = Conv(4, (1, 1), padding=0)(max_pool(x, 3, 2, 1))
        for form, layer in FORMS.items():
            geometry = Geometry((layer.strides,) * 2, ((layer.padding,) * 2,) * 2, (1, 1), 1)
            kernel = jnp.zeros((*layer.kernel_size, x.shape[-1], layer.features))
            assert _form(geometry, x, kernel, 1) is form.FORM
            x = layer.copy(name=form.__name__.split(".")[-1])(x)
        return global_avg_pool(avg_pool(x, 2))


def gradients(params, images, axis_name=None):
    """Gradients of a mean over the whole batch, and the new statistics."""

    def loss(params):
        variables = {"params": params, "batch_stats": STATISTICS}
        out, state = Network(axis_name).apply(variables, images, mutable=["batch_stats"])
        mean = jnp.sin(out).mean()
        return (jax.lax.pmean(mean, axis_name) if axis_name else mean), state

    return jax.grad(loss, has_aux=True)(params)


def on_mesh(params, images):
    """The gradients and the names of the collectives that the compiler put in."""
    compiled = jax.jit(gradients).lower(params, jax.device_put(images, BATCH)).compile()
    text = compiled.as_text()
    names = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter")
    return compiled(params, jax.device_put(images, BATCH)), [name for name in names if f" {name}(" in text]


def on_shards(params, images):
    everywhere, batch = PartitionSpec(), PartitionSpec("data")
    function = partial(gradients, axis_name="data")
    return jax.jit(jax.shard_map(function, mesh=MESH, in_specs=(everywhere, batch), out_specs=everywhere))(
        params, images
    )


def on_pmap(params, images):
    def function(params, images):
        # pmean(loss) under pmap leaves each device its own share of the gradient.
        result, state = gradients(params, images, "data")
        return jax.lax.pmean(result, "data"), state

    pieces = images.reshape(8, -1, *images.shape[1:])
    return jax.tree.map(lambda leaf: leaf[0], jax.pmap(function, "data", in_axes=(None, 0))(params, pieces))


def difference(a, b):
    """The largest there is between two trees, relative to arrays with entries above 1."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(jnp.abs(x - y).max() / jnp.maximum(1, jnp.abs(y).max())) for x, y in pairs)


def take_small_layers():
    """Lets the forms of `FORMS` take its layers: in this process alone, so not when the file is imported."""
    winograd.MULTIPLICATIONS, winograd.CHANNELS = 0, 7
    by_taps.PLACES, by_taps.CHANNELS = 0, 1
    few_channels.PLACES, few_channels.FEATURES = 0, 8


if __name__ == "__main__":
    take_small_layers()
    MESH = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    BATCH = NamedSharding(MESH, PartitionSpec("data"))
    random = np.random.default_rng(0)
    images = random.standard_normal((64, 16, 16, 3)).astype(np.float32)
    shapes = jax.eval_shape(lambda: Network().init(jax.random.key(0), images))
    # A kernel of all positive weights gives means: the sine at the end is of numbers near 1.
    variables = jax.tree.map(
        lambda leaf: (2 * random.random(leaf.shape) / max(1, np.prod(leaf.shape[:-1]))).astype(np.float32), shapes
    )
    params, STATISTICS = variables["params"], variables["batch_stats"]
    expected = jax.jit(gradients)(params, images)
    meshed, collectives = on_mesh(jax.device_put(params, NamedSharding(MESH, PartitionSpec())), images)
    report = {
        "devices": jax.device_count(),
        "mesh": difference(meshed, expected),
        "collectives": collectives,
        "shard_map": difference(on_shards(params, images), expected),
        "pmap": difference(on_pmap(params, images), expected),
        "size": difference(expected, jax.tree.map(jnp.zeros_like, expected)),
    }
    print(json.dumps(report))
