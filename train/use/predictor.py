"""What predicts an image of any size, of a file or of a video: a run's model, or one with weights alone."""

import abc
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, PyTree, UInt8
from PIL import Image

from train.config import RunError
from train.data import Kind, framing_of, preprocess
from train.data.decode import as_held_out
from train.data.fields import SIZE, Facts
from train.data.frame_rules import Move, Resize
from train.data.framing import evaluated, sizes_of, unframed
from train.data.proposed import NAME as PROPOSALS
from train.data.proposed import proposals_of
from train.engine.step import make_predict
from train.tasks.protocol import Page, Prediction
from train.use.classifier import Classifier, classifier_of
from train.use.open_run import FinishedRun
from train.use.segmenter import NOTHING, Segmenter, segmenter_of
from zoo.catalog import describe
from zoo.detection.proposals import padded

LARGEST = 1024
"""Pixels of an image's longer side on which boxes or maps are drawn; a larger one is reduced to it."""
Example = dict[str, np.ndarray]
Size = tuple[int, int]
"""Width and height of an image, in pixels."""


class PredictError(RunError):
    """The run's model does not take what it was given."""


class Ready(NamedTuple):
    """A model with trained variables."""

    title: str
    """What it is called."""
    predict: Callable[[PyTree[Array], Any], Prediction]
    """The pure function of variables and a batch."""
    variables: PyTree[Array]


def ready_of(run: FinishedRun, best: bool = False, ema: bool = False) -> Ready:
    """A run's model, with what makes the model's inputs of its examples.

    Args:
      run: which.
      best: use the best checkpoint instead of the last.
      ema: use the moving average of the variables.

    Raises:
      CheckpointError: the run has no checkpoint, or no moving average.
    """
    step, variables = run.variables(best, ema)
    predict, prepare = make_predict(run.model(), run.task), preprocess(run.recipe.augment, run.spec)
    title = f"{run.recipe.model.name} of {run.files.path}, step {step}"
    return Ready(title, lambda variables, batch: predict(variables, prepare(batch)), variables)


