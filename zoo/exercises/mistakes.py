"""Compares an answer with what is right, and says what went wrong where it is what a well-known mistake gives."""

from typing import Any

import numpy as np

from zoo.exercises.verdict import Wrong, same


def parts(what: str, got: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """The parts of what came back, a tuple, a list or a row of so many numbers; raises `Wrong` where it is none."""
    if got is None or got is Ellipsis:
        raise Wrong(f"{what}: nothing came back yet")
    several = isinstance(got, tuple | list) or np.ndim(got) == 1
    if not several or len(got) != len(names):
        came = f"{len(got)} values" if several else f"a {type(got).__name__}"
        raise Wrong(f"{what}: expected ({', '.join(names)}), got {came}")
    return tuple(got)


def compare(what: str, got: Any, expected: Any, *mistakes: tuple[str, Any], tolerance: float = 1e-4) -> None:
    """Raises `Wrong` unless `got` is `expected`, as `same` does; where it is what a mistake gives, with a hint.

    Args:
      what: the name of the value.
      got: what came.
      expected: what is right.
      *mistakes: hints, each with what the mistake gives; the first that fits is told.
      tolerance: as for `same`.
    """
    try:
        same(what, got, expected, tolerance)
    except Wrong as wrong:
        for hint, value in mistakes:
            if is_same(got, value, tolerance):
                raise Wrong(f"{wrong}. {hint}") from None
        raise


def is_same(got: Any, value: Any, tolerance: float = 1e-5) -> bool:
    """Whether `same` finds nothing."""
    try:
        same("", got, value, tolerance)
    except Wrong:
        return False
    return True
