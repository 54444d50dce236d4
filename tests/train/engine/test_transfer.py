"""Transfer: runs begin with the weights of others, with a new head where classes differ, in every placement."""

import dataclasses
import json
import types
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest

import zoo
from tests.train import harness
from train.config import Augment, Data, Model, Optimizer, Recipe, RecipeError
from train.config.tasks.angles import CosFace
from train.engine import transfer
from train.engine.assemble import assemble
from train.engine.state import fingerprint
from train.store.workdir import Workdir

MLP = Model("mlp", options=("hidden=(4,)",))


def of_mlp(**changes):
    return Recipe(model=MLP, data=Data(source="digits", limit=40, batch_size=8), steps=2, **changes)


def test_a_run_begins_with_the_weights_of_another_and_a_new_head_where_classes_differ(tmp_path):
    model = assemble(of_mlp()).model
    variables = zoo.init(model, jax.random.key(5), (8, 8, 1))
    file = tmp_path / "model.safetensors"
    zoo.save_weights(variables, file)
    assembly = assemble(of_mlp(weights=str(file)))
    state = assembly.initialise()
    assert fingerprint(state.params) == fingerprint(variables["params"])
    assert fingerprint(assemble(of_mlp()).initialise().params) != fingerprint(variables["params"])
    assert assembly.origin() == {"weights": {"sha256": transfer.digest(file)}}
    assert assemble(of_mlp()).origin() == {}
    average = assemble(of_mlp(weights=str(file), optimizer=Optimizer(ema=0.9))).initialise().ema
    assert fingerprint(average["params"]) == fingerprint(variables["params"])


def test_a_head_for_other_classes_is_drawn_by_the_seed(tmp_path):
    variables = zoo.init(zoo.create("cifar_resnet8", num_classes=7), jax.random.key(1), (8, 8, 1))
    file = tmp_path / "model.safetensors"
    zoo.save_weights(variables, file)
    recipe = Recipe(model=Model("cifar_resnet8"), data=Data(source="digits"), weights=str(file))
    heads = []
    for seed in (0, 0, 1):
        with pytest.warns(UserWarning, match="has a head for 7 classes, the model one for 10: initialised anew"):
            loaded = assemble(dataclasses.replace(recipe, seed=seed)).weights
        np.testing.assert_array_equal(
            loaded["params"]["stem"]["conv"]["kernel"], variables["params"]["stem"]["conv"]["kernel"]
        )
        heads.append(loaded["params"]["head"]["kernel"])
    np.testing.assert_array_equal(heads[0], heads[1])
    assert np.all(heads[0] != heads[2])


class Above(nn.Module):
    """A layer over the maps of another network."""

    backbone: nn.Module
    num_classes: int = 10
    dtype: Any = None

    @nn.compact
    def __call__(self, images, train=False):
        maps = self.backbone(images, train=train, features=True)
        return nn.Dense(self.num_classes, name="above")(maps["stage1"].mean(axis=(1, 2)))


def test_a_part_begins_with_the_weights_of_a_model_of_its_own_and_the_rest_is_drawn(tmp_path, monkeypatch):
    """The part is named as an option is, and its head in the file is left out."""
    row = zoo.Entry("above", f"{__name__}:Above", "classification", (8, 8, 1), "", "", {"backbone": zoo.Ref("mlp")})
    monkeypatch.setattr("zoo.catalog.CATALOG", types.MappingProxyType({**zoo.catalog.CATALOG, "above": row}))
    variables = zoo.init(zoo.create("cifar_resnet8", num_classes=7), jax.random.key(1), (8, 8, 1))
    file = tmp_path / "classifier.safetensors"
    zoo.save_weights(variables, file)
    model, data = Model("above", ("backbone=cifar_resnet8",)), Data(source="digits")
    recipe = Recipe(model=model, data=data, weights=str(file), weights_into="backbone", freeze=("backbone/*",))
    assembly = assemble(recipe)
    found = assembly.weights
    theirs = {name: tree for name, tree in variables["params"].items() if name != "head"}
    assert found["params"].keys() == {"backbone", "above"}
    jax.tree.map(np.testing.assert_array_equal, found["params"]["backbone"], theirs)
    jax.tree.map(np.testing.assert_array_equal, found["batch_stats"]["backbone"], variables["batch_stats"])
    transfer.check_origin(recipe, assembly.origin())
    with pytest.raises(zoo.UnknownNameError, match="no part of Above 'body'; known: backbone"):
        assemble(dataclasses.replace(recipe, weights_into="body")).weights  # noqa: B018
    with pytest.raises(RecipeError, match=r"weights: .* does not fit"):
        assemble(dataclasses.replace(recipe, weights_into="")).weights  # noqa: B018
    with pytest.raises(RecipeError, match="weights_into: expected it empty where there are no weights, got 'backbone'"):
        dataclasses.replace(recipe, weights=None)
    published = dataclasses.replace(recipe, weights="IMAGENET1K_V1")
    with pytest.raises(zoo.UnknownNameError, match="weights of cifar_resnet8 'IMAGENET1K_V1'"):
        assemble(published).weights  # noqa: B018


