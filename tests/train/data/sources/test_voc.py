"""Pascal VOC's folders: a year, two years, difficult objects, and what is wrong named."""

import numpy as np
import pytest
from PIL import Image

from train.config import Data
from train.data import DataError, load_both
from train.data.sources.voc import CLASSES, voc


def write(year, lists, objects=(("dog", (1, 1, 4, 3), 0), ("cat", (2, 2, 6, 5), 1))):
    """Images of 6 x 5 pixels, all with the same objects."""
    for part in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (year / part).mkdir(parents=True, exist_ok=True)
    found = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{box[0]}</xmin>"
        f"<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box, difficult in objects
    )
    for part, names in lists.items():
        (year / "ImageSets" / "Main" / f"{part}.txt").write_text("\n".join(f"{name}  1" for name in names))
        for name in names:
            Image.new("RGB", (6, 5)).save(year / "JPEGImages" / f"{name}.jpg")
            size = "<size><width>6</width><height>5</height></size>"
            (year / "Annotations" / f"{name}.xml").write_text(f"<annotation>{size}{found}</annotation>")
    return year


def test_boxes_begin_at_zero_and_difficult_objects_are_in_the_test_alone(tmp_path):
    write(tmp_path, {"trainval": ["000001", "000002"], "test": ["000003"], "train": ["000001"]})
    train, test = load_both(Data(f"voc:{tmp_path}"))
    assert (len(train), len(test), train.facts.classes) == (2, 1, CLASSES)
    assert train[1]["boxes"].tolist() == [[0, 0, 4, 3]]
    assert test[0]["boxes"].tolist() == [[0, 0, 4, 3], [1, 1, 6, 5]]
    assert test[0]["is_difficult"].tolist() == [False, True]
    assert [CLASSES[label] for label in test[0]["classes"]] == ["dog", "cat"]
    assert train.read([0])["boxes_valid"].tolist() == [[True, False]]


def test_years_are_put_together_and_the_test_is_that_which_has_annotations(tmp_path):
    write(tmp_path / "VOC2007", {"trainval": ["1"], "test": ["2"]})
    write(tmp_path / "VOC2012", {"trainval": ["2008_1", "2008_2"], "test": ["2008_3"]})
    (tmp_path / "VOC2012" / "Annotations" / "2008_3.xml").unlink()
    train, test = load_both(Data(f"voc:{tmp_path}"))
    assert [file.stem for file in train.files] == ["1", "2008_1", "2008_2"]
    assert [file.stem for file in test.files] == ["2"]


def test_without_a_test_list_it_is_val_and_classes_of_ones_own_are_sorted(tmp_path):
    write(tmp_path, {"train": ["a"], "val": ["b"]}, [("zebra", (1, 1, 2, 2), 0), ("emu", (1, 1, 2, 2), 0)])
    train, test = load_both(Data(f"voc:{tmp_path}"))
    assert ([file.stem for file in train.files], [file.stem for file in test.files]) == (["a"], ["b"])
    assert train.facts.classes == ("emu", "zebra")


def test_images_without_objects_are_examples(tmp_path):
    write(tmp_path, {"train": ["a"], "val": ["b"]}, [])
    train, _ = load_both(Data(f"voc:{tmp_path}"))
    assert train[0]["boxes"].shape == (0, 4)
    assert train.read([0])["boxes"].shape == (1, 1, 4)


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(DataError, match="expected Annotations, ImageSets/Main, JPEGImages, or folders such as VOC2007"):
        voc(str(tmp_path), "train")
    write(tmp_path, {"train": ["a"]})
    with pytest.raises(DataError, match=r"expected image names in ImageSets/Main/val\.txt, found none"):
        voc(str(tmp_path), "train")
    write(tmp_path, {"val": ["b"]})
    annotation = tmp_path / "Annotations" / "a.xml"
    for text in ("<annotation>", "<annotation><size><width>6</width></size></annotation>"):
        annotation.write_text(text)
        with pytest.raises(DataError, match=r"a\.xml: expected VOC's size, and name and bndbox"):
            voc(str(tmp_path), "train")
    annotation.unlink()
    with pytest.raises(DataError, match=r"a\.xml: expected an annotation: No such file"):
        voc(str(tmp_path), "train")


def test_an_image_of_another_size_than_its_annotation_is_named(tmp_path):
    write(tmp_path, {"train": ["a"], "val": ["b"]})
    Image.new("RGB", (7, 5)).save(tmp_path / "JPEGImages" / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg: expected 5x6 pixels .* as its annotations say, found 5x7"):
        voc(str(tmp_path), "train")[0]


def test_a_photograph_stays_as_it_was_stored_where_its_boxes_are_of_that(tmp_path):
    write(tmp_path, {"train": ["a"], "val": ["b"]})
    turned = Image.Exif()
    turned[0x0112] = 6
    pixels = np.arange(90, dtype=np.uint8).reshape(5, 6, 3)
    Image.fromarray(pixels).save(tmp_path / "JPEGImages" / "a.jpg", exif=turned, quality=100)
    assert voc(str(tmp_path), "train")[0]["image"].shape == (5, 6, 3)
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "JPEGImages" / "b.jpg", exif=turned, quality=100)
    assert voc(str(tmp_path), "test")[0]["image"].shape == (5, 6, 3)  # of which only the upright has that size
