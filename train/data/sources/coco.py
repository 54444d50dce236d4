"""Annotations in COCO's json: boxes, masks, crowds and keypoints. Files of captions are read by `coco_captions.py`.

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
from train.data.captions import LEAST
from train.data.fields import Facts, Kind, Spec
from train.data.rle import decoded
from train.data.select import held_out_count, no_held_out_count
from train.data.source import Source, Subset
from train.data.sources.coco_captions import caption_splits, has_captions
from train.data.sources.coco_files import files_of, held_out_beside, images_of, instead, listed, read_json
from train.data.sources.objects import ObjectSource, held_out_rows, of_objects


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

    def as_measured(self) -> "CocoSource":
        """See `Source`."""
        other = copy.copy(self)
        other._crowds = True
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


def coco(
    path: str, split: Literal["train", "test"], any_size: bool = False, held_out: int = 0, rare_below: int = LEAST
) -> Source:
    """The images of one split, see `coco_splits`."""
    return coco_splits(path, any_size, held_out, rare_below)[split]


def coco_splits(path: str, any_size: bool = False, held_out: int = 0, rare_below: int = LEAST) -> Mapping[str, Source]:
    """The images of an annotation file, "train" and "test", with their objects, or with their captions.

    Where the file's name, or that of its folder, says "train" and there is a file that says "val", "valid" or "test"
    instead, that is the test: `annotations/instances_train2017.json` has `annotations/instances_val2017.json`. Else
    some of the images are held out, by a fixed seed. Crowds are left out of the training examples.

    Args:
      path: FILE.json, whose images are beside it, in `images` there, or in COCO's own folders; or FILE.json@FOLDER.
      any_size: whether images may differ in size.
      held_out: images of the test where nothing says which they are; 0: a fifth.
      rare_below: of captions, how often a word occurs in training before it has a number of its own.

    Raises:
      DataError: the file is not of this format, or names images that are not there.
    """
    name = f"coco:{path}"
    where, _, folder = path.partition("@")
    file = Path(where).expanduser()
    found, other = read_json(file), held_out_beside(file)
    if has_captions(found):
        return caption_splits(path, found, any_size, held_out, rare_below)
    train = read(file, Path(folder).expanduser() if folder else None, found)
    if other is None:
        whole = CocoSource(name, train, train.most, any_size)
        rows = held_out_rows(len(whole), held_out_count(len(whole), held_out, name))
        return {"train": Subset(whole.without_crowds(), rows[0]), "test": Subset(whole, rows[1])}
    no_held_out_count(held_out, name)
    test = read(other, instead(Path(folder).expanduser(), other) if folder else None)
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


def read(file: Path, folder: Path | None = None, found: dict[str, Any] | None = None) -> Annotations:
    """What an annotation file says.

    Args:
      file: the json.
      folder: where its images are; by default near it.
      found: what is in it, if somebody has read it.

    Raises:
      DataError: something is missing, is of another kind, or refers to what is not there.
    """
    found = read_json(file) if found is None else found
    categories = sorted(listed(file, found, "categories", "id", "name"), key=lambda each: each["id"])
    if not categories:
        raise DataError(f"{file}: expected categories, found none")
    numbers = {category["id"]: number for number, category in enumerate(categories)}
    images, rows = images_of(file, found)
    objects = listed(file, found, "annotations", "image_id", "category_id", "bbox")
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
        files_of(file, [image["file_name"] for image in images], folder),
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
