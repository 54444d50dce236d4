"""Pascal VOC's folders: JPEGImages, Annotations/*.xml, ImageSets/Main/*.txt.

Everingham et al., 2010, The Pascal Visual Object Classes (VOC) Challenge.
"""

import copy
import xml.etree.ElementTree as xml
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from train.config import DataError
from train.data.fields import Facts, Kind, Spec
from train.data.source import Source
from train.data.sources.objects import ObjectSource, of_objects
from zoo.arrays import in_a_line

# fmt: off
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on
"""Of the challenge."""
_PARTS = "Annotations", "ImageSets/Main", "JPEGImages"


class Annotation(NamedTuple):
    """An xml file."""

    image: Path
    size: tuple[int, int]
    """Height and width."""
    boxes: Float[np.ndarray, "objects 4"]
    names: list[str]
    is_difficult: Bool[np.ndarray, "objects"]


class VocSource(ObjectSource):
    """Images with boxes, classes, and whether an object is difficult: those are not in training examples.

    VOC counts pixels from 1, and a box's last pixels are in it: the box 1, 1, 1, 1 is here 0, 0, 1, 1.

    Args:
      name: for messages.
      found: the annotations.
      classes: the names of the classes, in their order.
      most: objects of an image at most.
      any_size: whether images may differ in size.
    """

    def __init__(self, name: str, found: list[Annotation], classes: tuple[str, ...], most: int, any_size: bool) -> None:
        fields: Spec = {
            "boxes": of_objects(Kind.BOXES, (4,), "float32", most),
            "classes": of_objects(Kind.LABEL, (), "int32", most),
            "is_difficult": of_objects(Kind.PLAIN, (), "bool", most),
        }
        sizes: Int[np.ndarray, "images 2"] = np.array([each.size for each in found], np.int64).reshape(-1, 2)
        super().__init__(name, [each.image for each in found], sizes, fields, Facts(classes), any_size)
        self._found = found
        self._difficult = True

    def without_difficult(self) -> "VocSource":
        """The same, without the objects that are marked difficult."""
        other = copy.copy(self)
        other._difficult = False
        return other

    def as_measured(self) -> "VocSource":
        """See `Source`."""
        other = copy.copy(self)
        other._difficult = True
        return other

    def objects(self, row: int, name: str) -> Any:
        """See `ObjectSource`."""
        found = self._found[row]
        kept = np.ones(len(found.names), bool) if self._difficult else ~found.is_difficult
        if name == "classes":
            return np.array([self.facts.classes.index(each) for each in found.names], np.int32)[kept]
        return getattr(found, name)[kept]


def voc(path: str, split: Literal["train", "test"], any_size: bool = False) -> Source:
    """The images of one split, see `voc_splits`."""
    return voc_splits(path, any_size)[split]


def voc_splits(path: str, any_size: bool = False) -> Mapping[str, Source]:
    """The images of a year (VOC2007) or of several (VOCdevkit with VOC2007 and VOC2012), "train" and "test".

    The test is what `test.txt` lists, of the years that have it with annotations, and training what `trainval.txt`
    lists of all years; without any such test these are `val.txt` and `train.txt`.

    Args:
      path: the folder.
      any_size: whether images may differ in size.

    Raises:
      DataError: a part is missing, a file cannot be read, or classes are none of the challenge's and of training's.
    """
    root, name = Path(path).expanduser(), f"voc:{path}"
    years = [root] if _is_year(root) else sorted(year for year in root.glob("*") if _is_year(year))
    if not years:
        raise DataError(f"{root}: expected {', '.join(_PARTS)}, or folders such as VOC2007 that have them")
    tested = [year for year in years if (names := _list(year, "test")) and _xml(year, names[0]).is_file()]
    parts = (
        {"train": (years, "trainval"), "test": (tested, "test")}
        if tested
        else {
            "train": (years, "train"),
            "test": (years, "val"),
        }
    )
    found = {
        split: [_read(year, each) for year in of for each in _list(year, of_list)]
        for split, (of, of_list) in parts.items()
    }
    for split, (_, of_list) in parts.items():
        if not found[split]:
            raise DataError(f"{root}: expected image names in ImageSets/Main/{of_list}.txt, found none")
    seen = {label for each in found["train"] for label in each.names}
    classes = CLASSES if seen <= set(CLASSES) else tuple(sorted(seen))
    for each in found["test"]:
        if other := sorted(set(each.names) - set(classes)):
            raise DataError(f"{each.image}: expected the classes of training, found {other[0]!r}")
    most = max(len(each.names) for each in found["train"] + found["test"])
    train, test = (VocSource(name, found[split], classes, most, any_size) for split in ("train", "test"))
    return {"train": train.without_difficult(), "test": test}


def _is_year(folder: Path) -> bool:
    return all((folder / part).is_dir() for part in _PARTS)


def _list(year: Path, name: str) -> list[str]:
    """The images of a list, which may have a second column."""
    file = year / "ImageSets" / "Main" / f"{name}.txt"
    try:
        return [line.split()[0] for line in file.read_text("utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: expected a list of images: {in_a_line(error)}") from error


def _xml(year: Path, name: str) -> Path:
    return year / "Annotations" / f"{name}.xml"


def _read(year: Path, name: str) -> Annotation:
    file = _xml(year, name)
    try:
        root = xml.parse(file).getroot()
        size = int(root.findtext("size/height", "")), int(root.findtext("size/width", ""))
        objects = root.findall("object")
        corners = [[float(each.findtext(f"bndbox/{side}", "")) for side in _SIDES] for each in objects]
        names = [each.findtext("name", "").strip() for each in objects]
        is_difficult = [int(each.findtext("difficult", "0") or 0) > 0 for each in objects]
    except OSError as error:
        raise DataError(f"{file}: expected an annotation: {error.strerror}") from error
    except (xml.ParseError, ValueError) as error:
        raise DataError(
            f"{file}: expected VOC's size, and name and bndbox of each object: {in_a_line(error)}"
        ) from error
    boxes = np.array(corners, np.float32).reshape(-1, 4) - np.float32([1, 1, 0, 0])
    image = year / "JPEGImages" / (root.findtext("filename") or f"{name}.jpg")
    return Annotation(image, size, boxes, names, np.array(is_difficult, bool))


_SIDES = "xmin", "ymin", "xmax", "ymax"
