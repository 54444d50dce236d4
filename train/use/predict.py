"""Predicts image files with a run's model, or one by name: says it, draws it, and writes it down."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PyTree

from train.config import RunError
from train.data import Kind, framing_of, preprocess, read_image
from train.data.decode import encoded, opened, read_picture
from train.data.fields import SIZE
from train.data.frame_rules import Move
from train.data.framing import evaluated, sizes_of, unframed
from train.data.proposed import NAME as PROPOSALS
from train.data.proposed import proposals_of
from train.engine.console import Console
from train.engine.step import make_predict
from train.store.files import finite, write_bytes, write_json
from train.tasks.protocol import Prediction
from train.use.classifier import Classifier
from train.use.open_run import FinishedRun, open_run
from zoo.detection.proposals import padded
from zoo.images import upright_size

_BATCH = 64
RECORDS = "predictions.json"
LARGEST = 1024
"""Pixels of a file's longer side on which boxes or maps are drawn; a larger one is reduced to it."""


class PredictError(RunError):
    """The run's model does not take what it was given."""


def predict_images(
    path: Path,
    images: tuple[Path, ...],
    best: bool = False,
    ema: bool = False,
    output: Path | None = None,
    console: Console | None = None,
    flips: bool = False,
) -> list[dict[str, Any]]:
    """Predicts image files with a run's model; prints a table and returns a record an image.

    The data set is not needed: class names and the images' shape were written down when the run began.

    A task whose predictions have places says of which kind they are, `places = {"boxes": Kind.BOXES}`. Those are
    written down and drawn in the pixels of the file, and the record has its "width" and "height". Other pictures show
    the image as the model saw it.

    Args:
      path: the run's folder.
      images: files of any size and mode; they are turned upright as their EXIF orientation says, and resized to what
        the model was evaluated on.
      best: use the best checkpoint instead of the last.
      ema: use the moving average of the variables.
      output: a folder for `predictions.json` and a picture an image; by default nothing is written.
      console: where the table is printed.
      flips: predict mirror images too, whatever the recipe says.

    Raises:
      DataError: a file is not an image.
      WorkdirError: there is no run here.
      RunError: its task does not predict mirror images too.
      CheckpointError: the run has no checkpoint, or no moving average.
      PredictError: its model takes something else than an image.
    """
    run = open_run(path, flips)
    examples = [_example(run, image) for image in images]
    step, variables = run.variables(best, ema)
    predictions = _predicted(run, variables, examples)
    records = [_record(run, image, predicted) for image, predicted in zip(images, predictions, strict=True)]
    console = console or Console()
    rows = [(record["image"], record["text"]) for record in records]
    console.table(f"{run.recipe.model.name} of {path}, step {step}", rows)
    if output is not None:
        given = zip(images, examples, predictions, strict=True)
        _write(output, images, (_picture(run, *each) for each in given), records, console)
    return records


def predict_by_classifier(
    classifier: Classifier, images: tuple[Path, ...], output: Path | None = None, console: Console | None = None
) -> list[dict[str, Any]]:
    """The same with a model by name and weights alone; each image is prepared as `zoo.preprocess` does.

    Args:
      classifier: see `train.use.classifier`.
      images: files of any size and mode.
      output: a folder for `predictions.json` and a picture an image; by default nothing is written.
      console: where the table is printed.

    Raises:
      DataError: a file is not an image.
    """
    console, page = console or Console(), classifier.task.page()
    examples = [{"image": classifier.read(image)} for image in images]
    predictions = _in_batches(make_predict(classifier.model, classifier.task), classifier.variables, examples)
    records = [
        {"image": str(image), **page.record(predicted), "text": page.words(predicted)}
        for image, predicted in zip(images, predictions, strict=True)
    ]
    console.say(f"images: {classifier.sees}")
    console.table(classifier.title, [(record["image"], record["text"]) for record in records])

    def picture(example: dict[str, np.ndarray], predicted: Prediction) -> np.ndarray:
        seen = np.rint(255 * classifier.visible(example["image"])).astype(np.uint8)
        return page.picture({"image": seen}, predicted)

    if output is not None:
        given = zip(examples, predictions, strict=True)
        _write(output, images, (picture(*each) for each in given), records, console)
    return records


