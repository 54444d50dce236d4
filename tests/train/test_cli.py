"""The command line: help that reads well, typos that are answered, errors of one line and exit codes."""

import re
import subprocess
import sys

import numpy as np
import pytest

import zoo
from tests.train.command import call
from tests.train.harness import ROOT
from train import cli
from train.config import Recipe, flatten


def test_help_names_every_command_and_fits_a_terminal(capsys):
    code, out, _ = call(capsys, "--help")
    assert code == 0
    for command in cli.COMMANDS:
        assert re.search(rf"^  {command}\b", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 85


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name not in ("fit", "experiment")])
def test_every_command_has_help(command, capsys):
    code, out, _ = call(capsys, command, "--help")
    assert code == 0
    assert out.startswith(f"usage: python -m train {command}")
    assert max(map(len, out.splitlines())) <= 100


def test_help_of_a_recipe_explains_every_field_and_shows_its_value(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = call(capsys, "fit", "digits_mlp", "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    text = re.sub(r"[\s│]+", " ", out)
    assert "Trains mlp on digits." in text
    assert "--optimizer.learning-rate FLOAT The peak learning rate" in text
    assert "(default: 0.001)" in text
    for field in flatten(Recipe()).keys() - {"task.kind"}:
        option = "--" + field.replace("_", "-")
        explained = re.search(rf"{option}\b(?:, --\S+)? ((?:(?! --).)*) \(default: ", text)
        assert explained, option
        assert len(explained[1].split()) > 3, f"{option} is not explained"


def test_list_shows_every_recipe_and_experiment_in_full_at_80_columns(capsys, monkeypatch):
    from train.experiments import EXPERIMENTS
    from train.recipes import all_recipes

    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = call(capsys, "list")
    assert code == 0
    for name in (*all_recipes(), *EXPERIMENTS):
        assert f" {name} " in out


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], ("jax", "numpy", "rich")),
        (["list"], ("jax", "flax", "numpy", "PIL", "orbax", "optax", "matplotlib", "sklearn", "grain", "tensorboardX")),
    ],
)
def test_what_trains_nothing_starts_without_what_is_heavy(arguments, unwanted):
    script = f"import sys, train.cli as c; c.main({arguments}); print(*(m for m in {unwanted} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].strip() == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fti"], "no command 'fti'; nearest: fit"),
        (["digits_mlp"], "digits_mlp is a recipe: python -m train fit digits_mlp"),
        (["fit", "--epochs", "2", "digits_mlp"], "the recipe comes first: python -m train fit digits_mlp"),
        (["fit", "digits_mlp", "--name", "../up"], "out of range: name='../up'"),
        (["fit", "digits", "--model.name", "lenet5"], "model lenet5 with 8x8x1 images of digits: LeNet5 expected"),
        (["fit", "digit_mlp"], "no recipe 'digit_mlp'; nearest: digits_mlp"),
        (["fit", "digits_mlp", "--optimizer.learnin-rate", "1"], "Perhaps you meant: --optimizer.learning-rate"),
        (["--epohcs", "1"], "Perhaps you meant: --epochs"),
        (["fit", "digits_mlp", "--optimizer.name", "adma"], "invalid choice 'adma'"),
        (["fit", "digits_mlp", "--epochs", "many"], "Error parsing --epochs"),
        (["fit", "digits_mlp", "--epochs", "0"], "out of range: epochs=0"),
        (["fit", "digits_mlp", "--augment.erase", "2"], "out of range: augment.erase=2.0"),
        (["fit", "digits_mlp", "--model.name", "mpl"], "no model 'mpl'; nearest: mlp"),
        (["fit", "digits_mlp", "--model.options", "hiden=3"], "'hiden'; nearest: hidden"),
        (["fit", "digits_mlp", "--data.source", "digit"], "no data source 'digit'; nearest: digits"),
        (["fit", "digits_mlp", "--data.batch-size", "9999"], "data.batch_size: 9999 is more than the 1437 examples"),
        (["fit", "digits_mlp", "--task.kind", "sphere_clasification"], "nearest: sphere_classification"),
        (["fit", "digits_mlp", "--task.kind"], "--task.kind: expected the name of a task"),
        (["fit", "digits_mlp", "--task.dims", "3"], "--task.dims"),
        (["fit", "digits_mlp", "--task.kind", "regression"], "regression needs examples with a 'target'; digits"),
        (["experiment", "residul"], "no experiment 'residul'; nearest: residual"),
        (["fit", "digits_mlp", "--coordinator", "h:1", "--process-id", "0"], "--num-processes is missing"),
        (["resume", ".", "--num-processes", "2"], "--coordinator and --process-id is missing"),
        (["fit", "--coordinator", "h", "--num-processes", "2", "--process-id", "0"], "expected HOST:PORT, got 'h'"),
        (["fit", "--coordinator", "h:1", "--num-processes", "2", "--process-id", "2"], "--process-id: expected 0 to"),
        (["predict", "."], "predict .: expected one or more image files"),
        (["predict"], "predict WORKDIR: expected one or more image files"),
        (["predict", "--weights", "W", "--model.name", "mlp"], "predict --weights W: expected one or more image files"),
        (["predict", ".", "x.png", "--model.name", "mlp"], "--model.name goes with --weights; a run has its own"),
        (["evaluate"], "expected WORKDIR, or --weights with --model.name and --data.source"),
        (["evaluate", "--weights", "W"], "evaluate --weights W: expected --model.name and --data.source too"),
        (["evaluate", "run", "--weights", "W"], "run is of a run, --weights of none: leave out one of them"),
        (["evaluate", "--weights", "W", "--model.name", "mpl", "--data.source", "digits"], "nearest: mlp"),
        (["resume"], "WORKDIR"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_typo_is_answered_with_the_nearest_name_and_exit_code_2(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = call(capsys, *arguments)
    assert code == 2
    assert message in error
    assert "Traceback" not in error
    assert [path.name for path in tmp_path.rglob("*") if path.name != "runs"] == []


def test_what_cannot_be_read_is_an_error_of_one_line_and_exit_code_1(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for arguments, message in (
        (["resume", tmp_path / "none"], f"{tmp_path}/none holds no run: expected recipe.json in it"),
        (["rerun", tmp_path], "holds no run"),
        (["evaluate", tmp_path], "holds no run"),
        (["fit", "--data.source", f"npz:{tmp_path}/x.npz", "--workdir", tmp_path / "r"], "found nothing"),
        (["fit", "--workdir", "/proc/run"], "/proc/run"),
        (["fit", "--workdir", tmp_path / "file"], "file is a file: expected a folder, or none"),
    ):
        code, _, error = call(capsys, *arguments)
        assert (code, error.startswith("error: "), "Traceback" in error) == (1, True, False)
        assert message in error


def test_an_error_shows_names_as_they_are_written_and_not_as_a_terminal_obeys_them(tmp_path, capsys):
    np.savez(tmp_path / "x.npz", **{"\x1b[2Jimage": np.zeros((4, 8, 8, 1), np.uint8), "label": np.arange(4)})
    for arguments, shown in (
        (["resume", tmp_path / "\x1b[31mnone"], r"\x1b[31mnone holds no run"),
        (["fit", "--data.source", f"npz:{tmp_path}/x.npz", "--workdir", tmp_path / "r"], r"\x1b[2Jimage"),
    ):
        code, _, error = call(capsys, *arguments)
        assert (code, shown in error, "\x1b" in error) == (1, True, False)


def test_files_of_a_run_that_are_damaged_are_named(tmp_path, capsys):
    (tmp_path / "image.png").write_text("")
    for name in ("report.html", "fingerprint.json"):
        (tmp_path / name).write_text("{")
    (tmp_path / "recipe.json").write_text('{"recipe": {}}')
    for arguments, message in (
        (["rerun", tmp_path], "fingerprint.json is damaged: "),
        (["predict", tmp_path, tmp_path / "image.png"], "recipe.json does not say what the run learned"),
    ):
        code, _, error = call(capsys, *arguments)
        assert (code, message in error, "Traceback" in error) == (1, True, False)


def test_the_version_is_that_of_the_package(capsys):
    assert call(capsys, "--version")[:2] == (0, f"lecture-vision-zoo {zoo.__version__}\n")
