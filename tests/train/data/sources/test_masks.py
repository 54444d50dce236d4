"""Folders of masks: hand-written ones, and Penn-Fudan with the boxes that its authors wrote down."""

import re

import numpy as np
import pytest
from PIL import Image

from tests.shared import shared
from train.config import Data
from train.data import DataError, load, load_both
from train.data.sources.masks import masks

NUMBERS = np.array([[0, 9, 9, 0], [0, 9, 9, 4], [0, 0, 0, 4]], np.uint8)


def write(root, count=5, folders=("images", "masks"), numbers=NUMBERS):
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(np.full((3, 4, 3), i, np.uint8)).save(root / folders[0] / f"{i}.png")
        Image.fromarray(numbers if i else 0 * numbers).save(root / folders[1] / f"{i}.png")
    return root


def test_each_number_is_an_object_and_an_image_may_have_none(tmp_path):
    train, test = load_both(Data(f"masks:{write(tmp_path)}"))
    assert (len(train), len(test), train.facts.classes) == (4, 1, ("object",))
    found = {
        int(each["image"][0, 0, 0]): each for source in (train, test) for each in source.examples(range(len(source)))
    }
    assert found[2]["boxes"].tolist() == [[3, 1, 4, 3], [1, 0, 3, 2]]
    np.testing.assert_array_equal(found[2]["masks"], [NUMBERS == 4, NUMBERS == 9])
    assert found[2]["classes"].tolist() == [0, 0]
    assert (found[0]["boxes"].shape, found[0]["masks"].shape) == ((0, 4), (0, 3, 4))


def test_objects_on_a_canvas_keep_boxes_around_their_masks(tmp_path):
    source = load(Data(f"masks:{write(tmp_path)}", canvas=16), "train")
    found = source[len(source) - 1]
    assert (found["size"].tolist(), found["masks"].shape) == ([12, 16], (2, 16, 16))
    for box, mask in zip(found["boxes"], found["masks"], strict=True):
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert source.peek(0, "size").tolist() == [12, 16]


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(DataError, match=r"expected PNGImages/ and PedMasks/ or images/ and masks/, found neither"):
        masks(str(tmp_path), "train")
    write(tmp_path)
    (tmp_path / "masks" / "3.png").unlink()
    with pytest.raises(DataError, match=r"3\.png: expected its mask as .*3_mask\.png or 3\.png, found neither"):
        masks(str(tmp_path), "train")
    Image.new("RGB", (4, 3)).save(tmp_path / "masks" / "3.png")
    with pytest.raises(DataError, match=r"3\.png: expected one number a pixel .* found shape \(3, 4, 3\)"):
        masks(str(tmp_path), "train")


def test_penn_fudan_has_the_boxes_of_its_annotations():
    root = shared("data", "penn_fudan", "PennFudanPed")
    sources = load_both(Data(f"masks:{root}", canvas=64))
    whole = sources[0].source.source  # below canvas and split
    assert [len(source) for source in sources] == [86, 21]
    assert whole.facts.classes == ("pedestrian",)
    box = re.compile(r"\(Xmin, Ymin\) - \(Xmax, Ymax\) : \((\d+), (\d+)\) - \((\d+), (\d+)\)")
    far = 0
    for row, file in enumerate(whole.files):
        text = (root / "Annotation" / f"{file.stem}.txt").read_text("latin1")
        written = np.array(box.findall(text), float) - [1, 1, 0, 0]
        found = whole.peek(row, "boxes")
        assert len(found) == len(written)
        far += np.count_nonzero(np.abs(found - written).max(axis=1) > 2)
    assert far <= 5, "some masks reach beyond the boxes that were drawn by hand"
