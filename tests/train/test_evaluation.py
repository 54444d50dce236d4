"""Evaluation counts every held-out example once: scikit-learn's numbers, whatever the batch."""

import dataclasses

import numpy as np
import pytest
import scipy.special
import sklearn.metrics

import zoo
from tests.train.harness import TEST, lines, recipe
from train.assemble import assemble
from train.console import Console
from train.data import load
from train.evaluation import Evaluator, first_kernel
from train.inference import evaluate_run, load_variables
from train.recipe import Task
from train.workdir import Workdir

pytestmark = pytest.mark.usefixtures("runs")


@pytest.fixture
def model(whole, data):
    """The finished run's variables and their average, and the held-out examples."""
    task = assemble(recipe(data)).task
    _, variables, average = load_variables(Workdir(whole[0]), task)
    return variables, average, load(f"npz:{data}", "test").arrays()


def probabilities(variables, arrays):
    normalised = (arrays["image"] / 255 - 0.3) / 0.2  # as the recipe says
    logits = zoo.create("tiny").apply(variables, normalised.astype(np.float32))
    return scipy.special.softmax(np.asarray(logits, np.float64), axis=1)


def with_batches(data, size):
    base = recipe(data)
    return assemble(dataclasses.replace(base, data=dataclasses.replace(base.data, eval_batch_size=size)))


@pytest.mark.parametrize("batch_size", [8, 21, 50])
def test_metrics_are_exact_when_the_last_batch_is_partial(batch_size, model, data):
    variables, average, arrays = model
    assert TEST % 8
    summary = Evaluator(with_batches(data, batch_size)).of_variables(variables, average)
    for prefix, these in (("", variables), ("ema_", average)):
        expected = probabilities(these, arrays)
        accuracy = sklearn.metrics.accuracy_score(arrays["label"], expected.argmax(axis=1))
        assert summary[f"{prefix}accuracy"] == pytest.approx(accuracy, abs=1e-12)
        loss = sklearn.metrics.log_loss(arrays["label"], expected, labels=range(4))
        assert summary[f"{prefix}loss"] == pytest.approx(loss, abs=1e-6)


def test_a_run_evaluated_later_gives_what_it_gave_itself(whole):
    path, outcome = whole
    assert evaluate_run(path, console=Console(quiet=True)) == pytest.approx(outcome.metrics, abs=1e-7)


def test_the_best_checkpoint_gives_the_best_evaluation(whole):
    path, _ = whole
    best = max(lines(path, "eval"), key=lambda line: line["accuracy"])
    summary = evaluate_run(path, best=True, console=Console(quiet=True))
    assert summary == pytest.approx({name: best[name] for name in summary}, abs=1e-7)


def test_the_predictions_for_the_report_are_every_example_once_in_order(model, whole, data):
    variables, _, arrays = model
    assembly = assemble(recipe(data))
    state = dataclasses.make_dataclass("State", [("variables", object)])(lambda: variables)
    (predictions,) = Evaluator(assembly).predictions(state)
    np.testing.assert_array_equal(predictions.images, arrays["image"])
    np.testing.assert_array_equal(predictions.targets, arrays["label"])
    np.testing.assert_allclose(
        scipy.special.softmax(predictions.outputs, axis=1), probabilities(variables, arrays), atol=1e-6
    )


def test_the_report_is_told_the_unit_of_a_regression(data):
    base = recipe(data, task=Task("regression"))
    assembly = assemble(dataclasses.replace(base, data=dataclasses.replace(base.data, source="rotated_digits")))
    (predictions,) = Evaluator(assembly).predictions(assembly.make_state())
    assert (predictions.kind, predictions.unit) == ("regression", "degrees")


def test_an_evaluation_can_be_given_up_between_two_batches(model, data):
    asked = iter([False, False, True])
    evaluator = Evaluator(assemble(recipe(data)))
    assert evaluator.of_variables(model[0], stop=lambda: next(asked)) is None
    assert next(asked, "asked three times") == "asked three times"


def test_the_first_kernel_is_that_of_the_convolution_that_sees_the_image(model):
    variables, _, _ = model
    np.testing.assert_array_equal(first_kernel(variables["params"]), variables["params"]["conv"]["kernel"])
    assert first_kernel({"dense": {"kernel": np.zeros((3, 4))}}) is None
