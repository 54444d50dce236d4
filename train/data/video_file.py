"""Video files, frame by frame: reading them upright with their times, and writing others. Needs the extra `video`."""

import contextlib
import importlib
from collections.abc import Iterator
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

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv"})
"""What the names of video files end with; a GIF is one where it moves."""
USUAL_RATE = Fraction(25)
"""Frames a second of a file that does not say it."""


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
        if not self._container.streams.video:
            self._container.close()
            raise DataError(f"{path}: expected a readable video: it has no pictures")
        self._stream = self._container.streams.video[0]
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
