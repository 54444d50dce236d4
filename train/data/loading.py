"""Sources by name: the one table from a recipe's `data.source` to its examples."""

import dataclasses
import math
from typing import Literal

from train.data.builtin import digits, rotated_digits
from train.data.folder import folder
from train.data.framing import Framed, Framing
from train.data.npz import npz
from train.data.pipeline import MEMORY_LIMIT
from train.data.rotated import Rotated
from train.data.selection import OfClasses, imbalanced_subset
from train.data.source import Source, balanced_subset, in_memory
from train.data.tfds import TfdsSource
from zoo.names import unknown

_ANGLES = {"train": 0, "test": 1}
"""Seeds of the angles by which images are turned."""


@dataclasses.dataclass(frozen=True)
class Part:
    """What is made of a source beside its number of examples."""

    classes: tuple[str, ...] = ()
    """These classes only, by name."""
    per_class: tuple[int, ...] = ()
    """Training examples of the first and of the last class; the others lie evenly in between."""
    rotate: tuple[float, ...] = ()
    """Degrees between which each image is turned; the angle is its target."""


NAMES = ("digits", "rotated_digits", "tfds:NAME", "folder:PATH", "npz:PATH")


def load(
    source_name: str,
    split: Literal["train", "test"],
    data_dir: str | None = None,
    limit: int | None = None,
    framing: Framing | None = None,
    part: Part = Part(),
) -> Source:
    """A source by name: digits, rotated_digits, tfds:NAME, folder:PATH or npz:PATH.

    Args:
      source_name: which, with what stands after the colon.
      split: "train" or "test".
      data_dir: where prepared TFDS data sets are; by default TFDS's own folder.
      limit: keep this many examples of the training split, drawn evenly from the classes and always the
        same ones; the test split is always whole, so that results compare.
      framing: how images become squares of one size; without it they have to have one.
      part: which classes, how many examples of each, and whether images are turned.

    Raises:
      UnknownNameError: no such source, with the nearest names.
      DataError: the data cannot be used; the message says where, what was expected and what came.

    >>> source = load("digits", "train", limit=100)
    >>> len(source), source.image_shape, source.class_names[:3]
    (100, (8, 8, 1), ('0', '1', '2'))
    """
    if split not in ("train", "test"):
        raise unknown("split", split, ("train", "test"))
    match source_name.partition(":"):
        case ("digits", "", ""):
            source = digits(split)
        case ("rotated_digits", "", ""):
            source = rotated_digits(split)
        case ("tfds", ":", name) if name:
            source = TfdsSource(name, split, data_dir, framing is not None)
        case ("folder", ":", path) if path:
            source = folder(path, split, framing is not None)
        case ("npz", ":", path) if path:
            source = npz(path, split)
        case _:
            raise unknown("data source", source_name, NAMES)
    if part != Part() and len(source) * math.prod(source.image_shape) <= MEMORY_LIMIT:
        source = in_memory(source)  # its labels are asked for more than once
    if part.classes:
        source = OfClasses(source, part.classes)
    if part.per_class and split == "train":
        source = imbalanced_subset(source, *part.per_class)
    if limit is not None and split == "train":
        source = balanced_subset(source, limit)
    if part.rotate:
        source = in_memory(Rotated(source, *part.rotate, seed=_ANGLES[split]))
    return source if framing is None else Framed(source, framing)
