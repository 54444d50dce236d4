"""GoogLeNet: parameter counts, stages, auxiliary heads, names in torchvision, initialisation, training."""

import jax
import pytest

import zoo
from tests.convnets import families
from zoo.convnets.googlenet import GoogLeNet


def test_parameter_count_is_torchvisions_with_and_without_auxiliary_heads():
    assert families.parameters("googlenet") == 6_624_904
    assert families.parameters("googlenet", aux_heads=True) == 13_004_888


def test_stages_are_the_modules_between_poolings():
    assert families.feature_shapes("googlenet") == {
        "stem": (112, 112, 64),
        "stage1": (56, 56, 192),
        "stage2": (28, 28, 480),
        "stage3": (14, 14, 832),
        "stage4": (7, 7, 1024),
        "pre_logits": (1024,),
        "logits": (1000,),
    }
    # Windows that hang over the border see the last pixel, as torchvision's do.
    assert families.feature_shapes("googlenet", side=80, num_classes=0)["stage4"] == (3, 3, 1024)


def test_auxiliary_heads_answer_in_training_alone():
    model = zoo.create("googlenet_tiny", aux_heads=True)

    def names(**options):
        result = families.outputs(model, (32, 32, 3), **options)
        return {name: value.shape for name, value in result.items()} if isinstance(result, dict) else result.shape

    assert names() == (2, 10)
    assert names(train=True) == dict.fromkeys(("logits", "aux1", "aux2"), (2, 10))
    assert list(names(train=True, features=True)) == [
        *("stem", "stage1", "stage2", "aux1", "aux2", "stage3", "stage4", "pre_logits", "logits")
    ]
    without = zoo.create("googlenet_tiny", aux_heads=True, num_classes=0)
    assert families.outputs(without, (32, 32, 3), train=True).shape == (2, 64)
    assert not any(path.startswith("params/aux") for path in families.shapes(without, (32, 32, 3)))


def test_layers_have_torchvisions_names():
    names = families.layout("googlenet", "torchvision/googlenet", aux_heads=True)
    assert names["inception3a.branch2.0.conv.weight"] == (96, 192, 1, 1)
    assert names["inception4e.branch3.1.conv.weight"] == (128, 32, 3, 3)
    assert names["inception5b.branch4.1.bn.running_var"] == (128,)
    assert names["aux2.fc1.weight"] == (1024, 2048)
    assert names["aux1.conv.conv.weight"] == (128, 512, 1, 1)
    assert names["fc.weight"] == (1000, 1024)


@pytest.mark.slow
def test_weights_with_auxiliary_heads_fit_a_model_without(tmp_path):
    with_heads, without = (zoo.create("googlenet_tiny", aux_heads=aux) for aux in (True, False))
    variables = families.he_normal(with_heads, (32, 32, 3))
    zoo.save_weights(variables, tmp_path / "w.safetensors", layout="torchvision", model=with_heads)
    loaded = zoo.load_weights(without, tmp_path / "w.safetensors", inputs=(32, 32, 3))
    assert set(variables["params"]) - set(loaded["params"]) == {"aux1", "aux2"}
    for ours, expected in zip(
        jax.tree.leaves(loaded["params"]["stage3"]), jax.tree.leaves(variables["params"]["stage3"]), strict=True
    ):
        assert (ours == expected).all()


def test_kernels_start_with_deviation_one_percent_and_biases_by_the_number_of_inputs():
    params = families.initial(GoogLeNet(width=0.25), (32, 32, 3), "stage2/inception_b/conv3x3/conv", "head")
    families.assert_spread(params["stage2/inception_b/conv3x3/conv/kernel"], 0.01)
    families.assert_spread(params["head/kernel"], 0.01)
    families.assert_spread(params["head/bias"], (3 * 256) ** -0.5)


def test_batch_statistics_move_as_in_torchvision():
    assert families.norms(zoo.create("googlenet_tiny"), (32, 32, 3)) == {(0.9, 1e-3)}


@pytest.mark.slow
def test_the_tiny_variant_learns_by_all_its_heads():
    first, *_, last = families.losses("googlenet_tiny", steps=8, rate=0.05, aux_heads=True, aux_dropout=0.1)
    assert last < first


def test_small_images_are_refused():
    with pytest.raises(ValueError, match="GoogLeNet expected images of at least 15 x 15 pixels"):
        families.shapes(zoo.create("googlenet"), (14, 20, 3))
    families.shapes(zoo.create("googlenet_tiny"), (15, 15, 3))
