"""The course of a sweep: which runs it makes, how they end, and what is left when it is stopped, killed or shared."""

import contextlib
import dataclasses
import json
import os
import re
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.train import harness
from tests.train.command import call
from train.config import Optimizer, RecipeError, from_dict
from train.engine.console import Console
from train.engine.feed import MemoryFeed
from train.engine.loop import Evaluation, NonFiniteError, Outcome
from train.recipes import get
from train.store.journal import Journal
from train.store.workdir import Workdir, WorkdirError
from train.tuning import sweep as module
from train.tuning.search import parse, with_values
from train.tuning.sweep import Course, Sweep, run
from train.tuning.sweep_folder import SweepError
from train.tuning.trials import DIVERGED, FINISHED, INTERRUPTED, PRUNED, REFUSED
from zoo.names import UnknownNameError

QUIET = Console(quiet=True)
RATES = ("optimizer.learning_rate=log:1e-4..1",)

pytestmark = pytest.mark.usefixtures("runs")


@pytest.fixture
def recipe(data):
    """A recipe that three evaluations end."""
    return harness.recipe(data, optimizer=Optimizer("adam"))


def swept(recipe, texts=RATES, **options):
    return Sweep(recipe, recipe, parse(texts, recipe), **options)


def records_of(sweep, path):
    """The trials in a folder."""
    with contextlib.closing(Course(sweep, path, QUIET)) as course:
        return course.trials.records()


class Engine:
    """In place of the engine: a run's accuracy is a function of its learning rate and of which evaluation it is."""

    def __init__(self, accuracy, monkeypatch, loss=lambda rate: 1.0, draws=False):
        self.accuracy, self.loss, self.begun, self.finished = accuracy, loss, [], []
        monkeypatch.setattr(module, "fit", self.fit)
        if not draws:
            monkeypatch.setattr(Course, "_write_page", lambda *_: None)

    def fit(self, recipe, path, *, resume, console, watch=None):
        files = Workdir(path)
        path.mkdir(exist_ok=True)
        if watch is None:
            self.finished.append(path.name)
            return Outcome(24, {}, "f")
        self.begun.append((path.name, resume))
        files.write_card(recipe, {})
        files.checkpoints.mkdir(exist_ok=True)
        with contextlib.closing(Journal(path, 8 * len(self._done(files)) if resume else 0)) as journal:
            for number in range(len(self._done(files)) + 1, 4):
                rate = recipe.optimizer.learning_rate
                metrics = {"accuracy": self.accuracy(rate, number), "loss": self.loss(rate)}
                journal.write("eval", 8 * number, metrics)
                if watch(Evaluation(number, 8 * number, metrics, number == 3)):
                    break
        return Outcome(8 * number, metrics, None)

    def _done(self, files):
        return harness.lines(files.path, "eval") if files.metrics.exists() else []


def test_the_best_trial_is_a_run_of_its_recipe_and_finished_and_the_others_are_let_go(recipe, tmp_path, capsys):
    sweep, path = swept(recipe, trials=3, pruner="none"), tmp_path / "sweep"
    assert run(sweep, path) == 0
    records = records_of(sweep, path)
    assert [record.state for record in records] == [FINISHED] * 3
    best = max(records, key=lambda record: record.result)
    files = Workdir(path / best.folder)
    own = with_values(recipe, sweep.searches, best.values)
    assert files.read_recipe() == own
    again = harness.run(own, tmp_path / "again")
    assert files.read_fingerprint() == again.fingerprint
    assert best.result == again.metrics["accuracy"]
    assert best.course == {i: line["accuracy"] for i, line in enumerate(harness.lines(tmp_path / "again", "eval"), 1)}
    kept = {file.parent.name for file in path.glob("trial-*/checkpoints")}
    assert kept == {file.parent.name for file in path.glob("trial-*/model.safetensors")} == {best.folder}
    out = capsys.readouterr().out
    assert f"--optimizer.learning-rate {best.values['optimizer.learning_rate']!r}" in out.replace("\n", "")
    assert (path / "report.html").exists()
    assert not list((path / "workers").iterdir())


