"""Label maps as files: Pillow, and the source of data that reads such files, give back the labels."""

import io

import numpy as np
import pytest
from PIL import Image

from train.data.sources.masks import read_numbers
from train.tasks.segmentation.label_png import label_png

random = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("classes", "ignore", "none"), [(3, -1, 255), (12, 11, 255), (255, 255, 255), (300, -1, 65535)]
)
def test_labels_are_read_back(classes, ignore, none, tmp_path):
    labels = random.integers(0, classes, (5, 7)).astype(np.int32)
    labels[0, 0], labels[1, 1] = ignore, max(label for label in range(classes) if label != ignore)
    file = tmp_path / "a.labels.png"
    file.write_bytes(label_png(labels, classes, ignore=ignore))
    expected = np.where(labels == ignore, none, labels)
    with Image.open(file) as picture:
        np.testing.assert_array_equal(np.asarray(picture), expected)
    np.testing.assert_array_equal(read_numbers(file), expected)


def test_viewers_show_the_colours_of_classes_and_the_background_black():
    with Image.open(io.BytesIO(label_png(np.array([[0, 1, 2, -1]]), 3, background=1))) as picture:
        assert picture.mode == "P"
        shown = np.asarray(picture.convert("RGB"))[0].tolist()
    assert shown == [[0x00, 0x72, 0xB2], [0, 0, 0], [0x00, 0x9E, 0x73], [128, 128, 128]]
