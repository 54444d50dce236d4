"""Repeated trainings: mean and spread over seeds, nothing trained twice, and what an interruption leaves."""

import dataclasses
import importlib
import math
import types

import pytest

from train.errors import RunError
from train.experiments import EXPERIMENTS, repeated
from train.experiments.repeated import Result, grid, run_arms, smaller, with_spread
from train.recipe import Data, Recipe, RecipeError

TRAINED = {
    name: importlib.import_module(experiment.module)
    for name, experiment in EXPERIMENTS.items()
    if name.startswith("sphere-") and name != "sphere-limits"
}
NAN, INF = math.nan, math.inf


def test_mean_and_spread_are_those_over_the_seeds_and_one_that_diverged_takes_the_others_along():
    several = Result({"mae": [1.0, 2.0, 6.0]}, [], 1.0)
    assert (several.mean("mae"), several.mean("mae", 100)) == (3, 300)
    assert several.spread("mae") == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert Result({"mae": [5.0]}, [], 1.0).spread("mae") == 0
    for bad in (NAN, INF):
        broken = Result({"mae": [1.0, bad]}, [], 1.0)
        assert math.isnan(broken.mean("mae"))
        assert math.isnan(broken.spread("mae"))
        assert with_spread([1.0, bad]) == "diverged"
    assert Result({"accuracy": [0.5, 0.75]}, [], 1.0).percent("accuracy") == "62.5 ± 17.7"
    assert (with_spread([2.0], 3), with_spread([2.0, 2.0])) == ("2.000", "2.0 ± 0.0")


def test_an_error_that_is_not_finite_is_behind():
    assert [smaller(1.0, other) for other in (2.0, INF, NAN, 1.0, 0.5)] == [True, True, True, False, False]
    assert not any(smaller(bad, other) for bad in (NAN, INF) for other in (1.0, INF, NAN))


def test_a_grid_without_rows_is_its_head():
    assert grid("a", ("b",), {}) == "| a | b |\n|---|--:|\n"


@pytest.fixture
def trained(monkeypatch):
    """In place of the training: notes what it is asked for, and is interrupted at one of these calls."""
    asked = []

    def repeat(recipe, seeds, console):
        asked.append((recipe.name, list(seeds)))
        if len(asked) == repeat.interrupted_at:
            raise KeyboardInterrupt
        numbers = [float(seed) for seed in seeds]
        return types.SimpleNamespace(metrics={"accuracy": numbers, "mae": numbers}, losses=[[n] for n in numbers])

    repeat.asked, repeat.interrupted_at = asked, 0
    monkeypatch.setattr(repeated, "repeat", repeat)
    monkeypatch.setattr(repeated, "groups", lambda recipe, seeds: [tuple(seeds)])
    return repeat


ARMS = {"first": Recipe(name="one"), "second": Recipe(name="two", data=Data(classes=("0", "1")))}


def test_a_second_call_repeats_nothing_and_gives_the_same(trained, tmp_path, capsys):
    results = run_arms(ARMS, 2, 5, tmp_path / "out")
    assert trained.asked == [("one", [5, 6]), ("two", [5, 6])]
    assert results["second"].metrics == {"accuracy": [5, 6], "mae": [5, 6]}
    assert results["first"].losses == [[5], [6]]
    assert run_arms(ARMS, 2, 5, tmp_path / "out") == results
    assert len(trained.asked) == 2
    assert "first: accuracy 5.500 ± 0.707, mae 5.500 ± 0.707" in capsys.readouterr().out


def test_seeds_are_added_and_another_recipe_is_trained_anew(trained, tmp_path):
    run_arms(ARMS, 2, 5, tmp_path)
    assert run_arms(ARMS, 3, 6, tmp_path)["second"].metrics["mae"] == [6, 7, 8]
    assert run_arms(ARMS, 4, 5, tmp_path)["second"].losses == [[5], [6], [7], [8]]
    assert [seeds for name, seeds in trained.asked if name == "two"] == [[5, 6], [7, 8]]
    del trained.asked[:]
    changed = {**ARMS, "second": dataclasses.replace(ARMS["second"], epochs=11)}
    run_arms(changed, 2, 6, tmp_path)
    assert trained.asked == [("two", [6, 7])]


def test_an_interruption_keeps_the_arms_before_it(trained, tmp_path, capsys):
    trained.interrupted_at = 2
    assert run_arms(ARMS, 1, 0, tmp_path) is None
    assert "interrupted; the same command goes on with: second" in capsys.readouterr().out
    assert set(run_arms(ARMS, 1, 0, tmp_path)) == set(ARMS)
    assert [name for name, _ in trained.asked] == ["one", "two", "two"]


def test_numbers_that_are_not_finite_come_back_from_the_disk(trained, tmp_path, monkeypatch):
    broken = types.SimpleNamespace(metrics={"mae": [NAN, 1.0]}, losses=[[NAN], [1.0]])
    monkeypatch.setattr(repeated, "repeat", lambda *_: broken)
    run_arms({"only": ARMS["first"]}, 2, 0, tmp_path)
    monkeypatch.undo()
    (found,) = run_arms({"only": ARMS["first"]}, 2, 0, tmp_path).values()
    assert math.isnan(found.mean("mae"))


@pytest.mark.parametrize("name", TRAINED)
def test_an_interrupted_experiment_concludes_nothing(name, trained, tmp_path):
    trained.interrupted_at = 3
    assert TRAINED[name].run(EXPERIMENTS[name].options(workdir=tmp_path, seed=4, seeds=2)) == 130
    assert [seeds for _, seeds in trained.asked] == [[4, 5]] * 3
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".json"] * 2


@pytest.mark.parametrize(("name", "count"), [("sphere-dims", 5), ("sphere-imbalance", 5), ("sphere-regression", 5)])
def test_the_papers_scale_has_five_seeds(name, count, trained, tmp_path):
    trained.interrupted_at = 1
    TRAINED[name].run(EXPERIMENTS[name].options(scale="paper", workdir=tmp_path))
    assert trained.asked[0][1] == list(range(count))


def test_seeds_that_trained_one_after_another_are_kept_one_by_one(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(repeated, "groups", lambda recipe, seeds: [(seed,) for seed in seeds])
    trained.interrupted_at = 3
    assert run_arms({"first": ARMS["first"]}, 3, 0, tmp_path) is None
    assert trained.asked == [("one", [0]), ("one", [1]), ("one", [2])]
    results = run_arms({"first": ARMS["first"]}, 3, 0, tmp_path)
    assert trained.asked[3:] == [("one", [2])]
    assert results["first"].metrics["mae"] == [0, 1, 2]


@pytest.mark.parametrize(("seeds", "first"), [(0, 0), (-1, 0), (1, -1)])
def test_seeds_are_counted_from_zero(trained, tmp_path, seeds, first):
    with pytest.raises(RecipeError, match=f"got {seeds} from {first} on"):
        run_arms(ARMS, seeds, first, tmp_path)
    assert trained.asked == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_file_of_an_arm_is_named(trained, tmp_path, text):
    (tmp_path / "one.json").write_text(text)
    with pytest.raises(RunError, match=r"one\.json is damaged .* delete it to train this arm again"):
        run_arms(ARMS, 1, 0, tmp_path)
