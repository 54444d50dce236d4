"""The recipes of the convnets: rates where the papers have them, and ImageNet's on a folder of the same layout."""

import dataclasses

import jax
import numpy as np
import pytest
import scipy.special
from PIL import Image

from tests.train import harness
from tests.train.data.test_framing import picture
from train import data
from train.config import Model, Recipe, RecipeError
from train.engine.assemble import assemble
from train.engine.console import Console
from train.engine.optim import make_schedule
from train.recipes import cifar, get, imagenet
from train.store.workdir import Workdir
from train.use.open_run import load_variables
from train.use.predict import predict_images

CIFAR, IMAGENET = 50_000, 1_281_167
"""Training images."""


def rates(recipe, examples, epochs):
    """The learning rate in the middle of these epochs, counted from 0."""
    steps_per_epoch = examples // recipe.data.batch_size
    total = recipe.steps or recipe.epochs * steps_per_epoch
    schedule = make_schedule(recipe.schedule, recipe.optimizer.learning_rate, total)
    return np.array([float(schedule(int((epoch + 0.5) * steps_per_epoch))) for epoch in epochs])


@pytest.mark.parametrize(
    ("name", "epochs", "expected"),
    [
        ("cifar10_preact_resnet110_paper", (1, 81, 82, 122, 123, 163), (0.1, 0.1, 0.01, 0.01, 0.001, 0.001)),
        ("cifar10_preact_resnet1001_paper", (1, 81, 82, 122, 123, 163), (0.1, 0.1, 0.01, 0.01, 0.001, 0.001)),
        ("cifar100_resnext29_paper", (0, 149, 150, 224, 225, 299), (0.1, 0.1, 0.01, 0.01, 0.001, 0.001)),
        ("cifar10_densenet_bc_100_12_paper", (0, 149, 150, 224, 225, 299), (0.1, 0.1, 0.01, 0.01, 0.001, 0.001)),
        ("cifar100_wide_resnet28_10_paper", (0, 59, 60, 120, 160, 199), (0.1, 0.1, 0.02, 0.004, 0.0008, 0.0008)),
    ],
)
def test_rates_of_cifar_fall_where_the_papers_say(name, epochs, expected):
    np.testing.assert_allclose(rates(get(name), CIFAR, epochs), expected, rtol=1e-5)


def test_rates_of_imagenet_are_as_published():
    np.testing.assert_allclose(
        rates(get("imagenet_resnet50"), IMAGENET, (0, 29, 30, 59, 60, 79, 80, 89)),
        (0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001),
        rtol=1e-5,
    )
    # torchvision: linear for 5 epochs, then half a cosine over the other 595.
    epochs = np.array([0, 2, 10, 300, 598])
    warm, cosine = 0.5 * (epochs + 0.5) / 5, 0.25 * (1 + np.cos(np.pi * (epochs + 0.5 - 5) / 595))
    found = rates(get("imagenet_resnet50_modern"), IMAGENET, epochs)
    np.testing.assert_allclose(found, np.where(epochs < 5, warm, cosine), atol=5e-4)
    # Ying et al.: linear for 5 epochs to 10, then a polynomial of degree two down to zero at 90.
    epochs = np.array([0, 3, 20, 60, 88])
    warm, square = 10 * (epochs + 0.5) / 5, 10 * (1 - (epochs + 0.5 - 5) / 85) ** 2
    found = rates(get("imagenet_resnet50_large_batch"), IMAGENET, epochs)
    np.testing.assert_allclose(found, np.where(epochs < 5, warm, square), rtol=2e-3, atol=1e-3)


def test_the_moving_average_of_the_modern_recipe_is_torchvisions():
    """References: 0.99998 for one image a step and 600 epochs, averaged every 32 steps of 1024 images."""
    every = 1 - (1 - 0.99998) * 1024 * 32 / 600
    assert get("imagenet_resnet50_modern").optimizer.ema == pytest.approx(every ** (1 / 32), abs=1e-6)


def test_both_cifars_have_every_recipe_with_their_own_statistics():
    names = [recipe.name.removesuffix("_paper").split("_", 1) for recipe in cifar.RECIPES]
    assert [rest for data, rest in names if data == "cifar100"] == [base.name for base in cifar.BASES]
    assert [rest for data, rest in names if data == "cifar10"] == [base.name for base in cifar.BASES[1:]]
    assert get("cifar10_resnet110_paper").model == cifar.BASES[0].model  # stands with ResNet-20
    for recipe in cifar.RECIPES:
        assert recipe.data.source == f"tfds:{recipe.name.partition('_')[0]}"
        assert (recipe.augment.pad_crop, recipe.augment.flip) == (4, True)
        assert recipe.optimizer.decay_all
    assert {recipe.augment.mean for recipe in cifar.RECIPES} == {mean for mean, _ in cifar._STATISTICS.values()}


