"""Kinetics' lists: a clip of YouTube a line, which is a file named by its video and seconds, where there still is one.

Kay et al., 2017, The Kinetics Human Action Video Dataset (400 classes), and its successors of 600 and 700: train.csv,
and validate.csv, val.csv or test.csv, with the columns label, youtube_id, time_start, time_end, split and what else
there is, such as is_cc.
"""

import csv
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from train.config import DataError
from train.data.video_file import SUFFIXES

SUFFIX = ".csv"
COLUMNS = ("label", "youtube_id", "time_start", "time_end")
"""Those that are read; `split` too, where one file lists both splits."""
_OTHERS = ("validate", "val", "test")
"""What the split that is not trained on is called, in files' names and in the column; the first that is there counts,
for some lists of the test have no labels."""


class Listed(NamedTuple):
    """A line of a list."""

    label: str
    stem: str
    """Of the clip's file: the video, and its first and last second in six digits."""
    split: str
    """What the column says; empty where there is none."""


class Known(NamedTuple):
    """What lists say of a folder."""

    classes: tuple[str, ...]
    """In alphabetical order, which is that of published weights; of clips that are not there too."""
    clips: dict[str, list[tuple[str, Path]]]
    """Class and file of those of "train" and "test" that are there, in the order of the lists."""


def kinetics_lists(root: Path, names: Path) -> Known:
    """The classes, and the clips of "train" and "test".

    A file may lie anywhere below the folder: its name says which clip it is, and the list which class. Of clips that
    are not there one warning says how many.

    Args:
      root: the folder of the clips.
      names: the list of training, whose name says `train`, beside one whose name says `validate`, `val` or `test`
        instead; or a list of both, whose column `split` says so.

    Raises:
      DataError: there is no such folder or list; columns are missing, or a line says something else; a clip is of two
        splits or classes, a class is not in training; or of a split no clip is there.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of clips, found {'a file' if root.exists() else 'nothing'}")
    lists = {split: list(dict.fromkeys(lines)) for split, lines in _lists(names).items()}
    _check(names, lists)
    there, found = _clips_below(root), {}
    for split, lines in lists.items():
        found[split] = [(line.label, there[line.stem]) for line in lines if line.stem in there]
        if not found[split]:
            raise DataError(f"{root}: expected clips of {names}, such as {lines[0].stem}.mp4, found none for {split}")
    if gone := [line.stem for lines in lists.values() for line in lines if line.stem not in there]:
        count = sum(map(len, lists.values()))
        warnings.warn(f"{names}: {len(gone)} of {count} clips are not in {root}, such as {min(gone)}", stacklevel=3)
    return Known(tuple(sorted({line.label for line in lists["train"]})), found)


def _lists(names: Path) -> dict[str, list[Listed]]:
    """The lines of each split."""
    first = _lines(names)
    if others := {line.split for line in first} & set(_OTHERS):
        other = min(others, key=_OTHERS.index)
        return {to: [line for line in first if line.split == of] for to, of in (("train", "train"), ("test", other))}
    if "train" not in names.name:
        raise DataError(f"{names}: expected the list of training clips, whose name says train, or a column split")
    beside = [names.with_name(names.name.replace("train", other)) for other in _OTHERS]
    for path in beside:
        if path.is_file():
            return {"train": first, "test": _lines(path)}
    raise DataError(f"{names}: expected {' or '.join(path.name for path in beside)} beside it, found none")


def _lines(file: Path) -> list[Listed]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.DictReader(text)
            columns = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if columns:
                raise DataError(f"{file}: expected the columns {', '.join(COLUMNS)}, found {rows.fieldnames}")
            found = [_line(row, f"{file}, line {rows.line_num}") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: expected a list of clips that can be read: {error}") from error
    if not found:
        raise DataError(f"{file}: expected a clip a line, found none")
    return found


def _line(row: Mapping[str, str | None], where: str) -> Listed:
    label, video, *times = (row[column] for column in COLUMNS)
    try:
        start, end = (int(float(time or "")) for time in times)
    except (ValueError, OverflowError):
        raise DataError(f"{where}: expected seconds as time_start and time_end, found {times}") from None
    if not label or not video or not 0 <= start < end:
        raise DataError(f"{where}: expected a label, a video and a time that ends after it begins, found {dict(row)}")
    return Listed(label, f"{video}_{start:06}_{end:06}", row.get("split") or "")


def _check(names: Path, lists: Mapping[str, list[Listed]]) -> None:
    if not lists["train"]:
        raise DataError(f"{names}: expected clips for training, found none")
    known: set[str] = set()
    for line in (line for lines in lists.values() for line in lines):
        if line.stem in known:
            raise DataError(f"{names}: expected one class and one split of each clip, found two of {line.stem}")
        known.add(line.stem)
    classes = {line.label for line in lists["train"]}
    if extra := sorted({line.label for line in lists["test"]} - classes):
        raise DataError(f"{names}: expected clips of class {extra[0]!r}, as the test has, found none")


def _clips_below(root: Path) -> dict[str, Path]:
    """Video files at all levels, by name without suffix; of several of one name the first."""
    found: dict[str, Path] = {}
    for folder, folders, files in os.walk(root):
        folders.sort()
        for file in sorted(files):
            path = Path(folder, file)
            if path.suffix.lower() in SUFFIXES:
                found.setdefault(path.stem, path)
    return found
