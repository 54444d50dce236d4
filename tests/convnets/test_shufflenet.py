"""ShuffleNet V2: parameter counts, stages, what a unit leaves alone, names in torchvision, initialisation, training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.convnets import families
from tests.convnets.torch_names import drawn
from zoo.convnets.shufflenet import ShuffleUnit, channel_shuffle
from zoo.nn import BatchNorm, Conv


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shufflenet_v2_x0_5", 1_366_792),
        ("shufflenet_v2_x1_0", 2_278_604),
        ("shufflenet_v2_x1_5", 3_503_624),
        ("shufflenet_v2_x2_0", 7_393_996),
    ],
)
def test_parameter_count_is_torchvisions(name, expected):
    assert families.parameters(name) == expected


def test_stages_are_the_papers_second_to_fourth():
    assert families.feature_shapes("shufflenet_v2_x2_0") == {
        "stem": (112, 112, 24),
        "stage1": (28, 28, 244),
        "stage2": (14, 14, 488),
        "stage3": (7, 7, 976),
        "final": (7, 7, 2048),
        "pre_logits": (2048,),
        "logits": (1000,),
    }
    assert families.feature_shapes("shufflenet_v2_x1_0", num_classes=0).keys().isdisjoint({"logits"})


def test_at_stride_one_half_of_the_channels_pass_as_they_are_to_every_second_place():
    unit = ShuffleUnit(8, 1, functools.partial(Conv), BatchNorm)
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 8)).astype(np.float32)
    out = jax.jit(unit.apply, static_argnums=2)(drawn(unit, x, False), x, False)
    np.testing.assert_array_equal(out[..., ::2], x[..., :4])
    assert (out[..., 1::2] >= 0).all()  # the other branch ends in a ReLU
    assert jnp.abs(out[..., 1::2]).max() > 0


def test_a_shuffle_is_undone_by_the_shuffle_of_as_many_groups_as_groups_have_channels():
    x = jnp.arange(2 * 12).reshape(2, 12)
    shuffled = channel_shuffle(x, 3)
    assert shuffled[0].tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    np.testing.assert_array_equal(channel_shuffle(shuffled, 4), x)


def test_layers_have_torchvisions_names():
    names = families.layout("shufflenet_v2_x1_0", "torchvision/shufflenet_v2")
    assert names["conv1.0.weight"] == (24, 3, 3, 3)
    assert names["stage2.0.branch1.0.weight"] == (24, 1, 3, 3)
    assert names["stage3.7.branch2.5.weight"] == (116, 116, 1, 1)
    assert names["stage4.0.branch2.4.running_mean"] == (232,)
    assert "stage3.7.branch1.0.weight" not in names
    assert names["conv5.1.bias"] == (1024,)
    assert names["fc.weight"] == (1000, 1024)


def test_layers_start_as_torchs_do_by_themselves():
    layers = "stage3/block1/branch2/pointwise1/conv", "stage3/block1/branch2/depthwise/conv", "head"
    params = families.initial(zoo.create("shufflenet_v2_tiny", num_classes=64), (32, 32, 3), *layers)
    for layer, inputs in zip(layers, (16, 9, 32), strict=True):
        kernel = params[f"{layer}/kernel"]
        assert jnp.abs(kernel).max() <= inputs**-0.5
        families.assert_spread(kernel, (3 * inputs) ** -0.5)
    families.assert_spread(params["head/bias"], (3 * 32) ** -0.5)


def test_batch_statistics_move_as_in_torchvision():
    assert families.norms(zoo.create("shufflenet_v2_tiny"), (32, 32, 3)) == {(0.9, 1e-5)}


@pytest.mark.slow  # of another family in the default run
def test_the_tiny_variant_learns():
    first, *_, last = families.losses("shufflenet_v2_tiny", steps=8, rate=0.2)
    assert last < first


def test_unknown_sizes_are_refused():
    with pytest.raises(zoo.UnknownNameError, match=r"no size of ShuffleNetV2 'x1_0'; nearest: x1\.0"):
        families.shapes(zoo.create("shufflenet_v2_x1_0", size="x1_0"), (32, 32, 3))
