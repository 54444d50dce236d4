"""Trials in the database: which are drawn, pruned and counted, whatever becomes of the processes that run them."""

import contextlib
import math
import sqlite3
import sys

import numpy as np
import pytest

from train.tuning import trials as module
from train.tuning.search import Choices, Range
from train.tuning.sweep_folder import SweepError, SweepFolder
from train.tuning.trials import (
    DIVERGED,
    FINISHED,
    INTERRUPTED,
    PRUNED,
    REFUSED,
    RUNNING,
    WAITING,
    Plan,
    Trials,
)

RATE = Range("rate", 1e-4, 1.0, log=True)
SEARCHES = (RATE, Range("width", 1, 9, whole=True), Choices("kind", ("a", "b")))


def plan(**changes):
    return Plan("some", SEARCHES, False, 0, 4, 0, True)._replace(**changes)


@pytest.fixture
def opened(tmp_path):
    """Opens the trials of a sweep, in memory or in its folder, as often as asked; each is closed at the end."""
    with contextlib.ExitStack() as stack:

        def trials(name="", **changes):
            folder = SweepFolder(tmp_path / name)
            folder.path.mkdir(exist_ok=True)
            storage = None if name else "sqlite://"
            return stack.enter_context(contextlib.closing(Trials(storage, plan(**changes), folder)))

        yield trials


def error(values):
    """Smallest at a rate of 0.01, a width of 3 and the kind b."""
    return math.log10(values["rate"] / 0.01) ** 2 + 0.1 * abs(values["width"] - 3) + (values["kind"] == "a")


def drawn(trials, count, seen=None):
    """Runs trials until there are so many; what each drew."""
    values = [] if seen is None else seen
    while (trial := trials.ask("", count)) is not None:
        values.append(dict(trial.params))
        trials.finish(trial, error(trial.params))
    return values


def test_draws_lie_in_their_spaces_and_depend_on_the_seed_alone(opened):
    one, two, other = drawn(opened(), 8), drawn(opened(), 8), drawn(opened(seed=1), 8)
    assert one == two != other
    for values in one:
        assert 1e-4 <= values["rate"] <= 1
        assert values["width"] in range(1, 10)
        assert values["kind"] in ("a", "b")
    assert len({values["rate"] for values in one}) == 8
    quantiles = [math.log10(values["rate"]) / 4 + 1 for values in one[:4]]
    assert not np.allclose(quantiles, [(values["width"] - 1) / 8 for values in one[:4]], atol=0.1)  # not one number


@pytest.mark.slow  # thirty trials, each fitted to those before
def test_the_sampler_finds_better_values_than_chance(opened):
    found = min(map(error, drawn(opened(), 30)))
    random = np.random.default_rng(0)
    rates, widths, kinds = 10 ** random.uniform(-4, 0, (999, 30)), random.integers(1, 10, (999, 30)), "ab"
    draws = np.stack([rates, widths, random.integers(0, 2, (999, 30))], axis=-1)
    by_chance = [min(error({"rate": r, "width": w, "kind": kinds[int(k)]}) for r, w, k in thirty) for thirty in draws]
    assert found < np.quantile(by_chance, 0.25)


def test_a_sweep_that_was_killed_draws_what_it_would_have_drawn(opened, tmp_path):
    whole = drawn(opened(), 9)
    folder, seen = SweepFolder(tmp_path / "killed"), []
    with folder.at_work() as worker:
        first = opened("killed")
        drawn(first, 6, seen)
        lost = dict(first.ask(worker, 9).params)
        assert first.ask(worker, 7) is None  # it is at work, and counts
    again = opened("killed")
    trial = again.ask("", 9)
    assert trial.params == lost == whole[6]
    assert trial.user_attrs["folder"] == "trial-6"
    again.finish(trial, error(trial.params))
    assert [*seen, lost, *drawn(again, 9)] == whole
    states = [record.state for record in again.records()]
    assert states == [*[FINISHED] * 6, INTERRUPTED, *[FINISHED] * 3]


