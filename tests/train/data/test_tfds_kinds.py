"""TFDS data sets with features of many kinds, and with images of any size."""

import numpy as np
import pytest
from PIL import Image

from tests.train.data.tfds_files import opened, png, write, write_objects
from train.config import Data
from train.data import DataError, load
from train.data.fields import aligned
from train.data.sources.folder import folder_splits
from train.data.sources.tfds import TfdsSource


def test_features_that_are_of_a_kind_are_read_and_boxes_come_in_pixels(tmp_path):
    source = opened("tfds:objects", "train", write_objects(tmp_path))
    kinds = {name: field.kind.value for name, field in source.spec.items()}
    assert kinds == {
        "image": "image",
        "other": "image",
        "segments": "label_map",
        "width": "value",
        "number": "plain",
        "region": "boxes",
        "boxes": "boxes",
        "classes": "label",
        "area": "value",
        "crowd": "plain",
    }
    assert source.facts.classes == ("cat", "dog")
    assert [set(names) for names in aligned(source.spec)] == [{"boxes", "classes", "area", "crowd"}]
    arrays = source.arrays()
    np.testing.assert_array_equal(arrays["other"][:, 0, 0, 0], [0, 20, 40])
    np.testing.assert_array_equal(arrays["segments"][:, 5, 7], [0, 1, 0])
    np.testing.assert_array_equal(arrays["boxes_valid"].sum(axis=1), [1, 2, 0])
    np.testing.assert_array_equal(arrays["boxes"][0, 0], [0, 0, 2, 3])  # left, top, right, bottom of 8 x 6 pixels
    np.testing.assert_array_equal(arrays["boxes"][1, :2], [[2, 3, 8, 6], [0, 0, 4, 6]])
    np.testing.assert_array_equal(arrays["region"], [[[4, 0, 8, 6]]] * 3)
    np.testing.assert_array_equal(arrays["classes"][1, :3], [1, 1, 0])
    assert {name: arrays[name].dtype.name for name in ("segments", "classes", "width", "crowd")} == {
        "segments": "int32",
        "classes": "int32",
        "width": "float32",
        "crowd": "bool",
    }
    assert (source.peek(2, "number"), source.peek(1, "width")) == (2, 0.5)
    np.testing.assert_array_equal(source.peek(1, "classes"), [1, 1])


def test_boxes_and_label_maps_of_images_of_any_size_are_put_on_a_canvas(tmp_path):
    data_dir = write_objects(tmp_path, size=(None, None))
    with pytest.raises(DataError, match=r"of one size, found shape .* put them on one with --data\.canvas"):
        opened("tfds:objects", "train", data_dir)
    arrays = load(Data("tfds:objects", data_dir, canvas=16), "train").arrays()
    assert arrays["image"].shape == (3, 16, 16, 3)
    np.testing.assert_array_equal(arrays["boxes"][1, :2], [[4, 6, 16, 12], [0, 0, 8, 12]])
    np.testing.assert_array_equal(arrays["segments"][1, :, 0], [1] * 12 + [-1] * 4)


def lying():
    """What a camera writes that was held on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif}


def test_photographs_are_turned_upright_as_those_of_a_folder_are(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    files = [png(pixels, **lying()), png(pixels)]
    source = TfdsSource("tiny", "train", write(tmp_path, shape=(None, None, 3), images=files, labels=(0, 1)), True)
    np.testing.assert_array_equal(source[0]["image"], np.rot90(pixels, -1))
    np.testing.assert_array_equal(source[1]["image"], pixels)
    for row, file in enumerate(files):
        path = tmp_path / "folder" / "a" / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file)
    whole = folder_splits(str(tmp_path / "folder"), any_size=True)["train"].source
    for row in range(2):
        np.testing.assert_array_equal(source[row]["image"], whole[row]["image"])


@pytest.mark.parametrize("beside", ["other", "segments", "region"])
def test_what_other_fields_speak_of_stays_as_it_is_stored(beside, tmp_path):
    data_dir = write_objects(tmp_path, (None, None), ("image", "number", beside), **lying())
    assert TfdsSource("objects", "train", data_dir, any_size=True)[0]["image"].shape == (6, 8, 3)


def test_what_has_nothing_beside_it_that_lies_the_same_way_is_turned(tmp_path):
    data_dir = write_objects(tmp_path, (None, None), ("image", "number"), **lying())
    assert TfdsSource("objects", "train", data_dir, any_size=True)[0]["image"].shape == (8, 6, 3)


@pytest.mark.parametrize("any_size", [False, True])
def test_images_of_a_declared_size_stay_as_they_are_stored(any_size, tmp_path):
    data_dir = write(tmp_path, images=[png(np.zeros((4, 5, 1), np.uint8), **lying())], labels=(0,))
    assert TfdsSource("tiny", "train", data_dir, any_size)[0]["image"].shape[:2] == (4, 5)
