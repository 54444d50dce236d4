"""Boxes of digits: what is encoded is what is predicted, totals add up, settings and examples are checked."""

import dataclasses

import jax
import numpy as np
import pytest

from tests.train.tasks.boxes_of_digits import BATCH, COUNT, MOST, NAMES, SPEC, TASK
from train.config import RecipeError
from train.config.tasks.digit_boxes import DigitBoxes as Settings
from train.data.fields import Facts, Field, Kind
from train.data.source import ArraySource
from train.tasks import fitted, make_task, restore_task
from zoo.detection import Cells

random = np.random.default_rng(0)


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
