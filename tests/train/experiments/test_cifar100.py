"""CIFAR-100 by name: what is written for CIFAR-10 takes it as it is. A set of its names and shape stands in for it."""

import dataclasses

import numpy as np
import pytest

from tests.shared import shared
from tests.train.data.tfds_files import png, write
from train import recipes
from train.config import Model
from train.engine.assemble import assemble
from train.engine.console import Console
from train.engine.seeds import train_alone
from train.experiments import Worded
from train.experiments.hyperspheres import dims, privileged
from zoo.hyperspheres import CIFAR100_SUPERCLASSES, largest_cosine, load_vectors, triplets_held
from zoo.hyperspheres.taxonomy import taxonomy_of, taxonomy_similarity

NAMES = tuple(sorted(name for names in CIFAR100_SUPERCLASSES.values() for name in names))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Two images of 32 x 32 pixels a class, in training and in the test."""
    return write(
        tmp_path_factory.mktemp("tfds"),
        "cifar100",
        images=[png(np.full((32, 32, 3), row, np.uint8)) for row in range(200)],
        labels=[*range(100)] * 2,
        shape=(32, 32, 3),
        class_names=NAMES,
    )


def with_data(recipe, data_dir):
    return dataclasses.replace(
        recipe, data=dataclasses.replace(recipe.data, data_dir=data_dir, limit=None, per_class=())
    )


def test_the_papers_recipe_has_its_prototypes_and_parameters(data_dir):
    recipe = with_data(recipes.get("cifar100_sphere_paper"), data_dir)
    assembly = assemble(dataclasses.replace(recipe, task=dataclasses.replace(recipe.task, dims=50)))
    assert assembly.card()["model"]["parameters"] == 489_986
    assert len(assembly.task.prototypes) == 100
    assert largest_cosine(np.array(assembly.task.prototypes)) == 0


@pytest.mark.slow
def test_superclasses_are_privileged_information(data_dir):
    arms = privileged.recipes_of(Worded(data_dir=data_dir, data_set="cifar100"))
    likeness = taxonomy_similarity(taxonomy_of("cifar100", NAMES))
    held = {}
    for arm in (f"{privileged.PLAIN}, 3", f"{privileged.INFORMED}, 3"):
        task = assemble(with_data(arms[arm], data_dir)).task
        held[arm] = triplets_held(np.array(task.prototypes), likeness)
    plain, informed = held.values()
    assert plain < 0.6
    assert informed > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [dims, privileged])
def test_arms_of_the_experiments_train_on_it(experiment, data_dir, tmp_path):
    arms = experiment.recipes_of(Worded(data_dir=data_dir, data_set="cifar100"))
    assert {recipe.data.source for recipe in arms.values()} == {"tfds:cifar100"}
    recipe = with_data(arms["prototypes, 10"], data_dir)
    tiny = dataclasses.replace(
        recipe,
        model=Model("mlp", options=("hidden=(8,)",)),
        data=dataclasses.replace(recipe.data, batch_size=50, eval_batch_size=100),
        epochs=1,
    )
    assert np.isfinite(train_alone(tiny, tmp_path / "run", Console(quiet=True)).metrics["top5"])


def test_word_vectors_of_all_its_classes_are_at_hand():
    vectors = load_vectors(shared("data", "vectors", "glove_cifar_classes.npz"), NAMES)
    assert vectors.shape == (100, 100)
