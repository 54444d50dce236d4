"""Moves of every kind: each field goes where its image goes, as numpy, Pillow or a closed form says."""

import functools
import itertools

import jax
import numpy as np
import pytest
from PIL import Image

from tests.train.data.every_kind import BATCH, FACTS, HEIGHT, MOST, PAD, WIDTH, batch_of, spec_of
from train.data.augment import geometry
from train.data.augment.geometry import Mirror, Shift, Turn
from train.data.augment.moves import At


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