class Predictor(abc.ABC):
    """A model that is ready to predict; all its batches of one size are one compiled program."""

    sees: str = ""
    """How pictures become its inputs, in words, where that is worth saying."""
    mode: Literal["RGB", "L"] = "RGB"
    """Pillow's mode of the pictures that it takes."""
    frames: tuple[str, ...] = ("image",)
    """What of an example are pictures; of more than one they follow each other, see `joined`."""
    writes: tuple[str, ...] = ()
    """Suffixes of what `files` gives."""

    @functools.cached_property
    @abc.abstractmethod
    def ready(self) -> Ready:
        """What it is called, its program and its variables: loaded when first needed, after images were found bad."""

    @functools.cached_property
    def _compiled(self) -> Callable[[PyTree[Array], Any], Prediction]:
        return jax.jit(self.ready.predict)

    @abc.abstractmethod
    def example(self, picture: Image.Image) -> Example:
        """An upright picture as an example that nobody labelled."""

    @abc.abstractmethod
    def record(self, size: Size, predicted: Prediction) -> dict[str, Any]:
        """What is predicted of a picture of this size, as json, with a "text" for people."""

    @abc.abstractmethod
    def drawn(
        self, picture: Callable[[], Image.Image], example: Example, predicted: Prediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """An image with what is predicted of it.

        Args:
          picture: reads it again, in colour, where it is needed.
          example: what was made of it.
          predicted: what was predicted.
        """

    def joined(self, examples: Sequence[Example]) -> list[Example]:
        """Examples of pictures that follow each other: as they are, or each with the next for who takes two.

        Raises:
          PredictError: there are fewer pictures than an example has.
        """
        count = len(self.frames)
        if len(examples) < count:
            raise PredictError(f"expected at least {count} images, one after the other, got {len(examples)}")
        return [
            {**examples[i], **{name: examples[i + k]["image"] for k, name in enumerate(self.frames)}}
            for i in range(len(examples) - count + 1)
        ]

    def files(self, size: Size, predicted: Prediction) -> Mapping[str, bytes]:
        """What is predicted of a picture of this size as further files, by suffix."""
        return {}

    def predict(self, examples: Sequence[Example], size: int) -> list[Prediction]:
        """What is predicted of each example, on the host; all batches have this size."""
        found: list[Prediction] = []
        for first in range(0, len(examples), size):
            rows = [min(row, len(examples) - 1) for row in range(first, first + size)]
            batch = {name: np.stack([examples[row][name] for row in rows]) for name in examples[0]}
            predicted = jax.device_get(self._compiled(self.ready.variables, {**batch, "mask": np.ones(size, bool)}))
            real = min(size, len(examples) - first)
            found += [jax.tree.map(lambda array, i=i: array[i], predicted) for i in range(real)]
        return found


class RunPredictor(Predictor):
    """A run's model. What it predicts with places, such as boxes, is given in pixels of the picture.

    Args:
      run: the run.
      best: use the best checkpoint instead of the last.
      ema: use the moving average of the variables.

    Raises:
      PredictError: its model takes something else than an image.
    """

    def __init__(self, run: FinishedRun, best: bool = False, ema: bool = False) -> None:
        self.frames, self.writes = run.task.frames, run.task.writes
        if any(name not in run.spec or run.spec[name].kind is not Kind.IMAGE for name in ("image", *self.frames)):
            raise PredictError(f"{run.files.path} learned {run.recipe.task.kind}: predict reads images alone")
        self.mode = "L" if run.spec["image"].shape[-1] == 1 else "RGB"
        self._run, self._page, self._which = run, run.task.page(), (best, ema)

    @functools.cached_property
    def ready(self) -> Ready:
        """See `Predictor`.

        Raises:
          CheckpointError: the run has no checkpoint, or no moving average.
        """
        return ready_of(self._run, *self._which)

    def example(self, picture: Image.Image) -> Example:
        """See `Predictor`: framed as the held-out data was; on a canvas it says how large it is there."""
        return example_of(self._run, picture)

    def record(self, size: Size, predicted: Prediction) -> dict[str, Any]:
        """See `Predictor`: of a task with places also the picture's "width" and "height"."""
        told: dict[str, Any] = {}
        if self._run.task.places:
            told = dict(zip(("width", "height"), size, strict=True))
            predicted = self._in_picture(predicted, self._move(size))
        return {**told, **self._page.record(predicted), "text": self._page.words(predicted)}

    def files(self, size: Size, predicted: Prediction) -> Mapping[str, bytes]:
        """See `Predictor`: places in pixels of the picture."""
        if not self.writes:
            return {}
        if self._run.task.places:
            predicted = self._in_picture(predicted, self._move(size))
        return self._page.files(predicted)

    def drawn(
        self, picture: Callable[[], Image.Image], example: Example, predicted: Prediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Predictor`: places on the picture itself, which is reduced if large; else what the model saw."""
        if self._run.task.places:
            shown = picture()
            move = self._move(shown.size)
            shown.thumbnail((LARGEST, LARGEST))
            predicted = self._in_picture(predicted, move._replace(width=shown.width, height=shown.height))
            example = {"image": np.asarray(shown)}
        return self._page.picture(example, predicted)

    def _move(self, size: Size) -> Move:
        return move_of(self._run, size)

    def _in_picture(self, predicted: Prediction, move: Move) -> Prediction:
        """What is predicted in the pixels of the picture, and its "size": their height and width."""
        places = {name: unframed(predicted[name], kind, move) for name, kind in self._run.task.places.items()}
        return {**predicted, **places, "size": np.array([move.height, move.width])}


class ClassifierPredictor(Predictor):
    """A classifier with weights alone; each picture is prepared as `zoo.preprocess` does."""

    def __init__(self, classifier: Classifier) -> None:
        self.sees, self._classifier = classifier.sees, classifier
        self._page: Page = classifier.task.page()

    @functools.cached_property
    def ready(self) -> Ready:
        """See `Predictor`."""
        of = self._classifier
        return Ready(of.title, make_predict(of.model, of.task), of.variables)

    def example(self, picture: Image.Image) -> Example:
        """See `Predictor`."""
        return {"image": self._classifier.prepare(picture)}

    def record(self, size: Size, predicted: Prediction) -> dict[str, Any]:
        """See `Predictor`."""
        return {**self._page.record(predicted), "text": self._page.words(predicted)}

    def drawn(
        self, picture: Callable[[], Image.Image], example: Example, predicted: Prediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Predictor`: what the model saw."""
        seen = np.rint(255 * self._classifier.visible(example["image"])).astype(np.uint8)
        return self._page.picture({"image": seen}, predicted)


class SegmenterPredictor(Predictor):
    """A segmentation network with weights alone: label maps in the pixels of the picture.

    Each size of its inputs is compiled once.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self.sees, self.writes, self._segmenter = segmenter.sees, segmenter.task.writes, segmenter
        self._page: Page = segmenter.task.page()

    @functools.cached_property
    def ready(self) -> Ready:
        """See `Predictor`."""
        of = self._segmenter
        return Ready(of.title, make_predict(of.model, of.task), of.variables)

    def example(self, picture: Image.Image) -> Example:
        """See `Predictor`."""
        return {"image": self._segmenter.prepare(picture)}

    def predict(self, examples: Sequence[Example], size: int) -> list[Prediction]:
        """See `Predictor`: one by one, as pictures differ in size, and maps of many classes are large."""
        return [
            predicted for example in examples for predicted in super(SegmenterPredictor, self).predict([example], 1)
        ]

    def record(self, size: Size, predicted: Prediction) -> dict[str, Any]:
        """See `Predictor`."""
        width, height = size
        predicted = _of_size(predicted, width, height)
        return {"width": width, "height": height, **self._page.record(predicted), "text": self._page.words(predicted)}

    def files(self, size: Size, predicted: Prediction) -> Mapping[str, bytes]:
        """See `Predictor`."""
        return self._page.files(_of_size(predicted, *size))

    def drawn(
        self, picture: Callable[[], Image.Image], example: Example, predicted: Prediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Predictor`: on the picture itself, which is reduced if large."""
        shown = picture()
        shown.thumbnail((LARGEST, LARGEST))
        return self._page.picture({"image": np.asarray(shown)}, _of_size(predicted, *shown.size))


def predictor_of(
    name: str, weights: str | None = None, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()
) -> Predictor:
    """A model of the catalog with weights alone: a classifier or a segmentation network, as its row says.

    Args:
      name: of the catalog.
      weights: a file, or published ones; by default the first that were published.
      mean: see `train.use.classifier.classifier_of`.
      std: the same.

    Raises:
      UnknownNameError: no such model or weights.
      WeightsAloneError: the weights cannot be had or do not fit, or the model does something else.
    """
    if describe(name).task == "segmentation":
        return SegmenterPredictor(segmenter_of(name, weights, mean, std))
    return ClassifierPredictor(classifier_of(name, weights, mean, std))


def _of_size(predicted: Prediction, width: int, height: int) -> Prediction:
    """A label map of a resized picture, in its pixels before."""
    labels = predicted["label_map"]
    move = Move((Resize(labels.shape[1], labels.shape[0]),), width, height, Facts(ignore=NOTHING))
    return {**predicted, "label_map": unframed(labels, Kind.LABEL_MAP, move)}


def example_of(run: FinishedRun, picture: Image.Image) -> Example:
    """An upright picture as a run's held-out examples are, without labels."""
    example = {"image": as_held_out(picture, run.spec["image"], framing_of(run.recipe.data, "test"))}
    if SIZE in run.spec:
        example |= sizes_of(move_of(run, picture.size))
    if PROPOSALS in run.spec:
        (most,) = run.spec[PROPOSALS].most
        example[PROPOSALS] = padded(proposals_of(example, most), most)
    return example


def move_of(run: FinishedRun, size: Size) -> Move:
    """What happened to a picture of this size before the model saw it."""
    return evaluated(framing_of(run.recipe.data, "test"), run.spec["image"], size, run.facts)
