"""Tagging: losses and accuracies against scikit-learn's, steps and sequences that do not count, pages and a run."""

import dataclasses
import importlib

import jax
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

from tests.train import harness
from tests.train.report.reading import undrawn
from train.config import Data, Model, RecipeError
from train.config.tasks.tagging import Tagging as Settings
from train.data import load
from train.data.fields import Facts, Field, Kind
from train.recipes.sequences import LINES
from train.report import theme
from train.tasks.tagging.page import TagPage
from train.tasks.tagging.task import Tagging

lines = importlib.import_module("train.data.sources.lines")  # beside a function of that name

NAMES = ("a", "b", "c")
TASK = Tagging(NAMES)
random = np.random.default_rng(0)
LOGITS = 2 * random.normal(size=(4, 6, 3)).astype(np.float32)
TAGS = random.integers(0, 3, (4, 6)).astype(np.int32)
TAGS[1] = LOGITS[1].argmax(axis=-1)  # all right
TAGS[0, 2:4] = TAGS[1, 0] = -1
BATCH = {"tags": TAGS, "mask": np.array([True, True, False, True])}


def known():
    """Logits and tags of the steps that count."""
    counts = (TAGS >= 0) & BATCH["mask"][:, None]
    return LOGITS[counts].astype(np.float64), TAGS[counts]


def softmax(logits):
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def test_loss_and_accuracy_are_scikit_learns_over_the_steps_that_count():
    logits, tags = known()
    expected = log_loss(tags, softmax(logits), labels=range(3))
    np.testing.assert_allclose(jax.jit(TASK.objective)(LOGITS, BATCH).value(), expected, rtol=1e-5)
    scores = TASK.scores(jax.device_get(jax.jit(TASK.totals)(LOGITS, BATCH)))
    np.testing.assert_allclose(scores["loss"], expected, rtol=1e-5)
    assert scores["accuracy"] == pytest.approx(accuracy_score(tags, logits.argmax(axis=-1)))
    assert scores["whole"] == pytest.approx(1 / 3)


def test_the_most_probable_class_of_each_step_is_predicted():
    np.testing.assert_array_equal(TASK.decode(LOGITS)["tags"], LOGITS.argmax(axis=-1))


def test_a_step_that_is_not_finite_is_wrong():
    broken = LOGITS.copy()
    broken[1, 3, 0] = np.nan
    scores = TASK.scores(jax.device_get(jax.jit(TASK.totals)(broken, BATCH)))
    logits, tags = known()
    assert scores["accuracy"] == pytest.approx(accuracy_score(tags, logits.argmax(axis=-1)) - 1 / len(tags))
    assert scores["whole"] == 0


def test_a_sequence_without_a_class_counts_nowhere():
    tags = TAGS.copy()
    tags[1] = -1  # the one that was all right
    scores = TASK.scores(jax.device_get(jax.jit(TASK.totals)(LOGITS, {**BATCH, "tags": tags})))
    assert scores["whole"] == 0
    page = TagPage(NAMES)
    images, guess = np.zeros((4, 8, 6, 1), np.uint8), LOGITS.argmax(axis=-1)
    page.add({"image": images, "tags": tags, "index": np.arange(4)}, {"tags": guess})
    assert (page.sequences, page.whole, len(page.some)) == (3, 0, 4)
    nothing = TagPage(NAMES)
    nothing.add({"image": images[:1], "tags": tags[1:2], "index": np.arange(1)}, {"tags": guess[1:2]})
    with undrawn():
        assert nothing.results(None).notes == ["No step of the held-out sequences has a class."]


def test_examples_have_to_have_a_tag_for_each_column():
    image = Field(Kind.IMAGE, (8, 6, 1), "uint8")
    TASK.check({"image": image, "tags": Field(Kind.COLUMNS, (6,), "int32")}, Facts(NAMES))
    for field in (Field(Kind.COLUMNS, (5,), "int32"), Field(Kind.LABEL, (6,), "int32")):
        with pytest.raises(RecipeError, match=f"a class for each of 6 columns, found {field.kind}"):
            TASK.check({"image": image, "tags": field}, Facts(NAMES))
    with pytest.raises(RecipeError, match="expected examples with tags"):
        TASK.check({"image": image}, Facts(NAMES))
    with pytest.raises(RecipeError, match="tagging needs examples with tags"):
        Tagging.fit(Settings(), load(Data("digits", limit=20), "test"))


def test_page_counts_steps_and_says_what_was_read(monkeypatch):
    monkeypatch.setattr(theme, "DPI", 24)
    page, apart = TagPage(NAMES), [TagPage(NAMES), TagPage(NAMES)]
    guess = LOGITS.argmax(axis=-1).astype(np.int32)
    images = np.zeros((4, 8, 6, 1), np.uint8)
    batch, predicted = {"image": images, "tags": TAGS, "index": np.arange(4)}, {"tags": guess}
    page.add(batch, predicted)
    for part, rows in zip(apart, (slice(0, 2), slice(2, 4)), strict=True):
        part.add({name: array[rows] for name, array in batch.items()}, {"tags": guess[rows]})
    apart[0].merge(apart[1])
    counts = TAGS >= 0
    np.testing.assert_array_equal(page.counts, confusion_matrix(TAGS[counts], guess[counts]))
    wrong = ((guess != TAGS) & counts).sum(axis=1)
    assert wrong[page.worst.rows].tolist() == sorted(wrong[wrong > 0].tolist(), reverse=True)
    np.testing.assert_array_equal(apart[0].counts, page.counts)
    assert (page.sequences, page.whole) == (apart[0].sequences, apart[0].whole)
    assert page.whole == 1
    assert len(page.worst) == 3  # of which none is right
    results = page.results(None)
    assert results.label == "test accuracy of the steps"
    assert results.detail.startswith(f"{(guess != TAGS)[counts].sum()} wrong of {counts.sum()} steps")
    one = {"tags": np.array([2, 2, 0, 1, 1, 1])}
    assert page.words(one) == "c a b"
    assert page.record(one) == {"runs": [["c", 2], ["a", 1], ["b", 3]]}
    assert page.picture({"image": images[0]}, one).dtype == np.uint8


def test_a_run_learns(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "COUNTS", {"train": 32, "test": 8})
    recipe = dataclasses.replace(
        LINES,
        model=Model("lstm_columns_tiny"),
        data=Data("lines", batch_size=8, eval_batch_size=8),
        epochs=2,
        eval_every=2,
        log_every=1,
    )
    with engine():
        outcome = harness.run(recipe, tmp_path / "run")
    losses = [line["loss"] for line in harness.lines(tmp_path / "run", "train")]
    assert losses[-1] < losses[0]
    assert {"accuracy", "whole"} <= outcome.metrics.keys()
