"""Repeats: each is the run that `fit` makes of its seed, whether they train side by side or one after another."""

import dataclasses

import jax
import numpy as np
import pytest

import zoo
from train import repeats
from train.console import Console
from train.data import Augment
from train.loop import fit
from train.recipe import Data, Model, Optimizer, Recipe, RecipeError, Schedule, Space, Task

QUIET = Console(quiet=True)
RECIPE = Recipe(
    name="repeated",
    model=Model("mlp", options=("hidden=(16,)", "dropout=0.2")),
    data=Data(source="digits", classes=("1", "4", "7"), limit=128, batch_size=32, eval_batch_size=64),
    augment=Augment(pad_crop=1),
    task=Task("sphere_classification", space=Space(dims=3)),
    optimizer=Optimizer("adamw", learning_rate=1e-2),
    schedule=Schedule("cosine"),
    epochs=2,
    steps_per_dispatch=1,  # quicker to compile
)


pytestmark = pytest.mark.usefixtures("runs")


@pytest.fixture(scope="module")
def single(engine, tmp_path_factory):
    """The runs of two seeds, one by one; the second finds the first's programs."""
    found = {}
    with engine():
        for seed in (3, 5):
            path = tmp_path_factory.mktemp("single") / str(seed)
            outcome = fit(dataclasses.replace(RECIPE, seed=seed), path, console=QUIET)
            found[seed] = outcome.metrics, path
    return found


@pytest.mark.parametrize("side_by_side", [True, False])
def test_each_repeat_is_the_run_of_its_seed(single, side_by_side, monkeypatch):
    monkeypatch.setattr(repeats, "side_by_side", lambda assembly, count: side_by_side)
    found = repeats.repeat(RECIPE, (3, 5), QUIET)
    assert found.seeds == (3, 5)
    assert np.shape(found.losses) == (2, 2)
    for place, seed in enumerate(found.seeds):
        metrics, path = single[seed]
        for name, value in metrics.items():
            assert found.metrics[name][place] == pytest.approx(value, abs=1e-4), name
        own = jax.tree.map(lambda leaf, place=place: leaf[place], found.variables)
        model = zoo.create("mlp", num_classes=3, hidden=(16,))
        expected = zoo.load_weights(model, path / "model.safetensors", (8, 8, 1))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), own, jax.device_get(expected))
    last = max((single[3][1] / "embeddings").iterdir(), key=lambda file: int(file.stem))
    directions = found.embedding / np.linalg.norm(found.embedding, axis=1, keepdims=True)
    np.testing.assert_allclose(directions, np.load(last).astype(np.float32), atol=2e-3)  # kept in half precision


def test_dense_networks_train_side_by_side_and_convolutions_on_a_cpu_do_not():
    from train.assemble import assemble

    assert repeats.side_by_side(assemble(RECIPE), 5)
    conv = assemble(dataclasses.replace(RECIPE, model=Model("cifar_resnet8")))
    assert repeats.side_by_side(conv, 5) == (jax.default_backend() != "cpu")
    assert not repeats.side_by_side(assemble(RECIPE), 10**6)


def test_what_repeats_have_not_is_said():
    with pytest.raises(RecipeError, match=r"repeats do without freeze, optimizer\.ema"):
        repeats.repeat(
            dataclasses.replace(RECIPE, freeze=("*",), optimizer=dataclasses.replace(RECIPE.optimizer, ema=0.9)), (0,)
        )
    with pytest.raises(RecipeError, match="at least one seed"):
        repeats.repeat(RECIPE, ())
