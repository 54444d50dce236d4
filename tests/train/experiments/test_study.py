"""A study: mean and spread over seeds, nothing trained twice, what an interruption leaves, and what it concludes."""

import dataclasses
import importlib
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.train import harness
from train import experiments
from train.config import Data, Model, Optimizer, Recipe, RecipeError, RunError, Schedule
from train.engine import seeds
from train.engine.console import Console
from train.engine.loop import Outcome
from train.engine.seeds import Stopped
from train.engine.trained import Trained
from train.experiments import EXPERIMENTS, SeededOptions, study
from train.experiments.convnets.comparison import compare
from train.experiments.study import Result, Study
from train.experiments.tables import grid, smaller, with_spread
from zoo.names import UnknownNameError

TRAINED = {
    name: importlib.import_module(experiment.module)
    for name, experiment in EXPERIMENTS.items()
    if name not in ("overview", "sphere-limits", "gradients", "memory", "forgetting", "nodes")  # not runs of recipes
}
SEVERAL = [name for name in TRAINED if issubclass(EXPERIMENTS[name].options, SeededOptions)]
NAN, INF = math.nan, math.inf


def test_mean_and_spread_are_those_over_the_seeds_and_one_that_diverged_takes_the_others_along():
    several = Result({"mae": [1.0, 2.0, 6.0]})
    assert (several.mean("mae"), several.mean("mae", 100)) == (3, 300)
    assert several.spread("mae") == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert Result({"mae": [5.0]}).spread("mae") == 0
    for bad in (NAN, INF):
        broken = Result({"mae": [1.0, bad]})
        assert math.isnan(broken.mean("mae"))
        assert math.isnan(broken.spread("mae"))
        assert with_spread([1.0, bad]) == "diverged"
    assert Result({"accuracy": [0.5, 0.75]}).percent("accuracy") == "62.5 ± 17.7"
    assert Result({"accuracy": [0.5, 0.75]}).error("accuracy") == 0.375
    assert (with_spread([2.0], 3), with_spread([2.0, 2.0])) == ("2.000", "2.0 ± 0.0")


def test_an_error_that_is_not_finite_is_behind():
    assert [smaller(1.0, other) for other in (2.0, INF, NAN, 1.0, 0.5)] == [True, True, True, False, False]
    assert not any(smaller(bad, other) for bad in (NAN, INF) for other in (1.0, INF, NAN))


def test_a_grid_without_rows_is_its_head():
    assert grid("a", ("b",), {}) == "| a | b |\n|---|--:|\n"


def came_to(number):
    return Trained({"accuracy": number, "mae": number}, [(1, number)], parameters=7, seconds=0.5)


@pytest.fixture
def trained(monkeypatch):
    """In place of the training: notes what it is asked for, and is interrupted at one of these seeds."""
    asked = []

    def train_seeds(recipe, seeds, path, console, apart):
        train_seeds.folders.append(path.name)
        train_seeds.apart = apart
        for seed in seeds:
            asked.append((recipe.name, seed))
            if len(asked) == train_seeds.interrupted_at:
                raise train_seeds.interruption
            yield seed, came_to(float(seed))

    train_seeds.folders = []
    train_seeds.asked, train_seeds.interrupted_at, train_seeds.interruption = asked, 0, KeyboardInterrupt
    monkeypatch.setattr(study, "train_seeds", train_seeds)
    return train_seeds


ARMS = {"first": Recipe(name="one"), "second": Recipe(name="two", data=Data(classes=("0", "1")))}


def of(arms, seeds, first):
    return Study(
        "tiny", arms, seeds, lambda results: {"fine": True}, lambda results: "a table\n", lambda _: Figure(), first
    )


def train(arms, seeds, first, path):
    return of(arms, seeds, first).train(path, Console())


