"""SqueezeNet: parameter counts, stages, names in two libraries, accuracy of real weights, initialisation, training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

import zoo
from tests.convnets import families
from tests.shared import shared
from zoo.catalog.pretrained import NORMALISATIONS

BGR_MEAN = (103.939, 116.779, 123.68)  # what the weights of ndf were trained with


@pytest.mark.parametrize(("name", "expected"), [("squeezenet1_0", 1_248_424), ("squeezenet1_1", 1_235_496)])
def test_parameter_count_is_torchvisions(name, expected):
    assert families.parameters(name) == expected


def test_stages_are_the_fire_modules_between_poolings():
    assert families.feature_shapes("squeezenet1_0") == {
        "stem": (109, 109, 96),
        "stage1": (54, 54, 256),
        "stage2": (27, 27, 512),
        "stage3": (13, 13, 512),
        "pre_logits": (13, 13, 512),
        "logits": (1000,),
    }
    assert families.feature_shapes("squeezenet1_1", num_classes=0) == {
        "stem": (111, 111, 64),
        "stage1": (55, 55, 128),
        "stage2": (27, 27, 256),
        "stage3": (13, 13, 512),
        "pre_logits": (13, 13, 512),
    }
    # Windows that hang over the border see the last pixel, as torchvision's do.
    assert families.feature_shapes("squeezenet1_1", side=66)["stage3"] == (4, 4, 512)


def test_layers_have_the_names_of_both_libraries():
    one = families.layout("squeezenet1_1", "torchvision/squeezenet")
    assert one["features.3.squeeze.weight"] == (16, 64, 1, 1)
    assert one["features.7.expand3x3.bias"] == (128,)
    assert one["features.12.expand1x1.weight"] == (256, 64, 1, 1)
    assert one["classifier.1.weight"] == (1000, 512, 1, 1)
    assert families.layout("squeezenet1_0", "torchvision/squeezenet")["features.12.squeeze.weight"] == (64, 512, 1, 1)
    caffe = families.layout("squeezenet1_1", "ndf/squeezenet")
    assert caffe["fire9/expand3x3.kernel"] == (3, 3, 64, 256)
    assert caffe["conv10.kernel"] == (1, 1, 512, 1000)


def test_weights_of_bgr_bytes_load_as_weights_of_what_preprocessing_gives(tmp_path):
    model = zoo.create("squeezenet_tiny")
    weights = numbers_for("squeezenet_tiny", "ndf/squeezenet")
    save_file(weights, tmp_path / "caffe.safetensors")
    bytes_ = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    mean, std = (np.array(values, np.float32) for values in NORMALISATIONS["imagenet"])
    ours = zoo.load_weights("squeezenet_tiny", tmp_path / "caffe.safetensors")
    first = {name: weights[f"conv1.{name}"] for name in ("kernel", "bias")}
    theirs = {"params": {**ours["params"], "stem": {"conv": first}}}
    expected = model.apply(theirs, bytes_[..., ::-1] - np.array(BGR_MEAN, np.float32))
    np.testing.assert_allclose(model.apply(ours, (bytes_ / 255 - mean) / std), expected, rtol=1e-4, atol=1e-5)

    zoo.save_weights(ours, tmp_path / "again.safetensors", "ndf", model)
    again = load_file(tmp_path / "again.safetensors")
    assert again.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_allclose(again[name], array, rtol=1e-5, atol=1e-6, err_msg=name)


def numbers_for(name, layout):
    """Random weights of a layout, of the sizes that images from 0 to 255 ask for."""
    random = np.random.default_rng(1)
    weights = {
        name: random.standard_normal(shape).astype(np.float32) / np.sqrt(np.prod(shape[:-1]))
        for name, shape in families.layout(name, layout).items()
    }
    weights["conv1.kernel"] /= 255
    return weights


def test_real_weights_name_what_is_in_most_images():
    weights, folder = shared("data", "weights", "squeezenet1_1_imagenet.safetensors"), shared("data", "imagenet_sample")
    paths = sorted(folder.glob("*.jpg"))
    labels = np.array([int(path.name[:4]) for path in paths])
    prepare = zoo.preprocess("squeezenet1_1")
    images = np.stack([prepare(Image.open(path)) for path in paths])
    variables = zoo.load_weights("squeezenet1_1", weights)
    logits = jax.jit(zoo.create("squeezenet1_1").apply)(variables, images)
    best = np.argsort(-np.asarray(logits))[:, :5]
    assert len(paths) == 24
    assert (best[:, 0] == labels).sum() == 14  # 0.58; on many images about 0.6
    assert (best == labels[:, None]).any(axis=1).sum() == 19  # 0.79; on many about 0.84


def test_convolutions_start_uniform_by_their_fan_in_and_the_last_with_deviation_one_percent():
    params = families.initial(zoo.create("squeezenet_tiny"), (32, 32, 3), "stage2/fire2/expand3x3", "head")
    kernel = params["stage2/fire2/expand3x3/kernel"]
    assert jnp.abs(kernel).max() <= (6 / 72) ** 0.5
    families.assert_spread(kernel, (2 / 72) ** 0.5)
    families.assert_spread(params["head/kernel"], 0.01)
    assert not params["head/bias"].any()


@pytest.mark.slow  # of another family in the default run
def test_the_tiny_variant_learns():
    first, *_, last = families.losses("squeezenet_tiny", steps=8, rate=0.5, dropout=0.1)
    assert last < first


def test_unknown_versions_and_small_images_are_refused():
    with pytest.raises(zoo.UnknownNameError, match=r"no version of SqueezeNet '1_1'; nearest: 1\.1"):
        families.shapes(zoo.create("squeezenet1_1", version="1_1"), (32, 32, 3))
    for name, smallest in (("squeezenet1_0", 21), ("squeezenet1_1", 17), ("squeezenet_tiny", 9)):
        families.shapes(zoo.create(name), (smallest, smallest, 3))
        with pytest.raises(ValueError, match=f"at least {smallest} x {smallest} pixels"):
            families.shapes(zoo.create(name), (smallest, smallest - 1, 3))
