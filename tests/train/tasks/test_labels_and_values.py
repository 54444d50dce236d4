"""Classification and regression: losses against scikit-learn and numpy, exact sums over masked batches."""

import functools
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, mean_squared_error, top_k_accuracy_score

from train.tasks.classification.task import Classification
from train.tasks.regression.task import Regression

random = np.random.default_rng(0)
COUNT, CLASSES = 23, 12
NAMES = tuple(f"class{i}" for i in range(CLASSES))
LOGITS = random.normal(size=(COUNT, CLASSES)).astype(np.float32) * 3
LABELS = random.integers(0, CLASSES, COUNT).astype(np.int32)
OTHERS = random.integers(0, CLASSES, COUNT).astype(np.int32)
MIX = random.uniform(size=COUNT).astype(np.float32)
ALL = np.ones(COUNT, bool)
TASK = Classification(NAMES)


@functools.cache
def compiled(task):
    """The task's loss and totals: compiled once, they take less time than operation by operation."""
    return jax.jit(lambda *arguments: task.objective(*arguments).value()), jax.jit(task.totals)


def loss_of(task, outputs, batch):
    return float(compiled(task)[0](outputs, {"mask": np.ones(len(jax.tree.leaves(batch)[0]), bool), **batch}))


def sums_of(task, outputs, batch):
    return {name: float(value) for name, value in compiled(task)[1](outputs, batch).items()}


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True), dtype=np.float64)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def cross_entropy(targets, logits=LOGITS):
    """-sum t log p of each example, for targets that are distributions."""
    return -np.sum(targets * np.log(softmax(logits)), axis=-1)


def one_hot(labels):
    return np.eye(CLASSES)[labels]


