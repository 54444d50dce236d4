"""MnasNet: parameter counts, stages, names in torchvision, initialisation, training."""

import jax.numpy as jnp
import pytest

import zoo
from tests.convnets import families


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("mnasnet0_5", {}, 2_218_512),
        ("mnasnet0_75", {}, 3_170_208),
        ("mnasnet1_0", {}, 4_383_312),
        ("mnasnet1_3", {}, 6_282_256),
        ("mnasnet1_0", {"width": 0.35}, 1_788_232),
    ],
)
def test_parameter_count_is_torchvisions(name, options, expected):
    assert families.parameters(name, **options) == expected


def test_stages_are_the_rows_of_the_papers_network():
    assert families.feature_shapes("mnasnet1_0") == {
        "stem": (112, 112, 32),
        "stage1": (112, 112, 16),
        "stage2": (56, 56, 24),
        "stage3": (28, 28, 40),
        "stage4": (14, 14, 80),
        "stage5": (14, 14, 96),
        "stage6": (7, 7, 192),
        "stage7": (7, 7, 320),
        "final": (7, 7, 1280),
        "pre_logits": (1280,),
        "logits": (1000,),
    }
    assert families.feature_shapes("mnasnet0_5", num_classes=0)["stage2"] == (56, 56, 16)


def test_layers_have_torchvisions_names():
    names = families.layout("mnasnet1_0", "torchvision/mnasnet")
    assert names["layers.0.weight"] == (32, 3, 3, 3)
    assert names["layers.3.weight"] == (32, 1, 3, 3)
    assert names["layers.7.running_mean"] == (16,)
    assert names["layers.9.0.layers.3.weight"] == (72, 1, 5, 5)
    assert names["layers.12.3.layers.6.weight"] == (192, 1152, 1, 1)
    assert names["layers.13.0.layers.7.bias"] == (320,)
    assert names["layers.14.weight"] == (1280, 320, 1, 1)
    assert names["classifier.1.weight"] == (1000, 1280)
    families.layout("mnasnet_tiny", "torchvision/mnasnet")


def test_layers_start_as_in_torchvision():
    layers = "stage3/block1/depthwise/conv", "final/conv", "head"
    params = families.initial(zoo.create("mnasnet_tiny", num_classes=64), (32, 32, 3), *layers)
    families.assert_spread(params["stage3/block1/depthwise/conv/kernel"], (2 / (25 * 24)) ** 0.5)
    families.assert_spread(params["final/conv/kernel"], (2 / 32) ** 0.5)
    families.assert_spread(params["head/kernel"], 64**-0.5)  # uniform in ±sqrt(3 / outputs)
    assert jnp.abs(params["head/kernel"]).max() <= (3 / 64) ** 0.5
    assert not params["head/bias"].any()


def test_batch_statistics_move_as_in_torchvision_or_as_told():
    assert families.norms(zoo.create("mnasnet_tiny"), (32, 32, 3)) == {(0.9997, 1e-5)}
    assert families.norms(zoo.create("mnasnet_tiny", momentum=0.9), (32, 32, 3)) == {(0.9, 1e-5)}


@pytest.mark.slow  # of another family in the default run
def test_the_tiny_variant_learns():
    first, *_, last = families.losses("mnasnet_tiny", steps=8, rate=0.2)
    assert last < first
