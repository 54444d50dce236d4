"""The network of several outputs: each in its range and of the image's size, alone as well as with others."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo.dense.encoder_decoder import MAPS, EncoderDecoder
from zoo.nn import Conv
from zoo.tables import summarise

SHAPE = (10, 14, 3)


class Maps(nn.Module):
    """A backbone of two maps, quick to compile."""

    @nn.compact
    def __call__(self, images, train=False, features=False):
        fine = Conv(4, (3, 3), 2, 1, name="fine")(images)
        return {"fine": fine, "coarse": Conv(4, (3, 3), 2, 1, name="coarse")(nn.relu(fine))}


@pytest.fixture(scope="module")
def network():
    model = EncoderDecoder(Maps(), width=4)
    variables = zoo.init(model, jax.random.key(0), SHAPE)
    alone = model.clone(predicts=("normals",))
    kept = {
        kind: {name: each for name, each in tree.items() if name.partition("_")[0] not in {*MAPS} - {"normals"}}
        for kind, tree in variables.items()
    }
    images = 50 * jax.random.normal(jax.random.key(1), (2, *SHAPE))
    found = jax.jit(lambda *by: (model.apply(by[0], by[2], features=True), alone.apply(by[1], by[2])))
    named, one = found(variables, kept, images)
    return alone, kept, {name: named[name] for name in MAPS}, one


def test_outputs_are_of_the_images_size_and_in_their_ranges(network):
    _, _, found, _ = network
    assert {name: each.shape for name, each in found.items()} == {n: (2, 10, 14, count) for n, count in MAPS.items()}
    assert {each.dtype for each in found.values()} == {jnp.dtype("float32")}
    assert all(np.isfinite(each).all() for each in found.values())
    assert found["depth"].min() > 0
    np.testing.assert_allclose(np.linalg.norm(found["normals"], axis=-1), 1, atol=1e-5)
    assert found["normals"][..., 2].mean() < -0.5  # it begins with surfaces that face the camera
    assert 0 <= found["reflectance"].min() < found["reflectance"].max() <= 1
    assert found["shading"].min() > 0


def test_an_output_alone_is_what_it_is_among_others(network):
    alone, kept, both, found = network
    shapes = jax.eval_shape(alone.init, jax.random.key(0), jnp.zeros((1, *SHAPE)))
    assert jax.tree.map(jnp.shape, kept) == jax.tree.map(lambda leaf: leaf.shape, shapes)
    assert list(found) == ["normals"]
    np.testing.assert_allclose(found["normals"], both["normals"], atol=1e-5)


def test_features_are_the_backbones_the_decoders_and_the_outputs_in_order():
    model, order = EncoderDecoder(Maps(), width=4, predicts=("normals", "depth"), dtype=jnp.bfloat16), []

    def note(key, images):
        named, variables = model.init_with_output(key, images, features=True)
        order.extend(named)  # eval_shape sorts names
        return named, model.apply(variables, images)

    named, outputs = jax.eval_shape(note, jax.random.key(0), jnp.zeros((2, *SHAPE)))
    shapes = {
        "fine": (2, 5, 7, 4),
        "coarse": (2, 3, 4, 4),
        "decode2": (2, 3, 4, 16),
        "decode1": (2, 5, 7, 8),
        "full": (2, 10, 14, 2),
        "join": (2, 10, 14, 4),
        "normals": (2, 10, 14, 3),
        "depth": (2, 10, 14, 1),
    }
    assert {name: named[name].shape for name in order} == shapes
    assert order == list(shapes)
    assert {name: named[name].dtype.name for name in order[2:]} == {
        **dict.fromkeys(order[2:6], "bfloat16"),
        **dict.fromkeys(order[6:], "float32"),
    }
    assert outputs == {name: named[name] for name in outputs}
    assert list(outputs) == sorted(model.predicts)


def test_unknown_outputs_and_small_images_are_refused():
    images = jnp.zeros((1, 32, 32, 3))
    for predicts in ((), ("depth", "depth"), ("albedo",)):
        with pytest.raises(ValueError, match=r"predicts: expected some of depth, normals, reflectance, shading, each"):
            zoo.create("surfaces_tiny", predicts=predicts).init(jax.random.key(0), images)
    with pytest.raises(ValueError, match="expected images"):
        zoo.create("surfaces_tiny").init(jax.random.key(0), images[0])


def test_the_catalogs_networks_give_every_map():
    stages = summarise("surfaces_tiny").stages
    assert {name: stages[name] for name in MAPS} == {name: (64, 64, count) for name, count in MAPS.items()}
    assert list(stages)[-6:] == ["full", "join", *MAPS]