def test_cross_entropy_and_accuracies_are_scikit_learns():
    batch = {"label": LABELS, "mask": ALL}
    loss = loss_of(TASK, LOGITS, batch)
    expected = log_loss(LABELS, softmax(LOGITS), labels=range(CLASSES))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    summary = TASK.scores(sums_of(TASK, LOGITS, batch))
    np.testing.assert_allclose(summary["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(summary["accuracy"], accuracy_score(LABELS, LOGITS.argmax(axis=1)), rtol=1e-6)
    top5 = top_k_accuracy_score(LABELS, LOGITS, k=5, labels=range(CLASSES))
    np.testing.assert_allclose(summary["top5"], top5, rtol=1e-6)


def test_label_smoothing_spreads_its_share_over_all_classes():
    task = Classification(NAMES, label_smoothing=0.2)
    targets = 0.8 * one_hot(LABELS) + 0.2 / CLASSES
    loss = loss_of(task, LOGITS, {"label": LABELS})
    np.testing.assert_allclose(loss, cross_entropy(targets).mean(), rtol=1e-5)
    plain = sums_of(task, LOGITS, {"label": LABELS, "mask": ALL})["loss"]
    np.testing.assert_allclose(plain, cross_entropy(one_hot(LABELS)).sum(), rtol=1e-5)  # metrics compare recipes


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_images_share_the_loss_between_their_labels(smoothing):
    task = Classification(NAMES, smoothing)
    mixed = MIX[:, None] * one_hot(LABELS) + (1 - MIX[:, None]) * one_hot(OTHERS)
    targets = (1 - smoothing) * mixed + smoothing / CLASSES
    loss = loss_of(task, LOGITS, {"label": LABELS, "label_b": OTHERS, "mix": MIX})
    np.testing.assert_allclose(loss, cross_entropy(targets).mean(), rtol=1e-5)


def test_auxiliary_heads_add_three_tenths_of_their_loss_and_count_for_no_accuracy():
    heads = {"logits": LOGITS, "aux1": LOGITS[::-1], "aux2": 2 * LOGITS}
    batch = {"label": LABELS, "mask": ALL}
    first, second, main = (
        log_loss(LABELS, softmax(x), labels=range(CLASSES)) for x in (LOGITS[::-1], 2 * LOGITS, LOGITS)
    )
    np.testing.assert_allclose(loss_of(TASK, heads, batch), main + 0.3 * (first + second), rtol=1e-5)
    assert jax.tree.map(float, sums_of(TASK, heads, batch)) == jax.tree.map(float, sums_of(TASK, LOGITS, batch))


def test_cross_entropy_is_stable_where_a_softmax_overflows():
    logits = np.zeros((COUNT, CLASSES), np.float32)
    logits[0, :2] = 1e4, -1e4
    loss = loss_of(TASK, logits, {"label": np.zeros(COUNT, np.int32) + np.eye(COUNT, dtype=np.int32)[0]})
    np.testing.assert_allclose(loss, (2e4 + (COUNT - 1) * np.log(CLASSES)) / COUNT, rtol=1e-6)


def test_bfloat16_outputs_are_measured_in_float32():
    outputs = jnp.asarray(LOGITS, jnp.bfloat16)
    loss = compiled(TASK)[0](outputs, {"label": LABELS, "mask": ALL})
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, cross_entropy(one_hot(LABELS), np.asarray(outputs, np.float32)).mean(), rtol=1e-5)
    assert TASK.decode(outputs)["logits"].dtype == jnp.float32


def test_of_equal_outputs_the_first_wins_as_in_argmax():
    ties = random.integers(0, 3, (COUNT, CLASSES)).astype(np.float32)
    sums = sums_of(TASK, ties, {"label": LABELS, "mask": ALL})
    assert sums["correct"] == np.sum(ties.argmax(axis=1) == LABELS)
    best_five = np.argsort(-ties, axis=1, kind="stable")[:, :5]
    assert sums["correct5"] == np.sum(best_five == LABELS[:, None])


def test_equal_outputs_are_right_for_one_class_and_among_five_for_five():
    labels = np.arange(COUNT) % CLASSES
    sums = sums_of(TASK, np.zeros_like(LOGITS), {"label": labels, "mask": np.arange(COUNT) < CLASSES})
    assert (sums["count"], sums["correct"], sums["correct5"]) == (CLASSES, 1, 5)


def test_outputs_that_are_not_numbers_are_not_right():
    batch = {"label": LABELS, "mask": ALL}
    sums = sums_of(TASK, np.full_like(LOGITS, np.nan), batch)
    assert (sums["correct"], sums["correct5"]) == (0, 0)
    best = LOGITS.argmax(axis=1).astype(np.int32)
    one_missing = np.where(np.arange(CLASSES) == (best[:, None] + 1) % CLASSES, np.nan, LOGITS)
    assert sums_of(TASK, one_missing, {"label": best, "mask": ALL})["correct"] == 0


def test_ten_classes_have_no_top5():
    task = Classification(NAMES[:10])
    sums = jax.eval_shape(task.totals, LOGITS[:, :10], {"label": LABELS % 10, "mask": ALL})
    assert set(task.scores(dict.fromkeys(sums, 1.0))) == {"loss", "accuracy"}


def masked_batches(arrays, size, garbage):
    """Batches of one size; what pads the last is `garbage`, which no metric may see."""
    for first in range(0, COUNT, size):
        part = {name: array[first : first + size] for name, array in arrays.items()}
        missing = size - len(part["outputs"])
        mask = np.arange(size) < size - missing
        padded = {
            name: np.concatenate([x, np.full((missing, *x.shape[1:]), garbage[name], x.dtype)])
            for name, x in part.items()
        }
        yield padded.pop("outputs"), {**padded, "mask": mask}


def total(task, batches):
    sums = [sums_of(task, outputs, batch) for outputs, batch in batches]
    return {name: sum(each[name] for each in sums) for name in sums[0]}


@pytest.mark.parametrize("size", [8, 40])
def test_sums_over_masked_batches_are_the_metrics_of_the_whole_set(size):
    garbage = {"outputs": np.nan, "label": 0}
    sums = total(TASK, masked_batches({"outputs": LOGITS, "label": LABELS}, size, garbage))
    assert sums["count"] == COUNT
    assert sums["correct"] == np.sum(LOGITS.argmax(axis=1) == LABELS)  # exact, not nearly
    expected = log_loss(LABELS, softmax(LOGITS), labels=range(CLASSES))
    np.testing.assert_allclose(TASK.scores(sums)["loss"], expected, rtol=1e-5)


def test_of_no_examples_every_mean_is_nan():
    batch = {"label": LABELS, "mask": ~ALL}
    summary = TASK.scores(sums_of(TASK, LOGITS, batch))
    assert all(np.isnan(value) for value in summary.values())


TARGETS = random.uniform(-90, 90, COUNT).astype(np.float32)
OUTPUTS = random.normal(size=(COUNT, 1)).astype(np.float32)
ANGLES = Regression.of_targets(TARGETS)


def test_regression_predicts_in_units_of_the_target():
    assert (ANGLES.mean, ANGLES.std) == pytest.approx((TARGETS.mean(), TARGETS.std()))
    expected = OUTPUTS[:, 0] * TARGETS.std() + TARGETS.mean()
    np.testing.assert_allclose(ANGLES.decode(OUTPUTS)["value"], expected, rtol=1e-5)
    standardised = (TARGETS - TARGETS.mean()) / TARGETS.std()
    np.testing.assert_allclose(ANGLES.decode(standardised[:, None])["value"], TARGETS, rtol=1e-5)


def test_regressions_loss_is_the_squared_error_of_standardised_targets():
    loss = loss_of(ANGLES, OUTPUTS, {"target": TARGETS})
    expected = mean_squared_error((TARGETS - TARGETS.mean()) / TARGETS.std(), OUTPUTS[:, 0])
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_regressions_sums_over_masked_batches_are_scikit_learns_of_the_whole_set():
    garbage = {"outputs": np.nan, "target": np.nan}
    sums = total(ANGLES, masked_batches({"outputs": OUTPUTS, "target": TARGETS}, 8, garbage))
    assert sums["count"] == COUNT
    predictions = OUTPUTS[:, 0] * TARGETS.std() + TARGETS.mean()
    summary = ANGLES.scores(sums)
    np.testing.assert_allclose(summary["mae"], mean_absolute_error(TARGETS, predictions), rtol=1e-5)
    mse = mean_squared_error(TARGETS, predictions) / TARGETS.var()
    np.testing.assert_allclose(summary["loss"], mse, rtol=1e-5)


def test_equal_targets_do_not_divide_by_zero():
    task = Regression.of_targets(np.full(4, 7.0, np.float32))
    assert (task.mean, task.std) == (7.0, 1.0)


def test_statistics_of_targets_far_from_zero_are_exact():
    targets = np.float32(2**23) + np.arange(1001, dtype=np.float32) % 7
    task = Regression.of_targets(targets)
    exact = [float(value) for value in targets]
    assert (task.mean, task.std) == pytest.approx((statistics.fmean(exact), statistics.pstdev(exact)), rel=1e-12)


def test_both_tasks_say_what_they_are_measured_by_the_best_first():
    for task, outputs, batch in (
        (TASK, LOGITS, {"label": LABELS, "mask": ALL}),
        (ANGLES, OUTPUTS, {"target": TARGETS, "mask": ALL}),
    ):
        scores = task.scores(sums_of(task, outputs, batch))
        assert {metric.name for metric in task.metrics} == set(scores)
        assert task.inputs({"image": "images"}) == ("images",)
        assert (task.whole_batch, task.seen, task.judge()) == (False, 0, None)
    accuracy, top5, loss = TASK.metrics
    assert (accuracy.name, accuracy.percent, accuracy.higher_is_better) == ("accuracy", True, True)
    assert (top5.name, loss.name, loss.higher_is_better) == ("top5", "loss", False)
    error, _ = Regression(0.0, 1.0, "degrees").metrics
    assert (error.name, error.unit, error.percent, error.higher_is_better) == ("mae", "degrees", False, False)
    assert (TASK.fields, TASK.mixes, ANGLES.fields, ANGLES.mixes) == (
        ("image", "label"),
        ("label",),
        ("image", "target"),
        (),
    )
    assert TASK.model_options() == {"num_classes": CLASSES}
    assert ANGLES.model_options() == {"num_classes": 1}
