"""TFDS data sets: tiny ones written here, and the real ones of the shared data folder."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.shared import shared
from tests.train.data.tfds_files import opened, png, write
from train.config import Data
from train.data import DataError, GrainPipeline, load, prepare

ROOT = Path(__file__).resolve().parents[3]


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
