"""Recipes: what they refuse, and that they come back from json as they were."""

import dataclasses
import json

import pytest

import zoo
from train import config
from train.config import Augment, Classification, Data, Model, Optimizer, Recipe, RecipeError, Schedule, settings_of
from train.config.task import KINDS
from train.config.tasks.sphere import SphereClassification, SphereJoint
from train.recipes import all_recipes, get
from train.store.workdir import Workdir, WorkdirError
from zoo.names import UnknownNameError

UNUSUAL = Recipe(
    name="unusual",
    model=Model("mlp", options=("hidden=(8, 4)", "activation=tanh"), dtype="bfloat16"),
    data=Data("tfds:mnist", limit=100),
    augment=Augment(pad_crop=2, rotate=15, mean=(0.1,), std=(0.3,)),
    task=Classification(label_smoothing=0.1),
    optimizer=Optimizer("muon", learning_rate=1, clip_norm=1.0, ema=0.99),
    schedule=Schedule("step", milestones=(0.1, 0.2, 0.9)),
    steps=17,
)


@pytest.mark.parametrize("recipe", [UNUSUAL, *all_recipes().values()], ids=lambda recipe: recipe.name)
def test_a_recipe_comes_back_from_json(recipe):
    text = json.dumps(config.to_dict(recipe))
    back = config.from_dict(json.loads(text))
    assert back == recipe
    assert hash(back) == hash(recipe)  # lists became tuples again


def test_what_json_leaves_out_has_its_default():
    assert config.from_dict({"optimizer": {"momentum": 0.5}}) == Recipe(optimizer=Optimizer(momentum=0.5))


def test_a_misspelt_field_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="no field of Recipe 'epoch'; nearest: epochs"):
        config.from_dict({"epoch": 3})
    with pytest.raises(UnknownNameError, match="no field of Optimizer 'learning_rat'; nearest: learning_rate"):
        config.from_dict({"optimizer": {"learning_rat": 0.1}})
    with pytest.raises(RecipeError, match="Optimizer: expected its fields, got 'adam'"):
        config.from_dict({"optimizer": "adam"})


def test_values_out_of_range_are_listed_together():
    with pytest.raises(RecipeError) as caught:
        Recipe(
            name="bad",
            epochs=0,
            early_stop=-1,
        )
    assert str(caught.value) == "recipe bad: out of range: epochs=0, early_stop=-1"
    with pytest.raises(RecipeError) as caught:
        Optimizer(learning_rate=float("nan"), momentum=1.0, ema=1.0)
    assert str(caught.value) == ("out of range: optimizer.learning_rate=nan, optimizer.momentum=1.0, optimizer.ema=1.0")
    with pytest.raises(RecipeError, match=r"out of range: augment\.mean=\(0\.5, nan\)"):
        Augment(mean=(0.5, float("nan")))


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
    "data.canvas": -1,
    "data.shorter": 600,
    "data.proposals": -1,
    "data.rare_below": 0,
    "data.held_out": -1,
    "data.validation": 1.0,
    "data.frames": -1,
    "data.stride": 0,
    "data.rate": -1.0,
    "data.clips": 0,
    "augment.pad_crop": -1,
    "augment.rotate": -1.0,
    "augment.cutout": -1,
    "augment.erase": 1.5,
    "augment.mixup": -1.0,
    "augment.cutmix": -1.0,
    "task.label_smoothing": 1.0,
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


