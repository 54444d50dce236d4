"""SqueezeNet: parameter counts, stages, names in two libraries, accuracy of real weights, initialisation, training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import zoo
from tests.convnets import families
from tests.shared import shared

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


def test_real_weights_name_what_is_in_most_images():
    weights, folder = shared("data", "weights", "squeezenet1_1_imagenet.safetensors"), shared("data", "imagenet_sample")
    paths = sorted(folder.glob("*.jpg"))
    labels = np.array([int(path.name[:4]) for path in paths])
    images = np.stack([cropped(path) for path in paths])[..., ::-1] - np.array(BGR_MEAN, np.float32)
    variables = zoo.load_weights("squeezenet1_1", weights)
    logits = jax.jit(zoo.create("squeezenet1_1").apply)(variables, images)
    best = np.argsort(-np.asarray(logits))[:, :5]
    assert len(paths) == 24
    assert (best[:, 0] == labels).sum() == 15  # 0.625; on many images about 0.6
    assert (best == labels[:, None]).any(axis=1).sum() == 19  # 0.79; on many about 0.84


def cropped(path):
    """The middle 224 x 224 pixels of an image whose short side is made 256 pixels, as RGB from 0 to 255."""
    image = Image.open(path).convert("RGB")
    scale = 256 / min(image.size)
    width, height = (round(scale * size) for size in image.size)
    left, top = (width - 224) // 2, (height - 224) // 2
    image = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))
    return np.asarray(image, np.float32)


def test_convolutions_start_uniform_by_their_fan_in_and_the_last_with_deviation_one_percent():
    params = families.initial(zoo.create("squeezenet_tiny"), (32, 32, 3), "stage2/fire2/expand3x3", "head")
    kernel = params["stage2/fire2/expand3x3/kernel"]
    assert jnp.abs(kernel).max() <= (6 / 72) ** 0.5
    families.assert_spread(kernel, (2 / 72) ** 0.5)
    families.assert_spread(params["head/kernel"], 0.01)
    assert not params["head/bias"].any()


def test_the_tiny_variant_learns():
    first, *_, last = families.losses("squeezenet_tiny", steps=8, rate=0.5, dropout=0.1)
    assert last < first


def test_options_keep_their_promises():
    named = families.outputs(zoo.create("squeezenet_tiny", dtype=jnp.bfloat16), (32, 32, 3), features=True)
    assert {key for key, value in named.items() if value.dtype == jnp.float32} == {"pre_logits", "logits"}
    assert families.rematerialised(zoo.create("squeezenet_tiny", remat=True), (32, 32, 3)) == 3


def test_unknown_versions_and_small_images_are_refused():
    with pytest.raises(zoo.UnknownNameError, match=r"no version of SqueezeNet '1_1'; nearest: 1\.1"):
        families.shapes(zoo.create("squeezenet1_1", version="1_1"), (32, 32, 3))
    for name, smallest in (("squeezenet1_0", 21), ("squeezenet1_1", 17), ("squeezenet_tiny", 9)):
        families.shapes(zoo.create(name), (smallest, smallest, 3))
        with pytest.raises(ValueError, match=f"at least {smallest} x {smallest} pixels"):
            families.shapes(zoo.create(name), (smallest, smallest - 1, 3))
