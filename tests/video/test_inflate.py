"""Inflation: a clip that does not move is to a network of clips what its frame is to the network of images."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import zoo
from tests.convnets.families import shapes
from tests.video.clips import drawn, noise
from zoo.nn import convolution
from zoo.video import inflate
from zoo.video.inflate import in_channels, in_time

SIDE = (32, 32, 3)


@pytest.mark.slow  # two networks of many modules to trace
def test_i3d_has_the_parameters_of_googlenet_with_windows_as_long_as_they_are_wide():
    flat, deep = (
        {path: leaf.shape for path, leaf in shapes(zoo.create(name, num_classes=400), shape).items()}
        for name, shape in (("googlenet", (224, 224, 3)), ("i3d", (9, 224, 224, 3)))
    )
    assert deep == {path: (shape[0], *shape) if len(shape) == 4 else shape for path, shape in flat.items()}
    assert sum(math.prod(shape) for path, shape in deep.items() if path.startswith("params/")) == 12_697_264


@pytest.mark.slow  # two networks of many modules to compile
def test_what_an_inflated_network_makes_of_a_constant_clip_is_what_googlenet_makes_of_its_frame():
    image = noise(2, *SIDE)
    flat, deep = zoo.create("googlenet_tiny"), zoo.create("i3d_tiny", borders="repeat")
    variables = drawn(flat, image)
    clip = np.repeat(image[:, None], 9, axis=1)
    inflated = inflate(variables, jax.eval_shape(deep.init, jax.random.key(0), clip))
    of_image = jax.jit(lambda x: flat.apply(variables, x, features=True))(image)
    of_clip = jax.jit(lambda x: deep.apply(inflated, x, features=True))(clip)
    for name, expected in of_image.items():
        found = np.asarray(of_clip[name])
        wanted = np.asarray(expected)
        if wanted.ndim == 4:  # a map: the same in every frame
            wanted = np.repeat(wanted[:, None], found.shape[1], axis=1)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max(), err_msg=name)
    zeros = zoo.create("i3d_tiny")
    other = jax.jit(lambda x: zeros.apply(inflated, x))(clip)
    assert np.abs(other - of_clip["logits"]).max() > 1e-3  # with zeros at the borders a clip has an end


@pytest.mark.parametrize("times", [1, 3, 7])
def test_an_inflated_convolution_of_a_constant_clip_is_the_convolution_of_its_frame(times):
    image, kernel = noise(2, 6, 5, 4), noise(3, 3, 4, 6, seed=1)
    clip = np.repeat(image[:, None], times + 2, axis=1)
    found = convolution(jnp.asarray(clip), in_time(jnp.asarray(kernel), times), padding=(0, 1, 1))
    expected = convolution(jnp.asarray(image), jnp.asarray(kernel), padding=1)
    np.testing.assert_allclose(found, np.repeat(expected[:, None], 3, axis=1), rtol=0, atol=1e-5)


def test_flow_of_one_value_in_all_channels_is_seen_as_a_grey_image_was():
    kernel = jnp.asarray(noise(3, 3, 3, 8))
    spread = in_channels(kernel, 20)
    assert spread.shape == (3, 3, 20, 8)
    grey = np.repeat(noise(1, 5, 5, 1), 20, axis=-1)
    found = convolution(jnp.asarray(grey), spread) / 20
    np.testing.assert_allclose(found, convolution(jnp.asarray(grey[..., :3]), kernel) / 3, rtol=0, atol=1e-5)


def test_a_network_of_images_becomes_one_of_flow_and_keeps_heads_for_other_classes():
    images, flow = jnp.zeros((1, *SIDE)), jnp.zeros((1, 32, 32, 20))
    variables = drawn(zoo.create("resnet_tiny"), images)
    like = drawn(zoo.create("resnet_tiny", num_classes=4), flow)
    found, wanted = (flatten_dict(tree, sep="/") for tree in (inflate(variables, like), like))
    assert {path: leaf.shape for path, leaf in found.items()} == {path: leaf.shape for path, leaf in wanted.items()}
    np.testing.assert_array_equal(found["params/head/kernel"], wanted["params/head/kernel"])
    given = flatten_dict(variables, sep="/")
    stem = "params/stem/conv/kernel"
    np.testing.assert_allclose(found[stem][..., 7, :], given[stem].mean(-2), rtol=1e-5, atol=1e-7)
    same = [path for path in found if path != stem and "/head/" not in path]
    assert all(np.array_equal(found[path], given[path]) for path in same)


def test_networks_that_do_not_go_together_are_told_apart_by_every_name():
    def network(layer, width):
        kernel, bias = noise(3, 3, 3, width), noise(width)
        return {"params": {layer: {"kernel": kernel, "bias": bias}, "head": {"kernel": noise(width, 2)}}}

    given = network("conv", 4)
    with pytest.raises(ValueError, match=r"params/stem/bias: not in the .*; .*stem/kernel: not .*conv/bias: only in"):
        inflate(given, network("stem", 4))
    with pytest.raises(
        ValueError, match=r"conv/kernel: shape \(3, 3, 3, 4\) does not .*conv/bias: shape \(4,\) does not"
    ):
        inflate(given, network("conv", 8))
