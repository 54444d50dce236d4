"""Moves of every kind: each field goes where its image goes, as numpy, Pillow or a closed form says."""

import functools
import itertools
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from train.config import Augment, RecipeError
from train.data import Facts, Field, Kind, augment
from train.data.augment import RULES, geometry
from train.data.augment.geometry import Mirror, Shift, Turn
from train.data.augment.moves import At

BATCH, HEIGHT, WIDTH, MOST, PAD = 12, 16, 28, 3, 6
FACTS = Facts(mirror=((0, 1),), ignore=-7)


def spec_of(height, width):
    """A field of every kind."""
    size = (height, width)
    return {
        "image": Field(Kind.IMAGE, (*size, 3), "float32"),
        "clip": Field(Kind.CLIP, (2, *size, 3), "float32"),
        "label_map": Field(Kind.LABEL_MAP, size, "int32"),
        "map": Field(Kind.MAP, (*size, 1), "float32"),
        "flow": Field(Kind.FLOW, (*size, 2), "float32"),
        "normals": Field(Kind.NORMALS, (*size, 3), "float32"),
        "boxes": Field(Kind.BOXES, (None, 4), "float32", (MOST,)),
        "classes": Field(Kind.LABEL, (None,), "int32", (MOST,)),
        "masks": Field(Kind.MASKS, (None, *size), "bool", (MOST,)),
        "keypoints": Field(Kind.KEYPOINTS, (None, 3, 3), "float32", (MOST,)),
        "tokens": Field(Kind.TOKENS, (None,), "int32", (MOST,)),
        "label": Field(Kind.LABEL, (), "int32"),
        "target": Field(Kind.VALUE, (), "float32"),
        "name": Field(Kind.PLAIN, (2,), "int32"),
    }


def batch_of(height=HEIGHT, width=WIDTH, seed=0):
    """Random fields; each object is a filled box on pixel borders, with points in the middle of three of its pixels."""
    random = np.random.default_rng(seed)
    size = (BATCH, height, width)
    left, top = random.integers(0, (width - 6, height - 6), (BATCH, MOST, 2)).transpose(2, 0, 1)
    right, bottom = left + random.integers(3, 7, left.shape), top + random.integers(3, 7, left.shape)
    rows, columns = np.arange(height)[:, None], np.arange(width)
    inside = lambda start, at, end: (start[..., None, None] <= at) & (at < end[..., None, None])  # noqa: E731
    masks = inside(left, columns, right) & inside(top, rows, bottom)
    x = left[..., None] + random.integers(0, 3, (BATCH, MOST, 3)) + 0.5
    y = top[..., None] + random.integers(0, 3, (BATCH, MOST, 3)) + 0.5
    normals = random.normal(size=(*size, 3)).astype(np.float32)
    valid = np.arange(MOST) < random.integers(1, MOST + 1, BATCH)[:, None]
    batch = {
        "image": random.uniform(size=(*size, 3)).astype(np.float32),
        "clip": random.uniform(size=(BATCH, 2, height, width, 3)).astype(np.float32),
        "label_map": random.integers(0, 9, size).astype(np.int32),
        "map": random.uniform(1, 2, (*size, 1)).astype(np.float32),
        "flow": random.normal(size=(*size, 2)).astype(np.float32),
        "normals": normals / np.linalg.norm(normals, axis=-1, keepdims=True),
        "boxes": np.stack([left, top, right, bottom], axis=-1).astype(np.float32),
        "classes": random.integers(1, 9, (BATCH, MOST)).astype(np.int32),
        "masks": masks,
        "keypoints": np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32),
        "tokens": random.integers(1, 9, (BATCH, MOST)).astype(np.int32),
        "label": np.arange(BATCH, dtype=np.int32),
        "target": random.normal(size=BATCH).astype(np.float32),
        "name": random.integers(0, 9, (BATCH, 2)).astype(np.int32),
    }
    for name in ("boxes", "classes", "masks", "keypoints", "tokens"):
        batch[f"{name}_valid"] = valid
        batch[name] = batch[name] * valid.reshape(BATCH, MOST, *[1] * (batch[name].ndim - 2))
    return batch


