"""What all sources share: reading in chunks, padding, and what wraps a source."""

import numpy as np
import pytest

from tests.train.data.examples import Counting
from train.config import Data
from train.data import DataError, Facts, Field, Kind, OfFields, Source, Subset, in_memory, load
from train.data.source import Wrapped, bytes_of, stacked

BOXES = Field(Kind.BOXES, (None, 4), "float32", (3,))


class Ragged(Source):
    """Row i has i boxes."""

    name, spec, facts = "ragged", {"boxes": BOXES}, Facts(("x",), mirror=((0, 1),))

    def __len__(self):
        return 4

    def __getitem__(self, row):
        return {"boxes": np.full((row, 4), row, np.float32)}


class Drifting(Counting):
    """Its examples differ from epoch to epoch."""

    varies = True

    def variants(self, rows, seed, epoch):
        return [{**example, "image": example["image"] + epoch} for example in self.examples(rows)]


class Brighter(Wrapped):
    """Overrides one method, and forwards the rest."""

    def change(self, example, row):
        return {**example, "image": example["image"] + 100}


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
    assert (memory.name, memory.facts, memory.spec) == ("counting", source.facts, source.spec)
    assert source.images_read == 30


def test_subset_reads_the_rows_of_its_source():
    subset = Subset(Counting(30), np.array([7, 4, 20]))
    assert len(subset) == 3
    assert subset[2]["image"][0, 0, 0] == 20
    assert subset.peek(1, "label") == 1
    assert np.array_equal(subset.arrays()["image"][:, 0, 0, 0], [7, 4, 20])


def test_what_varies_in_number_is_padded_with_zeros_and_says_what_is_real():
    arrays = Ragged().arrays()
    assert arrays["boxes"].shape == (4, 3, 4)
    np.testing.assert_array_equal(arrays["boxes_valid"], np.arange(3) < np.arange(4)[:, None])
    assert not arrays["boxes"][~arrays["boxes_valid"]].any()
    memory = in_memory(Ragged())
    for row in range(4):
        np.testing.assert_array_equal(memory[row]["boxes"], Ragged()[row]["boxes"])
    with pytest.raises(DataError, match="boxes: expected at most 3 in an example, found 4"):
        stacked([{"boxes": np.zeros((4, 4))}], {"boxes": BOXES})


def test_a_wrapped_source_forwards_every_field_fact_and_variation():
    source = Wrapped(Drifting(9))
    assert (source.name, source.spec, source.facts, source.varies) == ("counting", Counting.spec, Counting.facts, True)
    for wrapped in (source, Subset(source, np.arange(9)), Brighter(Drifting(9)), OfFields(Brighter(source), ["image"])):
        still, moved = wrapped.read([3, 5])["image"], wrapped.varied([3, 5], seed=0, epoch=7)["image"]
        np.testing.assert_array_equal(moved - still, np.full_like(still, 7))
    assert Brighter(Subset(Drifting(9), np.array([8, 2]))).varied([1], 0, 1)["image"].flat[0] == 103


def test_some_fields_come_with_what_says_which_are_real():
    source = OfFields(load(Data("scenes"), "test"), ["image", "boxes"])
    assert [*source.spec] == ["image", "boxes"]
    assert source.arrays().keys() == source.read([1, 2]).keys() == {"image", "boxes", "boxes_valid"}
    assert source[0].keys() == {"image", "boxes"}
    counting = Counting(5)
    assert OfFields(counting, ["label"]).peek(4, "label") == 1
    assert counting.images_read == 0


def test_the_size_in_memory_is_that_of_the_arrays_and_unknown_sizes_fit_nowhere():
    source = load(Data("digits"), "test")
    assert bytes_of(source) == sum(array.nbytes for array in source.arrays().values())
    any_size = Wrapped(source, {"image": Field(Kind.IMAGE, (None, None, 3), "uint8")})
    assert bytes_of(any_size) == np.inf
