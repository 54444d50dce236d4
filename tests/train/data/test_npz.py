"""Numpy archives, and each way in which one can be wrong."""

import zipfile

import numpy as np
import pytest

from train.config.tasks.tagging import Tagging as Settings
from train.data import DataError
from train.data.fields import Facts, Field, Kind, aligned
from train.data.sources.npz import npz
from train.tasks.tagging.task import Tagging


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


def everything(count=20, objects=3):
    """An array of every known name."""
    random = np.random.default_rng(0)
    valid = random.integers(0, 2, (count, objects)).astype(bool)
    return {
        "image": arrays(count)["image"],
        "label_map": random.integers(-1, 4, (count, 3, 2)),
        "map": random.normal(size=(count, 3, 2, 1)),
        "flow": random.normal(size=(count, 3, 2, 2)),
        "normals": random.normal(size=(count, 3, 2, 3)),
        "boxes": random.uniform(0, 2, (count, objects, 4)),
        "boxes_valid": valid,
        "classes": random.integers(0, 4, (count, objects)),
        "masks": random.integers(0, 2, (count, objects, 3, 2)).astype(bool),
        "keypoints": random.uniform(0, 2, (count, objects, 5, 3)),
        "unknown": np.zeros(7),
    }


def test_arrays_of_known_names_come_along_as_what_they_are(tmp_path):
    contents = everything()
    train = npz(write(tmp_path, **contents, class_names=np.array(["a", "b", "c", "d"])), "train")
    kinds = {name: field.kind.value for name, field in train.spec.items()}
    named = {name: name for name in ("image", "label_map", "map", "flow", "normals", "boxes", "masks", "keypoints")}
    assert kinds == {**named, "classes": "label"}
    assert train.facts.classes == ("a", "b", "c", "d")
    assert aligned(train.spec) == [("boxes", "classes", "masks", "keypoints")]
    assert (train.spec["keypoints"].shape, train.spec["keypoints"].most) == ((None, 5, 3), (3,))
    found, test = train.arrays(), npz(str(tmp_path / "data.npz"), "test").arrays()
    assert len(found["image"]) == 16
    assert found["boxes"].dtype == np.float32
    rows = [*found["image"][:, 0, 0, 0], *test["image"][:, 0, 0, 0]]
    valid = contents["boxes_valid"][rows]
    for name, array in contents.items():
        if name != "unknown":
            both = np.concatenate([found[name], test[name]])
            kept = valid.reshape(*valid.shape, *[1] * (array.ndim - 2)) if name in aligned(train.spec)[0] else True
            np.testing.assert_allclose(both, np.where(kept, array[rows], 0), rtol=1e-6, err_msg=name)
    one = train[4]
    assert len(one["boxes"]) == len(one["masks"]) == found["boxes_valid"][4].sum()


def test_columns_may_have_classes_and_some_of_them_none(tmp_path):
    tags = np.random.default_rng(0).integers(-1, 2, (20, 2))
    path = write(tmp_path, image=arrays()["image"], tags=tags, class_names=np.array(["digit", "gap"]))
    source = npz(path, "train")
    assert source.spec["tags"] == Field(Kind.COLUMNS, (2,), "int32")
    assert Tagging.fit(Settings(), source) == Tagging(("digit", "gap"))
    Tagging(("digit", "gap")).check(source.spec, source.facts)
    for wrong, message in (
        (tags + 1, "expected tags in 0..1 or -1 .ignore., found 2"),
        (tags[:, :1], "expected tags as"),
    ):
        with pytest.raises(DataError, match=message):
            npz(write(tmp_path, image=arrays()["image"], tags=wrong, class_names=np.array(["a", "b"])), "train")


def test_fields_may_be_there_without_labels_and_targets(tmp_path):
    path = write(tmp_path, image=arrays()["image"], label_map=np.zeros((20, 3, 2), np.uint8))
    assert npz(path, "test").spec.keys() == {"image", "label_map"}


