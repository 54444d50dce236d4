"""Boxes of digits: what is encoded is what is predicted, average precision against closed forms, and the page."""

import dataclasses
import pickle

import jax
import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from train.config import RecipeError
from train.config.tasks.digit_boxes import DigitBoxes as Settings
from train.data.fields import Facts, Field, Kind
from train.data.source import ArraySource
from train.report import Run
from train.tasks import fitted, make_task, restore_task
from train.tasks.digit_boxes.judge import RECALLS, AveragePrecision, average_precision, matches
from train.tasks.digit_boxes.page import BoxPage
from train.tasks.digit_boxes.task import DigitBoxes
from zoo.detection import Cells

random = np.random.default_rng(0)
NAMES, COUNT, MOST, SIDE = ("a", "b", "c"), 5, 4, 32
TASK = DigitBoxes(NAMES, most_boxes=6)
SPEC = {
    "image": Field(Kind.IMAGE, (SIDE, SIDE, 3), "uint8"),
    "boxes": Field(Kind.BOXES, (None, 4), "float32", (MOST,)),
    "classes": Field(Kind.LABEL, (None,), "int32", (MOST,)),
}
CORNERS = np.array([[1, 2], [17, 1], [2, 18], [18, 18]], np.float32)  # each in a quarter of its own
VALID = np.arange(MOST) < np.array([4, 0, 2, 1, 3])[:, None]
SIDES = random.uniform(6, 12, (COUNT, MOST, 2))
BOXES = np.concatenate([np.tile(CORNERS, (COUNT, 1, 1)), CORNERS + SIDES], axis=2)
BATCH = {
    "image": random.integers(0, 256, (COUNT, SIDE, SIDE, 3)).astype(np.uint8),
    "boxes": (BOXES * VALID[..., None]).astype(np.float32),
    "boxes_valid": VALID,
    "classes": (random.integers(0, 3, (COUNT, MOST)) * VALID).astype(np.int32),
    "classes_valid": VALID,
    "index": np.arange(COUNT),
    "mask": np.ones(COUNT, bool),
}
TRUTH = {
    "boxes": BATCH["boxes"],
    "classes": BATCH["classes"],
    "valid": VALID,
    "scores": VALID * np.linspace(0.9, 0.6, MOST),
}
"""A prediction without fault."""


@pytest.fixture(scope="module")
def compiled():
    """Targets, loss with gradient and totals, and predictions of what a model says."""

    @jax.jit
    def run(cells, batch):
        def total(cells):
            ratio = TASK.objective(cells, batch)
            return ratio.total, ratio

        (_, ratio), gradient = jax.value_and_grad(total, has_aux=True)(cells)
        return TASK._right(cells, batch), ratio, gradient, TASK.totals(cells, batch), TASK.decode(cells)

    return lambda cells, batch: jax.device_get(
        run(cells, {name: batch[name] for name in ("boxes", "boxes_valid", "classes", "mask")})
    )


def saying(right, sure=20.0):
    """What a model would say that knows what is right."""
    labels = sure * np.eye(len(NAMES), dtype=np.float32)[right.label]
    return Cells(np.where(right.object, sure, -sure).astype(np.float32), right.box, labels)


def anything(count=COUNT):
    return Cells(*(random.normal(size=(count, 4, 4, *rest)).astype(np.float32) for rest in ((), (4,), (len(NAMES),))))


def test_model_that_is_right_has_no_loss_and_predicts_the_boxes(compiled):
    right = compiled(anything(), BATCH)[0]
    _, ratio, gradient, totals, predicted = compiled(saying(right), BATCH)
    assert ratio.total == pytest.approx(0, abs=1e-3)
    assert all(np.isfinite(leaf).all() for leaf in gradient)
    scores = TASK.scores(totals)
    assert (scores["cell_iou"], scores["cell_accuracy"]) == (pytest.approx(1, abs=1e-5), 1)
    for row in range(COUNT):
        valid, expected = predicted["valid"][row], BATCH["boxes_valid"][row]
        assert valid.sum() == expected.sum()
        order = np.lexsort(predicted["boxes"][row][valid].T)
        by_place = np.lexsort(BATCH["boxes"][row][expected].T)
        np.testing.assert_allclose(
            predicted["boxes"][row][valid][order], BATCH["boxes"][row][expected][by_place], atol=1e-3
        )
        assert not predicted["boxes"][row][~valid].any()
    judge = TASK.judge()
    judge.add(BATCH, predicted)
    assert judge.scores() == {"ap50": pytest.approx(1)}


def test_ragged_parts_and_padding_add_up_to_the_whole(compiled):
    said = anything()
    _, whole, _, totals, _ = compiled(said, BATCH)
    rows, sums = [[0], [1, 2, 3], [4]], []
    for some in rows:
        padded = np.resize(some, COUNT)
        batch = {name: value[padded] for name, value in BATCH.items()} | {"mask": np.arange(COUNT) < len(some)}
        sums.append(compiled(jax.tree.map(lambda value, padded=padded: value[padded], said), batch))
    assert [float(part[1].weight) for part in sums] == [4, 1 + 2 + 1, 3]  # an image without objects counts as one
    assert sum(part[1].total for part in sums) == pytest.approx(whole.total, rel=1e-5)
    assert sum(part[1].weight for part in sums) == whole.weight
    parts = [part[3] for part in sums]
    jax.tree.map(lambda total, *parts: np.testing.assert_allclose(sum(parts), total, rtol=1e-5), totals, *parts)


def test_predictions_are_the_best_first_and_do_not_overlap(compiled):
    said = anything()
    predicted = compiled(said, BATCH)[4]
    assert predicted["boxes"].shape == (COUNT, 6, 4)
    for row in range(COUNT):
        valid = predicted["valid"][row]
        scores = predicted["scores"][row][valid]
        assert (np.diff(scores) <= 0).all()
        assert (scores > TASK.least_score).all()
        assert valid[: valid.sum()].all()


def test_task_comes_back_from_the_card_and_refuses_other_examples():
    arrays = {name: value for name, value in BATCH.items() if name not in ("index", "mask")}
    task = make_task(Settings(most_boxes=6), ArraySource("some", arrays, SPEC, Facts(NAMES)))
    assert task == TASK
    assert restore_task(Settings(most_boxes=6), {**fitted(task), "class_names": list(NAMES)}) == task
    task.check(SPEC, Facts(NAMES))
    of_digits = {"image": Field(Kind.IMAGE, (8, 8, 1), "uint8"), "label": Field(Kind.LABEL, (), "int32")}
    for spec, facts, said in (
        (of_digits, Facts(NAMES), r"with boxes, classes, found image uint8\[8,8,1\], label int32\[\]$"),
        ({**SPEC, "boxes": Field(Kind.VALUE, (None, 4), "float32", (MOST,))}, Facts(NAMES), "boxes of kind value"),
        ({**SPEC, "classes": Field(Kind.LABEL, (None,), "int32", (9,))}, Facts(NAMES), "one class a box"),
        (SPEC, Facts(("a", "b")), "expected examples of the classes a, b, c, got a, b"),
    ):
        with pytest.raises(RecipeError, match=said):
            task.check(spec, facts)
    with pytest.raises(RecipeError, match="named classes"):
        dataclasses.replace(task, class_names=()).check(SPEC, Facts())


@pytest.mark.parametrize("wrong", [{"most_boxes": 0}, {"overlap": 0.0}, {"least_score": 1.0}, {"stride": 0}])
def test_settings_check_themselves(wrong):
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        Settings(**wrong)


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
