"""What a recipe names fits together, or is refused before anything is computed or written."""

import pytest

from train.assemble import assemble
from train.data import Augment
from train.recipe import Data, Model, Recipe, RecipeError

MLP = Model("mlp", options=("hidden=(4,)",))


def test_mean_and_deviation_are_one_value_or_one_a_channel():
    grey = Data(source="digits")
    assemble(Recipe(model=MLP, data=grey, augment=Augment(mean=(0.5,), std=(0.5,))))
    with pytest.raises(RecipeError, match=r"augment\.std: expected one value or 1, one a channel, got \(0\.5, 0\.5\)"):
        assemble(Recipe(model=MLP, data=grey, augment=Augment(std=(0.5, 0.5))))


def test_a_batch_larger_than_the_examples_is_refused():
    with pytest.raises(RecipeError, match=r"data\.batch_size: 101 is more than the 100 examples"):
        assemble(Recipe(model=MLP, data=Data(source="digits", limit=100, batch_size=101)))


def test_an_epoch_is_its_full_batches():
    assembly = assemble(Recipe(model=MLP, data=Data(source="digits", limit=100, batch_size=30), epochs=4))
    assert (assembly.steps_per_epoch, assembly.total_steps) == (3, 12)
