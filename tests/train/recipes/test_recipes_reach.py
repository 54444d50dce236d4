"""The named recipes reach what the README says of them, as far as that takes a minute."""

import dataclasses

import pytest

from tests.shared import shared
from train.engine.console import Console
from train.engine.loop import fit
from train.recipes import get

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("optimised")]


def test_the_main_job_reads_985_of_1000_digits(tmp_path):
    outcome = fit(get("digits"), tmp_path / "run", console=Console(quiet=True))
    assert outcome.metrics["accuracy"] >= 0.985  # of seeds 0 to 9 the worst has 99.17 %
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000


def test_lenet_reads_99_of_100_digits_of_mnist(tmp_path):
    recipe = get("mnist_lenet")
    recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, data_dir=str(shared("data", "tfds"))))
    assert (recipe.epochs, recipe.steps) == (3, None)
    assert fit(recipe, tmp_path / "run", console=Console(quiet=True)).metrics["accuracy"] >= 0.99


def test_faster_rcnn_finds_half_of_the_digits_of_scenes_after_an_epoch(tmp_path):
    recipe = dataclasses.replace(get("scenes_detection"), epochs=1, eval_every=1)
    outcome = fit(recipe, tmp_path / "run", console=Console(quiet=True))
    assert outcome.metrics["ap50"] >= 0.4  # seed 0 has 0.52; the recipe's twelve epochs come to 0.90


def test_depth_and_normals_of_surfaces_are_better_than_constants_after_250_steps(tmp_path):
    recipe = get("surfaces_all")
    few = dataclasses.replace(recipe.data, source="surfaces")
    recipe = dataclasses.replace(recipe, data=few, epochs=2, eval_every=2)
    outcome = fit(recipe, tmp_path / "run", console=Console(quiet=True))
    found = (
        outcome.metrics
    )  # seed 0 had 14 % and 16 degrees, where constants have 33 % and 39; the recipe 5.5 % and 6.4
    assert found["abs_rel"] < found["abs_rel_constant"] / 1.7
    assert found["angle"] < found["angle_constant"] / 1.7
