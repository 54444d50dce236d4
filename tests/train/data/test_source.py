"""What all sources share: splits, subsets, reading in chunks."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from train.data.errors import DataError
from train.data.source import ArraySource, Source, Subset, balanced_subset, in_memory, stratified_split


class Counting(Source):
    """Row i is an image of i's, labelled i modulo 3; counts how many labels and images are asked for."""

    name, class_names, image_shape = "counting", ("a", "b", "c"), (2, 2, 1)

    def __init__(self, count: int) -> None:
        self.count, self.images_read, self.labels_read = count, 0, 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        self.images_read += 1
        return {"image": np.full((2, 2, 1), row % 256, np.uint8), "label": np.int32(row % 3)}

    def label(self, row: int) -> int:
        self.labels_read += 1
        return row % 3


def test_stratified_split_gives_each_class_the_share_that_scikit_learn_gives():
    labels = np.repeat([3, 1, 7], [50, 30, 21])
    train, test = stratified_split(labels, 20, seed=1)
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(101))
    _, theirs = train_test_split(labels, test_size=20, stratify=labels, random_state=0)
    assert np.array_equal(np.bincount(labels[test]), np.bincount(theirs))
    assert np.array_equal(test, stratified_split(labels, 20, seed=1)[1])
    assert not np.array_equal(test, stratified_split(labels, 20, seed=2)[1])


def test_stratified_split_never_takes_the_last_example_of_a_class():
    train, test = stratified_split(np.array([0] * 8 + [1]), held_out=5)
    assert 8 in train
    assert len(test) == 5


def test_arrays_reads_every_row_once_in_order_across_chunks():
    source = Counting(2500)
    arrays = source.arrays()
    assert np.array_equal(arrays["image"][:, 0, 0, 0], np.arange(2500) % 256)
    assert np.array_equal(arrays["label"], np.arange(2500) % 3)
    assert arrays["label"].dtype == np.int32
    assert source.images_read == 2500


def test_in_memory_decodes_once():
    source = Counting(30)
    memory = in_memory(source)
    assert in_memory(memory) is memory
    assert np.array_equal(memory.read([5, 29])["image"][:, 0, 0, 0], [5, 29])
    assert (memory.name, memory.class_names, memory.image_shape) == ("counting", ("a", "b", "c"), (2, 2, 1))
    assert source.images_read == 30


def test_subset_reads_the_rows_of_its_source():
    subset = Subset(Counting(30), np.array([7, 4, 20]))
    assert len(subset) == 3
    assert subset[2]["image"][0, 0, 0] == 20
    assert subset.label(1) == 1
    assert np.array_equal(subset.arrays()["image"][:, 0, 0, 0], [7, 4, 20])


def test_balanced_subset_is_even_over_classes_and_reads_labels_only():
    source = Counting(3000)
    subset = balanced_subset(source, 10)
    rows = subset._rows
    assert sorted(np.bincount(rows % 3)) == [3, 3, 4]
    assert len(np.unique(rows)) == 10
    assert source.images_read == 0
    assert source.labels_read < 60
    assert np.array_equal(rows, balanced_subset(Counting(3000), 10)._rows)
    assert not np.array_equal(rows, balanced_subset(Counting(3000), 10, seed=1)._rows)


def test_balanced_subset_fills_up_from_other_classes_where_one_is_too_small():
    labels = np.array([0] * 20 + [1] * 2, np.int32)
    source = ArraySource("skewed", {"image": np.zeros((22, 2, 2, 1), np.uint8), "label": labels}, ("a", "b"))
    assert np.array_equal(np.bincount(balanced_subset(source, 12).arrays()["label"]), [10, 2])


def test_balanced_subset_of_a_regression_source_is_drawn_at_random():
    source = ArraySource("angles", {"image": np.zeros((50, 2, 2, 1), np.uint8), "target": np.arange(50.0)})
    targets = balanced_subset(source, 10).arrays()["target"]
    assert len(np.unique(targets)) == 10
    assert targets.max() > 20


def test_the_unit_of_targets_stays_with_a_part_of_the_source_and_a_copy_in_memory():
    arrays = {"image": np.zeros((5, 2, 2, 1), np.uint8), "target": np.arange(5.0)}
    source = ArraySource("angles", arrays, target_unit="degrees")
    assert in_memory(balanced_subset(source, 2)).target_unit == "degrees"


@pytest.mark.parametrize("limit", [0, 31])
def test_balanced_subset_refuses_more_than_there_is_and_less_than_one(limit):
    with pytest.raises(DataError, match=rf"limit={limit}: expected 1 to 30, the size of counting"):
        balanced_subset(Counting(30), limit)