def test_trials_that_are_worse_than_the_median_stop_early(recipe, tmp_path, monkeypatch):
    engine = Engine(lambda rate, number: 1 - rate + number / 100, monkeypatch)
    sweep = swept(recipe, trials=14, startup=4, unpruned=1)
    assert run(sweep, tmp_path, QUIET) == 0
    records = records_of(sweep, tmp_path)
    assert [record.state for record in records[:4]] == [FINISHED] * 4
    for record in records:
        rate = record.values["optimizer.learning_rate"]
        assert record.course == {n: 1 - rate + n / 100 for n in range(1, len(record.course) + 1)}
        finished = sorted(
            other.values["optimizer.learning_rate"]
            for other in records
            if other.number < record.number and other.state == FINISHED
        )
        middle = len(finished) // 2
        median = (finished[middle] + finished[~middle]) / 2 if finished else 1
        worse = len(finished) >= 4 and rate > median
        assert (record.state, len(record.course)) == ((PRUNED, 2) if worse else (FINISHED, 3))
    assert {record.state for record in records} == {PRUNED, FINISHED}
    assert engine.finished == [max(records, key=lambda record: record.result).folder]


def test_a_finished_sweep_goes_on_with_more_trials_as_if_it_had_had_them(recipe, tmp_path, monkeypatch):
    Engine(lambda rate, number: 1 - rate, monkeypatch)
    run(swept(recipe, trials=8), tmp_path / "whole", QUIET)
    for trials in (3, 8, 8, 5):
        assert run(swept(recipe, trials=trials), tmp_path / "parts", QUIET) == 0
    whole, parts = (records_of(swept(recipe), tmp_path / name) for name in ("whole", "parts"))
    assert [(r.values, r.state, r.result) for r in parts] == [(r.values, r.state, r.result) for r in whole]


def test_runs_that_diverge_or_are_refused_are_noted_and_the_sweep_goes_on(recipe, tmp_path, monkeypatch, capsys):
    def accuracy(rate, number):
        if rate > 0.1:
            raise NonFiniteError("step 7: loss or gradient is not finite; rows of its batch of 8: 1 2")
        if rate > 0.01:
            raise RecipeError("too steep")
        return float("nan") if rate < 1e-3 else 1 - rate

    Engine(accuracy, monkeypatch)
    sweep = swept(recipe, trials=12)
    assert run(sweep, tmp_path) == 0
    states = {}
    for record in records_of(sweep, tmp_path):
        rate = record.values["optimizer.learning_rate"]
        expected = DIVERGED if rate > 0.1 or rate < 1e-3 else REFUSED if rate > 0.01 else FINISHED
        assert record.state == expected
        states[expected] = record.note
    assert len(states) == 3
    assert states[REFUSED] == "too steep"
    out = capsys.readouterr().out
    assert "diverged: step 7: loss or gradient is not finite  learning_rate" in out


def test_a_sweep_of_which_no_trial_came_to_its_end_says_so(recipe, tmp_path, monkeypatch, capsys):
    Engine(lambda rate, number: float("nan"), monkeypatch, draws=True)
    assert run(swept(recipe, trials=2), tmp_path) == 1
    assert "no trial came to its end" in capsys.readouterr().out
    assert "no trial came to its end" in (tmp_path / "report.html").read_text()


def test_an_error_of_the_disk_ends_the_sweep_and_the_trial_is_not_lost(recipe, tmp_path, monkeypatch, capsys):
    Engine(lambda rate, number: 1 - rate, monkeypatch)
    sweep = swept(recipe, trials=3)

    def full(*_, **__):
        raise WorkdirError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(module, "fit", full)
        with pytest.raises(WorkdirError):
            run(sweep, tmp_path, QUIET)
    assert run(sweep, tmp_path) == 0
    assert [record.state for record in records_of(sweep, tmp_path)] == [INTERRUPTED, *[FINISHED] * 3]
    assert "best of 3 trials" in capsys.readouterr().out


@pytest.mark.slow  # two sweeps that compile what they train
def test_an_interrupt_saves_the_trial_and_the_same_command_goes_on_to_the_same_bits(recipe, tmp_path, monkeypatch):
    sweep = swept(recipe, trials=1)
    assert run(sweep, tmp_path / "whole", QUIET) == 0
    with monkeypatch.context() as patch:
        harness.signal_at(patch, MemoryFeed, "advance", signal.SIGINT, call=12)
        assert run(sweep, tmp_path / "parts", QUIET) == 130
    stopped, _ = records_of(sweep, tmp_path / "parts")
    assert stopped.state == INTERRUPTED
    assert 1 <= len(stopped.course) < 3
    assert not list((tmp_path / "parts" / "workers").iterdir())
    assert run(sweep, tmp_path / "parts", QUIET) == 0
    (whole,), (_, resumed) = (records_of(sweep, tmp_path / name) for name in ("whole", "parts"))
    assert (resumed.values, resumed.course, resumed.folder) == (whole.values, whole.course, "trial-0")
    one, two = (Workdir(tmp_path / name / "trial-0").read_fingerprint() for name in ("whole", "parts"))
    assert one == two


