"""Spaces as a person types them: kinds, types of the fields, and refusals that name the field."""

import pytest

from train.config import Augment, Data, Model, Optimizer, Recipe, RecipeError, model_options
from train.tuning.search import Choices, Range, parse, with_values
from zoo.names import UnknownNameError

RECIPE = Recipe(name="some", model=Model("mlp", options=("hidden=(8,)", "dropout=0.1")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.learning_rate=log:1e-4..1", Range("optimizer.learning_rate", 1e-4, 1.0, log=True)),
        ("optimizer.learning-rate=0..1", Range("optimizer.learning_rate", 0.0, 1.0)),
        ("augment.rotate=.5..1.", Range("augment.rotate", 0.5, 1.0)),
        ("epochs=2..20", Range("epochs", 2, 20, whole=True)),
        ("data.batch_size=log:8..64", Range("data.batch_size", 8, 64, log=True, whole=True)),
        ("steps=10..20", Range("steps", 10, 20, whole=True)),  # int or none
        ("optimizer.clip_norm=0.5..5", Range("optimizer.clip_norm", 0.5, 5.0)),  # float or none
        ("optimizer.clip_norm=none,1", Choices("optimizer.clip_norm", ("none", "1"))),
        ("optimizer.name=sgd,adamw", Choices("optimizer.name", ("sgd", "adamw"))),
        ("optimizer.nesterov=true,false", Choices("optimizer.nesterov", ("true", "false"))),
        ("data.source=npz:../a,npz:../b", Choices("data.source", ("npz:../a", "npz:../b"))),
        ("model.options.dropout=0..0.5", Range("model.options.dropout", 0.0, 0.5)),
        ("model.options.depth=2..8", Range("model.options.depth", 2, 8, whole=True)),
        ("model.options.hidden=(8,),(16, 8)", Choices("model.options.hidden", ("(8,)", "(16, 8)"))),
    ],
)
def test_a_space_is_of_its_fields_type(text, expected):
    (found,) = parse([text], RECIPE)
    assert found == expected
    assert parse([str(found)], RECIPE) == (found,)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("optimizer.learnin_rate=0..1", UnknownNameError, "nearest: optimizer.learning_rate"),
        ("learning_rate=0..1", UnknownNameError, "nearest: optimizer.learning_rate"),
        ("optimizer.learning_rate", RecipeError, "expected FIELD=SPACE"),
        ("optimizer.learning_rate=", RecipeError, "expected FIELD=SPACE"),
        (
            "optimizer.learning_rate=0.1",
            RecipeError,
            "learning_rate: expected LOW..HIGH, log:LOW..HIGH or two",
        ),
        ("optimizer.learning_rate=1..a", RecipeError, "optimizer.learning_rate: expected numbers"),
        ("optimizer.learning_rate=1..1", RecipeError, "optimizer.learning_rate: expected LOW below HIGH"),
        ("optimizer.learning_rate=0..nan", RecipeError, "expected LOW below HIGH"),
        ("optimizer.learning_rate=0..inf", RecipeError, "expected LOW below HIGH"),
        ("optimizer.learning_rate=log:0..1", RecipeError, "expected a range above 0 after log:"),
        ("optimizer.learning_rate=-1..1", RecipeError, "out of range: optimizer.learning_rate=-1.0"),
        ("optimizer.momentum=0..1", RecipeError, "out of range: optimizer.momentum=1.0"),
        ("epochs=0.5..2", RecipeError, "epochs: expected whole numbers"),
        ("epochs=1,two", RecipeError, "epochs: expected int, got 'two'"),
        ("data.batch_size=1..999999", RecipeError, "data.batch_size: expected at most 65,536"),
        ("optimizer.name=sgd,adma", RecipeError, "optimizer.name: expected Literal"),
        ("optimizer.name=1..2", RecipeError, "optimizer.name: expected two choices or more, X,Y, got '1..2'"),
        ("optimizer.name=sgd,sgd", RecipeError, "choices that differ"),
        ("optimizer.learning_rate=0.1,0.10", RecipeError, "choices that differ"),
        ("optimizer.name=sgd,,adam", RecipeError, "choices between commas"),
        ("optimizer.nesterov=yes,no", RecipeError, "optimizer.nesterov: expected true or false"),
        ("name=a,b", RecipeError, "name: cannot be searched"),
        ("task.kind=classification,regression", RecipeError, "task.kind: cannot be searched"),
        ("model.options=depth=8,depth=14", RecipeError, "search model.options.NAME"),
        ("model.options.=1,2", UnknownNameError, "no field of a recipe"),
        ("task.dims=2..5", UnknownNameError, "no field of a recipe 'task.dims'"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_field_named(text, error, message):
    with pytest.raises(error) as caught:
        parse([text], RECIPE)
    assert message in str(caught.value)


def test_a_field_is_searched_once():
    with pytest.raises(RecipeError, match="epochs: searched twice"):
        parse(["epochs=1..2", "epochs=3..4"], RECIPE)


def test_values_become_fields_of_the_recipe_and_the_rest_stays():
    texts = [
        "optimizer.learning_rate=log:1e-4..1",
        "optimizer.clip_norm=none,1",
        "optimizer.nesterov=true,false",
        "schedule.milestones=0.3 0.6,0.5",
        "data.batch_size=8,16",
        "model.options.dropout=0..0.5",
        "model.options.hidden=(8,),(16, 8)",
    ]
    values = {
        "optimizer.learning_rate": 0.25,
        "optimizer.clip_norm": "1",
        "optimizer.nesterov": "true",
        "schedule.milestones": "0.3 0.6",
        "data.batch_size": "16",
        "model.options.dropout": 0.2,
        "model.options.hidden": "(16, 8)",
    }
    base = Recipe(name="some", model=RECIPE.model, augment=Augment(flip=True), data=Data(workers=2))
    found = with_values(base, parse(texts, base), values)
    assert found.optimizer == Optimizer(learning_rate=0.25, clip_norm=1.0, nesterov=True)
    assert (found.schedule.milestones, found.data) == ((0.3, 0.6), Data(workers=2, batch_size=16))
    assert (found.augment, found.name) == (base.augment, "some")
    assert model_options(found.model) == {"dropout": 0.2, "hidden": (16, 8)}
    none = with_values(base, parse(texts, base), {**values, "optimizer.clip_norm": "none"})
    assert none.optimizer.clip_norm is None


def test_another_model_leaves_the_options_behind():
    searches = parse(["model.name=mlp,lenet5"], RECIPE)
    assert with_values(RECIPE, searches, {"model.name": "mlp"}).model == RECIPE.model
    assert with_values(RECIPE, searches, {"model.name": "lenet5"}).model == Model("lenet5")
