"""The page of detections: what is found, missed and false, pictures, and records of predictions."""

import json
import pickle

import numpy as np
import pytest

from tests.train.tasks.detection.some_boxes import BATCH, BOXES, COUNT, MOST, NAMES, TRUTH
from train.data.rle import area_of
from train.report import Run
from train.tasks.detection.drawing import covered
from train.tasks.detection.page import DetectionPage
from zoo.detection.canvas import pasted

TITLES = {"ap": "AP", "ap50": "AP at IoU 0.5", "ap_small": "AP of small objects"}
POINTS = np.concatenate([BOXES.reshape(COUNT, MOST, 2, 2), np.ones((COUNT, MOST, 2, 1))], axis=-1)
PREDICTED = {**TRUTH, "masks": np.ones((COUNT, MOST, 4, 4)), "keypoints": POINTS}


def page():
    return DetectionPage(NAMES, TITLES)


def faulty():
    """Predictions with a miss and a false box in the first image."""
    scores, classes = PREDICTED["scores"].copy(), PREDICTED["classes"].copy()
    scores[0, 0] = 0.4  # not sure enough
    classes[0, 1] = (classes[0, 1] + 1) % 3
    return {**PREDICTED, "scores": scores, "classes": classes}


def test_page_counts_what_is_found_missed_and_false_and_shows_best_and_worst(tmp_path):
    shown = page()
    shown.add({**BATCH, "keypoints": POINTS}, faulty())
    assert (shown.found, int(shown.missed.sum()), shown.false) == (8, 2, 1)
    assert shown.worst.rows[0] == 0
    assert shown.best.rows.tolist() == [4, 2, 3, 1, 0]  # all are found in four images, of 3, 2, 1 and no objects
    seen = [(step, {name: value[:2] for name, value in TRUTH.items()}) for step in (10, 20)]
    records = [{"kind": "eval", "step": 20, "ap": 0.25, "ap50": 0.75, "ap_small": float("nan"), "loss": 1.0}]
    followed = {name: value[:2] for name, value in BATCH.items()}
    results = shown.results(Run(tmp_path, seen=seen, followed=followed, records=records))
    html = "".join(results.sections)
    for words in ("Average precision", "Classes", "Boxes over the run", "Worst examples", "Best examples"):
        assert f"<h2>{words}</h2>" in html
    assert "75.0" in html
    assert (results.value[:4], results.label) == ("25.0", "test AP")
    assert TITLES["ap_small"] not in html  # there was none
    assert "8 of 10 found, 2 missed, 1 false" in results.detail
    assert set(results.pictures) == {"precision_recall.png", "predictions.png"}


@pytest.mark.parametrize("rows", [slice(1, 2), None], ids=["no object", "no image"])
def test_page_without_objects_says_so_and_is_drawn(rows, tmp_path):
    shown = page()
    if rows:
        arrays = [{name: value[rows] for name, value in each.items()} for each in (BATCH, PREDICTED)]
        arrays[1]["valid"] = np.ones((1, MOST), bool)  # false boxes
        arrays[1]["scores"] = TRUTH["scores"][:1]
        shown.add(*arrays)
    results = shown.results(Run(tmp_path))
    assert results.value == "–"
    assert results.notes == ["There is no object in the held-out images: no average precision."]
    assert f"{4 if rows else 0} false, in {1 if rows else 0} images" in results.detail
    assert set(results.pictures) == {"precision_recall.png", *(["predictions.png"] if rows else [])}


def test_page_is_the_same_however_the_images_came():
    whole, parts = page(), [page(), page()]
    whole.add(BATCH, faulty())
    for each, rows in zip(parts, (slice(0, 2), slice(2, COUNT)), strict=True):
        each.add(*({name: value[rows] for name, value in arrays.items()} for arrays in (BATCH, faulty())))
    first, second = parts
    first.merge(pickle.loads(pickle.dumps(second)))
    assert (first.images, first.found, first.false) == (whole.images, whole.found, whole.false)
    assert first.worst.rows.tolist() == whole.worst.rows.tolist()
    assert first.best.rows.tolist() == whole.best.rows.tolist()
    assert first.judge.scores() == whole.judge.scores()


def test_crowds_are_neither_missed_nor_is_what_lies_in_them_false():
    crowd = np.zeros((COUNT, MOST), bool)
    crowd[0, 0] = True
    for found in (True, False):
        shown, predicted = page(), {**TRUTH, "valid": TRUTH["valid"].copy()}
        predicted["valid"][0, 0] = found
        shown.add({**BATCH, "is_crowd": crowd}, predicted)
        assert (shown.found, int(shown.missed.sum()), shown.false) == (9, 0, 0)
    aside = {**TRUTH, "boxes": TRUTH["boxes"].copy()}
    aside["boxes"][0, 0] += 40  # in no crowd, and on nothing
    shown = page()
    shown.add({**BATCH, "is_crowd": crowd}, aside)
    assert shown.false == 1


def test_record_is_as_coco_has_it_and_the_line_says_what_is_sure():
    shown, predicted = page(), {name: value[0] for name, value in faulty().items()}
    record = shown.record({**predicted, "size": np.array([32, 32])})
    assert json.loads(json.dumps(record)) == record
    assert len(record["detections"]) == 4
    second, (left, top, right, bottom) = record["detections"][1], predicted["boxes"][1]
    assert second["category_id"] == predicted["classes"][1] + 1
    assert second["category"] == NAMES[predicted["classes"][1]]
    np.testing.assert_allclose(second["bbox"], [left, top, right - left, bottom - top], atol=0.01)
    np.testing.assert_allclose(np.reshape(second["keypoints"], (2, 3))[:, :2].ravel(), BOXES[0, 1], atol=0.01)
    pixels = area_of(second["segmentation"])
    (expected,) = pasted(predicted["masks"][1:2], predicted["boxes"][1:2], 32, 32)
    assert pixels == expected.sum() > 20
    assert "segmentation" not in shown.record(predicted)["detections"][0]  # of an image of unknown size
    assert shown.words(predicted).count("%") == 3
    nothing = {**predicted, "valid": np.zeros(MOST, bool)}
    assert shown.words(nothing) == "no object is surer than 50%"
    for each in (predicted, nothing):
        picture = shown.picture({"image": BATCH["image"][0]}, each)
        assert (picture.dtype, picture.ndim, picture.shape[-1]) == (np.uint8, 3, 3)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools beside numpy 2
def test_the_better_mask_is_drawn_over_the_worse():
    image, masks = np.zeros((8, 8, 1), np.uint8), np.zeros((2, 8, 8), bool)
    masks[0, :4], masks[1, :6] = True, True
    drawn = covered(image, masks, np.array([0, 1]))
    assert len({tuple(drawn[row, 0]) for row in (0, 3)}) == 1
    assert len({tuple(drawn[row, 0]) for row in (0, 5, 7)}) == 3
    assert not drawn[6:].any()
