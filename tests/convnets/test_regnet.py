"""RegNets: widths from four numbers, parameter counts, features, names in torchvision, training, what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.convnets import families
from zoo.convnets.regnet import RegNet, stages_of

COUNTS = {
    "regnet_x_400mf": 5_495_976,
    "regnet_x_800mf": 7_259_656,
    "regnet_x_1_6gf": 9_190_136,
    "regnet_x_3_2gf": 15_296_552,
    "regnet_x_8gf": 39_572_648,
    "regnet_x_16gf": 54_278_536,
    "regnet_x_32gf": 107_811_560,
    "regnet_y_400mf": 4_344_144,
    "regnet_y_800mf": 6_432_512,
    "regnet_y_1_6gf": 11_202_430,
    "regnet_y_3_2gf": 19_436_338,
    "regnet_y_8gf": 39_381_472,
    "regnet_y_16gf": 83_590_140,
    "regnet_y_32gf": 145_046_770,
    "regnet_y_128gf": 644_812_894,
}
QUICK = ("regnet_x_400mf", "regnet_x_32gf", "regnet_y_400mf", "regnet_y_128gf")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in COUNTS]
)
def test_parameter_count_is_torchvisions(name):
    assert families.parameters(name) == COUNTS[name]


@pytest.mark.parametrize(
    ("name", "depths", "widths", "group_width"),
    [  # Radosavovic et al., 2020, Tables of appendix E
        ("regnet_x_400mf", (1, 2, 7, 12), (32, 64, 160, 400), 16),
        ("regnet_x_3_2gf", (2, 6, 15, 2), (96, 192, 432, 1008), 48),
        ("regnet_x_8gf", (2, 5, 15, 1), (80, 240, 720, 1920), 120),
        ("regnet_x_32gf", (2, 7, 13, 1), (336, 672, 1344, 2520), 168),
        ("regnet_y_400mf", (1, 3, 6, 6), (48, 104, 208, 440), 8),
        ("regnet_y_1_6gf", (2, 6, 17, 2), (48, 120, 336, 888), 24),
        ("regnet_y_32gf", (2, 5, 12, 1), (232, 696, 1392, 3712), 232),
    ],
)
def test_the_numbers_make_the_papers_stages(name, depths, widths, group_width):
    model = zoo.create(name)
    stages = stages_of(model.depth, model.w_0, model.w_a, model.w_m, model.group_width)
    assert tuple(stage.blocks for stage in stages) == depths
    assert tuple(stage.width for stage in stages) == widths
    assert all(stage.group_width == min(group_width, stage.width) for stage in stages)


def test_every_stage_halves_the_resolution():
    assert families.feature_shapes("regnet_y_400mf") == {
        "stem": (112, 112, 32),
        "stage1": (56, 56, 48),
        "stage2": (28, 28, 104),
        "stage3": (14, 14, 208),
        "stage4": (7, 7, 440),
        "pre_logits": (440,),
        "logits": (1000,),
    }
    odd = families.feature_shapes("regnet_x_400mf", side=45, num_classes=0)
    assert [odd[name][:2] for name in ("stem", "stage1", "stage4")] == [(23, 23), (12, 12), (2, 2)]
    assert "logits" not in odd


def test_layers_have_torchvisions_names():
    names = families.layout("regnet_y_400mf", "torchvision/regnet")
    assert names["stem.0.weight"] == (32, 3, 3, 3)
    assert names["trunk_output.block3.block3-5.f.b.0.weight"] == (208, 8, 3, 3)
    assert names["trunk_output.block3.block3-0.f.se.fc1.weight"] == (26, 208, 1, 1)  # a quarter of the input's 104
    assert names["trunk_output.block3.block3-1.f.se.fc1.bias"] == (52,)
    assert names["trunk_output.block4.block4-0.proj.1.running_var"] == (440,)
    assert "trunk_output.block4.block4-1.proj.0.weight" not in names
    assert "trunk_output.block1.block1-0.f.se.fc1.weight" not in families.layout("regnet_x_400mf", "torchvision/regnet")


def test_initialisation_is_torchvisions():
    model = RegNet(depth=2, w_0=16, w_a=16.0, w_m=2.0, group_width=8, squeeze=0.25, num_classes=50)
    kernels = {"stem/conv": 9 * 32, "stage1/block1/conv2": 9 * 16, "stage2/block1/se/reduce": 4}
    params = families.initial(model, (32, 32, 3), *kernels, "stage2/block1/se/expand", "head")
    for name, fan_out in kernels.items():
        families.assert_spread(params[f"{name}/kernel"], (2 / fan_out) ** 0.5)
    families.assert_spread(params["head/kernel"], 0.01)
    assert not params["head/bias"].any()
    for name, inputs in (("reduce", 32), ("expand", 4)):  # uniform, torch's default
        largest = np.abs(params[f"stage2/block1/se/{name}/bias"]).max()
        assert 0.3 * inputs**-0.5 < largest <= inputs**-0.5


@pytest.mark.slow  # of another family in the default run
def test_the_tiny_variant_learns():
    first, *_, last = families.losses("regnet_tiny", steps=8, rate=0.05)
    assert last < first


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"w_0": 20}, (1, 32, 32, 3), "w_0 a positive multiple of 8, .* got depth 22, w_0 20, w_a 24.48"),
        ({"w_m": 1.0}, (1, 32, 32, 3), "w_m > 1 .* w_m 1.0, group_width 16"),
        ({}, (1, 31, 32, 3), "RegNet expected images of at least 32 x 32 pixels"),
    ],
)
def test_wrong_options_and_images_say_what_was_expected(options, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: RegNet(**options).init(jax.random.key(0), jnp.zeros(shape)))
