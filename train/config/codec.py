"""Recipes as nested dictionaries that json can write, and back; and as one level of dotted names."""

import dataclasses
import typing
from typing import Any

from train.config.errors import RecipeError
from train.config.recipe import Recipe
from train.config.task import Task, settings_of
from zoo.names import unknown


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dictionaries that json can write.

    >>> to_dict(Recipe())["task"]
    {'kind': 'classification', 'label_smoothing': 0.0}
    """
    return {**dataclasses.asdict(recipe), "task": {"kind": recipe.task.kind, **dataclasses.asdict(recipe.task)}}


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that `to_dict` wrote, also after a journey through json; what is left out has its default.

    Raises:
      UnknownNameError: a field or a task does not exist; the message names the nearest.
      RecipeError: a value is of the wrong type or out of range.
    """
    return _of(values, Recipe)


def flatten(recipe: Recipe) -> dict[str, Any]:
    """The recipe as one level of dotted names: {"model.name": ..., "optimizer.learning_rate": ...}."""
    return flat_names(to_dict(recipe))


def flat_names(node: Any, path: str = "") -> dict[str, Any]:
    """Nested dictionaries as one level of dotted names.

    >>> flat_names({"model": {"name": "mlp"}, "seed": 0})
    {'model.name': 'mlp', 'seed': 0}
    """
    if not isinstance(node, dict):
        return {path: node}
    parts = (flat_names(child, f"{path}.{name}" if path else name) for name, child in node.items())
    return {name: value for part in parts for name, value in part.items()}


def as_tuples(value: Any) -> Any:
    """Lists, also of lists, as json has them, as the tuples that they were.

    >>> as_tuples([1, [2, 3]])
    (1, (2, 3))
    """
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def differences(one: Recipe, other: Recipe) -> list[str]:
    """The fields in which two recipes differ, as lines "field: one -> other"; a task may lack what another has."""
    left, right = flatten(one), flatten(other)
    return [
        f"{name}: {left.get(name, 'nothing')!r} -> {right.get(name, 'nothing')!r}"
        for name in {**left, **right}
        if left.get(name, "nothing") != right.get(name, "nothing")
    ]


def _of(values: Any, kind: type) -> Any:
    if not isinstance(values, dict):
        raise RecipeError(f"{kind.__name__}: expected its fields, got {values!r}")
    if kind is Task:
        values = dict(values)
        kind = settings_of(values.pop("kind", "classification"))
    hints, fields = typing.get_type_hints(kind), [field.name for field in dataclasses.fields(kind)]
    arguments = {}
    for name, value in values.items():
        if name not in fields:
            raise unknown(f"field of {kind.__name__}", name, fields)
        if dataclasses.is_dataclass(hints[name]):
            value = _of(value, hints[name])
        elif isinstance(value, list):
            value = tuple(value)
        arguments[name] = value
    return kind(**arguments)
