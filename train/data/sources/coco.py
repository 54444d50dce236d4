"""Annotations in COCO's json: boxes, masks, crowds and keypoints.

Lin et al., 2014, Microsoft COCO: Common Objects in Context; https://cocodataset.org/#format-data.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from train.config import DataError
from train.data.fields import Facts, Kind, Spec
from train.data.rle import decoded
from train.data.select import held_out_count, no_held_out_count
from train.data.source import Source, Subset
from train.data.sources.objects import ObjectSource, held_out_rows, of_objects
from zoo.arrays import in_a_line

_HELD_OUT = ("val", "valid", "test")


class Annotations(NamedTuple):
    """A file: its images, and all their objects, image by image."""

    files: list[Path]
    sizes: Int[np.ndarray, "images 2"]
    starts: Int[np.ndarray, "images+1"]
    """Where the objects of each image begin."""
    boxes: Float[np.ndarray, "objects 4"]
    classes: Int[np.ndarray, "objects"]
    area: Float[np.ndarray, "objects"]
    is_crowd: Bool[np.ndarray, "objects"]
    keypoints: Float[np.ndarray, "objects points 3"] | None
    segmentations: list[bytes] | None
    """As json, which takes a tenth of the memory of lists of numbers."""
    ids: list[Any]
    """Of the objects, for messages."""
    facts: Facts

    @property
    def most(self) -> int:
        """Objects of an image at most."""
        return int(np.diff(self.starts).max(initial=0))


class CocoSource(ObjectSource):
    """Images with boxes, classes, areas (pixels of the object, not of its box), crowds, and masks and keypoints.

    Fields are called as in TFDS's `coco`. Keypoints are zero where they were not labelled, and 1 where they were,
    visible or covered; COCO counts pixels from their centres, so 0.5 is added.

    Args:
      name: for messages.
      found: what the file says.
      most: objects of an image at most.
      any_size: whether images may differ in size.
    """

    def __init__(self, name: str, found: Annotations, most: int, any_size: bool) -> None:
        fields: Spec = {
            "boxes": of_objects(Kind.BOXES, (4,), "float32", most),
            "classes": of_objects(Kind.LABEL, (), "int32", most),
            "area": of_objects(Kind.VALUE, (), "float32", most),
            "is_crowd": of_objects(Kind.PLAIN, (), "bool", most),
        }
        if found.segmentations is not None:
            fields["masks"] = of_objects(Kind.MASKS, (None, None), "bool", most)
        if found.keypoints is not None:
            fields["keypoints"] = of_objects(Kind.KEYPOINTS, found.keypoints.shape[1:], "float32", most)
        super().__init__(name, found.files, found.sizes, fields, found.facts, any_size)
        self._found = found
        self._crowds = True

    def without_crowds(self) -> "CocoSource":
        """The same, without the regions in which nobody counted the objects: nothing to learn from."""
        other = copy.copy(self)
        other._crowds = False
        return other

    def objects(self, row: int, name: str) -> Any:
        """See `ObjectSource`."""
        first, last = self._found.starts[row : row + 2]
        numbers = np.arange(first, last)
        numbers = numbers if self._crowds else numbers[~self._found.is_crowd[first:last]]
        if name != "masks":
            return getattr(self._found, name)[numbers]
        height, width = (int(side) for side in self.sizes[row])
        masks = [self._mask(int(number), height, width) for number in numbers]
        return np.array(masks, bool).reshape(-1, height, width)

    def _mask(self, number: int, height: int, width: int) -> Bool[np.ndarray, "height width"]:
        try:
            return decoded(json.loads(self._found.segmentations[number]), height, width)
        except DataError as error:
            raise DataError(f"{self.name}: segmentation of annotation {self._found.ids[number]}: {error}") from error


def coco(path: str, split: Literal["train", "test"], any_size: bool = False, held_out: int = 0) -> Source:
    """The images of one split, see `coco_splits`."""
    return coco_splits(path, any_size, held_out)[split]


def coco_splits(path: str, any_size: bool = False, held_out: int = 0) -> Mapping[str, Source]:
    """The images of an annotation file, "train" and "test".

    Where the file's name, or that of its folder, says "train" and there is a file that says "val", "valid" or "test"
    instead, that is the test: `annotations/instances_train2017.json` has `annotations/instances_val2017.json`. Else
    some of the images are held out, by a fixed seed. Crowds are left out of the training examples.

    Args:
      path: FILE.json, whose images are beside it, in `images` there, or in COCO's own folders; or FILE.json@FOLDER.
      any_size: whether images may differ in size.
      held_out: images of the test where nothing says which they are; 0: a fifth.

    Raises:
      DataError: the file is not of this format, or names images that are not there.
    """
    name = f"coco:{path}"
    where, _, folder = path.partition("@")
    file = Path(where).expanduser()
    train = read(file, Path(folder).expanduser() if folder else None)
    other = _held_out(file)
    if other is None:
        whole = CocoSource(name, train, train.most, any_size)
        rows = held_out_rows(len(whole), held_out_count(len(whole), held_out, name))
        return {"train": Subset(whole.without_crowds(), rows[0]), "test": Subset(whole, rows[1])}
    no_held_out_count(held_out, name)
    test = read(other, _instead(Path(folder).expanduser(), other) if folder else None)
    if train.facts != test.facts:
        raise DataError(f"{other}: expected the categories of {file}, found others")
    if (train.keypoints is None) != (test.keypoints is None) or (train.segmentations is None) != (
        test.segmentations is None
    ):
        raise DataError(f"{other}: expected masks and keypoints where {file} has them, and nowhere else")
    most = max(train.most, test.most)
    return {
        "train": CocoSource(name, train, most, any_size).without_crowds(),
        "test": CocoSource(name, test, most, any_size),
    }


def read(file: Path, folder: Path | None = None) -> Annotations:
    """What an annotation file says.

    Args:
      file: the json.
      folder: where its images are; by default near it.

    Raises:
      DataError: something is missing, is of another kind, or refers to what is not there.
    """
    found = _json(file)
    categories = sorted(_listed(file, found, "categories", "id", "name"), key=lambda each: each["id"])
    if not categories:
        raise DataError(f"{file}: expected categories, found none")
    numbers = {category["id"]: number for number, category in enumerate(categories)}
    images = _listed(file, found, "images", "id", "file_name", "height", "width")
    rows = {image["id"]: row for row, image in enumerate(images)}
    if len(rows) < len(images):
        raise DataError(f"{file}: expected each image id once, found {len(images) - len(rows)} more than once")
    objects = _listed(file, found, "annotations", "image_id", "category_id", "bbox")
    for each in objects:
        if each["image_id"] not in rows or each["category_id"] not in numbers:
            what = "image_id" if each["image_id"] not in rows else "category_id"
            raise DataError(f"{file}: annotation {each.get('id')}: {what} {each[what]} is none of the file's")
    objects.sort(key=lambda each: rows[each["image_id"]])  # stable: in an image, as they stand
    owners = np.array([rows[each["image_id"]] for each in objects], np.int64)
    names = next((category["keypoints"] for category in categories if category.get("keypoints")), None)
    has_points = names is not None and any("keypoints" in each for each in objects)
    crowd = np.array([bool(each.get("iscrowd", 0)) for each in objects], bool)
    boxes = _boxes(file, objects)
    areas = [each.get("area", each["bbox"][2] * each["bbox"][3]) for each in objects]
    has_masks = any(each.get("segmentation") for each in objects)
    return Annotations(
        _files(file, [image["file_name"] for image in images], folder),
        np.array([[image["height"], image["width"]] for image in images], np.int64).reshape(-1, 2),
        np.searchsorted(owners, np.arange(len(images) + 1)),
        boxes,
        np.array([numbers[each["category_id"]] for each in objects], np.int32),
        np.array(areas, np.float32),
        crowd,
        _keypoints(file, objects, len(names)) if has_points else None,
        [json.dumps(each.get("segmentation") or []).encode() for each in objects] if has_masks else None,
        [each.get("id") for each in objects],
        Facts(
            tuple(str(category["name"]) for category in categories),
            mirror=mirrored(names) if has_points else (),
            ids=tuple(category["id"] for category in categories),
        ),
    )


def mirrored(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The keypoints that change places when the image is mirrored: those whose names differ in left and right.

    >>> mirrored(["nose", "left_eye", "right_eye"])
    ((1, 2),)
    """
    place = {name: number for number, name in enumerate(names)}
    pairs = ((number, place.get(name.replace("left", "right"))) for name, number in place.items() if "left" in name)
    return tuple((left, right) for left, right in pairs if right is not None)


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"{file}: expected annotations in COCO's format: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{file}: expected json: {in_a_line(error)}") from error
    if not isinstance(found, dict):
        raise DataError(f"{file}: expected images, annotations and categories, found a {type(found).__name__}")
    return found


