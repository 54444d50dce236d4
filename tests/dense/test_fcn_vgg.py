"""FCN on VGG-16: its size, what its layers begin as, and weights that go from a classifier to it and on to a finer one.

What it computes is compared with the authors' networks in `test_network_parity.py`.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.convnets import families
from tests.detection.drawn import drawn
from zoo.convnets.vgg import VGG
from zoo.dense.fcn_vgg import FCNVGG
from zoo.weights import NewHeadWarning, WeightsError

THIN = {"depth": 11, "widths": (4, 4, 6, 6, 6), "hidden": 8}
CLASSES = 5


def images_of(*size, channels=3):
    return np.random.default_rng(0).standard_normal((1, *size, channels)).astype(np.float32)


@functools.cache
def classifier():
    """A thin VGG, and variables of it."""
    model = VGG(num_classes=CLASSES, **THIN)
    return model, drawn(model, images_of(224, 224))


def counted(model, size=(64, 64, 3)):
    return sum(math.prod(leaf.shape) for leaf in families.shapes(model, size).values())


def test_its_parameters_are_those_of_vggs_convolutions_two_dense_layers_and_the_scores():
    def layer(window, inputs, outputs):
        return (window * window * inputs + 1) * outputs

    widths = [3, *(64,) * 2, *(128,) * 2, *(256,) * 3, *(512,) * 6]
    body = sum(layer(3, a, b) for a, b in itertools.pairwise(widths))
    body += layer(7, 512, 4096) + layer(1, 4096, 4096)
    scores = {32: layer(1, 4096, 21)}
    scores[16] = scores[32] + layer(1, 512, 21)
    scores[8] = scores[16] + layer(1, 256, 21)
    for stride, head in scores.items():
        assert counted(zoo.create(f"fcn{stride}s_vgg16")) == body + head
    assert counted(FCNVGG(stride=8, learned=True)) == body + scores[8] + 2 * 4 * 4 * 21 * 21
    # The paper's 134 million; a classifier of ImageNet differs in its last layer alone.
    assert body == families.parameters("vgg16") - layer(1, 4096, 1000)


def test_maps_of_500_pixels_have_the_sizes_of_the_authors_network():
    found = families.outputs(FCNVGG(**THIN), (500, 500, 3), features=True)
    sides = {name: value.shape[1] for name, value in found.items()}
    assert sides == {
        "stage1": 698,
        "stage2": 349,
        "stage3": 175,
        "stage4": 88,
        "stage5": 44,
        "fc6": 16,
        "pre_logits": 16,
        "logits": 500,
    }


def test_scores_begin_at_zero_and_learned_enlargements_as_bilinear_ones():
    model = FCNVGG(num_classes=CLASSES, stride=8, learned=True, pad=1, fc6_pad=1, **{**THIN, "window": 3})
    paths = [f"score_{name}" for name in ("fr", "pool4", "pool3")] + ["upscore2", "upscore_pool4"]
    found = families.initial(model, (32, 32, 3), *paths)
    for path, value in found.items():
        if path.startswith("score"):
            assert not value.any()
        else:
            np.testing.assert_array_equal(value[:, :, 1, 1], np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16)
            assert not value[:, :, 1, 0].any()
    assert len(found) == 8


def test_a_classifier_becomes_convolutional_and_says_the_same_of_an_image_of_its_size(tmp_path):
    model, variables = classifier()
    zoo.save_weights(variables, tmp_path / "vgg.safetensors", layout="torchvision", model=model)
    options = {"num_classes": CLASSES, **THIN}
    loaded = zoo.load_weights("fcn32s_vgg16", tmp_path / "vgg.safetensors", **options)
    bare, image = FCNVGG(num_classes=0, pad=1, **THIN), images_of(224, 224)
    body = {name: layer for name, layer in loaded["params"].items() if name != "score_fr"}

    @jax.jit
    def both(variables, body, score, image):
        features = bare.apply({"params": body}, image)
        convolutional = jnp.einsum("bhwc,cd->bhwd", features, score["kernel"][0, 0]) + score["bias"]
        return model.apply(variables, image), convolutional

    dense, convolutional = both(variables, body, loaded["params"]["score_fr"], image)
    assert convolutional.shape == (1, 1, 1, CLASSES)
    np.testing.assert_allclose(convolutional[:, 0, 0], dense, atol=1e-5 * np.abs(dense).max())
    # And back: what the convolutions learned is a classifier's.
    fcn = zoo.create("fcn32s_vgg16", **options)
    zoo.save_weights(loaded, tmp_path / "again.safetensors", layout="torchvision", model=fcn)
    again = zoo.load_weights(model, tmp_path / "again.safetensors")
    jax.tree.map(np.testing.assert_array_equal, again, variables)


def test_the_whole_takes_a_file_of_vgg16(tmp_path):
    """Shapes alone."""
    theirs = families.layout("vgg16", "torchvision/vgg")
    ours = families.layout("fcn32s_vgg16", "torchvision/vgg_as_fcn", num_classes=1000)
    assert ours == theirs


def test_a_classifier_of_other_classes_gives_all_but_the_scores(tmp_path):
    model, variables = classifier()
    zoo.save_weights(variables, tmp_path / "vgg.safetensors", layout="torchvision", model=model)
    with pytest.warns(NewHeadWarning, match="has a head for 5 classes, the model one for 3"):
        loaded = zoo.load_weights("fcn16s_vgg16", tmp_path / "vgg.safetensors", num_classes=3, **THIN)
    assert not loaded["params"]["score_fr"]["kernel"].any()
    assert not loaded["params"]["score_pool4"]["kernel"].any()
    fc6 = np.asarray(loaded["params"]["fc6"]["kernel"])
    # torch flattens channel by channel.
    dense = variables["params"]["dense1"]["kernel"].reshape(6, 7, 7, 8)
    np.testing.assert_array_equal(fc6, dense.transpose(1, 2, 0, 3))


def test_a_finer_network_goes_on_from_a_coarser_one_and_says_at_first_what_that_said(tmp_path):
    names = ("fcn32s_tiny", "fcn16s_tiny", "fcn8s_tiny")
    images = images_of(64, 64)
    variables = drawn(zoo.create(names[0]), images)
    said = [zoo.create(names[0]).apply]
    for name in names[1:]:
        zoo.save_weights(variables, tmp_path / "coarser.safetensors")
        finer = zoo.load_weights(name, tmp_path / "coarser.safetensors")
        new = finer["params"].keys() - variables["params"].keys()
        assert new == {"score_pool4" if name == "fcn16s_tiny" else "score_pool3"}
        assert not any(np.any(leaf) for layer in new for leaf in jax.tree.leaves(finer["params"][layer]))
        jax.tree.map(
            np.testing.assert_array_equal,
            {key: value for key, value in finer["params"].items() if key not in new},
            variables["params"],
        )
        said.append(zoo.create(name).apply)
        variables = finer
    coarse = {"params": {k: v for k, v in variables["params"].items() if not k.startswith("score_pool")}}
    trees = [coarse, {"params": {k: v for k, v in variables["params"].items() if k != "score_pool3"}}, variables]
    found = jax.jit(lambda trees: [apply(tree, images) for apply, tree in zip(said, trees, strict=True)])(trees)
    middle = [np.asarray(logits)[:, 16:48, 16:48] for logits in found]
    for logits in middle[1:]:  # bilinear enlargement twice by 2 is nearly that by 4
        assert np.corrcoef(logits.ravel(), middle[0].ravel())[0, 1] > 0.99


def test_of_a_coarser_network_nothing_else_may_be_missing(tmp_path):
    variables = drawn(zoo.create("fcn32s_tiny"), images_of(64, 64))
    params = {name: layer for name, layer in variables["params"].items() if name != "fc7"}
    zoo.save_weights({"params": params}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="params/fc7/bias: missing in the file"):
        zoo.load_weights("fcn8s_tiny", tmp_path / "w.safetensors")
    half = {**variables["params"], "score_pool4": {"bias": np.zeros(10, np.float32)}}
    zoo.save_weights({"params": half}, tmp_path / "half.safetensors")
    with pytest.raises(WeightsError, match="params/score_pool4/kernel: missing in the file"):
        zoo.load_weights("fcn8s_tiny", tmp_path / "half.safetensors")
    finer = drawn(zoo.create("fcn16s_tiny"), images_of(64, 64))
    zoo.save_weights(finer, tmp_path / "finer.safetensors")
    with pytest.raises(WeightsError, match="the model has no params/score_pool4"):
        zoo.load_weights("fcn32s_tiny", tmp_path / "finer.safetensors")


PADDINGS = [{}, {"pad": 1, "fc6_pad": 3}, {"pad": 81}, {"window": 3, "pad": 17}, {"pad": 49, "fc6_pad": 1}]
LEAST = {81: 33, 17: 33, 49: 33}
"""Pixels a side that leave `fc6` a place, by the padding."""


def logits_of(size, **options):
    model = FCNVGG(num_classes=2, **{**THIN, **options})
    return jax.eval_shape(model.init_with_output, jax.random.key(0), images_of(*size))[0]


@pytest.mark.parametrize(
    "stride", [8, pytest.param(16, marks=pytest.mark.slow), pytest.param(32, marks=pytest.mark.slow)]
)
def test_every_size_of_an_image_has_scores_of_every_pixel(stride):
    """Of every padding; where it is less than the paper's, from the least size on."""
    for options in PADDINGS:
        least = LEAST.get(options.get("pad"), 1)
        for size in ((least, least), (least, 200), (64, least)):
            assert logits_of(size, stride=stride, **options).shape == (1, *size, 2), options


def test_an_image_that_leaves_fc6_no_place_is_refused():
    for pad, least in LEAST.items():
        options = next(options for options in PADDINGS if options.get("pad") == pad)
        with pytest.raises(ValueError, match="FCNVGG expected images of at least 33 x 33 pixels, got shape"):
            logits_of((least - 1, 64), **options)


def test_options_that_are_none_are_refused():
    def refused(message, **options):
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(FCNVGG(**{**THIN, **options}).init, jax.random.key(0), images_of(32, 32))

    refused("a stride of 32, 16 or 8, got depth 11, .* and stride 4", stride=4)
    refused("expected a depth of 11, 13, 16, 19, five widths", depth=12)
    refused("a pad of at least 81, got window 7, fc6_pad 0 and pad 80", pad=80)
    refused("padded by at most half of it", fc6_pad=4)
    refused("expected an odd window of fc6", window=6)
