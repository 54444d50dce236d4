"""The network of a recipe: how it computes reaches all that it is made of, and a task's layers are told apart."""

import dataclasses

import jax.numpy as jnp
import pytest

import zoo
from tests.composites import OnBackbone, composites  # noqa: F401
from train.config import Model, Recipe
from train.engine.network import make_network
from train.tasks.classification.task import Classification
from train.tasks.margins.task import AngularMargin

NAMES = ("a", "b", "c")


RECIPE = Recipe(model=Model("on_resnet8", dtype="bfloat16"))
"""A row of the catalog that is made of two models."""


@pytest.mark.usefixtures("composites")
def test_a_model_made_of_models_computes_as_the_recipe_says_in_all_its_parts():
    network = make_network(RECIPE, Classification(NAMES), axis_name="devices")
    assert network.part == ""  # the backbone is the catalog's own
    backbone = network.model.backbone
    assert (backbone.dtype, backbone.axis_name, backbone.num_classes) == (jnp.bfloat16, "devices", 0)


@pytest.mark.usefixtures("composites")
def test_the_part_that_is_the_catalogs_is_told_apart_from_its_own_parts():
    network = make_network(RECIPE, AngularMargin(NAMES, "cosface", 4))
    assert network.part == "backbone"
    assert type(network.model.backbone) is OnBackbone
    assert network.model.backbone.backbone.dtype == jnp.bfloat16


def test_a_plain_model_is_left_as_the_catalog_makes_it():
    recipe = Recipe(model=Model("cifar_resnet8"))
    model, part = make_network(recipe, Classification(NAMES))
    assert (model, part) == (zoo.create("cifar_resnet8", num_classes=3), "")
    assert {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}["axis_name"] is None
