"""Folders of images: root/CLASS/**/*.png, or root/train/CLASS and root/test/CLASS (or root/val/CLASS)."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int

from train.config import DataError
from train.data.decode import COLOUR, check_mode, opened
from train.data.fields import Facts, Field, Kind
from train.data.select import held_out_count, no_held_out_count, stratified_split
from train.data.source import Example, Source, Subset
from zoo.images import upright, upright_size

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_OTHER_SUFFIXES = (".gif", ".jfif", ".jpe", ".jp2", ".avif", ".heic", ".heif", ".tga", ".pnm")
"""Of images that are not read, and not passed over either."""
_TEST_NAMES = ("test", "val")  # ImageNet's is called val


class Labelled(Source):
    """A source whose examples are files or folders with a label each."""

    files: list[Path]
    labels: Int[np.ndarray, "rows"]


class FolderSource(Labelled):
    """The images of some files, all of one size; grey ones become RGB when any is coloured, alpha is dropped.

    Photographs are turned upright, as their EXIF orientation says.

    Sizes are read from the headers when the source is made; pixels when an example is asked for. With `any_size`
    no file is opened before its image is, and all are RGB.
    """

    def __init__(
        self, name: str, files: list[Path], labels: list[int], class_names: tuple[str, ...], any_size: bool = False
    ) -> None:
        self.name = name
        self.facts = Facts(class_names)
        self.files = files
        self.labels = np.array(labels, np.int32)
        shape = (None, None, 3) if any_size else _shape_of(files)
        self.spec = {"image": Field(Kind.IMAGE, shape, "uint8"), "label": Field(Kind.LABEL, (), "int32")}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Example:
        file, shape = self.files[row], self.spec["image"].shape
        with opened(file, file) as image:
            check_mode(image, file)
            pixels = np.asarray(upright(image).convert("RGB" if shape[2] == 3 else "L"))
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if None not in shape and pixels.shape != shape:
            raise DataError(f"{file}: expected shape {shape}, found {pixels.shape}; it has changed")
        return {"image": pixels, "label": self.labels[row]}

    def peek(self, row: int, field: str) -> Any:
        """One field of an example; its label is known from its folder."""
        return int(self.labels[row]) if field == "label" else self[row][field]


def _shape_of(files: list[Path]) -> tuple[int, int, int]:
    """What all files agree on."""
    with ThreadPoolExecutor() as pool:
        headers = list(pool.map(_header, files))
    width, height = headers[0][0]
    for file, (size, _) in zip(files, headers, strict=True):
        if size != (width, height):
            raise DataError(
                f"{file}: expected {height}x{width} pixels (height x width) as {files[0]} has,"
                f" found {size[1]}x{size[0]}; resize all images to one size first,"
                " or cut them to one with --data.crop"
            )
    return height, width, 3 if any(mode in COLOUR for _, mode in headers) else 1


def _header(file: Path) -> tuple[tuple[int, int], str]:
    with opened(file, file) as image:
        check_mode(image, file)
        return upright_size(image), image.mode


def _classes(root: Path) -> dict[str, list[Path]]:
    """The image files of each class folder and of the folders in it, all sorted by name."""
    classes = {}
    for folder, is_folder in listed(root):
        if not is_folder:
            if folder.suffix.lower() in SUFFIXES:
                raise DataError(f"{folder}: expected every image in a class folder {root}/CLASS/, found it outside")
            continue
        files = _images(folder)
        if not files:
            raise DataError(f"{folder}: expected images ({' '.join(SUFFIXES)}) of class {folder.name!r}, found none")
        classes[folder.name] = files
    if not classes:
        raise DataError(f"{root}: expected class folders, found none")
    return classes


def images_in(folder: Path) -> tuple[Path, ...]:
    """The image files that lie in a folder itself, by name; what begins with a dot is left out.

    Raises:
      DataError: there are none, or the folder cannot be read.
    """
    found = tuple(path for path, is_folder in listed(folder) if not is_folder and path.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(f"{folder}: expected images ({' '.join(SUFFIXES)}), found none")
    return found


def _images(top: Path) -> list[Path]:
    """The image files of a folder and of those in it, at all levels; what begins with a dot is left out.

    Raises:
      DataError: a folder cannot be read, a link leads back to one above it, or an image is of a kind that is not read.
    """
    found, waiting = [], [(top, frozenset[Path]())]
    while waiting:
        folder, above = waiting.pop()
        here = folder.resolve()
        if here in above:
            raise DataError(f"{folder}: expected a folder of images, found a link back to {here}")
        for path, is_folder in listed(folder):
            suffix = path.suffix.lower()
            if is_folder:
                waiting.append((path, above | {here}))
            elif suffix in SUFFIXES:
                found.append(path)
            elif suffix in _OTHER_SUFFIXES:
                raise DataError(f"{path}: expected images ({' '.join(SUFFIXES)}), found {suffix}; convert or remove it")
    return sorted(found, key=lambda path: path.parts)


def listed(folder: Path) -> list[tuple[Path, bool]]:
    """What is in a folder, by name, and whether it is a folder too; but for what begins with a dot."""
    try:
        with os.scandir(folder) as entries:
            shown = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
            return [(folder / entry.name, entry.is_dir()) for entry in shown]
    except OSError as error:
        raise DataError(f"{folder}: expected a folder that can be read: {error.strerror}") from error


def folder(path: str, split: Literal["train", "test"], any_size: bool = False, held_out: int = 0) -> Source:
    """The images of one split, see `folder_splits`."""
    return folder_splits(path, any_size, held_out)[split]


def folder_splits(path: str, any_size: bool = False, held_out: int = 0) -> dict[str, Source]:
    """The images of a folder, "train" and "test", labelled by their class folder's name in alphabetical order.

    A class folder may hold further folders, whose images are of that class too. Where root/train and root/test (or
    root/val) exist they are the splits; otherwise as large a share of each class is held out, by a fixed seed.

    Args:
      path: the folder.
      any_size: whether images may differ in size; see `FolderSource`.
      held_out: images of the test where no folder says which they are; 0: a fifth.

    Raises:
      DataError: a file cannot be read, has another size or lies outside a class folder; a class is empty,
        or known in one split only. The message names the file.
    """
    name = f"folder:{path}"
    return splits_of_classes(path, name, held_out, _classes, lambda classes: _source(name, classes, any_size))


def splits_of_classes(
    path: str,
    name: str,
    held_out: int,
    classes_of: Callable[[Path], dict[str, list[Path]]],
    source_of: Callable[[dict[str, list[Path]]], Labelled],
    groups_of: Callable[[Sequence[Path]], Int[np.ndarray, "rows"] | None] = lambda files: None,
) -> dict[str, Source]:
    """The splits of a folder of class folders, or of two such folders, train and test (or val).

    Args:
      path: the folder.
      name: of the source.
      held_out: examples of the test where no folder says which they are; 0: a fifth.
      classes_of: what a folder of class folders has of each class.
      source_of: the examples of some classes.
      groups_of: a number an example; those of one number are held out together. None: each alone.

    Raises:
      DataError: see `folder_splits`.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of class folders, found {'a file' if root.exists() else 'nothing'}")
    parts = [part for part in ("train", *_TEST_NAMES) if (root / part).is_dir()]
    if not parts:
        whole = source_of(classes_of(root))
        count = held_out_count(len(whole), held_out, name)
        train, test = stratified_split(whole.labels, count, groups=groups_of(whole.files))
        return {"train": Subset(whole, train), "test": Subset(whole, test)}
    no_held_out_count(held_out, name)
    if len(parts) == 1:
        missing = "test" if parts == ["train"] else "train"
        raise DataError(f"{root}: expected both train/ and test/ or neither, found no {missing}/")
    if parts[0] != "train" or len(parts) > 2:
        raise DataError(f"{root}: expected train/ and one of test/ and val/, found {', '.join(parts)}")
    other_part = parts[1]
    classes = {part: classes_of(root / part) for part in parts}
    for one, other in (("train", other_part), (other_part, "train")):
        if extra := sorted(set(classes[one]) - set(classes[other])):
            raise DataError(f"{root / one / extra[0]}: expected the same classes in {other}/, found none so named")
    # One source of both splits, so that their sizes and channels agree.
    whole = source_of({c: classes["train"][c] + classes[other_part][c] for c in classes["train"]})
    return divided(whole, np.array([file.is_relative_to(root / other_part) for file in whole.files]))


def divided(whole: Source, is_test: Bool[np.ndarray, "rows"]) -> dict[str, Source]:
    """The splits of a source of both."""
    return {"train": Subset(whole, np.flatnonzero(~is_test)), "test": Subset(whole, np.flatnonzero(is_test))}


def _source(name: str, classes: dict[str, list[Path]], any_size: bool) -> FolderSource:
    files = [file for files in classes.values() for file in files]
    labels = [label for label, files in enumerate(classes.values()) for _ in files]
    return FolderSource(name, files, labels, tuple(classes), any_size)
