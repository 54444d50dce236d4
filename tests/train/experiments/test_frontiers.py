"""Experiments on robustness and forgetting: what they are made of, small runs, and claims that can fail."""

import copy
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.experiments import SeededOptions
from train.experiments.frontiers import forgetting, robustness, shortcut
from train.experiments.study import Result
from zoo.perceptrons import MLP

PLAN = dataclasses.replace(forgetting.PLANS["quick"], steps=4, hidden=(8,))


def test_split_digits_are_apart_and_permuted_ones_are_the_same_pixels_elsewhere():
    split, any_class, permuted = (forgetting.tasks_of(series) for series in forgetting.SERIES)
    assert [task.own for task in split] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    assert [task.allowed for task in split] == [task.own for task in split]
    assert all(task.allowed == tuple(range(10)) for task in (*any_class, *permuted))
    for task in split:
        assert set(task.classes) == set(task.test_classes) == set(task.own)
    assert sum(len(task.classes) for task in split) == len(permuted[0].classes) == 1437
    for task in permuted[1:]:
        np.testing.assert_array_equal(np.sort(task.images, axis=1), np.sort(permuted[0].images, axis=1))
        assert not np.array_equal(task.images, permuted[0].images)


def test_half_a_batch_of_replay_is_of_what_is_remembered():
    first, second = forgetting.tasks_of("split")[:2]
    kept = forgetting.remembered(first, 3, np.random.default_rng(0))
    assert sorted(kept.classes) == [0, 0, 0, 1, 1, 1]
    batches = forgetting.drawn([second], [kept], PLAN, np.random.default_rng(0))
    assert batches["images"].shape == (4, 32, 64)
    assert set(batches["classes"][:, :16].ravel()) == {2, 3}
    assert set(batches["classes"][:, 16:].ravel()) == {0, 1}
    assert batches["allowed"][0, 0].nonzero()[0].tolist() == [2, 3]
    assert batches["allowed"][0, -1].nonzero()[0].tolist() == [0, 1]


def distance(params, others):
    return max(float(jnp.abs(a - b).max()) for a, b in zip(*map(jax.tree.leaves, (params, others)), strict=True))


def test_parameters_that_matter_stay_and_old_answers_are_held():
    tasks = forgetting.tasks_of("split")
    model = MLP(PLAN.hidden, forgetting.CLASSES)
    params = jax.jit(model.init)(jax.random.key(0), tasks[0].images[:1])["params"]
    batches = forgetting.drawn(tasks[1:2], [], dataclasses.replace(PLAN, steps=40), np.random.default_rng(0))
    none = np.zeros((forgetting.TASKS, forgetting.CLASSES), bool)
    learn = functools.partial(forgetting.learn, model, PLAN, params)
    nothing, much = (jax.tree.map(lambda leaf, v=value: jnp.full_like(leaf, v), params) for value in (0.0, 1e4))
    free, held = learn(nothing, batches, none), learn(much, batches, none)
    assert distance(held, params) < distance(free, params) / 3
    groups = forgetting.groups_of("split", tasks[:1])
    assert groups.sum() == 2
    kept = learn(nothing, batches, groups)
    said = lambda params: jax.nn.softmax(model.apply({"params": params}, tasks[1].images)[:, :2])  # noqa: E731
    assert jnp.abs(said(kept) - said(params)).mean() < 0.7 * jnp.abs(said(free) - said(params)).mean()


def test_every_method_has_a_matrix_and_measures():
    for method in forgetting.METHODS:
        measures, matrix = forgetting.of_one("classes", method, PLAN, 0)
        assert matrix.shape == (5, 5)
        assert np.all((matrix >= 0) & (matrix <= 1))
        assert measures["accuracy"] == pytest.approx(matrix[-1].mean())


@pytest.fixture
def given(monkeypatch):
    """What `of_one` gives to each task's learning, which here adds one to all parameters."""
    calls = []

    def learned(model, plan, params, importance, batches, groups):
        first = [float(jax.tree.leaves(tree)[0].ravel()[0]) for tree in (params, importance)]
        calls.append((*first, batches, groups))
        return jax.tree.map(lambda leaf: leaf + 1, params)

    monkeypatch.setattr(forgetting, "learn", learned)
    monkeypatch.setattr(forgetting, "fisher_of", lambda model, params, *_: jax.tree.map(jnp.ones_like, params))
    monkeypatch.setattr(forgetting, "accuracy", lambda *_: 0.5)

    def of(series, method):
        calls.clear()
        forgetting.of_one(series, method, PLAN, 0)
        return [list(each) for each in zip(*calls, strict=True)]

    return of


