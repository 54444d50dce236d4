"""Commands that make a run or use one: fit, evaluate, resume and rerun, and where their folders are."""

import dataclasses
import json
import re

import pytest

from tests.train.command import call
from tests.train.harness import lines
from train import cli
from train.config import Classification
from train.config.tasks.sphere import SphereClassification, SphereJoint
from train.engine.loop import Outcome
from train.recipes import get
from train.store.workdir import Workdir


@pytest.mark.usefixtures("runs")
def test_fit_takes_fields_of_the_recipe_and_counts_up_its_folders(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--data.source", f"npz:{data}", "--data.batch-size", "8", "--data.eval-batch-size", "8"]
    options += ["--steps", "4", "--model.options", "hidden=(4,)", "activation=tanh"]
    for folder in ("digits_mlp", "digits_mlp-2"):
        code, out, error = call(capsys, "fit", "digits_mlp", *options)
        assert (code, error) == (0, "")
        written = Workdir(tmp_path / "runs" / folder).read_recipe()
        assert (written.steps, written.model.options) == (4, ("hidden=(4,)", "activation=tanh"))
    assert "step 4" in out
    assert f"runs/{folder}/report.html" in out
    code, _, error = call(capsys, "fit", "digits_mlp", *options, "--workdir", "runs/digits_mlp", "--seed", "1")
    assert code == 1
    assert "seed: 0 -> 1" in error


@pytest.mark.usefixtures("runs")
def test_options_of_a_recipes_model_are_not_those_of_another_one(capsys, monkeypatch):
    seen = []
    monkeypatch.setattr("train.engine.loop.fit", lambda recipe, path: seen.append(recipe.model) or Outcome(1, {}, "f"))
    own = get("digits").model.options
    assert own
    for arguments in (
        [],
        ["--model.name", "cifar_resnet8"],
        ["--model.name=lenet5"],
        ["--model.name", "cifar_resnet20"],
    ):
        assert call(capsys, "fit", "digits", "--seed", "1", *arguments)[0] == 0
    assert call(capsys, "fit", "digits", "--model.name", "mlp", "--model.options", "hidden=(4,)")[0] == 0
    found = [(model.name, model.options) for model in seen]
    of_others = [("lenet5", ()), ("cifar_resnet20", ()), ("mlp", ("hidden=(4,)",))]
    assert found == [("cifar_resnet8", own), ("cifar_resnet8", own), *of_others]


@pytest.mark.usefixtures("runs")
def test_without_a_command_the_default_recipe_is_trained(capsys, monkeypatch):
    seen = []
    monkeypatch.setattr("train.engine.loop.fit", lambda recipe, path: seen.append(recipe) or Outcome(1, {}, "f"))
    assert call(capsys)[0] == 0
    assert call(capsys, "--epochs", "1")[0] == 0
    assert call(capsys, "fit", "--epochs", "2")[0] == 0
    default = get(cli.DEFAULT_RECIPE)
    assert seen == [default, dataclasses.replace(default, epochs=1), dataclasses.replace(default, epochs=2)]


@pytest.mark.usefixtures("runs")
def test_fit_takes_another_task_and_its_settings(capsys, monkeypatch):
    seen = []
    monkeypatch.setattr("train.engine.loop.fit", lambda recipe, path: seen.append(recipe.task) or Outcome(1, {}, "f"))
    for arguments in (["--task.kind", "sphere_classification", "--task.dims", "5"], ["--task.kind=sphere_joint"]):
        assert call(capsys, "fit", "digits", *arguments)[0] == 0
    assert call(capsys, "fit", "digits", "--task.kind", "classification", "--task.label-smoothing", "0.1")[0] == 0
    assert seen == [SphereClassification(dims=5), SphereJoint(), Classification(label_smoothing=0.1)]
    help_of_task = call(capsys, "fit", "digits", "--task.kind", "sphere_regression", "--help")[1]
    assert "--task.bounds" in help_of_task
    assert "--task.label-smoothing" not in help_of_task


@pytest.fixture
def homeless(monkeypatch):
    """Nobody has this number, as in a container that runs as another user."""
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    for name in ("HOME", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_home_folder_programs_are_compiled_anew(homeless, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("train.engine.loop.fit", lambda *_, **__: Outcome(1, {}, "f"))
    assert call(capsys, "fit", "digits_mlp", "--workdir", tmp_path / "run") == (0, "", "")
    code, _, error = call(capsys, "fit", "digits_mlp", "--workdir", "~/run")
    assert (code, error) == (2, "error: ~/run: there is no home folder; expected a path without ~ ")


def test_the_home_folder_is_meant_by_a_tilde_that_no_shell_expanded(capsys, monkeypatch, tmp_path):
    paths = []
    monkeypatch.setattr("train.engine.loop.fit", lambda recipe, path: paths.append(path) or Outcome(1, {}, "f"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert call(capsys, "fit", "digits_mlp", "--workdir=~/run")[0] == 0
    assert paths == [tmp_path / "run"]
    assert f"{tmp_path}/none holds no run" in call(capsys, "resume", "~/none")[2]


@pytest.mark.usefixtures("runs")
def test_evaluate_and_resume_of_a_finished_run(whole, capsys):
    path, outcome = whole
    code, out, _ = call(capsys, "evaluate", path)
    assert code == 0
    assert re.search(rf"accuracy\W+{100 * outcome.metrics['accuracy']:.2f} %", out)
    assert re.search(rf"ema accuracy\W+{100 * outcome.metrics['ema_accuracy']:.2f} %", out)
    code, out, _ = call(capsys, "resume", path)
    assert code == 0
    assert f"{path} is finished: nothing to resume" in out


@pytest.mark.usefixtures("runs")
def test_rerun_says_whether_the_bits_are_the_same(whole, data, tmp_path, capsys):
    path = tmp_path / "copy"
    path.mkdir()
    for name in ("recipe.json", "fingerprint.json", "report.html"):
        (path / name).write_bytes((whole[0] / name).read_bytes())
    code, out, _ = call(capsys, "rerun", path)
    assert code == 0
    assert f"identical, bit for bit: {whole[1].fingerprint}" in out
    assert lines(tmp_path / "copy-rerun", "eval") == lines(whole[0], "eval")
    (path / "fingerprint.json").write_text(json.dumps({"fingerprint": "abc"}))
    card = Workdir(path).read_card()
    card["versions"]["jax"] = "0.1"
    Workdir(path).card.write_text(json.dumps(card))
    code, out, _ = call(capsys, "rerun", path)
    assert code == 1
    assert f"different: abc was, {whole[1].fingerprint} is" in out
    assert "jax: 0.1 -> " in out
