"""Clips of videos: the frames that a recipe's sampling takes, anew in each epoch; videos that break stop no run."""

import warnings
from typing import Any

import numpy as np
from jaxtyping import UInt8

from train.config import DataError
from train.data.fields import Field, Kind
from train.data.recordings import ArrayRecording, Recording
from train.data.sampling import Sampling, TooShortError
from train.data.source import Example, Rows, Source, Wrapped, generator

CLIP = "clip"
"""Of the field: before it is sampled an example has a `Recording` there, or all frames."""
READABLE = "readable"
"""Of the field that is false where a clip is black because its video could not be read."""
_TIMES = 2  # what random numbers are drawn for, beside the order of the examples, and windows
_LOOKED_AT = 8  # videos of which one has to be readable
_BLACK = (16, 16)  # height and width of a clip in place of one of any size


class Sampled(Wrapped):
    """The examples of another source, whose videos become clips of one length, several of them one after the other.

    Args:
      source: its field `clip` is of a varying number of frames, which are recordings, or of a fixed one, then arrays.
      sampling: which frames.
      trains: whether frames are drawn anew in each epoch.
      skips: whether a video that is broken or too short warns, and becomes a black clip that is not `readable`; else
        it raises.

    Raises:
      DataError: every video is too short, or of several that are spread over the source none can be read.
    """

    def __init__(self, source: Source, sampling: Sampling, trains: bool, skips: bool) -> None:
        field = source.spec[CLIP]
        self._count, self._may_break = sampling.frames * sampling.clips, skips and field.shape[0] is None
        spec = {**source.spec, CLIP: field._replace(shape=(self._count, *field.shape[1:]))}
        if self._may_break:
            spec[READABLE] = Field(Kind.PLAIN, (), "bool")
        super().__init__(source, spec)
        self._sampling, self._draws = sampling, trains and sampling.draws
        self.varies = source.varies or self._draws
        self._check()

    def change(self, example: Example, row: int) -> Example:
        """The example as evaluation sees it."""
        return self._taken(example, row, None)

    def variants(self, rows: Rows, seed: int, epoch: int) -> list[Example]:
        """Some examples, their frames as seed, epoch and row decide."""
        found = zip(self.source.variants(rows, seed, epoch), (int(row) for row in rows), strict=True)
        return [
            self._taken(each, row, generator(seed, epoch, row, _TIMES) if self._draws else None) for each, row in found
        ]

    def peek(self, row: int, field: str) -> Any:
        """One field of an example; no video is opened for others than its own."""
        return self[row][field] if field in (CLIP, READABLE) else self.source.peek(row, field)

    def _taken(self, example: Example, row: int, random: np.random.Generator | None) -> Example:
        if not self._may_break:
            return {**example, CLIP: self._clip(example, row, random)}
        try:
            return {**example, CLIP: self._clip(example, row, random), READABLE: np.bool_(True)}
        except DataError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
            return {**example, CLIP: self._black(), READABLE: np.bool_(False)}

    def _clip(
        self, example: Example, row: int, random: np.random.Generator | None
    ) -> UInt8[np.ndarray, "frames height width channels"]:
        recording: Recording = example[CLIP]
        if isinstance(recording, np.ndarray):
            recording = ArrayRecording(recording)
        times = recording.times()
        try:
            numbers = self._sampling.still(times) if random is None else self._sampling.drawn(times, random)
        except TooShortError as error:
            raise DataError(f"{_said(recording, self.name, row)}: {error}") from None
        frames = recording.frames(numbers)
        expected = self.spec[CLIP].shape
        if any(size not in (None, found) for size, found in zip(expected, frames.shape, strict=True)):
            raise DataError(
                f"{_said(recording, self.name, row)}: expected frames {expected[1:]} as others have, found "
                f"{frames.shape[1:]}; cut them to one size with --data.crop"
            )
        return frames

    def _black(self) -> UInt8[np.ndarray, "frames height width channels"]:
        count, height, width, channels = self.spec[CLIP].shape
        return np.zeros((count, height or _BLACK[0], width or _BLACK[1], channels), np.uint8)

    def _check(self) -> None:
        """Refuses settings with which no video could be read: a run of black clips would be worth nothing."""
        if not len(self.source):
            return
        if not self._may_break:
            if self.source.spec[CLIP].shape[0] is not None:
                self._clip(self.source[0], 0, None)
            return
        first = None
        for row in np.unique(np.linspace(0, len(self.source) - 1, _LOOKED_AT).astype(int)):
            try:
                self._clip(self.source[int(row)], int(row), None)
                return
            except DataError as error:
                first = first or error
        raise DataError(f"{self.name}: no video of several can be used, for the first: {first}") from first


def _said(recording: Recording, name: str, row: int) -> str:
    """Where a recording is, for messages."""
    if (path := getattr(recording, "path", None)) is not None:
        return str(path)
    if files := getattr(recording, "files", ()):
        return str(files[0].parent)
    return getattr(recording, "place", "") or f"{name}, row {row}"
