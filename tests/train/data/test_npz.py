"""Numpy archives, and each way in which one can be wrong."""

import numpy as np
import pytest

from train.data import DataError
from train.data.sources.npz import npz


def arrays(count=20, classes=4):
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 2, 1), np.uint8)
    return {"image": images, "label": np.arange(count) % classes}


def write(tmp_path, **contents):
    np.savez(tmp_path / "data.npz", **contents)
    return str(tmp_path / "data.npz")


def test_without_a_test_split_a_fifth_of_each_class_is_held_out(tmp_path):
    path = write(tmp_path, **arrays())
    train, test = npz(path, "train"), npz(path, "test")
    assert (len(train), len(test), train.spec["image"].shape) == (16, 4, (3, 2, 1))
    assert train.facts.classes == ("0", "1", "2", "3")
    both = np.concatenate([s.arrays()["image"][:, 0, 0, 0] for s in (train, test)])
    assert sorted(both) == list(range(20))
    assert sorted(test.arrays()["label"]) == [0, 1, 2, 3]
    assert train.arrays()["label"].dtype == np.int32


def test_arrays_named_test_are_the_test_split_and_names_come_along(tmp_path):
    whole = arrays()
    splits = {f"train_{k}": v[:15] for k, v in whole.items()} | {f"test_{k}": v[15:] for k, v in whole.items()}
    path = write(tmp_path, **splits, class_names=np.array(["a", "b", "c", "d"]))
    test = npz(path, "test")
    assert np.array_equal(test.arrays()["image"], whole["image"][15:])
    assert np.array_equal(test.arrays()["label"], whole["label"][15:])
    assert test.facts.classes == ("a", "b", "c", "d")


def test_targets_make_a_regression_source(tmp_path):
    path = write(tmp_path, image=arrays()["image"], target=np.linspace(-1, 1, 20))
    train = npz(path, "train")
    assert train.facts.classes == ()
    assert train.arrays()["target"].dtype == np.float32
    assert np.allclose(train.arrays()["target"], train.arrays()["image"][:, 0, 0, 0] / 9.5 - 1)


def changed(**changes):
    return {**arrays(), **changes}


FLOATS = np.zeros((20, 3, 2, 1), np.float32)
WRONG = {
    "float images": (changed(image=FLOATS), r"expected image as uint8 .*, found float32 \(20, 3, 2, 1\)"),
    "no channel axis": (
        changed(image=arrays()["image"][..., 0]),
        r"found uint8 \(20, 3, 2\); .* image\[\.\.\., None\]",
    ),
    "no image": ({"x": FLOATS}, "expected an array 'image', found: x"),
    "an image twice": (
        changed(train_image=arrays()["image"]),
        "expected each array once, found image also after 'train_'",
    ),
    "no label": ({"image": arrays()["image"]}, "expected label or target beside image, found neither"),
    "float labels": (changed(label=np.zeros(20)), r"expected label as 20 integers, found float64 \(20,\)"),
    "too few labels": (changed(label=np.zeros(19, int)), r"expected label as 20 integers, found int64 \(19,\)"),
    "negative label": (changed(label=np.arange(20) - 3), r"expected label in 0\.\.16, found -3 in row 0"),
    "label beyond the names": (
        changed(class_names=np.array(["a", "b", "c"])),
        r"expected label in 0\.\.2, found 3 in row",
    ),
    "huge label": (changed(label=np.full(20, 10**9)), "expected labels that count classes from 0, found 1000000000"),
    "test label out of range": (
        changed(test_image=arrays()["image"][:1], test_label=np.array([4])),
        r"expected test_label in 0\.\.3, found 4 in row 0",
    ),
    "test images of another shape": (
        changed(test_image=np.zeros((1, 5, 5, 1), np.uint8), test_label=np.array([0])),
        r"expected images of one shape, found \(3, 2, 1\) and test \(5, 5, 1\)",
    ),
    "test without labels": (
        changed(test_image=arrays()["image"], test_target=np.zeros(20)),
        "expected the same arrays in both splits",
    ),
    "infinite target": (
        {"image": arrays()["image"], "target": np.where(np.arange(20) == 7, np.inf, 0)},
        r"expected finite numbers in target, found inf in row 7 \(1 rows\)",
    ),
    "numeric names": (changed(class_names=np.arange(4)), "expected class_names as a list of text, found int64"),
    "pickled objects": (changed(class_names=np.array([{}])), "of plain arrays: .*allow_pickle=False"),
}


@pytest.mark.parametrize(("contents", "message"), WRONG.values(), ids=WRONG.keys())
def test_the_error_names_the_array_and_what_was_expected(tmp_path, contents, message):
    with pytest.raises(DataError, match=rf"data\.npz: .*{message}"):
        npz(write(tmp_path, **contents), "train")


def test_a_missing_or_truncated_archive_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected a numpy archive \(\.npz\), found nothing"):
        npz(str(tmp_path / "absent.npz"), "train")
    whole = (tmp_path / "data.npz", write(tmp_path, **arrays()))[0].read_bytes()
    for size in (0, 50, len(whole) // 2, len(whole) - 30):
        (tmp_path / "data.npz").write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"expected a numpy archive \(\.npz\) of plain arrays"):
            npz(str(tmp_path / "data.npz"), "train")


def test_a_lone_npy_array_is_refused(tmp_path):
    with (tmp_path / "data.npz").open("wb") as file:
        np.save(file, arrays()["image"])
    with pytest.raises(DataError, match=r"expected a numpy archive \(\.npz\) of plain arrays"):
        npz(str(tmp_path / "data.npz"), "train")
