"""The task of detection: terms and their weights, what is predicted, what it refuses."""

import dataclasses

import jax
import numpy as np
import pytest

from tests.train.tasks.detection.cells import MASK, CellDetector
from tests.train.tasks.detection.some_boxes import BATCH, BOXES, COUNT, MOST, NAMES, SIDE, SPEC, VALID
from train.config import RecipeError
from train.config.tasks.detection import Detection as Settings
from train.data.fields import Facts, Field, Kind
from train.data.source import ArraySource
from train.engine.step import make_evaluate, make_predict
from train.tasks import fitted, make_task, restore_task
from train.tasks.detection.task import Detection
from train.tasks.protocol import Keys
from zoo.perceptrons import MLP

random = np.random.default_rng(0)
ALL = Detection(NAMES, masks=True, keypoints=True)
MASKS = Field(Kind.MASKS, (None, SIDE, SIDE), "bool", (MOST,))
POINTS = Field(Kind.KEYPOINTS, (None, 2, 3), "float32", (MOST,))
MORE = {**SPEC, "masks": MASKS, "keypoints": POINTS}
IMAGES = (BATCH["image"] / 255).astype(np.float32)
LEARNED = {
    **BATCH,
    "image": IMAGES,
    "masks": np.broadcast_to(VALID[..., None, None], (COUNT, MOST, SIDE, SIDE)),
    "keypoints": np.concatenate([BOXES.reshape(COUNT, MOST, 2, 2), np.ones((COUNT, MOST, 2, 1))], -1).astype("float32"),
}
MODEL = CellDetector(num_classes=1 + len(NAMES))


@pytest.fixture(scope="module")
def variables():
    return jax.jit(MODEL.init)(jax.random.key(0), IMAGES)


@pytest.fixture(scope="module")
def learned(variables):
    """Loss and totals of a training step, for a batch."""

    @jax.jit
    def run(batch):
        def apply(params, *inputs, **options):
            return MODEL.apply({"params": params}, *inputs, train=True, **options), {}

        def loss(params):
            ratio, aux = ALL.loss(apply, params, batch, Keys(jax.random.key(0), jax.random.key(1)))
            return ratio.value(), (ratio, aux)

        (value, (ratio, aux)), gradient = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        return value, ratio, aux.totals, gradient

    return lambda batch: jax.device_get(run(batch))


def test_every_term_is_a_metric_with_its_own_weight_and_the_loss_is_their_sum(learned):
    value, ratio, totals, _ = learned(LEARNED)
    scores = ALL.scores(totals)
    assert set(scores) == {"loss", "objectness", "box", "classes", "mask", "keypoints"}
    assert scores["loss"] == pytest.approx(float(value), rel=1e-6)
    assert scores["loss"] == pytest.approx(sum(scores[name] for name in totals), rel=1e-6)
    assert totals["box"][1] == VALID.sum() < totals["objectness"][1]
    assert sorted(ratio.weight.tolist()) == sorted(weight for _, weight in totals.values())


def test_images_without_objects_have_a_finite_loss_that_moves_only_what_says_so(learned):
    nothing = {**LEARNED, "boxes_valid": np.zeros((COUNT, MOST), bool)}
    value, ratio, totals, gradient = learned(nothing)
    assert np.isfinite(value)
    assert value == pytest.approx(float(totals["objectness"][0] / totals["objectness"][1]))
    assert ratio.weight[1:].tolist() == [0] * 4
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.isnan(ALL.scores(totals)["box"])


def test_crowds_are_not_learned(learned, variables):
    crowd = np.zeros((COUNT, MOST), bool)
    crowd[0, :3] = True
    task = dataclasses.replace(ALL, beside=("is_crowd",))
    truth = task._truth({**LEARNED, "is_crowd": crowd})
    np.testing.assert_array_equal(truth.valid, VALID & ~crowd)
    assert truth.labels[0].tolist()[:3] == [0, 0, 0]
    assert truth.labels[0, 3] == BATCH["classes"][0, 3] + 1


