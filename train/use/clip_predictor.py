"""What predicts clips of a video: a run's model, or one with weights alone, published or from a file."""

import abc
import dataclasses
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8
from PIL import Image

import zoo
from train.data import Kind, framing_of
from train.data.flowing import FLOWS, FlowCache, default_cache
from train.data.frame_rules import FRAME, Move
from train.data.sampled import CLIP
from train.data.sampling import Sampling, sampling_of
from train.engine.step import make_predict
from train.tasks.protocol import Page, Prediction
from train.tasks.video.task import VideoClassification
from train.use.open_run import FinishedRun
from train.use.predictor import Example, Ready, ready_of
from train.use.with_weights import check_normalisation, in_words, normalised, with_weights

TASK = "video_classification"
"""Of networks of the catalog that take clips."""
Frames = UInt8[np.ndarray, "frames height width 3"]


class ClipPredictor(abc.ABC):
    """A model that is ready to predict clips; all its batches of one size are one compiled program."""

    takes: str
    """Who says that it takes clips, for messages."""
    sees: str = ""
    """How clips become its inputs, in words, where that is worth saying."""
    page: Page
    """Draws what is predicted."""
    sampling: Sampling
    """Which frames of a video the clips have by which it is evaluated."""

    @functools.cached_property
    @abc.abstractmethod
    def ready(self) -> Ready:
        """What it is called, its program and its variables: loaded when first needed, after videos were found bad."""

    @functools.cached_property
    def _compiled(self) -> Any:
        return jax.jit(self.ready.predict)

    @abc.abstractmethod
    def example(self, frames: Frames) -> Example:
        """One clip as an example that nobody labelled."""

    def predict(self, examples: Sequence[Example], size: int) -> list[Prediction]:
        """What is predicted of each of at most `size` examples, on the host; batches of one size are one program."""
        filled = [examples[min(place, len(examples) - 1)] for place in range(size)]
        batch = {name: np.stack([example[name] for example in filled]) for name in filled[0]}
        predicted = jax.device_get(self._compiled(self.ready.variables, {**batch, "mask": np.ones(size, bool)}))
        return [jax.tree.map(lambda array, row=row: array[row], predicted) for row in range(len(examples))]

    def record(self, path: Path, where: dict[str, Any], predicted: Prediction) -> dict[str, Any]:
        """What is predicted as json."""
        return {"video": str(path), **where, **self.page.record(predicted), "text": self.page.words(predicted)}


def joined(clips: Iterable[Example]) -> Example:
    """Several clips of one video, one after the other, as one example."""
    parts = list(clips)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def takes_clips(run: FinishedRun) -> bool:
    """Whether a run learned videos."""
    return CLIP in run.spec and run.spec[CLIP].kind is Kind.CLIP


class RunClipPredictor(ClipPredictor):
    """A run's model, with what made its held-out examples of a video's frames.

    Args:
      run: with a model of clips.
      best: use the best checkpoint instead of the last.
      ema: use the moving average of the variables.
    """

    def __init__(self, run: FinishedRun, best: bool = False, ema: bool = False) -> None:
        config = run.recipe.data
        self.takes = f"{run.files.path} learned {run.recipe.task.kind}"
        self.page, self._run, self._which = run.task.page(), run, (best, ema)
        frames = run.spec[CLIP].shape[0] // config.clips
        self.sampling = dataclasses.replace(sampling_of(config, "test", frames), frames=frames)
        self._framing = framing_of(config, "test")
        self._cache = FlowCache(default_cache() if config.flow_cache is None else Path(config.flow_cache).expanduser())

    @functools.cached_property
    def ready(self) -> Ready:
        """See `ClipPredictor`.

        Raises:
          CheckpointError: the run has no checkpoint, or no moving average.
        """
        return ready_of(self._run, *self._which)

    def example(self, frames: Frames) -> Example:
        """See `ClipPredictor`: framed as the held-out data was, else resized to its size; with flow if it has that."""
        spec = self._run.spec
        _, height, width, channels = spec[CLIP].shape
        if self._framing is None:
            frames = np.stack([_resized(frame, width, height, channels) for frame in frames])
        example = {CLIP: frames}
        if FLOWS in self._run.task.fields:
            example[FLOWS] = self._cache.flows(frames)
        if self._framing is not None:
            size = frames.shape[2], frames.shape[1]
            move = Move(self._framing.still(*size), *size, self._run.facts)
            example = {name: FRAME[spec[name].kind](value, move) for name, value in example.items()}
        return example


class WeightsClipPredictor(ClipPredictor):
    """A network of clips of the catalog with weights alone: `network`, and `task`, which measures its outputs.

    Clips are as long, and at the rate, with which its published weights were evaluated, and frames are prepared as
    `zoo.preprocess` does; where none were published clips are as the catalog has them, at the rate of the video.

    Args:
      name: of the catalog.
      weights: a file, or published ones; by default the first that were published.
      mean: see `train.use.classifier.classifier_of`.
      std: the same.

    Raises:
      UnknownNameError: no such model or weights.
      WeightsAloneError: the weights cannot be had or do not fit, or the model does not classify clips.
    """

    def __init__(
        self, name: str, weights: str | None = None, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()
    ) -> None:
        self.network = with_weights(name, weights, TASK, "a classifier of clips", "clip")
        self.takes = f"{name} takes clips"
        count, height, width, channels = self.network.entry.input_shape
        self.sampling, rate, published = Sampling(count), "", self.network.published
        if published is not None:
            how = published.preprocessing
            self.sampling = Sampling(how.frames, rate=how.frame_rate, clips=how.clips)
            rate = f" at {how.frame_rate:g} a second"
        if published is not None and not mean and not std:
            self._prepare, said = zoo.preprocess(name, published.name), f"as for {published.name}"
        else:
            check_normalisation(channels, mean, std)
            self._prepare = functools.partial(_normalised, (height, width, channels), mean, std)
            said = f"resized to {height}x{width} pixels, {in_words(mean, std)}"
        self.sees = f"{self.sampling.frames} frames{rate}, {said}"
        self.task = VideoClassification(self.network.class_names, frames_of_clip=self.sampling.frames)
        self.page = self.task.page()

    @functools.cached_property
    def ready(self) -> Ready:
        """See `ClipPredictor`."""
        return Ready(self.network.title, make_predict(self.network.model, self.task), self.network.variables)

    def example(self, frames: Frames) -> Example:
        """See `ClipPredictor`: frames as the network takes them."""
        return {CLIP: self._prepare(frames)}


def _normalised(
    shape: tuple[int, int, int], mean: tuple[float, ...], std: tuple[float, ...], frames: Frames
) -> np.ndarray:
    """Where nobody says how weights want their frames: resized (bilinear) to height, width and channels, in [0, 1]."""
    height, width, channels = shape
    pixels = np.stack([_resized(frame, width, height, channels) for frame in frames])
    return normalised(pixels / np.float32(255), mean, std)


def _resized(
    frame: UInt8[np.ndarray, "h w 3"], width: int, height: int, channels: int
) -> UInt8[np.ndarray, "{height} {width} {channels}"]:
    picture = Image.fromarray(frame).convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(height, width, channels)
