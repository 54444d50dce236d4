"""TFDS data sets: tiny ones written here, and the real ones of the shared data folder."""

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.shared import shared
from train.config import Data
from train.data import DataError, GrainPipeline, load, prepare
from train.data.fields import aligned

ROOT = Path(__file__).resolve().parents[3]


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array.squeeze()).save(buffer, "png")
    return buffer.getvalue()


def write(
    data_dir,
    name="tiny",
    version="1.0.0",
    images=None,
    labels=(0, 1, 2, 1),
    shape=(4, 5, 1),
    class_names=("red", "green", "blue"),
    **changes,
):
    """Writes a data set as TFDS does: two json files and one ArrayRecord of tf.train.Example per split."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets.proto import tf_example_generated_pb2 as proto

    folder = data_dir / name / version
    folder.mkdir(parents=True)
    if images is None:
        images = [png(np.full(shape, 10 * i, np.uint8)) for i in range(len(labels))]
    for split in ("train", "test"):
        file = folder / f"{name}-{split}.array_record-00000-of-00001"
        writer = ArrayRecordWriter(str(file), "group_size:1")
        for image, label in zip(images, labels, strict=True):
            example = proto.Example()
            example.features.feature["image"].bytes_list.value.append(image)
            example.features.feature["label"].int64_list.value.append(label)
            writer.write(example.SerializeToString())
        writer.close()
    feature = "tensorflow_datasets.core.features."
    features = {
        "image": {
            "pythonClassName": feature + "image_feature.Image",
            "image": {"dtype": "uint8", "shape": {"dimensions": [str(side or -1) for side in shape]}},
        },
        "label": {
            "pythonClassName": feature + "class_label_feature.ClassLabel",
            "classLabel": {"numClasses": str(len(class_names))},
        },
    }
    dropped = changes.pop("without", None)
    features = {key: value for key, value in features.items() if key != dropped}
    features = {
        "pythonClassName": feature + "features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }
    info = {
        "name": name,
        "version": version,
        "fileFormat": "array_record",
        "splits": [
            {
                "name": split,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "numBytes": "1",
                "shardLengths": [str(len(images))],
            }
            for split in changes.pop("splits", ("train", "test"))
        ],
        **changes,
    }
    (folder / "features.json").write_text(json.dumps(features))
    (folder / "label.labels.txt").write_text("".join(f"{name}\n" for name in class_names))
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return str(data_dir)


def opened(name, split, data_dir):
    return load(Data(name, data_dir), split)


def test_examples_come_as_they_were_written(tmp_path):
    source = opened("tfds:tiny", "train", write(tmp_path))
    assert (len(source), source.spec["image"].shape) == (4, (4, 5, 1))
    assert source.facts.classes == ("red", "green", "blue")
    arrays = source.arrays()
    assert arrays["image"].shape == (4, 4, 5, 1)
    assert np.array_equal(arrays["image"][:, 3, 4, 0], [0, 10, 20, 30])
    assert np.array_equal(arrays["label"], [0, 1, 2, 1])
    assert (arrays["image"].dtype, arrays["label"].dtype) == (np.uint8, np.int32)
    assert np.array_equal(source[2]["image"], arrays["image"][2])
    assert source.peek(2, "label") == source[2]["label"] == 2


def test_a_source_survives_pickling(tmp_path):
    source = opened("tfds:tiny", "test", write(tmp_path))
    copy = pickle.loads(pickle.dumps(source))
    assert np.array_equal(copy.arrays()["image"], source.arrays()["image"])


def test_the_newest_version_is_read_unless_another_is_named(tmp_path):
    for version, labels in (("1.9.0", (0,)), ("1.10.0", (0, 0))):
        write(tmp_path, version=version, labels=labels)
    assert len(opened("tfds:tiny", "train", str(tmp_path))) == 2
    assert len(opened("tfds:tiny:1.9.0", "train", str(tmp_path))) == 1
    assert len(opened("tfds:tiny/1.9.0", "train", str(tmp_path))) == 1


def test_the_validation_split_stands_in_for_a_missing_test_split(tmp_path):
    folder = Path(write(tmp_path, splits=("train", "validation"))) / "tiny" / "1.0.0"
    (folder / "tiny-test.array_record-00000-of-00001").rename(folder / "tiny-validation.array_record-00000-of-00001")
    assert len(opened("tfds:tiny", "test", str(tmp_path))) == 4


def test_the_data_folder_is_tfdss_own_where_none_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", write(tmp_path))
    assert len(load(Data("tfds:tiny"), "train")) == 4


SIZE = (6, 8)
BOXES = ([[0, 0, 0.5, 0.25]], [[0.5, 0.25, 1, 1], [0, 0, 1, 0.5]], [])
"""Of three images: top, left, bottom, right, as shares of the image."""


def write_objects(data_dir, size=SIZE):
    """A data set with features of many kinds, as TFDS writes it."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets import features as kinds
    from tensorflow_datasets.proto import tf_example_generated_pb2 as proto

    folder = data_dir / "objects" / "1.0.0"
    folder.mkdir(parents=True)
    features = kinds.FeaturesDict(
        {
            "image": kinds.Image(shape=(*size, 3)),
            "other": kinds.Image(shape=(*size, 1)),
            "depth": kinds.Image(shape=(*size, 1), dtype=np.uint16),
            "segments": kinds.LabeledImage(labels=["sky", "sea"], shape=(*size, 1)),
            "filename": kinds.Text(),
            "index": kinds.Scalar(np.int64),
            "width": kinds.Scalar(np.float32),
            "number": kinds.Scalar(np.int64),
            "region": kinds.BBoxFeature(),
            "words": kinds.Sequence(kinds.Scalar(np.int64)),
            "objects": kinds.Sequence(
                {
                    "bbox": kinds.BBoxFeature(),
                    "label": kinds.ClassLabel(names=["cat", "dog"]),
                    "area": kinds.Scalar(np.float32),
                    "crowd": kinds.Scalar(np.bool_),
                }
            ),
        }
    )
    features.save_config(folder)
    for split in ("train", "test"):
        writer = ArrayRecordWriter(str(folder / f"objects-{split}.array_record-00000-of-00001"), "group_size:1")
        for row, boxes in enumerate(BOXES):
            example = proto.Example()
            values = example.features.feature
            shown = (6, 8) if None in size else size
            values["image"].bytes_list.value.append(png(np.full((*shown, 3), 10 * row, np.uint8)))
            values["other"].bytes_list.value.append(png(np.full((*shown, 1), 20 * row, np.uint8)))
            values["depth"].bytes_list.value.append(b"nobody decodes this")
            values["segments"].bytes_list.value.append(png(np.full((*shown, 1), row % 2, np.uint8)))
            values["filename"].bytes_list.value.append(b"a.png")
            values["width"].float_list.value.append(row / 2)
            values["region"].float_list.value.extend([0, 0.5, 1, 1])
            values["words"].int64_list.value.extend(range(row))
            for name in ("index", "number"):
                values[name].int64_list.value.append(row)
            values["objects/bbox"].float_list.value.extend(np.ravel(boxes))
            values["objects/label"].int64_list.value.extend([1] * len(boxes))
            values["objects/area"].float_list.value.extend([0.5] * len(boxes))
            values["objects/crowd"].int64_list.value.extend([0] * len(boxes))
            writer.write(example.SerializeToString())
        writer.close()
    split = {
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        "numBytes": "1",
        "shardLengths": ["3"],
    }
    info = {"name": "objects", "version": "1.0.0", "fileFormat": "array_record"}
    info["splits"] = [{"name": name, **split} for name in ("train", "test")]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return str(data_dir)


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