def _listed(file: Path, found: dict[str, Any], name: str, *keys: str) -> list[dict[str, Any]]:
    """A list of the file, whose entries have all of these."""
    entries = found.get(name)
    if not isinstance(entries, list):
        raise DataError(f"{file}: expected a list {name!r}, found {', '.join(found) or 'nothing'}")
    for entry in entries:
        if not isinstance(entry, dict) or (missing := [key for key in keys if key not in entry]):
            lacks = ", ".join(missing) if isinstance(entry, dict) else "all"
            raise DataError(
                f"{file}: expected {', '.join(keys)} in each of {name}, found {str(entry)[:60]} (no {lacks})"
            )
    return list(entries)


def _boxes(file: Path, objects: Sequence[Mapping[str, Any]]) -> Float[np.ndarray, "objects 4"]:
    """COCO has left, top, width, height."""
    for each in objects:
        if not isinstance(each["bbox"], list) or len(each["bbox"]) != 4:
            raise DataError(f"{file}: annotation {each.get('id')}: expected bbox as 4 numbers, found {each['bbox']}")
    boxes = np.array([each["bbox"] for each in objects], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes.astype(np.float32)


def _keypoints(file: Path, objects: Sequence[Mapping[str, Any]], count: int) -> Float[np.ndarray, "objects points 3"]:
    points = np.zeros((len(objects), count, 3), np.float32)
    for number, each in enumerate(objects):
        given = each.get("keypoints") or [0] * 3 * count
        if len(given) != 3 * count:
            raise DataError(
                f"{file}: annotation {each.get('id')}: expected {count} keypoints, found {len(given)} numbers"
            )
        points[number] = np.reshape(given, (count, 3))
    seen = points[..., 2:] > 0
    return np.where(seen, np.concatenate([points[..., :2] + 0.5, seen], axis=-1), 0).astype(np.float32)


def _files(file: Path, names: Sequence[str], folder: Path | None) -> list[Path]:
    """The paths of images; looked for in the folder, or else near the annotations."""
    part = file.stem.rpartition("_")[2]  # instances_train2017.json is about the images in train2017
    near = [file.parent, file.parent / "images", file.parent.parent / part, file.parent.parent / "images" / part]
    tried = [*near, file.parent.parent / "images"] if folder is None else [folder]
    for place in tried:
        if names and (place / names[0]).is_file():
            return [place / name for name in names]
    if not names:
        return []
    raise DataError(
        f"{file}: expected the image {names[0]} in {' or '.join(str(place) for place in tried)};"
        " say where the images are: coco:FILE.json@FOLDER"
    )


def _held_out(file: Path) -> Path | None:
    """The file of the test that stands beside one of training."""
    for word in _HELD_OUT:
        for other in (
            file.with_name(file.name.replace("train", word)),
            file.parent.with_name(file.parent.name.replace("train", word)) / file.name if file.parent.name else file,
        ):
            if other != file and other.is_file():
                return other
    return None


def _instead(folder: Path, test: Path) -> Path:
    """The folder of the test's images: that of training's with the test's word, where there is one."""
    for word in _HELD_OUT:
        other = folder.with_name(folder.name.replace("train", word))
        if other != folder and other.is_dir() and word in str(test):
            return other
    return folder
