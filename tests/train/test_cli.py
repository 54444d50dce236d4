"""The command line: help that reads well, typos that are answered, exit codes, and no traceback."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import zoo
from tests.train import harness
from tests.train.harness import ROOT, begin, lines, recipe
from train import cli
from train.config import Classification, Recipe, flatten
from train.config.tasks.sphere import SphereClassification, SphereJoint
from train.engine.console import discard
from train.engine.loop import Outcome
from train.recipes import get
from train.store.workdir import Workdir


def call(capsys, *arguments):
    """The exit code and both outputs of a command, as a shell would see them; ends of lines are spaces."""
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as exit:  # tyro's
        code = exit.code
    printed = capsys.readouterr()
    return code, printed.out, re.sub(r"[\s│]+", " ", printed.err)


# ---- help ----


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


# ---- typos ----


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


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m train list | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_full_standard_error_ends_nothing(monkeypatch):
    with open("/dev/full", "w", buffering=1) as stream:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            cli._show_warning("something", UserWarning, "file.py", 1)
            assert cli.main(["fti"]) == 2
        discard(stream)


def test_standard_streams_that_are_closed_are_opened_to_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["--version"]) == 0
    assert sys.stdout.name == os.devnull
    sys.stdout.close()


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    def fail(arguments):
        raise ZeroDivisionError

    monkeypatch.setitem(cli.COMMANDS, "list", (fail, "", ""))
    with pytest.raises(ZeroDivisionError):
        cli.main(["list"])


def test_an_interrupt_is_exit_code_130_without_a_traceback(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "list", (interrupted, "", ""))
    assert call(capsys, "list") == (130, "", "stopped ")


# ---- commands ----


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


@pytest.mark.parametrize("command", [["fit", "digits_mlp"], ["resume"]], ids=" ".join)
def test_processes_meet_where_the_flags_say_or_else_the_environment(command, data, tmp_path, capsys, monkeypatch):
    met = []
    monkeypatch.setattr("jax.distributed.initialize", lambda *meeting, **_: met.append(meeting))
    monkeypatch.setattr("train.engine.loop.fit", lambda *_, **__: Outcome(1, {}, "f"))
    if command == ["resume"]:
        command = ["resume", begin(recipe(data), tmp_path / "run")]
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "there:2")
    assert call(capsys, *command, "--coordinator", "here:1", "--num-processes", "3", "--process-id", "2")[0] == 0
    assert call(capsys, *command)[0] == 0  # jax knows some clusters
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "0")
    assert call(capsys, *command)[0] == 0
    assert met == [("here:1", 3, 2), ("there:2", None, None), ("there:2", 2, 0)]
    monkeypatch.setenv("JAX_PROCESS_ID", "first")
    code, _, error = call(capsys, *command)
    assert (code, error) == (2, "error: JAX_NUM_PROCESSES, JAX_PROCESS_ID: expected whole numbers, got '2', 'first' ")
    monkeypatch.delenv("JAX_COORDINATOR_ADDRESS")
    code, _, error = call(capsys, *command)
    assert (code, "JAX_COORDINATOR_ADDRESS is missing" in error) == (2, True)


def test_processes_that_do_not_meet_are_an_error_of_one_line(capsys, monkeypatch):
    def fail(*_, heartbeat_timeout_seconds, shutdown_timeout_seconds):
        assert max(heartbeat_timeout_seconds, shutdown_timeout_seconds) < 90  # a lost one is not waited for longer
        raise RuntimeError("DEADLINE_EXCEEDED: no answer\nin many lines")

    monkeypatch.setattr("jax.distributed.initialize", fail)
    code, _, error = call(capsys, "fit", "--coordinator", "here:1", "--num-processes", "2", "--process-id", "1")
    assert (code, error) == (1, "error: the processes do not meet at here:1: DEADLINE_EXCEEDED: no answer ")


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


@pytest.mark.usefixtures("runs")
def test_two_interrupts_stop_a_run_in_the_middle_of_a_step_without_a_traceback(data, tmp_path):
    path = begin(recipe(data), tmp_path / "run")
    process = harness.start(["resume", str(path)], HARNESS_PAUSE="600")
    assert process.stderr.readline() == "step\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "\n"
    assert process.stderr.readline() == "SIGINT: stopping after this step; again to stop at once\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "stopped\n")
