"""Average precision of boxes: closed forms, scikit-learn, pycocotools, and images in any order."""

import pickle

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from tests.train.tasks.detection.some_boxes import BATCH, MOST, NAMES, TRUTH, VALID
from train.tasks.detection.precision import RECALLS, AveragePrecision, average_precision, matches

random = np.random.default_rng(0)


def judged(*parts):
    judge = AveragePrecision(len(NAMES))
    for batch, predicted in parts:
        judge.add(batch, predicted)
    return judge


def line(boxes, classes, scores=None):
    """One image's boxes as a batch, or as a prediction if there are scores."""
    boxes, classes = np.array([boxes], np.float32).reshape(1, -1, 4), np.array([classes], np.int32)
    valid = np.ones(classes.shape, bool)
    if scores is None:
        return {"boxes": boxes, "classes": classes, "boxes_valid": valid}
    return {"boxes": boxes, "classes": classes, "scores": np.array([scores]), "valid": valid}


UNIT = np.array([0.0, 0.0, 4.0, 4.0])


def test_perfect_predictions_have_average_precision_one_and_none_have_zero():
    assert judged((BATCH, TRUTH)).scores() == {"ap50": pytest.approx(1)}
    assert judged((BATCH, {**TRUTH, "valid": np.zeros_like(VALID)})).scores() == {"ap50": 0}
    assert np.isnan(judged().scores()["ap50"])


def test_object_is_found_once_by_the_surest_box_that_overlaps_by_half():
    truth = line([UNIT, UNIT + 10], [0, 0])
    half = [0, 0, 8, 4]  # intersection over union is exactly a half
    found = line([half, UNIT, [10, 10, 19, 19]], [0, 0, 0], [0.9, 0.8, 0.7])
    assert matches(truth, found).tolist() == [[0, -1, -1]]
    less = line([[0, 0, 8.1, 4], UNIT], [0, 0], [0.9, 0.8])
    assert matches(truth, less).tolist() == [[-1, 0]]


def test_box_of_another_class_finds_nothing_and_best_overlap_is_taken():
    truth = line([UNIT, [1, 0, 5, 4]], [0, 0])
    found = line([[0.8, 0, 4.8, 4], UNIT, UNIT], [0, 0, 1], [0.9, 0.8, 0.7])
    assert matches(truth, found).tolist() == [[1, 0, -1]]


def test_average_precision_of_a_hand_made_ranking_is_its_closed_form():
    truth = line([UNIT, UNIT + 10, UNIT + 20, UNIT + 30], [0, 0, 0, 0])  # four objects, of which three are found
    found = line([UNIT, UNIT + 50, UNIT + 10, UNIT + 60, UNIT + 20], [0] * 5, [0.9, 0.8, 0.7, 0.6, 0.5])
    # Precision 1 up to recall 1/4, 2/3 up to 1/2, 3/5 up to 3/4: 26, 25 and 25 of the 101 recalls.
    assert judged((truth, found)).by_class()[0] == pytest.approx((26 + 25 * 2 / 3 + 25 * 3 / 5) / 101)


def test_curve_is_scikit_learns():
    right, scores = random.random(200) < 0.6, np.sort(random.random(200))[::-1]
    truth = line([UNIT + 10 * i for i in range(200)], [0] * 200)
    found = line([UNIT + 10 * i + (0 if hit else 5) for i, hit in enumerate(right)], [0] * 200, scores)
    recall, precision = judged((truth, found)).curve(0)
    expected_precision, expected_recall, _ = precision_recall_curve(right, scores)
    np.testing.assert_allclose(precision, expected_precision[::-1][1:])
    np.testing.assert_allclose(recall, expected_recall[::-1][1:] * right.sum() / 200)
    best = [max(precision[recall >= place], default=0) for place in RECALLS]
    assert average_precision(recall, precision) == pytest.approx(np.mean(best))


def test_judge_keeps_six_bytes_a_prediction():
    truth, found = random_scenes()
    judge = judged((truth, found), (truth, found))
    judge.curve(0)
    (kept,) = judge._kept
    assert kept.nbytes == 6 * 2 * found["valid"].sum()


def random_scenes(count=40):
    low = random.uniform(0, 20, (count, MOST, 2))
    boxes = np.concatenate([low, low + random.uniform(5, 12, (count, MOST, 2))], axis=2).astype(np.float32)
    valid = random.random((count, MOST)) < 0.7
    truth = {"boxes": boxes, "classes": random.integers(0, 3, (count, MOST)), "boxes_valid": valid}
    order = np.argsort(-random.random((count, MOST)), axis=1)
    noise = random.normal(size=boxes.shape, scale=1.2)
    found = {
        "boxes": np.take_along_axis(boxes + noise, order[..., None], axis=1).astype(np.float32),
        "classes": np.take_along_axis(truth["classes"], order, axis=1),
        "scores": -np.sort(-random.random((count, MOST)), axis=1),
        "valid": random.random((count, MOST)) < 0.9,
    }
    return truth, found


def test_average_precision_is_pycocotools():
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    truth, found = random_scenes()

    def rows(arrays, valid):
        for number, (image, place) in enumerate(np.argwhere(arrays[valid])):
            left, top, right, bottom = arrays["boxes"][image, place].tolist()
            score = float(arrays["scores"][image, place]) if "scores" in arrays else 1.0
            sides = right - left, bottom - top
            yield {
                "id": number + 1,
                "image_id": int(image),
                "category_id": int(arrays["classes"][image, place]),
                "bbox": [left, top, *sides],
                "area": sides[0] * sides[1],
                "iscrowd": 0,
                "score": score,
            }

    known = coco.COCO()
    known.dataset = {
        "images": [{"id": i} for i in range(40)],
        "categories": [{"id": i} for i in range(3)],
        "annotations": list(rows(truth, "boxes_valid")),
    }
    known.createIndex()
    evaluation = cocoeval.COCOeval(known, known.loadRes(list(rows(found, "valid"))), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert judged((truth, found)).scores()["ap50"] == pytest.approx(evaluation.stats[1], abs=1e-9)


def test_judge_is_the_same_however_the_images_came():
    truth, found = random_scenes()

    def part(arrays, rows):
        return {name: value[rows] for name, value in arrays.items()}

    first, second = (judged((part(truth, rows), part(found, rows))) for rows in (slice(0, 15), slice(15, 40)))
    first.merge(pickle.loads(pickle.dumps(second)))
    np.testing.assert_allclose(first.by_class(), judged((truth, found)).by_class(), rtol=1e-12)
