"""Segmentation networks: what they give for images of any size, their auxiliary heads, weights, and wrong options."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import zoo
from tests.detection.drawn import drawn
from zoo.convnets.cifar_resnet import CifarResNet
from zoo.dense import DilatedFCN
from zoo.dense.segmenter import FCNHead
from zoo.weights import NewHeadWarning

TINY = ("fcn_resnet_tiny", "deeplabv3_tiny", "lraspp_tiny")
WITH_AUXILIARY = TINY[:2]
CLASSES = 11
KEYS = {"dropout": jax.random.key(0)}

slow = pytest.mark.slow  # several traces of a network, and a program


def images(*size):
    return jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)


@functools.cache
def begun(model):
    """Shapes of the variables."""
    return jax.eval_shape(model.init, jax.random.key(0), images(32, 32))


def evaluated(model, size):
    """Shapes and types of the maps and of the logits."""
    return jax.eval_shape(lambda v, x: model.apply(v, x, features=True), begun(model), images(*size))


def trained(model, size):
    """The same of what it gives in training."""
    more = {"train": True, "mutable": ["batch_stats"], "rngs": KEYS}
    return jax.eval_shape(lambda v, x: model.apply(v, x, **more), begun(model), images(*size))[0]


def test_the_auxiliary_head_answers_in_training_alone_and_may_be_left_out():
    model, without = zoo.create("fcn_resnet_tiny"), zoo.create("fcn_resnet_tiny", aux_heads=False)
    answers = {key: value.shape for key, value in trained(model, (33, 47)).items()}
    assert answers == dict.fromkeys(("logits", "aux1"), (2, 33, 47, CLASSES))
    assert trained(without, (33, 47)).shape == (2, 33, 47, CLASSES)
    assert begun(model)["params"].keys() - begun(without)["params"].keys() == {"aux1"}


def test_maps_keep_an_eighth_of_the_resolution():
    shapes = {key: value.shape for key, value in evaluated(zoo.create("fcn_resnet_tiny"), (64, 72)).items()}
    assert shapes == {"stage3": (2, 8, 9, 16), "stage4": (2, 8, 9, 32), "logits": (2, 64, 72, CLASSES)}


def test_one_pixel_and_a_line_are_images_too():
    model = zoo.create("deeplabv3_tiny")
    variables = drawn(model, images(32, 32))
    given = [np.full((1, *size, 3), 0.5, np.float32) for size in ((1, 1), (1, 70))]
    for logits, image in zip(
        jax.jit(lambda v, many: [model.apply(v, x) for x in many])(variables, given), given, strict=True
    ):
        assert logits.shape == (*image.shape[:3], CLASSES)
        assert np.isfinite(logits).all()
        assert np.ptp(logits, axis=-1).min() > 0


def test_heads_begin_as_torchs_do():
    params = FCNHead(CLASSES).init(jax.random.key(0), jnp.zeros((1, 2, 2, 32)), False)["params"]
    hidden, logits = params["hidden"]["conv"], params["logits"]
    for values, inputs in ((hidden["kernel"], 9 * 32), (logits["kernel"], 8), (logits["bias"], 8)):
        bound = 1 / np.sqrt(inputs)
        assert 0.6 * bound < np.abs(values).max() <= bound
    assert "bias" not in hidden


@pytest.mark.parametrize("name", [TINY[0], *(pytest.param(name, marks=slow) for name in TINY[1:])])
def test_weights_go_to_torchvisions_names_and_back_and_heads_may_be_for_other_classes(name, tmp_path):
    model, path = zoo.create(name), tmp_path / "theirs.safetensors"
    variables = drawn(model, images(32, 32))
    zoo.save_weights(variables, path, layout="torchvision", model=model)
    with pytest.warns(NewHeadWarning, match="has a head for 11 classes, the model one for 4"):
        other = zoo.load_weights(name, path, (32, 32, 3), num_classes=4)
    ours, theirs = (flatten_dict(tree, sep="/") for tree in (other, variables))
    grown = {key for key in ours if ours[key].shape != theirs[key].shape}
    assert {key.split("/", 1)[1].rpartition("/")[0] for key in grown} == set(zoo.describe(name).heads)
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours.keys() - grown)


@slow
@pytest.mark.parametrize("name", WITH_AUXILIARY)
def test_a_file_may_have_an_auxiliary_head_though_the_model_has_none(name, tmp_path):
    model, path = zoo.create(name), tmp_path / "theirs.safetensors"
    variables = drawn(model, images(32, 32))
    zoo.save_weights(variables, path, layout="torchvision", model=model)
    without = zoo.load_weights(name, path, aux_heads=False)
    assert variables["params"].keys() - without["params"].keys() == {"aux1"} == set(zoo.describe(name).auxiliary)
    jax.tree.map(np.testing.assert_array_equal, without["params"]["head"], variables["params"]["head"])


@slow
def test_a_classifiers_weights_load_into_the_backbone_though_it_is_dilated(tmp_path):
    classifier = zoo.create("resnet_tiny")
    trained = drawn(classifier, images(32, 32))
    zoo.save_weights(trained, tmp_path / "w.safetensors", layout="torchvision", model=classifier)
    found = zoo.load_weights("deeplabv3_tiny", tmp_path / "w.safetensors", into="backbone")
    expected = {key: value for key, value in trained["params"].items() if key != "head"}
    jax.tree.map(np.testing.assert_array_equal, found["params"]["backbone"], expected)


def test_published_weights_have_voc_classes_and_see_the_whole_image():
    names = [name for name in zoo.list_models(task="segmentation") if zoo.describe(name).pretrained]
    assert len(names) >= 6
    for name in names:
        (published,) = zoo.describe(name).pretrained
        assert len(published.class_names) == zoo.create(name).num_classes == 21
        assert 55 < published.metrics["miou"] < published.metrics["pixel_acc"] < 95
        assert published.preprocessing.frame == "whole"
    assert zoo.preprocess("lraspp_mobilenet_v3_large")(np.zeros((30, 41, 3), np.uint8)).shape == (520, 710, 3)


def test_wrong_images_classes_and_maps_are_refused():
    model = zoo.create("fcn_resnet_tiny")
    with pytest.raises(ValueError, match=r"DilatedFCN expected images \(batch, height, width, channels\)"):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((32, 32, 3)))
    for count in (0, -1, 2.0):
        with pytest.raises(ValueError, match=f"num_classes: expected a positive integer, got {count}"):
            begun(model.clone(num_classes=count))
    with pytest.raises(zoo.UnknownNameError, match="no map of ResNet 'stage5'; nearest: stage"):
        begun(zoo.create("fcn_resnet_tiny", map="stage5"))
    with pytest.raises(ValueError, match="ResNet expected images of at least 32 x 32 pixels"):  # of stride 32
        zoo.create("fcn_resnet_tiny", backbone="resnet_tiny").init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    with pytest.raises(zoo.UnknownNameError, match="no map of CifarResNet 'stage4'"):
        begun(DilatedFCN(CifarResNet(num_classes=0, depth=8)))
