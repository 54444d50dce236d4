"""Images with a label map each, a PNG of the number of each pixel's class: folders as CamVid's, Cityscapes's and VOC's.

Brostow, Fauqueur and Cipolla, 2009, Semantic Object Classes in Video, in the form of Badrinarayanan et al., 2017,
SegNet; Cordts et al., 2016, The Cityscapes Dataset; Everingham et al., 2010, The Pascal Visual Object Classes.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from train.config import DataError
from train.data.decode import opened
from train.data.fields import Facts, Field, Kind
from train.data.select import held_out_count, no_held_out_count
from train.data.source import Source, Subset
from train.data.sources.folder import SUFFIXES
from train.data.sources.masks import read_numbers
from train.data.sources.objects import ObjectSource, check_size_beside, held_out_rows
from train.data.sources.voc import CLASSES as VOC_CLASSES
from zoo.arrays import in_a_line

IGNORE = -1
"""The label of pixels that have no class, whatever their number is in the files."""
UNLABELLED = 255
"""A number that means no class in every layout."""
NOTHING = ("void", "ignore", "unlabelled", "unlabeled")
"""Names of numbers that mean no class, in the list of the classes."""
BACKGROUNDS = ("background", "__background__")
LIST = "classes.txt"
"""Beside the folders: a name a line, of the numbers 0, 1, 2 and so on."""

# fmt: off
CAMVID = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist", "void",
)
CITYSCAPES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}
# fmt: on
"""The nineteen classes that are evaluated, by their numbers in the files; others up to 33 are no class."""
_TESTS = ("test", "val")


class Pair(NamedTuple):
    """An image, and the file of its label map."""

    image: Path
    labels: Path


class Meaning(NamedTuple):
    """What the numbers in the files mean."""

    names: tuple[str, ...]
    """Of the classes, in order."""
    numbers: tuple[int, ...]
    """Of each class, in the files."""
    nothing: tuple[int, ...]
    """Numbers that mean no class."""

    @property
    def facts(self) -> Facts:
        """The same of the labels that the source gives: classes from 0 on, and `IGNORE`."""
        background = next((label for label, name in enumerate(self.names) if name.lower() in BACKGROUNDS), None)
        return Facts(self.names, ignore=IGNORE, background=background)

    def labels(self, numbers: Int[np.ndarray, "height width"], file: Path) -> Int[np.ndarray, "height width"]:
        """The label of each pixel.

        Raises:
          DataError: a number means nothing here.
        """
        table = np.full(1 + max(int(numbers.max(initial=0)), *self.numbers, *self.nothing), -2, np.int32)
        table[list(self.numbers)] = np.arange(len(self.numbers))
        table[list(self.nothing)] = IGNORE
        found = table[numbers]
        if (found == -2).any():
            wrong = int(numbers[found == -2][0])
            known = f"{', '.join(map(str, self.numbers))}, and {', '.join(map(str, self.nothing))} for no class"
            raise DataError(f"{file}: expected the numbers {known}, found {wrong}")
        return found


class LabelMapSource(ObjectSource):
    """Images and their label maps; only the headers of the files are read before an example is asked for.

    Args:
      name: for messages.
      pairs: the files.
      meaning: of the numbers in them.
      any_size: whether images may differ in size.

    Raises:
      DataError: a file cannot be read, or a label map has another size than its image.
    """

    def __init__(self, name: str, pairs: Sequence[Pair], meaning: Meaning, any_size: bool) -> None:
        with ThreadPoolExecutor() as pool:
            sizes = np.array(list(pool.map(_size, pairs)), np.int64).reshape(-1, 2)
        fields = {"label_map": Field(Kind.LABEL_MAP, (None, None), "int32")}
        super().__init__(name, [pair.image for pair in pairs], sizes, fields, meaning.facts, any_size)
        self.maps, self.meaning = [pair.labels for pair in pairs], meaning

    def objects(self, row: int, name: str) -> Any:
        """See `ObjectSource`: the label map."""
        return self.meaning.labels(read_numbers(self.maps[row]), self.maps[row])


def label_maps(path: str, split: Literal["train", "test"], any_size: bool = False, held_out: int = 0) -> Source:
    """The images of one split, see `label_maps_splits`."""
    return label_maps_splits(path, any_size, held_out)[split]


def label_maps_splits(path: str, any_size: bool = False, held_out: int = 0) -> Mapping[str, Source]:
    """The images of a folder, "train" and "test".

    Args:
      path: has images/ and labels/, of which some are held out by a fixed seed; or train/ and one of test/ and val/
        that each have these two. Or it is CamVid as SegNet has it (train/, trainannot/, test/, testannot/), Cityscapes
        (leftImg8bit/, gtFine/, each with train/ and val/) or a year of Pascal VOC (JPEGImages/, SegmentationClass/,
        ImageSets/Segmentation/train.txt and val.txt). A label map has its image's name, as a PNG of grey values or of a
        palette. The file classes.txt, a name a line, says what the numbers mean from 0 on; lines "void" mean no class,
        and so does 255. Without it they mean what they mean in those three sets, and are else numbered.
      any_size: whether images may differ in size.
      held_out: images of the test where no folder says which they are; 0: a fifth.

    Raises:
      DataError: a folder or a label map is missing, a file cannot be read, or its size is not the image's.
    """
    root, name = Path(path).expanduser(), f"label_maps:{path}"
    layout = next((each for each in LAYOUTS if all((root / part).is_dir() for part in each.parts)), None)
    if layout is None:
        wanted = "; or ".join(", ".join(f"{part}/" for part in each.parts) for each in LAYOUTS)
        raise DataError(f"{root}: expected {wanted}; found {'none of them' if root.is_dir() else 'no such folder'}")
    found = layout.pairs(root)
    for split, pairs in found.items():
        if not pairs:
            raise DataError(f"{root}: expected images of {split}, found none")
    meaning = _meaning(root, layout, [pair for pairs in found.values() for pair in pairs])
    sources = {split: LabelMapSource(name, pairs, meaning, any_size) for split, pairs in found.items()}
    if "test" in sources:
        no_held_out_count(held_out, name)
        return sources
    (whole,) = sources.values()
    train, test = held_out_rows(len(whole), held_out_count(len(whole), held_out, name))
    return {"train": Subset(whole, train), "test": Subset(whole, test)}


class Layout(NamedTuple):
    """How a set of images is laid out in folders."""

    parts: tuple[str, ...]
    """Folders by which it is known."""
    pairs: Callable[[Path], dict[str, list[Pair]]]
    """The files of "train" and "test"; of "train" alone where the folders do not say."""
    meaning: Meaning | None
    """Of the numbers, unless a list says otherwise."""


def _listed(names: Sequence[str]) -> Meaning:
    """Names of the numbers 0, 1, 2 and so on, some of which mean no class."""
    classes = [number for number, name in enumerate(names) if name.lower() not in NOTHING]
    nothing = {UNLABELLED, *range(len(names))} - set(classes)
    return Meaning(tuple(names[number] for number in classes), tuple(classes), tuple(sorted(nothing)))


def _beside(images: Path, labels: Path) -> list[Pair]:
    """Images of a folder, each with the label map of its name in the other.

    Raises:
      DataError: there is none.
    """
    found = []
    for image in sorted(file for file in images.iterdir() if file.suffix.lower() in SUFFIXES):
        file = labels / f"{image.stem}.png"
        if not file.is_file():
            raise DataError(f"{image}: expected its label map as {file}, found none")
        found.append(Pair(image, file))
    return found


def _camvid(root: Path) -> dict[str, list[Pair]]:
    test = next((part for part in _TESTS if (root / f"{part}annot").is_dir()), "test")
    if not (root / test).is_dir() or not (root / f"{test}annot").is_dir():
        raise DataError(f"{root}: expected test/ and testannot/ beside train/ and trainannot/, found no such folders")
    return {split: _beside(root / part, root / f"{part}annot") for split, part in (("train", "train"), ("test", test))}


def _cityscapes(root: Path) -> dict[str, list[Pair]]:
    def pairs(part: str) -> list[Pair]:
        found = []
        for image in sorted((root / "leftImg8bit" / part).glob("*/*_leftImg8bit.png")):
            stem = image.name.removesuffix("_leftImg8bit.png")
            file = root / "gtFine" / part / image.parent.name / f"{stem}_gtFine_labelIds.png"
            if not file.is_file():
                raise DataError(f"{image}: expected its label map as {file}, found none")
            found.append(Pair(image, file))
        return found

    return {"train": pairs("train"), "test": pairs("val")}


def _voc(root: Path) -> dict[str, list[Pair]]:
    def pairs(part: str) -> list[Pair]:
        file = root / "ImageSets" / "Segmentation" / f"{part}.txt"
        try:
            names = file.read_text("utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{file}: expected a list of images: {in_a_line(error)}") from error
        return [Pair(root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png") for name in names]

    return {"train": pairs("train"), "test": pairs("val")}


def _parted(root: Path) -> dict[str, list[Pair]]:
    test = next((part for part in _TESTS if (root / part / "images").is_dir()), None)
    if test is None:
        raise DataError(f"{root}: expected test/ or val/ with images/ and labels/ beside train/, found neither")
    return {
        split: _beside(root / part / "images", root / part / "labels")
        for split, part in (("train", "train"), ("test", test))
    }


_OTHERS = tuple(sorted({UNLABELLED, *range(34)} - CITYSCAPES.keys()))
LAYOUTS = (
    Layout(("train", "trainannot"), _camvid, _listed(CAMVID)),
    Layout(("leftImg8bit", "gtFine"), _cityscapes, Meaning(tuple(CITYSCAPES.values()), tuple(CITYSCAPES), _OTHERS)),
    Layout(("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"), _voc, _listed(("background", *VOC_CLASSES))),
    Layout(("train/images", "train/labels"), _parted, None),
    Layout(("images", "labels"), lambda root: {"train": _beside(root / "images", root / "labels")}, None),
)
"""Those that are known, the first that fits first."""


def _meaning(root: Path, layout: Layout, pairs: Sequence[Pair]) -> Meaning:
    """What the numbers mean: by the list, by the layout, or else as many classes as there are numbers.

    Raises:
      DataError: the list cannot be read, names one class twice or none; or there is no class.
    """
    file = root / LIST
    if file.is_file():
        try:
            names = [line.strip() for line in file.read_text("utf-8-sig").strip().splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{file}: expected a name a line: {in_a_line(error)}") from error
        meaning = _listed(names)
        if not all(meaning.names) or len(set(meaning.names)) < len(meaning.names) or not meaning.names:
            raise DataError(
                f"{file}: expected names of classes, each once, found {', '.join(map(repr, names)) or 'none'}"
            )
        return meaning
    if layout.meaning is not None:
        return layout.meaning
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda pair: np.unique(read_numbers(pair.labels)), pairs)
        largest = max((int(number) for numbers in found for number in numbers if number != UNLABELLED), default=-1)
    if largest > UNLABELLED:
        raise DataError(f"{root}: expected a list of the classes as {LIST} for numbers above 255, found {largest}")
    if largest < 0:
        raise DataError(f"{root}: expected label maps with classes, found none")
    return _listed([str(number) for number in range(largest + 1)])


def _size(pair: Pair) -> tuple[int, int]:
    """Height and width of a label map and its image, by their headers.

    Raises:
      DataError: they differ.
    """
    with opened(pair.labels, pair.labels) as labels:
        width, height = labels.size
    check_size_beside(pair.labels, height, width, pair.image)
    return height, width
