"""What one does with a run that is there: measure it again, and predict images with it."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PyTree, UInt8

from train import tasks
from train.assemble import assemble, make_model
from train.checkpoint import CheckpointError, Checkpoints
from train.console import Console, describe
from train.data import DataError, preprocess
from train.evaluation import Evaluator
from train.step import make_evaluate
from train.workdir import Workdir


def load_variables(files: Workdir, task: tasks.Task, best: bool = False) -> tuple[int, PyTree[Array]]:
    """Step and model variables of a run's last (or best) checkpoint.

    Raises:
      CheckpointError: there is none, or it cannot be read.
    """
    checkpoints = Checkpoints(files.checkpoints, task.best, task.higher_is_better)
    try:
        step = checkpoints.best_step() if best else None
        if best and step is None:
            raise CheckpointError(f"{files.checkpoints}: no checkpoint was evaluated yet; leave out --best")
        return checkpoints.load_variables(step)
    finally:
        checkpoints.close()


def evaluate_run(path: Path, best: bool = False, console: Console | None = None) -> dict[str, float]:
    """The metrics of a run's last (or best) checkpoint on the whole held-out split; also prints them."""
    files = Workdir(path)
    assembly = assemble(files.read_recipe())
    step, variables = load_variables(files, assembly.task, best)
    summary = Evaluator(assembly).of_variables(variables)
    rows = [(name, describe({name: value})) for name, value in summary.items()]
    (console or Console()).table(f"{path}, step {step}, {len(assembly.test)} held-out examples", rows)
    return summary


def predict_images(path: Path, images: tuple[Path, ...], best: bool = False) -> list[dict[str, Any]]:
    """Predicts image files with a run's model; prints a table and returns a record an image.

    The data set is not needed: class names and image shape were written down when the run began.

    Raises:
      DataError: a file is not an image.
      CheckpointError: the run has no checkpoint yet.
    """
    files = Workdir(path)
    recipe, card = files.read_recipe(), files.read_card()
    task = tasks.from_card(recipe.task, card["task"])
    batch = np.stack([read_image(image, tuple(card["data"]["image_shape"])) for image in images])
    _, variables = load_variables(files, task, best)
    model = make_model(recipe, task)
    zeros = np.zeros(len(images), np.int32)
    arrays = preprocess(recipe.augment)(
        {"image": jax.numpy.asarray(batch), "label": zeros, "target": zeros, "mask": zeros == 0}
    )
    _, outputs = jax.jit(make_evaluate(model, task))(variables, arrays)
    records = [
        {"image": str(image), **_record(task, np.asarray(output))}
        for image, output in zip(images, outputs, strict=True)
    ]
    rows = [(record["image"], record["text"]) for record in records]
    Console().table(f"{path}: {recipe.model.name}", rows)
    return records


def read_image(path: Path, shape: tuple[int, int, int]) -> UInt8[np.ndarray, "height width channels"]:
    """An image file as the training data had it: grey or colour, resized (bilinear) to `shape`.

    Raises:
      DataError: the file is missing or is not an image.
    """
    from PIL import Image

    height, width, channels = shape
    try:
        with Image.open(path) as image:
            image = image.convert("L" if channels == 1 else "RGB")
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(image, np.uint8).reshape(shape)
    except OSError as error:
        raise DataError(f"{path}: expected an image file ({error})") from error


def _record(task: tasks.Task, output: np.ndarray) -> dict[str, Any]:
    if not isinstance(task, tasks.Classification):
        return {"value": float(output), "text": f"{float(output):.4g}"}
    scores = np.exp(output - output.max())
    scores /= scores.sum()
    order = np.argsort(-scores, kind="stable")[:5]
    named = [(task.class_names[i], float(scores[i])) for i in order]
    return {"scores": named, "text": ", ".join(f"{name} {100 * score:.1f} %" for name, score in named)}
