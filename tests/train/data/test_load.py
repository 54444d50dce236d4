"""Sources by name."""

import importlib

import numpy as np
import pytest
from PIL import Image

from train.config import Data
from train.data import DataError, load, load_both


def test_names_lead_to_their_sources(tmp_path):
    assert load(Data("digits"), "test").name == "digits"
    assert load(Data("scenes"), "test").name == "scenes"
    assert load(Data("rotated_digits"), "train").spec["image"].shape == (16, 16, 1)
    np.savez(tmp_path / "a.npz", image=np.zeros((10, 2, 2, 1), np.uint8), label=np.arange(10) % 2)
    assert len(load(Data(f"npz:{tmp_path}/a.npz"), "train")) == 8
    with pytest.raises(DataError, match="class folders"):
        load(Data(f"folder:{tmp_path}"), "train")


def test_classes_have_to_be_two_and_their_names_unique(tmp_path):
    images, labels = np.zeros((10, 2, 2, 1), np.uint8), np.arange(10) % 2
    maps = np.zeros((10, 2, 2), np.uint8)
    for arrays, message in [
        ({"label": 0 * labels}, "found '0' alone"),
        ({"label": 0 * labels + 1, "class_names": ["a", "b"]}, "found 'b' alone"),
        ({"label": labels, "class_names": ["x", "x"]}, "expected class names that differ, found 'x' 2 times"),
        ({"label_map": maps, "class_names": ["x", "y", "x"]}, "found 'x' 2 times"),
    ]:
        np.savez(tmp_path / "a.npz", image=images, **arrays)
        with pytest.raises(DataError, match=rf"^npz:.*a\.npz: .*{message}"):
            load(Data(f"npz:{tmp_path}/a.npz"), "train")
    (tmp_path / "root" / "only").mkdir(parents=True)
    for name in "abcde":
        Image.new("L", (2, 2)).save(tmp_path / "root" / "only" / f"{name}.png")
    with pytest.raises(DataError, match=r"^folder:.*root: .* two classes or more, found 'only' alone"):
        load(Data(f"folder:{tmp_path}/root", crop=2), "train")
    np.savez(tmp_path / "a.npz", image=images, label_map=maps, class_names=["one"])
    assert load(Data(f"npz:{tmp_path}/a.npz"), "train").facts.classes == ("one",)


def test_a_prepared_data_set_whose_description_is_damaged_is_named(tmp_path):
    folder = tmp_path / "mine" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{" * 100_000)
    with pytest.raises(DataError, match=r"^tfds:mine in .*1\.0\.0: expected a data set that TFDS can read: "):
        load(Data("tfds:mine", data_dir=str(tmp_path)), "train")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "no data source 'digit'; nearest: digits"),
        ("tfds", "nearest: tfds:NAME"),
        ("npz:", "nearest: npz:PATH"),
        ("tfds:", "nearest: tfds:NAME"),
        ("karate:3", "nearest: karate"),
        ("cifar10", r"known: clips:PATH, coco:FILE, .*, digits, .*, npz:PATH, .*, points, .*\.\.\."),
    ],
)
def test_an_unknown_name_brings_the_nearest(name, message):
    with pytest.raises(KeyError, match=message):
        load(Data(name), "train")


def test_both_splits_are_those_that_are_loaded_one_by_one_and_what_holds_them_is_opened_once(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", image=random.integers(0, 256, (10, 2, 2, 1), np.uint8), label=np.arange(10) % 2)
    for label in ("a", "b"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for i in range(5):
            pixels = random.integers(0, 256, (4, 4 + i, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / label / f"{i}.png")
    opened = []
    for module, name in (("npz", "_read"), ("folder", "_classes")):
        room = importlib.import_module(f"train.data.sources.{module}")
        read = getattr(room, name)
        monkeypatch.setattr(room, name, lambda path, read=read: opened.append(path) or read(path))
    for config in (Data(f"npz:{tmp_path}/a.npz"), Data(f"folder:{tmp_path}/images", crop=4), Data("digits", limit=9)):
        alone = [load(config, split).arrays() for split in ("train", "test")]
        opened.clear()
        together = load_both(config)
        assert len(opened) == (0 if config.source == "digits" else 1)
        for expected, found in zip(alone, together, strict=True):
            for name, array in found.arrays().items():
                np.testing.assert_array_equal(array, expected[name])


def test_an_unknown_split_brings_the_nearest():
    with pytest.raises(KeyError, match="no split 'tests'; nearest: test"):
        load(Data("digits"), "tests")


def test_limit_takes_a_balanced_part_of_training_and_leaves_the_test_split_whole():
    train = load(Data("digits", limit=50), "train")
    assert np.array_equal(np.bincount(train.arrays()["label"]), [5] * 10)
    assert np.array_equal(train.arrays()["image"], load(Data("digits", limit=50), "train").arrays()["image"])
    assert len(load(Data("digits", limit=50), "test")) == 360