PIXELS = np.random.default_rng(0).integers(0, 256, (4, 5, 1), dtype=np.uint8)
GOOD = png(PIXELS)
WRONG = {
    "damaged image": (
        {"images": [GOOD, GOOD[:60]], "labels": (0, 1)},
        "tfds:tiny, train row 1: expected a readable image",
    ),
    "another size": (
        {"images": [GOOD, png(PIXELS[:3])], "labels": (0, 1)},
        r"train row 1: expected uint8 \(4, 5, 1\), found uint8 \(3, 5, 1\)",
    ),
    "label out of range": ({"labels": (0, -1)}, r"train row 1: expected a label in 0\.\.2, found -1"),
    "no image": ({"without": "image"}, "expected features image and label, found: label"),
    "no label": ({"without": "label"}, "expected features image and label, found: image"),
    "mixed sizes": ({"shape": (None, None, 3), "images": [GOOD] * 4}, r"of one size, found shape \(None, None, 3\)"),
    "tfrecord": ({"fileFormat": "tfrecord"}, "expected file format array_record, .* found tfrecord; prepare it again"),
    "no such split": ({"splits": ("test",)}, "expected a split train, found: test"),
}


def read_everything(data_dir):
    opened("tfds:tiny", "train", data_dir).arrays()


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG.keys())
def test_the_error_names_the_row_or_feature_and_what_was_expected(tmp_path, changes, message):
    data_dir = write(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        read_everything(data_dir)


def test_a_set_that_is_not_prepared_says_how_to_prepare_it(tmp_path):
    with pytest.raises(DataError, match=f"run: python -m train prepare mnist --data-dir {tmp_path}"):
        opened("tfds:mnist", "train", str(tmp_path))
    write(tmp_path / "corrupted", name="blur", version="1.0.0")
    with pytest.raises(DataError, match="expected one of its configurations: tfds:corrupted/blur"):
        opened("tfds:corrupted", "train", str(tmp_path))


def test_an_unknown_set_brings_the_nearest(tmp_path):
    for attempt in (lambda: opened("tfds:cifr10", "train", str(tmp_path)), lambda: prepare("cifr10", tmp_path)):
        with pytest.raises(KeyError, match="no TFDS data set 'cifr10'; nearest: cifar10"):
            attempt()


def test_preparing_without_tensorflow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as if it were not installed
    with pytest.raises(DataError, match=r'pip install -e "\.\[prepare\]"'):
        prepare("mnist", tmp_path)


SCRIPT = """
import sys
from train.config import Data
from train.data import evaluation_batches, load
source = load(Data("tfds:tiny", sys.argv[1], limit=3), "train")
assert len(source.arrays()["label"]) == 3
assert len(list(evaluation_batches(source, 2))) == 2
assert "tensorflow" not in sys.modules
"""


def test_reading_never_imports_tensorflow_nor_warns(tmp_path):
    trap = tmp_path / "trap" / "tensorflow"
    trap.mkdir(parents=True)
    (trap / "__init__.py").write_text("raise AssertionError('tensorflow was imported')")
    path = os.pathsep.join([str(ROOT), str(trap.parent)])
    environment = {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "error", "-c", SCRIPT, write(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_cifar10_and_mnist_are_read_as_published():
    data_dir = str(shared("data", "tfds"))
    cifar, mnist = opened("tfds:cifar10", "train", data_dir), opened("tfds:mnist", "test", data_dir)
    assert (len(cifar), cifar.spec["image"].shape, cifar.facts.classes[3]) == (50_000, (32, 32, 3), "cat")
    assert (len(mnist), mnist.spec["image"].shape, mnist.facts.classes) == (10_000, (28, 28, 1), tuple("0123456789"))
    assert np.array_equal(mnist.read(range(3))["label"], [mnist.peek(row, "label") for row in range(3)])
    pipeline = GrainPipeline(cifar, 16, seed=0, workers=1)
    batch = pipeline.next()
    pipeline.close()
    rows = pipeline.indices(0)
    assert np.array_equal(batch["image"], cifar.read(rows)["image"])
    assert batch["image"].std() > 30


@pytest.mark.slow
def test_all_of_cifar10_has_the_published_mean_and_deviation():
    arrays = opened("tfds:cifar10", "train", str(shared("data", "tfds"))).arrays()
    assert np.array_equal(np.bincount(arrays["label"]), [5000] * 10)
    pixels = arrays["image"].reshape(-1, 3) / np.float32(255)
    assert np.allclose(pixels.mean(0, dtype=float), (0.4914, 0.4822, 0.4465), atol=5e-5)
    assert np.allclose(pixels.std(0, dtype=float), (0.2470, 0.2435, 0.2616), atol=5e-5)


@pytest.mark.slow
def test_prepare_builds_mnist_from_its_original_archives(tmp_path):
    pytest.importorskip("tensorflow", reason="needs the prepare extra")
    prepare("mnist", tmp_path, shared("data", "mnist"))
    ours = opened("tfds:mnist", "test", str(tmp_path)).arrays()
    theirs = opened("tfds:mnist", "test", str(shared("data", "tfds"))).arrays()
    assert np.array_equal(np.sort(ours["label"]), np.sort(theirs["label"]))
    assert np.array_equal(ours["image"], theirs["image"])
