"""The scenes of digits: what is in them agrees with itself and with the digits, and is the same everywhere."""

import sys

import numpy as np
import pytest
from scipy import ndimage

from train.config import Data
from train.data import Kind, load
from train.data.fields import aligned
from train.data.sources.digits import digits
from train.data.sources.scenes import BACKGROUND, COUNTS, MOST, SIZES
from train.data.sources.scenes import scenes as by_name


@pytest.fixture(scope="module")
def scenes():
    return load(Data("scenes"), "test")


@pytest.fixture(scope="module")
def arrays(scenes):
    return scenes.arrays()


def test_a_scene_has_an_image_and_up_to_eight_digits(scenes, arrays):
    assert (len(scenes), arrays["image"].shape, arrays["image"].dtype) == (COUNTS["test"], (250, 64, 64, 3), np.uint8)
    assert aligned(scenes.spec) == [("boxes", "classes", "masks", "keypoints")]
    counts = arrays["boxes_valid"].sum(axis=1)
    assert set(counts) == set(range(1, MOST + 1))
    assert np.bincount(arrays["classes"][arrays["classes_valid"]]).min() > 60
    for name in ("boxes", "classes", "masks", "keypoints"):
        np.testing.assert_array_equal(arrays[f"{name}_valid"], np.arange(MOST) < counts[:, None])
        assert not arrays[name][~arrays[f"{name}_valid"]].any()


def test_masks_do_not_overlap_and_with_the_classes_make_the_label_map(scenes, arrays):
    assert arrays["masks"].sum(axis=1).max() == 1
    of_digits = np.sum(arrays["masks"] * arrays["classes"][..., None, None], axis=1)
    label_map = np.where(arrays["masks"].any(axis=1), of_digits, 10)
    np.testing.assert_array_equal(arrays["label_map"], label_map)
    assert scenes.facts.background == BACKGROUND == 10
    assert scenes.facts.classes == tuple("0123456789")
    assert scenes.spec["label_map"].kind == Kind.LABEL_MAP


def test_boxes_are_those_that_scipy_finds_about_what_is_visible(arrays):
    for row, number in np.argwhere(arrays["boxes_valid"]):
        (rows, columns) = ndimage.find_objects(arrays["masks"][row, number].astype(int))[0]
        expected = [columns.start, rows.start, columns.stop, rows.stop]
        np.testing.assert_array_equal(arrays["boxes"][row, number], expected)


def test_keypoints_are_the_ends_of_a_digit_and_seen_where_its_mask_is(arrays):
    valid = arrays["keypoints_valid"]
    masks, points, boxes = arrays["masks"][valid], arrays["keypoints"][valid], arrays["boxes"][valid]
    assert 0.8 < points[..., 2].mean() < 0.98  # some are covered
    for side in range(2):
        x, y, seen = points[:, side].T
        there = seen > 0
        at = masks[np.arange(len(masks)), y.astype(int), x.astype(int)]
        assert at[there].all()
        assert not points[:, side][~there].any()
        edge = boxes[:, 0] + 0.5 if side == 0 else boxes[:, 2] - 0.5
        np.testing.assert_array_equal(x[there], edge[there])
    both = points[..., 2].all(axis=1)
    assert np.all(points[both, 0, 0] <= points[both, 1, 0])


def test_at_least_about_half_of_each_digit_is_visible_and_stands_out(arrays):
    areas = arrays["masks"].sum(axis=(2, 3))[arrays["masks_valid"]]
    assert areas.min() >= 15
    sides = (arrays["boxes"][..., 2:] - arrays["boxes"][..., :2])[arrays["boxes_valid"]]
    assert sides.max() <= SIZES[1]
    brightness = arrays["image"].mean(axis=-1)
    covered = arrays["masks"].any(axis=1)
    assert brightness[covered].mean() > brightness[~covered].mean() + 60


def test_test_scenes_show_held_out_digits_alone(monkeypatch):
    module = sys.modules["train.data.sources.scenes"]
    for split in ("train", "test"):
        own = {np.pad(image, 1).tobytes() for image in digits(split).arrays()["image"][..., 0]}
        shown = set()
        real = module.scattered

        def note(random, images, labels, shown=shown, real=real):
            shown |= {image.tobytes() for image in images}
            return real(random, images, labels)

        monkeypatch.setattr(module, "scattered", note)
        module._composed.__wrapped__(split, 2)
        monkeypatch.undo()
        assert shown == own


def test_scenes_are_always_the_same_whatever_their_number_and_nobody_can_change_them(arrays):
    module = sys.modules["train.data.sources.scenes"]
    for name, again in module._composed.__wrapped__("test", 5).items():
        np.testing.assert_array_equal(again, arrays[name][:5])
    assert by_name("test").arrays()["image"] is arrays["image"]
    with pytest.raises(ValueError, match="read-only"):
        arrays["image"][0] = 0
