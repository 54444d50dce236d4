"""VGG: parameter counts, stages, names in torchvision, initialisation, training, and what it refuses."""

import jax
import jax.numpy as jnp
import pytest

import zoo
from tests.convnets import families
from zoo.convnets.vgg import VGG


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vgg11", 132_863_336),
        ("vgg11_bn", 132_868_840),
        ("vgg13", 133_047_848),
        ("vgg13_bn", 133_053_736),
        ("vgg16", 138_357_544),
        ("vgg16_bn", 138_365_992),
        ("vgg19", 143_667_240),
        ("vgg19_bn", 143_678_248),
    ],
)
def test_parameter_count_is_torchvisions(name, expected):
    assert families.parameters(name) == expected


def test_each_stage_ends_before_its_pooling_and_dense_layers_follow_in_any_size():
    assert families.feature_shapes("vgg16") == {
        "stage1": (224, 224, 64),
        "stage2": (112, 112, 128),
        "stage3": (56, 56, 256),
        "stage4": (28, 28, 512),
        "stage5": (14, 14, 512),
        "pre_logits": (4096,),
        "logits": (1000,),
    }
    assert families.feature_shapes("vgg11", side=50)["logits"] == (1000,)
    assert families.feature_shapes("vgg11", side=50, num_classes=0).keys().isdisjoint({"logits"})


def test_layers_have_torchvisions_names():
    plain, normalised = (families.layout(name, "torchvision/vgg") for name in ("vgg16", "vgg16_bn"))
    assert plain["features.0.weight"] == (64, 3, 3, 3)
    assert plain["features.28.weight"] == (512, 512, 3, 3)
    assert normalised["features.40.weight"] == (512, 512, 3, 3)
    assert normalised["features.41.running_var"] == (512,)
    assert plain["classifier.0.weight"] == (4096, 512 * 7 * 7)
    assert {name for name in plain if name.startswith("classifier")} == {
        f"classifier.{i}.{part}" for i in (0, 3, 6) for part in ("weight", "bias")
    }
    assert "features.30.weight" not in plain
    families.layout("vgg_tiny", "torchvision/vgg")


def test_convolutions_start_by_their_fan_out_and_dense_layers_with_deviation_one_percent():
    dense = "dense1", "dense2", "head"
    model = VGG(depth=11, widths=(16, 16, 16, 16, 16), hidden=32, num_classes=20)
    params = families.initial(model, (32, 32, 3), "stage3/conv2", *dense)
    families.assert_spread(params["stage3/conv2/kernel"], (2 / (9 * 16)) ** 0.5)
    for name in dense:
        families.assert_spread(params[f"{name}/kernel"], 0.01)
    assert not any(value.any() for path, value in params.items() if path.endswith("bias"))


def test_the_tiny_variant_learns_and_drops_features_in_training_alone():
    first, *_, last = families.losses("vgg_tiny", steps=8, rate=0.5)
    assert last < first
    model = zoo.create("vgg_tiny")
    variables = jax.eval_shape(lambda: zoo.init(model, jax.random.key(0), (32, 32, 3)))
    images = jnp.zeros((2, 32, 32, 3))
    with pytest.raises(Exception, match="dropout"):  # flax: no such random stream was given
        jax.eval_shape(lambda v: model.apply(v, images, train=True, mutable=["batch_stats"]), variables)
    jax.eval_shape(lambda v: model.apply(v, images), variables)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"depth": 12}, (1, 64, 64, 3), "expected a depth of 11, 13, 16, 19 and five widths, got depth 12"),
        ({"widths": (4, 4)}, (1, 64, 64, 3), r"five widths, got depth 16 and widths \(4, 4\)"),
        ({}, (1, 31, 64, 3), "VGG expected images of at least 32 x 32 pixels"),
    ],
)
def test_wrong_options_and_images_say_what_was_expected(options, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: VGG(**options).init(jax.random.key(0), jnp.zeros(shape)))