def test_a_second_call_repeats_nothing_and_gives_the_same(trained, tmp_path, capsys):
    results = train(ARMS, 2, 5, tmp_path / "out")
    assert trained.asked == [("one", 5), ("one", 6), ("two", 5), ("two", 6)]
    assert results["second"].metrics == {"accuracy": [5, 6], "mae": [5, 6]}
    assert results["first"] == Result(results["second"].metrics, [[(1, 5)], [(1, 6)]], parameters=7, seconds=1.0)
    assert train(ARMS, 2, 5, tmp_path / "out") == results
    assert len(trained.asked) == 4
    assert not trained.apart
    printed = capsys.readouterr().out
    assert "first: accuracy 5.500 ± 0.707, mae 5.500 ± 0.707" in printed
    assert "first: finished before" in printed


def test_seeds_are_added_and_another_recipe_is_trained_anew(trained, tmp_path):
    train(ARMS, 2, 5, tmp_path)
    assert train(ARMS, 3, 6, tmp_path)["second"].metrics["mae"] == [6, 7, 8]
    assert train(ARMS, 4, 5, tmp_path)["second"].curves == [[(1, number)] for number in (5, 6, 7, 8)]
    assert [seed for name, seed in trained.asked if name == "two"] == [5, 6, 7, 8]
    del trained.asked[:]
    changed = {**ARMS, "second": dataclasses.replace(ARMS["second"], epochs=11)}
    train(changed, 2, 6, tmp_path)
    assert trained.asked == [("two", 6), ("two", 7)]


def test_results_of_another_recipe_of_that_name_stay_and_count_again(trained, tmp_path, capsys):
    before = train(ARMS, 2, 0, tmp_path)
    kept = (tmp_path / "two.json").read_text()
    changed = {**ARMS, "second": dataclasses.replace(ARMS["second"], epochs=11)}
    again = {**ARMS, "second": dataclasses.replace(ARMS["second"], epochs=12)}
    assert "stays" not in capsys.readouterr().out
    for arms in (changed, again, changed):
        train(arms, 2, 0, tmp_path)
    assert "second: two.json is of other settings, and stays; these are in two-2.json" in capsys.readouterr().out
    assert trained.folders == ["one", "two", "two-2", "two-3"]  # weights of seeds side by side stay too
    assert (tmp_path / "two.json").read_text() == kept
    assert train(ARMS, 2, 0, tmp_path) == before
    assert len(trained.asked) == 8


def test_what_is_measured_of_a_run_joins_its_metrics_once(trained, tmp_path, monkeypatch):
    folders = []
    measuring = dataclasses.replace(
        of(ARMS, 2, 5), measure=lambda path: folders.append(path) or {"seconds": len(folders)}
    )
    results = measuring.train(tmp_path, Console())
    assert trained.apart  # for seeds side by side leave no run
    assert folders == [tmp_path / recipe.name / f"seed-{seed}" for recipe in ARMS.values() for seed in (5, 6)]
    assert results["second"].metrics == {"accuracy": [5, 6], "mae": [5, 6], "seconds": [3, 4]}
    assert measuring.train(tmp_path, Console()) == results
    assert len(folders) == 4
    bad = dataclasses.replace(came_to(NAN), diverged="the loss")
    monkeypatch.setattr(study, "train_seeds", lambda *_: iter([(0, bad)]))
    lost = dataclasses.replace(measuring, seeds=1, first=0).train(tmp_path / "lost", Console())
    assert lost["first"].metrics.keys() == {"accuracy", "mae"}  # there is no network to measure
    assert len(folders) == 4


def test_what_there_is_none_of_is_not_said_and_what_diverged_is(monkeypatch, tmp_path, capsys):
    """Such as the precision of large objects, where all are small."""
    for name, why in (("none", ""), ("lost", "the loss")):
        one = Trained({"ap": 0.25, "ap_large": NAN}, [(1, 1.0)], parameters=7, seconds=0.5, diverged=why)
        monkeypatch.setattr(study, "train_seeds", lambda *_, one=one: iter([(0, one)]))
        train({name: ARMS["first"]}, 1, 0, tmp_path / name)
    printed = capsys.readouterr().out.splitlines()
    assert "none: ap 0.250" in printed
    assert "lost: ap 0.250, ap_large diverged" in printed


