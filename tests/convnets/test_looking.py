"""Looking into networks: gradients and Grad-CAM against scipy, closed forms and finite differences."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import convolve2d, correlate2d

import zoo
from zoo.convnets.lenet import LeNet5
from zoo.convnets.looking import (
    Unit,
    deconvnet,
    feature_maps,
    first_layer_filters,
    grad_cam,
    guided_gradients,
    response,
    saliency,
)
from zoo.names import UnknownNameError
from zoo.nn import Conv, avg_pool, global_avg_pool

LABEL = 1
METHODS = {"saliency": saliency, "deconvnet": deconvnet, "guided": guided_gradients}


class Small(nn.Module):
    """Two convolutions of 3x3, each followed by the activation, the mean, and a classifier."""

    activation: Any = nn.relu
    num_classes: int = 3

    @nn.compact
    def __call__(self, images, train=False, features=False):
        named = {}
        named["stage1"] = x = self.activation(Conv(4, (3, 3), padding=0, name="conv1")(images))
        named["stage2"] = x = self.activation(Conv(5, (3, 3), padding=0, name="conv2")(x))
        named["pre_logits"] = x = global_avg_pool(x)
        if self.num_classes:
            named["logits"] = x = nn.Dense(self.num_classes, name="head")(x)
        return named if features else x


IMAGES = np.random.default_rng(0).standard_normal((2, 9, 8, 2)).astype(np.float32)


def variables_of(model, images=IMAGES, gain=2.0):
    """Random variables that keep activations of the size of the images, or `gain` times so from layer to layer."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    random = np.random.default_rng(1)

    def draw(path, leaf):
        values = random.standard_normal(leaf.shape).astype(np.float32)
        if path[-1].key in ("scale", "var"):
            return np.abs(values) + 0.5
        return gain * values / np.sqrt(np.prod(leaf.shape[:-1]))

    return jax.tree_util.tree_map_with_path(draw, shapes)


def forward(kernel, bias, image):
    """A convolution without padding, by scipy."""
    _, _, inputs, outputs = kernel.shape
    maps = [
        sum(correlate2d(image[..., i], kernel[..., i, k], mode="valid") for i in range(inputs)) for k in range(outputs)
    ]
    return np.stack(maps, axis=-1) + bias


def backward(kernel, above):
    """Its gradient with respect to the image, by scipy."""
    _, _, inputs, outputs = kernel.shape
    maps = [sum(convolve2d(above[..., k], kernel[..., i, k]) for k in range(outputs)) for i in range(inputs)]
    return np.stack(maps, axis=-1)


RULES = {
    "saliency": lambda slope, above: slope * above,
    "deconvnet": lambda slope, above: np.maximum(above, 0),
    "guided": lambda slope, above: slope * np.maximum(above, 0),
}


def by_hand(variables, image, limit=np.inf):
    """Both maps, their slopes, and the gradient of the logit at the second, of one image."""
    conv1, conv2, head = (variables["params"][name] for name in ("conv1", "conv2", "head"))
    sums1 = forward(conv1["kernel"], conv1["bias"], image)
    maps1 = np.clip(sums1, 0, limit)
    sums2 = forward(conv2["kernel"], conv2["bias"], maps1)
    maps2 = np.clip(sums2, 0, limit)
    slopes = [(sums > 0) & (sums < limit) for sums in (sums1, sums2)]
    above = np.broadcast_to(head["kernel"][:, LABEL] / maps2[..., 0].size, maps2.shape)
    return maps1, maps2, slopes, above


