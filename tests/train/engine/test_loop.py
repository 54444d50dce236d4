"""A run: what it does at which step, what it leaves in its folder, and that nothing but the recipe decides it."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

import zoo
from tests.train.harness import STEPS_PER_EPOCH, lines, recipe, run, saved
from train.config import DataError, Metric, Optimizer
from train.engine.evaluator import Evaluator
from train.engine.state import fingerprint
from train.store.checkpoint import Checkpoints
from train.store.workdir import Workdir

pytestmark = pytest.mark.usefixtures("runs")


def steps(path, kind):
    return [line["step"] for line in lines(path, kind)]


def test_a_run_leaves_its_recipe_metrics_weights_fingerprint_and_report(whole, data):
    path, outcome = whole
    assert Workdir(path).read_recipe() == recipe(data)
    assert Workdir(path).finished
    result = json.loads((path / "fingerprint.json").read_text())
    assert (result["fingerprint"], result["step"], result["metrics"]) == (outcome.fingerprint, 24, outcome.metrics)
    names = {"recipe.json", "metrics.jsonl", "tensorboard", "checkpoints", "fingerprint.json", "report.html"}
    assert {entry.name for entry in path.iterdir()} == names | {
        "model.safetensors",
        "model_ema.safetensors",
        "example.png",
    }


def test_the_exported_weights_are_the_final_variables(whole):
    path, outcome = whole
    weights = zoo.load_weights("tiny", path / "model.safetensors")
    step, variables, average = saved(path).load_variables()
    assert (step, fingerprint(weights), fingerprint(variables)) == (24, outcome.fingerprint, outcome.fingerprint)
    exported = zoo.load_weights("tiny", path / "model_ema.safetensors")
    assert fingerprint(exported) == fingerprint(average) != outcome.fingerprint


def test_every_step_is_in_one_line_and_the_held_out_split_is_evaluated_each_epoch(whole):
    path, _ = whole
    assert steps(path, "train") == [3, 6, 8, 11, 14, 16, 19, 22, 24]  # every third, and where something is saved
    assert steps(path, "eval") == [8, 16, 24]
    assert [line["epoch"] for line in lines(path, "eval")] == [1, 2, 3]
    first = lines(path, "train")[0]
    assert first.keys() >= {"loss", "accuracy", "learning_rate", "images_per_second"}
    assert {"loss", "accuracy", "ema_loss", "ema_accuracy", "best_accuracy"} <= lines(path, "eval")[0].keys()


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(whole, data, tmp_path):
    _, outcome = whole
    assert run(recipe(data), tmp_path / "again").fingerprint == outcome.fingerprint
    assert lines(tmp_path / "again", "eval") == lines(whole[0], "eval")
    assert run(recipe(data, seed=1), tmp_path / "other").fingerprint != outcome.fingerprint


def test_steps_override_epochs_and_the_last_step_is_evaluated_and_saved(data, tmp_path):
    path = tmp_path / "run"
    outcome = run(recipe(data, steps=19, eval_every=2, checkpoint_every=5), path)
    assert outcome.step == 19
    assert steps(path, "eval") == [16, 19]
    assert saved(path).steps() == [16, 19]
    assert steps(path, "train") == [3, 5, 8, 10, 13, 15, 16, 19]


def test_the_run_stops_early_and_keeps_the_best_checkpoint_beside_the_latest_two(data, tmp_path, monkeypatch):
    accuracies = iter([0.2, 0.6, 0.5, 0.6, 0.3, 0.9])  # an equal is no better
    monkeypatch.setattr(Evaluator, "summary", lambda *_, **__: {"loss": 1.0, "accuracy": next(accuracies)})
    path = tmp_path / "run"
    outcome = run(recipe(data, epochs=20, early_stop=3), path)
    assert outcome.step == 5 * STEPS_PER_EPOCH
    assert outcome.fingerprint is not None
    assert saved(path).steps() == [2 * STEPS_PER_EPOCH, 4 * STEPS_PER_EPOCH, 5 * STEPS_PER_EPOCH]
    assert saved(path).best_step() == 2 * STEPS_PER_EPOCH
    assert lines(path, "eval")[-1]["best_accuracy"] == 0.6


def test_an_evaluation_that_is_not_finite_is_never_the_best(data, tmp_path, monkeypatch):
    accuracies = iter([float("nan"), 0.5, float("nan")])
    monkeypatch.setattr(Evaluator, "summary", lambda *_, **__: {"loss": 1.0, "accuracy": next(accuracies)})
    run(recipe(data), tmp_path / "run")
    assert saved(tmp_path / "run").best_step() == 2 * STEPS_PER_EPOCH
    assert [line["best_accuracy"] for line in lines(tmp_path / "run", "eval")] == [None, 0.5, 0.5]


@pytest.mark.slow
def test_how_many_steps_a_dispatch_runs_does_not_change_the_result(data, tmp_path):
    results = []
    for steps_per_dispatch in (2, 5):
        path = tmp_path / str(steps_per_dispatch)
        results.append(run(recipe(data, steps_per_dispatch=steps_per_dispatch), path).fingerprint)
    assert results[0] == results[1]  # one program serves any number


def test_the_grain_pipeline_trains_too_in_an_order_of_its_own(whole, data, tmp_path):
    plain = recipe(data)
    grain = dataclasses.replace(plain, data=dataclasses.replace(plain.data, pipeline="grain"))
    outcome = run(grain, tmp_path / "run")
    assert outcome.step == whole[1].step
    assert outcome.fingerprint != whole[1].fingerprint


def test_a_regression_run_is_ranked_by_its_smallest_error(regression):
    errors = [line["mae"] for line in lines(regression, "eval")]
    checkpoints = Checkpoints(
        regression / "checkpoints", Metric("mae", "", higher_is_better=False), Workdir(regression).read_recipe()
    )
    assert checkpoints.best_step() == STEPS_PER_EPOCH * (1 + int(np.argmin(errors)))
    assert "ema_mae" not in lines(regression, "eval")[0]
    assert not (regression / "model_ema.safetensors").exists()


def test_a_step_waits_for_no_metric(data, tmp_path, monkeypatch):
    reads = []
    read = jax.device_get
    monkeypatch.setattr("train.engine.meter.jax.device_get", lambda tree: reads.append(tree) or read(tree))
    run(recipe(data, epochs=1, log_every=4), tmp_path / "run")
    assert sum(len(tree) for tree in reads if isinstance(tree, list)) == STEPS_PER_EPOCH
    assert steps(tmp_path / "run", "train") == [4, 8]


def test_a_recipe_that_fails_before_it_starts_leaves_no_folder(tmp_path):
    with pytest.raises(DataError, match="nothing"):
        run(recipe(tmp_path / "missing.npz"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_steps_that_fill_no_accumulation_are_applied_at_the_end_and_resuming_there_is_exact(data, tmp_path):
    changed = recipe(data, optimizer=Optimizer("adam", accumulate=3), steps=4, checkpoint_every=1)
    path = tmp_path / "run"
    expected = run(changed, path).fingerprint
    of_three, of_four = (saved(path).load_variables(step)[1]["params"] for step in (3, 4))
    assert fingerprint(of_three) != fingerprint(of_four)
    shutil.rmtree(path / "checkpoints" / "4")
    (path / "report.html").unlink()
    assert run(changed, path, resume=True).fingerprint == expected


def test_a_folder_says_whose_it_is_before_the_data_are_read(data, tmp_path, monkeypatch):
    path, found = tmp_path / "run", []
    path.mkdir()
    (path / ".recipe.json.17.part").write_text("{")  # of a run that was killed

    def refuse(recipe):
        found.extend([Workdir(path).read_recipe(), *(file.name for file in path.iterdir())])
        raise DataError("refused")

    monkeypatch.setattr("train.engine.loop.assemble", refuse)
    with pytest.raises(DataError, match="refused"):
        run(recipe(data), path)
    assert found == [recipe(data), "recipe.json"]
    assert not path.exists()


def test_who_watches_a_run_is_told_of_each_evaluation_and_changes_no_bits(whole, data, tmp_path):
    path, outcome = whole
    told = []
    watched = run(recipe(data), tmp_path / "run", watch=lambda evaluation: told.append(evaluation) is not None)
    assert (watched.fingerprint, watched.interrupted) == (outcome.fingerprint, False)
    assert [(each.number, each.step, each.is_last) for each in told] == [(1, 8, False), (2, 16, False), (3, 24, True)]
    for each, line in zip(told, lines(path, "eval"), strict=True):
        assert each.metrics == {name: line[name] for name in each.metrics}
    assert told[-1].metrics == outcome.metrics


@pytest.mark.parametrize("number", [2, 3])
def test_a_run_that_is_asked_to_stop_is_saved_and_goes_on_to_the_same_bits(number, whole, data, tmp_path):
    stopped = run(recipe(data), tmp_path / "run", watch=lambda evaluation: evaluation.number == number)
    assert (stopped.step, stopped.fingerprint, stopped.exit_code, stopped.interrupted) == (8 * number, None, 0, False)
    assert saved(tmp_path / "run").steps()[-1] == 8 * number
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert run(recipe(data), tmp_path / "run", resume=True).fingerprint == whole[1].fingerprint
    assert lines(tmp_path / "run", "eval") == lines(whole[0], "eval")


def test_who_watches_knows_an_early_stop_for_the_last_evaluation(data, tmp_path):
    told = []
    still = recipe(data, optimizer=Optimizer("sgd", learning_rate=0.0), epochs=9, early_stop=2)
    run(still, tmp_path / "run", watch=lambda evaluation: told.append(evaluation.is_last) is not None)
    assert told == [False, False, True]
