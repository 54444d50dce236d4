"""Data sets of TensorFlow Datasets, read from ArrayRecord files without TensorFlow, which only `prepare` needs."""

import io
import os
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.config import DataError
from train.data.decode import opened, rgb
from train.data.fields import Facts, Field, Kind
from train.data.recordings import EncodedRecording
from train.data.source import Example, Rows, Source
from train.data.sources.features import parts_of
from zoo.arrays import in_a_line
from zoo.images import upright
from zoo.names import unknown

_SPLITS = {"train": ("train",), "test": ("test", "validation")}  # ImageNet's test labels are not public


def default_data_dir() -> Path:
    """Where TFDS itself keeps its data: the variable TFDS_DATA_DIR, or ~/tensorflow_datasets."""
    return Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()


class TfdsSource(Source):
    """A prepared TFDS data set: the features that are of a kind, see `parts_of`; the others are left out.

    Videos become clips, see `train.data.sampled`. With `any_size` its images may differ in size; all are RGB then, and
    turned upright as their EXIF orientation says, as those of a folder are. They lie as they are stored, as with TFDS,
    where the set declares one size, or has boxes, label maps or further images too, which are of those pixels.
    """

    def __init__(
        self,
        name: str,
        split: Literal["train", "test"],
        data_dir: str | Path | None = None,
        any_size: bool = False,
    ) -> None:
        import tensorflow_datasets as tfds

        from train.data.sources.tfds_videos import stored_frames

        self.name = f"tfds:{name}"
        directory = _directory(name, Path(data_dir or default_data_dir()).expanduser())
        # Not `tfds.builder`, which falls back on the network and on TensorFlow where a set is missing.
        try:
            with stored_frames():
                builder = tfds.builder_from_directory(directory)
        except Exception as error:  # whatever json and protobuf do
            raise DataError(
                f"{self.name} in {directory}: expected a data set that TFDS can read: {in_a_line(error)}"
            ) from error
        if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
            raise DataError(
                f"{self.name} in {directory}: expected file format array_record, which is read without TensorFlow,"
                f" found {builder.info.file_format.value}; prepare it again in another folder:"
                f" python -m train prepare {name} --data-dir FOLDER"
            )
        self._parts = parts_of(self.name, builder.info.features, any_size)
        self.spec = {key: part.field for key, part in self._parts.items()}
        placed = [key for key, field in self.spec.items() if field.kind in (Kind.IMAGE, Kind.LABEL_MAP, Kind.BOXES)]
        self._turns = placed == ["image"] and any_size and None in builder.info.features["image"].shape
        labelled = [self._parts[key] for key in ("label", "classes") if key in self._parts]
        named = [part.classes for part in (*labelled, *self._parts.values()) if part.classes]
        self.facts = Facts(named[0] if named else ())
        found = [s for s in _SPLITS[split] if s in builder.info.splits]
        if not found:
            splits = ", ".join(builder.info.splits)
            raise DataError(f"{self.name}: expected a split {' or '.join(_SPLITS[split])}, found: {splits}")
        self._split = found[0]
        # Pillow does here what TFDS would do, in two thirds of the time and without asking for OpenCV.
        encoded = [key for key, feature in builder.info.features.items() if isinstance(feature, tfds.features.Image)]
        skipped = {key: tfds.decode.SkipDecoding() for key in encoded}
        self._records = builder.as_data_source(self._split, decoders=skipped)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, row: int) -> Example:
        return self._decode(self._records[row], row)

    def peek(self, row: int, field: str) -> Any:
        """One field of an example, without decoding its image."""
        if self.spec[field].kind not in (Kind.LABEL, Kind.VALUE, Kind.PLAIN):
            return self[row][field]
        value = _at(self._records[row], self._parts[field].path)
        return np.asarray(value, self.spec[field].dtype) if np.ndim(value) else np.asarray(value).item()

    def examples(self, rows: Rows) -> list[Example]:
        """Some examples; one request for all records."""
        rows = [int(row) for row in rows]
        return [self._decode(*pair) for pair in zip(self._records.__getitems__(rows), rows, strict=True)]

    def _decode(self, record: dict[str, Any], row: int) -> Example:
        place = f"{self.name}, {self._split} row {row}"
        example: Example = {}
        if "image" in self.spec:
            example["image"] = _pixels(record["image"], self.spec["image"], place, self._turns)
            height, width = example["image"].shape[:2]
        for name, (path, field, classes) in self._parts.items():
            value = _at(record, path)
            match field.kind:
                case Kind.IMAGE:
                    if name == "image":
                        continue
                    example[name] = _pixels(value, field, place)
                case Kind.CLIP:
                    example[name] = EncodedRecording(tuple(value), place)
                case Kind.LABEL_MAP:
                    example[name] = _labels(value, field, place)
                case Kind.LABEL:
                    example[name] = _label(value, classes, place)
                case Kind.BOXES:
                    example[name] = _boxes(value, height, width)
                case _:
                    example[name] = np.asarray(value, field.dtype)
        return example


def _at(record: dict[str, Any], path: tuple[str, ...]) -> Any:
    for key in path:
        record = record[key]
    return record


def _pixels(
    encoded: bytes, field: Field, place: str, turns: bool = False
) -> UInt8[np.ndarray, "height width channels"]:
    with opened(io.BytesIO(encoded), place) as image:
        image = upright(image) if turns else image
        pixels = np.asarray(image if None not in field.shape else rgb(image, place))
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if None not in field.shape and (pixels.shape != field.shape or pixels.dtype != np.uint8):
        raise DataError(f"{place}: expected uint8 {field.shape}, found {pixels.dtype} {pixels.shape}")
    return pixels


def _labels(encoded: bytes, field: Field, place: str) -> Int[np.ndarray, "height width"]:
    with opened(io.BytesIO(encoded), place) as image:
        pixels = np.asarray(image)
    if pixels.ndim != 2 or (None not in field.shape and pixels.shape != field.shape):
        raise DataError(f"{place}: expected a label map {field.shape}, found {pixels.dtype} {pixels.shape}")
    return pixels.astype(np.int32)


def _label(value: Any, classes: tuple[str, ...], place: str) -> Int[np.ndarray, "..."]:
    if np.ndim(value) == 0 and 0 <= value < len(classes):  # of most data sets, and quick
        return np.int32(value)
    labels = np.asarray(value)
    if np.any(outside := (labels < 0) | (labels >= len(classes))):
        raise DataError(f"{place}: expected a label in 0..{len(classes) - 1}, found {labels[outside].ravel()[0]}")
    return labels.astype(np.int32)


def _boxes(value: Any, height: int, width: int) -> Float[np.ndarray, "objects 4"]:
    """TFDS has top, left, bottom, right as shares of the image."""
    top, left, bottom, right = np.asarray(value, np.float32).reshape(-1, 4).T
    return np.stack([left * width, top * height, right * width, bottom * height], axis=1).astype(np.float32)


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
