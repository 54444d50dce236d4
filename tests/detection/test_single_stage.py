"""RetinaNet, FCOS, SSD, SSDlite: torchvision's outputs, detections, losses and names, and inputs that are odd."""

import functools
import importlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from tests.convnets.goldens import numbers
from tests.detection.goldens import single_stage as given
from zoo.catalog.entry import Ref
from zoo.catalog.single_stage import ENTRIES
from zoo.convnets.resnet import ResNet
from zoo.detection.contract import Truth
from zoo.detection.fcos import FCOS
from zoo.detection.retinanet import RetinaNet
from zoo.detection.single_stage import Choice, Tower
from zoo.detection.ssd import SSD, SSDVGG
from zoo.detection.ssdlite import CHOICE, SSDLite, ssdlite320
from zoo.nn.conv import Conv
from zoo.weights import single_stage as weights
from zoo.weights.rules import to_ours, to_theirs

GOLDENS = Path(__file__).parent / "goldens"
OUTPUTS = {"logits": "cls_logits", "differences": "bbox_regression", "distances": "bbox_regression"}
OUTPUTS["centerness"] = "bbox_ctrness"
TERMS = {"classification": "classification", "boxes": "bbox_regression", "centerness": "bbox_ctrness"}


def model_of(name):
    """The twin of the golden file's network."""
    backbone = ResNet(num_classes=0, stage_sizes=(1, 1, 1, 1), bottleneck=False)
    options = {"num_classes": given.CLASSES, "width": given.WIDTH, "mask_padding": False}  # which torchvision lets in
    if name == "ssdlite":
        detector = ssdlite320(width=given.SSDLITE_WIDTH, num_classes=given.CLASSES)
        return detector.copy(choice=CHOICE._replace(most=given.MOST))
    if name == "ssd":
        body = SSDVGG(counts=(1,) * 5, widths=given.SSD_WIDTHS)
        return SSD(body, num_classes=given.CLASSES, choice=Choice(0.01, 0.45, given.MOST, 400))
    if name == "fcos":
        return FCOS(backbone, choice=Choice(0.2, 0.6, given.MOST, 1000), **options)
    if name == "retinanet_v2":
        options |= {"groups": 32, "coarser_from": "backbone", "box_loss": "giou"}
    return RetinaNet(backbone, choice=Choice(0.05, 0.5, given.MOST, 1000), **options)


def family_of(model):
    return {FCOS: weights.fcos, RetinaNet: weights.retinanet, SSD: weights.ssd, SSDLite: weights.ssdlite}[type(model)](
        model
    )


@functools.cache
def golden(name):
    with np.load(GOLDENS / f"{name}.npz") as file:
        return dict(file)


@functools.cache
def variables_of(name):
    model = model_of(name)
    shapes = numbers.shapes(golden(name)["names"])
    theirs = {key: given.weight(name, key, shape) for key, shape in shapes.items() if "num_batches" not in key}
    ours, _, problems = to_ours(family_of(model), theirs)
    assert not problems
    back, problems = to_theirs(family_of(model), ours)
    assert not problems
    assert {key: value.shape for key, value in back.items()} == {key: value.shape for key, value in theirs.items()}
    return unflatten_dict(ours, sep="/")


@functools.cache
def programs_of(name):
    """What the head says; the detections; the terms of the loss with their gradients: one program each model."""
    model = model_of(name)

    @jax.jit
    def program(variables, images, truth, sizes):
        def total(params):
            terms = model.apply({**variables, "params": params}, images, truth, None, sizes, False, method="losses")
            return sum(term.value() for term in terms.values()), terms

        gradients, terms = jax.grad(total, has_aux=True)(variables["params"])
        named = model.apply(variables, images, sizes, features=True)
        return named, model.apply(variables, images, sizes), terms, gradients

    return program


def truth_of(name):
    boxes, labels, valid = given.truth()
    return Truth(boxes * np.float32(given.SSD_TRUTH_SCALE if name in given.SSD_SIZES else 1), labels, valid)


def images_of(name):
    """And their sizes."""
    if name in given.SSD_SIZES:
        return given.ssd_images(name), None
    return given.images(), given.SIZES.astype(np.float32)


@functools.cache
def ours(name):
    """Of the golden file's images, with other values outside them."""
    images, sizes = images_of(name)
    if sizes is not None:
        images[0, given.SIZES[0, 0] :], images[1, :, given.SIZES[1, 1] :] = 7, -7
    return jax.device_get(programs_of(name)(variables_of(name), images, truth_of(name), sizes))


slow = pytest.mark.slow  # eight to twenty seconds to compile; SSD, which has no norms, takes five
of_every_model = pytest.mark.parametrize(
    "name", ["ssd", *(pytest.param(name, marks=slow) for name in (*given.MODELS, "ssdlite"))]
)


@pytest.mark.parametrize("name", [*given.MODELS, *given.SSD_SIZES])
def test_names_are_torchvisions_and_shapes_fit(name):
    expected = jax.eval_shape(
        model_of(name).init, jax.random.key(0), given.ssd_images(name) if name in given.SSD_SIZES else given.images()
    )
    assert jax.tree.map(np.shape, variables_of(name)) == jax.tree.map(np.shape, expected)


@of_every_model
def test_heads_say_what_torchvisions_say(name):
    for key, theirs in OUTPUTS.items():
        if key in ours(name)[0]:
            expected = golden(name)[f"outputs/{theirs}"]
            found = numbers.samples(theirs, ours(name)[0][key])
            np.testing.assert_allclose(found, expected, atol=1e-4 * expected[-1], err_msg=key)


