"""Seeds: each comes to what `fit` comes to with it, whether they train side by side or run after run."""

import dataclasses
import math
import signal
import warnings

import jax
import numpy as np
import pytest

import zoo
from tests.train import harness
from train.config import Augment, Data, Model, Optimizer, Recipe, RecipeError, Schedule
from train.config.tasks.regression import Regression
from train.config.tasks.sphere import SphereClassification
from train.engine import seeds
from train.engine.assemble import assemble
from train.engine.console import Console
from train.engine.feed import MemoryFeed
from train.engine.seeds import Stopped, train_alone, train_seeds
from train.engine.side_by_side import pays
from train.engine.trained import Trained
from train.store.workdir import WorkdirError
from zoo.weights import NewHeadWarning

QUIET = Console(quiet=True)
RECIPE = Recipe(
    name="repeated",
    model=Model("mlp", options=("hidden=(16,)", "dropout=0.2")),
    data=Data(source="digits", classes=("1", "4", "7"), limit=128, batch_size=32, eval_batch_size=64),
    augment=Augment(pad_crop=1),
    task=SphereClassification(dims=3),
    optimizer=Optimizer("adamw", learning_rate=1e-2),
    schedule=Schedule("cosine"),
    epochs=2,
    steps_per_dispatch=1,  # quicker to compile
)
SEEDS = (3, 5)

pytestmark = pytest.mark.usefixtures("runs")


@pytest.fixture(scope="module")
def alone(engine, tmp_path_factory):
    """The folder of the recipe's runs of two seeds, one by one; the second finds the first's programs."""
    path = tmp_path_factory.mktemp("alone")
    with engine():
        for seed in SEEDS:
            harness.run(dataclasses.replace(RECIPE, seed=seed), path / f"seed-{seed}")
    return path


@pytest.fixture(scope="module")
def tuned(engine, alone, tmp_path_factory):
    """The same with all that a recipe can begin with, keep and stop at: weights, frozen layers, an average, steps."""
    recipe = dataclasses.replace(
        RECIPE,
        data=dataclasses.replace(RECIPE.data, classes=("1", "4", "7", "9")),
        task=SphereClassification(dims=4),  # so that the head is drawn anew, from each seed
        optimizer=dataclasses.replace(RECIPE.optimizer, ema=0.8, accumulate=2, clip_norm=1.0),
        weights=str(alone / "seed-3" / "model.safetensors"),
        freeze=("*", "!head/*"),
        steps=6,
        eval_every=2,
        log_every=2,
        steps_per_dispatch=4,
    )
    path = tmp_path_factory.mktemp("tuned")
    with engine(), warnings.catch_warnings():
        warnings.simplefilter("ignore", NewHeadWarning)
        for seed in SEEDS:
            harness.run(dataclasses.replace(recipe, seed=seed), path / f"seed-{seed}")
    return recipe, path


def read(recipe, path):
    """Variables from a file, as the recipe's model has them."""
    return jax.device_get(zoo.load_weights(assemble(recipe).model, path, (8, 8, 1)))


def check_alike(recipe, path, together, tmp_path):
    """What the seeds came to in one program is what their runs did."""
    assert list(together) == [*SEEDS]
    for seed, found in together.items():
        expected = train_alone(dataclasses.replace(recipe, seed=seed), path / f"seed-{seed}", QUIET)
        assert set(found.metrics) == set(expected.metrics)
        for name, value in expected.metrics.items():
            assert found.metrics[name] == pytest.approx(value, abs=1e-4), name
        assert found.curve[-1] == pytest.approx(expected.curve[-1], abs=1e-4)
        assert (found.parameters, found.diverged) == (expected.parameters, "")
        for ours, theirs in (("", "model"), ("_ema", "model_ema")):
            file = tmp_path / f"seed-{seed}{ours}.safetensors"
            assert file.exists() == (not ours or recipe.optimizer.ema is not None)
            if file.exists():
                pair = read(recipe, file), read(recipe, path / f"seed-{seed}" / f"{theirs}.safetensors")
                jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), *pair)
    one, other = together.values()
    assert one.metrics["loss"] != other.metrics["loss"]


def test_each_of_several_seeds_is_the_run_of_its_seed(alone, tmp_path):
    check_alike(RECIPE, alone, dict(train_seeds(RECIPE, SEEDS, tmp_path, QUIET)), tmp_path)


@pytest.mark.filterwarnings("ignore::zoo.weights.NewHeadWarning")
def test_weights_frozen_layers_averages_and_steps_are_theirs_too(tuned, alone, tmp_path):
    recipe, path = tuned
    check_alike(recipe, path, dict(train_seeds(recipe, SEEDS, tmp_path, QUIET)), tmp_path)
    before, after = read(RECIPE, alone / "seed-3" / "model.safetensors"), read(recipe, tmp_path / "seed-5.safetensors")
    kept = [name for name in before["params"] if name != "head"]
    assert kept
    for name in kept:
        jax.tree.map(np.testing.assert_array_equal, before["params"][name], after["params"][name])


def test_dense_networks_train_side_by_side_and_convolutions_on_a_cpu_do_not():
    assert pays(assemble(RECIPE), 5)
    conv = assemble(dataclasses.replace(RECIPE, model=Model("cifar_resnet8")))
    assert pays(conv, 5) == (jax.default_backend() != "cpu")
    assert not pays(assemble(RECIPE), 10**6)


