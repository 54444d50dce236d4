"""Looks at every example of some data before anything is trained, and says what is wrong with which.

What is looked for follows from the kind of a field (`train.data.fields`), whatever chapter the data is for.
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from train.config import Data, DataError
from train.data import Field, Kind, Source, load_unframed
from train.data.fields import PIXELS, Facts, aligned, size_of
from train.engine.console import Console

SHOWN = 10
"""Findings of one sort that are printed."""


class Finding(NamedTuple):
    """Something wrong with an example."""

    split: str
    row: int | None
    """In the split; None where it cannot be read at all."""
    sort: str
    """Such as "invalid box"."""
    about: str
    is_error: bool = True
    """False where it is only to be known, such as an image without objects."""


def check_data(config: Data, console: Console | None = None) -> int:
    """Prints what is wrong with the examples of both splits, as they are before they are framed.

    Args:
      config: the data of a recipe.
      console: where to; by default the terminal.

    Returns:
      how many findings are errors.

    Raises:
      UnknownNameError: there is no such source.
    """
    console = console or Console()
    findings, seen, counts = [], {}, {}
    for split in ("train", "test"):
        try:
            source = load_unframed(dataclasses.replace(config, broken="stop"), split)
        except DataError as error:
            findings.append(Finding(split, None, "unreadable data", str(error)))
            continue
        counts[split] = len(source)
        findings += findings_of(source, split, seen)
    if len(findings) == 2 and findings[0].about == findings[1].about:
        findings = findings[:1]  # what holds both splits
    _print(console, config.source, counts, findings)
    return sum(finding.is_error for finding in findings)


def findings_of(source: Source, split: str, seen: dict[bytes, tuple[str, int]] | None = None) -> Iterator[Finding]:
    """What is wrong with the examples of a source.

    Args:
      source: the examples.
      split: what they are called in the findings.
      seen: images that were looked at before, by their bytes; those of this source are added.
    """
    seen = {} if seen is None else seen
    objects = [name for group in aligned(source.spec) for name in group if source.spec[name].kind == Kind.BOXES]
    for row in range(len(source)):
        try:
            example = source[row]
        except DataError as error:
            yield Finding(split, row, "unreadable example", str(error))
            continue
        size = next((found for name, field in source.spec.items() if (found := _size(field, example[name]))), None)
        for name, field in source.spec.items():
            value = np.asarray(example[name])
            if field.kind in _CHECKS:
                for sort, about in _CHECKS[field.kind](value, source.facts, size):
                    yield Finding(split, row, sort, f"{name}: {about}")
            if field.most and len(value) > field.most[0]:
                yield Finding(split, row, "too many objects", f"{name}: {len(value)} of at most {field.most[0]}")
            if field.kind in PIXELS:
                key = hashlib.sha256(repr(value.shape).encode() + np.ascontiguousarray(value).tobytes()).digest()
                first = seen.setdefault(key, (split, row))
                if first != (split, row):
                    what = "image" if field.kind == Kind.IMAGE else "clip"
                    sort = f"duplicate {what}" if first[0] == split else f"{what} of both splits"
                    yield Finding(split, row, sort, f"{name}: as {first[0]} row {first[1]}", first[0] != split)
        if objects and not any(len(example[name]) for name in objects):
            yield Finding(split, row, "image without objects", "there is nothing to find", is_error=False)


def _size(field: Field, value: Any) -> tuple[int, int] | None:
    """Height and width of what a field shows."""
    return size_of(field._replace(shape=np.shape(value))) if size_of(field) else None


Checked = Iterator[tuple[str, str]]
Size = tuple[int, int] | None


def _boxes(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    for number, box in enumerate(value.reshape(-1, 4)):
        left, top, right, bottom = box.tolist()
        said = f"object {number} ({left:g}, {top:g}, {right:g}, {bottom:g})"
        if not np.all(np.isfinite(box)):
            yield "box that is no number", said
        elif right <= left or bottom <= top:
            yield "box that ends before it begins", said
        elif size and (left < -1 or top < -1 or right > size[1] + 1 or bottom > size[0] + 1):  # rounding is fine
            yield "box outside the image", f"{said} of {size[0]}x{size[1]} pixels"


def _label(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    if facts.classes:
        yield from _out_of_range(value, len(facts.classes), ())


def _label_map(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    if facts.classes:
        yield from _out_of_range(value, len(facts.classes), (facts.ignore, facts.background))


def _out_of_range(value: np.ndarray, classes: int, others: tuple[int | None, ...]) -> Checked:
    for label, count in Counter(value.ravel().tolist()).items():
        if not 0 <= label < classes and label not in others:
            yield "label out of range", f"{count} times {label}, expected 0 to {classes - 1}"


def _masks(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    for number in np.flatnonzero(~value.reshape(len(value), int(np.prod(value.shape[1:]))).any(axis=1)):
        yield "empty mask", f"object {number}"
    if size and value.shape[1:] != size:
        yield "fields of two sizes", f"{value.shape[1]}x{value.shape[2]} pixels, the image {size[0]}x{size[1]}"


def _keypoints(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    points = value.reshape(-1, 3)
    points = points[points[:, 2] != 0]
    if not np.all(np.isfinite(points)):
        yield "keypoint that is no number", f"{np.count_nonzero(~np.isfinite(points).all(axis=1))} points"
    elif (
        size and (outside := ~np.all((points[:, :2] >= -1) & (points[:, :2] <= np.array(size[::-1]) + 1), axis=1)).any()
    ):
        yield "keypoint outside the image", f"{np.count_nonzero(outside)} points"


def _numbers(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    if value.dtype.kind == "f" and not np.all(np.isfinite(value)):
        yield "value that is no number", f"{np.count_nonzero(~np.isfinite(value))} of {value.size}"


_CHECKS: Mapping[Kind, Callable[[np.ndarray, Facts, Size], Checked]] = {
    Kind.BOXES: _boxes,
    Kind.LABEL: _label,
    Kind.LABEL_MAP: _label_map,
    Kind.MASKS: _masks,
    Kind.KEYPOINTS: _keypoints,
    Kind.VALUE: _numbers,
}
"""What may be wrong with a field of each kind; maps may have nan where nobody measured."""


def _print(console: Console, name: str, counts: dict[str, int], findings: list[Finding]) -> None:
    rows = [(f"{split} examples", f"{count:,}") for split, count in counts.items()]
    sorts = Counter((finding.is_error, finding.sort) for finding in findings)
    rows += [(sort, f"{count:,}{'' if is_error else ' (no error)'}") for (is_error, sort), count in sorts.items()]
    console.table(name, rows)
    for sort in dict.fromkeys(sort for _, sort in sorts):
        of = [each for each in findings if each.sort == sort]
        for each in of[:SHOWN]:
            console.say(f"{sort}: {each.split}{'' if each.row is None else f' row {each.row}'}: {each.about}")
        if len(of) > SHOWN:
            console.say(f"{sort}: ... and {len(of) - SHOWN:,} more")
    if not any(is_error for is_error, _ in sorts):
        console.say("nothing is wrong")