@pytest.mark.parametrize(("activation", "limit"), [(nn.relu, np.inf), (nn.relu6, 6.0)])
def test_gradients_of_two_convolutions_are_those_computed_by_hand(activation, limit):
    model = Small(activation)
    variables = variables_of(model, gain=5.0 if limit < np.inf else 2.0)
    unit = Unit("logits", LABEL)
    found = jax.jit(lambda v, x: {name: method(model, v, x, unit) for name, method in METHODS.items()})(
        variables, IMAGES
    )
    conv1, conv2 = (variables["params"][name]["kernel"] for name in ("conv1", "conv2"))
    for name, rule in RULES.items():
        for i, image in enumerate(IMAGES):
            _, maps2, (slope1, slope2), above = by_hand(variables, image, limit)
            assert limit == np.inf or maps2.max() == limit
            expected = backward(conv1, rule(slope1, backward(conv2, rule(slope2, above))))
            np.testing.assert_allclose(found[name][i], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_map_s_unit_is_projected_from_its_strongest_place():
    model = Small()
    variables = variables_of(model)
    found = deconvnet(model, variables, IMAGES, Unit("stage1", 2))
    for image, pixels in zip(IMAGES, found, strict=True):
        maps1, *_ = by_hand(variables, image)
        row, column = np.unravel_index(maps1[..., 2].argmax(), maps1.shape[:2])
        expected = np.zeros_like(image)
        expected[row : row + 3, column : column + 3] = variables["params"]["conv1"]["kernel"][..., 2]
        np.testing.assert_allclose(pixels, expected, rtol=1e-6)


def test_grad_cam_at_both_stages_is_that_computed_by_hand():
    model = Small()
    variables = variables_of(model)
    for feature in ("stage1", "stage2"):
        found = jax.jit(lambda v, x, feature=feature: grad_cam(model, v, x, feature, LABEL))(variables, IMAGES)
        for image, evidence in zip(IMAGES, found, strict=True):
            maps1, maps2, (_, slope2), above = by_hand(variables, image)
            below = backward(variables["params"]["conv2"]["kernel"], slope2 * above)
            maps, gradient = (maps1, below) if feature == "stage1" else (maps2, above)
            expected = np.maximum(maps @ gradient.mean(axis=(0, 1)), 0)
            assert (expected > 0).any()
            np.testing.assert_allclose(evidence, expected, rtol=1e-4, atol=1e-6)


def test_grad_cam_of_a_residual_network_is_the_classifier_applied_to_each_place():
    model = zoo.create("cifar_resnet8")
    images = np.random.default_rng(0).standard_normal((2, 16, 16, 3)).astype(np.float32)
    variables = variables_of(model, images)
    maps, evidence, logits = jax.jit(
        lambda v: (
            feature_maps(model, v, images, "stage3"),
            grad_cam(model, v, images, "stage3", 7),
            model.apply(v, images),
        )
    )(variables)
    kernel, bias = (np.asarray(variables["params"]["head"][name]) for name in ("kernel", "bias"))
    votes = np.asarray(maps) @ kernel[:, 7] / 16  # Zhou et al., 2016: class activation maps
    np.testing.assert_allclose(evidence, np.maximum(votes, 0), rtol=1e-3, atol=1e-4 * np.abs(votes).max())
    np.testing.assert_allclose(votes.sum(axis=(1, 2)) + bias[7], logits[:, 7], rtol=1e-3)


def test_saliency_is_the_slope_that_finite_differences_give():
    model = LeNet5(activation=nn.tanh, pool=avg_pool)
    images = np.random.default_rng(0).standard_normal((2, 28, 28, 1)).astype(np.float32)
    variables = variables_of(model, images)
    unit = Unit("stage2", 3, jnp.mean)

    @jax.jit
    def slopes(images, direction):
        ahead, behind = (response(model, variables, images + step * direction, unit) for step in (2e-3, -2e-3))
        return (ahead - behind) / 4e-3, (saliency(model, variables, images, unit) * direction).sum((1, 2, 3))

    numeric, exact = slopes(images, np.random.default_rng(1).standard_normal(images.shape).astype(np.float32))
    np.testing.assert_allclose(numeric, exact, rtol=2e-2, atol=5e-5)
    assert np.abs(exact).max() > 1e-3


def test_remat_dtype_and_a_traced_channel_change_nothing_but_digits():
    images = np.random.default_rng(0).standard_normal((1, 28, 28, 1)).astype(np.float32)
    variables = variables_of(LeNet5(), images)

    @jax.jit
    def guided(channel):
        models = (LeNet5(), LeNet5(remat=True), LeNet5(dtype=jnp.bfloat16))
        return [guided_gradients(model, variables, images, Unit("logits", channel)) for model in models]

    plain, remat, short = guided(LABEL)
    np.testing.assert_allclose(remat, plain, rtol=1e-5, atol=1e-7)
    assert np.corrcoef(np.ravel(short), np.ravel(plain))[0, 1] > 0.99
    assert short.dtype == jnp.float32
    again = jax.jit(lambda: guided_gradients(LeNet5(), variables, images, Unit("logits", LABEL)))()
    np.testing.assert_allclose(again, plain, rtol=1e-4, atol=1e-6)


def test_filters_are_those_of_the_first_convolution_on_one_scale():
    model = Small()
    variables = variables_of(model)
    kernel = variables["params"]["conv1"]["kernel"]
    filters = first_layer_filters(model, variables, IMAGES.shape[1:])
    expected = 0.5 + 0.5 * kernel.transpose(3, 0, 1, 2) / np.abs(kernel).max()
    np.testing.assert_allclose(filters, expected, rtol=1e-6)
    zeros = jax.tree.map(jnp.zeros_like, variables)
    assert (first_layer_filters(model, zeros, IMAGES.shape[1:]) == 0.5).all()


FAMILIES = {  # the window and the filters of the first convolution
    "mobilenet_v3_tiny": (8, 3, 3, 3),
    "alexnet_tiny": (4, 11, 11, 3),
    "squeezenet_tiny": (8, 3, 3, 3),
}
OTHERS = {
    "vgg_tiny": (4, 3, 3, 3),
    "googlenet_tiny": (4, 7, 7, 3),
    "inception_v3_tiny": (1, 3, 3, 3),
    "resnet_tiny": (4, 7, 7, 3),
    "densenet_tiny": (8, 7, 7, 3),
    "shufflenet_v2_tiny": (4, 3, 3, 3),
}


@pytest.mark.parametrize(
    ("name", "filters"),
    [*FAMILIES.items(), *(pytest.param(*row, marks=pytest.mark.slow) for row in OTHERS.items())],
)
def test_every_family_can_be_looked_into(name, filters):
    model, shape = zoo.create(name), zoo.describe(name).input_shape
    variables = jax.eval_shape(lambda: zoo.init(model, jax.random.key(0), shape))
    images = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    maps = [feature for feature in zoo.feature_info(model, shape) if feature != "pre_logits"]

    def look(variables, images):
        evidence = {feature: grad_cam(model, variables, images, feature, 0) for feature in (maps[0], maps[-1])}
        pixels = [method(model, variables, images, Unit("logits", 0)) for method in METHODS.values()]
        return first_layer_filters(model, variables, shape), evidence, pixels

    found, evidence, pixels = jax.eval_shape(look, variables, images)
    assert found.shape == filters
    assert all(values.shape[0] == 2 and values.ndim == 3 for values in evidence.values())
    assert [values.shape for values in pixels] == 3 * [images.shape]


def test_units_features_and_images_that_do_not_exist_are_refused():
    model = Small()
    variables = variables_of(model)
    for method in METHODS.values():
        with pytest.raises(UnknownNameError, match="no feature of Small 'stag1'; nearest: stage1, stage2"):
            method(model, variables, IMAGES, Unit("stag1", 0))
        with pytest.raises(ValueError, match="expected one of the 4 channels of stage1, counted from 0, got 4"):
            method(model, variables, IMAGES, Unit("stage1", 4))
        with pytest.raises(ValueError, match="conv1 expected 2 channels"):
            method(model, variables, IMAGES[..., :1], Unit("logits", 0))
    with pytest.raises(ValueError, match="expected one of the 3 classes, counted from 0, got -1"):
        grad_cam(model, variables, IMAGES, "stage1", -1)
    with pytest.raises(ValueError, match="expected one of the 0 classes"):
        grad_cam(Small(num_classes=0), variables, IMAGES, "stage1", 0)
    with pytest.raises(UnknownNameError, match="nearest: stage2"):
        grad_cam(model, variables, IMAGES, "stage3", 0)
    with pytest.raises(ValueError, match=r"pre_logits has \(2, 5\)"):
        feature_maps(model, variables, IMAGES, "pre_logits")
    mlp = zoo.create("mlp")
    shapes = jax.eval_shape(mlp.init, jax.random.key(0), IMAGES)
    with pytest.raises(ValueError, match="MLP does not begin with a convolution"):
        first_layer_filters(mlp, shapes, IMAGES.shape[1:])
    with pytest.raises(ValueError, match="LeNet5 expected images"):
        saliency(LeNet5(), {}, IMAGES[0], Unit("logits", 0))


def test_grad_cam_takes_a_class_for_each_image():
    model = Small()
    variables = variables_of(model)
    each = grad_cam(model, variables, IMAGES, "stage1", np.array([2, 0]))
    for i, label in enumerate((2, 0)):
        np.testing.assert_allclose(each[i], grad_cam(model, variables, IMAGES, "stage1", label)[i], rtol=1e-6)
    with pytest.raises(ValueError, match=r"or one for each of the 2 images, got int\d+ of shape \(3,\)"):
        grad_cam(model, variables, IMAGES, "stage1", np.array([2, 0, 1]))
    with pytest.raises(ValueError, match=r"expected the number of a class, .* got float32"):
        grad_cam(model, variables, IMAGES, "stage1", 1.0)
    with pytest.raises(ValueError, match="expected one of the 3 classes, counted from 0, got 3"):
        grad_cam(model, variables, IMAGES, "stage1", np.array([2, 3]))


def test_a_unit_is_one_channel():
    with pytest.raises(ValueError, match=r"expected one channel of stage1, got an array of shape \(2,\)"):
        saliency(Small(), variables_of(Small()), IMAGES, Unit("stage1", np.array([0, 1])))


def test_the_last_map_of_a_vision_transformer_explains_nothing():
    model, shape = zoo.create("vit_mini"), zoo.describe("vit_mini").input_shape
    variables = jax.eval_shape(lambda: zoo.init(model, jax.random.key(0), shape))
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    with pytest.raises(ValueError, match="nothing that is computed reads stage1"):
        jax.eval_shape(lambda v, x: grad_cam(model, v, x, "stage1", 0), variables, images)
    for read in ("stem", "block1"):  # by the class token, in the last block
        assert jax.eval_shape(lambda v, x, read=read: grad_cam(model, v, x, read, 0), variables, images).ndim == 3
