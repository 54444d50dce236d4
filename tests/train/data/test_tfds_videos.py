"""Videos of TFDS data sets: their frames as they are stored, without TensorFlow."""

import json
import sys

import numpy as np
import pytest

from tests.train.data.tfds_files import png
from train.config import Data
from train.data import DataError, load

FEATURE = "tensorflow_datasets.core.features."


@pytest.fixture
def folder(tmp_path):
    """Two videos of five and of seven frames, as TFDS writes UCF101."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets.proto import tf_example_generated_pb2 as proto

    place = tmp_path / "films" / "1.0.0"
    place.mkdir(parents=True)
    for split in ("train", "test"):
        writer = ArrayRecordWriter(str(place / f"films-{split}.array_record-00000-of-00001"), "group_size:1")
        for row, count in enumerate((5, 7)):
            example = proto.Example()
            values = example.features.feature
            values["video"].bytes_list.value.extend(
                png(np.full((8, 6, 3), 10 * time + row, np.uint8)) for time in range(count)
            )
            values["label"].int64_list.value.append(row)
            writer.write(example.SerializeToString())
        writer.close()
    shape = {"dimensions": ["-1", "8", "6", "3"]}
    features = {
        "video": {
            "pythonClassName": FEATURE + "video_feature.Video",
            "video": {"shape": shape, "dtype": "uint8", "encodingFormat": "png"},
        },
        "label": {
            "pythonClassName": FEATURE + "class_label_feature.ClassLabel",
            "classLabel": {"numClasses": "2"},
        },
    }
    declared = {"pythonClassName": FEATURE + "features_dict.FeaturesDict", "featuresDict": {"features": features}}
    (place / "features.json").write_text(json.dumps(declared))
    (place / "label.labels.txt").write_text("jump\nrun\n")
    splits = [
        {
            "name": split,
            "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            "numBytes": "1",
            "shardLengths": ["2"],
        }
        for split in ("train", "test")
    ]
    info = {"name": "films", "version": "1.0.0", "fileFormat": "array_record", "splits": splits}
    (place / "dataset_info.json").write_text(json.dumps(info))
    return str(tmp_path)


def test_clips_of_a_prepared_set_are_its_stored_frames(folder):
    source = load(Data("tfds:films", folder, frames=3, clips=2), "test")
    assert source.facts.classes == ("jump", "run")
    assert source.spec["clip"].shape == (6, 8, 6, 3)
    example = source[1]
    np.testing.assert_array_equal(example["clip"][:, 0, 0, 0], [1, 11, 21, 41, 51, 61])
    assert (example["label"], source.peek(0, "label"), "tensorflow" in sys.modules) == (1, 0, False)


def test_videos_of_training_are_drawn_and_those_too_short_are_left_out(folder):
    source = load(Data("tfds:films", folder, frames=6), "train")
    starts = {int(source.variants([1], 0, epoch)[0]["clip"][0, 0, 0, 0]) for epoch in range(10)}
    assert starts == {1, 11}
    with pytest.warns(UserWarning, match=r"left out: tfds:films, train row 0: expected at least 6 frames .* found 5"):
        assert not source[0]["readable"]
    with pytest.raises(DataError, match="tfds:films, train row 0: expected at least 6 frames"):
        load(Data("tfds:films", folder, frames=6, broken="stop"), "train")[0]
