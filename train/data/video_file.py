"""Video files, frame by frame: reading them upright with their times, and writing others. Needs the extra `video`."""

import collections
import contextlib
import importlib
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from train.config import DataError, RunError
from zoo.arrays import in_a_line
from zoo.images import open_image

SUFFIXES = frozenset(
    (
        *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
        *(".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv"),
    )
)
"""What the names of video files end with; a GIF is one where it moves."""
USUAL_RATE = Fraction(25)
"""Frames a second of a file that does not say it."""


_FAR = 48  # frames before the first that is wanted, from which on looking for a key frame pays
_UNSEEN = 2
_WITH_PACKED_FRAMES = ("mpeg4", "msmpeg4v2", "msmpeg4v3")  # whose files' times are not those of their frames
ENCODER = "libx264"
"""FFmpeg's name of what writes H.264."""


class VideoError(RunError):
    """Videos cannot be read or written here."""


class Frame(NamedTuple):
    """A frame of a video."""

    picture: Image.Image
    """In colour, upright."""
    time: Fraction
    """Seconds since the first frame."""


class Video:
    """A video file that is open for reading, a context manager; it holds one frame at a time.

    Args:
      path: of the file.

    Raises:
      DataError: it is missing, or no video.
      VideoError: PyAV is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._av, self.path = _av(path), path
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        with self._read():
            self._container = self._av.open(str(path))
        self._stream = self._container.streams.best("video")  # not a cover, where there is one
        if self._stream is None:
            self._container.close()
            raise DataError(f"{path}: expected a readable video: it has no pictures")
        self._stream.thread_type = "AUTO"
        self.rate: Fraction = self._stream.average_rate or self._stream.guessed_rate or USUAL_RATE
        """Frames a second, on average."""

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """Its frames from the first to the last, each later than the one before.

        Raises:
          DataError: the file is damaged.
        """
        first, before = None, None
        decoded = self._container.decode(self._stream)
        while True:
            with self._read():
                frame = next(decoded, None)
                if frame is None:
                    return
                picture = _upright(frame)
            now = None if frame.pts is None else frame.pts * frame.time_base
            first = now if first is None else first
            time = Fraction(0) if now is None or first is None else now - first
            if before is not None and time <= before:  # a file without times, or with wrong ones
                time = before + 1 / self.rate
            before = time
            yield Frame(picture, time)

    def times(self) -> list[Fraction]:
        """When each frame appears, in seconds since the first; as the file lists them, without decoding.

        Raises:
          DataError: the file is damaged, or lists no frame.
        """
        with self._read():
            found = [packet.dts if packet.pts is None else packet.pts for packet in self._shown()]
            self._container.seek(0, stream=self._stream)
        if not found:
            raise DataError(f"{self.path}: expected a readable video: it has no frame")
        if None in found or len(set(found)) < len(found):  # a file without times, or with wrong ones
            return [number / self.rate for number in range(len(found))]
        found.sort()
        return [(each - found[0]) * self._stream.time_base for each in found]

    def pick(self, numbers: Sequence[int]) -> Iterator[tuple[int, Image.Image]]:
        """Some frames by their numbers, each once, from the first of them to the last.

        Decoding begins as late as it can: at the key frame before the first of them, where the file's times are such
        that the frame at which it begins is known. At most `_UNSEEN` frames at the end may be listed without being
        there, as packed frames of MPEG-4 are: the last that is there stands for them.

        Raises:
          DataError: the file is damaged, or ends before.
        """
        wanted = collections.deque(sorted({int(number) for number in numbers}))
        number, last = -1, None
        for number, last in self._numbered(wanted[0]):
            if number == wanted[0]:
                yield wanted.popleft(), self._picture(last)
            if not wanted:
                return
        if last is None or wanted[-1] > number + _UNSEEN:
            found = f"it ends after {number + 1} frames, of at least {wanted[-1] + 1}"
            raise DataError(f"{self.path}: expected a readable video: {found}")
        for each in wanted:
            yield each, self._picture(last)

    def _numbered(self, first: int) -> Iterator[tuple[int, Any]]:
        """Decoded frames with their numbers, from this one or an earlier one on."""
        begins = (self._seek(first) if first >= _FAR else None) or 0
        decoded = self._container.decode(self._stream)
        for number in itertools.count(begins):
            with self._read():
                frame = next(decoded, None)
            if frame is None:
                return
            yield number, frame

    def _seek(self, number: int) -> int | None:
        """Goes to the key frame before a frame, and says its number; None where that is not known."""
        if self._stream.codec_context.name in _WITH_PACKED_FRAMES:
            return None
        with self._read():
            packets = self._shown()
            at = sorted((packet.pts, packet.is_keyframe) for packet in packets if packet.pts is not None)
            keys = [place for place, (_, is_key) in enumerate(at[: number + 1]) if is_key]
            known = len(at) == len(packets) == len({time for time, _ in at}) and keys
            self._container.seek(at[keys[-1]][0] if known else 0, stream=self._stream)
            if not known:
                return None
            begun = next(self._container.decode(self._stream), None)
            place = None if begun is None else {time: place for place, (time, _) in enumerate(at)}.get(begun.pts)
            begins_before = place is not None and place <= number
            self._container.seek(at[keys[-1]][0] if begins_before else 0, stream=self._stream)
        return place if begins_before else None

    def _shown(self) -> list[Any]:
        """Packets of the frames that decoding gives: a file that was cut without encoding has others before these."""
        packets = self._container.demux(self._stream)
        return [packet for packet in packets if packet.size and not packet.is_discard]

    def _picture(self, frame: Any) -> Image.Image:
        with self._read():
            return _upright(frame)

    @contextlib.contextmanager
    def _read(self) -> Iterator[None]:
        try:
            yield
        except (self._av.FFmpegError, ValueError) as error:
            raise DataError(f"{self.path}: expected a readable video: {in_a_line(error)}") from error


class VideoWriter:
    """An MP4 file of H.264, which any browser plays, a context manager.

    Args:
      path: of the file.
      rate: frames a second, on average.
      height: of all frames, even.
      width: of all frames, even.

    Raises:
      VideoError: PyAV is not installed, or has no encoder of H.264.
    """

    def __init__(self, path: Path, rate: Fraction, height: int, width: int) -> None:
        av = self._av = _av(path)
        self._shape, self._unit = (height, width, 3), Fraction(1, 90_000)
        self._container = av.open(str(path), "w", format="mp4")
        try:
            self._stream = self._container.add_stream(ENCODER, rate=Fraction(rate).limit_denominator(100_000))
        except (av.FFmpegError, ValueError) as error:  # of an encoder that is missing PyAV says ValueError
            self._container.close()
            raise VideoError(f"{path}: expected a PyAV that encodes H.264: {in_a_line(error)}") from error
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.time_base = self._unit  # fine enough for frames that are not evenly spaced

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def add(self, pixels: UInt8[np.ndarray, "height width 3"], time: Fraction) -> None:
        """Writes the next frame, which is shown so many seconds after the first."""
        if pixels.shape != self._shape:
            raise ValueError(f"expected a frame of shape {self._shape}, got {pixels.shape}")
        frame = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = round(time / self._unit), self._unit
        self._container.mux(self._stream.encode(frame))


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its name, or a GIF of several pictures.

    >>> is_video(Path("clip.MP4")), is_video(Path("street.jpg"))
    (True, False)
    """
    if path.suffix.lower() != ".gif":
        return path.suffix.lower() in SUFFIXES
    with contextlib.suppress(Exception), open_image(path) as image:  # what is wrong with it, its reader says
        return getattr(image, "n_frames", 1) > 1
    return False


def _upright(frame: Any) -> Image.Image:
    """A decoded frame as its camera was held: files say by how many degrees it is to be turned, against the clock."""
    picture = frame.to_image()
    quarters = round(frame.rotation / 90) % 4
    turns = {1: Image.Transpose.ROTATE_90, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_270}
    return picture.transpose(turns[quarters]) if quarters else picture


def _av(path: Path) -> ModuleType:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        message = f'{path}: expected PyAV, which is not installed: pip install -e ".[video]"'
        raise VideoError(message) from error
