"""One network for four outputs against four: what differs between the arms, and what made-up numbers come to."""

import dataclasses
import math

import numpy as np

from train.config.tasks.surfaces import Surfaces
from train.experiments import EXPERIMENTS, SeededOptions
from train.experiments.dense import one_output_or_all as experiment
from train.experiments.study import Result
from train.tasks.surfaces.task import CONSTANT, METRICS

ALONE = {"depth": 0.05, "normals": 6.0, "reflectance": 0.02, "shading": 0.01}


def results(times=1.0, parameters=100):
    """Two seeds; the errors of the network of all are so many times as large."""

    def metrics(names, times):
        errors = {METRICS[name][0].name: [0.9 * times * ALONE[name], 1.1 * times * ALONE[name]] for name in names}
        constants = {METRICS[name][0].name + CONSTANT: [10 * ALONE[name]] * 2 for name in names}
        return errors | constants

    arms = {name: Result(metrics((name,), 1.0), (), parameters, 40.0) for name in ALONE}
    return {**arms, experiment.EVERY: Result(metrics(ALONE, times), (), 120, 60.0)}


def test_nothing_but_the_outputs_differs():
    study = experiment.study(SeededOptions(seed=3))
    assert (study.name in EXPERIMENTS, study.first, study.seeds) == (True, 3, 2)
    assert {arm: recipe.task.maps for arm, recipe in study.arms.items()} == {
        **{name: (name,) for name in ALONE},
        experiment.EVERY: tuple(ALONE),
    }
    same = {dataclasses.replace(recipe, name="same", task=Surfaces()) for recipe in study.arms.values()}
    assert len(same) == 1
    whole = study.arms[experiment.EVERY].task
    assert [study.arms[name].task.weights for name in ALONE] == [(weight,) for weight in whole.weights]
    assert {name: metric for name, (metric, _, _) in experiment.ERRORS.items()} == {
        name: METRICS[name][0].name for name in ALONE
    }
    assert experiment.CONSTANT == CONSTANT


def test_sharing_holds_up_to_a_quarter_more_error_and_half_of_the_parameters():
    assert all(experiment.claims(results(1.2)).values())
    assert list(experiment.claims(results(1.3, parameters=50)).values()) == [False] * 5
    diverged = results()
    diverged["normals"] = Result({**diverged["normals"].metrics, "angle": [6.0, math.nan]})
    assert [*experiment.claims(diverged).values()][:4] == [True, False, True, True]
    assert "diverged" in experiment.table(diverged)
    experiment.figure(diverged)


def test_table_and_figure_have_the_errors_beside_those_of_constants():
    lines = experiment.table(results(1.2)).splitlines()
    assert "| relative error of depth (%) | 5.00 ± 0.71 | 6.00 ± 0.85 | 1.20 | 50.0 |" in lines
    assert "| parameters | 400 | 120 | 0.30 | 0 |" in lines
    assert "| seconds of training | 160 | 60 | 0.38 | 0 |" in lines
    bars = experiment.figure(results(1.2)).axes[0].patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], [10] * 4 + [12] * 4)
