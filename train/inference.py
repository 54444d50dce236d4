"""What one does with a run that is there: measure it again, and predict images with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, PyTree, UInt8

from train import tasks
from train.assemble import assemble, make_model
from train.checkpoint import CheckpointError, Checkpoints
from train.console import Console, quantity
from train.data import Framing, preprocess
from train.data.images import opened
from train.evaluation import Evaluator
from train.tasks import Prediction
from train.workdir import Workdir, WorkdirError
from zoo.preprocessing import eight_bits

_BATCH = 64
_CLASSES_SHOWN = 3


def load_variables(
    files: Workdir, task: tasks.Task, best: bool = False
) -> tuple[int, PyTree[Array], PyTree[Array] | None]:
    """Step, model variables and, if kept, their moving average, of a run's last (or best) checkpoint.

    Raises:
      CheckpointError: there is none, or it cannot be read.
    """
    checkpoints = Checkpoints(files.checkpoints, task.best, task.higher_is_better, files.read_recipe())
    step = checkpoints.best_step() if best else None
    if best and step is None:
        raise CheckpointError(f"{files.checkpoints}: no checkpoint was evaluated yet; leave out --best")
    return checkpoints.load_variables(step)


def evaluate_run(path: Path, best: bool = False, console: Console | None = None) -> dict[str, float]:
    """The metrics of a run's last (or best) checkpoint on the whole held-out split; also prints them.

    Raises:
      WorkdirError: there is no run here.
      CheckpointError: it has no checkpoint, or none that can be read.
    """
    files = Workdir(path)
    assembly = assemble(files.read_recipe(), prototypes_of(files))
    step, variables, ema = load_variables(files, assembly.task, best)
    replicate = assembly.placement.replicate
    summary = Evaluator(assembly).of_variables(replicate(variables), None if ema is None else replicate(ema))
    rows = [(name.replace("_", " "), quantity(name, value)) for name, value in summary.items()]
    (console or Console()).table(f"{path}, step {step}, {len(assembly.test)} held-out examples", rows)
    return summary


def predict_images(
    path: Path, images: tuple[Path, ...], best: bool = False, ema: bool = False, console: Console | None = None
) -> list[dict[str, Any]]:
    """Predicts image files with a run's model; prints a table and returns a record an image.

    The data set is not needed: class names and image shape were written down when the run began.

    Args:
      path: the run's folder.
      images: files of any size and mode; they are resized to what the model was evaluated on.
      best: use the best checkpoint instead of the last.
      ema: use the moving average of the variables.
      console: where the table is printed.

    Raises:
      DataError: a file is not an image.
      WorkdirError: there is no run here.
      CheckpointError: the run has no checkpoint, or no moving average.
    """
    files = Workdir(path)
    recipe = files.read_recipe()
    task, shape = learned(files)
    framing = recipe.data.framing("test")
    pixels = np.stack([read_image(image, shape, framing) for image in images])
    step, variables, average = load_variables(files, task, best)
    if ema and average is None:
        raise CheckpointError(f"{path} keeps no moving average; leave out --ema")
    model, prepare = make_model(recipe, task), preprocess(recipe.augment)

    @jax.jit
    def predict(variables: PyTree[Array], batch: UInt8[Array, "batch height width channels"]) -> Prediction:
        return task.predict(model.apply(variables, *task.inputs(prepare({"image": batch})), train=False))

    outputs = []
    for first in range(0, len(pixels), _BATCH):
        rows = np.minimum(np.arange(first, first + min(_BATCH, len(pixels))), len(pixels) - 1)
        outputs.append(jax.device_get(predict(average if ema else variables, pixels[rows])))
    predicted = jax.tree.map(lambda *parts: np.concatenate(parts), *outputs)
    records = [
        {"image": str(image), **_record(task, {name: array[i] for name, array in predicted.items()})}
        for i, image in enumerate(images)
    ]
    rows = [(record["image"], record["text"]) for record in records]
    (console or Console()).table(f"{recipe.model.name} of {path}, step {step}", rows)
    return records


def learned(files: Workdir) -> tuple[tasks.Task, tuple[int, int, int]]:
    """What a run learned, and the shape of the images that it learned it from.

    Raises:
      WorkdirError: the folder does not say.
    """
    recipe, card = files.read_recipe(), files.read_card()
    try:
        return tasks.from_card(recipe.task, card["task"]), tuple(card["data"]["image_shape"])
    except (KeyError, TypeError) as error:
        raise WorkdirError(f"{files.card} does not say what the run learned: {error!r}") from error


def prototypes_of(files: Workdir) -> tasks.Rows | None:
    """The prototypes that a run was trained with; none of a task without, or of a run that never came to training.

    Raises:
      WorkdirError: the folder does not say what it learned.
    """
    return getattr(learned(files)[0], "prototypes", None) if "task" in files.read_card() else None


def read_image(
    path: Path, shape: tuple[int, int, int], framing: Framing | None = None
) -> UInt8[np.ndarray, "height width channels"]:
    """An image file as the held-out data had it: 8 bits, grey or colour, resized (bilinear) to `shape`, or framed.

    Transparency is dropped, 16 bits are scaled to 8.

    Raises:
      DataError: the file is missing or is not an image.
    """
    from PIL import Image

    height, width, channels = shape
    with opened(path, path) as image:
        image.load()
        image = eight_bits(image).convert("L" if channels == 1 else "RGB")
        if framing is not None:
            return framing.central(image)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(image, np.uint8).reshape(shape)


def _record(task: tasks.Task, predicted: Mapping[str, Float[np.ndarray, "..."]]) -> dict[str, Any]:
    """Scores of the classes, best first, and the value: those of them that the task has."""
    record, texts = {}, []
    for name in ("logits", "cosines"):
        if name in predicted:
            scores = shares(predicted[name]) if name == "logits" else predicted[name]
            order = np.argsort(-scores, kind="stable")
            record["scores"] = [(task.class_names[i], float(scores[i])) for i in order]
            form = "{} {:.1f} %" if name == "logits" else "{} (cosine {:.3f})"
            scale = 100 if name == "logits" else 1
            shown = (form.format(label, scale * score) for label, score in record["scores"][:_CLASSES_SHOWN])
            texts.append(", ".join(shown))
    if "value" in predicted:
        record["value"] = float(predicted["value"])
        texts.append(f"{record['value']:.4g} {task.unit}".rstrip())
    return {**record, "text": "; ".join(texts)}


def shares(logits: Float[np.ndarray, "classes"]) -> Float[np.ndarray, "classes"]:
    """The softmax."""
    scores = np.exp(logits - logits.max())
    return scores / scores.sum()