def test_a_trial_that_goes_on_tells_of_its_evaluations_before(recipe, tmp_path, monkeypatch):
    engine = Engine(lambda rate, number: 1 - rate + number / 100, monkeypatch)
    sweep = swept(recipe, trials=1)
    accuracy = engine.accuracy

    def stopped(rate, number):
        if number == 3:
            raise KeyboardInterrupt
        return accuracy(rate, number)

    engine.accuracy = stopped
    with pytest.raises(KeyboardInterrupt):
        run(sweep, tmp_path, QUIET)
    engine.accuracy = accuracy
    assert run(sweep, tmp_path, QUIET) == 0
    assert engine.begun == [("trial-0", False), ("trial-0", True)]
    _, record = records_of(sweep, tmp_path)
    assert list(record.course) == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"trials": 0}, RecipeError, "trials: expected 1 or more, got 0"),
        ({"metric": "acuracy"}, UnknownNameError, "no metric 'acuracy'; nearest: accuracy"),
        ({"metric": "ema_accuracy"}, UnknownNameError, "no metric 'ema_accuracy'; nearest: accuracy"),
        ({"texts": ()}, RecipeError, "expected a field to search"),
        ({"texts": ("data.validation=0.1..0.2",)}, RecipeError, "data.validation: expected one value, got several"),
        ({"texts": ("model.options.dropuot=0..0.5",)}, UnknownNameError, "nearest: dropout"),
        ({"texts": ("model.name=tiny,lenet5",)}, RecipeError, "model.name=lenet5: model lenet5 with 8x8x1"),
        ({"storage": "nothing"}, SweepError, "storage nothing: "),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(options, error, message, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "fit", None)
    with pytest.raises((error, RecipeError)) as caught:
        run(swept(recipe, **options), tmp_path / "sweep", QUIET)
    assert message in str(caught.value)
    assert not (tmp_path / "sweep").exists()


def test_two_sweeps_of_one_name_in_one_database_are_kept_apart(recipe, tmp_path, monkeypatch):
    Engine(lambda rate, number: rate, monkeypatch)
    storage = f"sqlite:///{tmp_path}/all.db"
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    run(swept(recipe, trials=1, storage=storage), tmp_path / "a" / "sweep", QUIET)
    with pytest.raises(SweepError, match="holds another sweep sweep"):
        run(swept(dataclasses.replace(recipe, epochs=9), trials=1, storage=storage), tmp_path / "b" / "sweep", QUIET)
    assert not (tmp_path / "b" / "sweep").exists()
    assert not (tmp_path / "a" / "sweep" / "sweep.db").exists()


def test_a_sweep_goes_on_wherever_its_folder_is_moved(recipe, tmp_path, monkeypatch):
    Engine(lambda rate, number: 1 - rate, monkeypatch)
    run(swept(recipe, trials=2), tmp_path / "before", QUIET)
    (tmp_path / "before").rename(tmp_path / "after")
    run(swept(recipe, trials=3), tmp_path / "after", QUIET)
    assert len(records_of(swept(recipe), tmp_path / "after")) == 3
    monkeypatch.chdir(tmp_path / "after")
    assert len(records_of(swept(recipe), Path())) == 3


def test_a_folder_of_the_same_name_does_not_take_the_trials_of_another(recipe, tmp_path, monkeypatch):
    Engine(lambda rate, number: rate, monkeypatch)
    sweep = swept(recipe, trials=1, storage=f"sqlite:///{tmp_path}/all.db")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    run(sweep, tmp_path / "a" / "sweep", QUIET)
    with pytest.raises(SweepError, match="holds a sweep sweep of another folder"):
        run(sweep, tmp_path / "b" / "sweep", QUIET)
    assert not (tmp_path / "b" / "sweep").exists()
    assert run(sweep, tmp_path / "a" / "sweep", QUIET) == 0


def test_a_trial_that_lacks_the_metric_is_refused_and_the_others_go_on(recipe, tmp_path, monkeypatch):
    class WithAverage(Engine):
        def fit(self, recipe, path, *, watch=None, **options):
            def told(evaluation):
                if recipe.optimizer.ema is not None:
                    evaluation.metrics["ema_accuracy"] = 0.5
                return watch(evaluation)

            return super().fit(recipe, path, watch=None if watch is None else told, **options)

    WithAverage(lambda rate, number: 0.25, monkeypatch)
    averaged = dataclasses.replace(recipe, optimizer=Optimizer("adam", ema=0.9))
    sweep = swept(averaged, ("optimizer.ema=none,0.9",), trials=6, metric="ema_accuracy")
    assert run(sweep, tmp_path, QUIET) == 0
    records = records_of(sweep, tmp_path)
    for record in records:
        expected = REFUSED if record.values["optimizer.ema"] == "none" else FINISHED
        assert record.state == expected
    assert {record.note for record in records} == {"", "it has no metric ema_accuracy"}


