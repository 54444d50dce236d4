"""Folders of label maps: each layout written by hand, and CamVid."""

import re

import numpy as np
import pytest
from PIL import Image

from tests.shared import shared
from train.config import Data
from train.data import DataError, load, load_both
from train.data.sources.label_maps import CAMVID, CITYSCAPES, VOC_CLASSES, label_maps_splits

IMAGE = np.zeros((3, 4, 3), np.uint8)
NUMBERS = np.array([[0, 1, 1, 2], [0, 1, 1, 255], [0, 0, 0, 255]], np.uint8)


def write(pixels, *parts):
    file = parts[0].joinpath(*parts[1:])
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def write_pairs(root, images="images", labels="labels", count=5, numbers=NUMBERS):
    for i in range(count):
        write(IMAGE + i, root, images, f"{i}.png")
        write(numbers, root, labels, f"{i}.png")
    return root


def test_numbers_are_classes_by_their_list_and_a_fifth_is_held_out(tmp_path):
    write_pairs(tmp_path)
    (tmp_path / "classes.txt").write_text("ground\nvoid\nperson\n")
    train, test = load_both(Data(f"label_maps:{tmp_path}"))
    assert (len(train), len(test)) == (4, 1)
    assert (train.facts.classes, train.facts.ignore, train.facts.background) == (("ground", "person"), -1, None)
    expected = [[0, -1, -1, 1], [0, -1, -1, -1], [0, 0, 0, -1]]
    assert train[0]["label_map"].tolist() == test[0]["label_map"].tolist() == expected
    assert sorted(int(each["image"][0, 0, 0]) for each in (*train.examples(range(4)), test[0])) == [0, 1, 2, 3, 4]


def test_list_may_have_a_byte_order_mark_and_capitals(tmp_path):
    write_pairs(tmp_path)
    (tmp_path / "classes.txt").write_text("Background\nperson\nVoid\n", encoding="utf-8-sig")
    source = label_maps_splits(str(tmp_path))["train"]
    assert (source.facts.classes, source.facts.background) == (("Background", "person"), 0)
    assert set(np.unique(source[0]["label_map"])) == {-1, 0, 1}


def test_without_a_list_classes_are_numbered(tmp_path):
    for part in ("train", "val"):
        write_pairs(tmp_path / part, count=2)
    train, test = load_both(Data(f"label_maps:{tmp_path}"))
    assert (len(train), len(test), train.facts.classes) == (2, 2, ("0", "1", "2"))
    assert test[1]["label_map"].tolist() == [[0, 1, 1, 2], [0, 1, 1, -1], [0, 0, 0, -1]]


def test_camvid_has_its_names_and_void(tmp_path):
    for part in ("train", "test"):
        write_pairs(tmp_path, part, f"{part}annot", 1, np.full((3, 4), 11, np.uint8))
    train, test = load_both(Data(f"label_maps:{tmp_path}"))
    assert train.facts.classes == CAMVID[:-1]
    assert set(test[0]["label_map"].ravel().tolist()) == {-1}


def test_cityscapes_has_the_nineteen_classes_that_are_evaluated(tmp_path):
    for part in ("train", "val"):
        write(IMAGE, tmp_path, "leftImg8bit", part, "ulm", "ulm_000_leftImg8bit.png")
        numbers = np.array([[7, 33, 0, 26]] * 3, np.uint8)
        write(numbers, tmp_path, "gtFine", part, "ulm", "ulm_000_gtFine_labelIds.png")
    train = load(Data(f"label_maps:{tmp_path}"), "train")
    assert len(train.facts.classes) == len(CITYSCAPES) == 19
    assert train[0]["label_map"][0].tolist() == [0, 18, -1, 13]


def test_voc_has_a_background_and_borders_that_do_not_count(tmp_path):
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for part, name in (("train", "2007_000032"), ("val", "2007_000033")):
        (lists / f"{part}.txt").write_text(f"{name}\n")
        write(IMAGE, tmp_path, "JPEGImages", f"{name}.jpg")
        palette = Image.fromarray(np.array([[0, 15, 255, 20]] * 3, np.uint8), "L").convert("P")
        palette.putdata([0, 15, 255, 20] * 3)
        (tmp_path / "SegmentationClass").mkdir(exist_ok=True)
        palette.save(tmp_path / "SegmentationClass" / f"{name}.png")
    train, test = load_both(Data(f"label_maps:{tmp_path}"))
    assert (train.facts.classes, train.facts.background) == (("background", *VOC_CLASSES), 0)
    assert test[0]["label_map"][0].tolist() == [0, 15, -1, 20]


def test_images_and_their_label_maps_are_framed_alike(tmp_path):
    write_pairs(tmp_path, count=2)
    source = load(Data(f"label_maps:{tmp_path}", canvas=8), "train")
    (example,) = source.examples([0])
    assert example["image"].shape == (8, 8, 3)
    assert example["label_map"][:, 0].tolist() == [0] * 6 + [-1] * 2  # 3 rows of 4 columns, twice as large


def test_what_is_wrong_is_named_with_its_file(tmp_path):
    for said, root in (
        ("expected train/, trainannot/; or leftImg8bit/", tmp_path),
        ("found no such folder", tmp_path / "nowhere"),
    ):
        with pytest.raises(DataError, match=said):
            label_maps_splits(str(root))
    write_pairs(tmp_path, count=5)
    (tmp_path / "classes.txt").write_text("ground\nperson\n")
    wrong = re.escape("expected the numbers 0, 1, and 255 for no class, found 2")
    with pytest.raises(DataError, match=rf"labels/\d\.png: {wrong}"):
        label_maps_splits(str(tmp_path))["train"][0]
    (tmp_path / "classes.txt").write_text("ground\nground\nperson\n")
    with pytest.raises(
        DataError, match=r"classes\.txt: expected names of classes, each once, found 'ground', 'ground'"
    ):
        label_maps_splits(str(tmp_path))
    (tmp_path / "classes.txt").write_text("ground\n\nperson\n")
    with pytest.raises(DataError, match=r"each once, found 'ground', '', 'person'"):
        label_maps_splits(str(tmp_path))
    (tmp_path / "classes.txt").unlink()
    write(NUMBERS.astype(np.uint16) + 255, tmp_path, "labels", "3.png")
    with pytest.raises(DataError, match=r"classes\.txt for numbers above 255, found 510"):
        label_maps_splits(str(tmp_path))
    write(NUMBERS[:2], tmp_path, "labels", "3.png")
    with pytest.raises(DataError, match=r"labels/3\.png: expected 3x4 pixels .* as .*images/3\.png has, found 2x4"):
        label_maps_splits(str(tmp_path))
    (tmp_path / "labels" / "3.png").unlink()
    with pytest.raises(DataError, match=r"images/3\.png: expected its label map as .*labels/3\.png, found none"):
        label_maps_splits(str(tmp_path))


def test_camvid_itself_is_read():
    train, test = load_both(Data(f"label_maps:{shared('data', 'camvid')}"))
    assert (len(train), len(test), train.spec["label_map"].shape) == (48, 16, (360, 480))
    labels = test[0]["label_map"]
    assert set(np.unique(labels)) <= {-1, *range(11)}
    assert train.facts.classes[labels[:40].ravel()[np.argmax(labels[:40] >= 0)]] in ("sky", "building", "tree")
