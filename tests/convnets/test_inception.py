"""Inception v3: parameter counts, grids, the auxiliary head, names in torchvision, initialisation, training."""

import pytest

import zoo
from tests.convnets import families
from zoo.convnets.inception import InceptionV3


def test_parameter_count_is_torchvisions_with_and_without_the_auxiliary_head():
    assert families.parameters("inception_v3", aux_heads=True) == 27_161_264
    assert families.parameters("inception_v3") == 27_161_264 - 3_326_696  # 128 and 768 channels, and 769,000 beyond


def test_stages_are_the_papers_grids():
    assert families.feature_shapes("inception_v3") == {
        "stem": (147, 147, 64),
        "stage1": (71, 71, 192),
        "stage2": (35, 35, 288),
        "stage3": (17, 17, 768),
        "stage4": (8, 8, 2048),
        "pre_logits": (2048,),
        "logits": (1000,),
    }


def test_the_auxiliary_head_answers_in_training_alone():
    model = zoo.create("inception_v3_tiny", aux_heads=True)
    in_training = families.outputs(model, (299, 299, 3), train=True)
    assert {name: value.shape for name, value in in_training.items()} == {"logits": (2, 10), "aux1": (2, 10)}
    assert families.outputs(model, (299, 299, 3)).shape == (2, 10)
    without = zoo.create("inception_v3_tiny", aux_heads=True, num_classes=0)
    assert families.outputs(without, (75, 75, 3), train=True).shape == (2, 64)
    with pytest.raises(ValueError, match="with its auxiliary head expected images of at least 299 x 299 pixels"):
        families.shapes(model, (298, 299, 3))


def test_layers_have_torchvisions_names():
    names = families.layout("inception_v3", "torchvision/inception", aux_heads=True)
    assert names["Conv2d_4a_3x3.conv.weight"] == (192, 80, 3, 3)
    assert names["Mixed_5b.branch_pool.conv.weight"] == (32, 192, 1, 1)
    assert names["Mixed_6c.branch7x7dbl_4.conv.weight"] == (160, 160, 7, 1)
    assert names["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
    assert names["Mixed_7a.branch7x7x3_2.bn.running_mean"] == (192,)
    assert names["AuxLogits.conv1.conv.weight"] == (768, 128, 5, 5)
    assert names["AuxLogits.fc.bias"] == names["fc.bias"] == (1000,)


def test_kernels_start_with_torchvisions_deviations():
    layers = "stage4/mixed_b/branch3x3_2a/conv", "head", "aux1/conv5x5/conv", "aux1/head"
    params = families.initial(InceptionV3(width=0.125, aux_heads=True), (299, 299, 3), *layers)
    for layer, deviation in zip(layers, (0.1, 0.1, 0.1, 0.001), strict=True):
        families.assert_spread(params[f"{layer}/kernel"], deviation)
    families.assert_spread(params["head/bias"], (3 * 256) ** -0.5)


def test_batch_statistics_move_as_in_torchvision():
    assert families.norms(zoo.create("inception_v3_tiny"), (75, 75, 3)) == {(0.9, 1e-3)}


@pytest.mark.slow
def test_the_tiny_variant_learns():
    first, *_, last = families.losses("inception_v3_tiny", steps=8, rate=0.01)
    assert last < first


def test_small_images_are_refused():
    with pytest.raises(ValueError, match="Inception v3 expected images of at least 75 x 75 pixels"):
        families.shapes(zoo.create("inception_v3"), (74, 80, 3))
