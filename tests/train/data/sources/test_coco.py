"""COCO's json: hand-written files with each form of mask, real people, and each way in which a file can be wrong."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_tools

from tests.shared import shared
from train.config import Data
from train.data import DataError, OfFields, evaluation_batches, load, load_both
from train.data.rle import area_of, decoded, encoded
from train.data.sources.coco import CocoSource, coco, mirrored, read

POINTS = ["nose", "left_eye", "right_eye"]
SQUARE = [2, 1, 6, 1, 6, 4, 2, 4]
"""Columns 2 to 6 and rows 1 to 4."""


def annotation(number, image=7, category=3, bbox=(2, 1, 4, 3), **more):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": list(bbox),
        "area": 12,
        "iscrowd": 0,
    } | more


def dataset(annotations, images=((7, "a.png"), (9, "b.png")), size=(8, 10)):
    height, width = size
    return {
        "images": [{"id": i, "file_name": name, "height": height, "width": width} for i, name in images],
        "categories": [{"id": 17, "name": "cat"}, {"id": 3, "name": "person", "keypoints": POINTS}],
        "annotations": annotations,
    }


def write(folder, found, name="all.json"):
    folder.mkdir(parents=True, exist_ok=True)
    for image in found["images"]:
        pixels = np.full((image["height"], image["width"], 3), image["id"], np.uint8)
        Image.fromarray(pixels).save(folder / image["file_name"])
    (folder / name).write_text(json.dumps(found))
    return folder / name


@pytest.fixture
def file(tmp_path):
    points = [3, 2, 2, 0, 0, 0, 5, 1, 1]
    runs = {"size": [8, 10], "counts": [16, 8, 56]}  # column 2
    crowd = annotation(3, 7, 17, (0, 0, 10, 8), iscrowd=1, segmentation=encoded(np.ones((8, 10), bool)))
    return write(
        tmp_path,
        dataset(
            [annotation(1, segmentation=[SQUARE], keypoints=points), annotation(2, 7, 17, segmentation=runs), crowd]
        ),
    )


def whole(file):
    """All images with crowds, as the test would have them."""
    found = read(file)
    return CocoSource("all", found, found.most, any_size=True)


def test_boxes_classes_masks_and_keypoints_are_as_they_were_written(file):
    found = whole(file)[0]
    assert found["boxes"].tolist() == [[2, 1, 6, 4], [2, 1, 6, 4], [0, 0, 10, 8]]
    assert found["classes"].tolist() == [0, 1, 1]  # by the number of their category: person, cat
    assert whole(file).facts.classes == ("person", "cat")
    assert found["area"].tolist() == [12, 12, 12]
    assert found["is_crowd"].tolist() == [False, False, True]
    square = np.zeros((8, 10), bool)
    square[1:4, 2:6] = True
    column = np.arange(10) == 2
    np.testing.assert_array_equal(found["masks"], [square, np.broadcast_to(column, (8, 10)), np.ones((8, 10))])
    assert found["keypoints"][0].tolist() == [[3.5, 2.5, 1], [0, 0, 0], [5.5, 1.5, 1]]
    assert not found["keypoints"][1:].any()
    assert whole(file).facts.mirror == ((1, 2),)


def test_image_without_objects_stays_and_batches_are_padded(file):
    source = whole(file)
    assert len(source) == 2
    assert source[1]["masks"].shape == (0, 8, 10)
    batch = next(evaluation_batches(load(Data(f"coco:{file}", canvas=20), "train"), 1))
    assert batch["boxes"].shape == (1, 3, 4)
    assert batch["masks"].shape == (1, 3, 20, 20)
    assert batch["size"].tolist() == [[16, 20]]
    assert batch["original_size"].tolist() == [[8, 10]]


def test_training_examples_have_no_crowds_and_those_of_the_test_say_which_are(tmp_path):
    crowd = annotation(2, 1, iscrowd=1)
    for part in ("train", "val"):
        write(tmp_path / part, dataset([annotation(1, 1), crowd], [(1, "a.png")]), f"instances_{part}2017.json")
        (tmp_path / part / f"instances_{part}2017.json").rename(tmp_path / f"instances_{part}2017.json")
    train, test = load_both(Data(f"coco:{tmp_path}/instances_train2017.json@{tmp_path}/train"))
    assert (len(train), len(test)) == (1, 1)
    assert train[0]["is_crowd"].tolist() == [False]
    assert test[0]["is_crowd"].tolist() == [False, True]
    assert "masks" not in train.spec
    assert test.files[0].parent.name == "val"


def test_a_fifth_is_held_out_where_there_is_one_file(tmp_path):
    file = write(tmp_path, dataset([annotation(1, 3)], [(i, f"{i}.png") for i in range(10)]))
    train, test = load_both(Data(f"coco:{file}"))
    values = [int(each["image"][0, 0, 0]) for source in (train, test) for each in source.examples(range(len(source)))]
    assert (len(train), len(test), sorted(values)) == (8, 2, list(range(10)))
    assert train.spec["image"].shape == (8, 10, 3)
    assert np.array_equal(pickle.loads(pickle.dumps(train))[0]["image"], train[0]["image"])


def test_masks_that_nobody_reads_are_not_decoded(file, monkeypatch):
    monkeypatch.setattr(CocoSource, "_mask", lambda *_: pytest.fail("decoded"))
    framed = load(Data(f"coco:{file}", canvas=16), "train")
    assert OfFields(framed, ["image", "boxes"])[0].keys() == {"image", "boxes"}
    with pytest.raises(pytest.fail.Exception):
        whole(file)[0]


def test_runs_are_pycocotools():
    random = np.random.default_rng(0)
    for share in (0, 0.02, 0.5, 0.97, 1) * 6:
        mask = random.random(random.integers(1, 50, 2)) < share
        theirs = mask_tools.encode(np.asfortranarray(mask, np.uint8))
        assert encoded(mask) == {"size": list(mask.shape), "counts": theirs["counts"].decode()}
        assert np.array_equal(decoded(theirs, *mask.shape), mask)
        assert area_of(encoded(mask)) == mask.sum()


def test_pairs_are_found_by_name():
    assert mirrored(["right_ear", "tail", "left_ear", "left_wing"]) == ((2, 0),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.pop("categories"), r"expected a list 'categories', found images, annotations"),
        (lambda found: found["annotations"][0].pop("bbox"), r"expected image_id, category_id, bbox in each of annot"),
        (lambda found: found["annotations"][0].update(category_id=5), r"annotation 1: category_id 5 is none"),
        (lambda found: found["annotations"][0].update(image_id=5), r"annotation 1: image_id 5 is none"),
        (lambda found: found["annotations"][0].update(bbox=[1, 2]), r"annotation 1: expected bbox as 4 numbers"),
        (lambda found: found["annotations"][0].update(keypoints=[1]), r"annotation 1: expected 3 keypoints, found 1"),
        (lambda found: found["images"].append(found["images"][0]), r"expected each image id once, found 1"),
        (lambda found: found["images"][0].update(file_name="c.png"), r"expected the image c\.png in .*@FOLDER"),
        (lambda found: found.update(images=[], annotations=[]), r"expected images, found none"),
        (lambda found: found["images"][0].update(height=5), r"found 5x10|expected 5x10|has, found"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(change, message, tmp_path):
    found = dataset([annotation(1)])
    file = write(tmp_path, found)
    change(found)
    file.write_text(json.dumps(found))
    with pytest.raises(DataError, match=message):
        coco(str(file), "train")


def test_wrong_masks_are_named_when_they_are_read(tmp_path):
    runs = {"size": [8, 10], "counts": [16, 8]}
    for segmentation in (runs, {"size": [5, 5], "counts": "0"}, [[1, 2, 3]], "everywhere"):
        file = write(tmp_path, dataset([annotation(4, segmentation=segmentation)]))
        with pytest.raises(DataError, match=r"segmentation of annotation 4: expected (run lengths|polygons)"):
            whole(file)[0]


def test_no_file_and_no_json_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: expected annotations in COCO's format: No such file"):
        coco(f"{tmp_path}/none.json", "train")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DataError, match=r"bad\.json: expected json"):
        coco(f"{tmp_path}/bad.json", "train")


def test_real_people_have_the_areas_that_coco_says():
    train, test = load_both(Data(f"coco:{shared('data', 'keypoints', 'test_coco.json')}", canvas=640))
    assert (len(train), len(test), train.facts.classes, len(train.facts.mirror)) == (3, 1, ("person",), 8)
    for found in [train[0], test[0]]:
        scale = np.prod(found["size"] / found["original_size"])
        np.testing.assert_allclose(found["masks"].sum((1, 2)), found["area"] * scale, rtol=0.05)
        seen = found["keypoints"][..., 2] > 0
        low, high = found["boxes"][:, None, :2] - 5, found["boxes"][:, None, 2:] + 5
        inside = (found["keypoints"][..., :2] >= low) & (found["keypoints"][..., :2] <= high)
        assert inside[seen].mean() > 0.98


@pytest.mark.parametrize(
    "segmentation",
    [[["a", 1, 2, 3, 4, 5]], {"size": 5, "counts": [6]}, {"size": [2, 3], "counts": ["x"]}, {"counts": [6]}],
)
def test_a_segmentation_that_is_none_is_a_data_error(segmentation):
    with pytest.raises(DataError, match="expected"):
        decoded(segmentation, 2, 3)
