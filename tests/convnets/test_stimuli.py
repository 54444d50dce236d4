"""What excites a unit: made images and linear optima, top patches and scipy, receptive fields and known sizes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d

import zoo
from zoo.convnets.looking import Unit, feature_maps, response
from zoo.convnets.stimuli import maximise, receptive_fields, top_patches
from zoo.names import UnknownNameError
from zoo.nn import Conv

KEY = jax.random.key(0, impl="rbg")  # compiles faster
SHAPE = (8, 6, 2)


class Linear(nn.Module):
    """Logits that are sums of weighted pixels: the best image is known."""

    @nn.compact
    def __call__(self, images, train=False, features=False):
        logits = nn.Dense(3, name="head")(images.reshape(len(images), -1))
        return {"logits": logits} if features else logits


class OneFilter(nn.Module):
    """A convolution of 3x3 without padding, of stride 1 down and 2 across."""

    @nn.compact
    def __call__(self, images, train=False, features=False):
        maps = nn.relu(Conv(2, (3, 3), strides=(1, 2), padding=0, name="conv")(images))
        return {"stage1": maps, "logits": maps.mean((1, 2))} if features else maps.mean((1, 2))


def test_the_image_made_for_a_linear_unit_is_white_where_its_weights_are_positive():
    weights = np.random.default_rng(0).standard_normal((96, 3)).astype(np.float32)
    variables = {"params": {"head": {"kernel": weights, "bias": np.zeros(3, np.float32)}}}
    low, high = np.array([-2.0, 0.0], np.float32), np.array([1.0, 3.0], np.float32)
    made = {
        channel: maximise(
            Linear(), variables, Unit("logits", channel), SHAPE, KEY, low, high, 300, rate=0.2, jitter=0, decay=0.0
        )
        for channel in (0, 2)
    }
    for channel, image in made.items():
        weight = weights[:, channel].reshape(SHAPE)
        best = np.where(weight > 0, high, low)
        assert image.shape == SHAPE
        assert ((low <= image) & (image <= high)).all()
        assert ((image > (low + high) / 2) == (weight > 0))[np.abs(weight) > 0.3].all()
        assert (image * weight).sum() > 0.9 * (best * weight).sum()


def test_the_image_made_for_a_network_excites_the_unit_more_the_longer_it_is_made():
    model = zoo.create("lenet5")
    variables = zoo.init(model, KEY, (28, 28, 1))
    noise = jax.random.uniform(KEY, (1, 28, 28, 1), minval=-1.0, maxval=2.0)
    awake = int(feature_maps(model, variables, noise, "stage2").mean((0, 1, 2)).argmax())
    for unit in (Unit("logits", 3), Unit("stage2", awake, jnp.mean)):
        images = [maximise(model, variables, unit, (28, 28, 1), KEY, -1.0, 2.0, steps=steps) for steps in (0, 5, 40)]
        answers = jax.jit(lambda images, unit=unit: response(model, variables, images, unit))(jnp.stack(images))
        assert answers[0] < answers[1] < answers[2]
        assert all(((image >= -1) & (image <= 2)).all() for image in images)
    again = maximise(model, variables, unit, (28, 28, 1), KEY, -1.0, 2.0, steps=40)
    np.testing.assert_array_equal(again, images[-1])
    other = maximise(model, variables, unit, (28, 28, 1), jax.random.key(2, impl="rbg"), -1.0, 2.0, steps=40)
    assert (other != images[-1]).any()


def test_decay_makes_images_smooth():
    model = zoo.create("lenet5")
    variables = zoo.init(model, KEY, (28, 28, 1))

    def roughness(decay):
        image = maximise(model, variables, Unit("logits", 3), (28, 28, 1), KEY, steps=40, decay=decay)
        return np.abs(np.diff(image, axis=0)).mean() / np.std(image)

    assert roughness(1.5) < 0.7 * roughness(0.0)


def test_units_that_do_not_exist_are_refused():
    model = zoo.create("lenet5")
    variables = jax.eval_shape(lambda: zoo.init(model, KEY, (28, 28, 1)))
    with pytest.raises(ValueError, match="expected one of the 10 channels of logits, counted from 0, got 10"):
        maximise(model, variables, Unit("logits", 10), (28, 28, 1), KEY)
    with pytest.raises(UnknownNameError, match="no feature of LeNet5 'stag1'; nearest: stage1"):
        maximise(model, variables, Unit("stag1", 0), (28, 28, 1), KEY)
    with pytest.raises(ValueError, match="LeNet5 expected images of 28 x 28"):
        maximise(model, variables, Unit("logits", 0), (27, 28, 1), KEY)


def test_top_patches_are_those_that_scipy_finds():
    random = np.random.default_rng(0)
    images = random.standard_normal((7, 9, 12, 1)).astype(np.float32)
    kernel = random.standard_normal((3, 3, 1, 2)).astype(np.float32)
    variables = {"params": {"conv": {"kernel": kernel, "bias": np.zeros(2, np.float32)}}}
    maps = [correlate2d(image[..., 0], kernel[..., 0, 1], mode="valid")[:, ::2] for image in images]
    best = sorted(range(7), key=lambda i: -maps[i].max())[:3]
    found = top_patches(OneFilter(), variables, images, Unit("stage1", 1), KEY, count=3, batch=4)
    assert [patch.image for patch in found] == best
    for patch in found:
        values = maps[patch.image]
        row, column = np.unravel_index(values.argmax(), values.shape)
        assert patch.place == (row, column)
        assert patch.value == pytest.approx(values.max(), rel=1e-5)
        assert patch.box == (row, 2 * column, row + 3, 2 * column + 3)
        top, left, bottom, right = patch.box
        pixels = images[patch.image, top:bottom, left:right]
        assert (pixels * kernel[..., 1]).sum() == pytest.approx(patch.value, rel=1e-5)
    assert len(top_patches(OneFilter(), variables, images, Unit("stage1", 1), KEY, count=9)) == 7
    with pytest.raises(ValueError, match="expected a feature of maps"):
        top_patches(OneFilter(), variables, images, Unit("logits", 1), KEY)


def fields(name, shape, feature, places):
    model = zoo.create(name)
    variables = zoo.init(model, KEY, shape)
    return receptive_fields(model, variables, shape, feature, np.array(places), KEY)


@pytest.mark.parametrize(("feature", "size"), [("stage1", 11), ("stage2", 51), ("stage3", 163)])
def test_receptive_fields_of_alexnet_are_the_known_ones(feature, size):
    # Such as in Araujo, Norris and Sim, 2019, Computing Receptive Fields: 195 after the last pooling, 163 before.
    stride = {"stage1": 4, "stage2": 8, "stage3": 16}[feature]
    middle = 112 // stride
    (top, left, bottom, right), (_, beside, _, _) = fields(
        "alexnet_tiny", (224, 224, 3), feature, [(middle, middle), (middle, middle + 1)]
    )
    assert (bottom - top, right - left, beside - left) == (size, size, stride)


def test_receptive_fields_end_at_the_border_and_see_through_all_units():
    found = fields("cifar_resnet8", (32, 32, 3), "stage2", [(8, 8), (0, 15), (8, 8)])
    # 3x3 five times, the last but one with the stride, and the last two steps apart: 3 + 2 + 2 + 2 + 4
    np.testing.assert_array_equal(found, [(10, 10, 23, 23), (0, 24, 7, 32), (10, 10, 23, 23)])