@pytest.mark.parametrize(
    ("field", "value", "most"),
    [
        ("steps", 10**9 + 1, "1,000,000,000"),
        ("epochs", 10**9, "1,000,000"),
        ("steps_per_dispatch", 999_999_999, "1,000"),
        ("data.workers", 500, "128"),
        ("data.batch_size", 10**6, "65,536"),
        ("data.eval_batch_size", 10**9, "65,536"),
        ("data.crop", 10**5, "8,192"),
        ("data.canvas", 10**5, "8,192"),
        ("data.frames", 10**5, "1,024"),
        ("augment.pad_crop", 10**6, "1,024"),
    ],
)
def test_a_digit_too_many_is_refused(field, value, most):
    with pytest.raises(RecipeError, match=f"{field}: expected at most {most}, got {value:,}$"):
        with_value(field, value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_digit_too_many_in_a_task_is_refused(kind):
    for name, most in settings_of(kind).most.items():
        settings_of(kind)(**{name: most})
        with pytest.raises(RecipeError, match=rf"task\.{name}: expected at most {most:,}, got {10 * most:,}"):
            settings_of(kind)(**{name: 10 * most})


def test_windows_that_are_cut_anew_are_not_kept_in_memory():
    with pytest.raises(RecipeError, match=r"data\.crop cuts windows anew .* expected data\.pipeline auto or grain"):
        Recipe(data=Data(crop=32, pipeline="memory"))


def test_images_are_turned_only_where_they_have_one_size():
    for framing in ("crop", "canvas"):
        with pytest.raises(RecipeError, match=r"out of range: data\.rotate=\(-45\.0, 45\.0\)"):
            Data(rotate=(-45.0, 45.0), **{framing: 16})


def test_every_number_of_a_recipe_has_a_range():
    def is_number(value):
        return isinstance(value, int | float) and not isinstance(value, bool)

    optional = {"steps", "data.limit", "optimizer.clip_norm", "optimizer.ema"}
    numbers = {name for name, value in config.flatten(Recipe()).items() if is_number(value)}
    assert numbers | optional | {"schedule.milestones"} == set(BAD_VALUES)


def with_value(field, value):
    """The default recipe with one value, given as nested dictionaries."""
    for name in reversed(field.split(".")):
        value = {name: value}
    return config.from_dict(value)


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
    assert config.differences(UNUSUAL, config.from_dict(json.loads(json.dumps(config.to_dict(UNUSUAL))))) == []
    other = dataclasses.replace(Recipe(), epochs=3, optimizer=Optimizer("adam"))
    assert config.differences(Recipe(), other) == ["optimizer.name: 'sgd' -> 'adam'", "epochs: 10 -> 3"]


def test_flat_names_cover_every_value():
    flat = config.flatten(UNUSUAL)
    assert flat["model.options"] == ("hidden=(8, 4)", "activation=tanh")
    assert not any(dataclasses.is_dataclass(value) for value in flat.values())


def test_model_options_are_literals_or_words():
    assert config.model_options(UNUSUAL.model) == {"hidden": (8, 4), "activation": "tanh"}
    several = Model(options=("rate=1e-3", "flag=False", "none=None", "text='a=b'", "equation=a=b"))
    expected = {"rate": 1e-3, "flag": False, "none": None, "text": "a=b", "equation": "a=b"}
    assert config.model_options(several) == expected


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
        config.model_options(Model(options=options))


def test_a_card_that_no_run_wrote_is_refused(tmp_path):
    card = tmp_path / "recipe.json"
    card.write_text(json.dumps({"recipe": config.to_dict(UNUSUAL), "versions": {}}))
    files = Workdir(tmp_path)
    assert files.read_recipe() == UNUSUAL
    for text, message in (('{"recipe": {', "is damaged"), ("[1]", "expected an object"), ("{}", "holds no recipe")):
        card.write_text(text)
        with pytest.raises(WorkdirError, match=message):
            files.read_recipe()


@pytest.mark.parametrize("recipe", all_recipes().values(), ids=lambda recipe: recipe.name)
def test_the_models_of_the_named_recipes_exist_with_their_options(recipe):
    assert recipe.model.name in zoo.list_models()
    zoo.create(recipe.model.name, **config.model_options(recipe.model))


def test_named_recipes_are_found_by_name_and_a_typo_gives_the_nearest():
    for name, recipe in all_recipes().items():
        assert recipe.name == name
        assert get(name) is recipe
    with pytest.raises(UnknownNameError, match="no recipe 'digit'; nearest: digits"):
        get("digit")


# ---- tasks ----


@pytest.mark.parametrize("kind", KINDS)
def test_every_task_has_settings_of_its_own_that_come_back_from_json(kind):
    recipe = Recipe(task=settings_of(kind)())
    assert recipe.task.kind == kind
    written = json.loads(json.dumps(config.to_dict(recipe)))
    assert written["task"]["kind"] == kind
    assert config.from_dict(written) == recipe


def test_a_field_that_a_task_does_not_have_cannot_be_given():
    with pytest.raises(UnknownNameError, match="no field of Classification 'dims'"):
        config.from_dict({"task": {"kind": "classification", "dims": 3}})
    with pytest.raises(UnknownNameError, match="no task 'regresion'; nearest: regression"):
        config.from_dict({"task": {"kind": "regresion"}})
    with pytest.raises(TypeError, match="label_smoothing"):
        settings_of("regression")(label_smoothing=0.1)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("classification", "label_smoothing", 1.0),
        ("regression", "dims", 1),
        ("sphere_classification", "dims", -1),
        ("sphere_classification", "seed", -1),
        ("sphere_joint", "dims", 2),
        ("sphere_joint", "bounds", (3.0, 1.0)),
        ("sphere_regression", "dims", 1),
        ("sphere_regression", "bounds", (1.0,)),
        ("cosface", "dims", 1),
    ],
)
def test_each_setting_of_a_task_has_its_range(kind, field, value):
    with pytest.raises(RecipeError, match=f"out of range: task.{field}="):
        settings_of(kind)(**{field: value})


def test_prototypes_refuse_what_their_kind_does_not_have():
    with pytest.raises(
        RecipeError, match=r"sphere_classification with one_hot prototypes has no task\.seed: leave out"
    ):
        SphereClassification(prototypes="one_hot", seed=3)
    with pytest.raises(RecipeError, match=r"with separated prototypes has no task\.vectors"):
        SphereJoint(vectors="words.npz")
    SphereJoint(prototypes="semantic", vectors="taxonomy:cifar100", seed=3)


def test_differences_of_other_tasks_name_what_either_lacks():
    found = config.differences(Recipe(), Recipe(task=SphereClassification(dims=3)))
    assert "task.kind: 'classification' -> 'sphere_classification'" in found
    assert "task.label_smoothing: 0.0 -> 'nothing'" in found
    assert "task.dims: 'nothing' -> 3" in found