def test_the_parts_of_the_modern_recipe_are_torchvisions_and_norms_do_not_decay():
    modern = imagenet.MODERN
    augment = modern.augment
    assert (augment.trivial, augment.erase, augment.mixup, augment.cutmix) == (True, 0.1, 0.2, 1.0)
    assert (modern.task.label_smoothing, modern.epochs, modern.optimizer.decay_all) == (0.1, 600, False)
    assert (modern.data.crop, modern.data.eval_crop, modern.data.resize) == (176, 224, 232)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As ImageNet lies on a disk, with 24 images of training and 6 held out in two classes."""
    root = tmp_path_factory.mktemp("imagenet")
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 3)):
        for c, name in enumerate(("n01440764", "n01443537")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                image = picture(100 * c + i, tuple(random.integers(40, 70, 2)))
                image.save(root / split / name / f"{name}_{i}.JPEG", quality=90)
    return root


def small(recipe: Recipe, folder, **changes) -> Recipe:
    data = {"source": f"folder:{folder}", "workers": 0, "batch_size": 8, "eval_batch_size": 4}
    data |= {"crop": 32, "resize": 40, "eval_crop": 36}
    return dataclasses.replace(
        recipe,
        model=Model("resnet_tiny"),
        data=dataclasses.replace(recipe.data, **data),
        epochs=2,
        eval_every=1,
        log_every=1,
        **changes,
    )


@pytest.mark.parametrize("recipe", imagenet.RECIPES, ids=lambda recipe: recipe.name)
def test_imagenet_recipes_fit_a_folder_of_the_same_layout(recipe, folder):
    assembly = assemble(small(recipe, folder))
    assert (len(assembly.train), len(assembly.test), assembly.total_steps) == (24, 6, 6)
    assert [part.spec["image"].shape for part in (assembly.train, assembly.test)] == [(32, 32, 3), (36, 36, 3)]
    assert assembly.task.class_names == ("n01440764", "n01443537")


@pytest.mark.usefixtures("runs")
@pytest.mark.slow
def test_the_modern_recipe_runs_on_a_folder_and_goes_on_to_the_bit_after_an_interruption(folder, tmp_path, monkeypatch):
    recipe = small(imagenet.MODERN, folder)
    whole = harness.run(recipe, tmp_path / "whole")
    assert set(whole.metrics) == {"loss", "accuracy", "ema_loss", "ema_accuracy"}
    harness.signal_at(monkeypatch, harness.GrainFeed, "advance", harness.signal.SIGINT, call=3)
    assert harness.run(recipe, tmp_path / "parts").fingerprint is None
    monkeypatch.undo()
    resumed = harness.run(recipe, tmp_path / "parts", resume=True)
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.metrics == whole.metrics

    # A prediction sees an image file as the evaluation saw it.
    path = tmp_path / "whole"
    assembly = assemble(recipe)
    _, variables, _ = load_variables(Workdir(path), assembly.task)
    (batch,) = data.evaluation_batches(assembly.test, 6)
    logits = jax.jit(assembly.predict())(variables, batch)["logits"]
    files = sorted((folder / "val").rglob("*.JPEG"))
    records = predict_images(path, tuple(files), console=Console(quiet=True))
    for record, expected in zip(records, scipy.special.softmax(logits, axis=1), strict=True):
        found = [dict(record["scores"])[name] for name in assembly.task.class_names]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_model_that_takes_the_windows_but_not_the_evaluations_images_is_refused_at_once(folder):
    recipe = small(imagenet.CLASSIC, folder)
    recipe = dataclasses.replace(recipe, model=Model("mlp", options=("hidden=(4,)",)))
    with pytest.raises(RecipeError, match="model mlp with 36x36x3 images of folder"):
        assemble(recipe)


def test_the_pictures_are_not_all_of_one_size(folder):
    sizes = set()
    for file in folder.rglob("*.JPEG"):
        with Image.open(file) as image:
            sizes.add(image.size)
    assert len(sizes) > 10
