"""Tiny data sets written as TFDS writes them."""

import io
import json

import numpy as np
from PIL import Image

from train.config import Data
from train.data import load


def png(array, **options):
    """An image as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(array.squeeze()).save(buffer, "png", **options)
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
    """The source of a split."""
    return load(Data(name, data_dir), split)


SIZE = (6, 8)
BOXES = ([[0, 0, 0.5, 0.25]], [[0.5, 0.25, 1, 1], [0, 0, 1, 0.5]], [])
"""Of three images: top, left, bottom, right, as shares of the image."""


def write_objects(data_dir, size=SIZE, names=(), **options):
    """A data set with features of many kinds, or some of them, as TFDS writes it; options are of the images' files."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets import features as kinds
    from tensorflow_datasets.proto import tf_example_generated_pb2 as proto

    folder = data_dir / "objects" / "1.0.0"
    folder.mkdir(parents=True)
    every = kinds.FeaturesDict(
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
    features = kinds.FeaturesDict({name: every[name] for name in names or every})
    features.save_config(folder)
    for split in ("train", "test"):
        writer = ArrayRecordWriter(str(folder / f"objects-{split}.array_record-00000-of-00001"), "group_size:1")
        for row, boxes in enumerate(BOXES):
            example = proto.Example()
            values = example.features.feature
            shown = (6, 8) if None in size else size
            values["image"].bytes_list.value.append(png(np.full((*shown, 3), 10 * row, np.uint8), **options))
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
