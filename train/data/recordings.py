"""Videos that are not decoded yet: how many frames there are, when, and those that are asked for."""

import functools
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.config import DataError
from train.data.decode import opened, rgb
from train.data.video_file import USUAL_RATE, Video
from zoo.images import upright

Frames = UInt8[np.ndarray, "frames height width channels"]


class Recording(Protocol):
    """A video that is read when frames of it are asked for; can be pickled."""

    def times(self) -> Float[np.ndarray, "frames"]:
        """When each frame appears, in seconds from any moment on, ascending.

        Raises:
          DataError: it cannot be read.
        """

    def frames(self, numbers: Sequence[int]) -> Frames:
        """Some frames by their numbers, which may repeat, in the order in which they are asked for.

        Raises:
          DataError: they cannot be read.
        """

    def size(self) -> tuple[int, int]:
        """Height and width, from the beginning of the file alone.

        Raises:
          DataError: it cannot be read.
        """


class VideoRecording(NamedTuple):
    """A video file; see `train.data.video_file`."""

    path: Path

    def times(self) -> Float[np.ndarray, "frames"]:
        """See `Recording`: as the file lists them; no frame is decoded."""
        if not self.path.is_file():
            raise DataError(f"{self.path}: no such file")
        stat = self.path.stat()
        return _listed_times(self.path, stat.st_size, stat.st_mtime_ns)

    def frames(self, numbers: Sequence[int]) -> Frames:
        """See `Recording`."""
        with Video(self.path) as video:
            found = {number: np.asarray(picture) for number, picture in video.pick(numbers)}
        return _in_order(found, numbers, self.path)

    def clips(self, numbers: Int[np.ndarray, "clips frames"]) -> Iterator[Frames]:
        """Several clips, in one pass of the file: one is in memory, with what it shares with those that follow.

        Args:
          numbers: of the frames of each, ascending; no clip begins before the one before it.

        Raises:
          DataError: they cannot be read.
        """
        found: dict[int, np.ndarray] = {}
        with Video(self.path) as video:
            picked = video.pick(numbers.ravel())
            for clip in numbers:
                found = {number: frame for number, frame in found.items() if number >= clip[0]}
                while clip[-1] not in found:
                    number, picture = next(picked)
                    found[number] = np.asarray(picture)
                yield _in_order(found, clip, self.path)

    def size(self) -> tuple[int, int]:
        """See `Recording`."""
        with Video(self.path) as video:
            frame = next(iter(video), None)
        if frame is None:
            raise DataError(f"{self.path}: expected a readable video: it has no frame")
        return frame.picture.height, frame.picture.width


@functools.lru_cache(maxsize=2**14)
def _listed_times(path: Path, size: int, changed: int) -> Float[np.ndarray, "frames"]:
    """Of a file as it is now; a training run asks in each epoch."""
    with Video(path) as video:
        times = np.array([float(time) for time in video.times()])
    times.flags.writeable = False
    return times


class FolderRecording(NamedTuple):
    """A folder of frames, in the order of their names, 25 a second; a number that is left out counts for nothing."""

    files: tuple[Path, ...]

    def times(self) -> Float[np.ndarray, "frames"]:
        """See `Recording`."""
        return np.arange(len(self.files)) / float(USUAL_RATE)

    def frames(self, numbers: Sequence[int]) -> Frames:
        """See `Recording`."""
        return _in_order({number: self._frame(number) for number in {*numbers}}, numbers, self.files[0].parent)

    def size(self) -> tuple[int, int]:
        """See `Recording`."""
        return self._frame(0).shape[:2]

    def clips(self, numbers: Int[np.ndarray, "clips frames"]) -> Iterator[Frames]:
        """Several clips, one in memory at a time; see `VideoRecording`."""
        return map(self.frames, numbers)

    def _frame(self, number: int) -> UInt8[np.ndarray, "height width 3"]:
        file = self.files[number]
        with opened(file, file) as image:
            return np.asarray(rgb(upright(image), file))


class EncodedRecording(NamedTuple):
    """Frames that are images of some bytes each, as in a TFDS set, 25 a second."""

    images: tuple[bytes, ...]
    place: str

    def times(self) -> Float[np.ndarray, "frames"]:
        """See `Recording`."""
        return np.arange(len(self.images)) / float(USUAL_RATE)

    def frames(self, numbers: Sequence[int]) -> Frames:
        """See `Recording`."""
        return _in_order({number: self._frame(number) for number in {*numbers}}, numbers, self.place)

    def size(self) -> tuple[int, int]:
        """See `Recording`."""
        return self._frame(0).shape[:2]

    def _frame(self, number: int) -> UInt8[np.ndarray, "height width 3"]:
        with opened(io.BytesIO(self.images[number]), f"{self.place}, frame {number}") as image:
            return np.asarray(rgb(image, self.place))


class ArrayRecording(NamedTuple):
    """Frames that are there, 25 a second."""

    pixels: Frames

    def times(self) -> Float[np.ndarray, "frames"]:
        """See `Recording`."""
        return np.arange(len(self.pixels)) / float(USUAL_RATE)

    def frames(self, numbers: Sequence[int]) -> Frames:
        """See `Recording`."""
        return self.pixels[np.asarray(numbers)]

    def size(self) -> tuple[int, int]:
        """See `Recording`."""
        return self.pixels.shape[1:3]


def _in_order(found: dict[int, np.ndarray], numbers: Sequence[int], place: object) -> Frames:
    shapes = sorted({frame.shape for frame in found.values()})
    if len(shapes) > 1:
        raise DataError(f"{place}: expected frames of one size, found {shapes}")
    return np.stack([found[int(number)] for number in numbers])
