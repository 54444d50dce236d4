"""How classes and numbers of videos are shown: as images' are, with film strips in place of pictures."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from train.data.sampled import CLIP, READABLE
from train.report import Results, Run
from train.report.blocks import section
from train.report.sample import Kept, Leading
from train.report.sections import themed
from train.report.strips import Strip, board
from train.report.words import grouped
from train.tasks.classification.page import ClassPage
from train.tasks.protocol import HostBatch, HostPrediction
from train.tasks.regression.page import ValuePage

SHOWN = 10
"""Videos of each section."""
PICTURES = 6
"""Frames of a strip, at most: spread evenly over the clip in the middle."""
LARGEST = 96
"""Pixels a side of a frame that is kept: of a larger one every second pixel, or every third, and so on."""
SIDE = 0.9
"""Inches of a frame's longer side."""


class FilmStrips:
    """What both pages have before that of images: strips of the examples that they keep, and a count of videos that
    could not be read.
    """

    def __init__(self, frames: int) -> None:
        self.frames = frames
        """Of a clip."""
        self.unreadable = 0

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        super().add(*self.readable(batch, predicted))

    def merge(self, other: "FilmStrips") -> None:
        """See `Page`."""
        super().merge(other)
        self.unreadable += other.unreadable

    def results(self, run: Run) -> Results:
        """See `Page`."""
        results = super().results(run)
        return dataclasses.replace(results, notes=[*results.notes, *self.notes()])

    def readable(
        self, batch: HostBatch, predicted: HostPrediction
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Those of a batch that could be read; counts the others."""
        if READABLE not in batch:
            return dict(batch), dict(predicted)
        seen = batch[READABLE]
        self.unreadable += int(np.count_nonzero(~seen))
        return tuple({name: value[seen] for name, value in each.items()} for each in (batch, predicted))

    def strips(self, clips: UInt8[np.ndarray, "n frames h w c"]) -> UInt8[np.ndarray, "n pictures h2 w2 c"]:
        """What is kept of the clip in the middle of each."""
        count = clips.shape[1] // self.frames
        clip = clips[:, count // 2 * self.frames : (count // 2 + 1) * self.frames]
        every = -(-max(clip.shape[2:4]) // LARGEST)
        return clip[:, self.numbers(), ::every, ::every]

    def numbers(self) -> Int[np.ndarray, "pictures"]:
        """Which frames of a clip a strip shows."""
        return np.unique(np.linspace(0, self.frames - 1, min(PICTURES, self.frames)).round().astype(int))

    def kept(self, batch: HostBatch, among: Int[np.ndarray, " m"], said: dict[str, np.ndarray]) -> Kept:
        """See `ClassPage`: strips."""

        def values_of(chosen: Int[np.ndarray, " chosen"]) -> dict[str, np.ndarray]:
            some = among[chosen]
            strips = self.strips(batch[CLIP][some])
            return {"image": strips, **{name: array[some] for name, array in said.items()}}

        return values_of

    def section(
        self, title: str, leading: Leading, text: str, caption: Callable[..., Sequence[str]], by_row: bool = False
    ) -> tuple[str, bytes | None]:
        """Strips with what is said of each, as a section and as a picture; of no example there is none."""
        kept: Sequence[Mapping[str, Any]] = leading.examples(by_row)[:SHOWN]
        if not kept:
            return section(title, text="None."), None
        shown = []
        for each in kept:
            said = {name: value for name, value in each.items() if name not in ("image", "row")}
            shown.append(Strip(each["image"], f"video {each['row']}: {', '.join(caption(**said))}"))
        titles = [f"frame {number + 1}" for number in self.numbers()]
        columns = 2 if len(shown) > 1 and len(titles) * SIDE < 6 else 1
        block, light = themed(lambda theme: board(shown, titles, columns, SIDE, 0.1, theme).figure, f"{title}: {text}")
        return section(title, block, text=f"{len(shown)} shown, {text}"), light

    def notes(self) -> list[str]:
        """What has to be said of videos that are not among those counted."""
        count = self.unreadable
        return [f"Videos that could not be read, left out: {grouped(count)}."] if count else []


class VideoPage(FilmStrips, ClassPage):
    """The page of a class a video."""

    def __init__(self, class_names: Sequence[str], frames: int) -> None:
        ClassPage.__init__(self, class_names)
        FilmStrips.__init__(self, frames)

    def shown(self, count: int, right: int) -> tuple[list[str], dict[str, bytes]]:
        """See `ClassPage`."""
        wrong, picture = self.section(
            "Wrong predictions", self.wrong, f"most confident first, {grouped(count - right)} in all.", self.caption
        )
        rights, other = self.section(
            "Right predictions",
            self.right,
            f"spread evenly over the {grouped(right)} right ones.",
            self.caption,
            by_row=True,
        )
        pictures = {"predictions.png": picture or other, "right.png": other if picture else None}
        return [wrong, rights], {name: each for name, each in pictures.items() if each is not None}


class VideoValuePage(FilmStrips, ValuePage):
    """The page of a number a video."""

    def __init__(self, unit: str, frames: int) -> None:
        ValuePage.__init__(self, unit)
        FilmStrips.__init__(self, frames)

    def shown(self) -> tuple[list[str], dict[str, bytes]]:
        """See `ValuePage`."""
        worst, picture = self.section("Largest errors", self.worst, "largest first.", self.caption)
        some, other = self.section("Examples", self.some, "spread evenly over the test set.", self.caption, by_row=True)
        pictures = {"predictions.png": picture or other}
        return [worst, some], {name: each for name, each in pictures.items() if each is not None}
