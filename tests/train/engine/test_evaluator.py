"""Evaluation counts every held-out example once: scikit-learn's numbers, whatever the batch."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import scipy.special
import sklearn.metrics

import zoo
from tests.train.harness import TEST, lines, recipe
from train.config import Data
from train.data import load
from train.data.source import Wrapped
from train.engine.assemble import assemble
from train.engine.console import Console
from train.engine.evaluator import Evaluator
from train.store.workdir import Workdir
from train.use.evaluate import evaluate_run
from train.use.open_run import load_variables

pytestmark = pytest.mark.usefixtures("runs")


@pytest.fixture
def model(whole, data):
    """The finished run's variables and their average, and the held-out examples."""
    task = assemble(recipe(data)).task
    _, variables, average = load_variables(Workdir(whole[0]), task)
    return variables, average, load(Data(f"npz:{data}"), "test").arrays()


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


class Recorder:
    """A page, or a judge, that keeps what it is shown."""

    def __init__(self):
        self.shown = []

    def add(self, batch, predicted):
        self.shown.append((batch, predicted))

    def scores(self):
        return {"judged": float(sum(len(batch["label"]) for batch, _ in self.shown))}


def joined(shown, part, name):
    return np.concatenate([pair[part][name] for pair in shown])


def test_a_page_is_shown_every_real_example_once_in_order(model, data, monkeypatch):
    variables, _, arrays = model
    assembly = assemble(recipe(data))
    monkeypatch.setattr(type(assembly.task), "page", lambda task: Recorder())
    state = dataclasses.make_dataclass("State", [("variables", object)])(lambda: variables)
    shown = Evaluator(assembly).page(state).shown
    assert len(shown) == 3  # as batches, one after the other
    np.testing.assert_array_equal(joined(shown, 0, "image"), arrays["image"])
    np.testing.assert_array_equal(joined(shown, 0, "label"), arrays["label"])
    logits = joined(shown, 1, "logits")
    np.testing.assert_allclose(scipy.special.softmax(logits, axis=1), probabilities(variables, arrays), atol=1e-6)


def test_a_judge_sees_the_whole_split_at_each_evaluation_and_adds_its_scores(model, data, monkeypatch):
    variables, average, _ = model
    assembly = assemble(recipe(data))
    assert {"judged", "ema_judged"}.isdisjoint(Evaluator(assembly).of_variables(variables, average))
    monkeypatch.setattr(type(assembly.task), "judge", lambda task: Recorder())
    summary = Evaluator(assembly).of_variables(variables, average)
    assert (summary["judged"], summary["ema_judged"]) == (TEST, TEST)


def test_nothing_is_predicted_where_nobody_asks(model, data, monkeypatch):
    monkeypatch.setattr("train.engine.assemble.make_predict", None)
    assert Evaluator(assemble(recipe(data))).of_variables(model[0])["accuracy"] > 0


class Endless(Wrapped):
    """Large images made when they are asked for, as many as one likes."""

    def __init__(self, source, count):
        super().__init__(source)
        self.count = count

    def __len__(self):
        return self.count

    def place(self, rows):
        return rows % len(self.source)


@pytest.mark.parametrize("asked", ["of_variables", "page"])
def test_memory_does_not_grow_with_the_split(asked, model, data, monkeypatch):
    variables, _, _ = model
    monkeypatch.setattr("train.data.pipeline.MEMORY_LIMIT", 0)
    state = dataclasses.make_dataclass("State", [("variables", object)])(lambda: variables)

    def peak(count):
        assembly = with_batches(data, 500)
        evaluator = Evaluator(dataclasses.replace(assembly, test=Endless(assembly.test, count)))
        call = evaluator.of_variables if asked == "of_variables" else evaluator.page
        argument = variables if asked == "of_variables" else state
        call(argument)  # compiles
        tracemalloc.start()
        call(argument)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(1000), peak(31_000)  # what other threads keep meanwhile is small beside that
    assert many < few + 30_000 * 64 / 4  # a quarter of the images alone


def test_an_evaluation_can_be_given_up_between_two_batches(model, data):
    asked = iter([False, False, True])
    evaluator = Evaluator(assemble(recipe(data)))
    assert evaluator.of_variables(model[0], stop=lambda: next(asked)) is None
    assert next(asked, "asked three times") == "asked three times"


@pytest.mark.parametrize(("pipeline", "limit", "sent_again"), [("auto", 2**30, 0), ("auto", 0, 6), ("grain", 2**30, 6)])
def test_a_small_split_is_sent_to_the_devices_once(pipeline, limit, sent_again, model, data, monkeypatch):
    variables, average, _ = model
    monkeypatch.setattr("train.data.pipeline.MEMORY_LIMIT", limit)
    base = recipe(data)
    assembly = assemble(dataclasses.replace(base, data=dataclasses.replace(base.data, pipeline=pipeline)))
    sent = []
    shard = assembly.placement.shard
    monkeypatch.setattr(assembly.placement, "shard", lambda batch: sent.append(batch) or shard(batch))
    evaluator = Evaluator(assembly)
    first = evaluator.of_variables(variables, average)
    sent.clear()
    assert evaluator.of_variables(variables, average) == first
    assert len(sent) == sent_again


def test_an_evaluation_that_was_given_up_leaves_the_next_whole(model, data):
    evaluator, fresh = (Evaluator(assemble(recipe(data))) for _ in range(2))
    asked = iter([False, True])
    assert evaluator.of_variables(model[0], stop=lambda: next(asked)) is None
    expected = fresh.of_variables(model[0])
    assert [evaluator.of_variables(model[0]) for _ in range(2)] == [expected, expected]


def test_a_judge_and_a_page_see_the_examples_of_a_split_that_stays_on_the_devices(model, data, monkeypatch):
    variables, _, arrays = model
    assembly = assemble(recipe(data))
    judges = []
    monkeypatch.setattr(type(assembly.task), "judge", lambda task: judges.append(Recorder()) or judges[-1])
    evaluator = Evaluator(assembly)
    evaluator.of_variables(variables)
    evaluator.of_variables(variables)
    for part, name in ((0, "image"), (0, "label"), (1, "logits")):
        first, second = (joined(judge.shown, part, name) for judge in judges)
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(joined(judges[1].shown, 0, "image"), arrays["image"])
    monkeypatch.setattr(type(assembly.task), "page", lambda task: Recorder())
    state = dataclasses.make_dataclass("State", [("variables", object)])(lambda: variables)
    np.testing.assert_array_equal(joined(evaluator.page(state).shown, 0, "image"), arrays["image"])
