"""Evaluation batches."""

import numpy as np
import pytest

from train.config import Data
from train.data import evaluation_batches, load
from train.data.source import ArraySource


@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 64])
def test_every_example_comes_exactly_once_in_order_and_batches_have_one_size(batch_size):
    images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    source = ArraySource("ten", {"image": images, "label": np.arange(10, dtype=np.int32)})
    batches = list(evaluation_batches(source, batch_size))
    assert {len(value) for batch in batches for value in batch.values()} == {batch_size}
    real = np.concatenate([batch["label"][batch["mask"]] for batch in batches])
    assert np.array_equal(real, np.arange(10))
    for batch in batches:
        assert np.array_equal(batch["image"][:, 0, 0, 0], batch["label"])
        assert np.array_equal(batch["index"], batch["label"])
        assert np.all(batch["label"][~batch["mask"]] == 9)
    assert (batch["index"].dtype, batch["mask"].dtype) == (np.int32, np.bool_)


def test_targets_come_along():
    source = load(Data("rotated_digits"), "test")
    *_, last = evaluation_batches(source, 100)
    assert last["mask"].sum() == 60
    assert np.array_equal(last["target"][:60], source.arrays()["target"][300:])


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="batch_size=0: expected at least 1"):
        next(evaluation_batches(load(Data("digits"), "test"), 0))
