"""Adversarial training: what is attacked, what is measured, and a run that withstands more than a plain one."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from tests.train import harness
from train.config import Augment, RecipeError
from train.config.tasks.adversarial import Adversarial as Settings
from train.data import load
from train.tasks import fitted, make_task, restore_task
from train.tasks.protocol import Keys

KEYS = Keys(jax.random.key(0), jax.random.key(1))
MEAN, STD = (0.4,), (0.25,)


@pytest.fixture(scope="module")
def examples(data):
    return load(harness.recipe(data).data, "train")


@pytest.fixture(scope="module")
def task(examples):
    return make_task(Settings(epsilon=0.08, steps=4, eval_steps=3), examples, Augment(mean=MEAN, std=STD))


@pytest.fixture(scope="module")
def batch(examples):
    found = examples.read(range(12))
    pixels = found["image"].astype(np.float32) / 255
    mask = np.arange(12) < 10
    return {"image": (pixels - MEAN[0]) / STD[0], "label": found["label"], "mask": mask}


def linear(params, images, **_):
    """Logits, and a state that says which images were seen last."""
    return images.reshape(len(images), -1) @ params, {"seen": images}


PARAMS = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)


def test_pixels_stay_within_epsilon_and_from_0_to_1_whatever_normalises_them(task, batch):
    changed = jax.jit(lambda: task.attacked(linear, PARAMS, batch, KEYS, 4))()
    before, after = (np.asarray(each["image"]) * STD[0] + MEAN[0] for each in (batch, changed))
    assert np.abs(after - before).max() <= 0.08 + 1e-5
    assert np.abs(after - before).mean() > 0.04
    assert after.min() >= -1e-6
    assert after.max() <= 1 + 1e-6


def test_every_image_loses_and_its_loss_is_the_other_tasks(task, batch):
    (ratio, aux), plain = jax.jit(
        lambda: (
            task.loss(linear, PARAMS, batch, KEYS),
            task.task.loss(linear, PARAMS, batch, KEYS)[0],
        )
    )()
    assert ratio.value() > plain.value() * 1.05
    assert ratio.weight == plain.weight == 10
    seen = task.task.objective(linear(PARAMS, aux.state["seen"])[0], batch)
    np.testing.assert_allclose(seen.value(), ratio.value(), rtol=1e-5)
    assert not np.allclose(aux.state["seen"], batch["image"])


def test_a_share_of_the_loss_is_that_of_images_as_they_are(task, batch):
    half = dataclasses.replace(task, share=0.5)
    whole, mixed, plain = (
        part.value()
        for part in jax.jit(
            lambda: (
                task.loss(linear, PARAMS, batch, KEYS)[0],
                half.loss(linear, PARAMS, batch, KEYS)[0],
                task.task.loss(linear, PARAMS, batch, KEYS)[0],
            )
        )()
    )
    np.testing.assert_allclose(mixed, (whole + plain) / 2, rtol=1e-5)


def test_scores_tell_changed_images_from_those_as_they_are(task, batch):
    totals = jax.device_get(jax.jit(lambda: task.evaluate(linear, PARAMS, batch, KEYS))())
    scores = task.scores(totals)
    assert [metric.name for metric in task.metrics] == ["robust_accuracy", "robust_loss", "accuracy", "loss"]
    assert scores["robust_loss"] > scores["loss"]
    right = (np.asarray(linear(PARAMS, batch["image"])[0]).argmax(axis=1) == batch["label"])[:10]
    assert scores["accuracy"] == pytest.approx(right.mean())


def test_the_step_is_as_long_and_evaluation_takes_as_many_as_the_settings_say(task, batch):
    short = dataclasses.replace(task, step=0.01, eval_steps=5)

    @jax.jit
    def program():
        places = [short.attacked(linear, PARAMS, batch, KEYS, steps)["image"] for steps in (1, 2)]
        attacked = short.attacked(linear, PARAMS, batch, KEYS, 5)
        expected = short.task.evaluate(linear, PARAMS, attacked, KEYS)
        return places, short.evaluate(linear, PARAMS, batch, KEYS)["robust"], expected

    (one, two), found, expected = jax.device_get(program())
    assert np.abs(two - one).max() * STD[0] == pytest.approx(0.01, rel=1e-3)
    assert short.task.scores(found) == pytest.approx(short.task.scores(expected), rel=1e-5)
    fewer = dataclasses.replace(short, eval_steps=1)
    totals = jax.device_get(jax.jit(lambda: fewer.evaluate(linear, PARAMS, batch, KEYS))())
    assert fewer.scores(totals)["robust_loss"] < short.task.scores(found)["loss"]


def test_a_stored_task_is_the_same_and_other_tasks_are_refused(examples, task):
    settings = Settings(epsilon=0.08, steps=4, eval_steps=3)
    again = restore_task(settings, json.loads(json.dumps(fitted(task))))  # as the run's card has it
    assert again == task
    assert again.task == task.task
    with pytest.raises(RecipeError, match="adversarial"):
        Settings(of="adversarial")
    with pytest.raises(RecipeError, match="class_means"):
        make_task(Settings(of="class_means"), examples)


@pytest.mark.usefixtures("runs")
def test_a_run_withstands_more_the_more_it_learns_of_attacks(data, tmp_path):
    found = {}
    for share in (1e-6, 1.0):
        recipe = harness.recipe(data, task=Settings(epsilon=0.2, steps=2, eval_steps=4, share=share))
        found[share] = harness.run(recipe, tmp_path / str(share)).metrics
    assert found[1.0]["robust_loss"] < found[1e-6]["robust_loss"]
    assert all(each["robust_loss"] > each["loss"] for each in found.values())
