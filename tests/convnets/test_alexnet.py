"""AlexNet: parameter count, map sizes, names in torchvision, initialisation, training, and what it refuses."""

import jax
import jax.numpy as jnp
import pytest

from tests.convnets import families
from zoo.convnets.alexnet import AlexNet


def test_parameter_count_is_torchvisions():
    assert families.parameters("alexnet") == 61_100_840


def test_maps_have_the_papers_sizes_and_dense_layers_follow_in_any_size():
    assert families.feature_shapes("alexnet") == {
        "stage1": (55, 55, 64),
        "stage2": (27, 27, 192),
        "stage3": (13, 13, 256),
        "pre_logits": (4096,),
        "logits": (1000,),
    }
    assert families.feature_shapes("alexnet", side=63, num_classes=0)["pre_logits"] == (4096,)


def test_layers_have_torchvisions_names():
    assert families.layout("alexnet", "torchvision/alexnet") == {
        **{
            f"features.{i}.{part}": shape
            for i, kernel in {
                0: (64, 3, 11, 11),
                3: (192, 64, 5, 5),
                6: (384, 192, 3, 3),
                8: (256, 384, 3, 3),
                10: (256, 256, 3, 3),
            }.items()
            for part, shape in {"weight": kernel, "bias": kernel[:1]}.items()
        },
        **{
            f"classifier.{i}.{part}": shape
            for i, matrix in {1: (4096, 256 * 6 * 6), 4: (4096, 4096), 6: (1000, 4096)}.items()
            for part, shape in {"weight": matrix, "bias": matrix[:1]}.items()
        },
    }


def test_kernels_and_biases_start_uniform_within_one_over_the_root_of_the_inputs():
    inputs_of = {"stage3/conv3": 9 * 16, "dense1": 36 * 64}
    model = AlexNet(widths=(16, 16, 16, 16, 64), hidden=64, num_classes=64)
    params = families.initial(model, (64, 64, 3), *inputs_of)
    for layer, inputs in inputs_of.items():
        for part in ("kernel", "bias"):
            values = params[f"{layer}/{part}"]
            assert jnp.abs(values).max() <= inputs**-0.5
            families.assert_spread(values, (3 * inputs) ** -0.5)


@pytest.mark.slow  # of another family in the default run
def test_the_tiny_variant_learns():
    first, *_, last = families.losses("alexnet_tiny", steps=8, rate=0.1, dropout=0.1)
    assert last < first


def test_small_images_are_refused():
    with pytest.raises(ValueError, match="AlexNet expected images of at least 63 x 63 pixels"):
        jax.eval_shape(lambda: AlexNet().init(jax.random.key(0), jnp.zeros((1, 64, 62, 3))))