@pytest.mark.parametrize(
    "changes",
    [
        {"early_stop": 2},
        {"placement": "pmap"},
        {"placement": "fsdp"},
        {"data": dataclasses.replace(RECIPE.data, pipeline="grain")},
        {"data": dataclasses.replace(RECIPE.data, crop=4)},
        {"model": Model("cifar_resnet8")},
    ],
)
def test_what_cannot_train_side_by_side_is_a_run_a_seed(changes, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(seeds, "train_alone", lambda recipe, path, console: asked.append((recipe, path)))
    recipe = dataclasses.replace(RECIPE, **changes)
    assert [seed for seed, _ in train_seeds(recipe, SEEDS, tmp_path, QUIET)] == [*SEEDS]
    assert asked == [(dataclasses.replace(recipe, seed=seed), tmp_path / f"seed-{seed}") for seed in SEEDS]


def test_a_single_seed_is_a_run_with_all_that_a_run_leaves(alone, tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "fit", None)  # it is there already
    ((seed, found),) = train_seeds(RECIPE, [5], alone, QUIET)
    assert seed == 5
    assert found.seconds > 0
    assert [step for step, _ in found.curve] == [4, 8]
    assert found.metrics["train_loss"] == found.curve[-1][1]


def test_no_seeds_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="at least one seed"):
        list(train_seeds(RECIPE, (), tmp_path, QUIET))


def test_seeds_that_are_asked_apart_are_runs_of_their_own(monkeypatch, tmp_path):
    folders = []
    monkeypatch.setattr(seeds, "train_alone", lambda recipe, path, console: folders.append(path))
    monkeypatch.setattr(seeds, "train_together", lambda *_: pytest.fail("side by side"))
    list(train_seeds(RECIPE, SEEDS, tmp_path, QUIET, apart=True))
    assert folders == [tmp_path / f"seed-{seed}" for seed in SEEDS]


def test_an_interrupted_run_goes_on_and_another_recipe_has_a_folder_beside(alone, tmp_path, monkeypatch):
    recipe, path = dataclasses.replace(RECIPE, seed=3), tmp_path / "seed-3"
    with monkeypatch.context() as patch:
        harness.signal_at(patch, MemoryFeed, "advance", signal.SIGINT, call=5)
        with pytest.raises(Stopped) as stopped:
            train_alone(recipe, path, QUIET)
    assert stopped.value.exit_code == 130
    expected = train_alone(recipe, alone / "seed-3", QUIET)
    found = train_alone(recipe, path, QUIET)
    assert {n: v for n, v in found.metrics.items() if not n.startswith("train_")} == {
        n: v for n, v in expected.metrics.items() if not n.startswith("train_")
    }
    assert found.metrics["train_loss"] == pytest.approx(expected.metrics["train_loss"])  # of two lines, not one
    assert seeds.folder_for(recipe, path) == path
    other = dataclasses.replace(recipe, epochs=3)
    assert seeds.folder_for(other, path) == tmp_path / "seed-3-2"


def test_a_run_whose_files_are_damaged_is_refused(alone, tmp_path):
    recipe = dataclasses.replace(RECIPE, seed=3)
    for name in ("recipe.json", "fingerprint.json", "metrics.jsonl", "report.html"):
        (tmp_path / name).write_bytes((alone / "seed-3" / name).read_bytes())
    assert isinstance(train_alone(recipe, tmp_path, QUIET), Trained)
    for name, text in (("fingerprint.json", "{}"), ("recipe.json", "[]")):
        (tmp_path / name).write_text(text)
        with pytest.raises(WorkdirError, match="damaged"):
            train_alone(recipe, tmp_path, QUIET)


DIVERGING = dataclasses.replace(
    RECIPE,
    name="diverging",
    model=Model("mlp", options=("hidden=(4,)",)),
    data=Data(source="rotated_digits", limit=64, batch_size=32, eval_batch_size=360),
    augment=Augment(),
    task=Regression(standardise=False),
    optimizer=Optimizer("sgd", learning_rate=1e4, ema=0.5),
    schedule=Schedule("constant"),
    epochs=4,
    log_every=1,
)


def test_what_diverged_is_a_result_with_the_same_names_either_way(tmp_path, monkeypatch):
    together = dict(train_seeds(DIVERGING, SEEDS, tmp_path / "together", QUIET))
    alone = dict(train_seeds(DIVERGING, SEEDS[:1], tmp_path / "alone", QUIET))
    for found in (*together.values(), *alone.values()):
        assert set(found.metrics) == {p + n for p in ("", "ema_", "train_") for n in ("loss", "mae")}
        assert all(math.isnan(value) for value in found.metrics.values())
        assert found.diverged.startswith("step ")
        assert found.parameters == 256 * 4 + 4 + 4 + 1
    assert together[3].diverged.split(":")[0] == alone[3].diverged.split(":")[0]
    assert [step for step, _ in together[3].curve] == [step for step, _ in alone[3].curve]


@pytest.mark.filterwarnings("ignore:.*update skipped")
def test_updates_that_are_not_finite_are_skipped_for_each_seed(tmp_path):
    recipe = dataclasses.replace(DIVERGING, on_nan="skip", optimizer=Optimizer("sgd", learning_rate=1e18))
    found = dict(train_seeds(recipe, SEEDS, tmp_path / "together", QUIET))[5]
    expected = train_alone(dataclasses.replace(recipe, seed=5), tmp_path / "alone", QUIET)
    assert found.diverged == expected.diverged == ""
    for name, value in expected.metrics.items():
        assert found.metrics[name] == pytest.approx(value, rel=1e-4, nan_ok=True), name
