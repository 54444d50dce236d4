"""The pipeline that keeps a set on the device."""

import jax
import numpy as np
import pytest

from train.config import Data
from train.data import Field, GrainPipeline, Kind, MemoryPipeline, gather, load, make_pipeline
from train.data.source import ArraySource


def counting(count):
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    return ArraySource("counting", {"image": images, "label": np.arange(count, dtype=np.int32)})


def rows(pipeline, steps):
    return np.stack([pipeline.next()["index"] for _ in range(steps)])


def test_an_epoch_visits_every_row_once_but_the_remainder_and_the_next_in_another_order():
    pipeline = MemoryPipeline(counting(23), 5, seed=0)
    assert pipeline.steps_per_epoch == 4
    first, second = rows(pipeline, 4).ravel(), rows(pipeline, 4).ravel()
    assert len(set(first)) == len(set(second)) == 20
    assert not np.array_equal(first, second)
    assert set(first) != set(second)  # the remainder is another one each epoch


def test_a_batch_holds_the_rows_that_its_indices_name():
    pipeline = MemoryPipeline(counting(23), 5, seed=0)
    for step in range(6):
        batch = pipeline.next()
        expected = np.random.Generator(np.random.PCG64((0, step // 4))).permutation(23)[step % 4 * 5 :][:5]
        assert np.array_equal(batch["index"], expected)
        assert np.array_equal(batch["label"], expected)
        assert np.array_equal(batch["image"][:, 1, 1, 0], expected)
        assert np.all(batch["mask"])
        assert {k: v.dtype.name for k, v in batch.items()} == {
            "image": "uint8",
            "label": "int32",
            "index": "int32",
            "mask": "bool",
        }


def test_gathering_in_a_scan_gives_the_batches_of_next():
    pipeline = MemoryPipeline(counting(23), 5, seed=3)
    stacked = np.stack([pipeline.indices(step) for step in range(3)])
    _, batches = jax.lax.scan(lambda carry, r: (carry, gather(pipeline.arrays, r)), None, stacked)
    for step in range(3):
        batch = pipeline.next()
        assert all(np.array_equal(batches[name][step], batch[name]) for name in batch)


def test_a_restored_pipeline_goes_on_as_the_uninterrupted_one():
    whole = MemoryPipeline(counting(23), 5, seed=1)
    expected = rows(whole, 11)
    first = MemoryPipeline(counting(23), 5, seed=1)
    rows(first, 6)
    second = MemoryPipeline(counting(23), 5, seed=1)
    second.restore(first.state())
    assert np.array_equal(rows(second, 5), expected[6:])
    assert second.state() == whole.state() == {"step": 11}


def test_seeds_differ():
    orders = {tuple(rows(MemoryPipeline(counting(23), 5, seed=seed), 4).ravel()) for seed in range(5)}
    assert len(orders) == 5


@pytest.mark.parametrize("kind", ["memory", "grain"])
def test_processes_share_each_batch_without_overlap(kind):
    whole = make_pipeline(counting(23), 6, 2, kind)
    parts = [make_pipeline(counting(23), 6, 2, kind, process_index=p, process_count=3) for p in range(3)]
    for step in range(7):
        together = np.concatenate([part.indices(step) for part in parts])
        assert np.array_equal(together, whole.indices(step))
        assert np.array_equal(parts[1].next()["index"], together[2:4])


@pytest.mark.parametrize("kind", ["memory", "grain"])
def test_a_batch_that_cannot_be_filled_or_shared_is_refused(kind):
    with pytest.raises(ValueError, match="batch_size=24: expected 1 to 23, the size of counting"):
        make_pipeline(counting(23), 24, 0, kind)
    with pytest.raises(ValueError, match="batch_size=6: expected a multiple of the 4 processes"):
        make_pipeline(counting(23), 6, 0, kind, process_count=4)


def test_auto_keeps_small_sets_in_memory_and_reads_large_ones_with_grain():
    assert isinstance(make_pipeline(counting(23), 5, 0), MemoryPipeline)
    large = counting(23)
    large.spec = {"image": Field(Kind.IMAGE, (2**13, 2**13, 3), "uint8")}
    assert isinstance(make_pipeline(large, 5, 0), GrainPipeline)
    with pytest.raises(KeyError, match="no pipeline 'grains'; nearest: grain"):
        make_pipeline(large, 5, 0, "grains")


@pytest.mark.parametrize("kind", ["memory", "grain"])
def test_any_fields_come_with_what_says_which_are_real(kind):
    source = load(Data("scenes"), "test")
    arrays, pipeline = source.arrays(), make_pipeline(source, 20, 3, kind)
    batch = pipeline.next()
    assert batch.keys() == {*arrays, "index", "mask"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(batch[name], array[batch["index"]], err_msg=name)
    pipeline.close()
