"""Sources composed by rule come in any number, of which the first are the same."""

import sys

import numpy as np
import pytest

from train.config import Data, RecipeError
from train.data import load


@pytest.mark.parametrize("name", ["scenes", "moving", "surfaces"])
def test_more_training_examples_begin_with_the_same_and_leave_the_test_alone(name, monkeypatch):
    monkeypatch.setattr(sys.modules[f"train.data.sources.{name}"], "COUNTS", {"train": 2, "test": 3})
    source, more = load(Data(name), "train"), load(Data(f"{name}:4"), "train")
    assert (len(source), len(more), more.name) == (2, 4, name)
    for field, array in more.arrays().items():
        np.testing.assert_array_equal(array[:2], source.arrays()[field])
    tests = load(Data(name), "test"), load(Data(f"{name}:4"), "test")
    assert len(tests[0]) == 3
    for field, array in tests[1].arrays().items():
        assert array is tests[0].arrays()[field]


@pytest.mark.parametrize("count", ["0", "-3", "many", "1e3", "²", "100001"])
def test_a_number_of_examples_that_is_none_is_named(count):
    with pytest.raises(RecipeError, match=f"expected how many training examples, 1 to 100000, after .* '{count}'"):
        load(Data(f"surfaces:{count}"), "train")
