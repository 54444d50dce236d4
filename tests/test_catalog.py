"""The catalog: every row builds a model that is what the row says, and names that do not exist are answered well."""

import dataclasses
import importlib
import inspect
import math
import re
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

import zoo
from tests.convnets.families import SMALL, marks
from zoo import catalog
from zoo.catalog import CATALOG, Entry, Ref, entry_of
from zoo.catalog.inputs import batch_of
from zoo.names import unknown
from zoo.tables import markdown_row

MODELS = (Path(__file__).parents[1] / "zoo" / "MODELS.md").read_text().splitlines()

QUICK = re.compile(r"mlp|lenet5|cifar_(resnet|plain)(8|20|32)|.*_tiny")  # others take a second or more to trace


def traced(name):
    """The model as a test's parameter; the deep ones are slow."""
    return pytest.param(name, marks=marks(name, quick=bool(QUICK.fullmatch(name))))


def traced_once(name, **overrides):
    """Shapes of the features of two examples and of the variables."""
    model, key = zoo.create(name, **overrides), jax.random.key(0)
    inputs = batch_of(CATALOG[name].inputs, 2)
    return jax.eval_shape(lambda *by: model.init_with_output(*by, features=True), key, *inputs)


def outputs_of(name, **overrides):
    """Shapes and types of the outputs for two examples; nothing is computed."""
    model = zoo.create(name, **overrides)
    inputs = batch_of(CATALOG[name].inputs, 2)
    variables = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    return jax.eval_shape(model.apply, variables, *inputs)


CLASSIFIERS = [*zoo.list_models(task="classification"), *zoo.list_models(task="video_classification")]


@pytest.mark.parametrize("name", [traced(name) for name in CLASSIFIERS])
def test_every_classifier_classifies_its_input_shape_names_its_features_and_has_the_parameters_of_the_table(name):
    features, variables = traced_once(name)
    assert (features["logits"].shape, features["logits"].dtype) == ((2, zoo.create(name).num_classes), jnp.float32)
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))
    assert markdown_row(name, parameters) in MODELS
    if QUICK.fullmatch(name):  # one of every class
        assert traced_once(name, num_classes=7)[0]["logits"].shape == (2, 7)
    if QUICK.fullmatch(name) and not SMALL.fullmatch(name):  # whose promises test_conformance holds
        assert outputs_of(name, dtype=jnp.bfloat16).shape == (2, zoo.create(name).num_classes)
        assert features["pre_logits"].shape == outputs_of(name, num_classes=0).shape


@pytest.mark.parametrize("name", [traced(name) for name in zoo.list_models(task="detection")])
def test_every_detector_has_the_parameters_of_the_table(name):
    variables = jax.eval_shape(zoo.create(name).init, jax.random.key(0), *batch_of(CATALOG[name].inputs))
    assert markdown_row(name, sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))) in MODELS


