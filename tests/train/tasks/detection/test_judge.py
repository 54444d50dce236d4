"""Average precision beside pycocotools fed with json, VOC's worked by hand, recall of proposals by brute force."""

import contextlib
import io
import pickle

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from train.data import DataError
from train.data.rle import encoded
from train.tasks.detection.judge import CocoJudge, metrics_of
from train.tasks.detection.proposals_judge import OVERLAPS, ProposalRecall
from train.tasks.detection.voc_judge import VocJudge
from zoo.detection import iou

KINDS = ("boxes", "masks", "keypoints")
HEIGHT, WIDTH, POINTS, CLASSES = 140, 220, 17, 3


def made(count=25, seed=0):
    """Images with objects, crowds among them, and what was found of them: moved, doubled, of another class."""
    random = np.random.default_rng(seed)
    most, found = 7, 12
    low = random.uniform(0, [WIDTH - 110, HEIGHT - 110], (count, most, 2))
    boxes = np.concatenate(
        [low, low + random.uniform(4, random.choice([30, 60, 180], (count, most, 1)), (count, most, 2))], axis=2
    )
    boxes = np.minimum(boxes, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
    valid = random.random((count, most)) < 0.7
    valid[3] = False
    points = random.uniform(0, 1, (count, most, POINTS, 2)) * (boxes[..., None, 2:] - boxes[..., None, :2])
    seen = random.random((count, most, POINTS, 1)) < random.choice([0, 0.7], (count, most, 1, 1))
    points = np.concatenate([points + boxes[..., None, :2], seen], axis=-1) * seen
    batch = {
        "boxes": boxes,
        "boxes_valid": valid,
        "classes": random.integers(0, CLASSES, (count, most)),
        "is_crowd": random.random((count, most)) < 0.1,
        "area": (np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) * 0.8).astype(np.float32),
        "masks": masks_of(boxes),
        "keypoints": points.astype(np.float32),
        "size": np.tile([HEIGHT, WIDTH], (count, 1)),
    }
    of = random.integers(0, most, (count, found))
    chosen = np.take_along_axis(boxes, of[..., None], axis=1)
    moved = chosen + random.normal(0, 2, chosen.shape)
    moved[..., 2:] = np.maximum(moved[..., 2:], moved[..., :2] + 1)
    moved = moved.astype(np.float32)
    classes = np.take_along_axis(batch["classes"], of, axis=1)
    near = np.take_along_axis(points, of[..., None, None], axis=1)[..., :2] + random.normal(
        0, 2, (count, found, POINTS, 2)
    )
    predicted = {
        "boxes": moved,
        "scores": -np.sort(-random.random((count, found)), axis=1),
        "classes": np.where(random.random((count, found)) < 0.9, classes, random.integers(0, CLASSES, (count, found))),
        "valid": random.random((count, found)) < 0.9,
        "masks": masks_of(moved),
        "keypoints": np.concatenate([near, np.ones_like(near[..., :1])], axis=-1),
    }
    return batch, predicted


