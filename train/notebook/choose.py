"""A recipe by name, with some of its fields changed."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from train.config import Recipe, RecipeError, flat_names, from_dict, settings_of, to_dict
from train.config.base import Config
from train.recipes import get
from zoo.names import unknown


def recipe(base: str | Recipe, changes: Mapping[str, Any] | None = None, /, **top: Any) -> Recipe:
    """A named recipe, or one at hand, with some fields changed.

    As on the command line, another `model.name` leaves the model's options behind, and another `task.kind` comes with
    the settings of that task.

    Args:
      base: a name of `python -m train list`, or a recipe.
      changes: values by dotted name, such as {"optimizer.learning_rate": 3e-3, "task.kind": "sphere_classification"}.
      **top: fields of the recipe itself, such as epochs=5; in both also whole parts: optimizer=Optimizer("adam").

    Raises:
      UnknownNameError: no such recipe, field or task; the message names the nearest.
      RecipeError: a value is of the wrong type or out of range, or is given twice.

    >>> recipe("digits_mlp", {"optimizer.learning_rate": 3e-3}, epochs=2).optimizer.learning_rate
    0.003
    """
    chosen = get(base) if isinstance(base, str) else base
    if not isinstance(chosen, Recipe):
        raise RecipeError(f"expected the name of a recipe, or a recipe, got {base!r}")
    if changes is not None and not isinstance(changes, Mapping):
        raise RecipeError(f"expected the changes as a dictionary of dotted names, got {changes!r}")
    fields = {field.name for field in dataclasses.fields(Recipe)}
    for name in top:
        if name not in fields:
            raise unknown("field of a recipe", name, {*fields, *_names(chosen)})
    given = dict(changes or {})
    parts = {name: value for name, value in {**given, **top}.items() if isinstance(value, Config) and name in fields}
    changed = flat_names({name: value for name, value in given.items() if name not in parts})
    if twice := [name for name in changed if name.partition(".")[0] in top]:
        raise RecipeError(f"{', '.join(twice)}: given twice, by name and as {twice[0].partition('.')[0]}=")
    changed |= flat_names({name: value for name, value in top.items() if name not in parts})
    chosen = dataclasses.replace(chosen, **parts)
    if (kind := changed.get("task.kind", chosen.task.kind)) != chosen.task.kind:
        chosen = dataclasses.replace(chosen, task=settings_of(kind)())
    if changed.get("model.name", chosen.model.name) != chosen.model.name:
        chosen = dataclasses.replace(chosen, model=dataclasses.replace(chosen.model, options=()))
    values, known = to_dict(chosen), _names(chosen)
    for name, value in changed.items():
        if name not in known:
            raise unknown("field of a recipe", name, known)
        *path, last = name.split(".")
        place = values
        for part in path:
            place = place[part]
        place[last] = value
    return from_dict(values)


def _names(chosen: Recipe) -> list[str]:
    return list(flat_names(to_dict(chosen)))
