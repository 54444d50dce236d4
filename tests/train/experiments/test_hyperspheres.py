"""The experiments on the sphere: what differs between their arms, and what a whole one leaves."""

import dataclasses
import functools
import importlib
import json
import math

import jax
import numpy as np
import pytest
from scipy.special import softmax

import zoo
from train.config import Data, Model, Recipe, Schedule, differences
from train.data import sources
from train.experiments import EXPERIMENTS
from train.experiments.hyperspheres import dims, imbalance, limits, privileged, regression
from train.experiments.tables import with_spread
from train.recipes import sphere
from train.tasks.classification.task import Classification

TRAINED = {
    name: importlib.import_module(experiment.module)
    for name, experiment in EXPERIMENTS.items()
    if name.startswith("sphere-") and name != "sphere-limits"
}
MAY_DIFFER = {  # beside name and task
    "sphere-regression": {"optimizer.learning_rate"},
    "sphere-imbalance": {"data.per_class"},
}
NAN, INF = math.nan, math.inf


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "rotated_digits", functools.cache(sources.rotated_digits))
        yield


def options(name, **values):
    return EXPERIMENTS[name].options(**values)


WORDED = ("sphere-dims", "sphere-privileged")
SCALES = [
    *(
        (name, scale, {"vectors": "words.txt"} if name in WORDED else {})
        for name in TRAINED
        for scale in ("quick", "paper")
    ),
    *(
        (name, scale, {"data_set": images})
        for name in WORDED
        for scale, images in (("quick", "cifar100"), ("paper", "cifar10"))
    ),
]


@pytest.mark.parametrize(("name", "scale", "values"), SCALES)
def test_arms_differ_in_the_task_and_of_softmax_in_the_optimiser(name, scale, values):
    found = TRAINED[name].recipes_of(options(name, scale=scale, data_dir="there", **values))
    recipes = list(found.values())
    assert len({recipe.name for recipe in recipes}) == len({dataclasses.replace(r, name="same") for r in recipes})
    assert len({recipe.name for recipe in recipes}) == len(recipes) >= 3
    assert {recipe.data.data_dir for recipe in recipes} == {"there"}
    assert all(recipe.name.startswith(f"{name}-{scale}") for recipe in recipes)
    ours = next(recipe for recipe in reversed(recipes) if recipe.task.kind.startswith("sphere_"))
    for recipe in recipes:
        fields = {line.split(":")[0] for line in differences(recipe, ours)} - MAY_DIFFER.get(name, set())
        fields = {field for field in fields if field != "name" and not field.startswith("task.")}
        if not recipe.task.kind.startswith("sphere_") and recipe.task.kind not in ("regression", "joint"):
            fields = {field for field in fields if not field.startswith("optimizer.")}
        assert not fields
    if "data_set" in values:
        assert ours.data.source == f"tfds:{values['data_set']}"


def test_softmax_has_the_rate_that_the_paper_gives_it():
    arms = dims.recipes_of(options("sphere-dims", scale="paper"))
    assert arms["softmax, 100"].optimizer == sphere.SOFTMAX
    assert arms["prototypes, 100"].optimizer == sphere.PAPER.optimizer
    arms = imbalance.recipes_of(options("sphere-imbalance", scale="paper"))
    others = {arm.split(", ")[0]: recipe.optimizer for arm, recipe in arms.items()}
    assert {arm for arm, optimizer in others.items() if optimizer == sphere.PAPER.optimizer} == {"prototypes"}
    assert {recipe.data.per_class for recipe in arms.values()} == {(), (2, 200)}