def test_a_database_that_fails_on_the_way_is_said_in_a_line_without_its_password(recipe, tmp_path, monkeypatch):
    def lost(rate, number):
        with contextlib.closing(sqlite3.connect(tmp_path / "sweep" / "sweep.db")) as database:
            database.executescript("drop table trial_intermediate_values")
        return rate

    Engine(lost, monkeypatch)
    with pytest.raises(SweepError, match=r"storage .*sweep\.db: .*no such table"):
        run(swept(recipe, trials=1), tmp_path / "sweep", QUIET)
    with pytest.raises(SweepError) as caught:
        run(swept(recipe, storage="postgresql+no://me:secret@host/db"), tmp_path / "other", QUIET)
    assert "me:***@host" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_another_metric_ranks_in_its_own_direction(recipe, tmp_path, monkeypatch):
    Engine(lambda rate, number: 0.5, monkeypatch, loss=lambda rate: rate)
    sweep = swept(recipe, trials=5, metric="loss")
    assert run(sweep, tmp_path, QUIET) == 0
    with contextlib.closing(Course(sweep, tmp_path, QUIET)) as course:
        rates = [record.values["optimizer.learning_rate"] for record in course.trials.records()]
        assert course.trials.best().values["optimizer.learning_rate"] == min(rates)


def test_a_folder_of_another_sweep_or_of_something_else_is_refused(recipe, tmp_path, monkeypatch):
    Engine(lambda rate, number: rate, monkeypatch)
    run(swept(recipe, trials=1), tmp_path / "sweep", QUIET)
    with pytest.raises(SweepError) as caught:
        run(swept(dataclasses.replace(recipe, epochs=9), trials=1), tmp_path / "sweep", QUIET)
    assert str(caught.value).endswith("recipe.epochs: 3 -> 9")
    with pytest.raises(SweepError, match="search: "):
        run(swept(recipe, ("optimizer.learning_rate=0..1",)), tmp_path / "sweep", QUIET)
    with pytest.raises(SweepError, match="not empty and holds no sweep"):
        run(swept(recipe), tmp_path, QUIET)
    assert not (tmp_path / ".lock").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(SweepError, match="is a file"):
        run(swept(recipe), tmp_path / "file", QUIET)
    (tmp_path / "sweep" / "sweep.json").write_text("{")
    with pytest.raises(SweepError, match="damaged"):
        run(swept(recipe), tmp_path / "sweep", QUIET)


def test_a_sweep_of_a_time_when_recipes_had_fewer_fields_goes_on(recipe, tmp_path, monkeypatch):
    Engine(lambda rate, number: rate, monkeypatch)
    run(swept(recipe, trials=1), tmp_path, QUIET)
    card = json.loads((tmp_path / "sweep.json").read_text())
    del card["recipe"]["data"]["validation"]
    (tmp_path / "sweep.json").write_text(json.dumps(card))
    assert run(swept(recipe, trials=2), tmp_path, QUIET) == 0
    assert len(records_of(swept(recipe, trials=2), tmp_path)) == 2


def test_by_default_each_sweep_has_a_folder_of_its_name_and_goes_on_there(recipe, tmp_path, monkeypatch):
    Engine(lambda rate, number: rate, monkeypatch)
    monkeypatch.chdir(tmp_path)
    for texts in (RATES, RATES, ("optimizer.learning_rate=0..1",), RATES):
        assert run(swept(recipe, texts, trials=1), console=QUIET) == 0
    assert sorted(path.name for path in Path("sweeps").glob("[!.]*")) == [recipe.name, f"{recipe.name}-2"]


def test_the_command_line_sweeps_a_recipe_with_options_that_stay(data, tmp_path, monkeypatch, capsys):
    Engine(lambda rate, number: 1 - rate, monkeypatch)
    monkeypatch.chdir(tmp_path)
    fixed = ["--data.source", f"npz:{data}", "--data.batch-size", "8", "--seed", "3", "--epochs", "2"]
    several = ["--search", "optimizer.learning-rate=log:1e-4..1", "--trials", "2", "--search=epochs=2..4"]
    code, out, error = call(capsys, "sweep", "digits_mlp", *fixed, *several, "--model.options", "hidden=(4,)")
    assert (code, error) == (0, "")
    card = json.loads(Path("sweeps/digits_mlp/sweep.json").read_text())
    assert card["search"] == ["optimizer.learning_rate=log:0.0001..1.0", "epochs=2..4"]
    assert (card["recipe"]["seed"], card["recipe"]["model"]["options"]) == (3, ["hidden=(4,)"])
    command = re.search(r"^python -m train fit digits_mlp .*$", out, re.M)[0]
    assert f"--data.source npz:{data}" in command
    assert "--seed 3" in command


