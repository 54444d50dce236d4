"""MobileNet V2 and V3: parameter counts, stages, dense prediction, names in torchvision, initialisation, training."""

import pytest

import zoo
from tests.convnets import families


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("mobilenet_v2", {}, 3_504_872),
        ("mobilenet_v2", {"width": 1.4}, 6_108_776),
        ("mobilenet_v2", {"width": 0.35}, 1_677_128),
        ("mobilenet_v3_large", {}, 5_483_032),
        ("mobilenet_v3_large", {"reduced_tail": True}, 2_569_352),
        ("mobilenet_v3_large", {"width": 0.75}, 3_377_576),
        ("mobilenet_v3_small", {}, 2_542_856),
        ("mobilenet_v3_small", {"reduced_tail": True, "dilated": True}, 1_099_672),
    ],
)
def test_parameter_count_is_torchvisions(name, options, expected):
    assert families.parameters(name, **options) == expected


def test_version_two_has_a_stage_for_each_row_of_the_papers_table():
    assert families.feature_shapes("mobilenet_v2") == {
        "stem": (112, 112, 32),
        "stage1": (112, 112, 16),
        "stage2": (56, 56, 24),
        "stage3": (28, 28, 32),
        "stage4": (14, 14, 64),
        "stage5": (14, 14, 96),
        "stage6": (7, 7, 160),
        "stage7": (7, 7, 320),
        "final": (7, 7, 1280),
        "pre_logits": (1280,),
        "logits": (1000,),
    }


def test_version_three_has_a_stage_for_each_width():
    large = families.feature_shapes("mobilenet_v3_large")
    assert large == {
        "stem": (112, 112, 16),
        "stage1": (112, 112, 16),
        "stage2": (56, 56, 24),
        "stage3": (28, 28, 40),
        "stage4": (14, 14, 80),
        "stage5": (14, 14, 112),
        "stage6": (7, 7, 160),
        "final": (7, 7, 960),
        "pre_logits": (1280,),
        "logits": (1000,),
    }
    small = families.feature_shapes("mobilenet_v3_small", num_classes=0)
    assert [small[f"stage{i}"] for i in range(1, 6)] == [
        (56, 56, 16),
        (28, 28, 24),
        (14, 14, 40),
        (14, 14, 48),
        (7, 7, 96),
    ]
    assert (small["final"], small["pre_logits"], "logits" in small) == ((7, 7, 576), (1024,), False)


def test_for_dense_prediction_the_last_stage_keeps_its_resolution_and_looks_twice_as_far():
    dense = families.feature_shapes("mobilenet_v3_large", dilated=True, reduced_tail=True)
    assert (dense["stage6"], dense["final"], dense["pre_logits"]) == ((14, 14, 80), (14, 14, 480), (640,))
    tail = zoo.create("mobilenet_v3_small", dilated=True, reduced_tail=True).plan().stages[-1]
    # The first has no shortcut in the strided network, and so has none here, where its shape would allow one.
    assert [(block.strides, block.dilation, block.shortcut) for block in tail] == [
        (1, 2, False),
        (1, 2, True),
        (1, 2, True),
    ]


def test_layers_have_torchvisions_names():
    two = families.layout("mobilenet_v2", "torchvision/mobilenet_v2")
    assert two["features.1.conv.0.0.weight"] == (32, 1, 3, 3)
    assert two["features.1.conv.1.weight"] == (16, 32, 1, 1)
    assert two["features.17.conv.2.weight"] == (320, 960, 1, 1)
    assert two["features.17.conv.3.running_mean"] == (320,)
    assert two["features.18.0.weight"] == (1280, 320, 1, 1)
    three = families.layout("mobilenet_v3_large", "torchvision/mobilenet_v3")
    assert three["features.4.block.2.fc1.weight"] == (24, 72, 1, 1)
    assert three["features.15.block.3.0.weight"] == (160, 960, 1, 1)
    assert three["classifier.0.weight"] == (1280, 960)


def test_convolutions_start_by_their_fan_out_and_dense_layers_with_deviation_one_percent():
    layers = "stage3/block1/depthwise/conv", "final/conv", "stage3/block2/se/expand", "dense", "head"
    params = families.initial(zoo.create("mobilenet_v3_tiny"), (8, 8, 3), *layers)
    families.assert_spread(params["stage3/block1/depthwise/conv/kernel"], (2 / (25 * 16)) ** 0.5)
    families.assert_spread(params["final/conv/kernel"], (2 / 96) ** 0.5)
    families.assert_spread(params["stage3/block2/se/expand/kernel"], (2 / 32) ** 0.5)
    families.assert_spread(params["dense/kernel"], 0.01)
    families.assert_spread(params["head/kernel"], 0.01)
    assert not any(value.any() for path, value in params.items() if path.endswith("bias"))


def test_batch_statistics_move_as_in_torchvision():
    assert families.norms(zoo.create("mobilenet_v2_tiny"), (8, 8, 3)) == {(0.9, 1e-5)}
    assert families.norms(zoo.create("mobilenet_v3_tiny"), (8, 8, 3)) == {(0.99, 1e-3)}


@pytest.mark.parametrize("name", [pytest.param("mobilenet_v2_tiny", marks=pytest.mark.slow), "mobilenet_v3_tiny"])
def test_the_tiny_variants_learn(name):
    first, *_, last = families.losses(name, steps=8, rate=0.2)
    assert last < first


def test_unknown_sizes_are_refused():
    with pytest.raises(zoo.UnknownNameError, match="no size of MobileNetV3 'lage'; nearest: large"):
        families.shapes(zoo.create("mobilenet_v3_large", size="lage"), (32, 32, 3))
