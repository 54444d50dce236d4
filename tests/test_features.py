"""Channels and strides of named features, against the papers' tables."""

import pytest

import zoo


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
        ("swin_t", {"stem": 4, "stage1": 4, "stage2": 8, "stage3": 16, "stage4": 32}),
    ],
)
def test_strides_are_the_products_of_the_layers_strides(name, strides):
    found = zoo.feature_info(name)
    assert {feature: found[feature].stride for feature in strides} == strides


def test_channels_and_options():
    assert zoo.feature_info("resnet50")["stage3"] == (1024, 16)
    assert zoo.feature_info("resnet50", replace_stride_with_dilation=(False, False, True))["stage4"] == (2048, 16)
    assert zoo.feature_info("cifar_resnet20", (64, 64, 3))["stage3"] == (64, 4)
    assert zoo.feature_info("resnet18", (100, 100, 3))["stage4"] == (512, 32)  # of four places