@of_every_model
def test_detections_are_torchvisions_whatever_is_outside_the_images(name):
    found, expected = ours(name)[1], golden(name)
    assert found.valid.sum(axis=1).tolist() == expected["counts"].tolist()
    np.testing.assert_allclose(found.boxes[found.valid], expected["boxes"], atol=1e-2)
    np.testing.assert_allclose(found.scores[found.valid], expected["scores"], atol=1e-4)
    assert np.array_equal(found.labels[found.valid], expected["labels"])
    assert len(np.unique(expected["labels"])) > 1


@of_every_model
def test_losses_are_torchvisions_and_as_many_parameters_have_a_gradient(name):
    _, _, terms, gradients = ours(name)
    for key, term in terms.items():
        assert float(term.value()) == pytest.approx(float(golden(name)[f"losses/{TERMS[key]}"]), rel=1e-4), key
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    idle = sum(not leaf.any() for leaf in jax.tree.leaves(gradients))  # squeeze-and-excitation that is saturated
    assert idle == golden(name)["idle"]


@of_every_model
def test_images_without_objects_and_odd_boxes_have_losses_and_gradients_that_are_numbers(name):
    boxes, labels, valid = given.truth()
    images, sizes = images_of(name)
    odd = boxes.copy()
    odd[0] = [[5, 5, 6, 6], [-50, -50, -20, -20], [-9, -9, 900, 900], [40, 40, 40, 40]]
    for truth in (Truth(boxes, labels, np.zeros_like(valid)), Truth(odd, labels, valid)):
        _, _, terms, gradients = programs_of(name)(variables_of(name), images, truth, sizes)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((terms, gradients)))
    terms = programs_of(name)(variables_of(name), images, Truth(boxes, labels, np.zeros_like(valid)), sizes)[2]
    assert float(terms["boxes"].total) == 0


def test_wrong_options_are_refused():
    model = model_of("retinanet")
    shape = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    with pytest.raises(ValueError, match="expected coarser_from to be pyramid or backbone, got 'top'"):
        jax.eval_shape(model.copy(coarser_from="top").init, jax.random.key(0), shape)
    truth = Truth(np.zeros((1, 2, 4), np.float32), np.zeros((1, 2), np.int32), np.zeros((1, 2), bool))
    model = model.copy(box_loss="l2")
    with pytest.raises(ValueError, match="expected a box_loss of l1 or giou, got 'l2'"):
        jax.eval_shape(lambda key, x: model.init(key, x, truth, method="losses"), jax.random.key(0), shape)


COUNTS = {
    # torchvision's numbers of two leave out the 53 120 scales and shifts of the frozen batch normalisations.
    "retinanet_resnet50_fpn": 34_014_999 + 53_120,
    "retinanet_resnet50_fpn_v2": 38_198_935,
    "fcos_resnet50_fpn": 32_269_600 + 53_120,
    "ssd300_vgg16": 35_641_826,
    "ssdlite320_mobilenet_v3_large": 3_440_060,
}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_rows_of_the_catalog_make_models_of_as_many_parameters_as_torchvisions_and_heads_that_exist(entry):
    model = made(entry)
    shape = jax.ShapeDtypeStruct((1, *entry.input_shape), jnp.float32)
    params = flatten_dict(jax.eval_shape(model.init, jax.random.key(0), shape)["params"], sep="/")
    found = jax.eval_shape(lambda key, x: model.init_with_output(key, x)[0], jax.random.key(0), shape)
    assert COUNTS.get(entry.name) in (None, sum(leaf.size for leaf in params.values()))
    assert found.boxes.shape == (1, model.choice.most, 4)
    for head in entry.heads:
        assert params[f"{head}/bias"].shape[0] % model.num_classes == 0
    family = family_of(model)
    assert not to_theirs(family, {f"params/{path}": np.empty(leaf.shape) for path, leaf in params.items()})[1]


def made(entry):
    """As `zoo.create` makes it."""
    package, _, name = entry.builder.partition(":")
    options = {
        key: zoo.create(value.name, **value.options) if isinstance(value, Ref) else value
        for key, value in entry.options.items()
    }
    return getattr(importlib.import_module(package), name)(**options)


@pytest.mark.parametrize("groups", [0, 4])
def test_towers_compute_and_store_in_the_types_of_the_detector(groups):
    """Also where normalisations of groups stand between the convolutions, which would widen what they see."""
    half = {"dtype": jnp.bfloat16, "param_dtype": jnp.bfloat16}
    conv = functools.partial(Conv, **half)
    tower, maps = Tower(2, groups, True, conv, **half), [jnp.ones((1, 4, 4, 8), jnp.bfloat16)]
    variables = jax.eval_shape(tower.init, jax.random.key(0), maps)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.bfloat16)}
    apply = functools.partial(tower.apply, capture_intermediates=True)
    found, state = jax.eval_shape(apply, variables, maps)
    assert {leaf.dtype for leaf in jax.tree.leaves((found, state))} == {jnp.dtype(jnp.bfloat16)}
    assert ("norm1" in state["intermediates"]) == bool(groups)


@pytest.mark.parametrize("build", [RetinaNet, FCOS])
def test_heads_with_group_normalisations_are_stored_in_one_type(build):
    backbone = ResNet(num_classes=0, stage_sizes=(1, 1, 1, 1), bottleneck=False, width=4, param_dtype=jnp.bfloat16)
    model = build(backbone, num_classes=3, width=8, groups=4, dtype=jnp.bfloat16, param_dtype=jnp.bfloat16)
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables["params"]["head"])} == {jnp.dtype(jnp.bfloat16)}
