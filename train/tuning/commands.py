"""The command that trains a recipe: a named one, and options for the fields in which this one differs."""

import dataclasses
import shlex
from typing import Any

from train.config import Recipe, flatten, settings_of


def fit_command(base: Recipe, recipe: Recipe) -> str:
    """What to type to train a recipe.

    Args:
      base: the named recipe that it was made of.
      recipe: as trained; a field that no option can say has none.

    >>> from train.config import Optimizer, Recipe
    >>> optimizer = Optimizer(learning_rate=3e-3, nesterov=True)
    >>> fit_command(Recipe(name="digits"), Recipe(name="digits", optimizer=optimizer))
    'python -m train fit digits --optimizer.learning-rate 0.003 --optimizer.nesterov'
    """
    words = ["python", "-m", "train", "fit", base.name]
    before = base
    if recipe.task.kind != base.task.kind:
        words += ["--task.kind", recipe.task.kind]
        before = dataclasses.replace(before, task=settings_of(recipe.task.kind)())
    if recipe.model.name != base.model.name:
        before = dataclasses.replace(before, model=dataclasses.replace(before.model, options=()))
    there, wanted = flatten(before), flatten(recipe)
    for field, value in wanted.items():
        if field != "task.kind" and value != there[field]:
            words += _option(field, value)
    return shlex.join(words)


def _option(field: str, value: Any) -> list[str]:
    """A field as an option of the command line."""
    path, dot, last = field.replace("_", "-").rpartition(".")
    if isinstance(value, bool):
        return [f"--{path}{dot}{'' if value else 'no-'}{last}"]
    if isinstance(value, str) and value.startswith("-"):  # else it would be taken for an option
        return [f"--{path}{dot}{last}={value}"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"--{path}{dot}{last}", *(each if isinstance(each, str) else repr(each) for each in values)]
