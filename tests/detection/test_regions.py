"""Heads made of the backbone's last stage (C4), maps of one stride (C4, C5), and what is refused. `test_two_stage.py`
has the numbers of torchvision's parts put together in the same way."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.detection.drawn import drawn
from zoo.convnets.resnet import ResNet
from zoo.detection.contract import Truth
from zoo.detection.faster_rcnn import View
from zoo.detection.regions import maps_below, through_stages

IMAGES = jax.ShapeDtypeStruct((1, 128, 128, 3), jnp.float32)
RESNET50 = 25_557_032 - (2048 + 1) * 1000
"""torchvision's count, without the layer of 1000 classes."""


def conv(side, inputs, outputs):
    return side * side * inputs * outputs + outputs


def proposing(channels):
    """A 3x3 convolution, and 5 scales by 3 proportions with a logit and four differences each."""
    return conv(3, channels, channels) + conv(1, channels, 15 * 5)


def deciding(features):
    """80 classes and the background, with a logit and four differences each."""
    return conv(1, features, 81 * 5)


C4_BOX = proposing(1024) + deciding(2048)
C5_BOX = proposing(2048) + conv(1, 7 * 7 * 2048, 1024) + conv(1, 1024, 1024) + deciding(1024)
COUNTS = {
    "fasterrcnn_resnet50_c4": C4_BOX,
    "maskrcnn_resnet50_c4": C4_BOX + conv(2, 2048, 256) + conv(1, 256, 81),
    "maskrcnn_resnet50_c5": C5_BOX + conv(3, 2048, 256) + 3 * conv(3, 256, 256) + conv(2, 256, 256) + conv(1, 256, 81),
}


