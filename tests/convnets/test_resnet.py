"""ImageNet residual networks: parameter counts, features, dilation, squeeze-and-excitation, options and errors."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import zoo
from tests.convnets import families
from tests.convnets.torch_names import drawn
from zoo.convnets.residual_units import UNITS, Stage, basic_branch, bottleneck_branch
from zoo.convnets.resnet import ResNet
from zoo.nn import BatchNorm, Conv


def images(count, size=32):
    return np.random.default_rng(0).standard_normal((count, size, size, 3)).astype(np.float32)


def plain_count(basic_units, width=64, classes=1000):
    """Stem, per stage one unit that widens and the rest, and the head; no shortcuts. Convolutions and their norms."""
    total = 7 * 7 * 3 * width + 2 * width
    inputs = width
    for stage, units in enumerate(basic_units):
        outputs = width * 2**stage
        total += 9 * inputs * outputs + 2 * outputs + (2 * units - 1) * (9 * outputs**2 + 2 * outputs)
        inputs = outputs
    return total + (inputs + 1) * classes


PLAIN34 = plain_count((3, 4, 6, 3))

COUNTS = {
    # torchvision's `_num_params`
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnext50_32x4d": 25_028_904,
    # timm 1.0.31's model of this name
    "se_resnet50": 28_088_024,
    "plain34": PLAIN34,
}
MORE_COUNTS = {
    # torchvision
    "resnet34": 21_797_672,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
    "resnext101_32x8d": 88_791_336,
    "resnext101_64x4d": 83_455_272,
    # timm
    "resnext101_32x4d": 44_177_704,
    "se_resnet18": 11_779_624,
    "se_resnet34": 21_960_416,
    "se_resnet101": 49_326_872,
    "se_resnet152": 66_821_848,
    "preact_resnet50": 25_549_352,
    # timm's resnet200, of original units, less the norms of its four projections; timm's ResNetV2 has so many.
    "preact_resnet200": 64_673_832 - 2 * (256 + 512 + 1024 + 2048),
    "resnext101_2x64d": 84_198_184,  # see the next test
    "resnet101_1x100d": 85_611_336,
    "plain18": plain_count((2, 2, 2, 2)),
}


@pytest.mark.parametrize("name", [*COUNTS, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE_COUNTS)])
def test_parameter_count_is_the_published_one(name):
    assert families.parameters(name) == (COUNTS | MORE_COUNTS)[name]


def test_counts_without_a_publication_follow_from_resnet101s():
    def branches(group_width, cardinality):  # of all 33 units, norms of the inner width included
        total = 0
        for stage, units in enumerate((3, 4, 23, 3)):
            width, out = group_width * cardinality * 2**stage, 256 * 2**stage
            first = 64 if stage == 0 else out // 2
            total += first * width + (units - 1) * out * width  # 1x1
            total += units * (9 * width * group_width * 2**stage + width * out + 4 * width)
        return total

    rest = 44_549_160 - branches(64, 1)  # stem, shortcuts, last norms, head
    assert rest + branches(4, 32) == 44_177_704
    assert rest + branches(64, 2) == MORE_COUNTS["resnext101_2x64d"]
    assert rest + branches(100, 1) == MORE_COUNTS["resnet101_1x100d"]


def test_resnet34_with_shortcut_a_has_no_more_parameters_than_the_plain_net():
    # L42: He et al., 2016, Figure 4
    assert families.parameters("resnet34", shortcut="A") == PLAIN34 < MORE_COUNTS["resnet34"]


@pytest.mark.parametrize(("name", "channels"), [("resnet18", 64), ("resnext50_32x4d", 256)])
def test_features_are_named_and_halve_the_resolution(name, channels):
    named = families.feature_shapes(name, side=96)
    assert list(named) == ["stem", "stage1", "stage2", "stage3", "stage4", "pre_logits", "logits"]
    assert named == {
        "stem": (48, 48, 64),
        **{f"stage{i}": (48 >> i, 48 >> i, channels << (i - 1)) for i in (1, 2, 3, 4)},
        "pre_logits": (8 * channels,),
        "logits": (1000,),
    }
    assert families.outputs(zoo.create(name, num_classes=0), (96, 96, 3)).shape == (2, 8 * channels)


def test_stride_stands_in_the_3x3_convolution_or_in_the_first():
    # torchvision's "v1.5", and the paper
    assert [spec.strides for spec in bottleneck_branch(64, 2, stride_first=False)] == [1, 2, 1]
    assert [spec.strides for spec in bottleneck_branch(64, 2)] == [2, 1, 1]

    def side_after_the_first_convolution(stride_first):
        model = zoo.create("resnet_tiny", bottleneck=True, stride_first=stride_first)
        images = jnp.zeros((1, 64, 64, 3))
        capture = functools.partial(model.init_with_output, capture_intermediates=True)
        _, state = jax.eval_shape(capture, jax.random.key(0), images)
        return state["intermediates"]["stage2"]["block1"]["conv1"]["__call__"][0].shape[1]

    assert [side_after_the_first_convolution(first) for first in (False, True)] == [16, 8]


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ((True, True), {"bottleneck": False}),
        ((False, True), {"cardinality": 2, "group_width": 2}),
        ((True, False), {"group_width": 4, "stride_first": True, "unit": "full_preactivation"}),
    ],
    ids=["basic", "groups", "stride_first"],
)
def test_a_network_with_dilation_computes_the_strided_one_at_more_places(flags, options):
    strided = ResNet(
        stage_sizes=(1, 2, 2), width=4, num_classes=0, replace_stride_with_dilation=(False,) * 2, **options
    )
    dense = strided.copy(replace_stride_with_dilation=flags)
    inputs = images(1)
    variables = drawn(strided, inputs)

    @jax.jit
    def maps(variables):
        return [model.apply(variables, inputs, features=True) for model in (strided, dense)]

    expected, found = maps(variables)
    for name in ("stage1", "stage2", "stage3"):
        step = 2 ** sum(flags[: int(name[-1]) - 1])
        assert found[name].shape[1] == step * expected[name].shape[1]
        np.testing.assert_allclose(found[name][:, ::step, ::step], expected[name], rtol=1e-5)


def test_squeeze_and_excitation_gates_the_residual_by_the_means_of_its_channels():
    # Hu et al., 2018, equations 2 to 4, in numpy
    conv = functools.partial(Conv, use_bias=False)
    x = images(2, 5) @ np.random.default_rng(1).standard_normal((3, 32)).astype(np.float32)
    plain, gated = (Stage((basic_branch(32),), conv, BatchNorm, squeeze=squeeze) for squeeze in (0, 2))
    variables = drawn(gated, x, False)
    params = variables["params"]["block1"] = jax.tree.map(
        lambda leaf: leaf - 0.75 * (leaf.ndim > 1), variables["params"]["block1"]
    )

    @jax.jit
    def residuals(variables):
        states = [stage.apply(variables, x, False, mutable=["intermediates"])[1] for stage in (plain, gated)]
        return [state["intermediates"]["block1"]["residual"][0] for state in states]

    residual, found = residuals(variables)
    reduce, expand = params["se"]["reduce"], params["se"]["expand"]
    assert reduce["kernel"].shape == (1, 1, 32, 16)
    hidden = np.maximum(residual.mean((1, 2)) @ reduce["kernel"][0, 0] + reduce["bias"], 0)
    gate = 1 / (1 + np.exp(-(hidden @ expand["kernel"][0, 0] + expand["bias"])))
    np.testing.assert_allclose(found, residual * gate[:, None, None], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("unit", UNITS)
def test_with_zero_init_every_unit_begins_with_a_residual_of_zero(unit):
    conv = functools.partial(Conv, use_bias=False, kernel_init=nn.initializers.ones_init())
    stage = Stage((basic_branch(4),) * 2, conv, BatchNorm, unit, zero_init=True)

    @jax.jit
    def start(x):
        variables = stage.init(jax.random.key(0), x, False)
        return variables["params"], stage.apply(variables, x, False, mutable=["intermediates"])[1]

    params, residuals = start(images(1, 6) @ np.ones((3, 4), np.float32))
    assert not any(leaf.any() for leaf in jax.tree.leaves(residuals))
    zero = {path[-2] for path, leaf in flatten_dict(params["block1"]).items() if path[-1] != "bias" and not leaf.any()}
    assert zero == {"conv2" if unit in ("bn_after_addition", "full_preactivation") else "norm2"}


def test_initialisation_is_torchvisions_and_zero_init_residual_makes_the_last_scales_zero():
    model = zoo.create("resnet_tiny", width=16, zero_init_residual=True)
    layers = [f"stage2/block1/{layer}" for layer in ("conv2", "norm1", "norm2", "shortcut/norm")]
    params = families.initial(model, (32, 32, 3), *layers, "head")
    families.assert_spread(params["stage2/block1/conv2/kernel"], (2 / (9 * 32)) ** 0.5)  # window x outputs
    for layer, scale in (("norm1", 1), ("norm2", 0), ("shortcut/norm", 1)):
        assert (params[f"stage2/block1/{layer}/scale"] == scale).all()
        assert not params[f"stage2/block1/{layer}/bias"].any()
    bound = 1 / math.sqrt(128)  # a linear layer of torch
    for part in ("kernel", "bias"):
        assert 0.5 * bound < jnp.abs(params[f"head/{part}"]).max() <= bound


def test_the_tiny_network_learns():
    first, *_, last = families.losses("resnet_tiny", squeeze=2)
    assert last < first


def test_gates_are_of_the_compute_type_and_batch_statistics_move_as_in_torchvision():
    half = zoo.create("resnet_tiny", dtype=jnp.bfloat16, squeeze=16)
    assert {name: value.dtype.name for name, value in families.outputs(half, (32, 32, 3), features=True).items()} == {
        **dict.fromkeys(("stem", "stage1", "stage2", "stage3", "stage4"), "bfloat16"),
        **dict.fromkeys(("pre_logits", "logits"), "float32"),
    }
    assert families.norms(zoo.create("resnet_tiny"), (32, 32, 3)) == {(0.9, 1e-5)}


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_builds_a_network_that_ends_normalised(unit):
    paths = families.shapes(zoo.create("resnet_tiny", unit=unit), (32, 32, 3))
    preactivation = unit == "full_preactivation"
    assert ("params/stem/norm/scale" in paths) != preactivation
    assert ("params/final_norm/scale" in paths) == preactivation


def test_names_are_those_of_torchvision_and_timm():
    names = families.layout("resnet_tiny", "torchvision/resnet", bottleneck=True)
    assert names["conv1.weight"] == (4, 3, 7, 7)
    assert names["layer2.0.downsample.0.weight"] == (32, 16, 1, 1)
    assert names["layer4.0.bn3.running_var"] == (128,)
    names = families.layout("resnet_tiny", "timm/resnet", squeeze=16)
    assert names["layer2.0.se.fc1.weight"] == (8, 8, 1, 1)
    assert names["layer2.0.se.fc2.bias"] == (8,)
    assert names["fc.weight"] == (10, 32)
    names = families.layout("resnet_tiny", "timm/resnetv2", unit="full_preactivation")
    assert names["stages.1.blocks.0.downsample.conv.weight"] == (8, 4, 1, 1)
    assert names["stages.3.blocks.0.norm2.weight"] == names["norm.weight"] == (32,)


def test_torchvision_has_no_names_for_squeeze_and_excitation(tmp_path):
    model = zoo.create("resnet_tiny", squeeze=16)
    variables = families.he_normal(model, (32, 32, 3))
    with pytest.raises(ValueError, match="stage1/block1/se/reduce/kernel: no rule for it"):
        zoo.save_weights(variables, tmp_path / "w.safetensors", layout="torchvision", model=model)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, (1, 31, 64, 3), "at least 32 x 32 pixels"),
        ({"cardinality": 2}, (1, 32, 32, 3), "basic units have no groups: expected cardinality 1, got 2"),
        ({"replace_stride_with_dilation": (True,)}, (1, 32, 32, 3), r"expected 3 flags, .* got \(True,\)"),
        ({"replace_stride_with_dilation": "yes"}, (1, 32, 32, 3), r"expected 3 flags, .* got 'yes'"),
        ({"replace_stride_with_dilation": True}, (1, 32, 32, 3), r"expected 3 flags, .* got True"),
        ({"unit": "preactivation"}, (1, 32, 32, 3), "nearest: full_preactivation"),
    ],
)
def test_wrong_options_and_wrong_images_say_what_was_expected(options, shape, message):
    model = zoo.create("resnet_tiny", **options)
    with pytest.raises((ValueError, KeyError), match=message):
        jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(shape)))
