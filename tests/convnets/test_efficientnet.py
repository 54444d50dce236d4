"""EfficientNets: parameter counts, scaling, features, names in torchvision, training, and what they refuse."""

import numpy as np
import pytest

import zoo
from tests.convnets import families
from zoo.convnets.efficientnet import EfficientNet

COUNTS = {
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
    "efficientnet_v2_s": 21_458_488,
    "efficientnet_v2_m": 54_139_356,
    "efficientnet_v2_l": 118_515_272,
}
QUICK = ("efficientnet_b0", "efficientnet_b4", "efficientnet_v2_s")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in COUNTS]
)
def test_parameter_count_is_torchvisions(name):
    assert families.parameters(name) == COUNTS[name]


def test_stages_are_the_rows_of_the_papers_tables():
    assert families.feature_shapes("efficientnet_b0") == {
        "stem": (112, 112, 32),
        "stage1": (112, 112, 16),
        "stage2": (56, 56, 24),
        "stage3": (28, 28, 40),
        "stage4": (14, 14, 80),
        "stage5": (14, 14, 112),
        "stage6": (7, 7, 192),
        "stage7": (7, 7, 320),
        "final": (7, 7, 1280),
        "pre_logits": (1280,),
        "logits": (1000,),
    }
    small = families.feature_shapes("efficientnet_v2_s", num_classes=0)
    assert [small[f"stage{i}"] for i in range(1, 7)] == [
        (192, 192, 24),
        (96, 96, 48),
        (48, 48, 64),
        (24, 24, 128),
        (24, 24, 160),
        (12, 12, 256),
    ]
    assert (small["final"], small["pre_logits"], "logits" in small) == ((12, 12, 1280), (1280,), False)


def test_variants_differ_in_width_depth_and_resolution():
    # Tan and Le, 2019: phi = 7; widths and depths by torchvision's models/efficientnet.py
    plan = zoo.create("efficientnet_b7").plan()
    assert (plan.stem, plan.final) == (64, 2560)
    assert [len(stage) for stage in plan.stages] == [4, 7, 7, 10, 10, 13, 4]
    assert [stage[0].features for stage in plan.stages] == [32, 48, 80, 160, 224, 384, 640]
    assert zoo.describe("efficientnet_b7").input_shape == (600, 600, 3)


def test_blocks_squeeze_to_a_quarter_of_their_input_and_skip_more_often_the_later_they_come():
    stages = zoo.create("efficientnet_b0").plan().stages
    assert [block.squeezed for block in stages[0] + stages[1]] == [8, 4, 6]
    rates = [block.drop_path for stage in stages for block in stage]
    np.testing.assert_allclose(rates, 0.2 * np.arange(16) / 16)
    fused, *_, last = zoo.create("efficientnet_v2_s").plan().stages
    assert [(block.fused, block.squeezed) for block in fused] == [(True, 0), (True, 0)]
    assert [(block.fused, block.squeezed) for block in last[:2]] == [(False, 40), (False, 64)]


def test_batch_statistics_of_the_largest_move_slowly():
    # torchvision's models/efficientnet.py: B5 to B7 0.001 and 0.01, V2 0.001, whose momentum is 0.1
    norms = {name: (zoo.create(name).epsilon, zoo.create(name).momentum) for name in COUNTS}
    assert norms == {
        **{f"efficientnet_b{i}": (1e-5, 0.9) for i in range(5)},
        **{f"efficientnet_b{i}": (1e-3, 0.99) for i in range(5, 8)},
        **{f"efficientnet_v2_{size}": (1e-3, 0.9) for size in "sml"},
    }


def test_layers_have_torchvisions_names():
    names = families.layout("efficientnet_b0", "torchvision/efficientnet")
    assert names["features.1.0.block.0.0.weight"] == (32, 1, 3, 3)  # nothing is expanded
    assert names["features.1.0.block.1.fc1.weight"] == (8, 32, 1, 1)
    assert names["features.6.3.block.1.0.weight"] == (1152, 1, 5, 5)
    assert names["features.6.3.block.3.1.running_mean"] == (192,)
    assert names["features.8.0.weight"] == (1280, 320, 1, 1)
    assert names["classifier.1.weight"] == (1000, 1280)
    fused = families.layout("efficientnet_v2_s", "torchvision/efficientnet")
    assert fused["features.1.1.block.0.0.weight"] == (24, 24, 3, 3)
    assert fused["features.2.0.block.1.0.weight"] == (48, 96, 1, 1)
    families.layout("efficientnet_tiny", "torchvision/efficientnet")


def test_initialisation_is_torchvisions():
    kernels = {"stem/conv": 9 * 32, "stage1/block1/depthwise/conv": 9 * 32, "stage1/block1/se/expand": 32}
    params = families.initial(EfficientNet(num_classes=50, depth=0.01), (32, 32, 3), *kernels, "head")
    for name, fan_out in kernels.items():
        families.assert_spread(params[f"{name}/kernel"], (2 / fan_out) ** 0.5)
    assert 0.98 * 50**-0.5 < np.abs(params["head/kernel"]).max() <= 50**-0.5  # uniform, by the outputs
    assert not params["head/bias"].any()
    assert not params["stage1/block1/se/expand/bias"].any()


@pytest.mark.slow  # of another family in the default run
def test_the_tiny_variant_learns():
    first, *_, last = families.losses("efficientnet_tiny", steps=8, rate=0.05)
    assert last < first


def test_an_unknown_table_names_the_nearest():
    with pytest.raises(zoo.UnknownNameError, match="no table of EfficientNet 'v3'; "):
        families.shapes(EfficientNet(table="v3"), (32, 32, 3))