LARGE_SEGMENTERS = re.compile(r".*_resnet101|.*_mobilenet_v3_large|fcn(16|8)s_vgg16|unet_same")
"""Networks that differ from others by more of the same."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if LARGE_SEGMENTERS.fullmatch(name) else [])
        for name in zoo.list_models(task="segmentation")
    ],
)
def test_every_segmenter_has_the_parameters_of_the_table_and_scores_every_pixel(name):
    model, batch = zoo.create(name), batch_of(CATALOG[name].inputs)
    logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), *batch)
    height, width = (388, 388) if name == "unet" else batch[0].shape[1:3]  # the paper's sees no place outside the image
    assert (logits.shape, logits.dtype) == ((1, height, width, model.num_classes), jnp.float32)
    assert markdown_row(name, sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))) in MODELS


WITHOUT_CLASSES = [name for task in ("optical_flow", "surfaces", "generation") for name in zoo.list_models(task=task)]


@pytest.mark.parametrize("name", [traced(name) for name in WITHOUT_CLASSES])
def test_every_network_without_classes_has_the_parameters_of_the_table(name):
    variables = jax.eval_shape(zoo.create(name).init, jax.random.key(0), *batch_of(CATALOG[name].inputs))
    assert markdown_row(name, sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))) in MODELS


@pytest.mark.parametrize("name", [traced(name) for name in zoo.list_models(task="captioning")])
def test_every_captioner_has_the_parameters_of_the_table_and_a_logit_a_word(name):
    model, batch = zoo.create(name), batch_of(CATALOG[name].inputs)
    logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), *batch)
    assert (logits.shape, logits.dtype) == ((*batch[1].shape, model.num_classes), jnp.float32)
    assert markdown_row(name, sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))) in MODELS


@pytest.mark.parametrize("name", zoo.list_models())
def test_every_row_names_a_builder_its_fields_a_paper_and_rows_of_the_lecture(name):
    entry = zoo.describe(name)
    module, _, attribute = entry.builder.partition(":")
    builder = getattr(importlib.import_module(module), attribute)
    assert set(entry.options) <= set(inspect.signature(builder).parameters)
    assert re.fullmatch(r"L\d+(-L\d+)?(, L\d+(-L\d+)?)*", entry.lecture)
    assert re.match(r".+, (19|20)\d\d, .+", entry.paper)
    model = zoo.create(name)
    if inspect.isfunction(builder):
        assert isinstance(model, nn.Module)
        return
    assert type(model) is builder
    assert issubclass(builder, nn.Module)
    for option, value in entry.options.items():
        built = zoo.create(value.name, **value.options) if isinstance(value, Ref) else value
        assert getattr(model, option) == built


def test_a_module_is_described_by_its_own_row_whatever_its_head_and_dropout():
    for name in zoo.list_models():
        options = {} if name in WITHOUT_CLASSES else {"num_classes": 3}
        assert entry_of(zoo.create(name, **options)).name == name
    assert entry_of(zoo.create("vgg16_bn", dropout=0.1, dtype=jnp.bfloat16)).name == "vgg16_bn"
    variant = entry_of(zoo.create("resnet50", stage_sizes=(1, 2, 3, 4)))
    assert (variant.name, variant.pretrained, variant.input_shape) == ("ResNet", (), (224, 224, 3))
    with pytest.raises(ValueError, match=r"expected a model of the catalog, got a module of .*:Dense"):
        entry_of(nn.Dense(3))


def test_patterns_are_those_of_a_shell_in_the_catalogs_order():
    plain = ["cifar_plain20", "cifar_plain32", "cifar_plain44", "cifar_plain56", "cifar_plain110"]
    assert zoo.list_models("cifar_plain*") == plain
    assert zoo.list_models("cifar_resnet[25]?") == ["cifar_resnet20", "cifar_resnet56"]
    assert zoo.list_models() == list(CATALOG)
    assert zoo.list_models("LENET*") == []
    assert zoo.list_models("mlp", task="classification") == ["mlp"]
    with pytest.raises(zoo.UnknownNameError, match="no task 'classify'; nearest: classification"):
        zoo.list_models(task="classify")


def test_names_that_do_not_exist_are_answered_with_the_nearest():
    with pytest.raises(zoo.UnknownNameError, match="no model 'cifar_resnet21'; nearest: cifar_resnet"):
        zoo.create("cifar_resnet21")
    with pytest.raises(zoo.UnknownNameError, match="no model 'resnet32'; nearest: cifar_resnet32, "):
        zoo.create("resnet32")
    with pytest.raises(zoo.UnknownNameError, match=r"no model 'densenet_40_12'; nearest: .*cifar_densenet_40_12"):
        zoo.create("densenet_40_12")
    with pytest.raises(zoo.UnknownNameError, match="no model 'LeNet'; nearest: lenet5"):
        zoo.describe("LeNet")
    with pytest.raises(zoo.UnknownNameError, match="no option of lenet5 'classes'; nearest: num_classes"):
        zoo.create("lenet5", classes=3)
    with pytest.raises(zoo.UnknownNameError, match="no option of lenet5 'parent'"):
        zoo.create("lenet5", parent=None)


def test_an_unknown_name_is_a_key_error_whose_message_is_not_quoted():
    error = unknown("model", "zzz", ["b", "a"])
    assert isinstance(error, KeyError)
    assert str(error) == "no model 'zzz'; known: a, b"
    assert str(unknown("model", "zzz", [])) == "no model 'zzz'; known: (none)"
    many = [f"model{i:02}" for i in range(30)]
    assert str(unknown("thing", "zzz", many)).endswith("model18, model19, ...")


def test_overrides_come_before_the_options_of_the_row():
    assert zoo.create("cifar_resnet20", depth=8, shortcut="B").depth == 8
    assert zoo.create("cifar_plain20").shortcut == "none"
    assert CATALOG["cifar_resnet20"].options == {"depth": 20}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"num_classes": "10"}, "option num_classes of cifar_resnet20: expected int, got str '10'"),
        ({"num_classes": 10.0}, "option num_classes of cifar_resnet20: expected int, got float 10.0"),
        ({"depth": True}, "option depth of cifar_resnet20: expected int, got bool True"),
        ({"remat": 1}, "option remat of cifar_resnet20: expected bool, got int 1"),
        ({"unit": 3}, "option unit of cifar_resnet20: expected str, got int 3"),
    ],
)
def test_overrides_of_the_wrong_type_are_refused(override, message):
    with pytest.raises(TypeError, match=message):
        zoo.create("cifar_resnet20", **override)


def test_a_whole_number_is_a_number():
    assert zoo.create("mlp", dropout=0).dropout == 0


def test_the_catalog_cannot_be_changed_and_has_no_name_twice():
    with pytest.raises(TypeError):
        CATALOG["lenet5"] = None
    row = Entry("twice", "zoo.a:A", "classification", (1,), "", "")
    with pytest.raises(ValueError, match="two models are named 'twice': zoo"):
        catalog._table([row, dataclasses.replace(row, builder="zoo.b:B")])


def test_a_notebook_shows_a_row_with_what_it_says_and_leaves_out_what_is_empty():
    shown = zoo.describe("resnet50")._repr_html_()
    assert "<b>resnet50</b>" in shown
    for said in ("images 224 x 224 x 3", "stage_sizes=(3, 4, 6, 3)", "L40, L48", "IMAGENET1K_V1, IMAGENET1K_V2"):
        assert said in shown
    assert "published weights" not in zoo.describe("lenet5")._repr_html_()