def test_an_archive_says_which_labels_mean_nothing_and_background(tmp_path):
    images, names = arrays()["image"], np.array(["cat", "dog"])
    maps = np.resize(np.array([0, 1, 2, 255], np.uint8), (20, 3, 2))
    contents = {"image": images, "label_map": maps, "class_names": names}
    path = write(tmp_path, **contents, ignore=np.uint8(255), background=2)
    for split in ("train", "test"):
        source = npz(path, split)
        assert source.facts == Facts(("cat", "dog"), ignore=255, background=2)
        found = source.arrays()
        assert found["label_map"].dtype == np.int32
        assert np.array_equal(found["label_map"], maps[found["image"][:, 0, 0, 0]])
    assert npz(write(tmp_path, **contents | {"label_map": maps % 2}), "train").facts == Facts(("cat", "dog"))


def test_classes_of_objects_that_are_not_real_may_be_any(tmp_path):
    classes, valid = np.array([[1, 0, -1]] * 20), np.array([[True, True, False]] * 20)
    contents = {"image": arrays()["image"], "boxes": np.zeros((20, 3, 4)), "boxes_valid": valid, "classes": classes}
    train = npz(write(tmp_path, **contents, class_names=np.array(["a", "b"])), "train").arrays()
    assert train["classes"].dtype == np.int32
    assert np.array_equal(train["classes"], [[1, 0, 0]] * 16)


def changed(**changes):
    return {**arrays(), **changes}


def marked(value, row=17, dtype=np.int64, **more):
    """Label maps of which one pixel has another value."""
    maps = np.zeros((20, 3, 2), dtype)
    maps[row, 1, 1] = value
    return {"image": arrays()["image"], "label_map": maps, "class_names": np.array(["a", "b", "c"]), **more}


def objects(value, row=17, **more):
    """Two objects an image, of which one has another class."""
    classes = np.zeros((20, 2), int)
    classes[row, 1] = value
    return changed(boxes=np.zeros((20, 2, 4)), classes=classes, **more)


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
    "negative label": (changed(label=16 - np.arange(20)), r"expected label in 0\.\.16, found -1 in row 17"),
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
    "a label map of another size": (
        changed(label_map=np.zeros((20, 2, 3), int)),
        r"expected label_map as integers \(20, 3, 2\), found int64 \(20, 2, 3\)",
    ),
    "a label map of numbers": (
        changed(label_map=np.zeros((20, 3, 2))),
        r"expected label_map as integers \(20, 3, 2\), found float64 \(20, 3, 2\)",
    ),
    "flow of one number": (
        changed(flow=np.zeros((20, 3, 2, 1))),
        r"expected flow as numbers \(20, 3, 2, 2\), found float64 \(20, 3, 2, 1\)",
    ),
    "boxes of too few images": (
        changed(boxes=np.zeros((19, 4, 4))),
        r"expected boxes as numbers \(20, n, 4\), found float64 \(19, 4, 4\)",
    ),
    "boxes without end": (changed(boxes=np.full((20, 1, 4), np.inf)), "expected finite numbers in boxes"),
    "more classes than boxes": (
        changed(boxes=np.zeros((20, 2, 4)), classes=np.zeros((20, 3), int)),
        r"expected classes as integers \(20, 2\), found int64 \(20, 3\)",
    ),
    "boxes that may be real": (
        changed(boxes=np.zeros((20, 2, 4)), boxes_valid=np.zeros((20, 2))),
        r"expected boxes_valid as bools \(20, 2\), found float64 \(20, 2\)",
    ),
    "a test with more boxes": (
        changed(
            boxes=np.zeros((20, 2, 4)),
            test_image=arrays()["image"],
            test_label=arrays()["label"],
            test_boxes=np.zeros((20, 3, 4)),
        ),
        r"expected boxes of one shape, found \(2, 4\) and test \(3, 4\)",
    ),
    "a label map of VOC that does not say what 255 is": (
        marked(255),
        r"expected label_map in 0\.\.2 or -1 \(ignore\), found 255 in row 17",
    ),
    "a label map with another ignore": (
        marked(-1, ignore=255, background=3),
        r"expected label_map in 0\.\.2 or 255 \(ignore\) or 3 \(background\), found -1 in row 17",
    ),
    "a label map beyond int32, which would be -1 there": (
        marked(2**32 - 1, dtype=np.uint32),
        r"expected label_map in 0\.\.2 .*, found 4294967295 in row 17",
    ),
    "a test label map out of range": (
        marked(0, test_image=arrays()["image"], test_label_map=marked(3, row=4)["label_map"]),
        r"expected test_label_map in 0\.\.2 .*, found 3 in row 4",
    ),
    "an object beyond the names": (
        objects(4, class_names=np.array(["a", "b", "c", "d"])),
        r"expected classes in 0\.\.3, found 4 in row 17",
    ),
    "an object beyond the labels": (objects(4), r"expected classes in 0\.\.3, found 4 in row 17"),
    "an object of no class": (objects(-1, row=3), r"expected classes in 0\.\.3, found -1 in row 3"),
    "several labels to ignore": (marked(0, ignore=[0, 255]), r"expected ignore as one integer, found int64 \(2,\)"),
    "a number to ignore": (marked(0, ignore=255.0), r"expected ignore as one integer, found float64 \(\)"),
    "a label to ignore beyond int32": (marked(0, ignore=2**31), r"expected ignore in .*, found 2147483648"),
    "a background beyond the names": (marked(0, background=4), r"expected background in 0\.\.3, found 4"),
    "a negative background": (marked(0, background=-1), r"expected background in 0\.\.3, found -1"),
    "numeric names": (changed(class_names=np.arange(4)), "expected class_names as a list of text, found int64"),
    "pickled objects": (changed(class_names=np.array([{}])), "of plain arrays: .*allow_pickle=False"),
}


