"""A frame's answer depends on it and those before, and the clip's is the mean of them; a grid says where things are."""

import functools

import flax.linen as nn
import jax
import numpy as np
import pytest
import scipy.special

import zoo
from tests.video.clips import drawn, noise
from zoo.sequences import LSTM
from zoo.video import LRCN

CLIP = noise(2, 4, 32, 32, 3)


@functools.cache
def model():
    found = zoo.create("lrcn_tiny")
    return found, drawn(found, CLIP)


@functools.cache
def program():
    network, variables = model()
    return jax.jit(lambda clip: network.apply(variables, clip, features=True))


def test_a_frame_is_not_known_before_it_comes():
    later = np.array(CLIP)
    later[:, 2] *= -1
    changed = np.abs(program()(later)["hidden"] - program()(CLIP)["hidden"]).max((0, 2)) > 1e-6
    np.testing.assert_array_equal(changed, [False, False, True, True])


def test_a_clip_is_answered_by_the_mean_of_its_frames_probabilities():
    network, variables = model()
    found, head = program()(CLIP), variables["params"]["head"]
    steps = np.asarray(found["hidden"]) @ head["kernel"] + head["bias"]
    expected = scipy.special.softmax(steps, -1).mean(1)
    np.testing.assert_allclose(scipy.special.softmax(found["logits"], -1), expected, rtol=1e-4)
    np.testing.assert_allclose(found["pre_logits"], np.mean(found["hidden"], 1), rtol=0, atol=1e-6)
    vectors = np.asarray(found["stage4"]).mean((2, 3))
    _, again = LSTM(network.hidden_size).apply({"params": variables["params"]["lstm"]}, vectors)
    np.testing.assert_allclose(again, found["hidden"], rtol=0, atol=1e-5)


DOT = np.zeros((1, 1, 64, 64, 3), np.float32)
DOT[:, :, 20:28, 20:28] = 1
SHIFTED = np.roll(DOT, 32, axis=3)


@functools.cache
def seen(grid):
    """What the LSTM reads of a dot, and of one 32 pixels further right, by a network whose maps have no borders."""
    network = LRCN(Circular(), grid=grid, width=8, hidden_size=4, num_classes=0)
    variables = drawn(network, DOT)
    both = [network.apply(variables, clip, features=True) for clip in (DOT, SHIFTED)]
    return [found["fc6"] if grid else found["stage1"].mean((2, 3)) for found in both]


class Circular(nn.Module):
    """A network of images that ends in the mean over its map, which moves as the image does."""

    @nn.compact
    def __call__(self, images, train=False, features=False):
        maps = nn.relu(nn.Conv(6, (3, 3), strides=8, padding="CIRCULAR")(images))
        return {"stage1": maps, "pre_logits": maps.mean((1, 2))}


def test_the_mean_over_a_frame_does_not_say_where_a_dot_is_and_a_grid_does():
    np.testing.assert_allclose(*seen(0), atol=1e-6)
    assert np.abs(np.subtract(*seen(4))).max() > 0.05


def test_a_grid_is_the_mean_of_each_cell_before_a_dense_layer():
    network = zoo.create("lrcn_tiny", backbone="cifar_resnet8", grid=4, width=6, num_classes=0)
    variables = drawn(network, CLIP)
    found, dense = jax.jit(lambda: network.apply(variables, CLIP, features=True))(), variables["params"]["fc6"]
    cells = np.asarray(found["stage3"]).reshape(2, 4, 4, 2, 4, 2, 64).mean((3, 5)).reshape(2, 4, -1)
    np.testing.assert_allclose(found["fc6"], np.maximum(cells @ dense["kernel"] + dense["bias"], 0), atol=1e-4)
    _, again = LSTM(network.hidden_size).apply({"params": variables["params"]["lstm"]}, found["fc6"])
    np.testing.assert_allclose(again, found["hidden"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("backbone", "grid"), [("mlp", 4), ("cifar_resnet8", -1)])
def test_a_grid_needs_maps_and_cells(backbone, grid):
    network = zoo.create("lrcn_tiny", backbone=backbone, grid=grid)
    with pytest.raises(ValueError, match=f"LRCN expected maps and a grid of at least 0, got .* grid={grid}"):
        jax.eval_shape(network.init, jax.random.key(0), CLIP)
