"""Tasks: what is learned of a batch, and what a person reads of it. Read `protocol.py`, then `classification/task.py`.

A folder a task: `task.py` is pure, `page.py` draws. `scores.py` and `fitting.py` have what several of them share.
"""

from collections.abc import Mapping
from typing import Any

from train.config import Task as Settings
from train.config.task import task_of
from train.data.source import Source
from train.tasks.protocol import Task, fitted

__all__ = ["Task", "fitted", "make_task", "restore_task"]


def make_task(settings: Settings, source: Source) -> Task:
    """The task of a recipe, fitted to the training examples.

    Raises:
      RecipeError: the source does not have what the task learns, or its outputs do not fit it.
    """
    return task_of(settings.kind).fit(settings, source)


def restore_task(settings: Settings, values: Mapping[str, Any]) -> Task:
    """The task of a run that is there, from what its card says that it was `fitted` to; needs no examples."""
    return task_of(settings.kind)(**{name: _as_tuple(value) for name, value in values.items()})


def _as_tuple(value: Any) -> Any:
    """Lists, also of lists, as json has them, as the tuples that they were."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