def test_an_interruption_keeps_the_seeds_and_the_arms_before_it(trained, tmp_path, capsys):
    trained.interrupted_at = 4
    with pytest.raises(KeyboardInterrupt):
        train(ARMS, 2, 0, tmp_path)
    assert "interrupted; the same command goes on with: second" in capsys.readouterr().out
    assert set(train(ARMS, 2, 0, tmp_path)) == set(ARMS)
    assert trained.asked == [("one", 0), ("one", 1), ("two", 0), ("two", 1), ("two", 1)]


def test_what_an_interrupted_study_ends_with(trained, tmp_path):
    for interruption, expected in ((KeyboardInterrupt, 130), (Stopped(130), 130), (Stopped(0), 1)):  # the last: SIGTERM
        del trained.asked[:]
        trained.interrupted_at, trained.interruption = 1, interruption
        assert of(ARMS, 1, 0).run(tmp_path) == expected
        assert not (tmp_path / "tiny.json").exists()


def test_numbers_that_are_not_finite_come_back_from_the_disk(trained, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(study, "train_seeds", lambda *_: iter([(0, came_to(NAN)), (1, came_to(1.0))]))
        train({"only": ARMS["first"]}, 2, 0, tmp_path)
    (found,) = train({"only": ARMS["first"]}, 2, 0, tmp_path).values()
    assert math.isnan(found.mean("mae"))
    assert trained.asked == []


@pytest.mark.parametrize("name", TRAINED)
def test_an_interrupted_experiment_concludes_nothing(name, trained, tmp_path, monkeypatch):
    trained.interrupted_at = 2
    if hasattr(TRAINED[name], "measure"):  # there is no run to measure
        monkeypatch.setattr(TRAINED[name], "measure", lambda path: {})
    several = {"seeds": 2} if name in SEVERAL else {}
    assert TRAINED[name].run(EXPERIMENTS[name].options(workdir=tmp_path, seed=4, **several)) == 130
    assert [seed for _, seed in trained.asked] == ([4, 5] if several else [4, 4])
    assert [file.suffix for file in tmp_path.iterdir()] == [".json"]


@pytest.mark.parametrize(("name", "count"), [("sphere-dims", 5), ("sphere-imbalance", 5), ("sphere-regression", 5)])
def test_the_papers_scale_has_five_seeds(name, count, trained, tmp_path):
    trained.interrupted_at = count + 1
    TRAINED[name].run(EXPERIMENTS[name].options(scale="paper", workdir=tmp_path))
    first = trained.asked[0][0]
    assert [seed for name, seed in trained.asked if name == first] == list(range(count))


@pytest.mark.parametrize(("seeds", "first"), [(0, 0), (-1, 0), (1, -1)])
def test_seeds_are_counted_from_zero(trained, tmp_path, seeds, first):
    with pytest.raises(RecipeError, match=f"got {seeds} from {first} on"):
        train(ARMS, seeds, first, tmp_path)
    assert trained.asked == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"recipe": {}, "seeds": {"0": {}}}', '{"seeds": []}'])
def test_a_damaged_file_of_an_arm_is_named(trained, tmp_path, text):
    (tmp_path / "one.json").write_text(text)
    with pytest.raises(RunError, match=r"one\.json is damaged .* delete it to train this arm again"):
        train(ARMS, 1, 0, tmp_path)


def test_two_arms_of_one_name_would_share_a_file():
    with pytest.raises(ValueError, match="one"):
        of({"first": Recipe(name="one"), "second": Recipe(name="one", epochs=3)}, 1, 0)


