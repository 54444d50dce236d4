"""Lists that say which videos are for training and which for the test, as UCF101's trainlist01.txt and testlist01.txt.

Soomro, Zamir and Shah, 2012, UCF101: three such pairs, of which papers state the mean or the first.
"""

import re
from pathlib import Path

from train.config import DataError
from train.data.sources.kinetics_lists import SUFFIX as KINETICS

SUFFIX = ".txt"
_SUFFIXES = (SUFFIX, KINETICS)
_TEST_NAMES = ("test", "val")
_NUMBERS = re.compile(r"(\s+\d+)+$")
"""Behind a name: its class as a number, in lists of folders of frames also how many there are."""


def parted(path: str) -> tuple[str, Path | None]:
    """The folder of the videos and the list of training, of PATH or PATH@LIST; that is a .txt, or Kinetics' .csv.

    >>> parted("UCF-101@lists/trainlist01.txt")
    ('UCF-101', PosixPath('lists/trainlist01.txt'))
    >>> parted("me@home/films")
    ('me@home/films', None)
    """
    folder, at, names = path.rpartition("@")
    return (folder, Path(names).expanduser()) if at and names.endswith(_SUFFIXES) else (path, None)


def split_lists(root: Path, names: Path) -> dict[str, list[Path]]:
    """The videos of "train" and "test", in the order of the lists: CLASS/NAME a line, and numbers that are not needed.

    Whether they are there is not looked at. What is in neither list is left out.

    Args:
      root: the folder in which the classes are.
      names: the list of training, whose name says `train`; that of the test is beside it, and says `test` or `val`.

    Raises:
      DataError: there is no such folder or list; a line has another form; a video is in both lists, or a class in one.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of class folders, found {'a file' if root.exists() else 'nothing'}")
    files = {"train": names, "test": _test_of(names)}
    found = {split: _lines(root, file) for split, file in files.items()}
    if both := set(found["train"]) & set(found["test"]):
        raise DataError(f"{min(both)}: expected in one list, found in {files['train']} and {files['test']}")
    classes = {split: {path.parent.name for path in paths} for split, paths in found.items()}
    for one, other in (("train", "test"), ("test", "train")):
        if extra := sorted(classes[one] - classes[other]):
            raise DataError(f"{files[other]}: expected videos of class {extra[0]!r}, as {files[one]} has, found none")
    return found


def _test_of(names: Path) -> Path:
    if "train" not in names.name:
        raise DataError(f"{names}: expected the list of training videos, whose name says train")
    others = [names.with_name(names.name.replace("train", test)) for test in _TEST_NAMES]
    for other in others:
        if other.is_file():
            return other
    raise DataError(f"{names}: expected {' or '.join(other.name for other in others)} beside it, found neither")


def _lines(root: Path, file: Path) -> list[Path]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: expected a list of videos that can be read: {error}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        name = Path(_NUMBERS.sub("", line.strip()))
        if not line.strip():
            continue
        if len(name.parts) < 2 or name.is_absolute():
            raise DataError(f"{file}, line {number}: expected CLASS/NAME, found {line!r}")
        found.append(root / name)
    if not found:
        raise DataError(f"{file}: expected a video a line, found none")
    return found
