"""Predicts videos by a model of clips: each window of frames, and the video as an evaluation does."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from train.config import DataError
from train.data.recordings import FolderRecording, VideoRecording
from train.data.sampling import TooShortError
from train.data.sources.clips import recording_of, videos_in
from train.data.video_file import USUAL_RATE, Video, VideoWriter, is_video
from train.engine.console import Console
from train.store.files import finite, whole, write_json
from train.tasks.protocol import Prediction
from train.use.clip_predictor import ClipPredictor, joined
from train.use.outputs import outputs_of, records_of
from train.use.predictor import PredictError
from train.use.video import Annotated, fitted

Shown = tuple[UInt8[np.ndarray, "h w 3"], Fraction]
"""A frame, and its time in seconds since the first."""
FRAMES = 64
"""Of the windows that are predicted together, or one window of more; and all of a video that is in memory."""


def predict_whole_videos(
    predictor: ClipPredictor, videos: Sequence[Path], output: Path, console: Console | None = None
) -> list[Annotated]:
    """Predicts some videos; writes NAME.mp4, where each frame has what is predicted of its window, and NAME.json.

    Windows are clips as the model learned them, one after the other; of a run whose clips are spread over the whole
    video there is one. A record has the name of the video, the number of the window's first "frame", from 0, and its
    "seconds" since the video's first; the last one, "whole", is what an evaluation says of the video: the mean of as
    many clips as there.

    Args:
      predictor: with a model of clips.
      videos: files in any format that FFmpeg reads, folders of these, and folders of the frames of one.
      output: a folder for what is written.
      console: where it is said.

    Raises:
      DataError: a file is damaged, no video or too short for a clip, or what is written would replace a file of
        yours; see `train.use.outputs.outputs_of`.
      PredictError: there is another file among them than videos.
      CheckpointError: of a run that has no checkpoint, or no moving average.
    """
    videos = [each for path in videos for each in (path.is_dir() and videos_in(path)) or [path]]
    if others := [str(path) for path in videos if not is_video(path) and not path.is_dir()]:
        raise PredictError(f"{predictor.takes}: expected videos, got {others[0]}")
    console, written = console or Console(), outputs_of((), videos, output).videos
    if predictor.sees:
        console.say(f"clips: {predictor.sees}")
    output.mkdir(parents=True, exist_ok=True)
    done = []
    for path, video in zip(videos, written, strict=True):
        records, begins, predicted = _predicted(predictor, path)
        frames = _draw(predictor, path, video, begins, predicted)
        write_json(records_of(video), finite(records))
        done.append(Annotated(video, records_of(video), frames))
        console.table(predictor.ready.title, [(str(path), f"{records[-1]['text']} ({frames:,} frames)")])
        console.say(f"{video.name} and {records_of(video).name}: {output}")
    return done


def _predicted(
    predictor: ClipPredictor, path: Path
) -> tuple[list[dict[str, Any]], Int[np.ndarray, "windows"], list[Prediction]]:
    """The records of a video; the frame with which each window begins, and what is predicted of it."""
    recording, sampling = recording_of(path), predictor.sampling
    times = recording.times()
    try:
        windows = sampling.windows(times)
        clips = sampling.still(times).reshape(sampling.clips, sampling.frames)
    except TooShortError as error:
        raise DataError(f"{path}: {error}") from None
    predicted, records = list(_of_windows(predictor, recording, windows)), []
    begins = np.append(0, windows[1:, 0])
    for first, each in zip(begins, predicted, strict=True):
        seconds = round(float(times[first] - times[0]), 6)
        records.append(predictor.record(path, {"frame": int(first), "seconds": seconds}, each))
    (mean,) = predictor.predict([joined(map(predictor.example, recording.clips(clips)))], 1)
    return [*records, predictor.record(path, {"whole": True}, mean)], begins, predicted


def _of_windows(
    predictor: ClipPredictor, recording: FolderRecording | VideoRecording, windows: Int[np.ndarray, "windows frames"]
) -> Iterator[Prediction]:
    examples, size = map(predictor.example, recording.clips(windows)), max(1, FRAMES // windows.shape[1])
    while some := list(itertools.islice(examples, size)):
        yield from predictor.predict(some, size)


def _draw(
    predictor: ClipPredictor,
    path: Path,
    video: Path,
    begins: Int[np.ndarray, "windows"],
    predicted: Sequence[Prediction],
) -> int:
    """The video with what is predicted beside every frame; returns how many there are."""
    with _frames_of(path) as (frames, rate):
        drawn = _drawn(predictor, frames, begins, predicted)
        first, _ = opening = next(drawn)
        height, width = (side + side % 2 for side in first.shape[:2])  # H.264 takes even numbers
        count = 0
        with whole(video) as part, VideoWriter(part, rate, height, width) as writer:
            for picture, time in itertools.chain([opening], drawn):
                writer.add(fitted(picture, height, width), time)
                count += 1
    return count


@contextlib.contextmanager
def _frames_of(path: Path) -> Iterator[tuple[Iterator[Shown], Fraction]]:
    """All frames one after the other, and how many there are in a second."""
    if path.is_dir():
        recording = recording_of(path)
        each = (recording.frames([number])[0] for number in range(len(recording.files)))
        yield ((frame, number / USUAL_RATE) for number, frame in enumerate(each)), USUAL_RATE
        return
    with Video(path) as source:
        yield ((np.asarray(frame.picture), frame.time) for frame in source), source.rate


def _drawn(
    predictor: ClipPredictor,
    frames: Iterator[Shown],
    begins: Int[np.ndarray, "windows"],
    predicted: Sequence[Prediction],
) -> Iterator[Shown]:
    for number, (frame, time) in enumerate(frames):
        window = int(np.searchsorted(begins, number, side="right")) - 1
        yield predictor.page.picture({"image": frame}, predicted[window]), time