def test_evaluation_does_not_depend_on_what_else_is_in_the_batch(variables):
    evaluate = jax.jit(make_evaluate(MODEL, ALL))
    whole = jax.device_get(evaluate(variables, LEARNED))
    parts = []
    for rows in ([0], [1, 2, 3], [4]):
        padded = np.resize(rows, COUNT)
        batch = {name: value[padded] for name, value in LEARNED.items()} | {"mask": np.arange(COUNT) < len(rows)}
        parts.append(jax.device_get(evaluate(variables, batch)))
    jax.tree.map(lambda total, *some: np.testing.assert_allclose(sum(some), total, rtol=1e-5), whole, *parts)
    assert whole["box"][1] == VALID.sum()


def test_what_is_predicted_is_the_models_best_with_classes_from_zero(variables):
    found = jax.device_get(MODEL.apply(variables, IMAGES))
    least = float(np.median(found.scores[:, :3]))
    task = dataclasses.replace(ALL, detections=3, least_score=least)
    predicted = jax.device_get(jax.jit(make_predict(MODEL, task))(variables, {"image": IMAGES}))
    assert predicted["boxes"].shape == (COUNT, 3, 4)
    assert predicted["masks"].shape == (COUNT, 3, MASK, MASK)
    assert predicted["keypoints"].shape == (COUNT, 3, 2, 3)
    valid = predicted["valid"]
    np.testing.assert_array_equal(valid, found.scores[:, :3] > least)
    assert 0 < valid.sum() < valid.size
    np.testing.assert_array_equal(predicted["classes"][valid], found.labels[:, :3][valid] - 1)
    np.testing.assert_allclose(predicted["boxes"][valid], found.boxes[:, :3][valid], rtol=1e-5)
    assert not any(value[~valid].any() for value in predicted.values())
    assert set(dataclasses.replace(task, masks=False, keypoints=False).places) == {"boxes"}


def test_task_comes_back_from_the_card_and_refuses_other_examples():
    arrays = {name: value for name, value in LEARNED.items() if name not in ("index", "mask")}
    arrays |= {"image": BATCH["image"]}
    arrays |= {f"{name}_valid": VALID for name in ("masks", "keypoints", "is_crowd")}
    arrays["is_crowd"] = np.zeros((COUNT, MOST), bool)
    spec = {**MORE, "is_crowd": Field(Kind.PLAIN, (None,), "bool", (MOST,))}
    settings = Settings(masks=True, detections=7)
    task = make_task(settings, ArraySource("some", arrays, spec, Facts(NAMES)))
    assert task == Detection(NAMES, masks=True, detections=7, beside=("is_crowd",))
    assert task.fields == ("image", "boxes", "classes", "masks", "is_crowd")
    assert restore_task(settings, {**fitted(task), "class_names": list(NAMES)}) == task
    task.check(spec, Facts(NAMES))
    for changed, facts, said in (
        ({"masks": None}, Facts(NAMES), "expected examples with masks, found image"),
        ({"masks": Field(Kind.VALUE, (None, 4), "float32", (MOST,))}, Facts(NAMES), "masks of kind value"),
        ({"masks": MASKS._replace(most=(9,))}, Facts(NAMES), "one class a box"),
        ({}, Facts(("a", "b")), "expected examples of the classes a, b, c, got a, b"),
    ):
        other = {name: field for name, field in {**spec, **changed}.items() if field is not None}
        with pytest.raises(RecipeError, match=said):
            task.check(other, facts)
    with pytest.raises(RecipeError, match="named classes"):
        dataclasses.replace(task, class_names=()).check(spec, Facts())


def test_models_that_are_no_detectors_or_lack_masks_are_refused(variables):
    with pytest.raises(RecipeError, match=r"expected a detector, .* got MLP"):
        ALL.wrap(MLP())
    assert ALL.wrap(MODEL) is MODEL
    found = MODEL.apply(variables, IMAGES)
    for lacking in ("masks", "keypoints"):
        with pytest.raises(RecipeError, match=f"task.{lacking}: the model predicts none"):
            ALL._checked(found._replace(**{lacking: None}))


@pytest.mark.parametrize("wrong", [{"detections": 0}, {"least_score": 1.0}, {"detections": 100_000}])
def test_settings_check_themselves(wrong):
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        Settings(**wrong)
