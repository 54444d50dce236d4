"""The page about boxes of digits: what is found, missed and false, pictures, and records of predictions."""

import pickle

import numpy as np
import pytest

from tests.train.tasks.boxes_of_digits import BATCH, COUNT, MOST, NAMES, TRUTH
from train.report import Run
from train.tasks.digit_boxes.page import BoxPage


def faulty():
    """Predictions with a miss and a false box in the first image."""
    scores = TRUTH["scores"].copy()
    scores[0, 0] = 0.4  # not sure enough
    classes = TRUTH["classes"].copy()
    classes[0, 1] = (classes[0, 1] + 1) % 3
    return {**TRUTH, "scores": scores, "classes": classes}


def test_page_counts_what_is_found_missed_and_false(tmp_path):
    page = BoxPage(NAMES)
    page.add(BATCH, faulty())
    assert (page.found, int(page.missed.sum()), page.false) == (8, 2, 1)
    assert page.worst.rows[0] == 0
    seen = [(step, {name: value[:2] for name, value in TRUTH.items()}) for step in (10, 20)]
    run = Run(tmp_path, seen=seen, followed={name: value[:2] for name, value in BATCH.items()})
    results = page.results(run)
    html = "".join(results.sections)
    for words in (
        "<h2>Classes</h2>",
        "Average precision by class",
        "<h2>Boxes over the run</h2>",
        "<h2>Worst examples</h2>",
    ):
        assert words in html
    assert "8 of 10 digits found, 2 missed, 1 false" in results.detail
    assert set(results.pictures) == {"precision_recall.png", "predictions.png"}


@pytest.mark.parametrize("rows", [slice(1, 2), None], ids=["no digit", "no image"])
def test_page_without_digits_says_so_and_is_drawn(rows, tmp_path):
    page = BoxPage(NAMES)
    if rows:
        arrays = [{name: value[rows] for name, value in each.items()} for each in (BATCH, TRUTH)]
        arrays[1]["valid"] = np.ones((1, MOST), bool)  # false boxes
        arrays[1]["scores"] = TRUTH["scores"][:1]
        page.add(*arrays)
    results = page.results(Run(tmp_path))
    assert results.value == "–"
    assert results.notes == ["There is no digit in the held-out scenes: no average precision."]
    assert f"{4 if rows else 0} false, in {1 if rows else 0} images" in results.detail
    assert set(results.pictures) == {"precision_recall.png", *(["predictions.png"] if rows else [])}
    assert ("None." in "".join(results.sections)) == (rows is None)


def test_page_is_the_same_however_the_images_came():
    whole, parts = BoxPage(NAMES), [BoxPage(NAMES), BoxPage(NAMES)]
    whole.add(BATCH, faulty())
    for page, rows in zip(parts, (slice(0, 2), slice(2, COUNT)), strict=True):
        page.add(
            {name: value[rows] for name, value in BATCH.items()},
            {name: value[rows] for name, value in faulty().items()},
        )
    first, second = parts
    first.merge(pickle.loads(pickle.dumps(second)))
    assert (first.images, first.found, first.false) == (whole.images, whole.found, whole.false)
    assert first.worst.rows.tolist() == whole.worst.rows.tolist()
    assert first.judge.scores() == whole.judge.scores()


def test_record_has_every_box_and_the_line_those_that_are_sure():
    page, predicted = BoxPage(NAMES), {name: value[0] for name, value in faulty().items()}
    record = page.record(predicted)
    assert len(record["boxes"]) == 4
    assert record["boxes"][0]["class"] == NAMES[predicted["classes"][0]]
    np.testing.assert_allclose(record["boxes"][1]["box"], predicted["boxes"][1], atol=0.01)
    assert page.words(predicted).count("%") == 3
    nothing = {**predicted, "valid": np.zeros(MOST, bool)}
    assert page.words(nothing) == "no box is surer than 50%"
    for each in (predicted, nothing):
        picture = page.picture({"image": BATCH["image"][0]}, each)
        assert (picture.dtype, picture.ndim, picture.shape[-1]) == (np.uint8, 3, 3)
