"""Images on a canvas: where they are on it, how large, and that a mirror leaves the padding where it is."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

from train.config import Augment, Data, Recipe, RecipeError
from train.data import ArraySource, Facts, Field, Kind, OfFields, augment, evaluation_batches, load
from train.data.framing import Canvas, Framed
from train.use.open_run import FinishedRun
from train.use.predictor import example_of

FIELDS = ("image", "boxes", "masks", "keypoints", "size")
MOST = (3,)


def wide(count=4, height=10, width=20):
    """Images that are wider than high, with boxes, their masks and their corners."""
    random = np.random.default_rng(0)
    low = random.integers(0, [width - 8, height - 4], (count, 3, 2))
    boxes = np.concatenate([low, low + random.integers(2, [8, 4], (count, 3, 2))], axis=-1).astype(np.float32)
    y, x = np.mgrid[:height, :width]
    left, top, right, bottom = np.moveaxis(boxes, -1, 0)[..., None, None]
    arrays = {
        "image": random.integers(1, 256, (count, height, width, 3), np.uint8),
        "boxes": boxes,
        "masks": (x >= left) & (x < right) & (y >= top) & (y < bottom),
        "keypoints": np.stack(
            [*(np.append(boxes[..., corner], np.ones((count, 3, 1)), -1) for corner in ([0, 1], [2, 3]))], 2
        ),
    }
    valid = np.ones((count, 3), bool)
    spec = {
        "image": Field(Kind.IMAGE, (height, width, 3), "uint8"),
        "boxes": Field(Kind.BOXES, (None, 4), "float32", MOST),
        "masks": Field(Kind.MASKS, (None, height, width), "bool", MOST),
        "keypoints": Field(Kind.KEYPOINTS, (None, 2, 3), "float32", MOST),
    }
    arrays |= {f"{name}_valid": valid for name in ("boxes", "masks", "keypoints")}
    return ArraySource("wide", arrays, spec, Facts(mirror=((0, 1),)))


@pytest.mark.parametrize(
    ("canvas", "size", "expected"),
    [
        ((1333, 800), (480, 640), (800, 1067)),
        ((1333, 800), (300, 900), (444, 1333)),
        ((1333, 0), (480, 640), (1000, 1333)),
        ((64, 64), (30, 30), (64, 64)),
    ],
)
def test_shorter_side_and_canvas_limit_the_size(canvas, size, expected):
    height, width = size
    resized, window = Canvas(*canvas).still(width, height)
    assert (resized.height, resized.width) == expected
    assert window == (0, 0, canvas[0], canvas[0])
    assert Canvas(*canvas).still(height, width)[0] == resized[::-1]


def test_batches_say_how_large_images_are_and_were():
    batch = next(evaluation_batches(Framed(wide(), Canvas(40, 15)), 4))
    assert batch["size"].tolist() == [[15, 30]] * 4
    assert batch["original_size"].tolist() == [[10, 20]] * 4
    assert batch["size"].dtype == np.int32
    assert batch["image"][:, :15, :30].all()
    assert not batch["image"][:, 15:].any()
    assert not batch["image"][:, :, 30:].any()
    np.testing.assert_allclose(batch["boxes"], 1.5 * wide().arrays()["boxes"])


def test_a_recipe_asks_for_it_and_tasks_that_do_not_read_the_size_never_see_it():
    source = load(Data("scenes", canvas=96, shorter=80), "test")
    assert source[0]["size"].tolist() == [80, 80]
    assert source.peek(0, "original_size").tolist() == [64, 64]
    assert OfFields(source, ["image", "classes"])[0].keys() == {"image", "classes"}


def test_mirror_leaves_the_padding_at_the_right_and_moves_all_that_is_in_the_image():
    source = OfFields(Framed(wide(8), Canvas(40, 15)), FIELDS)  # 15 x 30 of 40 x 40
    before = source.arrays()
    move = jax.jit(augment(Augment(flip=True), source.spec, source.facts))
    after = {name: np.asarray(value) for name, value in move(jax.random.key(3), before).items()}
    image = before["image"] / 255
    flipped = ~np.array([np.allclose(a, b, atol=1e-6) for a, b in zip(after["image"], image, strict=True)])
    assert 0 < flipped.sum() < 8
    expected = np.concatenate([image[:, :, 29::-1], image[:, :, 30:]], axis=2)
    np.testing.assert_allclose(after["image"][flipped], expected[flipped], atol=1e-6)
    assert not after["image"][:, :, 30:].any()
    left, top, right, bottom = np.moveaxis(before["boxes"], -1, 0)
    boxes = np.where(flipped[:, None, None], np.stack([30 - right, top, 30 - left, bottom], axis=-1), before["boxes"])
    np.testing.assert_allclose(after["boxes"], boxes, atol=1e-5)
    masks = np.concatenate([before["masks"][..., 29::-1], before["masks"][..., 30:]], axis=-1)
    np.testing.assert_array_equal(after["masks"], np.where(flipped[:, None, None, None], masks, before["masks"]))
    x = np.where(flipped[:, None, None], 30 - before["keypoints"][..., ::-1, 0], before["keypoints"][..., 0])
    np.testing.assert_allclose(after["keypoints"][..., 0], x, atol=1e-5)


@pytest.mark.parametrize("move", ["pad_crop", "rotate"])
def test_moves_that_would_shift_the_image_on_its_canvas_are_refused(move):
    source = OfFields(Framed(wide(), Canvas(40)), FIELDS)
    with pytest.raises(RecipeError, match=rf"augment\.{move}: expected images that fill their canvas"):
        augment(Augment(**{move: 4}), source.spec, source.facts)


def test_a_picture_that_is_predicted_says_its_size_as_examples_do(tmp_path):
    files, fields = SimpleNamespace(path=tmp_path), {"image": Field(Kind.IMAGE, (40, 40, 3), "uint8")}
    picture, recipe = Image.new("RGB", (20, 10)), Recipe(data=Data(canvas=40, shorter=15))
    asks = FinishedRun(files, recipe, None, {**fields, "size": Field(Kind.PLAIN, (2,), "int32")}, Facts())
    example = example_of(asks, picture)
    assert (example["size"].tolist(), example["original_size"].tolist()) == ([15, 30], [10, 20])
    assert example_of(FinishedRun(files, recipe, None, fields, Facts()), picture).keys() == {"image"}