def test_weights_that_cannot_be_had_or_do_not_fit_are_refused_by_name(tmp_path):
    with pytest.raises(RecipeError, match=r"weights: expected a file of weights, found none: .*missing\.safetensors"):
        assemble(of_mlp(weights=str(tmp_path / "missing.safetensors"))).weights  # noqa: B018
    zoo.save_weights({"params": {"other": {"kernel": np.zeros((2, 2))}}}, tmp_path / "other.safetensors")
    with pytest.raises(RecipeError, match=r"weights: .*other\.safetensors does not fit"):
        assemble(of_mlp(weights=str(tmp_path / "other.safetensors"))).weights  # noqa: B018


def test_patterns_are_checked_before_a_run_begins():
    with pytest.raises(RecipeError, match=r"freeze: no parameter fits 'stem/\*'"):
        assemble(of_mlp(freeze=("stem/*",)))


@pytest.mark.parametrize("placement", ["jit", "fsdp", "pmap"])
def test_every_placement_starts_from_the_weights(tmp_path, placement):
    file = tmp_path / "model.safetensors"
    variables = zoo.init(assemble(of_mlp()).model, jax.random.key(5), (8, 8, 1))
    zoo.save_weights(variables, file)
    assembly = assemble(of_mlp(weights=str(file), placement=placement))
    state = assembly.placement.to_portable(assembly.initialise())
    assert fingerprint(state.params) == fingerprint(variables["params"])


@pytest.mark.usefixtures("runs")
def test_in_two_commands_a_frozen_backbone_and_then_all_of_it_and_resumed_to_the_bit(
    tmp_path, data, whole, monkeypatch
):
    """`fit --freeze ...`, then `fit --weights runs/.../model.safetensors`, the first interrupted on its way."""
    backbone = Workdir(whole[0]).weights
    frozen = harness.recipe(
        data, weights=str(backbone), freeze=("*", "!dense/*"), augment=Augment(mean=(0.3,), std=(0.2,)), seed=3
    )
    entire = harness.run(frozen, tmp_path / "entire")
    trained = Workdir(tmp_path / "entire").weights
    for name, array in safetensors(backbone).items():
        same = np.array_equal(array, safetensors(trained)[name])
        assert same == ("dense" not in name), name
    card = json.loads((tmp_path / "entire" / "recipe.json").read_text())
    assert card["weights"]["sha256"] == transfer.digest(backbone)
    transfer.check_origin(frozen, card)
    with pytest.raises(RecipeError, match="is not what the run began with: expected sha256 abc, got"):
        transfer.check_origin(frozen, {"weights": {"sha256": "abc"}})

    advance = harness.MemoryFeed.advance
    harness.signal_at(monkeypatch, harness.MemoryFeed, "advance", harness.signal.SIGINT, call=11)
    assert harness.run(frozen, tmp_path / "parts").fingerprint is None
    monkeypatch.setattr(harness.MemoryFeed, "advance", advance)
    resumed = harness.run(frozen, tmp_path / "parts", resume=True)
    assert resumed.fingerprint == entire.fingerprint

    tuned = dataclasses.replace(frozen, weights=str(trained), freeze=(), optimizer=Optimizer("adam", layer_decay=0.5))
    outcome = harness.run(tuned, tmp_path / "tuned")
    assert outcome.metrics["accuracy"] > 0.9
    changed = safetensors(Workdir(tmp_path / "tuned").weights)
    assert all(np.any(changed[name] != array) for name, array in safetensors(trained).items())


def safetensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


@pytest.mark.usefixtures("runs")
def test_a_task_with_layers_of_its_own_begins_with_the_networks_weights_and_draws_its_own(whole, data):
    assembly = assemble(harness.recipe(data, task=CosFace(dims=4), weights=str(whole[0] / "model.safetensors")))
    expected = zoo.load_weights("tiny", whole[0] / "model.safetensors")
    found = assembly.weights
    for collection, tree in expected.items():
        jax.tree.map(np.testing.assert_array_equal, found[collection]["backbone"], tree)
    (own,) = found["params"].keys() - {"backbone"}
    drawn = jax.jit(assembly.make_state)().params
    jax.tree.map(np.testing.assert_array_equal, found["params"][own], drawn[own])
    assert fingerprint(drawn["backbone"]) != fingerprint(found["params"]["backbone"])
