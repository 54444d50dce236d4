"""Captions in COCO's json: several sentences about each image, as words of a vocabulary.

Chen et al., 2015, Microsoft COCO Captions: Data Collection and Evaluation Server; https://cocodataset.org/#format-data.
How a sentence becomes words is in `train.data.captions`. Lecture row L77.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from train.config import DataError
from train.data.captions import encoded, field_of, numbered, vocabulary_of, words_of
from train.data.fields import Facts
from train.data.select import held_out_count, no_held_out_count
from train.data.source import Source, Subset
from train.data.sources.coco_files import files_of, held_out_beside, images_of, instead, listed, read_json
from train.data.sources.objects import ObjectSource, held_out_rows

LONGEST = 62
"""Words of a caption at most: what is longer is cut off. The longest of COCO's has 49."""


class Captions(NamedTuple):
    """A file: its images, and the words of each image's captions."""

    files: list[Path]
    sizes: Int[np.ndarray, "images 2"]
    words: list[list[list[str]]]

    @property
    def most(self) -> int:
        """Captions of an image at most."""
        return max(map(len, self.words), default=0)

    @property
    def longest(self) -> int:
        """Words of a caption at most."""
        return min(LONGEST, max((len(words) for captions in self.words for words in captions), default=0))


class CaptionSource(ObjectSource):
    """Images with captions. An image without any is an example too, of which nothing is learned.

    Args:
      name: for messages.
      found: what the file says.
      vocabulary: of the training captions.
      most: captions of an image at most.
      length: tokens of a caption, its start and its end among them.
      any_size: whether images may differ in size.
    """

    def __init__(
        self, name: str, found: Captions, vocabulary: tuple[str, ...], most: int, length: int, any_size: bool
    ) -> None:
        fields = {"captions": field_of(most, length)}
        super().__init__(name, found.files, found.sizes, fields, Facts(vocabulary=vocabulary), any_size)
        every = [words for captions in found.words for words in captions]
        # As small numbers: worker processes get a copy each, and words would take several times as much.
        kind = np.uint16 if len(vocabulary) <= 2**16 else np.int32
        self._tokens = encoded(every, numbered(vocabulary), length).astype(kind)
        self._starts = np.cumsum([0, *map(len, found.words)])

    def objects(self, row: int, name: str) -> Int[np.ndarray, "captions length"]:
        """The captions of an image."""
        return self._tokens[self._starts[row] : self._starts[row + 1]].astype(np.int32)


def has_captions(found: Mapping[str, Any]) -> bool:
    """Whether a file is about captions, and not about objects."""
    entries = found.get("annotations")
    first = entries[0] if isinstance(entries, list) and entries else None
    return isinstance(first, dict) and "caption" in first and "bbox" not in first


def caption_splits(
    path: str, found: dict[str, Any], any_size: bool, held_out: int, rare_below: int
) -> Mapping[str, Source]:
    """The images of a file of captions, "train" and "test", see `train.data.sources.coco.coco_splits`.

    The vocabulary is of the training captions alone: the words that occur in them at least `rare_below` times.

    Raises:
      DataError: the file is not of this format, names images that are not there, or has no word often enough.
    """
    name = f"coco:{path}"
    where, _, folder = path.partition("@")
    file = Path(where).expanduser()
    train = read(file, found, Path(folder).expanduser() if folder else None)
    other = held_out_beside(file)
    if other is None:
        rows = held_out_rows(len(train.files), held_out_count(len(train.files), held_out, name))
        vocabulary = _vocabulary(name, [train.words[row] for row in rows[0]], rare_below)
        whole = CaptionSource(name, train, vocabulary, train.most, train.longest + 2, any_size)
        return {"train": Subset(whole, rows[0]), "test": Subset(whole, rows[1])}
    no_held_out_count(held_out, name)
    test = read(other, read_json(other), instead(Path(folder).expanduser(), other) if folder else None)
    vocabulary = _vocabulary(name, train.words, rare_below)
    shape = max(train.most, test.most), max(train.longest, test.longest) + 2
    return {
        split: CaptionSource(name, captions, vocabulary, *shape, any_size)
        for split, captions in {"train": train, "test": test}.items()
    }


def read(file: Path, found: dict[str, Any], folder: Path | None = None) -> Captions:
    """What a file of captions says; a caption without a word is left out.

    Args:
      file: the json, for messages, and near which its images are.
      found: what is in it.
      folder: where its images are instead.

    Raises:
      DataError: something is missing, is of another kind, or refers to what is not there.
    """
    images, rows = images_of(file, found)
    words: list[list[list[str]]] = [[] for _ in images]
    for each in listed(file, found, "annotations", "image_id", "caption"):
        if each["image_id"] not in rows:
            raise DataError(f"{file}: annotation {each.get('id')}: image_id {each['image_id']} is none of the file's")
        if not isinstance(each["caption"], str):
            raise DataError(f"{file}: annotation {each.get('id')}: expected a sentence, found {each['caption']!r}")
        if said := [sys.intern(word) for word in words_of(each["caption"])]:
            words[rows[each["image_id"]]].append(said)
    return Captions(
        files_of(file, [image["file_name"] for image in images], folder),
        np.array([[image["height"], image["width"]] for image in images], np.int64).reshape(-1, 2),
        words,
    )


def _vocabulary(name: str, captions: Sequence[Sequence[Sequence[str]]], least: int) -> tuple[str, ...]:
    """The words of the captions of images."""
    each = [words for of_image in captions for words in of_image]
    vocabulary = vocabulary_of(each, least)
    if not numbered(vocabulary):
        raise DataError(
            f"{name}: expected words that occur at least {least} times in {len(each)} training captions, found none;"
            " data.rare_below says how often"
        )
    return vocabulary
