"""What tasks learn of the training examples before training: class names, values, bounds; all as plain values."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from train.config import RecipeError
from train.config import Task as Settings
from train.data.fields import Kind, Spec, describe
from train.data.source import Source

Rows = tuple[tuple[float, ...], ...]
"""Vectors as plain values, which can be compared, hashed and written down."""


def as_rows(vectors: Float[np.ndarray, "classes dims"]) -> Rows:
    """Vectors as plain values.

    >>> as_rows(np.eye(2))
    ((1.0, 0.0), (0.0, 1.0))
    """
    return tuple(tuple(map(float, row)) for row in np.asarray(vectors))


def class_names(settings: Settings, source: Source, at_least: int = 2) -> tuple[str, ...]:
    """The names of the classes that the examples' labels number.

    Raises:
      RecipeError: there are no labels, or too few classes.
    """
    names = source.facts.classes
    if not names or "label" not in source.spec:
        raise RecipeError(f"{settings.kind} needs examples with labels; {source.name} has none")
    if len(names) < at_least:
        raise RecipeError(f"{settings.kind} needs at least two classes; {source.name} has {names[0]} alone")
    return names


def targets(settings: Settings, source: Source) -> Float[np.ndarray, "examples"]:
    """The number that each example has; nothing else of it is read where the source can tell.

    Raises:
      RecipeError: there are none.
    """
    _check_target(settings, source)
    values = [source.peek(row, "target") for row in range(len(source))]
    return np.asarray(values, source.spec["target"].dtype)


def bounds(settings: Settings, source: Source, given: Sequence[float]) -> tuple[float, float]:
    """The lowest and the highest value: those given, or those of the examples.

    Raises:
      RecipeError: there are no values, or all are alike.
    """
    if given:
        _check_target(settings, source)
        lower, upper = given
    else:
        values = targets(settings, source)
        lower, upper = float(values.min()), float(values.max())
    if not lower < upper:
        raise RecipeError(f"task.bounds: expected a lower bound below the upper, got {lower} and {upper}")
    return lower, upper


def _check_target(settings: Settings, source: Source) -> None:
    if "target" not in source.spec:
        found = "labels only" if set(source.spec) == {"image", "label"} else describe(source.spec)
        raise RecipeError(f"{settings.kind} needs examples with a 'target'; {source.name} has {found}")


def one_an_example(spec: Spec, name: str, kind: Kind) -> None:
    """Refuses a field that is not one label or one value an example.

    Raises:
      RecipeError: it is of another kind or shape.
    """
    field = spec[name]
    if field.kind != kind or field.shape != ():
        found = describe({name: field})
        raise RecipeError(f"{name}: expected one {kind} an example, found {field.kind} {found}")
