"""Looks at every example of some data before anything is trained, and says what is wrong with which.

What is looked for follows from the kind of a field, whatever chapter the data is for: see `field_checks.py`.
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from train.config import Data, DataError
from train.data import Field, Kind, Source, load_unframed
from train.data.captions import UNKNOWN
from train.data.fields import PIXELS, Spec, aligned, size_of
from train.data.source import Example
from train.engine.console import Console
from train.use.field_checks import CHECKS, words_between

SHOWN = 10
"""Findings of one sort that are printed."""
NO_ERRORS = (
    *("image without objects", "duplicate image", "duplicate clip"),
    *("image without captions", "caption without a known word", "caption that is cut off", "unknown words"),
)
"""Sorts of findings that are only to be known."""


class Finding(NamedTuple):
    """Something wrong with an example."""

    split: str
    row: int | None
    """In the split; None of what is said of all of it, such as that it cannot be read."""
    sort: str
    """Such as "invalid box"."""
    about: str

    @property
    def is_error(self) -> bool:
        """Whether it has to be mended before training."""
        return self.sort not in NO_ERRORS


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
            source = load_unframed(dataclasses.replace(config, broken="stop", validation=0.0), split)
        except DataError as error:
            findings.append(Finding(split, None, "unreadable data", str(error)))
            continue
        counts[split] = len(source)
        findings += findings_of(source, split, seen)
    if not counts and findings[0].about == findings[1].about:
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
    words: dict[str, list[int]] = {name: [0, 0] for name, field in source.spec.items() if _has_sentences(field)}
    for row in range(len(source)):
        try:
            example = source[row]
        except DataError as error:
            yield Finding(split, row, "unreadable example", str(error))
            continue
        for sort, about in (*_of_fields(example, source), *_nothing_there(example, source.spec)):
            yield Finding(split, row, sort, about)
        yield from _seen_before(example, source.spec, split, row, seen)
        for name, counts in words.items():
            said = [words_between(tokens)[0] for tokens in example[name]]
            counts[0] += sum(int(np.count_nonzero(each == UNKNOWN)) for each in said)
            counts[1] += sum(map(len, said))
    for name, (unknown, every) in words.items():
        if unknown:
            yield Finding(split, None, "unknown words", f"{name}: {100 * unknown / every:.2f} % of {every:,}")


def _has_sentences(field: Field) -> bool:
    return field.kind == Kind.TOKENS and len(field.shape) == 2


def _of_fields(example: Example, source: Source) -> Iterator[tuple[str, str]]:
    """What is wrong with each field by itself."""
    spec = source.spec
    size = next((found for name, field in spec.items() if (found := _size(field, example[name]))), None)
    for name, field in spec.items():
        value = np.asarray(example[name])
        if field.kind in CHECKS:
            for sort, about in CHECKS[field.kind](value, source.facts, size):
                yield sort, f"{name}: {about}"
        if field.most and len(value) > field.most[0]:
            yield "too many objects", f"{name}: {len(value)} of at most {field.most[0]}"


def _nothing_there(example: Example, spec: Spec) -> Iterator[tuple[str, str]]:
    objects = [name for group in aligned(spec) for name in group if spec[name].kind == Kind.BOXES]
    if objects and not any(len(example[name]) for name in objects):
        yield "image without objects", "there is nothing to find"
    for name, field in spec.items():
        if _has_sentences(field) and not len(example[name]):
            yield "image without captions", f"{name}: nothing is said of it"


def _seen_before(
    example: Example, spec: Spec, split: str, row: int, seen: dict[bytes, tuple[str, int]]
) -> Iterator[Finding]:
    """Images that another example has; the others are added."""
    for name, field in spec.items():
        if field.kind not in PIXELS:
            continue
        value = np.asarray(example[name])
        key = hashlib.sha256(repr(value.shape).encode() + np.ascontiguousarray(value).tobytes()).digest()
        first = seen.setdefault(key, (split, row))
        if first != (split, row):
            what = "image" if field.kind == Kind.IMAGE else "clip"
            sort = f"duplicate {what}" if first[0] == split else f"{what} of both splits"
            yield Finding(split, row, sort, f"{name}: as {first[0]} row {first[1]}")


def _size(field: Field, value: Any) -> tuple[int, int] | None:
    """Height and width of what a field shows."""
    return size_of(field._replace(shape=np.shape(value))) if size_of(field) else None


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