def _example(run: FinishedRun, image: Path) -> dict[str, np.ndarray]:
    """An image file as an example that nobody labelled; on a canvas it says how large it is there."""
    if "image" not in run.spec or run.spec["image"].kind is not Kind.IMAGE:
        raise PredictError(f"{run.files.path} learned {run.recipe.task.kind}: predict reads image files alone")
    example = {"image": read_image(image, run.spec["image"], framing_of(run.recipe.data, "test"))}
    if SIZE in run.spec:
        with opened(image, image) as file:
            example |= sizes_of(_move(run, upright_size(file)))
    if PROPOSALS in run.spec:
        (most,) = run.spec[PROPOSALS].most
        example[PROPOSALS] = padded(proposals_of(example["image"], most), most)
    return example


def _predicted(run: FinishedRun, variables: PyTree[Array], examples: list[dict[str, np.ndarray]]) -> list[Prediction]:
    """What is predicted of each example, on the host."""
    predict, prepare = make_predict(run.model(), run.task), preprocess(run.recipe.augment, run.spec)
    return _in_batches(lambda variables, batch: predict(variables, prepare(batch)), variables, examples)


def _in_batches(
    predict: Callable[[PyTree[Array], dict[str, Array]], Prediction],
    variables: PyTree[Array],
    examples: list[dict[str, np.ndarray]],
) -> list[Prediction]:
    """What a program predicts of each example, on the host; all batches have one size."""
    compiled = jax.jit(predict)
    size, found = min(_BATCH, len(examples)), []
    for first in range(0, len(examples), size):
        rows = [min(row, len(examples) - 1) for row in range(first, first + size)]
        batch = {name: np.stack([examples[row][name] for row in rows]) for name in examples[0]}
        predicted = jax.device_get(compiled(variables, {**batch, "mask": np.ones(size, bool)}))
        found += [jax.tree.map(lambda array, i=i: array[i], predicted) for i in range(min(size, len(examples) - first))]
    return found


def _record(run: FinishedRun, image: Path, predicted: Prediction) -> dict[str, Any]:
    page, size = run.task.page(), {}
    if run.task.places:
        with opened(image, image) as file:
            move = _move(run, upright_size(file))
        size = {"width": move.width, "height": move.height}
        predicted = _on_file(run, predicted, move)
    return {"image": str(image), **size, **page.record(predicted), "text": page.words(predicted)}


def _picture(run: FinishedRun, image: Path, example: dict[str, np.ndarray], predicted: Prediction) -> np.ndarray:
    """The example with what is predicted of it; that with places on the file itself, which is reduced if large."""
    if run.task.places:
        file = read_picture(image)
        move = _move(run, file.size)
        file.thumbnail((LARGEST, LARGEST))
        predicted = _on_file(run, predicted, move._replace(width=file.width, height=file.height))
        example = {"image": np.asarray(file)}
    return run.task.page().picture(example, predicted)


def _move(run: FinishedRun, size: tuple[int, int]) -> Move:
    """What happened to a file of this width and height before the model saw it."""
    return evaluated(framing_of(run.recipe.data, "test"), run.spec["image"], size, run.facts)


def _on_file(run: FinishedRun, predicted: Prediction, move: Move) -> Prediction:
    """What is predicted of an image, in the pixels of its file, and its "size": their height and width."""
    places = {name: unframed(predicted[name], kind, move) for name, kind in run.task.places.items()}
    return {**predicted, **places, "size": np.array([move.height, move.width])}


def _write(
    output: Path,
    images: tuple[Path, ...],
    pictures: Iterable[np.ndarray],
    records: list[dict[str, Any]],
    console: Console,
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    for image, picture in zip(images, pictures, strict=True):
        name, number = f"{image.stem}.png", 1
        while name in taken:  # files of one name, of several folders
            number += 1
            name = f"{image.stem}-{number}.png"
        taken.add(name)
        write_bytes(output / name, encoded(picture))
    write_json(output / RECORDS, finite(records))
    console.say(f"pictures and {RECORDS}: {output}")