@functools.cache
def compiled(move, height=HEIGHT, width=WIDTH):
    at, spec = At(height, width, FACTS), spec_of(height, width)
    kind = {"pad_crop": lambda *parts: Shift(*parts, PAD), "flip": Mirror, "rotate": Turn}[move]
    return jax.jit(lambda batch, *parts: geometry.move(move, batch, kind(*parts), spec, at))


def moved(move, batch, *parts):
    height, width = batch["label_map"].shape[1:]
    return {name: np.asarray(value) for name, value in compiled(move, height, width)(batch, *parts).items()}


def parts_of(move, seed=0):
    """What is drawn for a move."""
    random = np.random.default_rng(seed)
    match move:
        case "pad_crop":
            return tuple(random.integers(0, 2 * PAD + 1, (2, BATCH), np.int32))
        case "flip":
            return (np.arange(BATCH) % 3 > 0,)
    return (random.uniform(-180, 180, BATCH).astype(np.float32),)


MOVES = ("pad_crop", "flip", "rotate")


@pytest.mark.parametrize("move", MOVES)
def test_a_box_is_where_the_filled_box_went_and_is_lost_with_it(move):
    lost = 0
    for seed, number in itertools.product(range(3), range(MOST)):  # one box a picture, filled
        batch = batch_of(seed=seed)
        picture = batch["masks"][:, number, :, :, None] * np.ones(3, np.float32)
        after = moved(move, {**batch, "image": picture.astype(np.float32)}, *parts_of(move, seed))
        for row in np.flatnonzero(batch["boxes_valid"][:, number]):
            seen = after["image"][row, ..., 0] > 0.5
            valid, box = after["boxes_valid"][row, number], after["boxes"][row, number]
            if not seen.any():
                # Only a corner of the hull can be left of a box that turned away.
                assert not valid or (move == "rotate" and min(box[2] - box[0], box[3] - box[1]) < 5)
                lost += not valid
                continue
            assert valid
            rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
            around = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            if move != "rotate":
                np.testing.assert_array_equal(box, around)
                continue
            assert np.all((box - around) * [1, 1, -1, -1] <= 0.75)  # the hull holds all that is seen
            if box.min() > 0 and box[2] < WIDTH and box[3] < HEIGHT:
                assert np.abs(box - around).max() <= 1.5  # and no more, where the border cuts nothing off
    assert (lost > 0) == (move != "flip")


def with_points(seed):
    """A batch whose first two objects are as large as the image, and their points anywhere in it."""
    batch, random = batch_of(seed=seed), np.random.default_rng(seed)
    for name in ("boxes", "masks", "classes", "keypoints"):
        batch[f"{name}_valid"][:, :2] = True
    batch["boxes"][:, :2] = 0, 0, WIDTH, HEIGHT
    batch["keypoints"][:, :2, :, 0] = random.integers(0, WIDTH, (BATCH, 2, 3)) + 0.5
    batch["keypoints"][:, :2, :, 1] = random.integers(0, HEIGHT, (BATCH, 2, 3)) + 0.5
    batch["keypoints"][:, :2, :, 2] = 1
    return batch


@pytest.mark.parametrize("move", MOVES)
def test_a_point_is_where_its_pixel_went_and_is_not_seen_when_that_left(move):
    hidden = 0
    for seed, point in itertools.product(range(2), range(3)):
        batch, parts = with_points(seed), parts_of(move, seed)
        picture = np.zeros((BATCH, HEIGHT, WIDTH, 3), np.float32)
        x, y, _ = batch["keypoints"][:, 0, point].T
        picture[np.arange(BATCH), y.astype(int), x.astype(int)] = 1
        after = moved(move, {**batch, "image": picture}, *parts)
        for row in range(BATCH):
            mirrored = move == "flip" and parts[0][row] and point < 2  # then it is the other of the pair
            found, image = after["keypoints"][row, 0, 1 - point if mirrored else point], after["image"][row, ..., 0]
            if not found[2]:
                hidden += 1
                assert not found.any()
                assert image.sum() < 0.51
            elif image.sum() > 0.9:  # all of the pixel is there, spread over its neighbours
                rows, columns = np.indices(image.shape) + 0.5
                centre = np.array([np.sum(columns * image), np.sum(rows * image)]) / image.sum()
                np.testing.assert_allclose(found[:2], centre, atol=0.35 if move == "rotate" else 1e-5)
    assert (hidden > 0) == (move != "flip")


