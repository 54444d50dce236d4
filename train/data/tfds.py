"""Data sets of TensorFlow Datasets, read from ArrayRecord files without TensorFlow, which only `prepare` needs."""

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int
from PIL import Image

from train.data.errors import DataError
from train.data.images import opened, rgb
from train.data.source import Arrays, Source, stacked
from zoo.names import unknown

_SPLITS = {"train": ("train",), "test": ("test", "validation")}  # ImageNet's test labels are not public


def default_data_dir() -> Path:
    """Where TFDS itself keeps its data: the variable TFDS_DATA_DIR, or ~/tensorflow_datasets."""
    return Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()


class TfdsSource(Source):
    """A prepared TFDS data set whose features include "image" and "label"; the others are left out.

    With `any_size` its images may differ in size, and only `pictured` reads them.
    """

    def __init__(
        self,
        name: str,
        split: Literal["train", "test"],
        data_dir: str | Path | None = None,
        any_size: bool = False,
    ) -> None:
        import tensorflow_datasets as tfds

        self.name = f"tfds:{name}"
        directory = _directory(name, Path(data_dir or default_data_dir()).expanduser())
        # Not `tfds.builder`, which falls back on the network and on TensorFlow where a set is missing.
        builder = tfds.builder_from_directory(directory)
        if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
            raise DataError(
                f"{self.name} in {directory}: expected file format array_record, which is read without TensorFlow,"
                f" found {builder.info.file_format.value}; prepare it again in another folder:"
                f" python -m train prepare {name} --data-dir FOLDER"
            )
        self.class_names, self.image_shape = _check_features(self.name, builder.info.features, any_size)
        found = [s for s in _SPLITS[split] if s in builder.info.splits]
        if not found:
            splits = ", ".join(builder.info.splits)
            raise DataError(f"{self.name}: expected a split {' or '.join(_SPLITS[split])}, found: {splits}")
        self._split = found[0]
        # Pillow does here what TFDS would do, in two thirds of the time and without asking for OpenCV.
        self._records = builder.as_data_source(self._split, decoders={"image": tfds.decode.SkipDecoding()})

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, row: int) -> Arrays:
        return self._decode(self._records[row], row)

    def pictured(self, row: int) -> tuple[Image.Image, Arrays]:
        """One example's image as Pillow has it, and its label."""
        record, place = self._records[row], self._place(row)
        with opened(io.BytesIO(record["image"]), place) as image:
            return rgb(image, place), {"label": self._label(record, place)}

    def label(self, row: int) -> int:
        """The label of one example, without decoding its image."""
        return int(self._records[row]["label"])

    def read(self, rows: Sequence[int] | Int[np.ndarray, "batch"]) -> Arrays:
        """The examples of some rows, stacked; one request for all records."""
        rows = [int(row) for row in rows]
        return stacked([self._decode(*pair) for pair in zip(self._records.__getitems__(rows), rows, strict=True)])

    def _decode(self, record: dict[str, Any], row: int) -> Arrays:
        place = self._place(row)
        with opened(io.BytesIO(record["image"]), place) as image:
            pixels = np.asarray(image)
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if pixels.shape != self.image_shape or pixels.dtype != np.uint8:
            raise DataError(f"{place}: expected uint8 {self.image_shape}, found {pixels.dtype} {pixels.shape}")
        return {"image": pixels, "label": self._label(record, place)}

    def _label(self, record: dict[str, Any], place: str) -> np.int32:
        if not 0 <= record["label"] < len(self.class_names):
            raise DataError(f"{place}: expected a label in 0..{len(self.class_names) - 1}, found {record['label']}")
        return np.int32(record["label"])

    def _place(self, row: int) -> str:
        return f"{self.name}, {self._split} row {row}"


def _directory(name: str, data_dir: Path) -> Path:
    """Where the newest version of a prepared data set is: DATA_DIR/NAME[/CONFIG]/VERSION."""
    folder = data_dir / name.replace(":", "/")
    if (folder / "dataset_info.json").is_file():
        return folder  # the name said which version
    prepared = [path.parent for path in folder.glob("*/dataset_info.json")]
    if prepared:
        return max(prepared, key=lambda path: [int(part) for part in path.name.split(".") if part.isdigit()])
    if configs := sorted(path.parent.parent.name for path in folder.glob("*/*/dataset_info.json")):
        raise DataError(f"tfds:{name}: expected one of its configurations: tfds:{name}/{configs[0]}, ...")
    _check_name(name)
    raise DataError(
        f"tfds:{name} is not prepared in {data_dir}; run: python -m train prepare {name} --data-dir {data_dir},"
        " or give the folder that has it with --data.data-dir"
    )


def _check_name(name: str) -> None:
    import tensorflow_datasets as tfds

    known = tfds.list_builders(with_community_datasets=False)
    if re.split("[/:]", name)[0] not in known:
        raise unknown("TFDS data set", name, known)


def _check_features(name: str, features: Any, any_size: bool) -> tuple[tuple[str, ...], tuple[int, int, int]]:
    missing = [key for key in ("image", "label") if key not in features]
    if missing:
        raise DataError(f"{name}: expected features image and label, found: {', '.join(features)}")
    if not hasattr(features["label"], "names"):
        raise DataError(f"{name}: expected a class label, found {features['label']}")
    shape = tuple(features["image"].shape)
    if any_size:
        shape = (0, 0, 3)
    elif len(shape) != 3 or None in shape:
        raise DataError(f"{name}: expected images of one size, found shape {shape}; cut them to one with --data.crop")
    return tuple(features["label"].names), shape


def prepare(name: str, data_dir: str | Path | None = None, manual_dir: str | Path | None = None) -> Path:
    """Downloads a TFDS data set and writes it as ArrayRecord; returns its folder. Needs TensorFlow.

    Args:
      name: a TFDS name, such as "mnist".
      data_dir: where to; by default TFDS's own folder.
      manual_dir: where archives that were fetched by hand lie; those are not downloaded again.

    Raises:
      DataError: TensorFlow is not installed.
      UnknownNameError: TFDS has no such data set.
    """
    import tensorflow_datasets as tfds

    _check_name(name)
    try:
        import tensorflow as tf  # noqa: F401
    except ImportError as error:
        raise DataError(
            'preparing a data set needs TensorFlow (reading it afterwards does not): pip install -e ".[prepare]"'
        ) from error
    data_dir = Path(data_dir or default_data_dir()).expanduser()
    builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
    manual = None if manual_dir is None else Path(manual_dir).expanduser().resolve()
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual))
    return Path(builder.data_dir)