@pytest.fixture
def two_networks(tmp_path):
    """A comparison that takes a second: an MLP on twelve classes, which have a top-5 error, for one epoch or two."""
    random = np.random.default_rng(0)
    archive = tmp_path / "tiny.npz"
    labels = np.arange(60, dtype=np.int32) % 12
    np.savez(archive, image=random.integers(0, 256, (60, 4, 4, 1), np.uint8), label=labels)
    recipes = {
        name: Recipe(
            name=f"tiny-{name}",
            model=Model("mlp", options=("hidden=(4,)",)),
            data=Data(source=f"npz:{archive}", batch_size=8, eval_batch_size=12),
            optimizer=Optimizer(learning_rate=0.01),
            schedule=Schedule("constant"),
            epochs=epochs,
            log_every=2,
            steps_per_dispatch=1,  # quicker to compile
        )
        for name, epochs in (("short", 1), ("long", 2))
    }
    options = experiments.Options()
    return compare("tiny", recipes, {"short": "12.3 %"}, lambda results: {"there are two": len(results) == 2}, options)


@pytest.mark.usefixtures("runs")
def test_a_comparison_leaves_table_figure_and_verdict_and_repeats_no_finished_run(two_networks, tmp_path, capsys):
    workdir = tmp_path / "out"
    assert two_networks.run(workdir) == 0
    table = (workdir / "tiny.md").read_text()
    assert table.count("\n") == 2 + 2
    assert "| 12.3 % |" in table
    written = json.loads((workdir / "tiny.json").read_text())
    assert written["holds"] == {"there are two": True}
    values = {name: value for name, (value,) in written["results"]["short"]["metrics"].items()}
    assert 0 <= values["accuracy"] <= values["top5"] <= 1
    assert f"{100 * (1 - values['accuracy']):.1f} / {100 * (1 - values['top5']):.1f} %" in table
    assert f"| {values['train_loss']:.3f} | {100 * (1 - values['train_accuracy']):.1f} % |" in table
    assert (workdir / "tiny.png").stat().st_size > 1000
    run = workdir / "tiny-short" / "seed-0"
    assert (run / "report.html").exists()  # a run like any other
    assert [step for step, _ in written["results"]["short"]["curves"][0]] == [
        record["step"] for record in harness.lines(run, "train")
    ]
    first = (run / "fingerprint.json").stat().st_mtime_ns
    no = dataclasses.replace(two_networks, claims=lambda results: {"there are three": False})
    assert no.run(workdir) == 1
    printed = capsys.readouterr().out
    assert "finished before" in printed
    assert "NO   there are three" in printed
    (workdir / "tiny-short.json").unlink()  # the runs are still there
    assert no.run(workdir) == 1
    assert (run / "fingerprint.json").stat().st_mtime_ns == first


def test_an_interrupted_comparison_is_no_success(two_networks, tmp_path, monkeypatch):
    for code, expected in ((130, 130), (0, 1)):  # Ctrl-C, and a signal of the system
        monkeypatch.setattr(seeds, "fit", lambda *_, code=code, **__: Outcome(3, {}, None, code))
        assert two_networks.run(tmp_path / "out") == expected


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_can_be_run(name, monkeypatch):
    module, called = importlib.import_module(EXPERIMENTS[name].module), []
    monkeypatch.setattr(module, "run", lambda options: called.append(options) or 7)
    assert experiments.run([name, "--scale", "paper", "--data-dir", "there", "--seed", "3"]) == 7
    (given,) = called
    assert (given.scale, given.data_dir, given.seed) == ("paper", "there", 3)
    assert str(given.workdir) == f"runs/experiment-{name}-paper"


def test_a_mistyped_experiment_names_the_nearest():
    with pytest.raises(UnknownNameError, match="residual"):
        experiments.run(["residuals"])


def test_the_table_of_experiments_imports_nothing_heavy():
    heavy = {"jax", "flax", "matplotlib", "tyro", "numpy"}
    code = f"import sys, train.experiments; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
