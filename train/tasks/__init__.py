"""Tasks: what is learned of a batch, and what a person reads of it. Read `protocol.py`, then `classification/task.py`.

A folder a task: `task.py` is pure, `page.py` draws. `scores.py` and `fitting.py` have what several of them share.
"""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from train.config import Augment, RunError
from train.config import Task as Settings
from train.config.base import fits
from train.config.codec import as_tuples
from train.config.task import task_of
from train.data.source import Source
from train.tasks.protocol import Task, fitted

__all__ = ["Task", "fitted", "make_task", "restore_task"]


def make_task(settings: Settings, source: Source, augment: Augment | None = None) -> Task:
    """The task of a recipe, fitted to the training examples.

    Args:
      settings: what the recipe says of the task.
      source: the training examples.
      augment: by which images are normalised before the task sees them; by default they are not.

    Raises:
      RecipeError: the source does not have what the task learns, or its outputs do not fit it.
    """
    task = task_of(settings.kind).fit(settings, source)
    return task if augment is None else task.normalised(augment.mean, augment.std)


def restore_task(settings: Settings, values: Mapping[str, Any]) -> Task:
    """The task of a run that is there, from what its card says that it was `fitted` to; needs no examples.

    Raises:
      RunError: the card is damaged, or of another version: it says less, more, or something else.
    """
    kind = task_of(settings.kind)
    hints = {field.name: typing.get_type_hints(kind)[field.name] for field in dataclasses.fields(kind)}
    found = {name: as_tuples(value) for name, value in values.items()}
    wrong = [f"{name}: {found.get(name, 'nothing')!r}" for name in {**hints, **found} if name not in hints]
    wrong += [f"{name}: {found.get(name)!r}" for name, hint in hints.items() if not fits(found.get(name), hint)]
    if wrong:
        raise RunError(f"what the run's card says of its task {settings.kind} cannot be read: {'; '.join(wrong)}")
    return kind(**found)
