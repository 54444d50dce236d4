"""FCN-32s against 16s and 8s: what differs between the arms, and what numbers made by hand come to."""

import dataclasses
import importlib
import math

import jax
import numpy as np
import pytest
from skimage.measure import block_reduce
from sklearn import metrics

from train.config.tasks.segmentation import Segmentation
from train.experiments import EXPERIMENTS, SeededOptions
from train.experiments.dense import fcn as experiment
from train.experiments.study import Result
from train.tasks.segmentation.task import Segmentation as Task
from zoo.nn.resize import resize

scenes = importlib.import_module("train.data.sources.scenes")  # beside a function of that name
BOUNDS = {1: experiment.BOUNDS[experiment.FINE], 2: experiment.BOUNDS[experiment.MIDDLE]}
BOUNDS |= {4: experiment.BOUNDS[experiment.COARSE], 8: 38.8, 16: 10.8, 32: 7.9}
"""By stride; those of the chapter's README."""


def results(*rows):
    """Two seeds a point apart, in percent as in the table; a row an arm."""
    return {
        arm: Result(
            {
                name: [value / 100 - 0.005, value / 100 + 0.005]
                for name, value in zip(experiment.COLUMNS.values(), row, strict=True)
            }
        )
        for arm, row in zip(experiment.RECIPES, rows, strict=True)
    }


STORY = ((59.4, 89.1, 20.0), (62.4, 90.0, 24.0), (62.7, 90.3, 25.0))


def test_nothing_but_the_scored_maps_differs():
    study = experiment.study(SeededOptions(seed=3))
    assert (study.name in EXPERIMENTS, study.first, study.seeds) == (True, 3, 2)
    maps = [recipe.task.maps for recipe in study.arms.values()]
    assert maps == [("stage3",), ("stage2", "stage3"), ("stage1", "stage2", "stage3")]
    tasks = [dataclasses.replace(recipe.task, maps=()) for recipe in study.arms.values()]
    assert set(tasks) == {Segmentation(trimap=1)}
    same = {dataclasses.replace(recipe, name="same", task=Segmentation()) for recipe in study.arms.values()}
    assert len(same) == 1
    paper = experiment.recipes_of(SeededOptions(scale="paper"))
    assert [recipe.epochs for recipe in paper.values()] == [2 * recipe.epochs for recipe in study.arms.values()]
    known = {metric.name for metric in Task(("a", "b"), None, -1, trimap=1).metrics}
    assert set(experiment.COLUMNS.values()) <= known


def test_the_papers_story_from_coarse_to_fine_is_a_verdict_of_yes():
    assert list(experiment.claims(results(*STORY)).values()) == [True] * 5
    assert list(experiment.claims(results(*reversed(STORY))).values()) == [False] * 5
    blurred = (*STORY[:2], (62.7, 90.3, 23.0))
    assert list(experiment.claims(results(*blurred)).values()) == [True, True, True, False, False]
    diverged = {**results(*STORY), experiment.FINE: Result({name: [math.nan] for name in experiment.COLUMNS.values()})}
    assert list(experiment.claims(diverged).values()) == [True, False, True, False, False]
    assert "diverged" in experiment.table(diverged)
    experiment.figure(diverged)


def test_table_and_figure_go_from_coarse_to_fine():
    ours, theirs = experiment.table(results(*STORY)).split("\n\n")
    lines = ours.splitlines()
    assert lines[2] == "| FCN-32s | 59.4 ± 0.7 | 89.1 ± 0.7 | 20.0 ± 0.7 | 72.6 |"
    assert lines[-2:] == [
        "| from FCN-32s to FCN-16s | +3.0 | +0.9 | +4.0 | +19.9 |",
        "| from FCN-16s to FCN-8s | +0.3 | +0.3 | +1.0 | +7.5 |",
    ]
    assert theirs.splitlines()[-1] == "| FCN-8s | 62.7 | 90.3 |"
    bars = experiment.figure(results(*STORY)).axes[0].patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], np.ravel(STORY), rtol=1e-6)


@pytest.mark.slow  # paints all test scenes
def test_bounds_are_those_of_the_scenes_label_maps():
    true = scenes._composed("test", scenes.COUNTS["test"])["label_map"]
    one_hot = np.eye(scenes.BACKGROUND + 1, dtype=np.float32)[true]
    for stride, expected in BOUNDS.items():
        coarse = block_reduce(one_hot, (1, stride, stride, 1), np.mean)
        guess = np.asarray(jax.jit(resize, static_argnums=1)(coarse, true.shape[1:])).argmax(axis=-1)
        bound = 100 * metrics.jaccard_score(true.ravel(), guess.ravel(), average="macro")
        assert bound == pytest.approx(expected, abs=0.05)
