"""Where `predict` writes: all names are known, and checked, before anything is written."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from train.config import DataError

RECORDS = "predictions.json"
"""Records of all images of a call."""
_OF_VIDEO = re.compile(rb'\[\s*\{\s*"video": "(?:[^"\\]|\\.)*", "frame": 0, "seconds": ')
_ENOUGH = 8192
"""Bytes in which the beginning of a record is: names of files are shorter."""


class Outputs(NamedTuple):
    """Files that a call writes."""

    pictures: tuple[Path, ...]
    """One an image, in their order."""
    videos: tuple[Path, ...]
    """One a video, in their order; see `records_of` for the other file of each."""


def outputs_of(images: Sequence[Path], videos: Sequence[Path], folder: Path, suffixes: Sequence[str] = ()) -> Outputs:
    """The files that are written of some images and videos; no two inputs share a picture or a video.

    What an earlier call wrote into the folder is written over. Nothing else is where it is a folder of an input.

    Args:
      images: files that are predicted.
      videos: others, in the same call.
      folder: for what is written; it need not exist.
      suffixes: of further files beside each picture, see `beside`.

    Raises:
      DataError: a file would be written over an input, or over another file beside an input, or twice.
    """
    taken = set[str]()
    pictures = tuple(folder / _free_name(path.stem, ("png", *suffixes), taken) for path in images)
    drawn = tuple(folder / _free_name(path.stem, ("mp4",), taken) for path in videos)
    of = [*zip(pictures, images, strict=True), *((folder / RECORDS, path) for path in images[:1])]
    of += [(beside(file, suffix), path) for file, path in zip(pictures, images, strict=True) for suffix in suffixes]
    for video, source in zip(drawn, videos, strict=True):
        if images and records_of(video).name == RECORDS:
            told = f"{records_of(video)} would be written twice, of it and of {images[0]}"
            raise DataError(f"{source}: expected another name, or no images in the same call: {told}")
        of += [(video, source), (records_of(video), source)]
    inputs = (*images, *videos)
    holds_input = any(path.parent.resolve() == folder.resolve() for path in inputs)
    for file, source in of:
        expected = f"{source}: expected another folder for what is written"
        for path in inputs:
            if _is_same(file, path):
                raise DataError(f"{expected}: {file} would be written over the input {path}")
        if holds_input and file.exists() and not _is_written(file, ("png", *suffixes)):
            raise DataError(f"{expected}: {file} is there, of something else")
    return Outputs(pictures, drawn)


def records_of(video: Path) -> Path:
    """The file that holds the records of a video that is written."""
    return video.with_name(f"{video.stem}.json")


def beside(picture: Path, suffix: str) -> Path:
    """A further file of an image, named as its picture.

    >>> beside(Path("street.png"), "flo").name
    'street.flo'
    """
    return picture.with_name(f"{picture.stem}.{suffix}")


def _is_same(file: Path, other: Path) -> bool:
    if file.exists() and other.exists():
        return file.samefile(other)
    return file.resolve() == other.resolve()


def _is_written(file: Path, suffixes: Sequence[str]) -> bool:
    """Whether the last call that wrote here wrote a file, by the records in it, or beside it."""
    if file.suffix not in (".mp4", ".json"):
        endings = "|".join(map(re.escape, suffixes))
        stems = map(re.escape, _recorded(file.with_name(RECORDS)))
        return any(re.fullmatch(rf"{stem}(-\d+)?\.({endings})", file.name) for stem in stems)
    records = records_of(file) if file.suffix == ".mp4" else file
    if not records.is_file():
        return False
    with records.open("rb") as opened:
        is_of_video = _OF_VIDEO.match(opened.read(_ENOUGH)) is not None
    return is_of_video or (records.name == RECORDS and bool(_recorded(records)))


def _recorded(records: Path) -> list[str]:
    """The names of the images that a file has records of, without their suffixes; none of a file of something else."""
    try:
        return [Path(record["image"]).stem for record in json.loads(records.read_bytes())]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _free_name(stem: str, suffixes: Sequence[str], taken: set[str]) -> str:
    """The first name, of one a suffix, of files of one name of several folders; all of them are then taken.

    >>> _free_name("street", ("png", "flo"), {"street.flo"})
    'street-2.png'
    """
    names, number = [f"{stem}.{suffix}" for suffix in suffixes], 1
    while not taken.isdisjoint(names):
        number += 1
        names = [f"{stem}-{number}.{suffix}" for suffix in suffixes]
    taken.update(names)
    return names[0]
