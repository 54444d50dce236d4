"""Measures a run again, or a model by name with weights alone, on the whole held-out split."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, PyTree
from PIL import Image

from train.config import Data
from train.data import Kind, Source, load_unframed
from train.data.source import Arrays
from train.engine.assemble import assemble
from train.engine.console import Console
from train.engine.evaluator import Evaluator
from train.engine.step import make_evaluate
from train.store.workdir import Workdir
from train.tasks.protocol import Batch, Task
from train.use.classifier import Classifier
from train.use.open_run import flipping, load_variables
from train.use.with_weights import WeightsAloneError


def evaluate_run(
    path: Path, best: bool = False, console: Console | None = None, flips: bool = False
) -> dict[str, float]:
    """The metrics of a run's last (or best) checkpoint on the whole held-out split; also prints them.

    Args:
      path: the run's folder.
      best: use the best checkpoint instead of the last.
      console: where the metrics are printed.
      flips: predict mirror images too, whatever the recipe says.

    Raises:
      WorkdirError: there is no run here.
      RunError: its task does not predict mirror images too.
      CheckpointError: it has no checkpoint, or none that can be read.
    """
    files, console = Workdir(path), console or Console()
    recipe, learned = files.read_recipe(), files.read_fitted()
    assembly = assemble(recipe, flipping(recipe, learned) if flips else learned)
    console.learn(assembly.task.metrics)
    step, variables, ema = load_variables(files, assembly.task, best)
    replicate = assembly.placement.replicate
    summary = Evaluator(assembly).of_variables(replicate(variables), None if ema is None else replicate(ema))
    say(console, f"{path}, step {step}, {len(assembly.test)} held-out examples", summary)
    return summary


def evaluate_classifier(classifier: Classifier, data: Data, console: Console | None = None) -> dict[str, float]:
    """The metrics of a classifier on the whole held-out split of some data; also prints them.

    Every image is prepared as `zoo.preprocess` does; a class is known by its name, or by its place where there are as
    many as outputs.

    Raises:
      UnknownNameError, DataError: there is no such data, or it cannot be read.
      WeightsAloneError: the examples are no images with labels, or of other classes.
    """
    console, source, task = console or Console(), load_unframed(data, "test"), classifier.task
    fields = {name: source.spec[name].kind for name in ("image", "label") if name in source.spec}
    if fields != {"image": Kind.IMAGE, "label": Kind.LABEL} or source.spec["label"].shape or not source.facts.classes:
        raise WeightsAloneError(f"{source.name}: expected images with a label each, found {', '.join(source.spec)}")
    outputs = classifier.output_of(source.facts.classes, source.name)
    console.learn(task.metrics)
    console.say(f"images: {classifier.sees}")
    if classifier.has_names and source.facts.classes[0] != classifier.class_names[outputs[0]]:
        first = f"{source.facts.classes[0]} as {classifier.class_names[0]}"
        console.say(f"classes are taken in the order of the outputs: {first}, ...")
    batches = _batches(classifier, source, np.asarray(outputs, np.int32), data.eval_batch_size)
    summary = measured(classifier.model, task, classifier.variables, batches)
    say(console, f"{classifier.title}, {len(source)} held-out examples of {source.name}", summary)
    return summary


def measured(model: nn.Module, task: Task, variables: PyTree[Array], batches: Iterable[Batch]) -> dict[str, float]:
    """The metrics of a model over some batches, at least one."""
    evaluate, total = jax.jit(make_evaluate(model, task)), None
    for batch in batches:
        sums = jax.tree.map(lambda array: np.asarray(array, np.float64), evaluate(variables, batch))
        total = sums if total is None else jax.tree.map(np.add, total, sums)
    return task.scores(total)


def _batches(classifier: Classifier, source: Source, outputs: np.ndarray, batch_size: int) -> Iterator[Arrays]:
    """Every example once, as the model takes it; the last batch is padded and masked."""

    def example(row: int) -> tuple[np.ndarray, int]:
        found = source[row]
        pixels = np.asarray(found["image"])
        if pixels.shape[-1] not in (1, 3):
            raise WeightsAloneError(f"{source.name}: expected grey or colour images, found shape {pixels.shape}")
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        return classifier.prepare(picture), outputs[int(found["label"])]

    size = min(batch_size, len(source))
    with ThreadPoolExecutor() as pool:
        for first in range(0, len(source), size):
            places = np.arange(first, first + size)
            rows = np.minimum(places, len(source) - 1)
            images, labels = zip(*pool.map(example, rows.tolist()), strict=True)
            yield {"image": np.stack(images), "label": np.asarray(labels), "index": rows, "mask": places < len(source)}


def say(console: Console, title: str, summary: dict[str, float]) -> None:
    """Prints metrics as a table."""
    console.table(title, [(name.replace("_", " "), console.quantity(name, value)) for name, value in summary.items()])
