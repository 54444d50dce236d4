"""Predicts videos with a run that learned clips: each window of frames, and the video as the run's evaluation does."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from train.config import DataError
from train.data import Kind, framing_of, preprocess
from train.data.flowing import FLOWS, FlowCache, default_cache
from train.data.frame_rules import FRAME, Move
from train.data.recordings import VideoRecording
from train.data.sampled import CLIP
from train.data.sampling import TooShortError, sampling_of
from train.data.video_file import Video, VideoWriter, is_video
from train.engine.console import Console
from train.engine.step import make_predict
from train.store.files import finite, whole, write_json
from train.tasks.protocol import Prediction
from train.use.open_run import FinishedRun
from train.use.outputs import outputs_of, records_of
from train.use.predictor import Example, PredictError, Ready
from train.use.video import Annotated, fitted

BATCH = 4
"""Windows that are predicted together, and all of a video that is in memory."""


def takes_clips(run: FinishedRun) -> bool:
    """Whether a run learned videos."""
    return CLIP in run.spec and run.spec[CLIP].kind is Kind.CLIP


def predict_whole_videos(
    run: FinishedRun,
    videos: Sequence[Path],
    output: Path,
    best: bool = False,
    ema: bool = False,
    console: Console | None = None,
) -> list[Annotated]:
    """Predicts some videos; writes NAME.mp4, where each frame has what is predicted of its window, and NAME.json.

    Windows are the clips that the run learned, one after the other; of a run whose clips are spread over the whole
    video there is one. A record has the name of the video, the number of the window's first "frame", from 0, and its
    "seconds" since the video's first; the last one, "whole", is what the run's evaluation says of the video: the mean
    of as many clips as there.

    Args:
      run: with a model of clips.
      videos: files in any format that FFmpeg reads.
      output: a folder for what is written.
      best: use the best checkpoint instead of the last.
      ema: use the moving average of the variables.
      console: where it is said.

    Raises:
      DataError: a file is damaged, no video or too short for a clip, or what is written would replace a file of
        yours; see `train.use.outputs.outputs_of`.
      PredictError: there is another file among them than videos.
      CheckpointError: the run has no checkpoint, or no moving average.
    """
    if others := [str(path) for path in videos if not is_video(path)]:
        raise PredictError(f"{run.files.path} learned {run.recipe.task.kind}: expected videos, got {others[0]}")
    console, written = console or Console(), outputs_of((), videos, output).videos
    of = _OfClips(run, best, ema)
    output.mkdir(parents=True, exist_ok=True)
    done = []
    for path, video in zip(videos, written, strict=True):
        records, begins, predicted = _predicted(of, path)
        frames = _draw(of, path, video, begins, predicted)
        write_json(records_of(video), finite(records))
        done.append(Annotated(video, records_of(video), frames))
        console.table(of.ready.title, [(str(path), f"{records[-1]['text']} ({frames:,} frames)")])
        console.say(f"{video.name} and {records_of(video).name}: {output}")
    return done


class _OfClips:
    """A run's model with what makes its examples of a video's frames."""

    def __init__(self, run: FinishedRun, best: bool, ema: bool) -> None:
        config = run.recipe.data
        step, variables = run.variables(best, ema)
        predict, prepare = make_predict(run.model(), run.task), preprocess(run.recipe.augment, run.spec)
        self._compiled = jax.jit(lambda variables, batch: predict(variables, prepare(batch)))
        title = f"{run.recipe.model.name} of {run.files.path}, step {step}"
        self.ready = Ready(title, self._compiled, variables)
        self.page, self._framing = run.task.page(), framing_of(config, "test")
        self._spec, self._facts = run.spec, run.facts
        frames = run.spec[CLIP].shape[0] // config.clips
        self.sampling = dataclasses.replace(sampling_of(config, "test", frames), frames=frames)
        self._flows = FLOWS in run.task.fields
        self._cache = FlowCache(default_cache() if config.flow_cache is None else Path(config.flow_cache).expanduser())

    def example(self, frames: UInt8[np.ndarray, "frames h w 3"], clips: int = 1) -> Example:
        """Clips, one after the other, as a held-out example."""
        _, height, width, channels = self._spec[CLIP].shape
        if self._framing is None:
            frames = np.stack([_resized(frame, width, height, channels) for frame in frames])
        example = {CLIP: frames}
        if self._flows:
            parts = frames.reshape(clips, -1, *frames.shape[1:])
            example[FLOWS] = np.concatenate([self._cache.flows(part) for part in parts])
        if self._framing is not None:
            size = frames.shape[2], frames.shape[1]
            move = Move(self._framing.still(*size), *size, self._facts)
            example = {name: FRAME[self._spec[name].kind](value, move) for name, value in example.items()}
        return example

    def predict(self, examples: Sequence[Example], size: int) -> list[Prediction]:
        """What is predicted of each; batches of one size are one program."""
        filled = [examples[min(place, len(examples) - 1)] for place in range(size)]
        batch = {name: np.stack([example[name] for example in filled]) for name in filled[0]}
        predicted = jax.device_get(self._compiled(self.ready.variables, {**batch, "mask": np.ones(size, bool)}))
        return [jax.tree.map(lambda array, row=row: array[row], predicted) for row in range(len(examples))]

    def record(self, path: Path, where: dict[str, Any], predicted: Prediction) -> dict[str, Any]:
        """What is predicted as json."""
        return {"video": str(path), **where, **self.page.record(predicted), "text": self.page.words(predicted)}


def _predicted(of: _OfClips, path: Path) -> tuple[list[dict[str, Any]], Int[np.ndarray, "windows"], list[Prediction]]:
    """The records of a video; the frame with which each window begins, and what is predicted of it."""
    recording = VideoRecording(path)
    times = recording.times()
    try:
        windows, clips = of.sampling.windows(times), of.sampling.still(times)
    except TooShortError as error:
        raise DataError(f"{path}: {error}") from None
    predicted, records = list(_of_windows(of, recording, windows)), []
    begins = np.append(0, windows[1:, 0])
    for first, each in zip(begins, predicted, strict=True):
        seconds = round(float(times[first] - times[0]), 6)
        records.append(of.record(path, {"frame": int(first), "seconds": seconds}, each))
    (mean,) = of.predict([of.example(recording.frames(clips), of.sampling.clips)], 1)
    return [*records, of.record(path, {"whole": True}, mean)], begins, predicted


def _of_windows(
    of: _OfClips, recording: VideoRecording, windows: Int[np.ndarray, "windows frames"]
) -> Iterator[Prediction]:
    for first in range(0, len(windows), BATCH):
        some = windows[first : first + BATCH]
        frames = recording.frames(some.ravel())
        yield from of.predict([of.example(part) for part in np.split(frames, len(some))], BATCH)


def _draw(
    of: _OfClips, path: Path, video: Path, begins: Int[np.ndarray, "windows"], predicted: Sequence[Prediction]
) -> int:
    """The video with what is predicted beside every frame; returns how many there are."""
    with Video(path) as source:
        drawn = _drawn(of, source, begins, predicted)
        first, _ = opening = next(drawn)
        height, width = (side + side % 2 for side in first.shape[:2])  # H.264 takes even numbers
        count = 0
        with whole(video) as part, VideoWriter(part, source.rate, height, width) as writer:
            for picture, time in itertools.chain([opening], drawn):
                writer.add(fitted(picture, height, width), time)
                count += 1
    return count


def _drawn(
    of: _OfClips, source: Video, begins: Int[np.ndarray, "windows"], predicted: Sequence[Prediction]
) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], Fraction]]:
    for number, frame in enumerate(source):
        window = int(np.searchsorted(begins, number, side="right")) - 1
        yield of.page.picture({"image": np.asarray(frame.picture)}, predicted[window]), frame.time


def _resized(
    frame: UInt8[np.ndarray, "h w 3"], width: int, height: int, channels: int
) -> UInt8[np.ndarray, "{height} {width} {channels}"]:
    """A frame as data of one size has it."""
    picture = Image.fromarray(frame).convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(height, width, channels)