def test_each_method_learns_from_what_is_its_own(given):
    params, importance, batches, groups = given("split", forgetting.NAIVE)
    begins = params[0]
    np.testing.assert_allclose(params, begins + np.arange(5), atol=1e-5)  # each task goes on where the last ended
    assert importance == [0] * 5
    assert not np.any(groups)
    assert [sorted(set(each["classes"].ravel())) for each in batches] == [[2 * k, 2 * k + 1] for k in range(5)]
    params, importance, _, _ = given("split", forgetting.EWC)
    assert importance == [PLAN.strength * number for number in range(5)]  # those of all tasks before add up
    params, _, batches, _ = given("split", forgetting.JOINT)
    assert params == [begins] * 5
    assert [len(each["classes"]) for each in batches] == [PLAN.steps * number for number in range(1, 6)]
    assert set(batches[-1]["classes"].ravel()) == set(range(10))
    _, _, batches, _ = given("split", forgetting.REPLAY)
    assert set(batches[-1]["classes"][:, 16:].ravel()) <= set(range(8))
    assert batches[-1]["classes"][:, :16].min() == 8
    _, _, _, groups = given("split", forgetting.LWF)
    assert [of.sum(axis=1).tolist() for of in groups[:3]] == [[0] * 5, [2, 0, 0, 0, 0], [2, 2, 0, 0, 0]]
    _, _, _, groups = given("classes", forgetting.LWF)
    assert [of.sum(axis=1).tolist() for of in groups[1:3]] == [[2, 0, 0, 0, 0], [4, 0, 0, 0, 0]]


def test_an_answer_is_the_likeliest_of_the_classes_that_are_allowed(monkeypatch):
    logits = np.zeros((4, 10), np.float32)
    logits[:, 9], logits[:2, 0], logits[2:, 1] = 5, 1, 1
    monkeypatch.setattr(forgetting, "_applied", lambda *_: logits)
    task = forgetting.Task(logits, np.zeros(4, int), logits, np.zeros(4, int), (0, 1), (0, 1))
    assert forgetting.accuracy(None, None, task) == 0.5
    assert forgetting.accuracy(None, None, task._replace(allowed=tuple(range(10)))) == 0


def scores():
    accuracy = {"naive": 0.4, "replay": 0.8, "EWC": 0.6, "LwF": 0.5, "joint": 0.9}
    return {
        series: {
            method: {
                "accuracy": [value] * 2,
                "forgetting": [0.02 if series == "split" else 0.5] * 2,
                "backward": [-0.5] * 2,
                "forward": [0.0, 0.1],
            }
            for method, value in accuracy.items()
        }
        for series in forgetting.SERIES
    }


@pytest.mark.parametrize(
    ("series", "method", "measure", "value"),
    [
        ("permuted", "naive", "forgetting", 0.05),
        ("split", "EWC", "accuracy", 0.3),
        ("classes", "replay", "accuracy", 0.39),
        ("permuted", "EWC", "accuracy", 0.3),
        ("permuted", "replay", "accuracy", 0.95),
    ],
)
def test_claims_of_forgetting_hold_and_fail(series, method, measure, value):
    assert all(forgetting.claims(scores()).values())
    wrong = copy.deepcopy(scores())
    wrong[series][method][measure] = [value] * 2
    assert not all(forgetting.claims(wrong).values())


def test_forgetting_is_tabled_and_drawn():
    table = forgetting.table(scores())
    assert "| permuted, replay | 80.0 ± 0.0 | 50.0 ± 0.0 | -50.0 ± 0.0 | 5.0 ± " in table
    matrix = np.tril(np.full((5, 5), 0.8)).tolist()
    figure = forgetting.figure({s: dict.fromkeys(forgetting.METHODS, matrix) for s in forgetting.SERIES})
    assert all(len(panel.lines) == 2 * len(forgetting.METHODS) for panel in figure.axes)