def test_a_trial_of_a_process_that_is_alive_is_left_to_it(opened, tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    with folder.at_work() as worker, folder.at_work() as other:
        mine = opened("sweep").ask(worker, 3)
        theirs = opened("sweep").ask(other, 3)
        assert [record.state for record in opened("sweep").records()] == [RUNNING, RUNNING]
        assert mine.params != theirs.params


def test_a_trial_that_was_lost_twice_goes_on_in_its_first_folder(opened):
    trials = opened()
    for _ in range(2):
        trials.ask("nobody", 1)
    last = trials.ask("nobody", 1)
    assert (last.number, last.user_attrs["folder"]) == (2, "trial-0")
    assert [record.state for record in trials.records()] == [INTERRUPTED, INTERRUPTED, RUNNING]


def test_what_is_given_back_waits_for_the_next_process(opened):
    trials = opened()
    trial = trials.ask("", 1)
    trials.give_back(trial.number)
    assert [record.state for record in trials.records()] == [INTERRUPTED, WAITING]
    assert trials.ask("", 1).params == trial.params


def test_a_trial_is_pruned_where_it_is_worse_than_the_median_of_the_others(opened):
    trials = opened(startup=3, unpruned=1)
    random = np.random.default_rng(0)
    courses = random.uniform(size=(3, 4))
    for course in courses:
        trial = trials.ask("", 99)
        for number, value in enumerate(course, 1):
            trial.report(value, number)
            assert not trial.should_prune()  # too few are finished
        trials.finish(trial, course[-1])
    medians = np.median(courses, axis=0)
    for course in random.uniform(size=(12, 4)):
        trial = trials.ask("", 99)
        pruned = []
        for number, value in enumerate(course, 1):
            trial.report(value, number)
            pruned.append(trial.should_prune())
        best = np.minimum.accumulate(course)  # a trial's best until then counts
        assert pruned == [False, *(best > medians)[1:]]
        trials.study.tell(trial, state=module._state("FAIL"))  # so that the medians stay
    assert any(pruned)


def test_without_pruning_no_trial_is_pruned(opened):
    trials = opened(prunes=False, startup=1)
    for value in (0.0, 1.0):
        trial = trials.ask("", 9)
        trial.report(value, 2)
        assert not trial.should_prune()
        trials.finish(trial, value)


def test_what_diverged_or_was_refused_counts_and_is_not_the_best(opened):
    trials = opened(higher_is_better=True)
    for action in (
        lambda trial: trials.diverge(trial, "step 3"),
        lambda trial: trials.finish(trial, math.nan),
        lambda trial: trials.prune(trial, math.nan),
        lambda trial: trials.refuse(trial, "too large"),
        lambda trial: (trial.report(0.9, 1), trials.prune(trial, 0.9)),
    ):
        assert trials.best() is None
        action(trials.ask("", 5))
    assert trials.ask("", 5) is None
    assert [record.state for record in trials.records()] == [DIVERGED, DIVERGED, DIVERGED, REFUSED, PRUNED]
    notes = [record.note for record in trials.records()]
    assert notes == ["step 3", *["the metric is not finite"] * 2, "too large", ""]
    assert trials.records()[4].result == 0.9
    for value in (0.5, 0.7, 0.7):
        trials.finish(trials.ask("", 8), value)
    assert trials.best().number == 6


@pytest.mark.slow  # forty trials, each fitted to those before
def test_the_sampler_keeps_away_from_where_trials_diverged(opened):
    trials = opened(startup=4)
    rates = []
    while (trial := trials.ask("", 40)) is not None:
        rates.append(trial.params["rate"])
        trials.diverge(trial, "nan") if trial.params["rate"] > 0.01 else trials.finish(trial, 1.0)
    assert np.mean(np.array(rates[4:]) > 0.01) < 0.35  # by chance half of them


@pytest.mark.slow  # twenty-five trials, and a forest of them
def test_importances_are_the_shares_of_the_variance(opened):
    trials = opened(startup=25)
    assert trials.importances() == {}
    while (trial := trials.ask("", 25)) is not None:
        trials.finish(trial, math.log10(trial.params["rate"]))  # of the rate alone
    found = trials.importances()
    assert list(found) == sorted(found, key=found.get, reverse=True)
    assert found["rate"] > 0.6 > 2 * max(found["width"], found["kind"])
    assert sum(found.values()) == pytest.approx(1)
    alike = opened()
    while (trial := alike.ask("", 4)) is not None:
        alike.finish(trial, 1.0)
    assert alike.importances() == {}


def test_a_database_that_cannot_be_opened_and_an_absent_optuna_are_said_in_a_line(tmp_path, monkeypatch):
    folder = SweepFolder(tmp_path)
    for storage in ("nothing", "sqlite:////nowhere/at/all.db"):
        with pytest.raises(SweepError, match=f"storage {storage}"):
            Trials(storage, plan(), folder)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SweepError, match=r'pip install -e "\.\[sweep\]"'):
        Trials(None, plan(), folder)


def test_the_file_is_where_the_folder_is_whatever_its_name(opened, tmp_path):
    trials = opened("odd name? 100%#")
    trials.finish(trials.ask("", 1), 0.5)
    file = tmp_path / "odd name? 100%#" / "sweep.db"
    with contextlib.closing(sqlite3.connect(file)) as database:
        assert database.execute("select count(*) from trials").fetchone() == (1,)