@pytest.mark.parametrize("move", MOVES)
def test_flow_leads_to_where_a_moved_point_went(move):
    batch = with_points(0)
    vectors = np.random.default_rng(1).uniform(-3, 3, (BATCH, 2)).astype(np.float32)
    batch["flow"] = np.broadcast_to(vectors[:, None, None], batch["flow"].shape)
    batch["keypoints"][:, 0, 2, :2] = WIDTH / 2, HEIGHT / 2  # the last point is in no pair
    batch["keypoints"][:, 1, 2, :2] = batch["keypoints"][:, 0, 2, :2] + vectors
    after = moved(move, batch, *parts_of(move))
    start, end = after["keypoints"][:, :2, 2, :2].transpose(1, 0, 2)
    here = after["flow"][np.arange(BATCH), start[:, 1].astype(int), start[:, 0].astype(int)]
    np.testing.assert_allclose(here, end - start, atol=1e-4)


@pytest.mark.parametrize("move", MOVES)
def test_normals_stay_upright_on_the_moved_surface(move):
    slope = np.random.default_rng(2).uniform(-1, 1, (BATCH, 2)).astype(np.float32)
    rows, columns = np.indices((HEIGHT, WIDTH)).astype(np.float32)
    depth = 50 + slope[:, :1, None] * columns + slope[:, 1:, None] * rows
    normals = np.append(slope, -np.ones((BATCH, 1), np.float32), axis=1)  # of depth = slope . place: towards the viewer
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    batch = {**batch_of(), "map": depth[..., None]}
    batch["normals"] = np.broadcast_to(normals[:, None, None], batch["normals"].shape)
    after = moved(move, batch, *parts_of(move))
    down, right = np.gradient(after["map"][..., 0], axis=(1, 2))
    expected = np.stack([right, down, -np.ones_like(right)], axis=-1)
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    known = ~np.isnan(expected).any(-1) & ~np.isnan(after["normals"]).any(-1)
    assert known.mean() > 0.4
    np.testing.assert_allclose(after["normals"][known], expected[known], atol=1e-3)


@pytest.mark.parametrize("move", MOVES)
def test_every_frame_of_a_clip_moves_as_an_image_does(move):
    batch = batch_of()
    after = moved(move, batch, *parts_of(move))
    for frame in range(2):
        alone = moved(move, {**batch, "image": batch["clip"][:, frame]}, *parts_of(move))["image"]
        np.testing.assert_array_equal(after["clip"][:, frame], alone)


def test_label_maps_and_masks_turn_as_by_pillows_nearest_and_nothing_is_known_outside():
    batch, degrees = batch_of(), parts_of("rotate", 5)[0]
    after = moved("rotate", batch, degrees)
    for row, angle in enumerate(degrees.tolist()):
        turned = Image.fromarray(batch["label_map"][row]).rotate(angle, Image.Resampling.NEAREST, fillcolor=-7)
        assert np.mean(after["label_map"][row] != np.asarray(turned)) < 0.01  # centres on a border of two pixels
        for number in np.flatnonzero(after["masks_valid"][row]):
            mask = Image.fromarray(batch["masks"][row, number].astype(np.uint8))
            expected = np.asarray(mask.rotate(angle, Image.Resampling.NEAREST)) > 0
            assert np.sum(after["masks"][row, number] != expected) <= 2
    outside = after["label_map"] == -7
    assert outside.any()
    for name in ("map", "flow", "normals"):
        unknown = np.isnan(after[name])
        assert unknown[outside].all()
        assert not unknown[~outside].all()