def test_word_vectors_are_an_arm_only_where_they_are_given():
    def arms(module, name, scale="quick", **values):
        return module.recipes_of(options(name, scale=scale, **values))

    kinds = {dims.split(arm)[0] for arm in arms(dims, "sphere-dims")}
    assert kinds == {"softmax", "one-hot", "random vectors", "prototypes"}
    assert arms(dims, "sphere-dims", vectors="w.txt")["word vectors, 3"].task.vectors == "w.txt"
    for scale, names in (("quick", "taxonomy:cifar10"), ("paper", "taxonomy:cifar100")):
        informed = arms(privileged, "sphere-privileged", scale)
        assert {r.task.vectors for a, r in informed.items() if a.startswith("with")} == {names}
    other = arms(privileged, "sphere-privileged", data_set="cifar100")
    assert other["with privileged information, 25"].task.vectors == "taxonomy:cifar100"
    informed = arms(privileged, "sphere-privileged", vectors="w.txt")
    assert informed["with privileged information, 3"].task.vectors == "w.txt"


def test_a_whole_experiment_leaves_table_figure_and_verdict(monkeypatch, tmp_path, capsys):
    quick = Recipe(
        name="tiny",
        model=Model("mlp", options=("hidden=(8,)",)),
        data=Data(source="rotated_digits", limit=64, batch_size=32, eval_batch_size=360),
        schedule=Schedule("constant"),
        epochs=1,
        steps_per_dispatch=1,  # quicker to compile
    )
    monkeypatch.setattr(regression, "QUICK", quick)
    tasks = {kind: regression.TASKS[kind] for kind in (regression.RAW, regression.OURS)}
    monkeypatch.setattr(regression, "TASKS", tasks)
    monkeypatch.setattr(regression, "DIMS", (2,))
    monkeypatch.setattr(regression, "RATES", (1e-3,))
    code = regression.run(options("sphere-regression", workdir=tmp_path, seeds=2))
    written = json.loads((tmp_path / "sphere-regression.json").read_text())
    assert code == (0 if all(written["holds"].values()) else 1)
    assert set(written["holds"]) == {"the sphere learns, 2D, 0.001", "the sphere is ahead of squared error, 2D, 0.001"}
    table = (tmp_path / "sphere-regression.md").read_text()
    for kind in tasks:
        values = written["results"][f"{kind}, 2D, 0.001"]["metrics"]["mae"]
        assert len(set(values)) == 2
        assert f"| {kind} | {with_spread(values)} |" in table
    assert (tmp_path / "sphere-regression.png").stat().st_size > 10_000
    assert table in capsys.readouterr().out


def test_the_limits_are_measured_and_hold(monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "MOST", 10)
    monkeypatch.setattr(limits, "DIMS", (9, 50))  # closed forms
    monkeypatch.setitem(limits.EXAMPLES, "quick", 60)
    assert limits.run(options("sphere-limits", workdir=tmp_path / "out")) == 0
    written = json.loads((tmp_path / "out" / "sphere-limits.json").read_text())
    for number in ("9", "50"):  # ten classes are a simplex
        assert written["results"]["largest cosines"][number] == pytest.approx([-1 / 9], abs=1e-6)
    table = (tmp_path / "out" / "sphere-limits.md").read_text()
    assert "| one dimension a class | 20,480 |" in table
    assert "| 9 dimensions | 18,432 | 18,432 |" in table
    assert (tmp_path / "out" / "sphere-limits.png").exists()


def test_the_length_of_a_gradient_is_the_closed_form_of_a_linear_network(monkeypatch):
    create, task = zoo.create, Classification(("a", "b", "c"))
    monkeypatch.setattr(zoo, "create", lambda name, num_classes, **_: create(name, num_classes=num_classes, hidden=()))
    random = np.random.default_rng(0)
    images, labels = random.uniform(size=(7, 4, 4, 1)).astype(np.float32), random.integers(0, 3, 7).astype(np.int32)
    found = limits.of_task(task, {"image": images, "label": labels, "mask": np.ones(7, bool)}, seed=3)
    model = create("mlp", num_classes=3, hidden=())
    logits = model.apply(zoo.init(model, jax.random.key(3), images.shape[1:]), images)
    errors = softmax(np.asarray(logits), axis=1) - np.eye(3)[labels]  # the gradient is their product with inputs and 1
    inputs = np.sqrt(1 + (images**2).sum((1, 2, 3)))
    np.testing.assert_allclose(found, np.linalg.norm(errors, axis=1) * inputs, rtol=1e-5)