def test_who_chooses_on_what_was_set_aside_then_learns_from_all(recipe, tmp_path, monkeypatch):
    Engine(lambda rate, number: 1 - rate, monkeypatch)
    part = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, validation=0.25))
    sweep = dataclasses.replace(swept(recipe, trials=1), recipe=part)
    with contextlib.closing(Course(sweep, tmp_path / "sweep", QUIET)) as course:
        with course.folder.at_work() as worker:
            course.go(course.trials.ask(worker, 1))
        assert Workdir(tmp_path / "sweep" / "trial-0").read_recipe().data.validation == 0.25
        assert "validation" not in course.command(course.trials.best())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "sweep: expected a recipe first"),
        (["digits_mpl", "--search", "epochs=1..2"], "no recipe 'digits_mpl'; nearest: digits_mlp"),
        (["digits_mlp"], "expected --search FIELD=SPACE"),
        (["digits_mlp", "--search", "epohcs=1..2"], "nearest: epochs"),
        (["digits_mlp", "--search", "epochs=1..2", "--trials", "many"], "Error parsing --trials"),
        (["digits_mlp", "--search", "epochs=1..2", "--at-once", "optimizer.learning_rate=1,2"], "expected --search"),
        (["digits_mlp", "--at-once", "optimizer.learning_rate=1,2", "--trials", "3"], "--trials is of --search"),
        (["digits_mlp", "--at-once", "epochs=1,2"], "--at-once: expected optimizer.learning_rate=X,Y"),
        (["digits_mlp", "--at-once", "optimizer.learning_rate=1,1"], "--at-once: expected optimizer.learning_rate=X,Y"),
    ],
)
def test_a_wrong_command_is_answered_in_a_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = call(capsys, "sweep", *arguments)
    assert code == 2
    assert message in error
    assert not list(tmp_path.iterdir())


def arguments(data, path, trials):
    searched = ["--search", *RATES, "--trials", str(trials), "--startup", "2", "--workdir", str(path)]
    fixed = ["--model.name", "tiny", "--data.source", f"npz:{data}", "--data.batch-size", "8"]
    length = ["--data.eval-batch-size", "8", "--epochs", "4", "--eval-every", "1"]
    return ["sweep", "digits_mlp", *fixed, *length, *searched]


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def states_in(path):
    """The trials in a folder, as a process that comes now sees them."""
    recipe = from_dict(json.loads((path / "sweep.json").read_text())["recipe"])
    return records_of(Sweep(get("digits_mlp"), recipe, parse(RATES, recipe), startup=2), path)


@pytest.mark.slow  # three processes that compile what they train
def test_a_sweep_that_is_killed_goes_on_where_it_was(data, tmp_path):
    path = tmp_path / "killed"
    for name in ("whole", "killed"):
        process = harness.start(arguments(data, tmp_path / name, 3), HARNESS_PAUSE="0.1")
        if name == "killed":
            wait_for(lambda: any((path / "trial-1").glob("checkpoints/*/seal.json")))
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=300)
    process = harness.start(arguments(data, path, 3))
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    whole, killed = states_in(tmp_path / "whole"), states_in(path)
    assert [record.state for record in killed].count(INTERRUPTED) == 1
    ended = [record for record in killed if record.state != INTERRUPTED]
    assert [(r.values, r.state, dict(r.course)) for r in ended] == [(r.values, r.state, dict(r.course)) for r in whole]
    assert killed[2].folder == killed[1].folder == "trial-1"


@pytest.mark.slow  # two processes that compile what they train
def test_processes_that_start_together_share_the_trials(data, tmp_path):
    path = tmp_path / "shared"
    processes = [harness.start(arguments(data, path, 6)) for _ in range(2)]
    outs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outs
    records = states_in(path)
    assert len(records) == 6
    assert {record.state for record in records} <= {FINISHED, PRUNED}
    assert len({record.values["optimizer.learning_rate"] for record in records}) == 6
    did = [set(re.findall(r"^trial (\d+):", out, re.M)) for out, _ in outs]
    assert did[0] | did[1] == {str(number) for number in range(6)}
    assert not did[0] & did[1]
    assert all(did)
    assert len(list(path.glob("trial-*/model.safetensors"))) == 1