def test_a_window_shows_what_numpys_padding_shows():
    batch, (top, left) = batch_of(), parts_of("pad_crop")
    after = moved("pad_crop", batch, top, left)
    for name, fill in {"image": 0, "label_map": -7, "map": np.nan, "flow": np.nan, "normals": np.nan}.items():
        for row in range(BATCH):
            value = batch[name][row]
            padded = np.pad(value, [(PAD, PAD)] * 2 + [(0, 0)] * (value.ndim - 2), constant_values=fill)
            window = padded[top[row] : top[row] + HEIGHT, left[row] : left[row] + WIDTH]
            np.testing.assert_array_equal(after[name][row], window, err_msg=name)


def test_mirroring_twice_changes_nothing_and_once_swaps_the_pairs():
    batch, every = batch_of(), np.ones(BATCH, bool)
    once = moved("flip", batch, every)
    twice = moved("flip", once, every)
    for name, value in batch.items():
        np.testing.assert_allclose(twice[name], value, atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(once["image"], batch["image"][:, :, ::-1])
    np.testing.assert_array_equal(once["flow"], batch["flow"][:, :, ::-1] * [-1, 1])
    np.testing.assert_array_equal(once["normals"], batch["normals"][:, :, ::-1] * [-1, 1, 1])
    first = batch["keypoints"][0, 0]
    expected = np.stack([first[1], first[0], first[2]]) * [-1, 1, 1] + [WIDTH, 0, 0]
    np.testing.assert_array_equal(once["keypoints"][0, 0], expected)
    left, top, right, bottom = batch["boxes"][0, 0]
    np.testing.assert_array_equal(once["boxes"][0, 0], [WIDTH - right, top, WIDTH - left, bottom])


def test_a_quarter_turn_is_rot90_of_every_kind():
    side = 20
    batch = batch_of(side, side)
    after = moved("rotate", batch, np.full(BATCH, 90, np.float32))
    for name in ("image", "label_map", "map"):
        np.testing.assert_array_equal(after[name], np.rot90(batch[name], axes=(1, 2)), err_msg=name)
    for name, axes in {"clip": (2, 3), "masks": (2, 3)}.items():
        np.testing.assert_array_equal(after[name], np.rot90(batch[name], axes=axes), err_msg=name)
    x, y = np.moveaxis(np.rot90(batch["flow"], axes=(1, 2)), -1, 0)
    np.testing.assert_array_equal(after["flow"], np.stack([y, -x], axis=-1))  # right goes up, down goes right
    x, y, z = np.moveaxis(np.rot90(batch["normals"], axes=(1, 2)), -1, 0)
    np.testing.assert_allclose(after["normals"], np.stack([y, -x, z], axis=-1), atol=1e-6)
    valid = batch["boxes_valid"]
    left, top, right, bottom = np.moveaxis(batch["boxes"], -1, 0)
    expected = np.stack([top, side - right, bottom, side - left], axis=-1) * valid[..., None]
    np.testing.assert_array_equal(after["boxes"], expected)
    x, y, seen = np.moveaxis(batch["keypoints"], -1, 0)
    np.testing.assert_array_equal(after["keypoints"], np.stack([y, side - x, seen], axis=-1) * valid[..., None, None])


@pytest.mark.parametrize("move", MOVES)
def test_what_is_lost_is_lost_in_all_fields_of_the_object_and_zero(move):
    batch = batch_of()
    after = moved(move, batch, *parts_of(move))
    for name in ("classes", "masks", "keypoints"):
        np.testing.assert_array_equal(after[f"{name}_valid"], after["boxes_valid"])
    for name in ("boxes", "classes", "masks", "keypoints"):
        assert not after[name][~after[f"{name}_valid"]].any()
    assert not (after["boxes_valid"] & ~batch["boxes_valid"]).any()
    there = after["boxes_valid"]
    np.testing.assert_array_equal(after["classes"][there], batch["classes"][there])
    for name in ("tokens", "tokens_valid", "label", "target", "name"):  # words are no objects
        np.testing.assert_array_equal(after[name], batch[name])


@pytest.fixture(scope="module")
def bytes_batch():
    batch = batch_of()
    return {**batch, **{name: (255 * batch[name]).astype(np.uint8) for name in ("image", "clip")}}


def specs(*names):
    return {name: field for name, field in spec_of(HEIGHT, WIDTH).items() if name in names}


def test_an_image_among_other_fields_is_varied_as_alone(bytes_batch):
    config = Augment(pad_crop=3, flip=True, rotate=30.0, cutout=4)
    others = ("image", "label_map", "boxes", "classes")
    batch = {name: bytes_batch[name] for name in (*others, "boxes_valid", "classes_valid")}
    whole = jax.jit(augment(config, specs(*others), FACTS))(jax.random.key(1), batch)
    alone = jax.jit(augment(config, specs("image")))(jax.random.key(1), {"image": bytes_batch["image"]})
    np.testing.assert_array_equal(whole["image"], alone["image"])
    assert whole["image"].dtype == np.float32
    assert whole.keys() == batch.keys()


def test_frames_and_second_images_get_the_same_hole_and_the_same_share(bytes_batch):
    image = bytes_batch["image"]
    clip = np.stack([image, image], axis=1)
    spec = {**specs("image", "clip", "label", "classes"), "image2": specs("image")["image"]}
    labels = {name: bytes_batch[name] for name in ("label", "classes", "classes_valid")}
    batch = {"image": image, "image2": image, "clip": clip, **labels}
    config = Augment(cutout=4, mixup=0.5, cutmix=0.5, mean=(0.5,), std=(0.25,))
    mixed = jax.jit(augment(config, spec, mixes=("label", "classes")))(jax.random.key(2), batch)
    np.testing.assert_array_equal(mixed["image"], mixed["image2"])
    for frame in range(2):
        np.testing.assert_array_equal(mixed["image"], mixed["clip"][:, frame])
    for name in ("label", "classes", "classes_valid"):
        other = "classes_b_valid" if name == "classes_valid" else f"{name}_b"
        np.testing.assert_array_equal(mixed[other], batch[name][::-1])
    assert mixed["mix"].shape == (BATCH,)


MOVED = ("label_map", "map", "flow", "normals", "boxes", "keypoints", "masks")


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize(
    "move", [{"trivial": True}, {"mixup": 1.0}, {"cutmix": 1.0}], ids=lambda move: next(iter(move))
)
def test_what_moves_pixels_without_a_rule_for_a_kind_is_refused(move, name):
    (called,) = move
    field = spec_of(HEIGHT, WIDTH)[name]
    with pytest.raises(RecipeError, match=rf"augment\.{called}: no rule for field '{name}' \({field.kind}\)"):
        augment(Augment(**move), specs("image", "label", name), mixes=("label",))


def test_a_pair_that_is_not_in_the_table_is_refused(monkeypatch):
    monkeypatch.setattr(sys.modules["train.data.augment"], "RULES", RULES - {("rotate", Kind.NORMALS)})
    with pytest.raises(RecipeError, match=r"augment\.rotate: no rule for field 'normals' \(normals\)"):
        augment(Augment(rotate=5.0), spec_of(HEIGHT, WIDTH))
    augment(Augment(flip=True), spec_of(HEIGHT, WIDTH))


@pytest.mark.parametrize("move", ["flip", "erase"])
def test_what_has_no_pixels_cannot_be_moved(move):
    with pytest.raises(RecipeError, match=rf"augment\.{move}: expected examples with an image, found tokens int32"):
        augment(Augment(**{move: 1 if move == "erase" else True}), specs("tokens"))


def test_fields_of_several_sizes_cannot_be_moved_alike():
    spec = {**specs("image"), "label_map": Field(Kind.LABEL_MAP, (5, 6), "int32")}
    with pytest.raises(RecipeError, match=r"expected fields of one height and width, found image .*, label_map"):
        augment(Augment(flip=True), spec)
    augment(Augment(erase=0.5), spec)


def test_pairs_of_points_that_are_not_there_are_refused():
    with pytest.raises(RecipeError, match=r"expected pairs of the 3 points of 'keypoints', got \(\(2, 3\),\)"):
        augment(Augment(flip=True), specs("image", "keypoints"), Facts(mirror=((2, 3),)))
