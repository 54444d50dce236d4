"""Recipes: what they refuse, and that they come back from json as they were."""

import dataclasses
import json

import pytest

import zoo
from train import recipe as recipes
from train.data import Augment
from train.recipe import Data, Model, Optimizer, Recipe, RecipeError, Schedule, Task
from train.recipes import all_recipes, get
from train.workdir import Workdir, WorkdirError
from zoo.names import UnknownNameError

UNUSUAL = Recipe(
    name="unusual",
    model=Model("mlp", options=("hidden=(8, 4)", "activation=tanh"), dtype="bfloat16"),
    data=Data("tfds:mnist", limit=100),
    augment=Augment(pad_crop=2, rotate=15, mean=(0.1,), std=(0.3,)),
    task=Task(label_smoothing=0.1),
    optimizer=Optimizer("muon", learning_rate=1, clip_norm=1.0, ema=0.99),
    schedule=Schedule("step", milestones=(0.1, 0.2, 0.9)),
    steps=17,
)


@pytest.mark.parametrize("recipe", [UNUSUAL, *all_recipes().values()], ids=lambda recipe: recipe.name)
def test_a_recipe_comes_back_from_json(recipe):
    text = json.dumps(recipes.to_dict(recipe))
    back = recipes.from_dict(json.loads(text))
    assert back == recipe
    assert hash(back) == hash(recipe)  # lists became tuples again


def test_what_json_leaves_out_has_its_default():
    assert recipes.from_dict({"optimizer": {"momentum": 0.5}}) == Recipe(optimizer=Optimizer(momentum=0.5))


def test_a_misspelt_field_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="no field of Recipe 'epoch'; nearest: epochs"):
        recipes.from_dict({"epoch": 3})
    with pytest.raises(UnknownNameError, match="no field of Optimizer 'learning_rat'; nearest: learning_rate"):
        recipes.from_dict({"optimizer": {"learning_rat": 0.1}})
    with pytest.raises(RecipeError, match="Optimizer: expected its fields, got 'adam'"):
        recipes.from_dict({"optimizer": "adam"})


def test_values_out_of_range_are_listed_together():
    with pytest.raises(RecipeError) as caught:
        Recipe(
            name="bad",
            epochs=0,
            data=Data(batch_size=0),
            optimizer=Optimizer(learning_rate=float("nan"), momentum=1.0, ema=1.0),
            schedule=Schedule(milestones=(0.5, 1.5)),
        )
    assert str(caught.value) == (
        "recipe bad: out of range: epochs=0, data.batch_size=0, optimizer.learning_rate=nan, "
        "optimizer.momentum=1.0, optimizer.ema=1.0, schedule.milestones=(0.5, 1.5)"
    )


BAD_VALUES = {
    "epochs": 0,
    "steps": 0,
    "seed": -1,
    "steps_per_dispatch": -1,
    "eval_every": 0,
    "checkpoint_every": -1,
    "log_every": 0,
    "early_stop": -1,
    "data.batch_size": 0,
    "data.eval_batch_size": 0,
    "data.workers": -1,
    "data.limit": 0,
    "data.crop": -1,
    "data.smallest_area": 0.0,
    "data.eval_crop": 224,
    "data.resize": 256,
    "task.label_smoothing": 1.0,
    "task.space.dims": -1,
    "task.space.seed": -1,
    "optimizer.learning_rate": -0.1,
    "optimizer.momentum": 1.0,
    "optimizer.b1": 1.0,
    "optimizer.b2": -0.1,
    "optimizer.weight_decay": -1e-4,
    "optimizer.layer_decay": 0.0,
    "optimizer.accumulate": 0,
    "optimizer.ema": 1.0,
    "optimizer.clip_norm": 0.0,
    "schedule.warmup": 1.0,
    "schedule.milestones": (0.0,),
    "schedule.factor": -1.0,
}


@pytest.mark.parametrize("field", [*BAD_VALUES])
def test_each_number_has_its_range(field):
    with pytest.raises(RecipeError, match=f"out of range: {field}="):
        with_value(field, BAD_VALUES[field])


def test_windows_that_are_cut_anew_are_not_kept_in_memory():
    with pytest.raises(RecipeError, match=r"data\.crop cuts windows anew .* expected data\.pipeline auto or grain"):
        Recipe(data=Data(crop=32, pipeline="memory"))


