"""A run that is there, ready to be used: its recipe, what its task learned, its fields, its variables."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import Array, PyTree

from train.config import Recipe, RunError
from train.config.codec import as_tuples
from train.data.fields import Facts, Field, Kind, Spec
from train.engine.network import make_network
from train.store.checkpoint import CheckpointError, Checkpoints
from train.store.workdir import Workdir, WorkdirError
from train.tasks import restore_task
from train.tasks.protocol import Task

_LARGEST = 2**30
"""Bytes of a field of one example; a card that says more is damaged."""


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """What a run's folder says, without a look at its data; finished or not."""

    files: Workdir
    recipe: Recipe
    task: Task
    spec: Spec
    """The fields of a held-out example, as the model was evaluated on it."""
    facts: Facts

    def model(self) -> nn.Module:
        """The recipe's model, with what the task has on top."""
        return make_network(self.recipe, self.task).model

    def variables(self, best: bool = False, ema: bool = False) -> tuple[int, PyTree[Array]]:
        """Step and variables of the last (or best) checkpoint, or their moving average.

        Raises:
          CheckpointError: there is none, it cannot be read, or it keeps no average.
        """
        step, variables, average = load_variables(self.files, self.task, best)
        if ema and average is None:
            raise CheckpointError(f"{self.files.path} keeps no moving average; leave out --ema")
        return step, average if ema else variables


def open_run(path: Path, flips: bool = False) -> FinishedRun:
    """The run in a folder.

    Args:
      path: the folder.
      flips: predict mirror images too, whatever the recipe says.

    Raises:
      WorkdirError: there is none, or the folder does not say what it learned.
      RunError: its task does not predict mirror images too.
    """
    files = Workdir(path)
    recipe, card, learned = files.read_recipe(), files.read_card(), files.read_fitted()
    if learned is None:
        raise WorkdirError(f"{files.card} does not say what the run learned: it never came to training")
    learned = flipping(recipe, learned) if flips else learned
    try:
        task = restore_task(recipe.task, learned)
        spec = {name: _field(values) for name, values in card["data"]["fields"].items()}
        facts = Facts(**{name: as_tuples(value) for name, value in card["data"]["facts"].items()})
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise WorkdirError(f"{files.card} does not say what the run learned: {error!r}") from error
    return FinishedRun(files, recipe, task, spec, facts)


def flipping(recipe: Recipe, learned: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a run's task was fitted to, of a task that predicts mirror images too from now on.

    Raises:
      RunError: its task has no such setting.
    """
    if "flips" not in (learned or {}):
        raise RunError(f"--flips: {recipe.task.kind} does not predict mirror images too")
    return {**learned, "flips": True}


def load_variables(files: Workdir, task: Task, best: bool = False) -> tuple[int, PyTree[Array], PyTree[Array] | None]:
    """Step, model variables and, if kept, their moving average, of a run's last (or best) checkpoint.

    Raises:
      CheckpointError: there is none, or it cannot be read.
    """
    checkpoints = Checkpoints(files.checkpoints, task.metrics[0], files.read_recipe())
    step = checkpoints.best_step() if best else None
    if best and step is None:
        raise CheckpointError(f"{files.checkpoints}: no checkpoint was evaluated yet; leave out --best")
    return checkpoints.load_variables(step)


def _field(values: dict[str, Any]) -> Field:
    field = Field(Kind(values["kind"]), tuple(values["shape"]), values["dtype"], tuple(values["most"]))
    sizes = [1 if size is None else size for size in (*field.shape, *field.most)]
    if not all(type(size) is int and size > 0 for size in sizes):
        raise ValueError(f"expected sizes of an example, got {field.shape} and {field.most}")
    if math.prod(sizes) * np.dtype(field.dtype).itemsize > _LARGEST:
        raise ValueError(f"expected an example of at most {_LARGEST >> 30} GiB, got shape {field.shape}")
    return field
