"""Learning rates at once as the trials of a sweep: the best of them, the command, and rates that join later."""

import contextlib
import math
import re

import pytest

from tests.train import harness
from tests.train.command import call
from train.config import Optimizer
from train.engine.console import Console
from train.engine.loop import Outcome
from train.engine.trained import Trained
from train.tuning import at_once
from train.tuning.at_once import FIELD, AtOnce, rates_of, run_at_once
from train.tuning.search import Range
from train.tuning.sweep import Course
from train.tuning.trials import DIVERGED, FINISHED

QUIET = Console(quiet=True)

pytestmark = pytest.mark.usefixtures("runs")


@pytest.fixture
def recipe(data):
    return harness.recipe(data, optimizer=Optimizer("adam"))


def records_of(recipe, path, low, high):
    with contextlib.closing(
        Course(AtOnce(recipe, recipe, (Range(FIELD, low, high, log=True),)), path, QUIET)
    ) as course:
        return course.trials.records()


def test_rates_become_trials_and_more_may_join_them(recipe, tmp_path, monkeypatch):
    asked = []

    def train(recipe, rates, path, console):
        asked.append(rates)
        for rate in rates:
            (path / f"rate-{rate!r}.safetensors").write_text("")
            diverged = "step 3: not finite" if rate > 1 else ""
            accuracy = math.nan if diverged else 1 - abs(rate - 0.3)
            yield rate, Trained({"accuracy": accuracy}, [(i, 1 / i) for i in range(1, 999)], 9, 1.5, diverged)

    monkeypatch.setattr(at_once, "train_rates", train)
    path = tmp_path / "sweep"
    assert run_at_once(recipe, recipe, (0.01, 0.2, 9.0), path, console=QUIET) == 0
    assert run_at_once(recipe, recipe, (0.2, 0.3), path, console=QUIET) == 0
    assert run_at_once(recipe, recipe, (0.3,), path, console=QUIET) == 0
    assert asked == [[0.01, 0.2, 9.0], [0.3]]
    records = records_of(recipe, path, 0.01, 9.0)
    assert [record.values[FIELD] for record in records] == [0.01, 0.2, 9.0, 0.3]
    assert [record.state for record in records] == [FINISHED, FINISHED, DIVERGED, FINISHED]
    assert [record.seconds for record in records] == [1.5] * 4
    assert records[3].folder == "rate-0.3.safetensors"
    assert len(records[0].losses) <= at_once.POINTS
    page = (path / "report.html").read_text()
    assert "--optimizer.learning-rate 0.3" in page
    assert "step 3: not finite" in page
    assert (path / "losses.png").exists()


@pytest.mark.slow  # compiles what it trains, and draws a page
def test_the_command_line_trains_rates_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    length = ["--steps", "4", "--data.limit", "128", "--model.options", "hidden=(4,)"]
    code, out, error = call(capsys, "sweep", "digits_mlp", "--at-once", f"{FIELD}=1e-5,0.02,0.3", *length)
    assert (code, error) == (0, "")
    assert "rate-1e-05, rate-0.02, rate-0.3 side by side" in out
    folder = tmp_path / "sweeps" / "digits_mlp-at-once"
    assert {file.name for file in folder.glob("*.safetensors")} == {
        "rate-1e-05.safetensors",
        "rate-0.02.safetensors",
        "rate-0.3.safetensors",
    }
    command = re.search(r"^python -m train (fit .*)$", out, re.M)[1]
    seen = []
    monkeypatch.setattr("train.engine.loop.fit", lambda recipe, path: seen.append(recipe) or Outcome(1, {}, "f"))
    assert call(capsys, *command.replace("'", "").split())[0] == 0
    assert seen[0].steps == 4
    assert seen[0].optimizer.learning_rate in (0.02, 0.3)


def test_rates_are_read_as_a_person_types_them(recipe):
    assert rates_of(["optimizer.learning-rate=1e-3, .5"], recipe) == (1e-3, 0.5)