@pytest.mark.parametrize(("contents", "message"), WRONG.values(), ids=WRONG.keys())
def test_the_error_names_the_array_and_what_was_expected(tmp_path, contents, message):
    with pytest.raises(DataError, match=rf"data\.npz:? .*{message}"):
        npz(write(tmp_path, **contents), "train")


def test_a_missing_or_truncated_archive_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected a numpy archive \(\.npz\), found nothing"):
        npz(str(tmp_path / "absent.npz"), "train")
    whole = (tmp_path / "data.npz", write(tmp_path, **arrays()))[0].read_bytes()
    for size in (0, 50, len(whole) // 2, len(whole) - 30):
        (tmp_path / "data.npz").write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"data\.npz is not a complete npz file of plain arrays"):
            npz(str(tmp_path / "data.npz"), "train")


def test_a_flipped_byte_and_what_is_no_array_are_refused(tmp_path):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, **arrays())
    whole = bytearray(path.read_bytes())
    whole[60] ^= 0xFF  # among the first array's compressed bytes
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"data\.npz is not a complete npz file of plain arrays: Error -3 "):
        npz(str(path), "train")
    np.savez(path, **arrays())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("label_map", "text")
    with pytest.raises(DataError, match=r"data\.npz is not .*: label_map is no array"):
        npz(str(path), "train")


def test_a_lone_npy_array_is_refused(tmp_path):
    with (tmp_path / "data.npz").open("wb") as file:
        np.save(file, arrays()["image"])
    with pytest.raises(DataError, match=r"data\.npz is not a complete npz file of plain arrays"):
        npz(str(tmp_path / "data.npz"), "train")


def test_clips_stand_in_place_of_images(tmp_path):
    random = np.random.default_rng(0)
    clip, target = random.integers(0, 256, (10, 4, 6, 8, 3), np.uint8), np.arange(10) / 4
    np.savez(tmp_path / "clips.npz", clip=clip, target=target)
    train, test = (npz(str(tmp_path / "clips.npz"), split) for split in ("train", "test"))
    assert (len(train), len(test)) == (8, 2)
    assert train.spec["clip"] == Field(Kind.CLIP, (4, 6, 8, 3), "uint8")
    for source in (train, test):
        for row in range(len(source)):
            np.testing.assert_array_equal(source[row]["clip"], clip[int(4 * source[row]["target"])])
    np.savez(tmp_path / "flat.npz", clip=clip[:, 0], target=target)
    with pytest.raises(DataError, match=r"expected clip as uint8 \(examples, time, height, width, channels\)"):
        npz(str(tmp_path / "flat.npz"), "train")