def test_every_number_of_a_recipe_has_a_range():
    def is_number(value):
        return isinstance(value, int | float) and not isinstance(value, bool)

    optional = {"steps", "data.limit", "optimizer.clip_norm", "optimizer.ema"}
    own = {name: value for name, value in recipes.flatten(Recipe()).items() if not name.startswith("augment.")}
    numbers = {name for name, value in own.items() if is_number(value)}
    assert numbers | optional | {"schedule.milestones"} == set(BAD_VALUES)


def with_value(field, value):
    """The default recipe with one value, given as nested dictionaries."""
    for name in reversed(field.split(".")):
        value = {name: value}
    return recipes.from_dict(value)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("optimizer.name", "sdg", "optimizer.name: expected Literal['sgd', 'adam', 'adamw', 'lars', 'lamb', 'muon']"),
        ("placement", "gpu", "placement: expected Literal['jit', 'fsdp', 'pmap'], got 'gpu'"),
        ("epochs", "3", "epochs: expected int, got '3'"),
        ("epochs", 2.5, "epochs: expected int, got 2.5"),
        ("epochs", True, "epochs: expected int, got True"),
        ("steps", "3", "steps: expected int | None, got '3'"),
        ("augment.flip", 1, "augment.flip: expected bool, got 1"),
        ("model.options", "depth=8", "model.options: expected tuple[str, ...], got 'depth=8'"),
        ("schedule.milestones", ("half",), "schedule.milestones: expected tuple[float, ...], got ('half',)"),
    ],
)
def test_values_of_the_wrong_type_are_refused_with_the_right_one(field, value, expected):
    with pytest.raises(RecipeError) as caught:
        with_value(field, value)
    assert expected in str(caught.value)


def test_differences_name_the_fields_with_both_values():
    assert recipes.differences(UNUSUAL, recipes.from_dict(json.loads(json.dumps(recipes.to_dict(UNUSUAL))))) == []
    other = dataclasses.replace(Recipe(), epochs=3, optimizer=Optimizer("adam"))
    assert recipes.differences(Recipe(), other) == ["optimizer.name: 'sgd' -> 'adam'", "epochs: 10 -> 3"]


def test_flat_names_cover_every_value():
    flat = recipes.flatten(UNUSUAL)
    assert flat["model.options"] == ("hidden=(8, 4)", "activation=tanh")
    assert not any(dataclasses.is_dataclass(value) for value in flat.values())


def test_model_options_are_literals_or_words():
    assert recipes.model_options(UNUSUAL) == {"hidden": (8, 4), "activation": "tanh"}
    several = Recipe(model=Model(options=("rate=1e-3", "flag=False", "none=None", "text='a=b'", "equation=a=b")))
    expected = {"rate": 1e-3, "flag": False, "none": None, "text": "a=b", "equation": "a=b"}
    assert recipes.model_options(several) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("depth",), "expected name=value, got 'depth'"),
        (("=8",), "expected name=value, got '=8'"),
        (("depth=8", "depth=20"), "'depth' comes twice"),
        (("num_classes=3",), "'num_classes' is decided by the task"),
        (("dtype=bfloat16",), "'dtype' is decided by model.dtype"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        recipes.model_options(Recipe(model=Model(options=options)))


def test_a_card_that_no_run_wrote_is_refused(tmp_path):
    card = tmp_path / "recipe.json"
    card.write_text(json.dumps({"recipe": recipes.to_dict(UNUSUAL), "versions": {}}))
    files = Workdir(tmp_path)
    assert files.read_recipe() == UNUSUAL
    for text, message in (('{"recipe": {', "is damaged"), ("[1]", "expected an object"), ("{}", "holds no recipe")):
        card.write_text(text)
        with pytest.raises(WorkdirError, match=message):
            files.read_recipe()


@pytest.mark.parametrize("recipe", all_recipes().values(), ids=lambda recipe: recipe.name)
def test_the_models_of_the_named_recipes_exist_with_their_options(recipe):
    assert recipe.model.name in zoo.list_models()
    zoo.create(recipe.model.name, **recipes.model_options(recipe))


def test_named_recipes_are_found_by_name_and_a_typo_gives_the_nearest():
    for name, recipe in all_recipes().items():
        assert recipe.name == name
        assert get(name) is recipe
    with pytest.raises(UnknownNameError, match="no recipe 'digit'; nearest: digits"):
        get("digit")


def test_the_table_of_recipes_names_each(capsys):
    from train.recipes import print_table

    print_table()
    printed = capsys.readouterr().out
    assert all(name[:12] in printed for name in all_recipes())
