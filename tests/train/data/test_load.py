"""Sources by name."""

import numpy as np
import pytest

from train.config import Data
from train.data import DataError, load


def test_names_lead_to_their_sources(tmp_path):
    assert load(Data("digits"), "test").name == "digits"
    assert load(Data("scenes"), "test").name == "scenes"
    assert load(Data("rotated_digits"), "train").spec["image"].shape == (16, 16, 1)
    np.savez(tmp_path / "a.npz", image=np.zeros((10, 2, 2, 1), np.uint8), label=np.arange(10) % 2)
    assert len(load(Data(f"npz:{tmp_path}/a.npz"), "train")) == 8
    with pytest.raises(DataError, match="class folders"):
        load(Data(f"folder:{tmp_path}"), "train")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "no data source 'digit'; nearest: digits"),
        ("tfds", "nearest: tfds:NAME"),
        ("npz:", "nearest: npz:PATH"),
        ("tfds:", "nearest: tfds:NAME"),
        ("digits:3", "nearest: digits"),
        ("cifar10", "known: digits, folder:PATH, npz:PATH, rotated_digits, scenes, tfds:NAME"),
    ],
)
def test_an_unknown_name_brings_the_nearest(name, message):
    with pytest.raises(KeyError, match=message):
        load(Data(name), "train")


def test_an_unknown_split_brings_the_nearest():
    with pytest.raises(KeyError, match="no split 'tests'; nearest: test"):
        load(Data("digits"), "tests")


def test_limit_takes_a_balanced_part_of_training_and_leaves_the_test_split_whole():
    train = load(Data("digits", limit=50), "train")
    assert np.array_equal(np.bincount(train.arrays()["label"]), [5] * 10)
    assert np.array_equal(train.arrays()["image"], load(Data("digits", limit=50), "train").arrays()["image"])
    assert len(load(Data("digits", limit=50), "test")) == 360
