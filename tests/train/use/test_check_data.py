"""`check-data` through the command line: each thing that can be wrong with an example is named, and nothing else."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.train.command import call
from train.data import ArraySource, Facts, Field, Kind
from train.data.captions import END, PADDING, SPECIAL, START, UNKNOWN, field_of
from train.use.check_data import findings_of


def coco(folder, boxes, count=5):
    """A file with one image a box, and more that have none."""
    images = [{"id": i, "file_name": f"{i}.png", "height": 8, "width": 10} for i in range(max(count, len(boxes)))]
    for image in images:
        Image.fromarray(np.full((8, 10, 3), 10 * image["id"], np.uint8)).save(folder / image["file_name"])
    found = {
        "images": images,
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, "bbox": box} for i, box in enumerate(boxes)],
    }
    (folder / "all.json").write_text(json.dumps(found))
    return folder / "all.json"


def test_data_in_order_is_said_to_be(tmp_path, capsys):
    code, out, _ = call(capsys, "check-data", "--data.source", f"coco:{coco(tmp_path, [[1, 1, 4, 4]] * 5)}")
    assert code == 0
    assert "nothing is wrong" in out


def test_images_without_objects_are_told_and_no_error(tmp_path, capsys):
    file = coco(tmp_path, [[1, 1, 4, 4]], 8)
    code, out, _ = call(capsys, "check-data", "--data.source", f"coco:{file}")
    assert code == 0
    assert "image without objects" in out
    assert "7 (no error)" in out


def test_wrong_boxes_are_named_with_their_row(tmp_path, capsys):
    boxes = [[3, 3, 0, 2], [3, 3, -2, 2], [float("nan"), 1, 2, 2], [5, 5, 9, 2], [1, 1, 2, 2]]
    code, out, _ = call(capsys, "check-data", "--data.source", f"coco:{coco(tmp_path, boxes)}")
    text = " ".join(out.split())
    assert code == 1
    assert "box that ends before it begins │ 2" in text
    assert "box that is no number │ 1" in text
    assert "box outside the image │ 1" in text
    assert "row" in text
    assert "boxes: object 0 (5, 5, 14, 7) of 8x10 pixels" in text
    assert "nothing is wrong" not in text


def test_unreadable_files_and_images_of_both_splits_are_named(tmp_path, capsys):
    file = coco(tmp_path, [[1, 1, 4, 4]] * 5)
    (tmp_path / "1.png").write_bytes(b"no image")
    for name in (0, 2, 3, 4):
        Image.new("RGB", (10, 8)).save(tmp_path / f"{name}.png")
    code, out, _ = call(capsys, "check-data", "--data.source", f"coco:{file}")
    text = " ".join(out.split())
    assert code == 1
    assert "unreadable example" in text
    assert "1.png: expected a readable image" in text
    assert "duplicate image" in text


def test_files_that_cannot_be_used_at_all_are_one_error(tmp_path, capsys):
    file = coco(tmp_path, [[1, 1, 4, 4]])
    file.write_text(file.read_text().replace('"category_id": 1', '"category_id": 4'))
    code, out, _ = call(capsys, "check-data", "--data.source", f"coco:{file}")
    assert code == 1
    assert "annotation 0: category_id 4 is none of the file's" in " ".join(out.split())


def test_recipes_are_known_and_something_must_be_asked_for(capsys):
    code, _, err = call(capsys, "check-data")
    assert code == 2
    assert "expected a recipe, or --data.source" in err
    assert call(capsys, "check-data", "digitz")[0] == 2
    code, out, _ = call(capsys, "check-data", "digits_mlp")
    assert code == 0
    assert "train examples" in out


IMAGE = Field(Kind.IMAGE, (4, 4, 1), "uint8")
WRONG = {
    "label": (Field(Kind.LABEL, (), "int32"), np.array([0, 5]), "label out of range"),
    "map": (Field(Kind.LABEL_MAP, (4, 4), "int32"), np.full((2, 4, 4), [[[-1]], [[7]]]), "label out of range"),
    "target": (Field(Kind.VALUE, (), "float32"), np.array([0, np.nan]), "value that is no number"),
    "masks": (Field(Kind.MASKS, (1, 4, 4), "bool"), np.array([[[[1]]], [[[0]]]] * np.ones((4, 4))) > 0, "empty mask"),
    "points": (
        Field(Kind.KEYPOINTS, (1, 3), "float32"),
        np.array([[[1, 1, 1]], [[9, 1, 1]]]),
        "keypoint outside the image",
    ),
    "hidden": (
        Field(Kind.KEYPOINTS, (1, 3), "float32"),
        np.array([[[9, 9, 0]], [[np.nan, 1, 1]]]),
        "keypoint that is no number",
    ),
    "tags": (Field(Kind.COLUMNS, (4,), "int32"), np.array([[0, 1, -1, 0], [0, 1, 2, 0]]), "label out of range"),
    "box": (Field(Kind.BOXES, (4,), "float32"), np.array([[0, 0, 5, 4], [0, 0, 4, 7]]), "box outside the image"),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_kind_of_field_is_looked_at_and_only_the_wrong_row_is_named(name):
    field, value, sort = WRONG[name]
    images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    source = ArraySource("two", {"image": images, name: value}, {"image": IMAGE, name: field}, Facts(("a", "b")))
    found = list(findings_of(source, "train"))
    assert [(each.row, each.sort) for each in found] == [(1, sort)]
    assert found[0].about.startswith(f"{name}: ")


VOCABULARY = (*SPECIAL, "a", "dog")


def of_captions(*captions):
    """Images with as many captions each, as tokens."""
    images = np.arange(16 * len(captions), dtype=np.uint8).reshape(len(captions), 4, 4, 1)
    tokens = np.array(captions, np.int32)
    arrays = {"image": images, "captions": tokens, "captions_valid": np.ones(tokens.shape[:2], bool)}
    spec = {"image": IMAGE, "captions": field_of(*tokens.shape[1:])}
    return ArraySource("captioned", arrays, spec, Facts(vocabulary=VOCABULARY))


@pytest.mark.parametrize(
    ("tokens", "errors", "others"),
    [
        ([START, END, PADDING, PADDING], {"empty caption"}, set()),
        ([PADDING] * 4, {"empty caption", "caption without a start"}, {"caption that is cut off"}),
        ([START, 6, END, PADDING], {"token out of range"}, set()),
        ([START, -1, END, PADDING], {"token out of range"}, set()),
        ([4, 5, END, PADDING], {"caption without a start"}, set()),
        ([START, 4, END, 5], {"words after a caption's end"}, set()),
        ([START, UNKNOWN, END, PADDING], set(), {"caption without a known word", "unknown words"}),
        ([START, 4, 5, 4], set(), {"caption that is cut off"}),
    ],
)
def test_each_caption_that_is_wrong_is_named_and_no_other(tokens, errors, others):
    right = [START, 4, 5, END]
    found = list(findings_of(of_captions([right, [START, 4, END, PADDING]], [right, tokens]), "train"))
    assert {each.sort for each in found if each.is_error} == errors
    assert {each.sort for each in found if not each.is_error} == others
    for each in found:
        if each.sort != "unknown words":
            assert each.row == 1
            assert each.about.startswith("captions: caption 1: ")


def test_the_share_of_unknown_words_and_images_without_captions_are_told_and_no_errors():
    source = of_captions([[START, 4, UNKNOWN, END]], [[START, 5, 4, END]])
    (found,) = findings_of(source, "train")
    assert found == ("train", None, "unknown words", "captions: 25.00 % of 4")
    assert not found.is_error
    source._arrays["captions_valid"][0] = False
    (found,) = findings_of(source, "train")
    assert (found.row, found.sort, found.is_error) == (0, "image without captions", False)


def test_what_both_splits_have_wrong_is_two_findings(tmp_path, capsys):
    images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    arrays = {"image": images, "target": np.ones(2, np.float32), "test_image": images + 100}
    arrays["test_target"] = np.ones(2, np.float32)
    for name in ("masks", "test_masks"):
        arrays[name] = np.zeros((2, 1, 4, 4), bool)
        arrays[name][0] = True
    np.savez(tmp_path / "masks.npz", **arrays)
    code, out, _ = call(capsys, "check-data", "--data.source", f"npz:{tmp_path / 'masks.npz'}")
    assert code == 1
    assert "empty mask │ 2" in " ".join(out.split())


def test_test_images_that_training_sees_are_errors():
    images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    source, seen = ArraySource("two", {"image": images}, {"image": IMAGE}), {}
    assert not list(findings_of(source, "train", seen))
    found = list(findings_of(source, "test", seen))
    assert [(each.row, each.sort, each.is_error) for each in found] == [
        (i, "image of both splits", True) for i in (0, 1)
    ]
    again = ArraySource("same", {"image": images[[0, 0]]}, {"image": IMAGE})
    assert [(each.row, each.is_error) for each in findings_of(again, "train")] == [(1, False)]
