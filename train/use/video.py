"""Predicts videos: every frame drawn into another video, and written down. Frames stream in batches of one size."""

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from train.config import DataError
from train.data.video_file import Frame, Video, VideoWriter
from train.engine.console import Console
from train.report.theme import LIGHT, rgb
from train.store.files import finite, to_json, whole
from train.use.outputs import outputs_of, records_of
from train.use.predict import say_what_it_sees
from train.use.predictor import Predictor

BATCH = 8
"""Frames that are predicted together, and all of a video that is in memory."""


class Annotated(NamedTuple):
    """What was written of a video."""

    video: Path
    records: Path
    """A json list with a record a frame."""
    frames: int


def predict_videos(
    predictor: Predictor, videos: Sequence[Path], output: Path, console: Console | None = None
) -> list[Annotated]:
    """Predicts each frame of some videos; writes NAME.mp4, where it is drawn, and NAME.json, where it is written down.

    A record is that of an image, with the name of the video, the number of the "frame", from 0, and its "seconds"
    since the first. Frames keep their times, sound is left out.

    Args:
      predictor: what predicts each frame.
      videos: files in any format that FFmpeg reads.
      output: a folder for what is written.
      console: where it is said.

    Raises:
      DataError: a file is missing, damaged or no video, or has no frame, or what is written would replace a file of
        yours; see `outputs_of`.
      VideoError: PyAV is not installed.
    """
    console, written = console or Console(), outputs_of((), videos, output).videos
    say_what_it_sees(predictor, console)
    output.mkdir(parents=True, exist_ok=True)
    done = []
    for path, video in zip(videos, written, strict=True):
        with Video(path) as source:
            frames = _annotate(predictor, source, video, records_of(video))
        done.append(Annotated(video, records_of(video), frames))
        about = f"{frames:,} frames, {float(source.rate):.4g} a second"
        console.table(predictor.ready.title, [(str(path), about)])
        console.say(f"{video.name} and {records_of(video).name}: {output}")
    return done


def _annotate(predictor: Predictor, source: Video, video: Path, records: Path) -> int:
    """Both files of a video; they appear when they are whole. Returns how many frames there were."""
    annotated = _annotated(predictor, source)
    opening = next(annotated, None)
    if opening is None:
        least = len(predictor.frames)
        found = "no frame" if least == 1 else f"less than {least} frames"
        raise DataError(f"{source.path}: expected a readable video: it has {found}")
    first, _, _ = opening
    height, width = (side + side % 2 for side in first.shape[:2])  # H.264 takes even numbers
    count = 0
    with (
        whole(records) as json_part,
        whole(video) as video_part,
        json_part.open("w", encoding="utf-8") as lines,
        VideoWriter(video_part, source.rate, height, width) as writer,
    ):
        for drawn, time, record in itertools.chain([opening], annotated):
            writer.add(fitted(drawn, height, width), time)
            said = {"video": str(source.path), "frame": count, "seconds": round(float(time), 6), **record}
            _line(lines, to_json(finite(said)), count == 0)
            count += 1
        lines.write("\n]\n")
    return count


def _annotated(predictor: Predictor, source: Video) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], Fraction, dict]]:
    """Each frame with what is predicted of it, its time, and its record."""
    for frames in _batches(source, len(predictor.frames) - 1):
        examples = predictor.joined([predictor.example(frame.picture) for frame in frames])
        predictions = predictor.predict(examples, BATCH)
        for frame, example, predicted in zip(frames[: len(examples)], examples, predictions, strict=True):
            record = predictor.record(frame.picture.size, predicted)
            yield predictor.drawn(frame.picture.copy, example, predicted), frame.time, record


def _batches(source: Video, following: int) -> Iterator[list[Frame]]:
    """Frames, and as many that follow the last of them, which the next batch begins with."""
    frames, batch = iter(source), []
    while more := list(itertools.islice(frames, BATCH)):
        batch = batch[len(batch) - following :] + more if batch else more
        if len(batch) > following:
            yield batch


def _line(lines: IO[str], text: str, is_first: bool) -> None:
    lines.write(("[\n" if is_first else ",\n") + text)


def fitted(pixels: UInt8[np.ndarray, "h w 3"], height: int, width: int) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """A picture on a page of this size, made smaller if it is larger: those of one video may differ."""
    picture = Image.fromarray(pixels)
    if picture.height > height or picture.width > width:
        picture.thumbnail((width, height))
    page = np.full((height, width, 3), np.rint(255 * rgb(LIGHT.paper)), np.uint8)
    page[: picture.height, : picture.width] = np.asarray(picture)
    return page
