"""The recipes of photographs: rates and frozen layers as published, and their first steps on a few small ones."""

import dataclasses
import functools
import json
import types

import jax
import numpy as np
import pytest

import zoo
import zoo.catalog
from tests.train import harness
from tests.train.recipes import photographs
from train.config import Model, RecipeError, Schedule
from train.config.tasks.detection import Detection
from train.data import preprocess
from train.engine.assemble import assemble
from train.engine.optim import make_schedule
from train.engine.transfer import is_frozen
from train.recipes import get, penn_fudan
from train.recipes import photographs as recipes
from train.store.workdir import Workdir
from train.tasks.detection.voc_judge import VocJudge
from train.use.predict import predict_images
from zoo.weights import NewHeadWarning

PUBLISHED = ("coco_fasterrcnn_resnet50_fpn", "coco_maskrcnn_resnet50_fpn", "coco_retinanet_resnet50_fpn")
LITTLE = (
    "rpn_pre_nms_top_n=(20,20)",
    "rpn_post_nms_top_n=(10,10)",
    "box_batch_size_per_image=8",
    "hidden=(16,)",
    "box_detections_per_img=5",
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Where the photographs of each layout are, as a recipe names them."""
    root = tmp_path_factory.mktemp("photographs")
    (root / "coco").mkdir()
    return {
        "coco": f"coco:{photographs.coco(root / 'coco')}",
        "voc": f"voc:{photographs.voc(root / 'voc')}",
        "masks": f"masks:{photographs.masks(root / 'masks')}",
    }


@pytest.fixture(scope="module")
def cells(engine):
    """A context with the smallest detector as `cells`."""
    row = dataclasses.replace(
        zoo.catalog.CATALOG["cifar_resnet8"],
        name="cells",
        builder="tests.train.tasks.detection.cells:CellDetector",
        options={},
    )
    with engine(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.catalog.CATALOG", types.MappingProxyType({**zoo.catalog.CATALOG, "cells": row}))
        yield


def small(recipe, sources, **changes):
    """The recipe on its photographs, on canvases of 48 x 32 pixels, for two steps, from random numbers."""
    source = sources[recipe.data.source.partition(":")[0]]
    data = {"source": source, "workers": 0, "batch_size": 2, "eval_batch_size": 2, "canvas": 48}
    data |= {"shorter": 32 if recipe.data.shorter else 0, "held_out": min(recipe.data.held_out, 3)}
    usual = {"weights": None, "weights_into": "", "epochs": 1, "steps": 2, "eval_every": 1, "log_every": 1}
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, **data), **usual | changes)


def of_cells(recipe, sources, **changes):
    return small(recipe, sources, model=Model("cells"), freeze=(), **changes)


@pytest.mark.parametrize(
    ("name", "updates", "expected"),
    [
        ("voc_fasterrcnn_vgg16", (0, 49_999, 50_001, 69_999), (1e-3, 1e-3, 1e-4, 1e-4)),
        (
            "coco_maskrcnn_resnet50_fpn",
            (500, 1000, 59_999, 60_001, 79_999, 80_001),
            (0.01, 0.02, 0.02, 2e-3, 2e-3, 2e-4),
        ),
        ("coco_retinanet_resnet50_fpn", (1000, 59_999, 60_001, 89_999), (0.01, 0.01, 1e-3, 1e-4)),
    ],
)
def test_rates_fall_where_the_papers_say(name, updates, expected):
    recipe = get(name)
    schedule = make_schedule(recipe.schedule, recipe.optimizer.learning_rate, recipe.steps)
    np.testing.assert_allclose([float(schedule(update)) for update in updates], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "learns"),
    [
        ("coco_fasterrcnn_resnet50_fpn", {"stage2", "stage3", "stage4"}),
        ("voc_fasterrcnn_vgg16", {"stage3", "stage4", "stage5"}),
    ],
)
def test_of_a_backbone_the_first_stages_and_all_normalisations_stay(name, learns):
    """Of a ResNet as torchvision has them, with three stages that learn; of VGG as in the paper."""
    recipe, backbone = get(name), zoo.create(get(name).model.name).backbone
    shapes = jax.eval_shape(backbone.init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))["params"]
    paths = [path for path, _ in _named(shapes)]
    moving = {path for path in paths if not is_frozen(f"backbone/{path}", recipe.freeze)}
    assert {path.partition("/")[0] for path in moving} == learns
    assert not [path for path in moving if "norm" in path]
    assert not any(
        is_frozen(f"{part}/kernel", recipe.freeze) for part in ("pyramid/layer1", "rpn/conv1", "box_head/dense1")
    )


def test_what_stays_is_the_same_in_all_recipes_of_a_resnet():
    assert {get(name).freeze for name in (*PUBLISHED, "penn_fudan")} == {recipes.STAYS}
    assert {get(name).weights_into for name in PUBLISHED} == {"backbone"}


@pytest.fixture(scope="module")
def first_steps(sources, cells, tmp_path_factory):
    """The folder and the outcome of a recipe's first steps, in which all but the network is as it is."""

    @functools.cache
    def of(name):
        path = tmp_path_factory.mktemp("runs") / name
        return path, harness.run(of_cells(get(name), sources), path)

    return of


def check_first_steps(path, outcome, first):
    assert len(harness.lines(path, "train")) == 2
    assert np.isfinite(outcome.metrics["loss"])
    assert Workdir(path).read_card()["metrics"][0]["name"] == first
    assert first in outcome.metrics


def test_first_steps_on_a_few_photographs(first_steps):
    """Data, canvases, task, judge and optimiser are those of the recipe."""
    check_first_steps(*first_steps("coco_maskrcnn_resnet50_fpn"), "ap")


@pytest.mark.slow  # five more runs
@pytest.mark.parametrize("name", ["voc_fasterrcnn_vgg16", *PUBLISHED[::2], "penn_fudan", "penn_fudan_squeezenet"])
def test_first_steps_of_the_others(name, first_steps):
    check_first_steps(*first_steps(name), "voc07_ap50" if name.startswith("voc") else "ap")


def test_photographs_are_on_wide_and_tall_canvases(sources, cells):
    assembly = assemble(of_cells(recipes.FASTER, sources))
    shapes = {batch["image"].shape for batch in (assembly.train.read([row]) for row in range(len(assembly.train)))}
    assert shapes == {(1, 32, 48, 3), (1, 48, 32, 3)}
    assert assembly.test.spec["image"].shape == (48, 48, 3)


@pytest.mark.parametrize("judge", ["voc", "voc07"])
def test_vocs_average_precision_ranks_checkpoints_where_the_recipe_says_so(judge, sources, cells):
    recipe = of_cells(recipes.VOC, sources)
    task = assemble(dataclasses.replace(recipe, task=dataclasses.replace(recipe.task, judge=judge))).task
    assert isinstance(task.judge(), VocJudge)
    assert [metric.name for metric in task.metrics[:2]] == sorted(["voc07_ap50", "voc12_ap50"], reverse=judge == "voc")
    with pytest.raises(RecipeError, match=f"task.judge: {judge} is of boxes alone: expected coco with masks"):
        dataclasses.replace(recipe.task, judge=judge, masks=True)


def test_predictions_have_the_ids_of_the_annotation_file(first_steps, tmp_path):
    path, _ = first_steps("coco_maskrcnn_resnet50_fpn")
    predict_images(path, (Workdir(path).example,), output=tmp_path)
    written = json.loads((tmp_path / "predictions.json").read_text())[0]["detections"]
    assert written
    assert all(photographs.CATEGORIES[each["category_id"]] == each["category"] for each in written)


@pytest.mark.slow  # compiles ResNet-50 with its gradient
def test_a_step_with_the_network_of_the_recipe(sources):
    """What is frozen stays as it is, and the rest moves."""
    recipe = small(get("coco_maskrcnn_resnet50_fpn"), sources)
    model = dataclasses.replace(recipe.model, options=(*LITTLE, "mask_convs=(8,)"))
    assembly = assemble(dataclasses.replace(recipe, model=model, schedule=Schedule("constant")))
    batch = {**assembly.train.read([0, 2]), "index": np.arange(2), "mask": np.ones(2, bool)}
    before = jax.jit(assembly.make_state)()
    prepared = preprocess(recipe.augment, assembly.train.spec)(batch)
    after, sums = jax.jit(assembly.make_update())(before, prepared)
    assert float(sums.finite) == 1
    assert sums.totals.keys() == {"rpn_object", "rpn_box", "class", "box", "mask"}
    moved = {
        name
        for (name, old), (_, new) in zip(*map(_named, (before.params, after.params)), strict=True)
        if np.any(old != new)
    }
    assert not [name for name in moved if is_frozen(name, recipe.freeze)]
    assert {name.split("/")[1] for name in moved if name.startswith("backbone/")} == {"stage2", "stage3", "stage4"}


@pytest.fixture(scope="module")
def of_coco(tmp_path_factory):
    """A file of a detector with 91 classes, and its variables."""
    model, random = zoo.create("fasterrcnn_tiny", num_classes=91), np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))
    variables = jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(leaf.dtype), shapes)
    file = tmp_path_factory.mktemp("weights") / "detector.safetensors"
    zoo.save_weights(variables, file)
    return file, variables


@pytest.mark.slow  # traces a detector several times
def test_a_detector_of_other_classes_is_taken_but_for_its_heads(of_coco, sources):
    """What `penn_fudan` begins with: here a small one, for the published file is large."""
    file, variables = of_coco
    recipe = small(penn_fudan.TUTORIAL, sources, model=Model("fasterrcnn_tiny"), freeze=(), weights=str(file))
    recipe = dataclasses.replace(recipe, task=Detection())
    with pytest.warns(NewHeadWarning, match="has a head for 91 classes, the model one for 2"):
        found = assemble(recipe).weights
    flat, theirs = (dict(_named(tree)) for tree in (found["params"], variables["params"]))
    drawn = {name for name, value in flat.items() if value.shape != theirs[name].shape}
    assert {name.rpartition("/")[0] for name in drawn} == {"box_head/logits", "box_head/deltas"}
    for name in flat.keys() - drawn:
        np.testing.assert_array_equal(flat[name], theirs[name])


def _named(tree):
    leaves = jax.tree.leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]
