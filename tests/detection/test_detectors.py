"""What every detector of the catalog promises, held by its small variant: fixed sizes, and nothing but numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.detection.drawn import drawn
from zoo.detection.contract import Detections, Truth

ALL = [name for name in zoo.list_models(task="detection") if name.endswith("_tiny")]
NAMES = [name for name in ALL if len(zoo.describe(name).inputs) == 1]
"""Those that are given proposals are in `test_fast_rcnn.py`."""
QUICK = ("maskrcnn_tiny",)
"""The others are slow: a program or two each."""


def some_slow(names):
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in names]


of_every_detector = pytest.mark.parametrize("name", some_slow(NAMES))

FOR_A_CANVAS = [name for name in NAMES if not name.startswith("ssd")]
"""SSD takes images stretched to one size, which fill the canvas."""


@functools.cache
def images_of(name):
    side = zoo.describe(name).input_shape[0]
    return np.random.default_rng(0).standard_normal((2, side, side, 3)).astype(np.float32)


@functools.cache
def made(name):
    """A detector, and variables with which it says something of noise."""
    model = zoo.create(name)
    return model, drawn(model, images_of(name))


@functools.cache
def program(name):
    """The detector, compiled once."""
    model = made(name)[0]
    return jax.jit(lambda variables, images, sizes: model.apply(variables, images, sizes))


def truth_of(name, boxes, valid):
    """Objects of the first classes, with masks and keypoints."""
    boxes, valid = np.asarray(boxes, np.float32), np.asarray(valid)
    labels = np.where(valid, 1, 0).astype(np.int32)
    masks = np.zeros((*valid.shape, *images_of(name).shape[1:3]), bool)
    masks[:, :, 10:30, 10:30] = True
    keypoints = np.ones((*valid.shape, 2, 3), np.float32) * [20, 20, 1]
    return Truth(boxes, labels, valid, masks, keypoints.astype(np.float32))


@functools.cache
def stepped(name):
    """Terms and gradients of the loss, compiled once for three objects an image."""
    model, variables = made(name)

    @jax.jit
    def step(params, truth, sizes):
        def loss(params):
            state = {**variables, "params": params}
            options = {"method": "losses", "mutable": ["batch_stats"], "rngs": {"dropout": jax.random.key(1)}}
            terms, _ = model.apply(state, images_of(name), truth, jax.random.key(0), sizes, **options)
            return sum(term.value() for term in terms.values()), terms

        return jax.value_and_grad(loss, has_aux=True)(params)

    return lambda truth, sizes: step(variables["params"], truth, sizes)


def whole(name):
    return np.full((2, 2), images_of(name).shape[1], np.float32)


def test_every_detector_has_a_small_variant():
    rows = [zoo.describe(name) for name in zoo.list_models(task="detection")]
    assert {row.builder for row in rows} == {zoo.describe(name).builder for name in ALL}


@of_every_detector
def test_what_it_says_has_fixed_sizes_is_sorted_and_lies_in_the_image(name):
    model, variables = made(name)
    side = images_of(name).shape[1]
    sizes = np.array([[side, side], [40, 50]], np.float32)
    found = program(name)(variables, images_of(name), sizes)
    assert isinstance(found, Detections)
    assert found.valid.any(axis=1).all()
    count = found.valid.shape[1]
    assert found.boxes.shape == (2, count, 4)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    for boxes, scores, labels, valid, (height, width) in zip(*found[:4], sizes, strict=True):
        boxes, scores, labels, valid = map(np.asarray, (boxes, scores, labels, valid))
        assert np.all(np.diff(scores) <= 0)
        assert valid.tolist() == (np.arange(count) < valid.sum()).tolist()
        assert not boxes[~valid].any()
        assert not scores[~valid].any()
        assert not labels[~valid].any()
        assert np.all((labels[valid] >= 1) & (labels[valid] < model.num_classes))
        assert np.all((boxes >= 0) & (boxes <= [width, height, width, height]))
        sides = boxes[valid, 2:] - boxes[valid, :2]
        assert np.all(sides > 0 if "rcnn" in name else sides >= 0)  # of one stage none is left out, as in torchvision


@pytest.mark.parametrize("name", some_slow(FOR_A_CANVAS))
def test_a_detection_does_not_depend_on_the_canvas(name):
    """The same image on a canvas as large as it, and on a larger one."""
    _, variables = made(name)
    small = images_of(name)[:, :32]
    alone = program(name)(variables, small, np.array([[32, 64], [32, 64]], np.float32))
    canvas = np.ones_like(images_of(name))  # of whatever values
    canvas[:, :32] = small
    padded = program(name)(variables, canvas, np.array([[32, 64], [32, 64]], np.float32))
    assert alone.valid.sum() > 1
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(padded), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)


@pytest.mark.parametrize("name", some_slow(FOR_A_CANVAS))
def test_a_canvas_of_no_whole_stride_is_filled_up(name):
    """Else anchors would stand beside the places."""
    _, variables = made(name)
    odd = images_of(name)[:, :45, :53]
    sizes = np.array([[45, 53], [45, 53]], np.float32)
    found = program(name)(variables, odd, sizes)
    expected = program(name)(variables, np.pad(odd, ((0, 0), (0, 19), (0, 11), (0, 0))), sizes)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)


@of_every_detector
def test_there_may_be_room_for_no_object(name):
    model, variables = made(name)
    truth = jax.tree.map(lambda x: x[:, :0], truth_of(name, np.zeros((2, 1, 4)), np.zeros((2, 1), bool)))
    options = {"method": "losses", "mutable": ["batch_stats"], "rngs": {"dropout": jax.random.key(1)}}
    terms, _ = jax.eval_shape(lambda v: model.apply(v, images_of(name), truth, jax.random.key(0), **options), variables)
    assert terms


@of_every_detector
@pytest.mark.parametrize(
    "boxes",
    [
        [[[4, 4, 30, 30], [20, 10, 60, 50], [0, 0, 0, 0]], [[0, 0, 0, 0]] * 3],  # an image without objects
        [[[10, 10, 11, 11], [63, 63, 64, 64], [0, 0, 64, 64]], [[5, 5, 6, 6], [5, 5, 6, 6], [5, 5, 6, 6]]],  # one pixel
        [[[70, 70, 90, 90], [-20, -20, -5, -5], [60, 60, 70, 70]], [[30, 30, 20, 20], [8, 8, 8, 20], [1, 1, 9, 9]]],
    ],
    ids=["no objects", "one pixel", "outside and empty"],
)
def test_losses_and_gradients_of_odd_objects_are_numbers(name, boxes):
    boxes = np.array(boxes)
    (value, terms), gradients = stepped(name)(truth_of(name, boxes, boxes.any(axis=-1)), whole(name))
    assert np.isfinite(value)
    assert value > 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((terms, gradients)))
    assert all(term.weight >= 0 for term in terms.values())


@of_every_detector
def test_without_any_object_only_the_background_is_learned(name):
    (_, terms), gradients = stepped(name)(truth_of(name, np.zeros((2, 3, 4)), np.zeros((2, 3), bool)), whole(name))
    boxes = [term.total for key, term in terms.items() if "box" in key or key in ("mask", "keypoint", "centerness")]
    assert boxes
    assert not np.any(boxes)
    learns = any(np.any(leaf) for leaf in jax.tree.leaves(gradients))
    assert learns == (name in FOR_A_CANVAS)  # SSD has three negative boxes a positive one: none of none


@of_every_detector
def test_a_batch_is_its_images(name):
    _, variables = made(name)
    both = program(name)(variables, images_of(name), whole(name))
    swapped = program(name)(variables, images_of(name)[::-1].copy(), whole(name))
    for one, other in zip(jax.tree.leaves(both), jax.tree.leaves(swapped), strict=True):
        np.testing.assert_allclose(one, other[::-1], atol=2e-3)


@of_every_detector
def test_nothing_is_compiled_again_for_other_images_sizes_and_objects(name):
    _, variables = made(name)
    detect = program(name)
    detect(variables, images_of(name), whole(name))
    count = detect._cache_size()
    detect(variables, 2 * images_of(name), whole(name) - 9)
    assert detect._cache_size() == count


@of_every_detector
def test_features_are_maps_and_wrong_inputs_are_refused(name):
    model, variables = made(name)
    maps = jax.eval_shape(lambda: model.apply(variables, images_of(name), features=True))
    assert len(maps) > 1
    assert sum(x.ndim == 4 for x in maps.values()) > 1
    with pytest.raises(ValueError, match=r"expected sizes of shape \(2, 2\): height and width, got \(3, 2\)"):
        jax.eval_shape(lambda: model.apply(variables, images_of(name), jnp.ones((3, 2))))
    with pytest.raises(ValueError, match=r"expected images \(batch, height, width, channels\)"):
        jax.eval_shape(lambda: model.apply(variables, images_of(name)[0]))


@pytest.mark.slow  # a program a detector
@of_every_detector
def test_without_jit_under_vmap_and_in_bfloat16(name):
    model, variables = made(name)
    both = program(name)(variables, images_of(name), whole(name))
    mapped = jax.jit(jax.vmap(lambda image: jax.tree.map(lambda x: x[0], model.apply(variables, image[None]))))(
        images_of(name)
    )
    for one, other in zip(jax.tree.leaves(mapped), jax.tree.leaves(both), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)
    half = model.copy(dtype=jnp.bfloat16).apply(variables, images_of(name))
    assert all(np.isfinite(leaf.astype(np.float32)).all() for leaf in jax.tree.leaves(half))
    assert half.scores.dtype == jnp.float32
