"""Evaluation batches."""

import numpy as np
import pytest

from tests.train.data.examples import Counting
from train.config import Data
from train.data import OfFields, evaluation_batches, load
from train.data.pipeline.grain import read_ahead
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


@pytest.mark.parametrize("workers", [0, 1])
def test_the_batches_of_two_processes_together_are_those_of_one(workers, monkeypatch):
    monkeypatch.setattr("train.data.pipeline.evaluation.read_ahead", lambda batches, workers: read_ahead(batches, 0))
    source = OfFields(load(Data("scenes"), "test"), ["image", "boxes", "classes"])  # 250: the last batch has 10 of 120
    whole = list(evaluation_batches(source, 120))
    halves = [list(evaluation_batches(source, 120, workers, process, 2)) for process in range(2)]
    assert len(whole) == len(halves[0]) == len(halves[1]) == 3
    for batch, *parts in zip(whole, *halves, strict=True):
        assert [len(part["mask"]) for part in parts] == [60, 60]
        for name, value in batch.items():
            np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), value, err_msg=name)
    assert halves[1][-1]["mask"].sum() == 0  # all of its last part fills the batch up


def test_a_process_reads_its_own_rows_alone():
    source = Counting(20)
    list(evaluation_batches(source, 8, process_index=1, process_count=2))
    assert source.images_read == 12  # 4 of each of three batches; of the last one filling
    with pytest.raises(ValueError, match="batch_size=9: expected a multiple of the 2 processes"):
        next(evaluation_batches(source, 9, process_count=2))