@functools.cache
def shapes_of(name):
    return jax.eval_shape(zoo.create(name).init, jax.random.key(0), IMAGES)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_those_of_the_papers_layers(name):
    params = shapes_of(name)["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == RESNET50 + COUNTS[name]
    whole = shapes_of("resnet50")["params"]
    assert params["backbone"] == {name: part for name, part in whole.items() if name != "head"}  # a published file's


def test_strides_and_sides_are_those_of_the_papers():
    """Figure 4 of Mask R-CNN: 7 x 7 x 2048 of each region, from which masks of 14 x 14; with C5 of 28 x 28."""
    for name, stage, stride, channels, side in (
        ("maskrcnn_resnet50_c4", "stage3", 16, 1024, 14),
        ("maskrcnn_resnet50_c5", "stage4", 32, 2048, 28),
    ):

        def seen(model, images):
            view = View((128, 128), None)
            maps, _ = model._proposed(images, view, False)
            boxes, labels = jnp.zeros((1, 5, 4)), jnp.zeros((1, 5), int)
            return maps, model._masks(maps, boxes, labels, view, False)

        apply = functools.partial(zoo.create(name).apply, method=seen)
        maps, masks = jax.eval_shape(apply, shapes_of(name), IMAGES)
        assert {name: x.shape for name, x in maps.items()} == {stage: (1, 128 // stride, 128 // stride, channels)}
        assert masks.shape == (1, 5, side, side)


def small(**options):
    return ResNet(num_classes=0, stage_sizes=(1, 1, 1, 1), bottleneck=False, width=4, **options)


def test_below_and_through_the_last_stage_is_the_whole_network():
    backbone, images = small(), np.random.default_rng(0).standard_normal((2, 64, 96, 3)).astype(np.float32)

    @jax.jit
    def both(key):
        variables = backbone.init(key, images)
        bound = backbone.bind(variables)
        below = maps_below(bound, images, False, ("stage2", "stage3"), ("stage4",))
        again = through_stages(bound, ("stage4",), below["stage3"], False)
        return below, again, backbone.apply(variables, images, features=True)

    below, again, named = both(jax.random.key(0))
    assert list(below) == ["stage2", "stage3"]
    np.testing.assert_allclose(below["stage2"], named["stage2"], atol=1e-6)
    np.testing.assert_allclose(again, named["stage4"], atol=1e-5)


def test_regions_that_stand_for_none_count_in_no_statistics():
    backbone, random = small(), np.random.default_rng(0)
    shapes = jax.eval_shape(backbone.init, jax.random.key(0), IMAGES)
    variables = jax.tree.map(lambda leaf: random.uniform(0.1, 1, leaf.shape).astype(np.float32), shapes)
    regions, real = random.random((5, 4, 4, 16)).astype(np.float32), np.array([True, True, False, True, False])

    @jax.jit
    def seen(regions, real):
        return backbone.apply(
            variables,
            method=lambda module: through_stages(module, ("stage4",), regions, True, real),
            mutable=["batch_stats"],
        )

    (found, stats), (other, other_stats) = (
        seen(regions, real),
        seen(np.where(real[:, None, None, None], regions, 9), real),
    )
    jax.tree.map(np.testing.assert_array_equal, (found[real], stats), (other[real], other_stats))
    alone, alone_stats = seen(regions[real], np.ones(3, bool))
    np.testing.assert_allclose(found[real], alone, atol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), stats, alone_stats)


def test_what_cannot_be_a_head_is_refused():
    def made(**options):
        options = {"width": 0, "maps": ("stage3",), "anchor_sizes": ((8,),), "region_stages": ("stage4",)} | options
        model = zoo.create("fasterrcnn_tiny", **options)
        return jax.eval_shape(model.init, jax.random.key(0), IMAGES)

    with pytest.raises(ValueError, match="expected a backbone whose stages run one by one, such as ResNet, got Cifar"):
        made()
    with pytest.raises(ValueError, match=r"expected region_stages of the backbone's last stages, \('stage4',\), got"):
        made(backbone=small(), region_stages=("stage3",))
    with pytest.raises(ValueError, match=r"expected maps before stage4, which are stem, stage1, .*, got stage4"):
        made(backbone=small(), maps=("stage4",))
    with pytest.raises(zoo.UnknownNameError, match="no stage 'stage9'; nearest: stage"):
        small().init(jax.random.key(0), np.zeros((1, 32, 32, 3)), method=lambda m, x: m.maps_before("stage9", x))
    assert set(made(backbone=small())["params"]["backbone"]) == {"stem", "stage1", "stage2", "stage3", "stage4"}


@pytest.mark.slow  # two programs
def test_of_c4_canvas_images_without_objects_and_narrow_types():
    """As every detector of the catalog, see `test_detectors.py`; here with statistics of the regions."""
    options = {"width": 0, "maps": ("stage3",), "anchor_sizes": ((8, 16, 32),), "region_stages": ("stage4",)}
    options |= {"hidden": (), "region": 6, "mask_region": 6, "mask_convs": (), "mask_width": 8, "frozen_norm": False}
    model, random = zoo.create("maskrcnn_tiny", backbone=small(), **options), np.random.default_rng(0)
    images, sizes = random.standard_normal((2, 64, 64, 3)).astype(np.float32), np.array([[32.0, 48.0], [32.0, 48.0]])
    variables = drawn(model, images)
    detect = jax.jit(model.apply)
    found, alone = detect(variables, images, sizes), detect(variables, images[:, :32], sizes)
    assert found.valid.sum() > 3
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)

    @jax.jit
    def step(params, truth):
        def loss(params):
            state = {**variables, "params": params}
            how = {"method": "losses", "mutable": ["batch_stats"]}
            terms, after = model.apply(state, images, truth, jax.random.key(0), sizes, **how)
            return sum(term.value() for term in terms.values()), (terms, after)

        return jax.value_and_grad(loss, has_aux=True)(params)

    boxes = np.tile(np.float32([4, 6, 30, 28]), (2, 3, 1))
    masks, labels = np.ones((2, 3, 64, 64), bool), np.ones((2, 3), np.int32)
    for valid in (np.zeros((2, 3), bool), np.ones((2, 3), bool)):
        (value, (terms, after)), gradients = step(
            variables["params"], Truth(boxes * valid[..., None], labels * valid, valid, masks)
        )
        assert value > 0
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((terms, after, gradients)))
        assert (terms["mask"].weight > 0) == valid.any()
    half = jax.eval_shape(model.copy(dtype=jnp.bfloat16).apply, variables, images)
    assert half.scores.dtype == jnp.float32