def masks_of(boxes):
    """Ellipses in boxes."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    left, top, right, bottom = np.moveaxis(boxes, -1, 0)[..., None, None]
    return ((2 * x - left - right) / (right - left)) ** 2 + ((2 * y - top - bottom) / (bottom - top)) ** 2 <= 1


def part(arrays, rows):
    return {name: value[rows] for name, value in arrays.items()}


def judged(judge, *pairs):
    for batch, predicted in pairs:
        judge.add(batch, predicted)
    return judge


def pycocotools(kind, batch, predicted):
    """Its numbers, of json that is written and read as its own files are."""

    def rows(arrays, valid):
        for image, place in np.argwhere(arrays[valid]):
            left, top, right, bottom = arrays["boxes"][image, place].astype(float).tolist()
            each = {"image_id": int(image), "category_id": int(arrays["classes"][image, place])}
            if "scores" in arrays:
                each["score"] = float(arrays["scores"][image, place])
            if "scores" not in arrays or kind == "boxes":
                each["bbox"] = [left, top, right - left, bottom - top]
            if kind == "masks":
                each["segmentation"] = encoded(arrays["masks"][image, place])
            if kind == "keypoints":
                points = arrays["keypoints"][image, place].astype(float)
                each["keypoints"] = points.ravel().tolist()
                each["num_keypoints"] = int((points[:, 2] > 0).sum())
            if "is_crowd" in arrays:
                each["iscrowd"] = int(arrays["is_crowd"][image, place])
                each["area"] = float(arrays["area"][image, place])
            yield each

    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "images": [{"id": i, "height": HEIGHT, "width": WIDTH} for i in range(len(batch["boxes"]))],
            "categories": [{"id": i} for i in range(CLASSES)],
            "annotations": [{**each, "id": i + 1} for i, each in enumerate(rows(batch, "boxes_valid"))],
        }
        known.createIndex()
        found = known.loadRes(list(rows(predicted, "valid")))
        evaluation = COCOeval(known, found, {"boxes": "bbox", "masks": "segm"}.get(kind, kind))
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float("nan") if value < 0 else value for value in evaluation.stats]


@pytest.fixture(scope="module")
def scene():
    return made()


@pytest.fixture(scope="module")
def judge(scene):
    return judged(CocoJudge(CLASSES, KINDS), scene)


def test_numbers_are_pycocotools(scene, judge):
    scores = judge.scores()
    assert list(scores) == [metric.name for metric in metrics_of(*KINDS)]
    for kind in KINDS:
        names = [metric.name for metric in metrics_of(kind)]
        expected = pycocotools(kind, *scene)
        np.testing.assert_allclose([scores[name] for name in names], expected, rtol=0, atol=1e-12, err_msg=kind)
        assert all(0 < scores[name] < 1 for name in names), kind


def test_classes_and_curves_add_up_to_the_mean(judge):
    scores = judge.scores()
    for kind, prefix in (("boxes", ""), ("masks", "mask_")):
        assert np.mean(judge.by_class(kind)) == pytest.approx(scores[f"{prefix}ap"])
        assert judge.by_threshold(kind)[[0, 5]] == pytest.approx([scores[f"{prefix}ap50"], scores[f"{prefix}ap75"]])
        curves = [judge.curve(label, 0.75, kind)[1] for label in range(CLASSES)]
        assert np.mean(curves) == pytest.approx(scores[f"{prefix}ap75"])


def test_batches_may_come_in_parts_and_from_several_processes(scene, judge):
    batch, predicted = scene
    first, second = (
        judged(CocoJudge(CLASSES, KINDS), (part(batch, rows), part(predicted, rows)))
        for rows in (slice(0, 9), slice(9, None))
    )
    second.scores()
    first.scores()
    first.merge(pickle.loads(pickle.dumps(second)))
    assert first.scores() == pytest.approx(judge.scores(), abs=1e-12, nan_ok=True)
    assert first.objects.tolist() == judge.objects.tolist()


def test_perfect_predictions_reach_one_and_none_reach_zero(scene):
    batch, _ = scene
    truth = {**batch, "scores": np.ones(batch["boxes_valid"].shape), "valid": batch["boxes_valid"] & ~batch["is_crowd"]}
    assert judged(CocoJudge(CLASSES, ("boxes", "masks")), (batch, truth)).scores()["mask_ap"] == pytest.approx(1)
    nothing = {**truth, "valid": np.zeros_like(truth["valid"])}
    assert judged(CocoJudge(CLASSES), (batch, nothing)).scores()["ap"] == 0
    assert np.isnan(CocoJudge(CLASSES).scores()["ap"])
    assert np.isnan(judged(CocoJudge(CLASSES), (part(batch, [3]), part(nothing, [3]))).scores()["ap"])


def test_canvas_is_judged_in_pixels_of_the_file(scene):
    batch, predicted = scene
    half = np.array([0.5, 0.5, 0.5, 0.5], np.float32)
    smaller = {**batch, "boxes": batch["boxes"] * half, "original_size": batch["size"], "size": batch["size"] // 2}
    found = {**predicted, "boxes": predicted["boxes"] * half}
    for each in (smaller, found):
        each["keypoints"] = each["keypoints"] * np.array([0.5, 0.5, 1], np.float32)
    ours = judged(CocoJudge(CLASSES, ("boxes", "keypoints")), (smaller, found)).scores()
    expected = judged(CocoJudge(CLASSES, ("boxes", "keypoints")), scene).scores()
    assert ours == pytest.approx(expected, abs=1e-3, nan_ok=True)


def test_masks_of_boxes_are_pasted(scene):
    """Probabilities of a whole box are its pixels."""
    left, top, right, bottom = 20, 10, 48, 38
    square = np.zeros((1, 1, HEIGHT, WIDTH), bool)
    square[..., top:bottom, left:right] = True
    box = np.array([[[left, top, right, bottom]]], np.float32)
    one, zero = np.ones((1, 1), bool), np.zeros((1, 1), int)
    batch = {"boxes": box, "boxes_valid": one, "classes": zero, "masks": square, "size": np.array([[HEIGHT, WIDTH]])}
    found = {"boxes": box, "valid": one, "classes": zero, "scores": np.ones((1, 1)), "masks": np.ones((1, 1, 28, 28))}
    judge = judged(CocoJudge(1, ("masks",)), (batch, found))
    assert judge.scores()["mask_ap75"] == pytest.approx(1)
    assert judge.scores()["mask_ap"] > 0.85


def test_difficult_objects_count_neither_way(scene):
    batch, predicted = scene
    difficult = {**batch, "is_difficult": np.ones(batch["boxes_valid"].shape, bool)}
    assert np.isnan(judged(CocoJudge(CLASSES), (difficult, predicted)).scores()["ap"])
    assert not judged(CocoJudge(CLASSES), (difficult, predicted)).objects.any()


def test_without_pycocotools_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pycocotools.cocoeval", None)
    with pytest.raises(DataError, match=r'pycocotools, which is not installed: pip install -e "\.\[detection\]"'):
        CocoJudge(2)


def line(boxes, scores=None, difficult=None):
    """One image's boxes of one class."""
    boxes = np.array([boxes], np.float32).reshape(1, -1, 4)
    valid = np.ones(boxes.shape[:2], bool)
    if scores is not None:
        return {"boxes": boxes, "classes": 0 * valid, "scores": np.array([scores]), "valid": valid}
    return {
        "boxes": boxes,
        "classes": 0 * valid,
        "boxes_valid": valid,
        "is_difficult": np.array([difficult or valid * 0], bool).reshape(valid.shape),
    }


