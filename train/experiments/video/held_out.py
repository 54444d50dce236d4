"""What a finished run of clips says of held-out clips, of its own data or of others."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float, Int
from scipy.special import softmax

from train import data
from train.engine.step import make_predict
from train.experiments.trained_runs import found_in

Chances = Float[np.ndarray, "videos classes"]


def chances_of(path: Path, source: str = "") -> tuple[Chances, Int[np.ndarray, "videos"]]:
    """The probability of each class for each held-out video, and the labels.

    Args:
      path: of the run.
      source: whose test; by default that of the run's own data.

    Raises:
      WorkdirError, CheckpointError: there is no run in this folder, or none that came to a checkpoint.
    """
    recipe, task, model, variables = found_in(path)
    test = data.load(dataclasses.replace(recipe.data, source=source or recipe.data.source), "test")
    test = data.OfFields(test, task.fields)
    predict, prepare = make_predict(model, task), data.preprocess(recipe.augment, test.spec)
    program = jax.jit(lambda variables, batch: predict(variables, prepare(batch)))
    found, labels = [], []
    for batch in data.evaluation_batches(test, recipe.data.eval_batch_size):
        predicted = jax.device_get(program(variables, batch))
        found.append(predicted["logits"][batch["mask"]])
        labels.append(batch["label"][batch["mask"]])
    return softmax(np.concatenate(found).astype(np.float64), axis=-1), np.concatenate(labels)


def accuracy(chances: Chances, labels: Int[np.ndarray, "videos"]) -> float:
    """The share of videos whose class is the likeliest.

    >>> accuracy(np.array([[0.7, 0.3], [0.6, 0.4]]), np.array([0, 1]))
    0.5
    """
    return float(np.mean(chances.argmax(axis=-1) == labels))
