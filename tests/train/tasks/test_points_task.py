"""Classification of sets of points: what the network is given, and the loss of its matrix."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from train.config import Data, Model, RecipeError
from train.config.tasks.points import PointClassification as Settings
from train.data import load
from train.engine.console import Console
from train.engine.loop import fit
from train.recipes import get
from train.tasks import make_task, restore_task
from train.tasks.protocol import fitted

SOURCE = load(Data("points"), "test")


def batch_of(count=6):
    batch = {name: jnp.asarray(array) for name, array in SOURCE.read(range(count)).items()}
    return {**batch, "mask": jnp.arange(count) < count - 2}


def test_the_network_is_given_coordinates_about_the_centre_and_which_points_are_there():
    task, batch = make_task(Settings(), SOURCE), batch_of()
    points, valid = task.inputs(batch)
    np.testing.assert_array_equal(valid, batch["points"][..., 2] == 1)
    np.testing.assert_allclose(points, batch["points"][..., :2] / 4 - 1)
    assert np.abs(np.asarray(points)[np.asarray(valid)]).max() <= 1


def test_the_loss_is_cross_entropy_and_the_weighted_distance_of_the_matrix_from_a_turn():
    random, batch = np.random.default_rng(0), batch_of()
    task = make_task(Settings(orthogonality=0.5), SOURCE)
    logits, matrix = random.standard_normal((6, 10)).astype(np.float32), random.standard_normal((6, 4, 4))
    real = np.asarray(batch["mask"])
    chances = np.asarray(jax.nn.softmax(logits))[real]
    expected = sklearn.metrics.log_loss(np.asarray(batch["label"])[real], chances, labels=range(10))
    plain = task.objective(logits, batch)
    assert plain.mean() == pytest.approx(expected, rel=1e-5)
    distance = np.mean([np.linalg.norm(np.eye(4) - a @ a.T) ** 2 for a in matrix[real]])
    outputs = {"logits": logits, "transform": jnp.asarray(matrix, jnp.float32)}
    assert task.objective(outputs, batch).mean() == pytest.approx(expected + 0.5 * distance, rel=1e-5)
    totals = task.totals(outputs, batch)
    assert task.scores(totals)["loss"] == pytest.approx(expected, rel=1e-5)
    assert restore_task(Settings(), fitted(task)) == task


def test_examples_without_points_are_refused():
    task = make_task(Settings(), SOURCE)
    with pytest.raises(RecipeError, match="expected examples with points, found image"):
        task.check(load(Data("digits"), "test").spec, SOURCE.facts)
    flat = {**SOURCE.spec, "points": SOURCE.spec["points"]._replace(shape=(3,))}
    with pytest.raises(RecipeError, match=r"points as keypoints \(points, 3\)"):
        task.check(flat, SOURCE.facts)


@pytest.mark.slow  # a run: that sets of points are trained on, evaluated and shown; no picture is offered to predict
def test_a_run_learns_and_reports(tmp_path):
    small = Model("pointnet", options=("width=0.0625",))
    recipe = dataclasses.replace(get("points_pointnet"), model=small, epochs=4, eval_every=4)
    outcome = fit(recipe, tmp_path / "run", console=Console(quiet=True))
    assert outcome.metrics["accuracy"] > 0.3  # chance is 0.1
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"report.html", "model.safetensors", "confusion.png"} <= left
    assert "example.png" not in left
