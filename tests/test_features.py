"""Channels and strides of named features, against the papers' tables."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

import zoo
from tests.composites import Clips, composites  # noqa: F401 (a fixture)
from zoo.features import first_kernel
from zoo.nn import Conv


class Pyramid(nn.Module):
    """Maps that are halved over and over, as a detector's P3 to P7 are, down to a stride of 512."""

    @nn.compact
    def __call__(self, images, train=False, features=False):
        named, x = {}, images
        for level in range(1, 10):
            named[f"p{level}"] = x = Conv(2, (3, 3), 2, 1, name=f"p{level}")(x)
        return named if features else x


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("alexnet", {"stage1": 4, "stage2": 8, "stage3": 16}),  # 55, 27 and 13 places of 224 pixels
        ("squeezenet1_1", {"stem": 2, "stage1": 4, "stage2": 8, "stage3": 16}),
        ("inception_v3", {"stem": 2, "stage1": 4, "stage2": 8, "stage3": 16, "stage4": 32}),  # of 299 pixels
        ("resnet18", {"stem": 2, "stage1": 4, "stage2": 8, "stage3": 16, "stage4": 32}),
        ("vit_h_14", {"stem": 14, "stage1": 14}),
        ("lenet5", {"stage1": 2, "stage2": 4}),
        ("inception_v3_tiny", {"stem": 2, "stage1": 4, "stage2": 8, "stage3": 16, "stage4": 32}),
        ("surfaces_tiny", {"stage4": 32, "decode5": 32, "decode1": 2, "join": 1, "depth": 1}),
        ("swin_t", {"stem": 4, "stage1": 4, "stage2": 8, "stage3": 16, "stage4": 32}),
    ],
)
def test_strides_are_the_products_of_the_layers_strides(name, strides):
    found = zoo.feature_info(name)
    assert {feature: found[feature].stride for feature in strides} == {k: (s, s) for k, s in strides.items()}


def test_channels_and_options():
    assert zoo.feature_info("resnet50")["stage3"] == (1024, (16, 16))
    dilated = zoo.feature_info("resnet50", replace_stride_with_dilation=(False, False, True))
    assert dilated["stage4"] == (2048, (16, 16))
    assert zoo.feature_info("cifar_resnet20", (64, 64, 3))["stage3"] == (64, (4, 4))
    assert zoo.feature_info("resnet18", (100, 90, 3))["stage4"] == (512, (32, 32))  # of four places, and three
    assert zoo.feature_info("resnet18", input_shape=(100, 90, 3)) == zoo.feature_info("resnet18")


@pytest.mark.usefixtures("composites")
def test_each_axis_has_its_own_stride_and_all_inputs_of_one_size_grow_together():
    clips = zoo.feature_info("clips")
    assert clips["stem"] == (4, (1, 4, 4))
    assert clips["stage1"] == (6, (2, 4, 4))
    assert clips["pooled"] == (6, (4, 16, 16))  # one place, however large the clip is
    assert "logits" not in clips
    assert zoo.feature_info("pair") == {"flow": (2, (4, 2))}
    assert zoo.feature_info("tokens") == {"embedded": (4, (1,)), "pairs": (3, (2,))}


def test_a_module_has_the_inputs_of_its_row_or_is_given_some():
    assert zoo.feature_info(zoo.create("cifar_resnet8"))["stage2"] == (32, (2, 2))
    assert zoo.feature_info(Clips(), (4, 16, 16, 3))["stage1"] == (6, (2, 4, 4))
    with pytest.raises(ValueError, match=r"expected a model of the catalog, got a module of .*:Clips"):
        zoo.feature_info(Clips())


@pytest.mark.parametrize("size", [(512, 512), (800, 1333), (33, 1025)])
def test_strides_of_a_pyramid_are_exact_up_to_512_on_any_size(size):
    found = zoo.feature_info(Pyramid(), (*size, 3))
    assert [feature.stride for feature in found.values()] == [(2**level,) * 2 for level in range(1, 10)]


class Backwards(nn.Module):
    """What is computed first has the last name; the rest has one input channel a group, as if it saw a grey image."""

    @nn.compact
    def __call__(self, images, train=False):
        x = Conv(4, (3, 3), name="z")(images)
        return Conv(4, (5, 5), feature_group_count=4, name="a")(x)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_first_kernel_is_that_of_the_layer_computed_first_whatever_its_name(channels):
    images = jax.ShapeDtypeStruct((1, 8, 8, channels), jnp.float32)
    variables = jax.eval_shape(Backwards().init, jax.random.key(0), images)
    assert first_kernel(Backwards(), variables, images).shape == (3, 3, channels, 4)


def test_a_network_that_begins_with_a_matrix_has_no_first_kernel():
    model, images = zoo.create("mlp"), jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32)
    assert first_kernel(model, jax.eval_shape(model.init, jax.random.key(0), images), images) is None