def probed(**changes):
    accuracies = {
        shortcut.SHORTCUT: {"own": 0.98, "other": 0.4, "grey": 0.8, "empty": 0.8, "same": 0.5},
        shortcut.NONE: {"own": 0.98, "other": 0.97, "grey": 0.97, "empty": 0.1, "same": 0.98},
    }
    for name, value in changes.items():
        arm, _, name = name.partition("_")
        accuracies[{"fooled": shortcut.SHORTCUT, "better": shortcut.NONE}[arm]][name] = value
    return {
        arm: Result(
            {shortcut.SAME: [each["same"]], **{f"accuracy_{g}": [each[g]] for g in shortcut.TESTS}}, parameters=1
        )
        for arm, each in accuracies.items()
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"fooled_own": 0.9},
        {"fooled_other": 0.9},
        {"fooled_empty": 0.3},
        {"better_other": 0.9},
        {"better_same": 0.4},
        {"better_other": float("nan")},
    ],
)
def test_claims_of_the_shortcut_hold_and_fail(changes):
    assert all(shortcut.claims(probed()).values())
    assert not all(shortcut.claims(probed(**changes)).values())


def test_the_shortcut_is_tabled_drawn_and_seen_on_the_same_digits():
    assert "| colour goes with the class | 98.0 | 40.0 | 80.0 | 80.0 | 50.0 |" in shortcut.table(probed())
    assert len(shortcut.figure(probed()).axes[0].patches) == 2 * 4
    recipes = shortcut.recipes_of(SeededOptions())
    assert len({(recipe.epochs, recipe.model) for recipe in recipes.values()}) == 1
    assert shortcut.pixels_of("own").shape == shortcut.pixels_of("empty").shape == (360, 16, 16, 3)


def withstood(**changes):
    accuracies = {"plain": {"accuracy": 0.99}, "adversarial": {"accuracy": 0.98}}
    at = {"noise": (0.98, 0.98), "FGSM": (0.3, 0.85), "PGD": (0.1, 0.8)}
    for attack, values in at.items():
        for arm, value in zip(accuracies, values, strict=True):
            accuracies[arm] |= {robustness.name_of(attack, epsilon): value for epsilon in robustness.EPSILONS}
    for arm, (name, value) in changes.items():
        accuracies[arm][name] = value
    return {
        arm: Result({name: [value] for name, value in each.items()}, parameters=1) for arm, each in accuracies.items()
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"plain": ("noise_0.1", 0.9)},
        {"plain": ("PGD_0.1", 0.95)},
        {"adversarial": ("PGD_0.1", 0.2)},
        {"adversarial": ("accuracy", 1.01)},
        {"plain": ("FGSM_0.1", float("nan"))},
    ],
)
def test_claims_of_robustness_hold_and_fail(changes):
    assert all(robustness.claims(withstood()).values())
    assert not all(robustness.claims(withstood(**changes)).values())


def test_robustness_is_tabled_and_drawn():
    assert "| plain, PGD | 99.0 | 10.0 |" in robustness.table(withstood())
    figure = robustness.figure(withstood())
    assert len(figure.axes[0].lines) == 2 * 3 + 1


def test_both_arms_of_robustness_learn_as_long():
    recipes = robustness.recipes_of(SeededOptions())
    assert len({(recipe.epochs, recipe.model, recipe.data) for recipe in recipes.values()}) == 1


def test_attacks_lower_the_accuracy_of_a_classifier_of_pixels():
    random = np.random.default_rng(0)
    weights = random.standard_normal((12, 3)).astype(np.float32)
    classifier = lambda pixels: pixels.reshape(len(pixels), -1) @ weights  # noqa: E731
    pixels = random.uniform(0.3, 0.7, (40, 2, 2, 3)).astype(np.float32)
    classes = np.asarray(classifier(pixels)).argmax(axis=1)
    right = {
        name: float(np.mean(classifier(jax.jit(change)(pixels, classes, 0.1)).argmax(axis=-1) == classes))
        for name, change in robustness.attacks_on(classifier).items()
    }
    assert right["noise"] > 0.6
    assert right["PGD"] <= right["FGSM"] < right["noise"]
