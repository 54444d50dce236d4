"""`train.recipe`: fields changed by name, as the command line does, and what is said of those that do not exist."""

import dataclasses

import pytest

import train
from train.config import Optimizer, RecipeError
from train.recipes import all_recipes, get
from zoo.names import UnknownNameError


def test_fields_are_changed_by_their_dotted_names_and_nothing_else_is():
    changed = train.recipe("digits", {"optimizer.learning_rate": 3e-3, "data.classes": ["0", "1"]}, epochs=2)
    digits = get("digits")
    assert changed == dataclasses.replace(
        digits,
        optimizer=dataclasses.replace(digits.optimizer, learning_rate=3e-3),
        data=dataclasses.replace(digits.data, classes=("0", "1")),
        epochs=2,
    )


@pytest.mark.parametrize("name", all_recipes())
def test_without_changes_a_recipe_is_itself(name):
    assert train.recipe(name) == get(name)
    assert train.recipe(get(name)) == get(name)


def test_a_whole_part_and_nested_names_are_taken_too():
    adam = Optimizer("adam", learning_rate=1e-3)
    assert train.recipe("digits", optimizer=adam).optimizer == adam
    assert train.recipe("digits", {"optimizer": adam, "model": {"dtype": "bfloat16"}}).model.dtype == "bfloat16"
    assert train.recipe("digits", name="mine").name == "mine"


def test_another_task_comes_with_its_settings_and_another_model_without_options():
    changed = train.recipe("digits", {"task.kind": "sphere_classification", "task.dims": 25, "model.name": "mlp"})
    assert (changed.task.kind, changed.task.dims) == ("sphere_classification", 25)
    assert (changed.model.name, changed.model.options) == ("mlp", ())
    assert train.recipe("digits", {"model.name": "cifar_resnet8"}).model == get("digits").model


@pytest.mark.parametrize(
    ("arguments", "top", "said"),
    [
        (("digit_mlp",), {}, "no recipe 'digit_mlp'; nearest: digits_mlp"),
        (("digits", {"optimizer.learnin_rate": 1}), {}, "nearest: optimizer.learning_rate"),
        (("digits", {"learning_rate": 1}), {}, "nearest: optimizer.learning_rate"),
        (("digits",), {"learning_rate": 1}, "nearest: optimizer.learning_rate"),
        (("digits",), {"epoch": 3}, "nearest: epochs"),
        (("digits", {"task.kind": "spere"}), {}, "no task 'spere'"),
        (("digits", {"task.dims": 3}), {}, "no field of a recipe 'task.dims'"),
    ],
)
def test_a_name_that_does_not_exist_is_told_the_nearest(arguments, top, said):
    with pytest.raises(UnknownNameError) as raised:
        train.recipe(*arguments, **top)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "top", "said"),
    [
        (("digits", {"epochs": "x"}), {}, "recipe digits: epochs: expected int, got 'x'"),
        (("digits",), {"epochs": 0}, "out of range: epochs=0"),
        (("digits", {"epochs": 2}), {"epochs": 3}, "epochs: given twice"),
        (("digits",), {"optimizer": Optimizer(), "data": 3}, "no field"),
        ((3,), {}, "expected the name of a recipe, or a recipe, got 3"),
        (("digits", [("epochs", 2)]), {}, "expected the changes as a dictionary"),
        (("digits",), {"data": Optimizer()}, "data: expected Data, got Optimizer"),
    ],
)
def test_a_value_that_is_not_possible_is_refused(arguments, top, said):
    with pytest.raises((RecipeError, UnknownNameError)) as raised:
        train.recipe(*arguments, **top)
    assert said in str(raised.value)


def test_a_notebook_shows_what_is_not_as_by_default_and_folds_the_rest():
    shown, folded = train.recipe("digits_mlp", {"task.kind": "regression"})._repr_html_().split("<details>")
    assert "<b>Recipe digits_mlp</b>" in shown
    for name in ("model.name", "model.options", "optimizer.learning_rate", "task.kind", "epochs"):
        assert f">{name}</th>" in shown
    for name in ("model.dtype", "seed", "task.standardise"):
        assert f">{name}</th>" in folded
        assert f">{name}</th>" not in shown
