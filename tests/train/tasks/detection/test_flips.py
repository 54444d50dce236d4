"""Detections of images and their mirror images: of a detector that anybody can check, and of a network."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.train.tasks.detection.cells import CellDetector
from tests.train.tasks.detection.some_boxes import NAMES, SIDE
from train.engine.step import make_predict
from train.tasks.detection.flips import both_ways, mirrored_images
from train.tasks.detection.task import Detection
from zoo.detection.contract import Detections

PAIRS = ((0, 1),)
CELLS = 4
SIZES = np.array([[16, 20], [12, 24]], np.float32)
OBJECTS = {(0, 0): (2, 3, 7, 9), (0, 1): (13, 1, 19, 6), (1, 0): (15, 4, 22, 11), (1, 2): (1, 2, 5, 11)}
"""Left, top, right, bottom of an object by image and channel, which is its class."""


def images():
    """Ramps that grow to the right and downwards, on a canvas of 16 x 24 pixels."""
    found = np.zeros((2, 16, 24, 3), np.float32)
    for (image, channel), (left, top, right, bottom) in OBJECTS.items():
        y, x = np.mgrid[top:bottom, left:right]
        found[image, top:bottom, left:right, channel] = 0.1 + 0.01 * (x - left) + 0.02 * (y - top)
    return found


def seen(pictures, sizes, only_left=False):
    """Of each channel what is not black: its box, its brightness in cells, and its leftmost and rightmost column."""
    there = pictures > 0

    def first(lines):
        return jnp.argmax(lines, axis=1)

    columns, rows = there.any(axis=1), there.any(axis=2)
    left, top = first(columns), first(rows)
    right, bottom = 24 - first(columns[:, ::-1]), 16 - first(rows[:, ::-1])
    boxes = jnp.stack([left, top, right, bottom], axis=-1).astype(jnp.float32)
    at = (jnp.arange(CELLS) + 0.5) / CELLS
    x, y = (
        jnp.floor(low[..., None] + at * (high - low)[..., None]).astype(int)
        for low, high in ((left, right), (top, bottom))
    )
    batch, channel = jnp.arange(2)[:, None, None, None], jnp.arange(3)[None, :, None, None]
    masks = pictures[batch, y[..., :, None], x[..., None, :], channel]
    points = jnp.stack([jnp.stack([side, top, side * 0 + 5], -1) for side in (left, right)], axis=2)
    valid = columns.any(axis=1)
    if only_left:
        valid &= left + right < sizes[:, None, 1]
    scores = jnp.where(valid, 0.5 + masks.mean(axis=(-1, -2)), 0)
    labels = jnp.broadcast_to(jnp.arange(1, 4), valid.shape)
    return Detections(boxes, scores, labels, valid, masks, points.astype(jnp.float32))


def objects(found):
    """What is valid, by image and channel."""
    return {
        (int(image), int(found.labels[image, place]) - 1): jax.tree.map(lambda value: value[image, place], found)  # noqa: B023
        for image, place in zip(*np.nonzero(found.valid), strict=True)
    }


@pytest.mark.parametrize("only_left", [False, True])
def test_what_is_found_in_a_mirror_image_comes_back_to_its_place(only_left):
    """What stands in the right half is seen in the mirror image alone, and told as in the image itself."""
    run = jax.jit(lambda *given: both_ways(lambda *each: seen(*each, only_left), given, PAIRS))
    found = objects(jax.device_get(run(images(), SIZES)))
    assert {key: each.boxes.tolist() for key, each in found.items()} == {
        key: list(map(float, box)) for key, box in OBJECTS.items()
    }
    direct = objects(jax.device_get(jax.jit(seen)(images(), SIZES)))
    for key, each in found.items():
        np.testing.assert_allclose(each.masks, direct[key].masks, atol=0.011)  # centres of cells, rounded to the left
        np.testing.assert_array_equal(each.keypoints, direct[key].keypoints)


def test_a_mirror_image_keeps_its_padding_at_the_right():
    found = np.asarray(mirrored_images(images(), SIZES))
    np.testing.assert_array_equal(found[0, :, :20], images()[0, :, 19::-1])
    assert not found[0, :, 20:].any()


def test_with_flips_a_mirror_image_has_the_mirrored_detections():
    """What no network does by itself."""
    model, pictures = CellDetector(num_classes=4), np.random.default_rng(0).random((2, SIDE, SIDE, 3), np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), pictures)
    task = Detection(NAMES, masks=True, keypoints=True, flips=True, mirror=PAIRS)
    shares = {}
    for flips in (True, False):
        predict = jax.jit(make_predict(model, dataclasses.replace(task, flips=flips)))
        one, other = (jax.device_get(predict(variables, {"image": each})) for each in (pictures, pictures[:, :, ::-1]))
        assert one["valid"].any()
        mirrored = np.where([1, 0, 1, 0], SIDE - other["boxes"][..., [2, 1, 0, 3]], other["boxes"])
        shares[flips] = np.mean(np.isclose(mirrored, one["boxes"], atol=1e-3)[one["valid"]])
        if flips:
            both = one["valid"]
            np.testing.assert_allclose(other["scores"], one["scores"], atol=1e-6)
            np.testing.assert_allclose(other["masks"][..., ::-1][both], one["masks"][both], atol=1e-5)
            points = other["keypoints"][:, :, ::-1]
            np.testing.assert_allclose(SIDE - points[both][..., 0], one["keypoints"][both][..., 0], atol=1e-3)
    assert shares[True] == 1
    assert shares[False] < 0.6
