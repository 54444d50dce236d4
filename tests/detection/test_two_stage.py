"""Faster, Mask and Keypoint R-CNN equal torchvision's: names, every part, detections, losses and gradients.

The numbers were written by `goldens/write_two_stage.py`, of small networks with weights drawn by torch's names.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from tests.convnets.goldens import numbers
from tests.detection.goldens import two_stage as made
from zoo.convnets.resnet import ResNet
from zoo.detection.box_head import decided
from zoo.detection.contract import Truth
from zoo.detection.faster_rcnn import View
from zoo.detection.keypoint_rcnn import KeypointRCNN
from zoo.detection.mask_rcnn import MaskRCNN
from zoo.weights.detection import two_stage
from zoo.weights.resnet import RESNET
from zoo.weights.rules import to_ours, to_theirs

GOLDENS = Path(__file__).parent / "goldens"
LOSSES = {
    "loss_objectness": "rpn_object",
    "loss_rpn_box_reg": "rpn_box",
    "loss_classifier": "class",
    "loss_box_reg": "box",
    "loss_mask": "mask",
    "loss_keypoint": "keypoint",
}
TOLERANCE = 1e-4
"""Of the largest magnitude."""


def detector(name):
    second, of_c4 = name == "mask_v2", name == "mask_c4"
    shared = {
        "backbone": ResNet(num_classes=0, stage_sizes=(1, 1, 1, 1), bottleneck=False),
        "width": made.WIDTH,
        "frozen_norm": not second,
        "pyramid_norm": second,
        "rpn_depth": 2 if second else 1,
        "anchor_sizes": tuple((size,) for size in made.SIZES),
        "rpn_post_nms_top_n": (made.PROPOSALS, made.PROPOSALS),
        "rpn_batch_size_per_image": made.ALL_ANCHORS,
        "box_batch_size_per_image": made.ALL_REGIONS,
        "box_positive_fraction": 1.0,
        "box_score_thresh": made.LEAST,
        "convs": (made.WIDTH, made.WIDTH) if second else (),
        "hidden": (made.HIDDEN,) if second else (made.HIDDEN, made.HIDDEN),
    }
    if of_c4:
        shared |= {"width": 0, "maps": ("stage3",), "region": 14, "region_stages": ("stage4",), "hidden": ()}
        shared |= {"anchor_sizes": (made.SIZES,), "mask_width": made.WIDTH}
    convs = () if of_c4 else (made.WIDTH, made.WIDTH)
    if name == "keypoint":
        return KeypointRCNN(num_classes=2, points=made.POINTS, keypoint_convs=convs, **shared)
    return MaskRCNN(num_classes=made.CLASSES, mask_convs=convs, mask_norm=second, **shared)


def family(model):
    """torchvision's names; the last stage as a head is called as the file's writer put it together."""
    rules = [
        rule._replace(theirs=f"roi_heads.box_head.{rule.theirs}", ours=rule.ours.replace("/stage", "/backbone/stage"))
        for rule in RESNET.rules
    ]
    of_stage = [
        rule._replace(**{field: getattr(rule, field).replace("{stage}", "4") for field in ("theirs", "ours")})
        for rule in rules
        if "{stage}" in rule.theirs
    ]
    known = two_stage(model)
    return known._replace(rules=(*of_stage, *known.rules)) if model.region_stages else known


@functools.cache
def prepared(name):
    """The golden file, the model, its rules and its variables."""
    golden, model = np.load(GOLDENS / f"{name}.npz"), detector(name)
    weights = {key: made.weight(key, shape) for key, shape in numbers.shapes(golden["names"]).items()}
    ours, _, problems = to_ours(family(model), weights)
    assert not problems
    return golden, model, unflatten_dict(ours, sep="/")


def close(name, value, expected):
    off = np.abs(numbers.samples(name, np.asarray(value)) - expected).max() / expected[-1]
    assert off < TOLERANCE, f"{name}: off by {off:.1e} of the largest magnitude"


def channels_first(value):
    return np.asarray(value).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("name", made.NAMES)
def test_parameters_have_torchs_names_and_shapes(name):
    golden, model, variables = prepared(name)
    shapes = jax.eval_shape(lambda key: model.init(key, jnp.zeros((1, *made.SIZE, 3))), jax.random.key(0))
    expected = {path: leaf.shape for path, leaf in flatten_dict(shapes, sep="/").items()}
    assert {path: leaf.shape for path, leaf in flatten_dict(variables, sep="/").items()} == expected
    back, problems = to_theirs(family(model), flatten_dict(variables, sep="/"))
    assert not problems
    assert {key: value.shape for key, value in back.items()} == numbers.shapes(golden["names"])


FIRST, *REST = made.NAMES
some = pytest.mark.parametrize("name", [FIRST, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)])
"""One by default: a program each."""


@pytest.mark.slow  # traces VGG-16, and a detector of its own
def test_without_a_pyramid_the_papers_network_proposes_from_one_map_and_pools_from_it():
    model = zoo.create("fasterrcnn_vgg16")
    images = jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.float32)
    params = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    assert set(params) == {"backbone", "rpn", "box_head"}
    assert params["rpn"]["conv1"]["kernel"].shape == (3, 3, 512, 512)
    assert params["rpn"]["logits"]["kernel"].shape == (1, 1, 512, 9)  # three sizes, three proportions
    vgg = jax.eval_shape(zoo.create("vgg16").init, jax.random.key(0), jnp.zeros((1, 224, 224, 3)))["params"]
    for layer in ("dense1", "dense2"):
        assert jax.tree.map(jnp.shape, params["box_head"][layer]) == jax.tree.map(jnp.shape, vgg[layer])
    options = {"maps": ("stage3",), "width": 0, "anchor_sizes": ((8, 16, 32),), "pooling": "pool"}
    small = zoo.create("fasterrcnn_tiny", **options)
    images = np.random.default_rng(0).standard_normal((1, 64, 64, 3)).astype(np.float32)

    @jax.jit
    def stages(variables):
        """What is found, the maps, the proposals, and what the second stage finds in those."""
        maps = small.apply(variables, images, features=True)
        proposals, valid = small.apply(variables, images, method="proposals")
        bound, view = small.bind(variables), View((64, 64), None)
        said = bound._decide(maps, proposals, view, False)
        again = decided(*said, proposals, valid, jnp.full((1, 2), 64.0), bound.deciding)
        return small.apply(variables, images), maps, proposals, again

    found, maps, proposals, again = stages(jax.jit(small.init)(jax.random.key(0), images))
    assert {name: x.shape for name, x in maps.items()} == {"stage3": (1, 16, 16, 64)}
    assert found.boxes.shape == (1, 8, 4)
    assert proposals.shape == (1, 32, 4)
    assert found.valid.any()
    np.testing.assert_allclose(again.boxes, found.boxes, atol=1e-3)
    np.testing.assert_allclose(again.scores, found.scores, atol=1e-5)
    with pytest.raises(ValueError, match="expected mask_width where mask_convs is empty, got 0"):
        jax.eval_shape(zoo.create("maskrcnn_tiny", mask_convs=()).init, jax.random.key(0), images)
    with pytest.raises(ValueError, match="expected pooling of pool or align, got 'mean'"):
        zoo.create("fasterrcnn_tiny", pooling="mean").init(jax.random.key(0), images)
    of_pyramid = zoo.create("fasterrcnn_tiny", pooling="pool")
    found, _ = jax.eval_shape(of_pyramid.init_with_output, jax.random.key(0), images)
    assert found.boxes.shape == (1, 8, 4)


@some
def test_every_part_and_every_detection_is_torchs(name):
    golden, model, variables = prepared(name)

    def parts(variables, images):
        bound = model.bind(variables)
        maps = bound(images, features=True)
        _, said = bound._proposed(images, View(made.SIZE, None), False)
        found = bound(images)
        logits, deltas = bound._decide(maps, jnp.asarray(golden["proposals"])[None], View(made.SIZE, None), False)
        return list(maps.values()), said.logits, said.deltas, logits, deltas, found

    images = made.images(1).transpose(0, 2, 3, 1)
    maps, rpn_logits, rpn_deltas, logits, deltas, found = jax.jit(parts)(variables, images)
    start, each = 0, 3 * len(model.anchor_sizes[0])
    for level, value in enumerate(maps):
        close(f"map/{level}", channels_first(value), golden[f"map/{level}"])
        rows, columns = value.shape[1:3]
        part = slice(start, start := start + each * rows * columns)
        logit = rpn_logits[:, part].reshape(1, rows, columns, each)
        close(f"rpn_logits/{level}", channels_first(logit), golden[f"rpn_logits/{level}"])
        delta = rpn_deltas[:, part].reshape(1, rows, columns, 4 * each)
        close(f"rpn_deltas/{level}", channels_first(delta), golden[f"rpn_deltas/{level}"])
    np.testing.assert_allclose(logits[0], golden["class_logits"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(deltas[0].reshape(made.PROPOSALS, -1), golden["box_deltas"], rtol=1e-3, atol=1e-4)

    count = len(golden["found/scores"])
    assert found.valid[0].sum() == count > 3
    assert found.labels[0, :count].tolist() == golden["found/labels"].tolist()
    np.testing.assert_allclose(found.scores[0, :count], golden["found/scores"], atol=1e-4)
    np.testing.assert_allclose(found.boxes[0, :count], golden["found/boxes"], atol=1e-2)
    assert not np.any(found.boxes[0, count:])
    if found.masks is not None:
        right = 1 / (1 + np.exp(-golden["found/mask_logits"]))
        np.testing.assert_allclose(found.masks[0, : len(right)], right, atol=1e-3)
    if found.keypoints is not None:
        np.testing.assert_allclose(found.keypoints[0, :count], golden["found/keypoints"], atol=1e-2)


@pytest.mark.slow  # a program each, with its gradients
@pytest.mark.parametrize("name", made.NAMES)
def test_losses_and_gradients_are_torchs_where_all_anchors_and_regions_learn(name):
    golden, model, variables = prepared(name)
    truth = made.truth()
    if name == "keypoint":
        truth["labels"] = truth["valid"].astype(np.int32)
    images = made.images(2).transpose(0, 2, 3, 1)

    def loss(params, truth):
        state = {**variables, "params": params}
        terms, _ = model.apply(state, images, truth, jax.random.key(0), method="losses", mutable=["batch_stats"])
        values = {key: term.value() for key, term in terms.items()}
        return sum(values.values()), values

    (_, values), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"], Truth(**truth))
    expected = {LOSSES[key.removeprefix("loss/")]: golden[key] for key in golden if key.startswith("loss/")}
    assert values.keys() == expected.keys()
    for key, value in values.items():
        np.testing.assert_allclose(value, expected[key], rtol=2e-4, err_msg=key)
    theirs, _ = to_theirs(family(model), flatten_dict({"params": gradients}, sep="/"))
    compared = [key for key in golden if key.startswith("gradient/")]
    assert len(compared) >= 8
    for key in compared:
        close(key, theirs[key.removeprefix("gradient/")], golden[key])
