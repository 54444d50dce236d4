"""Finished runs as an experiment measures them: what is there, and classifiers as functions of pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from train import data
from train.config import Recipe
from train.engine.network import make_network
from train.store.checkpoint import Checkpoints
from train.store.workdir import Workdir
from train.tasks import Task, restore_task


class Found(NamedTuple):
    """What a run was, and its best variables."""

    recipe: Recipe
    task: Task
    model: nn.Module
    variables: PyTree[Array]


def found_in(path: Path) -> Found:
    """A finished run.

    Args:
      path: of the run.

    Raises:
      WorkdirError, CheckpointError: there is no run in this folder, or none that came to a checkpoint.
    """
    files = Workdir(path)
    recipe = files.read_recipe()
    task = restore_task(recipe.task, files.read_fitted() or {})
    _, variables, _ = Checkpoints(files.checkpoints, task.metrics[0], recipe).load_variables(None)
    return Found(recipe, task, make_network(recipe, task).model, variables)


Classifier = Callable[[Float[Array, "batch height width channels"]], Float[Array, "batch classes"]]
"""Logits of pixels from 0 to 1."""


def classifier_of(
    path: Path,
) -> tuple[Classifier, Float[np.ndarray, "examples height width channels"], Int[np.ndarray, " examples"]]:
    """The network of a run with its best variables, its held-out images from 0 to 1, and their classes.

    Args:
      path: of the run.

    Raises:
      WorkdirError, CheckpointError: there is no run in this folder, or none that came to a checkpoint.
    """
    recipe, _, model, variables = found_in(path)
    mean, std = (
        jnp.array(values or (value,)) for values, value in ((recipe.augment.mean, 0.0), (recipe.augment.std, 1.0))
    )

    def classifier(pixels: Array) -> Array:
        return model.apply(variables, (pixels - mean) / std, train=False).astype(jnp.float32)

    test = data.load(recipe.data, "test").arrays()
    return classifier, test["image"].astype(np.float32) / np.float32(255), test["label"]