UNIT = np.array([0.0, 0.0, 4.0, 4.0])


def test_vocs_precision_of_a_ranking_worked_by_hand():
    truth = line([UNIT, UNIT + 10, UNIT + 20, UNIT + 30])
    found = line([UNIT, UNIT + 50, UNIT + 10, UNIT + 10, UNIT + 20], [0.9, 0.8, 0.7, 0.6, 0.5])
    # Right, wrong, right, doubled, right: precision 1 to recall 1/4, 2/3 to 1/2, 3/5 to 3/4, then none.
    scores = judged(VocJudge(1), (truth, found)).scores()
    assert scores["voc07_ap50"] == pytest.approx((3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11)
    assert scores["voc12_ap50"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)


def test_voc_takes_the_largest_overlap_even_if_it_was_found_and_leaves_difficult_objects_out():
    truth = line([UNIT, UNIT + np.array([1, 0, 1, 0]), UNIT + 20], difficult=[False, False, True])
    found = line([UNIT, UNIT + np.array([0.2, 0, 0.2, 0]), UNIT + 20, UNIT + 40], [0.9, 0.8, 0.7, 0.6])
    judge = judged(VocJudge(1), (truth, found))
    recall, precision = judge.curve(0)  # the second is wrong, the third counts neither way
    assert (recall.tolist(), precision.tolist()) == ([0.5, 0.5, 0.5], [1, 0.5, 1 / 3])
    other = judged(VocJudge(1), (line([UNIT]), line([UNIT], [0.95])))
    judge.merge(pickle.loads(pickle.dumps(other)))
    assert judge.curve(0)[0][:2] == pytest.approx([1 / 3, 2 / 3])
    assert np.isnan(VocJudge(1).scores()["voc07_ap50"])


def test_recall_of_proposals_is_that_of_brute_force(scene):
    batch, predicted = scene
    whole = judged(ProposalRecall(20), scene)
    real = batch["boxes_valid"] & ~batch["is_crowd"]
    for count in (1, 4, 12):
        hits = np.zeros(len(OVERLAPS))
        for image in range(len(real)):
            proposals = predicted["boxes"][image][predicted["valid"][image]][:count]
            for box in batch["boxes"][image][real[image]]:
                hits += iou(proposals.astype(float), box[None].astype(float)).max() >= OVERLAPS - 1e-9
        assert [whole.curve(overlap)[count - 1] for overlap in OVERLAPS] == pytest.approx(hits / real.sum())
    parts = [
        judged(ProposalRecall(20), (part(batch, rows), part(predicted, rows))) for rows in (slice(9), slice(9, None))
    ]
    parts[0].merge(pickle.loads(pickle.dumps(parts[1])))
    assert parts[0].scores() == whole.scores()
    assert whole.scores()["recall_10"] > whole.scores()["average_recall_10"] > 0
    assert np.isnan(ProposalRecall().scores()["recall_1000"])
