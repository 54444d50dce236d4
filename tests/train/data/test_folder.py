"""Folders of images, and each way in which one can be wrong."""

import pickle

import numpy as np
import pytest
from PIL import Image

from train.data import DataError
from train.data.sources.folder import folder


def make(root, classes, count=5, size=(4, 6), mode="RGB"):
    """Writes `count` images to each class folder; image i of class c is filled with the value 10 c + i."""
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = np.full((*size, 3), 10 * c + i, np.uint8)
            Image.fromarray(pixels).convert(mode).save(root / name / f"{i}.png")
    return root


def test_images_are_labelled_by_their_folders_and_split_a_fifth_apart(tmp_path):
    make(tmp_path, ["dog", "cat"])
    train, test = folder(str(tmp_path), "train"), folder(str(tmp_path), "test")
    assert train.facts.classes == ("cat", "dog")
    assert train.spec["image"].shape == (4, 6, 3)
    assert (len(train), len(test)) == (8, 2)
    arrays = {split: folder(str(tmp_path), split).arrays() for split in ("train", "test")}
    values = np.concatenate([a["image"][:, 0, 0, 0] for a in arrays.values()])
    assert sorted(values) == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
    for a in arrays.values():
        assert np.array_equal(a["label"], a["image"][:, 0, 0, 0] < 10)  # dog was written first, cat sorts first
        assert a["label"].dtype == np.int32
    assert list(arrays["test"]["label"]) == [0, 1]


def test_folders_named_train_and_test_are_the_splits(tmp_path):
    make(tmp_path / "train", ["a", "b"], count=4, mode="L")
    make(tmp_path / "test", ["a", "b"], count=2, mode="L")
    train, test = folder(str(tmp_path), "train"), folder(str(tmp_path), "test")
    assert (len(train), len(test), train.spec["image"].shape) == (8, 4, (4, 6, 1))
    assert np.array_equal(test.arrays()["image"][:, 0, 0, 0], [0, 1, 10, 11])
    assert test.peek(3, "label") == 1
    assert np.array_equal(pickle.loads(pickle.dumps(test))[2]["image"], test[2]["image"])


def test_grey_images_become_colour_where_either_split_has_colour(tmp_path):
    make(tmp_path / "train", ["a", "b"], mode="L")
    make(tmp_path / "test", ["a", "b"], mode="RGB")
    assert folder(str(tmp_path), "train")[3]["image"].tolist() == [[[3, 3, 3]] * 6] * 4


def test_alpha_is_dropped_and_a_palette_resolved(tmp_path):
    make(tmp_path, ["a"], mode="P")
    make(tmp_path, ["b"], mode="RGBA")
    assert folder(str(tmp_path), "train").spec["image"].shape == (4, 6, 3)


def test_images_in_folders_of_a_class_folder_are_of_that_class(tmp_path):
    make(tmp_path, ["a", "b"])
    make(tmp_path / "a" / "more", ["x.png", "y/z"], count=10)
    make(tmp_path / "a", [".hidden"])
    (tmp_path / "b" / "link").symlink_to(tmp_path / "a" / "more" / "y")
    splits = [folder(str(tmp_path), split).arrays() for split in ("train", "test")]
    assert sum(np.bincount(arrays["label"]) for arrays in splits).tolist() == [25, 15]
    train = folder(str(tmp_path), "train").source
    assert train.files == sorted(train.files, key=lambda file: file.parts)
    for part in ("train", "val"):
        make(tmp_path / "split" / part / "a", ["train", "val"], count=3)
        make(tmp_path / "split" / part, ["b"], count=1)
    lengths = {split: len(folder(str(tmp_path / "split"), split)) for split in ("train", "test")}
    assert lengths == {"train": 7, "test": 7}


@pytest.mark.parametrize("any_size", [False, True])
def test_photographs_are_turned_upright(tmp_path, any_size):
    make(tmp_path, ["a", "b"], size=(8, 16))
    pixels = np.zeros((16, 8, 3), np.uint8)
    pixels[:8] = 200  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a" / "0.jpg", exif=exif)
    source = folder(str(tmp_path), "train", any_size).source
    (row,) = (row for row, file in enumerate(source.files) if file.suffix == ".jpg")
    image = source[row]["image"]
    assert image.shape == (8, 16, 3)
    assert image[:, 8:].min() > 150 > 50 > image[:, :8].max()


def damage(root):
    file = root / "a" / "2.png"
    noise = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[:80])
    return r"a/2\.png: expected a readable image"


def write_text(root):
    (root / "a" / "2.png").write_text("not an image")
    return r"a/2\.png: expected a readable image"


def resize(root):
    Image.new("RGB", (7, 4)).save(root / "b" / "1.png")
    return r"b/1\.png: expected 4x6 pixels \(height x width\) as .*a/0\.png has, found 4x7; .* cut .* --data\.crop"


def deepen(root):
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(root / "b" / "1.png")
    return r"b/1\.png: expected 8 bits a channel, grey or colour, found Pillow mode I;16"


def lead_back(root):
    (root / "a" / "back").symlink_to(root / "a")
    return r"a/back: expected a folder of images, found a link back to .*/a"


def animate(root):
    Image.new("RGB", (6, 4)).save(root / "b" / "1.gif")
    return r"b/1\.gif: expected images \(\.png .*\), found \.gif; convert or remove it"


def empty(root):
    (root / "c").mkdir()
    return r"/c: expected images \(\.png .*\) of class 'c', found none"


def stray(root):
    Image.new("RGB", (6, 4)).save(root / "lost.png")
    return r"lost\.png: expected every image in a class folder"


def half_split(root):
    make(root / "train", ["a", "b"])
    return r"expected both train/ and test/ or neither, found no test/"


def wrong_label(root):
    make(root / "train", ["a", "b"])
    make(root / "test", ["a", "b", "horse"])
    return r"test/horse: expected the same classes in train/, found none so named"


def read_everything(path):
    for split in ("train", "test"):
        folder(path, split).arrays()


@pytest.mark.parametrize(
    "spoil",
    [damage, write_text, resize, deepen, lead_back, animate, empty, stray, half_split, wrong_label],
    ids=lambda f: f.__name__,
)
def test_the_error_names_the_file_and_what_was_expected(tmp_path, spoil):
    message = spoil(make(tmp_path, ["a", "b"]))
    with pytest.raises(DataError, match=message):
        read_everything(str(tmp_path))


def test_an_image_of_monstrous_size_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)  # of 24; from twice as many on Pillow refuses
    with pytest.raises(DataError, match=r"0\.png: expected a readable image: .*decompression bomb"):
        folder(str(make(tmp_path, ["a", "b"])), "train")


def test_a_folder_that_is_missing_or_empty_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected a folder of class folders, found nothing"):
        folder(str(tmp_path / "absent"), "train")
    with pytest.raises(DataError, match="expected class folders, found none"):
        folder(str(tmp_path), "train")
