"""Layers in the order of computation, and learning rates that fall from each to the one below."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zoo
from tests.train.small import steps
from train.config import Optimizer
from train.engine import transfer
from train.engine.optim import make_optimizer
from zoo.hyperspheres.heads import LearnedDirections


def test_layers_are_counted_in_the_order_of_computation():
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    layer = transfer.layers(zoo.create("cifar_preact_resnet110", depth=20), (image,))
    assert layer["stem/conv/kernel"] == 0
    assert layer["stage1/block1/conv1/kernel"] == layer["stage1/block1/norm2/scale"] == 1
    assert [layer[f"stage{s}/block3/conv2/kernel"] for s in (1, 2, 3)] == [3, 6, 9]
    assert (layer["final_norm/scale"], layer["head/kernel"], layer["head/bias"]) == (10, 11, 11)
    dense = transfer.layers(zoo.create("cifar_densenet_tiny"), (image,))
    assert dense["stem/conv/kernel"] < dense["stage1/layer2/conv1/kernel"] < dense["transition1/conv/kernel"]
    assert dense["transition1/conv/kernel"] < dense["stage2/layer1/conv1/kernel"] < dense["head/kernel"]
    remat = transfer.layers(zoo.create("cifar_preact_resnet110", depth=20, remat=True), (image,))
    assert remat == layer
    transformer = transfer.layers(zoo.create("vit_mini"), (image,))
    assert {transformer[name] for name in ("class_token", "position_embedding", "stem/conv/kernel")} == {0}
    assert transformer["stage1/block1/norm1/scale"] == 1


def test_an_mlp_has_a_layer_a_matrix():
    layer = transfer.layers(zoo.create("mlp", hidden=(8,) * 11, num_classes=3), (jnp.zeros((1, 4, 4, 1)),))
    order = sorted({path.partition("/")[0]: number for path, number in layer.items()}.items(), key=lambda item: item[1])
    assert [number for _, number in order] == list(range(12))
    assert order[-1][0] in ("output", "head")
    numbered = [int("".join(filter(str.isdigit, name))) for name, _ in order[:-1]]
    assert numbered == sorted(numbered)


class Three(nn.Module):
    """A scalar in each of three layers."""

    @nn.compact
    def __call__(self, x):
        for name in ("stem", "middle", "head"):
            x = nn.Dense(1, use_bias=False, name=name)(x)
        return x


@pytest.mark.parametrize("name", ["sgd", "adamw", "lamb"])
def test_rates_fall_by_the_factor_from_layer_to_layer(name):
    """As with an optimiser of its own for each layer, whose rate is that of the layer."""
    config = Optimizer(name, weight_decay=0.1, decay_all=True)
    params = {
        layer: {"kernel": np.full((1, 1), value, np.float32)} for layer, value in zip("abc", (1, -2, 3), strict=True)
    }
    params = dict(zip(("stem", "middle", "head"), params.values(), strict=True))
    grads = [jax.tree.map(lambda p, g=g: g * p**2, params) for g in (0.3, -0.2)]
    optimizer = make_optimizer(
        config,
        optax.constant_schedule(0.1),
        lambda moves: transfer.slower_below(moves, Three(), jnp.zeros((1, 1)), 0.5),
    )
    found, _ = steps(optimizer, params, grads)
    for layer, rate in (("head", 0.1), ("middle", 0.05), ("stem", 0.025)):
        alone = make_optimizer(config, optax.constant_schedule(rate))
        expected, _ = steps(alone, {layer: params[layer]}, [{layer: grad[layer]} for grad in grads])
        np.testing.assert_allclose(found[layer]["kernel"], expected[layer]["kernel"], rtol=1e-5)


def test_blocks_of_a_network_that_is_part_of_another_count_as_alone_and_what_is_beside_it_is_on_top():
    alone, image = zoo.create("cifar_resnet8", num_classes=4), jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32)
    expected = transfer.layers(alone, (image,))
    found = transfer.layers(LearnedDirections(alone, 3), (image,), part="backbone")
    assert found.pop("directions") == max(expected.values()) + 1
    assert {path.removeprefix("backbone/"): number for path, number in found.items()} == expected
