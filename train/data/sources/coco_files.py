"""Files in COCO's json, whatever they are about: their lists, their images, and the file that is the test.

Lin et al., 2014, Microsoft COCO: Common Objects in Context; https://cocodataset.org/#format-data.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.config import DataError
from zoo.arrays import in_a_line

HELD_OUT = ("val", "valid", "test")
"""What names of a test say where those of training say "train"."""


def read_json(file: Path) -> dict[str, Any]:
    """What a file says.

    Raises:
      DataError: there is none, or it is no json of names and values.
    """
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"{file}: expected annotations in COCO's format: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{file}: expected json: {in_a_line(error)}") from error
    if not isinstance(found, dict):
        raise DataError(f"{file}: expected images, annotations and categories, found a {type(found).__name__}")
    return found


def listed(file: Path, found: dict[str, Any], name: str, *keys: str) -> list[dict[str, Any]]:
    """A list of the file, whose entries have all of these.

    Raises:
      DataError: there is no such list, or one of its entries lacks something.
    """
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


def images_of(file: Path, found: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[Any, int]]:
    """The images, and the row of each by its id.

    Raises:
      DataError: an image lacks something, or two have one id.
    """
    images = listed(file, found, "images", "id", "file_name", "height", "width")
    rows = {image["id"]: row for row, image in enumerate(images)}
    if len(rows) < len(images):
        raise DataError(f"{file}: expected each image id once, found {len(images) - len(rows)} more than once")
    return images, rows


def files_of(file: Path, names: Sequence[str], folder: Path | None) -> list[Path]:
    """The paths of images; looked for in the folder, or else near the annotations.

    Raises:
      DataError: the first of them is in none of these places.
    """
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


def held_out_beside(file: Path) -> Path | None:
    """The file of the test that stands beside one of training."""
    for word in HELD_OUT:
        for other in (
            file.with_name(file.name.replace("train", word)),
            file.parent.with_name(file.parent.name.replace("train", word)) / file.name if file.parent.name else file,
        ):
            if other != file and other.is_file():
                return other
    return None


def instead(folder: Path, test: Path) -> Path:
    """The folder of the test's images: that of training's with the test's word, where there is one."""
    for word in HELD_OUT:
        other = folder.with_name(folder.name.replace("train", word))
        if other != folder and other.is_dir() and word in str(test):
            return other
    return folder
