"""Predicts image files with a run's model, or one by name: says it, draws it, and writes it down."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from train.data.decode import encoded, opened, read_picture
from train.engine.console import Console
from train.store.files import finite, write_bytes, write_json
from train.use.classifier import Classifier
from train.use.open_run import open_run
from train.use.outputs import RECORDS, beside, outputs_of
from train.use.predictor import ClassifierPredictor, Predictor, RunPredictor
from zoo.images import upright_size

_BATCH = 64


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
    the image as the model saw it. One that takes several pictures, `frames = ("image", "second")`, is given each file
    with the next ones, which the record calls "following".

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
      DataError: a file is not an image, or what is written would replace a file of yours; see `outputs_of`.
      WorkdirError: there is no run here.
      RunError: its task does not predict mirror images too.
      CheckpointError: the run has no checkpoint, or no moving average.
      PredictError: its model takes something else than images, or more of them.
    """
    return predict_files(RunPredictor(open_run(path, flips), best, ema), images, output, console)


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
      DataError: a file is not an image, or what is written would replace a file of yours; see `outputs_of`.
    """
    return predict_files(ClassifierPredictor(classifier), images, output, console)


def predict_files(
    predictor: Predictor, images: tuple[Path, ...], output: Path | None = None, console: Console | None = None
) -> list[dict[str, Any]]:
    """Predicts image files; prints a table and returns a record an image.

    Args:
      predictor: what predicts them.
      images: files of any size and mode.
      output: a folder for `predictions.json` and a picture an image; by default nothing is written.
      console: where the table is printed.

    Raises:
      DataError: a file is not an image, or what is written would replace a file of yours; see `outputs_of`.
    """
    console = console or Console()
    written = () if output is None else outputs_of(images, (), output, predictor.writes).pictures
    examples = predictor.joined([predictor.example(read_picture(image, predictor.mode)) for image in images])
    count = len(predictor.frames)
    following = [images[i : i + count] for i in range(len(examples))]
    predictions = predictor.predict(examples, min(_BATCH, len(examples)))
    records, sizes = [], []
    for (image, *others), predicted in zip(following, predictions, strict=True):
        with opened(image, image) as file:
            sizes.append(upright_size(file))
        then = {"following": [str(other) for other in others]} if others else {}
        records.append({"image": str(image), **then, **predictor.record(sizes[-1], predicted)})
    say_what_it_sees(predictor, console)
    console.table(predictor.ready.title, [(record["image"], record["text"]) for record in records])
    if output is not None:
        given = zip(following, examples, predictions, strict=True)
        drawn = (
            predictor.drawn(lambda image=image: read_picture(image), example, predicted)
            for (image, *_), example, predicted in given
        )
        files = (predictor.files(size, predicted) for size, predicted in zip(sizes, predictions, strict=True))
        _write(output, written[: len(records)], drawn, files, records, console)
    return records


def _write(
    output: Path,
    written: tuple[Path, ...],
    pictures: Iterable[np.ndarray],
    files: Iterable[Mapping[str, bytes]],
    records: list[dict[str, Any]],
    console: Console,
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for file, picture, others in zip(written, pictures, files, strict=True):
        write_bytes(file, encoded(picture))
        for suffix, content in others.items():
            write_bytes(beside(file, suffix), content)
    write_json(output / RECORDS, finite(records))
    console.say(f"pictures and {RECORDS}: {output}")


def say_what_it_sees(predictor: Predictor, console: Console) -> None:
    """A line of how images become inputs of the model, where that is worth one."""
    if predictor.sees:
        console.say(f"images: {predictor.sees}")
