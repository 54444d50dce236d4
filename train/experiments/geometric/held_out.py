"""How often a finished run is right on test images of other sources than its own."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from train import data
from train.config import Data
from train.engine.step import make_predict
from train.experiments.trained_runs import found_in


def accuracies(path: Path, tests: Mapping[str, data.Source]) -> dict[str, float]:
    """The share of each test's examples whose class a run names, by the test's name.

    Args:
      path: of the run.
      tests: examples with the fields of the run's own data, and its classes.

    Raises:
      WorkdirError, CheckpointError: there is no run in this folder, or none that came to a checkpoint.
    """
    recipe, task, model, variables = found_in(path)
    predict, found = make_predict(model, task), {}
    for name, test in tests.items():
        prepare = data.preprocess(recipe.augment, test.spec)
        program = jax.jit(lambda variables, batch, prepare=prepare: predict(variables, prepare(batch)))
        right = total = 0
        for batch in data.evaluation_batches(data.OfFields(test, task.fields), recipe.data.eval_batch_size):
            guesses = np.asarray(program(variables, batch)["logits"]).argmax(axis=-1)
            right += int(((guesses == batch["label"]) & batch["mask"]).sum())
            total += int(batch["mask"].sum())
        found[name] = right / total
    return found


def upright_and_turned(config: Data) -> dict[str, data.Source]:
    """The test images of some data: upright, turned by 0, 90, 180 and 270 degrees, and turned by any angle."""
    upright = data.in_memory(data.load(dataclasses.replace(config, rotate=()), "test"))
    return {
        "accuracy_upright": upright,
        "accuracy_quarters": quarter_turned(upright),
        "accuracy_any": data.load(dataclasses.replace(config, rotate=(-180.0, 180.0)), "test"),
    }


def quarter_turned(source: data.ArraySource) -> data.ArraySource:
    """All images four times, turned by 0, 90, 180 and 270 degrees without interpolation.

    >>> image = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)
    >>> quarter_turned(data.ArraySource("one", {"image": image, "label": np.zeros(1, int)}))[1]["image"][..., 0]
    array([[1, 3],
           [0, 2]], dtype=uint8)
    """
    arrays = source.arrays()
    turned = [{**arrays, "image": np.rot90(arrays["image"], turns, (1, 2))} for turns in range(4)]
    joined = {name: np.concatenate([each[name] for each in turned]) for name in arrays}
    return data.ArraySource(source.name, joined, source.spec, source.facts)
